//! What a resource record says, as dns.log's `answers` puts it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::rr;
use super::svcb;
use super::wire::{Bad, DnsReader};
use crate::event::json;

/// What follows a record's owner name.
#[derive(Clone, Copy, Debug)]
pub struct RrHead {
    pub rtype: u16,
    /// Bytes of data; not more than the message has left.
    pub len: usize,
}

/// What a record has to say.
#[derive(Debug, PartialEq)]
pub enum Rr {
    /// An answer: this text. Empty, it is an answer all the same.
    Answer(Vec<u8>),
    /// Nothing that Zeek logs.
    Nothing,
    /// This text, but the record is not sound: the message ends here.
    Unsound(Vec<u8>),
    /// A type that nobody knows.
    Unknown,
    /// The reading of NAPTR failed, which is a violation.
    Violation(&'static str),
}

/// Reads a record's data. `owner` is its name.
pub fn read(
    r: &mut DnsReader<'_>,
    f: RrHead,
    owner: &[u8],
    netbios: bool,
    weird: &mut dyn FnMut(&'static str, String),
) -> Result<Rr, Bad> {
    let start = r.at();
    let checked = |r: &DnsReader<'_>, weird: &mut dyn FnMut(&'static str, String)| {
        if r.at() - start != f.len {
            weird("DNS_RR_length_mismatch", String::new());
        }
    };
    let text = |s: String| Rr::Answer(s.into_bytes());
    let said = match f.rtype {
        rr::A if f.len != 4 => return Err(Some("DNS_RR_bad_length")),
        rr::A => text(Ipv4Addr::from(r.long()).to_string()),
        rr::AAAA | rr::A6 => {
            let parts = [r.long(), r.long(), r.long(), r.long()];
            let bits = parts
                .iter()
                .fold(0u128, |bits, part| bits << 32 | u128::from(*part));
            text(zeek_v6(Ipv6Addr::from(bits)))
        }
        rr::NS | rr::CNAME | rr::PTR => {
            let target = r.name(true, netbios, weird);
            checked(r, weird);
            Rr::Answer(target)
        }
        rr::SOA => {
            let primary = r.name(true, netbios, weird);
            r.name(true, netbios, weird);
            if r.left() < 20 {
                return Err(None);
            }
            r.bytes(20);
            checked(r, weird);
            Rr::Answer(primary)
        }
        rr::MX => {
            r.short();
            let exchange = r.name(true, netbios, weird);
            checked(r, weird);
            Rr::Answer(exchange)
        }
        rr::SRV if netbios => Rr::Nothing,
        rr::SRV => {
            // Priority, weight, port.
            r.bytes(6);
            let target = r.name(true, netbios, weird);
            checked(r, weird);
            Rr::Answer(target)
        }
        rr::WKS => Rr::Answer(Vec::new()),
        rr::TXT => strings(r, f.len, "TXT", weird),
        rr::SPF => strings(r, f.len, "SPF", weird),
        rr::NAPTR => naptr(r, f.len, netbios, weird),
        rr::LOC => {
            if r.left() < 15 {
                return Err(None);
            }
            let (version, size, horizontal, vertical) = (r.byte(), r.byte(), r.byte(), r.byte());
            r.bytes(12);
            if version != 0 {
                weird("DNS_LOC_version_unrecognized", version.to_string());
            }
            text(format!("LOC:  {size} {horizontal} {vertical}"))
        }
        rr::RRSIG => {
            if r.left() < 18 {
                return Err(None);
            }
            let (covered, algorithm) = (r.short(), r.byte());
            r.bytes(15);
            let from = r.at();
            let signer = r.name(true, netbios, weird);
            // The signature's length as Zeek reckons it.
            r.bytes((f.len + from).saturating_sub(r.at() + 18));
            weird_algorithm(RRSIG_ALGORITHM, algorithm, weird);
            let signer = if signer.is_empty() {
                b"<Root>".to_vec()
            } else {
                signer
            };
            Rr::Answer([format!("RRSIG {covered} ").as_bytes(), &signer].concat())
        }
        rr::DNSKEY => {
            if r.left() < 4 {
                return Err(None);
            }
            let (flags, protocol, algorithm) = (r.short(), r.byte(), r.byte());
            r.bytes(f.len.saturating_sub(4));
            // Bits for zone key, revoked and key signing key; all others are reserved.
            if flags & 0xfe7e != 0 {
                weird("DNSSEC_DNSKEY_Invalid_Flag", flags.to_string());
            }
            if flags & 0x0181 == 0x0181 {
                weird("DNSSEC_DNSKEY_Revoked_KSK", flags.to_string());
            }
            if protocol != 3 {
                weird("DNSSEC_DNSKEY_Invalid_Protocol", protocol.to_string());
            }
            weird_algorithm(DNSKEY_ALGORITHM, algorithm, weird);
            text(format!("DNSKEY {algorithm}"))
        }
        rr::DS => {
            if r.left() < 4 {
                return Err(None);
            }
            r.short();
            let (algorithm, digest) = (r.byte(), r.byte());
            r.bytes(f.len.saturating_sub(4));
            match digest {
                0 => weird("DNSSEC_DS_ReservedDigestType", digest.to_string()),
                1..=4 => {}
                _ => weird("DNSSEC_DS_unknown_DigestType", digest.to_string()),
            }
            text(format!("DS {algorithm} {digest}"))
        }
        rr::NSEC => {
            let next = r.name(true, netbios, weird);
            bitmaps(
                r,
                f.len.saturating_sub(r.at() - start),
                "DNSSEC_NSEC_bitmapLen0",
                weird,
            );
            Rr::Answer([b"NSEC ", owner, b" ", &next].concat())
        }
        rr::NSEC3 => {
            if r.left() < 6 {
                return Err(None);
            }
            r.bytes(4);
            for _ in 0..2 {
                // Salt, then hash.
                let n = r.byte();
                r.bytes(n.into());
            }
            bitmaps(
                r,
                f.len.saturating_sub(r.at() - start),
                "DNSSEC_NSEC3_bitmapLen0",
                weird,
            );
            text("NSEC3".into())
        }
        rr::NSEC3PARAM => {
            if r.left() < 5 {
                return Err(None);
            }
            r.bytes(4);
            let n = r.byte();
            r.bytes(n.into());
            text("NSEC3PARAM".into())
        }
        rr::BINDS => {
            if r.left() < 5 {
                return Err(None);
            }
            r.bytes(4);
            let flag = r.bytes(f.len.saturating_sub(4)).len();
            if flag > 1 {
                weird("DNS_BINDS_complete_flag_length", flag.to_string());
            }
            text("BIND9 signing signal".into())
        }
        rr::SSHFP => {
            if r.left() < 2 {
                return Err(None);
            }
            r.short();
            let print = r.bytes(f.len.saturating_sub(2));
            text(format!("SSHFP: {}", json::hex(print)))
        }
        rr::SVCB | rr::HTTPS => {
            if r.left() < 3 {
                return Err(Some("DNS_SVBC_wrong_length"));
            }
            let priority = r.short();
            let target = r.name(true, netbios, weird);
            let params = r.bytes(f.len.saturating_sub(r.at() - start));
            Rr::Answer(svcb::text(priority, target, params))
        }
        rr::OPT => {
            // The options are taken for all that is left of the message.
            while r.left() >= 4 {
                r.short();
                let n = usize::from(r.short());
                if n > r.left() {
                    break;
                }
                r.bytes(n);
            }
            if r.left() > 0 {
                return Err(Some("EDNS_truncated_option"));
            }
            Rr::Nothing
        }
        rr::TSIG => {
            r.name(true, netbios, weird);
            r.bytes(8);
            for other in [4, 0] {
                // The MAC, ids and error, then other data.
                let n = r.short();
                r.bytes(n.into());
                r.bytes(other);
            }
            Rr::Nothing
        }
        rr::NBS | rr::HINFO | rr::TKEY | rr::CAA => {
            r.bytes(f.len);
            Rr::Nothing
        }
        _ => {
            r.bytes(f.len);
            Rr::Unknown
        }
    };
    Ok(said)
}

/// Weirds of signing algorithms, by kind: not recommended, indirect, private (two of them), unknown.
type Algorithms = [&'static str; 5];
const RRSIG_ALGORITHM: Algorithms = [
    "DNSSEC_RRSIG_NotRecommended_ZoneSignAlgo",
    "DNSSEC_RRSIG_Indirect_ZoneSignAlgo",
    "DNSSEC_RRSIG_PrivateDNS_ZoneSignAlgo",
    "DNSSEC_RRSIG_PrivateOID_ZoneSignAlgo",
    "DNSSEC_RRSIG_unknown_ZoneSignAlgo",
];
const DNSKEY_ALGORITHM: Algorithms = [
    "DNSSEC_DNSKEY_NotRecommended_ZoneSignAlgo",
    "DNSSEC_DNSKEY_Indirect_ZoneSignAlgo",
    "DNSSEC_DNSKEY_PrivateDNS_ZoneSignAlgo",
    "DNSSEC_DNSKEY_PrivateOID_ZoneSignAlgo",
    "DNSSEC_DNSKEY_unknown_ZoneSignAlgo",
];

/// An algorithm (IANA's DNSSEC algorithm numbers) that no zone is signed with.
fn weird_algorithm(names: Algorithms, n: u8, weird: &mut dyn FnMut(&'static str, String)) {
    let name = match n {
        1 => names[0],
        2..=8 | 10 | 12..=16 => return,
        252 => names[1],
        253 => names[2],
        254 => names[3],
        _ => names[4],
    };
    weird(name, n.to_string());
}

/// IPv6 as Zeek prints it: an IPv4-mapped address is printed as the IPv4 one.
fn zeek_v6(a: Ipv6Addr) -> String {
    match a.to_ipv4_mapped() {
        Some(v4) => v4.to_string(),
        None => a.to_string(),
    }
}

/// TXT and SPF: `kind`, length and bytes of every string. Unsound when they do not fill the data.
fn strings(
    r: &mut DnsReader<'_>,
    mut left: usize,
    kind: &str,
    weird: &mut dyn FnMut(&'static str, String),
) -> Rr {
    let mut out = Vec::new();
    loop {
        match r.char_string(&mut left) {
            Ok(Some(s)) => {
                if !out.is_empty() {
                    out.push(b' ');
                }
                out.extend_from_slice(format!("{kind} {} ", s.len()).as_bytes());
                out.extend_from_slice(s);
            }
            Ok(None) => return Rr::Answer(out),
            Err(bad) => {
                if let Some(name) = bad {
                    weird(name, String::new());
                }
                // A length that is all there was of its string has used the data up.
                return match left {
                    0 => Rr::Answer(out),
                    _ => Rr::Unsound(out),
                };
            }
        }
    }
}

fn naptr(
    r: &mut DnsReader<'_>,
    len: usize,
    netbios: bool,
    weird: &mut dyn FnMut(&'static str, String),
) -> Rr {
    let (order, preference) = (r.short(), r.short());
    let mut left = match len.checked_sub(4) {
        None | Some(0) => return Rr::Violation("DNS_NAPTR_too_short"),
        Some(_) if r.left() == 0 => return Rr::Violation("DNS_NAPTR_too_short"),
        Some(left) => left,
    };
    let mut parts: [&[u8]; 3] = [&[]; 3];
    let mut sound = true;
    for part in &mut parts {
        match r.char_string(&mut left) {
            Ok(Some(s)) => *part = s,
            Ok(None) => sound = false,
            Err(bad) => {
                if let Some(name) = bad {
                    weird(name, String::new());
                }
                sound = false;
            }
        }
    }
    let replacement = r.name(false, netbios, weird);
    if !sound {
        return Rr::Violation("DNS_NAPTR_RR_too_short");
    }
    let [flags, service, regexp] = parts;
    let between: &[u8] = match (regexp, replacement.as_slice()) {
        ([], _) | (_, []) => b"",
        _ => b" ",
    };
    let head = format!("NAPTR {order} {preference} ");
    Rr::Answer(
        [
            head.as_bytes(),
            flags,
            b" ",
            service,
            b" ",
            regexp,
            between,
            &replacement,
        ]
        .concat(),
    )
}

/// NSEC's windows of types that exist; `left` is what the record's length leaves for them.
/// `empty`: the weird raised for a window without types.
fn bitmaps(
    r: &mut DnsReader<'_>,
    mut left: usize,
    empty: &'static str,
    weird: &mut dyn FnMut(&'static str, String),
) {
    while left > 0 && r.left() > 0 {
        let window = r.byte();
        let n = usize::from(r.byte());
        if n == 0 {
            weird(empty, window.to_string());
            return;
        }
        r.bytes(n);
        left = left.saturating_sub(2 + n);
    }
}
