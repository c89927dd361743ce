//! What is read of a certificate.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKCS1_RSAENCRYPTION, OID_X509_COMMON_NAME};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{host, name, oid};
use crate::event::Ts;
use crate::event::json::hex_digits;

/// A certificate as x509.log shows it; fields are its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// The same in lower-case hex.
    pub fingerprint: String,
    /// 1 to 3.
    pub version: u64,
    /// Upper-case hex, `-` before a negative one.
    pub serial: String,
    /// RFC 2253 text, most specific first.
    pub subject: String,
    /// RFC 2253 text.
    pub issuer: String,
    /// Start of validity; 0 before 1970.
    pub not_before: Ts,
    /// End of validity.
    pub not_after: Ts,
    /// OpenSSL's name of the key's algorithm, `rsaEncryption`.
    pub key_alg: String,
    /// OpenSSL's name of the signature's algorithm, `sha256WithRSAEncryption`.
    pub sig_alg: String,
    /// `rsa`, `dsa`, `ecdsa` or OpenSSL's name; unset for a key that cannot be read.
    pub key_type: Option<String>,
    /// Key size, bits.
    pub key_length: Option<u64>,
    /// RSA's public exponent, decimal.
    pub exponent: Option<String>,
    /// OpenSSL's name of an EC key's curve, `prime256v1`.
    pub curve: Option<String>,
    /// Subject alternative names, by kind.
    pub dns: Vec<String>,
    pub uri: Vec<String>,
    pub email: Vec<String>,
    pub ip: Vec<IpAddr>,
    /// Basic constraints, unset without that extension.
    pub ca: Option<bool>,
    pub path_len: Option<u64>,
    /// There is a subject alternative name extension, so the subject's name does not count.
    has_san: bool,
    /// The subject's last common name.
    common_name: Option<String>,
}

impl Certificate {
    /// Reads the certificate at the start of `der`; `None` when there is none.
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let (rest, x) = X509Certificate::from_der(der).ok()?;
        let sha256: [u8; 32] = Sha256::digest(&der[..der.len() - rest.len()]).into();
        let mut cert = Certificate {
            sha256,
            fingerprint: hex(&sha256),
            version: u64::from(x.version().0) + 1,
            serial: serial(x.raw_serial()),
            subject: name::rfc2253(x.subject()),
            issuer: name::rfc2253(x.issuer()),
            not_before: ns(x.validity().not_before),
            not_after: ns(x.validity().not_after),
            key_alg: oid::long_name(&x.public_key().algorithm.algorithm),
            sig_alg: oid::long_name(&x.signature_algorithm.algorithm),
            common_name: x
                .subject()
                .iter_by_oid(&OID_X509_COMMON_NAME)
                .last()
                .map(|cn| String::from_utf8_lossy(cn.as_slice()).into_owned()),
            ..Certificate::default()
        };
        cert.key(x.public_key());
        for ext in x.iter_extensions() {
            match ext.parsed_extension() {
                ParsedExtension::BasicConstraints(b) => {
                    cert.ca = Some(b.ca);
                    cert.path_len = b.path_len_constraint.map(u64::from);
                }
                ParsedExtension::SubjectAlternativeName(san) => {
                    cert.has_san = true;
                    san.general_names.iter().for_each(|n| cert.alternative_name(n));
                }
                _ => {}
            }
        }
        Some(cert)
    }

    /// Whether the certificate was made out for `name`: by its alternative names, without those by its subject.
    pub fn matches_host(&self, name: &str) -> bool {
        if self.has_san {
            self.dns.iter().any(|n| host::matches(name, n))
        } else {
            self.common_name.as_ref().is_some_and(|n| host::matches(name, n))
        }
    }

    fn alternative_name(&mut self, n: &GeneralName<'_>) {
        let (list, text) = match n {
            GeneralName::DNSName(s) => (&mut self.dns, s),
            GeneralName::URI(s) => (&mut self.uri, s),
            GeneralName::RFC822Name(s) => (&mut self.email, s),
            GeneralName::IPAddress(raw) => {
                let ip = <[u8; 4]>::try_from(*raw).map(IpAddr::from);
                let ip = ip.or_else(|_| <[u8; 16]>::try_from(*raw).map(IpAddr::from));
                return self.ip.extend(ip.ok());
            }
            _ => return,
        };
        list.push((*text).to_owned());
    }

    fn key(&mut self, spki: &SubjectPublicKeyInfo<'_>) {
        use x509_parser::public_key::PublicKey;
        let (alg, curve) = (
            spki.algorithm.algorithm.to_id_string(),
            spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()),
        );
        match (spki.parsed(), &*alg) {
            (Ok(PublicKey::RSA(rsa)), _) => {
                let plain = spki.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION;
                self.key_type = Some(if plain { "rsa" } else { "RSA-PSS" }.to_owned());
                self.exponent = decimal(rsa.exponent).filter(|_| plain);
                self.key_length = Some(bits(rsa.modulus));
            }
            (Ok(PublicKey::DSA(_)), _) => {
                self.key_type = Some("dsa".to_owned());
                // The size is that of the prime, which is the parameters' first number.
                self.key_length = spki
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|p| first_integer_bits(p.data));
            }
            (Ok(PublicKey::EC(_)), _) => {
                self.key_type = Some("ecdsa".to_owned());
                if let Some((name, bits)) = curve.and_then(|c| oid::curve(&c)) {
                    self.curve = Some(name.to_owned());
                    self.key_length = Some(bits);
                }
            }
            (_, "1.3.101.112") => (self.key_type, self.key_length) = (Some("ED25519".to_owned()), Some(256)),
            (_, "1.3.101.113") => (self.key_type, self.key_length) = (Some("ED448".to_owned()), Some(456)),
            (_, "1.3.101.110") => (self.key_type, self.key_length) = (Some("X25519".to_owned()), Some(253)),
            (_, "1.3.101.111") => (self.key_type, self.key_length) = (Some("X448".to_owned()), Some(448)),
            _ => {}
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    hex_digits(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

fn ns(t: ASN1Time) -> Ts {
    u64::try_from(t.timestamp())
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|b| **b == 0).count()..]
}

/// A DER INTEGER's bytes as OpenSSL writes a serial number.
fn serial(raw: &[u8]) -> String {
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

/// A big-endian number in decimal; `None` beyond 64 bits, which no real exponent has.
fn decimal(n: &[u8]) -> Option<String> {
    let n = trim_zeros(n);
    (n.len() <= 8).then(|| n.iter().fold(0u64, |v, b| v << 8 | u64::from(*b)).to_string())
}

/// Size of the first INTEGER in a DER sequence's contents.
fn first_integer_bits(contents: &[u8]) -> Option<u64> {
    use x509_parser::der_parser::asn1_rs::{FromDer, Integer};
    Integer::from_der(contents).ok().map(|(_, i)| bits(i.as_ref()))
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
        assert_eq!(decimal(&[1; 9]), None);
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
        assert_eq!(
            (c.not_before, c.not_after),
            (1_795_434_785_000_000_000, 2_110_794_785_000_000_000)
        );
        assert_eq!(
            (c.key_alg.as_str(), c.sig_alg.as_str()),
            ("rsaEncryption", "ecdsa-with-SHA256")
        );
        assert_eq!((c.key_type.as_deref(), c.key_length), (Some("rsa"), Some(2048)));
        assert_eq!((c.exponent.as_deref(), c.curve), (Some("65537"), None));
        assert_eq!(c.dns, ["*.example.org", "example.org"]);
        assert_eq!(
            (c.uri, c.email),
            (
                vec!["https://example.org/".to_owned()],
                vec!["a@example.org".to_owned()]
            )
        );
        assert_eq!(
            c.ip,
            ["192.0.2.1", "2001:db8::1"].map(|a| a.parse::<IpAddr>().unwrap())
        );
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
}
