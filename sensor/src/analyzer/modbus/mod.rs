//! Modbus over TCP: sure at the first message, of either side, whose fields are all there. One that lacks some takes that back.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::fields::Fields;
use crate::analyzer::gather::Gather;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Modbus;

/// Transaction, protocol, length, unit and function, bytes.
const HEADER: usize = 8;
/// Bytes of the header that its length does not count.
const BEFORE_LENGTH: usize = 6;

/// One connection's state.
#[derive(Debug)]
pub struct Modbus {
    /// By direction, orig first.
    sides: [Gather; 2],
}

impl Protocol for Modbus {
    const SPEC: Spec = Spec {
        tcp_ports: &[502],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_MODBUS", "modbus"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Modbus {
        Modbus {
            sides: Default::default(),
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if ctx.is_late() {
            return Next::Stop;
        }
        let side = &mut self.sides[usize::from(!is_orig)];
        side.push(bytes);
        while let Some(header) = side.rest().first_chunk::<HEADER>() {
            let [_, _, p, q, a, b, _, function] = *header;
            let len = usize::from(u16::from_be_bytes([a, b]));
            if (p, q) != (0, 0) || len < 2 {
                side.clear();
                ctx.violation("no header of Modbus");
                break;
            }
            let Some(message) = side.take(BEFORE_LENGTH + len) else {
                break;
            };
            let body = Fields::new(message.get(HEADER..).unwrap_or(&[]));
            let is_whole = match is_orig {
                true => request(function, body),
                false => response(function, body),
            };
            match is_whole {
                Some(is_even) => {
                    if !is_even {
                        ctx.violation("Modbus registers of an odd number of bytes");
                    }
                    ctx.confirm();
                }
                None => {
                    side.clear();
                    ctx.violation("Modbus message that ends in the middle of a field");
                    break;
                }
            }
        }
        Next::More
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

/// Whether the fields of a request are there (none: they are not), and registers in it of an even number of bytes. What a
/// function does not have may follow.
fn request(function: u8, mut body: Fields<'_>) -> Option<bool> {
    match function {
        // Read coils, inputs, registers; write one.
        1..=6 => body.take(4)?,
        // Diagnostics.
        8 => body.take(2)?,
        // Write coils.
        15 => {
            body.take(4)?;
            counted(&mut body)?
        }
        16 => {
            body.take(2)?;
            return registers(&mut body);
        }
        20 => return files(counted(&mut body)?, |file| file.take(7).map(drop)),
        21 => return files(counted(&mut body)?, file_with_data),
        // Mask a register.
        22 => body.take(6)?,
        23 => {
            body.take(6)?;
            return registers(&mut body);
        }
        // Read a queue.
        24 => body.take(2)?,
        // Another protocol's.
        43 => body.take(1)?,
        _ => return Some(true),
    };
    Some(true)
}

/// The same of a response.
fn response(function: u8, mut body: Fields<'_>) -> Option<bool> {
    match function {
        // An exception's code.
        0x80.. => body.take(1)?,
        1 | 2 => counted(&mut body)?,
        3 | 4 | 23 => return Some(counted(&mut body)?.len() % 2 == 0),
        5 | 6 | 15 | 16 => body.take(4)?,
        8 => body.take(2)?,
        20 => {
            return files(counted(&mut body)?, |file| {
                let len = file.u8()?;
                file.u8()?;
                file.take(len).map(drop)
            });
        }
        21 => return files(counted(&mut body)?, file_with_data),
        22 => body.take(6)?,
        24 => {
            body.take(2)?;
            let count = body.be16()?;
            body.take(usize::from(count) * 2)?
        }
        43 => body.take(1)?,
        _ => return Some(true),
    };
    Some(true)
}

/// Bytes behind their number.
fn counted<'a>(body: &mut Fields<'a>) -> Option<&'a [u8]> {
    let len = body.u8()?;
    body.take(len)
}

/// A number of registers, of bytes, and the registers.
fn registers(body: &mut Fields<'_>) -> Option<bool> {
    let count = usize::from(body.be16()?);
    let bytes = counted(body)?;
    (count * 2 <= bytes.len()).then_some(bytes.len() % 2 == 0)
}

/// References to records of files, which fill `bytes`.
fn files(bytes: &[u8], one: impl Fn(&mut Fields<'_>) -> Option<()>) -> Option<bool> {
    let mut rest = Fields::new(bytes);
    while !rest.is_empty() {
        one(&mut rest)?;
    }
    Some(true)
}

fn file_with_data(file: &mut Fields<'_>) -> Option<()> {
    file.take(5)?;
    let count = file.be16()?;
    file.take(usize::from(count) * 2).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::analyzer::talk::{tcp, tcp_pieces};

    const READ: &[u8] = b"\0\x01\0\0\0\x06\x01\x03\0\x0a\0\x02";
    const REGISTERS: &[u8] = b"\0\x01\0\0\0\x07\x01\x03\x04\0\x01\0\x02";

    #[test]
    fn a_whole_message_of_either_side_tells() {
        assert_eq!(tcp(502, &[(true, READ)]).services, "modbus");
        assert_eq!(tcp(502, &[(false, REGISTERS)]).services, "modbus");
        assert_eq!(tcp(502, &[(true, &READ[..11])]).services, "");
        assert_eq!(tcp(503, &[(true, READ)]).services, "");
        for size in [1, 3, 100] {
            let talk = tcp_pieces(502, &[(true, READ), (false, REGISTERS), (true, READ)], size);
            assert_eq!((talk.services.as_str(), talk.said.len()), ("modbus", 1), "{size}");
        }
    }

    #[test]
    fn what_is_wrong_takes_it_back() {
        for bad in [
            // Another protocol, no function, a field that is cut, an odd number of bytes.
            &b"\0\x01\0\x01\0\x06\x01\x03\0\x0a\0\x02"[..],
            b"\0\x01\0\0\0\x01\x01\x03",
            b"\0\x01\0\0\0\x05\x01\x03\x04\0\x01",
            b"\0\x01\0\0\0\x06\x01\x03\x03\0\x01\0",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\x01\0\0\0\x02\x01\x83",
        ] {
            let talk = tcp(502, &[(true, READ), (false, bad)]);
            assert_eq!(talk.services, "", "{bad:?}");
        }
    }

    #[test]
    fn each_functions_fields_are_known() {
        use super::{Fields, request, response};
        for (function, body) in [
            (15, &b"\0\0\0\x08\x01\xff"[..]),
            (16, b"\0\0\0\x01\x02\0\x01"),
            (20, b"\x07\x06\0\x04\0\x01\0\x02"),
            (21, b"\x09\x06\0\x04\0\x01\0\x01\0\x02"),
            (22, b"\0\x04\0\xf2\0\x25"),
            (23, b"\0\0\0\x01\0\0\0\x01\x02\0\x01"),
            (24, b"\0\x04"),
            (43, b"\x0e"),
            (8, b"\0\0"),
        ] {
            assert_eq!(request(function, Fields::new(body)), Some(true), "{function}");
            for end in 0..body.len() {
                assert_eq!(
                    request(function, Fields::new(&body[..end])),
                    None,
                    "{function} {end}"
                );
            }
        }
        for (function, body) in [
            (0x83, &b"\x02"[..]),
            (1, b"\x01\xff"),
            (20, b"\x04\x02\x06\0\x01"),
            (21, b"\x09\x06\0\x04\0\x01\0\x01\0\x02"),
            (22, b"\0\x04\0\xf2\0\x25"),
            (24, b"\0\x04\0\x01\0\x07"),
            (43, b"\x0e"),
            (16, b"\0\0\0\x01"),
        ] {
            assert_eq!(response(function, Fields::new(body)), Some(true), "{function}");
            for end in 0..body.len() {
                assert_eq!(
                    response(function, Fields::new(&body[..end])),
                    None,
                    "{function} {end}"
                );
            }
        }
        assert_eq!(request(100, Fields::new(b"")), Some(true));
        assert_eq!(request(16, Fields::new(b"\0\0\0\x01\x03\0\x01\0")), Some(false));
        assert_eq!(request(16, Fields::new(b"\0\0\0\x02\x02\0\x01")), None);
    }
}
