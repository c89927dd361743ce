//! What is read of a certificate.

use std::borrow::Cow;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::der_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::nom::Parser;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{host, name, oid};
use crate::event::json::hex;

/// A certificate as x509.log shows it; fields are its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// The same in lower-case hex.
    pub fingerprint: String,
    /// 1 to 3, for all that is right.
    pub version: u64,
    /// Upper-case hex, `-` before a negative one.
    pub serial: String,
    /// RFC 2253 text, most specific first.
    pub subject: String,
    /// RFC 2253 text.
    pub issuer: String,
    /// Start of validity, seconds since the epoch: CAs' may lie before it.
    pub not_before: i64,
    /// End of validity: the year 9999 is one without end (RFC 5280 section 4.1.2.5).
    pub not_after: i64,
    /// OpenSSL's name of the key's algorithm, `rsaEncryption`; its number when it has none.
    pub key_alg: String,
    /// OpenSSL's name of the signature's algorithm, `sha256WithRSAEncryption`; empty when it has none.
    pub sig_alg: String,
    /// `rsa`, `dsa` or `ecdsa`; unset for others, and for a key that cannot be read.
    pub key_type: Option<String>,
    /// Key size, bits.
    pub key_length: Option<u64>,
    /// RSA's public exponent, decimal.
    pub exponent: Option<String>,
    /// OpenSSL's name of an EC key's curve, `prime256v1`.
    pub curve: Option<String>,
    /// Subject alternative names (RFC 5280 section 4.2.1.6) that are DNS names, as their bytes are.
    pub dns: Vec<Vec<u8>>,
    /// URIs, as their bytes are.
    pub uri: Vec<Vec<u8>>,
    /// Mail addresses, as their bytes are.
    pub email: Vec<Vec<u8>>,
    /// IP addresses. An empty list if there are some, but none of 4 or 16 bytes.
    pub ip: Option<Vec<IpAddr>>,
    /// Basic constraints, unset without that extension.
    pub ca: Option<bool>,
    /// Basic constraints: how many CA certificates may follow in a chain; unset if unbounded.
    pub path_len: Option<u64>,
    /// There is a subject alternative name extension, so the subject's name does not count.
    has_san: bool,
    /// The subject's last common name.
    common_name: Option<Vec<u8>>,
    /// Weirds of its extensions: Zeek's name and weird.log's `addl`.
    pub weirds: Vec<(&'static str, String)>,
}

impl Certificate {
    /// Reads the certificate at the start of `der`; `None` when there is none (RFC 5280 section 4.1).
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        // Extensions are looked into where they are shown: what is wrong in others does no harm.
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, x) = parser.parse(der).ok()?;
        // x509-parser takes any bytes for a serial number, OpenSSL only an integer.
        integer(x.raw_serial())?;
        let sha256: [u8; 32] = Sha256::digest(&der[..der.len() - rest.len()]).into();
        let key_alg = oid::dotted(x.public_key().algorithm.algorithm.as_bytes());
        let sig_alg = oid::dotted(x.signature_algorithm.algorithm.as_bytes());
        let mut cert = Certificate {
            sha256,
            fingerprint: hex(&sha256),
            version: u64::from(x.version().0) + 1,
            serial: serial(x.raw_serial()),
            subject: name::rfc2253(x.subject())?,
            issuer: name::rfc2253(x.issuer())?,
            not_before: x.validity().not_before.timestamp(),
            not_after: x.validity().not_after.timestamp(),
            key_alg: oid::algorithm(&key_alg).map_or_else(|| key_alg.clone(), str::to_owned),
            sig_alg: oid::algorithm(&sig_alg).unwrap_or_default().to_owned(),
            common_name: x
                .subject()
                .iter_by_oid(&OID_X509_COMMON_NAME)
                .last()
                .map(|cn| cn.as_slice().to_vec()),
            ..Certificate::default()
        };
        cert.key(&key_alg, x.public_key());
        for ext in x.iter_extensions() {
            if ext.oid == OID_X509_EXT_BASIC_CONSTRAINTS {
                match basic_constraints(ext.value) {
                    Some((ca, path_len)) => (cert.ca, cert.path_len) = (Some(ca), path_len),
                    None => cert.weird("x509_invalid_basic_constraint", String::new()),
                }
            } else if ext.oid == OID_X509_EXT_SUBJECT_ALT_NAME {
                cert.has_san = true;
                // A list that cannot be read to its end has none.
                if cert.alternative_names(ext.value).is_none() {
                    cert.weird("x509_san_parse_error", String::new());
                }
            }
        }
        Some(cert)
    }

    /// Names of the kinds that are shown, which need not be the ASCII that they ought to be.
    fn alternative_names(&mut self, value: &[u8]) -> Option<()> {
        let mut names = sequence(value)?;
        let [mut email, mut dns, mut uri] = [const { Vec::new() }; 3];
        let mut ip: Option<Vec<IpAddr>> = None;
        while !names.is_empty() {
            let (rest, name) = Any::from_der(names).ok()?;
            names = rest;
            name.class().eq(&Class::ContextSpecific).then_some(())?;
            // RFC 5280 section 4.2.1.6.
            match (name.tag().0, name.header.is_constructed()) {
                (1, _) => email.push(string(&name)?.into_owned()),
                (2, _) => dns.push(string(&name)?.into_owned()),
                (6, _) => uri.push(string(&name)?.into_owned()),
                (7, _) => {
                    let bytes = string(&name)?;
                    let v4 = <[u8; 4]>::try_from(&*bytes).map(IpAddr::from);
                    let address = v4.or_else(|_| <[u8; 16]>::try_from(&*bytes).map(IpAddr::from));
                    if address.is_err() {
                        self.weird("x509_san_ip_length", bytes.len().to_string());
                    }
                    ip.get_or_insert_default().extend(address);
                }
                // Names that are structures, and a number.
                (0 | 3..=5, true) | (8, false) => {}
                _ => return None,
            }
        }
        (self.email, self.dns, self.uri, self.ip) = (email, dns, uri, ip);
        Some(())
    }

    /// Notes a weird once: repeats tell nothing more, and a hostile certificate has thousands.
    fn weird(&mut self, name: &'static str, addl: String) {
        if !self.weirds.iter().any(|w| w.0 == name) {
            self.weirds.push((name, addl));
        }
    }

    /// Whether the certificate was made out for `name`: by its alternative names, without those by its subject.
    pub fn matches_host(&self, name: &[u8]) -> bool {
        if self.has_san {
            self.dns.iter().any(|n| host::matches(name, n))
        } else {
            self.common_name.as_ref().is_some_and(|n| host::matches(name, n))
        }
    }

    /// What is shown of a public key; of one that cannot be read, nothing.
    fn key(&mut self, id: &str, spki: &SubjectPublicKeyInfo<'_>) {
        let parameters = spki.algorithm.parameters.as_ref();
        let (kind, length) = match (spki.parsed(), id) {
            (Ok(PublicKey::RSA(rsa)), "1.2.840.113549.1.1.1") => {
                self.exponent = decimal(rsa.exponent);
                ("rsa", Some(bits(rsa.modulus)))
            }
            // The size is that of the prime, which is the parameters' first number (RFC 3279 section 2.3.2).
            (Ok(PublicKey::DSA(_)), _) => match parameters.and_then(|p| nth_integer(p.data, 0)).map(bits) {
                Some(n) => ("dsa", Some(n)),
                None => return,
            },
            (Ok(PublicKey::EC(_)), _) => {
                // `as_oid` takes whatever it is given, so what it is given has to be looked at.
                let length = match parameters.map(|p| (p.tag(), p.as_oid(), p)) {
                    // SM2 has its curve alone in common with ECDSA.
                    Some((Tag::Oid, Ok(id), _)) => {
                        match oid::curve(&oid::dotted(id.as_bytes())).filter(|c| c.0 != "SM2") {
                            Some((name, bits)) => {
                                self.curve = Some(name.to_owned());
                                Some(bits)
                            }
                            None => return,
                        }
                    }
                    // A curve given by its numbers, of which the fifth is the order (RFC 3279 section 2.3.5). It
                    // has no name: numbers that are nearly a known curve's are an attack.
                    Some((Tag::Sequence, _, p)) => match nth_integer(p.data, 4) {
                        Some(order) => Some(bits(order)),
                        None => return,
                    },
                    _ => return,
                };
                ("ecdsa", length)
            }
            _ => return,
        };
        (self.key_type, self.key_length) = (Some(kind.to_owned()), length);
    }
}

/// The `n`th of these elements, an integer.
fn nth_integer(mut elements: &[u8], n: usize) -> Option<&[u8]> {
    for _ in 0..n {
        elements = Any::from_der(elements).ok()?.0;
    }
    let (_, e) = Any::from_der(elements).ok()?;
    e.tag().eq(&Tag::Integer).then_some(e.data)
}

/// An INTEGER's bytes, unless OpenSSL refuses them: there is one at least, and none too many.
fn integer(bytes: &[u8]) -> Option<&[u8]> {
    let padded = match bytes {
        [0, next, ..] => next & 0x80 == 0,
        [0xff, next, ..] => next & 0x80 != 0,
        _ => false,
    };
    (!bytes.is_empty() && !padded).then_some(bytes)
}

/// An extension's basic constraints (RFC 5280 section 4.2.1.9).
fn basic_constraints(value: &[u8]) -> Option<(bool, Option<u64>)> {
    let mut rest = sequence(value)?;
    let mut next = |tag: Tag| match Any::from_der(rest) {
        Ok((after, e)) if e.tag() == tag && e.class() == Class::Universal => {
            rest = after;
            Some(e.data)
        }
        _ => None,
    };
    let ca = match next(Tag::Boolean) {
        Some([b]) => *b != 0,
        Some(_) => return None,
        None => false,
    };
    let path_len = match next(Tag::Integer) {
        Some(n) => Some(path_len(integer(n)?)),
        None => None,
    };
    rest.is_empty().then_some((ca, path_len))
}

/// A path's length as Zeek has it, which makes 32 bits of it with a sign and takes those for none.
fn path_len(n: &[u8]) -> u64 {
    let sign = if n[0] & 0x80 != 0 { -1 } else { 0 };
    let value = n.iter().fold(sign, |v: i64, b| v << 8 | i64::from(*b));
    // What does not fit into 64 bits is -1 to OpenSSL.
    let value = if n.len() <= 8 { value } else { -1 };
    i64::from(value as i32) as u64
}

/// What is in the SEQUENCE that `der` begins with.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (_, list) = Any::from_der(der).ok()?;
    let is_one = (list.class(), list.tag()) == (Class::Universal, Tag::Sequence);
    (is_one && list.header.is_constructed()).then_some(list.data)
}

/// The bytes of a string, which may come in pieces: not in DER, but OpenSSL reads that too.
fn string<'a>(s: &Any<'a>) -> Option<Cow<'a, [u8]>> {
    if !s.header.is_constructed() {
        return Some(Cow::Borrowed(s.data));
    }
    let mut whole = Vec::new();
    pieces(s.data, MAX_NESTING, &mut whole)?;
    Some(Cow::Owned(whole))
}

/// As deep may the pieces of a string be in pieces (OpenSSL's ASN1_MAX_STRING_NEST).
const MAX_NESTING: u32 = 5;

fn pieces(mut rest: &[u8], depth: u32, out: &mut Vec<u8>) -> Option<()> {
    while !rest.is_empty() {
        let (after, piece) = Any::from_der(rest).ok()?;
        rest = after;
        match piece.header.is_constructed() {
            true => pieces(piece.data, depth.checked_sub(1)?, out)?,
            false => out.extend_from_slice(piece.data),
        }
    }
    Some(())
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|b| **b == 0).count()..]
}

/// A DER INTEGER's bytes as OpenSSL writes a serial number.
pub(super) fn serial(raw: &[u8]) -> String {
    let negative = raw.first().is_some_and(|b| b & 0x80 != 0);
    let mut magnitude = raw.to_vec();
    if negative {
        // Two's complement: flip, add one.
        let mut carry = true;
        for b in magnitude.iter_mut().rev() {
            let (v, over) = (!*b).overflowing_add(u8::from(carry));
            (*b, carry) = (v, over && carry);
        }
    }
    let digits = match trim_zeros(&magnitude) {
        [] => "00".to_owned(),
        m => hex(m).to_ascii_uppercase(),
    };
    if negative { format!("-{digits}") } else { digits }
}

/// Bits of a big-endian number.
fn bits(n: &[u8]) -> u64 {
    let n = trim_zeros(n);
    n.first()
        .map_or(0, |top| n.len() as u64 * 8 - u64::from(top.leading_zeros()))
}

/// A big-endian number in decimal, which may be as long as a small key's modulus. Longer is no real exponent.
fn decimal(n: &[u8]) -> Option<String> {
    const MAX: usize = 128;
    let n = trim_zeros(n);
    (n.len() <= MAX).then(|| BigUint::from_bytes_be(n).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_openssl_does() {
        assert_eq!(serial(&[0]), "00");
        assert_eq!(serial(&[0, 0x99, 0xfa]), "99FA");
        assert_eq!(serial(&[0xff]), "-01");
        assert_eq!(serial(&[0xff, 0x00]), "-0100");
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[1, 0]), 9);
        assert_eq!(decimal(&[1, 0, 1]).as_deref(), Some("65537"));
        assert_eq!(decimal(&[0]).as_deref(), Some("0"));
        // 2^72 + 1.
        let long = [1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(decimal(&long).as_deref(), Some("4722366482869645213697"));
        assert_eq!(decimal(&[1; 129]), None);
    }

    /// Made with OpenSSL 3.0; what is expected is what `openssl x509 -nameopt RFC2253` prints of it.
    #[test]
    fn a_certificate_is_read_as_openssl_reads_it() {
        let der = include_bytes!("sample.der");
        let c = Certificate::parse(der).unwrap();
        assert_eq!(
            c.fingerprint,
            "8ca4471c5f9e06b7e9af99403c0c1c4c357690e2a5e076cf99dde27f70b2c01a"
        );
        assert_eq!((c.version, c.serial.as_str()), (3, "C0FFEE"));
        assert_eq!(c.subject, r"O=M\C3\BCller\, S\C3\B6hne,CN=www.example.org");
        assert_eq!(c.issuer, r"CN=Test CA,O=Test\, Inc.,C=DE");
        assert_eq!((c.not_before, c.not_after), (1_795_434_785, 2_110_794_785));
        assert_eq!(
            (c.key_alg.as_str(), c.sig_alg.as_str()),
            ("rsaEncryption", "ecdsa-with-SHA256")
        );
        assert_eq!((c.key_type.as_deref(), c.key_length), (Some("rsa"), Some(2048)));
        assert_eq!((c.exponent.as_deref(), c.curve), (Some("65537"), None));
        assert_eq!(c.dns, [&b"*.example.org"[..], b"example.org"]);
        assert_eq!(
            (c.uri, c.email),
            (
                vec![b"https://example.org/".to_vec()],
                vec![b"a@example.org".to_vec()]
            )
        );
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|a| a.parse::<IpAddr>().unwrap());
        assert_eq!(c.ip.as_deref(), Some(&addresses[..]));
        assert!(c.weirds.is_empty());
        assert_eq!((c.ca, c.path_len), (Some(false), None));
        // What follows the certificate is not part of it.
        let longer = [der.as_slice(), b"more"].concat();
        assert_eq!(Certificate::parse(&longer).unwrap().sha256, c.sha256);
        // Every shorter one is none, and does no harm.
        assert!((0..der.len()).all(|n| Certificate::parse(&der[..n]).is_none()));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_none() {
        assert_eq!(Certificate::parse(&[]), None);
        assert_eq!(Certificate::parse(&[0x30, 0x82, 0xff, 0xff, 0x30]), None);
    }

    /// The sample with some bytes, which are in it once, replaced.
    fn changed(from: &[u8], to: &[u8]) -> Option<Certificate> {
        let mut der = include_bytes!("sample.der").to_vec();
        let mut found = (0..der.len()).filter(|i| der[*i..].starts_with(from));
        let (at, None) = (found.next().unwrap(), found.next()) else {
            panic!("{from:x?} is there more than once")
        };
        der[at..at + to.len()].copy_from_slice(to);
        Certificate::parse(&der)
    }

    #[test]
    fn what_openssl_does_not_look_at_does_no_harm() {
        // A name that is not ASCII.
        let c = changed(b"*.example.org", b"\xfc.example.org").unwrap();
        assert_eq!(c.dns, [&b"\xfc.example.org"[..], b"example.org"]);
        // Alternative names that cannot be read are none, and the subject's does not count in their place.
        let c = changed(b"\x82\x0d*.e", b"\x82\x7d*.e").unwrap();
        assert!(c.dns.is_empty() && !c.matches_host(b"www.example.org"));
        assert_eq!(c.weirds, [("x509_san_parse_error", String::new())]);
        // A name that says it is UTF-8 and is not is no certificate.
        assert_eq!(changed(b"M\xc3\xbcller", b"M\xc3ueller"), None);
    }

    #[test]
    fn a_serial_number_is_an_integer_as_openssl_has_it() {
        // A zero that is not needed; ones that are not; a negative number.
        assert!(changed(b"\x02\x04\x00\xc0\xff\xee", b"\x02\x04\x00\x40\xff\xee").is_none());
        assert!(changed(b"\x02\x04\x00\xc0\xff\xee", b"\x02\x04\xff\xc0\xff\xee").is_none());
        let c = changed(b"\x02\x04\x00\xc0\xff\xee", b"\x02\x04\xff\x40\xff\xee").unwrap();
        assert_eq!(c.serial, "-BF0012");
        assert!(integer(&[]).is_none() && integer(&[0]).is_some() && integer(&[0xff]).is_some());
    }

    #[test]
    fn basic_constraints_are_read_as_openssl_reads_them() {
        let cases: [(&[u8], _); 11] = [
            (&[0x30, 0], Some((false, None))),
            (&[0x30, 3, 1, 1, 0xff], Some((true, None))),
            (&[0x30, 3, 1, 1, 1, 9], Some((true, None))),
            (&[0x30, 6, 1, 1, 0xff, 2, 1, 3], Some((true, Some(3)))),
            (&[0x30, 3, 2, 1, 3], Some((false, Some(3)))),
            // Zeek has 32 bits with a sign, as a number without one.
            (&[0x30, 6, 1, 1, 0xff, 2, 1, 0xff], Some((true, Some(u64::MAX)))),
            (&[0x30, 7, 1, 1, 0xff, 2, 2, 0, 1], None),
            (&[0x30, 2, 1, 0], None),
            (&[0xb0, 3, 1, 1, 0xff], None),
            (&[0x30, 5, 1, 1, 0xff, 5, 0], None),
            (&[], None),
        ];
        for (der, want) in cases {
            assert_eq!(basic_constraints(der), want, "{der:x?}");
        }
        assert_eq!(path_len(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), u64::MAX);
    }

    /// The names in these bytes, and their weirds.
    fn names(list: &[u8]) -> (Option<()>, Certificate) {
        let mut c = Certificate::default();
        let der = [&[0x30, list.len() as u8], list].concat();
        (c.alternative_names(&der), c)
    }

    #[test]
    fn alternative_names_are_read_as_openssl_reads_them() {
        // Addresses of no address's length are told, and leave an empty list.
        let (ok, c) = names(b"\x87\x04\x01\x02\x03\x04\x87\x01\x07");
        assert_eq!((ok, c.ip.unwrap().len()), (Some(()), 1));
        assert_eq!(c.weirds, [("x509_san_ip_length", "1".to_owned())]);
        let (ok, c) = names(b"\x87\x0b192.168.1.1");
        assert_eq!((ok, c.ip), (Some(()), Some(Vec::new())));
        // Hostile ones have many.
        let (_, c) = names(&[0x87, 0].repeat(60));
        assert_eq!(c.weirds.len(), 1);
        // A name in a string of its own.
        let (ok, c) = names(b"\xa2\x05\x16\x03a.b");
        assert_eq!((ok, c.dns), (Some(()), vec![b"a.b".to_vec()]));
        let (ok, c) = names(b"\xa2\x08\x24\x06\x04\x01a\x04\x01b");
        assert_eq!((ok, c.dns), (Some(()), vec![b"ab".to_vec()]));
        let deep = (0..7).fold(vec![4, 1, b'x'], |inner, _| {
            [&[0x24, inner.len() as u8], &inner[..]].concat()
        });
        let (ok, _) = names(&[&[0xa2, deep.len() as u8], &deep[..]].concat());
        assert_eq!(ok, None);
        // Other kinds are there and not shown.
        let (ok, c) = names(b"\xa4\x02\x30\x00\x88\x01\x2a\x82\x01a");
        assert_eq!((ok, c.dns), (Some(()), vec![b"a".to_vec()]));
        // What cannot be one of them spoils the list.
        for bad in [
            b"\x89\x01x\x82\x01a",
            b"\x84\x01x\x82\x01a",
            b"\x42\x01x\x82\x01a",
        ] {
            let (ok, c) = names(bad);
            assert_eq!((ok, c.dns.len()), (None, 0), "{bad:x?}");
        }
    }

    #[test]
    fn a_curve_given_by_its_numbers_has_the_length_of_its_order() {
        // Version, field, curve, base point, order.
        let parameters = [2, 1, 1, 0x30, 0, 0x30, 0, 4, 1, 4, 2, 1, 7];
        let id = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        let n = parameters.len() as u8;
        let algorithm = [&[0x30, n + 11], &id[..], &[0x30, n], &parameters].concat();
        let key = [3, 2, 0, 4];
        let der = [&[0x30, (algorithm.len() + key.len()) as u8], &algorithm[..], &key].concat();
        let mut c = Certificate::default();
        let (_, spki) = SubjectPublicKeyInfo::from_der(&der).unwrap();
        c.key("1.2.840.10045.2.1", &spki);
        assert_eq!(
            (c.key_type.as_deref(), c.key_length, c.curve),
            (Some("ecdsa"), Some(3), None)
        );
    }

    #[test]
    fn keys_that_zeek_does_not_know_are_not_described_and_validity_may_be_without_end() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1960, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        let c = Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!((c.key_alg.as_str(), c.sig_alg.as_str()), ("ED25519", "ED25519"));
        assert_eq!((c.key_type, c.key_length, c.curve), (None, None, None));
        assert_eq!((c.not_before, c.not_after), (-315_619_200, 253_402_214_400));
    }
}
