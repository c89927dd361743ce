//! Whether a host name is one that a certificate was made out for.

/// `name` of a certificate against `host`: equal, or a wildcard as RFC 6125 allows it. Case matters, as in Zeek.
///
/// The wildcard ends the leftmost label (`*.example.org`, `www*.example.org`), and two labels follow at least.
pub(super) fn matches(host: &str, name: &str) -> bool {
    if host == name {
        return true;
    }
    let (Some(star), Some((label, parent))) = (name.find('*'), name.split_once('.')) else {
        return false;
    };
    let Some((_, host_parent)) = host.split_once('.') else {
        return false;
    };
    star + 1 == label.len()
        && parent.contains('.')
        && host_parent == parent
        && host.starts_with(&label[..star])
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_stand_for_the_leftmost_label_only() {
        assert!(matches("example.org", "example.org"));
        assert!(matches("www.example.org", "*.example.org"));
        assert!(matches("www1.example.org", "www*.example.org"));
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
            assert!(!matches(host, name), "{host} {name}");
        }
    }
}
