//! What dns.log calls types, classes and response codes (IANA's DNS parameters, in Zeek's spelling).

use std::borrow::Cow;

/// Types by number, ascending.
const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAP-PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (40, "SINK"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "*"),
    (256, "URI"),
    (257, "CAA"),
    (32768, "TA"),
    (32769, "DLV"),
    (65281, "WINS"),
    (65282, "WINS-R"),
    (65422, "XPF"),
    (65521, "INTEGRITY"),
];

/// Response codes that fit a message's header (RFC 6895, 2.3).
const RCODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSet",
    "NOTAUTH", "NOTZONE",
];

/// Response codes from 16 (RFC 6895, 2.3), which need an OPT record or stand in one of TSIG and TKEY.
const EXTENDED_RCODES: [&str; 8] = [
    "BADVERS",
    "BADKEY",
    "BADTIME",
    "BADMODE",
    "BADNAME",
    "BADALG",
    "BADTRUNC",
    "BADCOOKIE",
];

/// The name of a query's or a record's type.
pub fn qtype(n: u16) -> Cow<'static, str> {
    match TYPES.binary_search_by_key(&n, |t| t.0) {
        Ok(at) => TYPES[at].1.into(),
        Err(_) => format!("query-{n}").into(),
    }
}

/// The name of a class.
pub fn qclass(n: u16) -> Cow<'static, str> {
    match n {
        1 => "C_INTERNET".into(),
        2 => "C_CSNET".into(),
        3 => "C_CHAOS".into(),
        4 => "C_HESIOD".into(),
        254 => "C_NONE".into(),
        255 => "C_ANY".into(),
        _ => format!("qclass-{n}").into(),
    }
}

/// The name of a response code.
pub fn rcode(n: u16) -> Cow<'static, str> {
    let extended = usize::from(n)
        .checked_sub(16)
        .and_then(|n| EXTENDED_RCODES.get(n));
    match RCODES.get(usize::from(n)).or(extended) {
        Some(name) => (*name).into(),
        None => format!("unassigned-{n}").into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_names_or_say_what_they_are() {
        assert!(super::TYPES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(super::qtype(28), "AAAA");
        assert_eq!(super::qtype(54), "query-54");
        assert_eq!(super::qclass(7), "qclass-7");
        assert_eq!(super::rcode(3), "NXDOMAIN");
        assert_eq!(super::rcode(12), "unassigned-12");
        assert_eq!(super::rcode(16), "BADVERS");
        assert_eq!(super::rcode(23), "BADCOOKIE");
        assert_eq!(super::rcode(24), "unassigned-24");
    }
}
