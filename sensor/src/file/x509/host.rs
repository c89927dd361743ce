//! Whether a host name is one that a certificate was made out for.

/// `name` of a certificate against `host`: equal, or a wildcard as RFC 6125 allows it. Case matters, as in Zeek.
///
/// The wildcard ends the leftmost label (`*.example.org`, `www*.example.org`), and two labels follow at least.
pub(super) fn matches(host: &[u8], name: &[u8]) -> bool {
    if host == name {
        return true;
    }
    let find = |text: &[u8], what: u8| text.iter().position(|b| *b == what);
    let (Some(star), Some(dot), Some(host_dot)) = (find(name, b'*'), find(name, b'.'), find(host, b'.'))
    else {
        return false;
    };
    // Both with their dot.
    let (parent, host_parent) = (&name[dot..], &host[host_dot..]);
    star + 1 == dot && parent[1..].contains(&b'.') && host_parent == parent && host.starts_with(&name[..star])
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_stand_for_the_leftmost_label_only() {
        assert!(matches(b"example.org", b"example.org"));
        assert!(matches(b"www.example.org", b"*.example.org"));
        assert!(matches(b"www1.example.org", b"www*.example.org"));
        for (host, name) in [
            ("a.b.example.org", "*.example.org"),
            ("example.org", "*.example.org"),
            ("example.org", "*.org"),
            ("www.example.org", "w*w.example.org"),
            ("mail.example.org", "www*.example.org"),
            ("www.example.com", "*.example.org"),
            ("www.example.org", "www.*.org"),
            ("", "*"),
        ] {
            assert!(!matches(host.as_bytes(), name.as_bytes()), "{host} {name}");
        }
    }
}
