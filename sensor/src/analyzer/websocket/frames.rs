//! WebSocket's frames (RFC 6455, section 5.2): the data of text and binary messages out of them, and their events.

use super::events::{WebsocketClose, WebsocketFrame, WebsocketFrameData, WebsocketMessage};
use crate::analyzer::api::Call;
use crate::analyzer::text::of_bytes;
use crate::event::Subscriptions;

/// Bytes of a payload that an event has at most (Zeek: WebSocket::payload_chunk_size).
const CHUNK: usize = 8192;

/// The opcode of a frame that closes (section 5.5.1).
const CLOSE: u8 = 8;

/// Both directions' frames. They are of use only together: what is wrong with one ends both.
#[derive(Debug, Default)]
pub struct Frames {
    sides: [Side; 2],
    broken: bool,
    /// Somebody wants their events.
    is_told: bool,
}

#[derive(Debug, Default)]
struct Side {
    /// The frame's header as far as it is there: two bytes, length, masking key.
    header: [u8; 14],
    have: usize,
    /// Payload bytes still to come.
    left: u64,
    /// Payload bytes so far, of which the mask's place follows.
    at: usize,
    /// A message has begun and not ended.
    continues: bool,
    /// The opcode of its first frame.
    message: u8,
    /// What is told of the payload next, if it is told.
    chunk: Vec<u8>,
}

impl Frames {
    /// Before the first byte of either direction.
    pub fn new(subs: &Subscriptions) -> Frames {
        let events = [
            WebsocketFrame::KIND,
            WebsocketFrameData::KIND,
            WebsocketMessage::KIND,
            WebsocketClose::KIND,
        ];
        Frames {
            is_told: events.iter().any(|kind| subs.wants(*kind)),
            ..Frames::default()
        }
    }

    /// Whether all further bytes are needed, whoever reads what is inside.
    pub fn needs_all(&self) -> bool {
        self.is_told && !self.broken
    }

    /// Takes bytes of one direction; gives back the payload in them.
    pub fn unframe(&mut self, is_orig: bool, mut bytes: &[u8], call: &mut Call<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let side = &mut self.sides[usize::from(!is_orig)];
        while !self.broken && !bytes.is_empty() {
            if side.left > 0 {
                side.payload(&mut bytes, self.is_told, &mut out);
                if self.is_told {
                    side.tell_payload(is_orig, call);
                }
                continue;
            }
            side.header[side.have] = bytes[0];
            side.have += 1;
            bytes = &bytes[1..];
            if side.have == side.header_len() {
                self.broken = !side.begin();
                if self.is_told && !self.broken {
                    side.tell_frame(is_orig, call);
                }
            }
        }
        out
    }

    /// Bytes are missing: where the next frame begins is not known.
    pub fn gap(&mut self) {
        self.broken = true;
    }
}

impl Side {
    /// Bytes of the length field that follows the first two.
    fn length_len(&self) -> usize {
        match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn is_masked(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    fn opcode(&self) -> u8 {
        self.header[0] & 15
    }

    /// Known once two bytes are there; one byte alone is never a header.
    fn header_len(&self) -> usize {
        2 + self.length_len() + if self.is_masked() { 4 } else { 0 }
    }

    /// The header is whole. False when it can be none: only what continues a message has no opcode.
    fn begin(&mut self) -> bool {
        let (first, opcode) = (self.header[0], self.opcode());
        if self.continues == (opcode != 0) {
            return false;
        }
        if !self.continues {
            self.message = opcode;
        }
        self.continues = first & 0x80 == 0;
        self.left = match self.length_len() {
            0 => u64::from(self.header[1] & 0x7f),
            n => self.header[2..2 + n]
                .iter()
                .fold(0, |v, b| v << 8 | u64::from(*b)),
        };
        (self.have, self.at) = (0, 0);
        true
    }

    /// Takes payload off `bytes`, as much as there is, or as may be told at a time.
    fn payload(&mut self, bytes: &mut &[u8], is_told: bool, out: &mut Vec<u8>) {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let n = if is_told {
            n.min(CHUNK - self.chunk.len())
        } else {
            n
        };
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        self.left -= n as u64;
        let is_data = matches!(self.message, 1 | 2);
        if !is_data && !is_told {
            return;
        }
        let mut key = [0; 4];
        if self.is_masked() {
            let from = 2 + self.length_len();
            key.copy_from_slice(&self.header[from..from + 4]);
        }
        let at = self.at;
        let clear = part.iter().enumerate().map(|(i, b)| b ^ key[(at + i) % 4]);
        if is_told {
            self.chunk.extend(clear.clone());
        }
        if is_data {
            out.extend(clear);
        }
        self.at = (at + n) % 4;
    }

    // Events.

    /// A frame's header is whole.
    fn tell_frame(&self, is_orig: bool, call: &mut Call<'_>) {
        let first = self.header[0];
        let frame = WebsocketFrame {
            c: call.c,
            is_orig,
            fin: first & 0x80 != 0,
            rsv: (first >> 4 & 7).into(),
            opcode: self.opcode().into(),
            payload_len: self.left,
        };
        call.raise(&frame);
        if self.left == 0 {
            if self.opcode() == CLOSE {
                tell_close(is_orig, 0, b"", call);
            }
            self.tell_end(is_orig, call);
        }
    }

    /// Some of a frame's payload came. What is read does not depend on whether it is told: a frame that closes and says
    /// half a status is told as a frame alone.
    fn tell_payload(&mut self, is_orig: bool, call: &mut Call<'_>) {
        if self.left > 0 && self.chunk.len() < CHUNK {
            return;
        }
        let data = &self.chunk[..];
        let piece = WebsocketFrameData {
            c: call.c,
            is_orig,
            data,
        };
        call.raise(&piece);
        if self.opcode() == CLOSE
            && let [a, b, reason @ ..] = data
        {
            tell_close(is_orig, u16::from_be_bytes([*a, *b]), reason, call);
        }
        self.chunk.clear();
        if self.left == 0 {
            self.tell_end(is_orig, call);
        }
    }

    /// A frame is over, and its message, if it is the last one.
    fn tell_end(&self, is_orig: bool, call: &mut Call<'_>) {
        if !self.continues {
            let message = WebsocketMessage {
                c: call.c,
                is_orig,
                opcode: self.message.into(),
            };
            call.raise(&message);
        }
    }
}

fn tell_close(is_orig: bool, status: u16, reason: &[u8], call: &mut Call<'_>) {
    let close = WebsocketClose {
        c: call.c,
        is_orig,
        status: status.into(),
        reason: &of_bytes(reason),
    };
    call.raise(&close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::api::{Out, Spec};
    use crate::event::log::LogRow;
    use crate::event::{ConnId, Event, Ts, seen};

    /// Events' names and arguments.
    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Out for Heard {
        fn event(&mut self, ts: Ts, ev: &dyn Event) {
            seen::note(ev);
            let mut line = Vec::new();
            ev.write_json(ts, &mut line);
            let line = String::from_utf8(line).unwrap();
            let (_, args) = line.split_once("\"args\":").unwrap();
            let name = ev.info().name.trim_start_matches("websocket_");
            self.0.push(format!("{name} {}", args.strip_suffix('}').unwrap()));
        }
        fn log(&mut self, _: &dyn LogRow) {}
        fn confirm(&mut self, _: &'static Spec, _: u64) {}
        fn violation(&mut self, _: &'static Spec, _: u64, _: &str) {}
        fn weird(&mut self, _: &'static str, _: &str) {}
        fn gave_up(&mut self) {}
    }

    /// The payload in what each side sends in pieces of that size, and what is told.
    fn read(sent: &[(bool, &[u8])], size: usize, subs: Subscriptions) -> (Vec<u8>, Vec<String>) {
        let (c, mut heard) = (ConnId::sample(80), Heard::default());
        let mut call = Call {
            ts: 0,
            c: &c,
            subs: &subs,
            out: &mut heard,
        };
        let mut frames = Frames::new(&subs);
        assert_eq!(frames.needs_all(), subs.any());
        let mut data = Vec::new();
        for (is_orig, bytes) in sent {
            for part in bytes.chunks(size) {
                data.extend(frames.unframe(*is_orig, part, &mut call));
            }
        }
        (data, heard.0)
    }

    #[test]
    fn data_comes_out_of_its_frames_however_they_are_cut() {
        // A masked text in two frames with a ping between messages, and a binary of 200 bytes.
        let mut wire = b"\x01\x83\x01\x02\x03\x04bpq\x80\x02de\x89\x01!\x82\x7e\x00\xc8".to_vec();
        wire.extend([b'x'; 200]);
        let want = [&b"crrde"[..], &[b'x'; 200], b"a"].concat();
        let told = [
            r#"frame {"is_orig":true,"fin":false,"rsv":0,"opcode":1,"payload_len":3}"#,
            r#"frame_data {"is_orig":true,"data":"637272"}"#,
            r#"frame {"is_orig":true,"fin":true,"rsv":0,"opcode":0,"payload_len":2}"#,
            r#"frame_data {"is_orig":true,"data":"6465"}"#,
            r#"message {"is_orig":true,"opcode":1}"#,
            r#"frame {"is_orig":true,"fin":true,"rsv":0,"opcode":9,"payload_len":1}"#,
            r#"frame_data {"is_orig":true,"data":"21"}"#,
            r#"message {"is_orig":true,"opcode":9}"#,
            r#"frame {"is_orig":true,"fin":true,"rsv":0,"opcode":2,"payload_len":200}"#,
        ];
        for size in [1, 2, 3, 50, 1000] {
            // The other direction's come between them.
            let sent: [(bool, &[u8]); 2] = [(true, &wire), (false, b"\x81\x01a")];
            let (data, heard) = read(&sent, size, Subscriptions::ALL);
            assert_eq!(
                (data.as_slice(), &heard[..9]),
                (&want[..], &told.map(String::from)[..])
            );
            assert_eq!(heard.len(), 14);
            let (data, heard) = read(&sent, size, Subscriptions::NONE);
            assert_eq!((data, heard.len()), (want.clone(), 0));
        }
    }

    #[test]
    fn a_side_says_why_it_closes() {
        let close = |bytes| {
            let subs = Subscriptions::NONE.with(WebsocketClose::KIND);
            read(&[(false, bytes)], 1, subs).1
        };
        let said = r#"close {"is_orig":false,"status":1000,"reason":"so"}"#;
        assert_eq!(close(&b"\x88\x04\x03\xe8so"[..]), [said]);
        let said = r#"close {"is_orig":false,"status":0,"reason":""}"#;
        assert_eq!(close(b"\x88\x00"), [said]);
        // One byte is no status; what is behind it is read all the same.
        assert_eq!(close(b"\x88\x01a\x88\x00").len(), 1, "half a status is none");
    }

    #[test]
    fn a_long_frame_is_told_in_pieces() {
        let wire = [&b"\x82\x7e\x40\x01"[..], &[b'x'; 0x4001]].concat();
        let subs = Subscriptions::NONE.with(WebsocketFrameData::KIND);
        for size in [1, 1460, 9000, 70_000] {
            let (data, heard) = read(&[(true, &wire)], size, subs);
            let lengths: Vec<_> = heard.iter().map(|l| l.matches("78").count()).collect();
            assert_eq!((data.len(), lengths), (0x4001, vec![CHUNK, CHUNK, 1]));
        }
    }

    #[test]
    fn a_message_begins_with_an_opcode() {
        let sent: [(bool, &[u8]); 2] = [(true, b"\x80\x01a\x81\x01b"), (false, b"\x81\x01a")];
        let (data, heard) = read(&sent, 100, Subscriptions::ALL);
        assert!(data.is_empty() && heard.is_empty());
    }
}
