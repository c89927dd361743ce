//! What names of hosts look like.

/// Longest name, bytes, without a dot at its end (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
/// Longest label, bytes.
const MAX_LABEL: usize = 63;

/// Whether a text is a host's name as DNS has it: labels of letters, digits, `-` and `_`, of which the last is no number, so that no
/// address that is written wrongly is taken for a name (RFC 1123, 2.1). Others are in Punycode.
pub fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |l: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !l.is_empty() && l.len() <= MAX_LABEL && l.bytes().all(inner)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_NAME && name.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        let longest = format!("{}.example", ["ab"; 81].join("."));
        for text in [
            "www.Example.com.",
            "_dmarc.a-b.example",
            "localhost",
            "7.a",
            "xn--4ca.example",
            &longest,
        ] {
            assert!(is_host_name(text), "{text}");
        }
        let long = "a".repeat(64);
        let deep = format!("{}.example", ["ab"; 83].join("."));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "10.0.0.256",
            "10.0.0",
            "a.1",
            "a b",
            "a/8",
            "\u{e4}.example",
            "a.example\n",
            "*.example",
            &long,
            &deep,
        ] {
            assert!(!is_host_name(text), "{text}");
        }
    }
}
