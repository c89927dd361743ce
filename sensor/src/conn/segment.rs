//! A TCP segment as the engine sees it.

use sensor_common::RecordHeader;
use sensor_common::flow::why;
use sensor_common::packet::tcp_flags as tf;

use crate::packet::payload;

/// One packet's view for the machine.
pub struct Segment<'r> {
    pub rec: &'r RecordHeader,
    pub frame: &'r [u8],
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// Payload bytes by the headers.
    pub len: u32,
    /// The payload as far as it is at hand.
    pub payload: &'r [u8],
    /// [`sensor_common::follow::Mark`]s that came instead of it.
    pub marks: &'r [u8],
}

impl<'r> Segment<'r> {
    /// `bytes` are what came with the record: of the frame, or marks behind what else there is.
    pub fn new(rec: &'r RecordHeader, bytes: &'r [u8]) -> Self {
        let p = &rec.pkt;
        let (frame, marks) = match rec.why & why::RECORDS {
            0 => (bytes, &[][..]),
            _ => (&[][..], bytes.get(rec.cap_len as usize..).unwrap_or_default()),
        };
        Segment {
            rec,
            frame,
            flags: p.flags,
            seq: p.seq,
            ack: p.ack,
            len: p.payload_len,
            payload: payload(p, frame),
            marks,
        }
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn tcp_header(&self) -> &'r [u8] {
        self.frame
            .get(self.rec.pkt.l4 as usize..self.rec.pkt.data as usize)
            .unwrap_or_default()
    }

    /// Sequence space it takes; a RST's payload takes none.
    pub fn space(&self) -> u32 {
        let data = if self.has(tf::RST) { 0 } else { self.len };
        data + self.has(tf::SYN) as u32 + self.has(tf::FIN) as u32
    }
}

/// Zeek's letters for the flags, S F R A P U; those of ECN have none.
pub fn flag_letters(flags: u8, buf: &mut [u8; 6]) -> &str {
    let mut n = 0;
    for (bit, letter) in [
        (tf::SYN, b'S'),
        (tf::FIN, b'F'),
        (tf::RST, b'R'),
        (tf::ACK, b'A'),
        (tf::PSH, b'P'),
        (tf::URG, b'U'),
    ] {
        if flags & bit != 0 {
            buf[n] = letter;
            n += 1;
        }
    }
    std::str::from_utf8(&buf[..n]).unwrap_or_default()
}

/// Whether the payload stayed in the datapath: nobody wanted it, or the ring had no room.
pub fn was_shed(seg: &Segment<'_>) -> bool {
    seg.rec.why & why::SHED != 0
}
