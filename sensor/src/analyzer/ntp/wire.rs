//! NTP messages, from bytes to fields. Reads what Zeek reads, and says what is unsound in the words of Zeek's parser.

use std::net::Ipv4Addr;

use super::events::{ControlMessage, Message, Mode7Message, StandardMessage};

/// ns in a second.
const SECOND: i64 = 1_000_000_000;
/// Seconds from NTP's epoch, 1900, to 1970 (RFC 5905, figure 4).
const EPOCH: i64 = 2_208_988_800;
/// More bytes than a MAC can have: so many begin an extension field (RFC 7822, section 3).
const MAC_MAX: usize = 24;

/// Leap, version and mode, then what the mode asks for. None without any byte. The error is a violation's reason.
pub fn read(msg: &[u8]) -> Option<Result<Message<'_>, String>> {
    let (&first, body) = msg.split_first()?;
    let mut message = Message {
        version: (first >> 3 & 7).into(),
        mode: (first & 7).into(),
        std_msg: None,
        control_msg: None,
        mode7_msg: None,
    };
    let sound = match first & 7 {
        1..=5 => standard(body).map(|m| message.std_msg = Some(m)),
        6 => control(body).map(|m| message.control_msg = Some(m)),
        7 => mode7(body).map(|m| message.mode7_msg = Some(m)),
        _ => Ok(()),
    };
    Some(sound.map(|()| message))
}

/// Modes 1 to 5 (RFC 5905, 7.3): times, then extension fields before a MAC of 20 or 24 bytes.
fn standard(body: &[u8]) -> Result<StandardMessage<'_>, String> {
    has(body, 11, "NTP_std_msg:root_dispersion")?;
    has(body, 15, "NTP_std_msg:reference_id")?;
    has(body, 47, "NTP_std_msg:transmit_ts")?;
    let mut r = Reader(body);
    let stratum = r.byte();
    let [poll, precision] = [r.byte(), r.byte()].map(|b| power_of_two(b.cast_signed()));
    let [root_delay, root_disp] = [r.long(), r.long()].map(short_time);
    let reference = r.bytes(4);
    let [ref_time, org_time, rec_time, xmt_time] = std::array::from_fn(|_| time(r.long(), r.long()));
    let mut num_exts = 0;
    while r.0.len() > MAC_MAX {
        r.bytes(extension(r.0)?);
        num_exts += 1;
    }
    let (key_id, digest) = match r.0.len() {
        20 | 24 => (Some(r.long().into()), Some(r.0)),
        _ => (None, None),
    };
    let address = || {
        <[u8; 4]>::try_from(reference)
            .ok()
            .map(|a| Ipv4Addr::from(a).into())
    };
    Ok(StandardMessage {
        stratum: stratum.into(),
        poll,
        precision,
        root_delay,
        root_disp,
        kiss_code: (stratum == 0).then_some(reference),
        ref_id: (stratum == 1).then_some(reference),
        ref_addr: if stratum > 1 { address() } else { None },
        ref_time,
        org_time,
        rec_time,
        xmt_time,
        key_id,
        digest,
        num_exts,
    })
}

/// How long the extension field is that `b` begins with (RFC 5906, section 10).
fn extension(b: &[u8]) -> Result<usize, String> {
    let fits = |field: &str, ok: bool| match ok {
        true => Ok(()),
        false => Err(format!("&enforce violation : Extension_Field:{field}")),
    };
    let at = |at: usize| Reader(b.get(at..).unwrap_or(&[])).long() as usize;
    let len = usize::from(Reader(b.get(2..).unwrap_or(&[])).short());
    fits("len", len >= 16)?;
    let value = at(14);
    fits("value_len", len >= 18 && value <= len - 18)?;
    has(b, 18 + value, "Extension_Field:value")?;
    has(b, 22 + value, "Extension_Field:sig_len")?;
    fits("sig_len", len >= 22 && value <= len - 22)?;
    let signed = 22 + value + at(18 + value);
    has(b, signed, "Extension_Field:signature")?;
    has(b, len, "Extension_Field:pad")?;
    Ok(len.max(signed))
}

/// Mode 6 (RFC 1119): 11 bytes, the last two being the length of the data, the data, and a MAC if 12 bytes are left.
fn control(body: &[u8]) -> Result<ControlMessage<'_>, String> {
    has(body, 11, "NTP_control_msg:c")?;
    let mut r = Reader(body);
    let bits = r.byte();
    let [sequence, status, association_id, _offset, len] = std::array::from_fn(|_| r.short());
    has(body, 11 + usize::from(len), "NTP_control_msg:data")?;
    let data = r.bytes(len.into());
    let (key_id, crypto_checksum) = match r.0.len() {
        12 => (Some(r.long().into()), Some(r.0)),
        _ => (None, None),
    };
    Ok(ControlMessage {
        op_code: (bits & 0x1f).into(),
        resp_bit: bits & 0x80 != 0,
        err_bit: bits & 0x40 != 0,
        more_bit: bits & 0x20 != 0,
        sequence: sequence.into(),
        status: status.into(),
        association_id: association_id.into(),
        data: (len > 0).then_some(data),
        key_id,
        crypto_checksum,
    })
}

/// Mode 7 (ntpd's ntp_request.h): 5 bytes, of which the last 12 bits are the data's length; a MAC of 20 bytes behind the
/// data when the first bit says so.
fn mode7(body: &[u8]) -> Result<Mode7Message<'_>, String> {
    has(body, 5, "NTP_mode7_msg:err_and_data_len")?;
    let mut r = Reader(body);
    let [first, implementation, req_code] = std::array::from_fn(|_| r.byte());
    let err_and_len = r.short();
    let len = usize::from(err_and_len & 0xfff);
    has(body, 5 + len, "NTP_mode7_msg:data")?;
    let data = r.bytes(len);
    let auth_bit = first & 0x80 != 0;
    if auth_bit {
        has(r.0, 20, "NTP_MAC")?;
    }
    Ok(Mode7Message {
        req_code: req_code.into(),
        auth_bit,
        sequence: (first & 0x7f).into(),
        implementation: implementation.into(),
        err: (err_and_len >> 12).into(),
        data: (len > 0).then_some(data),
    })
}

/// Whether there are `n` bytes up to the end of `field`.
fn has(b: &[u8], n: usize, field: &str) -> Result<(), String> {
    match b.len() >= n {
        true => Ok(()),
        false => Err(format!("out_of_bound: {field}: {n} > {}", b.len())),
    }
}

/// 2 to the power of `exponent` seconds, in ns: the nearest, or the largest that there is.
pub fn power_of_two(exponent: i8) -> i64 {
    let n = u32::from(exponent.unsigned_abs());
    match (exponent, n) {
        (0.., 0..63) => SECOND.saturating_mul(1 << n),
        (0.., _) => i64::MAX,
        (_, 0..32) => (SECOND + (1 << (n - 1))) >> n,
        _ => 0,
    }
}

/// NTP's short format (RFC 5905, figure 3): 16 bits of seconds and 16 of their fraction, both without a sign. In ns,
/// what is finer cut off.
pub fn short_time(raw: u32) -> i64 {
    (i64::from(raw) * SECOND) >> 16
}

/// NTP's timestamp (RFC 5905, figure 3): seconds since 1900 and their fraction; zeros where it is not known. In ns since
/// 1970, to the microsecond, as it is in the 53 bits of Zeek's times; zero where it is not known.
pub fn time(seconds: u32, fraction: u32) -> i64 {
    if (seconds, fraction) == (0, 0) {
        return 0;
    }
    let whole = i64::from(seconds) - EPOCH;
    // A whole number of that size is exact, and so is what is left of the sum.
    let shown = whole as f64 + f64::from(fraction) / 4_294_967_296.0;
    let rest = shown - whole as f64;
    whole * SECOND + (rest * 1e6).round_ties_even() as i64 * 1000
}

/// Takes big-endian fields off the front. Beyond the end are zeros.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    /// The next `n` bytes, or what there is.
    fn bytes(&mut self, n: usize) -> &'m [u8] {
        let (bytes, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn number(&mut self, n: usize) -> u32 {
        self.bytes(n).iter().fold(0, |v, b| v << 8 | u32::from(*b))
    }

    fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    fn short(&mut self) -> u16 {
        self.number(2) as u16
    }

    fn long(&mut self) -> u32 {
        self.number(4)
    }
}
