//! What is asked: the addresses of a name, or the name of an address.

use std::fmt;
use std::net::IpAddr;

use crate::base::host_name::is_host_name;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Query {
    /// The addresses of a name: in small letters, without a dot at its end.
    Name(Box<str>),
    /// The name of an address.
    Addr(IpAddr),
}

impl Query {
    /// Takes a text for an address or a name; None: it is neither.
    pub fn of(text: &str) -> Option<Query> {
        match text.parse() {
            Ok(addr) => Some(Query::Addr(addr)),
            Err(_) => is_host_name(text).then(|| {
                let name = text.strip_suffix('.').unwrap_or(text);
                Query::Name(name.to_ascii_lowercase().into())
            }),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Name(name) => f.write_str(name),
            Query::Addr(addr) => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        let name = |n: &str| Some(Query::Name(n.into()));
        let addr = |a: &str| Some(Query::Addr(a.parse().expect("an address")));
        assert_eq!(Query::of("WWW.Example.com."), name("www.example.com"));
        assert_eq!(Query::of("_dmarc.a-b.example"), name("_dmarc.a-b.example"));
        assert_eq!(Query::of("localhost"), name("localhost"));
        assert_eq!(Query::of("192.0.2.1"), addr("192.0.2.1"));
        assert_eq!(Query::of("2001:DB8::1"), addr("2001:db8::1"));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "10.0.0.256", "a b", "192.0.2.1/24", "fe80::1%eth0"] {
            assert_eq!(Query::of(text), None, "{text}");
        }
    }
}
