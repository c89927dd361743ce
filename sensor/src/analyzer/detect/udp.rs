//! NTP, syslog and QUIC: one datagram tells.

use super::Said;

/// Leap, version and mode, then what the mode asks for (RFC 5905, 1119 and ntpd's mode 7). The message's
/// mode when it is sound.
pub fn ntp(msg: &[u8], said: &mut Said<'_, '_>) -> Option<u8> {
    let (&first, body) = msg.split_first()?;
    let mode = first & 7;
    let sound = match mode {
        1..=5 => body.get(47..).map(|rest| ntp_extensions(rest, said)),
        // Header of 11 bytes, the last two being the length of the data.
        6 => be16(body, 9).map(|n| body.len() >= 11 + usize::from(n)),
        // Header of 5 bytes; the data's length in the low 12 bits; a MAC of 20 when the first bit says so.
        7 => be16(body, 3).map(|n| {
            let mac = if body.first().is_some_and(|b| b & 0x80 != 0) {
                20
            } else {
                0
            };
            body.len() >= 5 + usize::from(n & 0xfff) + mac
        }),
        _ => Some(true),
    };
    sound.filter(|ok| *ok)?;
    said.confirm();
    Some(mode)
}

/// Extension fields (RFC 5906) stand before a MAC of at most 24 bytes.
fn ntp_extensions(mut rest: &[u8], said: &mut Said<'_, '_>) -> bool {
    while rest.len() > 24 {
        let (Some(len), Some(value)) = (be16(rest, 2), be32(rest, 14)) else {
            return false;
        };
        let (len, value) = (u32::from(len), value);
        let bad = if len < 16 {
            Some("len")
        } else if len < 18 || value > len - 18 {
            Some("value_len")
        } else {
            None
        };
        if let Some(field) = bad {
            said.violation(&format!(
                "Binpac exception: binpac exception: &enforce violation : Extension_Field:{field}"
            ));
            return false;
        }
        if len < 22 || value > len - 22 {
            said.violation(
                "Binpac exception: binpac exception: &enforce violation : Extension_Field:sig_len",
            );
            return false;
        }
        let Some(after) = rest.get(len as usize..) else {
            return false;
        };
        rest = after;
    }
    true
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
