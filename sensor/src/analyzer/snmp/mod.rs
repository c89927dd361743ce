//! SNMP over UDP (RFC 1157, 3416, 3412): sure at the first header that a responder sends. What is wrong in a message takes
//! that back.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::fields::Fields;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Snmp;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Snmp;

impl Protocol for Snmp {
    const SPEC: Spec = Spec {
        udp_ports: &[161, 162],
        session_done: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SNMP", "snmp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Snmp {
        Snmp
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if let Err(reason) = message(is_orig, bytes, ctx) {
            ctx.violation(reason);
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const ADDRESS: u8 = 0x40;
const TICKS: u8 = 0x43;

type Read<T> = Result<T, &'static str>;

const SHORT: &str = "SNMP message ends in the middle of a field";
const OTHER: &str = "SNMP field of another type than expected";

/// A whole message. What is behind it is not looked at.
fn message(is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Read<()> {
    let rest = &mut Fields::new(bytes);
    sequence(rest)?;
    let version = integer(rest)?;
    let mut has_pdu = true;
    match version {
        // The community.
        0 | 1 => drop(value(rest, OCTETS)?),
        3 => has_pdu = header_of_v3(rest, ctx)?,
        _ => has_pdu = false,
    }
    if !is_orig {
        ctx.confirm();
    }
    match has_pdu {
        true => pdu(rest),
        false => Ok(()),
    }
}

/// The header of version 3. Whether its PDU is readable.
fn header_of_v3(rest: &mut Fields<'_>, ctx: &mut Ctx<'_>) -> Read<bool> {
    sequence(rest)?;
    integer(rest)?;
    integer(rest)?;
    let flags = value(rest, OCTETS)?;
    integer(rest)?;
    if flags.len() != 1 {
        ctx.violation("SNMP flags of another length than one byte");
    }
    // What the security model has in it is not looked at.
    value(rest, OCTETS)?;
    let (tag, _) = header(rest)?;
    if tag == SEQUENCE {
        value(rest, OCTETS)?;
        value(rest, OCTETS)?;
    }
    Ok(tag == SEQUENCE)
}

fn pdu(rest: &mut Fields<'_>) -> Read<()> {
    match header(rest)?.0 {
        // A trap of version 1.
        0xa4 => {
            value(rest, OBJECT)?;
            value(rest, ADDRESS)?;
            integer(rest)?;
            integer(rest)?;
            value(rest, TICKS)?;
        }
        0xa0..=0xa8 => {
            for _ in 0..3 {
                integer(rest)?;
            }
        }
        _ => return Ok(()),
    }
    sequence(rest)?;
    while !rest.is_empty() {
        sequence(rest)?;
        value(rest, OBJECT)?;
        any(rest)?;
    }
    Ok(())
}

/// A tag and the length of what follows (BER, of definite length).
fn header(rest: &mut Fields<'_>) -> Read<(u8, usize)> {
    let tag = rest.u8().ok_or(SHORT)?;
    let first = rest.u8().ok_or(SHORT)?;
    if first < 0x80 {
        return Ok((tag, first.into()));
    }
    let bytes = rest.take(usize::from(first & 0x7f)).ok_or(SHORT)?;
    // What is longer than a number can be is 0, and what Zeek's 32 bits do not hold is cut off, as there.
    let len = number(bytes) as i32;
    let len = usize::try_from(len).map_err(|_| "SNMP field of a negative length")?;
    Ok((tag, len))
}

/// A big-endian number; 0 if it has more than 64 bits.
fn number(bytes: &[u8]) -> i64 {
    match bytes.len() {
        0..=8 => bytes.iter().fold(0, |n, b| n << 8 | i64::from(*b)),
        _ => 0,
    }
}

fn any<'a>(rest: &mut Fields<'a>) -> Read<(u8, &'a [u8])> {
    let (tag, len) = header(rest)?;
    Ok((tag, rest.take(len).ok_or(SHORT)?))
}

fn value<'a>(rest: &mut Fields<'a>, expected: u8) -> Read<&'a [u8]> {
    let (tag, value) = any(rest)?;
    (tag == expected).then_some(value).ok_or(OTHER)
}

/// The header of a sequence, whose length nobody checks.
fn sequence(rest: &mut Fields<'_>) -> Read<()> {
    let (tag, _) = header(rest)?;
    (tag == SEQUENCE).then_some(()).ok_or(OTHER)
}

fn integer(rest: &mut Fields<'_>) -> Read<i64> {
    let bytes = value(rest, INTEGER)?;
    match bytes.len() {
        // An unsigned number of 64 bits can have a leading 0.
        0..=9 => Ok(number(bytes)),
        _ => Err("SNMP integer of more than 64 bits"),
    }
}

#[cfg(test)]
mod tests {
    use crate::analyzer::talk::udp;

    const GET: &[u8] =
        b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0";
    const V3: &[u8] = b"\x30\x3e\x02\x01\x03\x30\x11\x02\x04\x01\x02\x03\x04\x02\x03\0\xff\xe3\x04\x01\x04\x02\x01\x03\x04\x10\x30\x0e\x04\0\x02\x01\0\x02\x01\0\x04\0\x04\0\x04\0\x30\x14\x04\0\x04\0\xa8\x0e\x02\x02\x37\xf0\x02\x01\0\x02\x01\0\x30\0";

    /// The same as the answer to it.
    fn response() -> Vec<u8> {
        let mut response = GET.to_vec();
        response[13] = 0xa2;
        response
    }

    #[test]
    fn a_responders_header_tells() {
        assert_eq!(udp(161, &[(true, GET)]).services, "");
        assert_eq!(udp(161, &[(true, GET), (false, &response())]).services, "snmp");
        assert_eq!(udp(4000, &[(true, GET), (false, &response())]).services, "");
        assert_eq!(udp(161, &[(true, V3)]).said, [""; 0]);
        assert_eq!(udp(161, &[(false, V3)]).services, "snmp");
    }

    #[test]
    fn what_is_wrong_takes_it_back() {
        let good = response();
        for end in 2..good.len() {
            let talk = udp(161, &[(false, &good), (false, &good[..end])]);
            // Bindings may be missing.
            let is_whole = end == 26;
            assert_eq!(talk.services == "snmp", is_whole, "{end}");
        }
        let mut long = good.clone();
        long[3] = 0x84;
        assert!(udp(161, &[(false, &long)]).services.is_empty());
        let mut flags = V3.to_vec();
        flags.splice(19..21, [0]).for_each(drop);
        assert!(udp(161, &[(false, &flags)]).services.is_empty());
        // Whatever the users' security model has to say.
        let mut users = V3.to_vec();
        users[26..42].fill(0xff);
        assert_eq!(udp(161, &[(false, &users)]).said, ["+snmp"]);
    }
}
