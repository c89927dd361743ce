//! NTP over UDP (RFC 5905): one datagram tells.

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

pub type Analyzer = Ntp;

/// Modes of client and server.
const CLIENT: u8 = 3;
const SERVER: u8 = 4;

/// One flow's state.
#[derive(Debug)]
pub struct Ntp {
    /// By direction, orig first: whether it has turned the flow round, which it does once.
    turned: [bool; 2],
}

impl Protocol for Ntp {
    const SPEC: Spec = Spec {
        udp_ports: &[123],
        session_done: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_NTP", "ntp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Ntp {
        Ntp { turned: [false; 2] }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if let (Some(SERVER), true) | (Some(CLIENT), false) = (read(bytes, ctx), is_orig)
            && !std::mem::replace(&mut self.turned[usize::from(!is_orig)], true)
        {
            ctx.turn();
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

/// Leap, version and mode, then what the mode asks for (RFC 5905, 1119 and ntpd's mode 7). The message's
/// mode when it is sound; what is not is a violation, in the words of Zeek's parser.
fn read(msg: &[u8], ctx: &mut Ctx<'_>) -> Option<u8> {
    let (&first, body) = msg.split_first()?;
    let mode = first & 7;
    let sound = match mode {
        1..=5 => ntp_time(body),
        // Header of 11 bytes, the last two being the length of the data.
        6 => has(body, 11, "NTP_control_msg:c").and_then(|()| {
            let n = usize::from(be16(body, 9).unwrap_or(0));
            has(body, 11 + n, "NTP_control_msg:data")
        }),
        // Header of 5 bytes; the data's length in the low 12 bits; a MAC of 20 when the first bit says so.
        7 => has(body, 5, "NTP_mode7_msg:err_and_data_len").and_then(|()| {
            let n = usize::from(be16(body, 3).unwrap_or(0) & 0xfff);
            has(body, 5 + n, "NTP_mode7_msg:data")?;
            match body.first() {
                Some(0x80..) => has(body.get(5 + n..).unwrap_or(&[]), 20, "NTP_MAC"),
                _ => Ok(()),
            }
        }),
        _ => Ok(()),
    };
    if let Err(reason) = sound {
        ctx.violation(&format!("Binpac exception: binpac exception: {reason}"));
        return None;
    }
    ctx.confirm();
    Some(mode)
}

/// Whether there are `n` bytes up to the end of `field`.
fn has(b: &[u8], n: usize, field: &str) -> Result<(), String> {
    match b.len() >= n {
        true => Ok(()),
        false => Err(format!("out_of_bound: {field}: {n} > {}", b.len())),
    }
}

/// Modes 1 to 5: times, then extension fields (RFC 5906) before a MAC of at most 24 bytes.
fn ntp_time(body: &[u8]) -> Result<(), String> {
    has(body, 11, "NTP_std_msg:root_dispersion")?;
    has(body, 15, "NTP_std_msg:reference_id")?;
    has(body, 47, "NTP_std_msg:transmit_ts")?;
    let mut rest = body.get(47..).unwrap_or(&[]);
    while rest.len() > 24 {
        let len = usize::from(be16(rest, 2).unwrap_or(0));
        let fits = |field: &str, ok: bool| match ok {
            true => Ok(()),
            false => Err(format!("&enforce violation : Extension_Field:{field}")),
        };
        let at = |at: usize| be32(rest, at).map_or(0, |n| n as usize);
        fits("len", len >= 16)?;
        let value = at(14);
        fits("value_len", len >= 18 && value <= len - 18)?;
        has(rest, 18 + value, "Extension_Field:value")?;
        has(rest, 22 + value, "Extension_Field:sig_len")?;
        fits("sig_len", len >= 22 && value <= len - 22)?;
        let signed = 22 + value + at(18 + value);
        has(rest, signed, "Extension_Field:signature")?;
        has(rest, len, "Extension_Field:pad")?;
        rest = rest.get(len.max(signed)..).unwrap_or(&[]);
    }
    Ok(())
}

fn be16(b: &[u8], at: usize) -> Option<u16> {
    let b = b.get(at..at + 2)?;
    Some(u16::from_be_bytes([b[0], b[1]]))
}

fn be32(b: &[u8], at: usize) -> Option<u32> {
    let b = b.get(at..at + 4)?;
    Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}
