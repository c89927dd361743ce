//! NTP, syslog and QUIC: one datagram tells.

use super::Said;

/// Leap, version and mode, then what the mode asks for (RFC 5905, 1119 and ntpd's mode 7). The message's
/// mode when it is sound; what is not is a violation, in the words of Zeek's parser.
pub fn ntp(msg: &[u8], said: &mut Said<'_, '_>) -> Option<u8> {
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
        said.violation(&format!("Binpac exception: binpac exception: {reason}"));
        return None;
    }
    said.confirm();
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

/// A priority in angle brackets (RFC 3164, 5424), at most 191.
pub fn is_syslog(msg: &[u8]) -> bool {
    let Some(rest) = msg.strip_prefix(b"<") else {
        return false;
    };
    let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = rest
        .iter()
        .take(n.min(4))
        .fold(0u32, |v, d| v * 10 + u32::from(d - b'0'));
    (1..=3).contains(&n) && value <= 191 && rest.get(n) == Some(&b'>')
}

/// An Initial packet of version 1 (RFC 9000, section 17.2.2) or 2 (RFC 9369), connection ids of legal
/// length, in a datagram of the size that Initials are padded to when the client sends them.
pub fn is_quic_initial(is_orig: bool, msg: &[u8]) -> bool {
    let Some((&first, rest)) = msg.split_first() else {
        return false;
    };
    let kind = match rest.get(..4) {
        Some([0, 0, 0, 1]) => 0xc0,
        Some([0x6b, 0x33, 0x43, 0xcf]) => 0xd0,
        _ => return false,
    };
    let Some(&dcid) = rest.get(4) else { return false };
    let Some(&scid) = rest.get(5 + usize::from(dcid)) else {
        return false;
    };
    first & 0xf0 == kind && dcid <= 20 && scid <= 20 && (!is_orig || msg.len() >= 1200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_starts_with_a_priority() {
        assert!(is_syslog(b"<34>Oct 11 su: failed"));
        assert!(!is_syslog(b"<192>x"));
        assert!(!is_syslog(b"<>x"));
        assert!(!is_syslog(b"34>x"));
    }

    #[test]
    fn quic_initials_have_version_ids_and_size() {
        let mut msg = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        assert!(!is_quic_initial(true, &msg));
        assert!(is_quic_initial(false, &msg));
        msg.resize(1200, 0);
        assert!(is_quic_initial(true, &msg));
        msg[0] = 0xe3;
        assert!(!is_quic_initial(true, &msg));
    }
}
