//! MQTT over TCP: sure at CONNECT or PUBLISH. Of each piece of a direction the first message is read and has to be whole in
//! it, as in Zeek.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::fields::Fields;
use crate::analyzer::pattern::{Match, Rule};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Mqtt;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Mqtt;

impl Protocol for Mqtt {
    const SPEC: Spec = Spec {
        tcp_ports: &[1883],
        rules: &[Rule::Orig(names_itself), Rule::Resp(names_itself)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_MQTT", "mqtt"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Mqtt {
        Mqtt
    }

    fn data(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if bytes.is_empty() {
            return Next::More;
        }
        match message(bytes, ctx) {
            Some(true) => ctx.confirm(),
            Some(false) => {}
            None => ctx.violation("MQTT message that is not whole"),
        }
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

/// A message; whether it is one that tells.
fn message(bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<bool> {
    let mut rest = Fields::new(bytes);
    let first = rest.u8()?;
    let lengths = rest.left().iter().take_while(|b| **b & 0x80 != 0).count() + 1;
    let length = rest.take(lengths)?;
    // The protocol has up to four bytes; Zeek takes four for too many.
    let len = match length.len() {
        1..=3 => length.iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f)),
        _ => {
            ctx.violation("MQTT length of too many bytes");
            0
        }
    };
    let mut body = Fields::new(rest.take(len)?);
    match first >> 4 {
        // CONNECT.
        1 => connect(&mut body).map(|()| true),
        // PUBLISH.
        3 => {
            text(&mut body)?;
            if first & 6 != 0 {
                body.be16()?;
            }
            Some(true)
        }
        // CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK.
        2 | 4..=7 | 11 => body.be16().map(|_| false),
        // SUBSCRIBE and UNSUBSCRIBE.
        kind @ (8 | 10) => {
            body.be16()?;
            while !body.is_empty() {
                text(&mut body)?;
                if kind == 8 {
                    body.u8()?;
                }
            }
            Some(false)
        }
        // SUBACK.
        9 => body.take(3).map(|_| false),
        _ => Some(false),
    }
}

fn connect(body: &mut Fields<'_>) -> Option<()> {
    text(body)?;
    body.u8()?;
    let flags = body.u8()?;
    body.be16()?;
    text(body)?;
    // The will has a topic and a message; then name and password.
    let texts = [(4, 2), (0x80, 1), (0x40, 1)];
    for (_, n) in texts.iter().filter(|(flag, _)| flags & flag != 0) {
        for _ in 0..*n {
            text(body)?;
        }
    }
    Some(())
}

fn text(body: &mut Fields<'_>) -> Option<()> {
    let len = body.be16()?;
    body.take(len).map(drop)
}

/// `MQ` behind four to seven bytes, in which there is no LF.
fn names_itself(b: &[u8]) -> Match {
    let before = b.iter().take(8).take_while(|b| **b != b'\n').count();
    let is_at = |at: usize| at <= before && b.get(at..at + 2) == Some(b"MQ");
    if (4..=7).any(is_at) {
        return Match::Yes;
    }
    let is_decided = b.len() >= 9 || (before < 4 && before < b.len());
    match is_decided {
        true => Match::No,
        false => Match::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::talk::tcp;

    const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
    const PUBLISH: &[u8] = b"\x30\x04\0\x01ab";

    #[test]
    fn a_connect_tells_on_any_port() {
        for port in [1883, 4000] {
            assert_eq!(tcp(port, &[(true, CONNECT)]).services, "mqtt", "{port}");
        }
        assert_eq!(tcp(1883, &[(false, PUBLISH)]).services, "mqtt");
        assert_eq!(tcp(4000, &[(false, PUBLISH)]).services, "");
        assert_eq!(tcp(1883, &[(true, b"\xc0\0"), (false, b"\xd0\0")]).services, "");
        let with_all = b"\x10\x19\0\x04MQTT\x04\xc6\0\x3c\0\x01a\0\x01b\0\x01c\0\x01d\0\x01e";
        assert_eq!(tcp(1883, &[(true, with_all)]).services, "mqtt");
    }

    #[test]
    fn it_is_found_in_websocket() {
        let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLBMxJbK+PAZ1bjEGMZOyxyxo0=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
        let frame = [&[0x82, 0x80 | CONNECT.len() as u8, 0, 0, 0, 0][..], CONNECT].concat();
        let talk: [(bool, &[u8]); 4] = [
            (true, upgrade),
            (false, switch),
            (true, &frame),
            (false, b"\x82\x04\x20\x02\0\0"),
        ];
        assert_eq!(tcp(80, &talk).services, "http,websocket,mqtt");
    }

    #[test]
    fn the_first_message_of_a_piece_has_to_be_whole() {
        for (piece, holds) in [
            (&b"\x20\x02\0\0"[..], true),
            (b"\x20\x02\0\0\x20", true),
            (b"\x20\x02\0", false),
            (b"\x20\x01\0", false),
            (b"\x20", false),
            (b"\x30\x80\x80\x80\x01", false),
            (b"\x82\x08\0\x01\0\x03a/b\0", true),
            (b"\x82\x07\0\x01\0\x03a/b", false),
            (b"\xa2\x07\0\x01\0\x03a/b", true),
            (b"\x90\x03\0\x01\0", true),
            (b"\x90\x02\0\x01", false),
            (b"\x32\x05\0\x01ab\0", true),
            (b"\x32\x03\0\x01a", false),
            (b"\xe0\0", true),
        ] {
            let talk = tcp(1883, &[(true, CONNECT), (true, piece), (true, b"\xc0\0")]);
            assert_eq!(talk.services == "mqtt", holds, "{piece:?}");
        }
        for end in 1..CONNECT.len() {
            assert_eq!(tcp(1883, &[(true, &CONNECT[..end])]).services, "");
        }
    }

    #[test]
    fn first_bytes_decide() {
        use Match::{More, No, Yes};
        assert_eq!(names_itself(CONNECT), Yes);
        assert_eq!(names_itself(b"1234567MQ"), Yes);
        assert_eq!(names_itself(b"1234567M"), More);
        assert_eq!(names_itself(b"12345678MQ"), No);
        assert_eq!(names_itself(b"123MQ6789"), No);
        assert_eq!(names_itself(b"12\n"), No);
        assert_eq!(names_itself(b"\x10\x0a\0\x04MQTT"), No, "as in Zeek");
        assert_eq!(names_itself(b""), More);
    }
}
