//! Fingerprints of hellos: JA3 and JA3S (Salesforce, 2017), JA4 (FoxIO, 2023; the client's alone, under BSD 3-Clause).
//!
//! All are lists of a hello's numbers, hashed. GREASE values (RFC 8701) change from hello to hello and are left out.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::reader::{Parsed, TlsReader};
use super::shared::Transport;
use super::{ext, names};
use crate::event::json;

/// The numbers of a hello that fingerprints are made of, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// client_version
    pub version: u16,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Types of extensions.
    pub extensions: Vec<u16>,
    /// supported_groups
    pub groups: Vec<u16>,
    /// ec_point_formats
    pub point_formats: Vec<u8>,
    /// signature_algorithms
    pub signatures: Vec<u16>,
    /// supported_versions
    pub versions: Vec<u16>,
    /// The first protocol offered.
    pub alpn: Vec<u8>,
}

impl Hello {
    /// `ciphers` and `extensions` as they are in the message; what does not fit its length ends the reading.
    pub(super) fn new(version: u16, ciphers: &[u8], extensions: TlsReader<'_>) -> Hello {
        let mut h = Hello {
            version,
            ciphers: u16s(ciphers),
            ..Hello::default()
        };
        let _ = h.read_extensions(extensions);
        h
    }

    fn read_extensions(&mut self, mut r: TlsReader<'_>) -> Parsed<()> {
        while !r.is_empty() {
            let code = r.u16("type")?;
            let mut val = r.vec16("value", "value")?;
            self.extensions.push(code);
            // A value that makes no sense is one that adds nothing.
            match code {
                ext::ELLIPTIC_CURVES => {
                    self.groups = val.vec16("groups", "groups").map(list).unwrap_or_default()
                }
                ext::SIGNATURE_ALGORITHMS => {
                    self.signatures = val
                        .vec16("algorithms", "algorithms")
                        .map(list)
                        .unwrap_or_default();
                }
                ext::SUPPORTED_VERSIONS => {
                    self.versions = val.vec8("versions", "versions").map(list).unwrap_or_default()
                }
                ext::EC_POINT_FORMATS => {
                    self.point_formats = val
                        .vec8("formats", "formats")
                        .map_or_else(|_| Vec::new(), |mut l| l.rest().to_vec());
                }
                ext::ALPN => {
                    let first = val
                        .vec16("protocols", "protocols")
                        .and_then(|mut l| l.vec8("protocol", "protocol"));
                    self.alpn = first.map_or_else(|_| Vec::new(), |mut p| p.rest().to_vec());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A ClientHello's JA3.
    pub(super) fn ja3(&self) -> String {
        let formats: Vec<u16> = self.point_formats.iter().map(|&f| f.into()).collect();
        let lists = [&self.ciphers, &self.extensions, &self.groups, &formats];
        let mut text = self.version.to_string();
        for l in lists {
            text.push(',');
            text += &decimal(l);
        }
        md5_hex(&text)
    }

    /// A ServerHello's JA3S.
    pub(super) fn ja3s(&self) -> String {
        md5_hex(&format!(
            "{},{},{}",
            self.version,
            decimal(&self.ciphers),
            decimal(&self.extensions)
        ))
    }

    /// A ClientHello's JA4; its first letter says what carried it.
    pub fn ja4(&self, transport: Transport) -> String {
        let known = |l: &[u16]| l.iter().copied().filter(|v| !is_grease(*v)).collect::<Vec<_>>();
        let (mut ciphers, mut extensions) = (known(&self.ciphers), known(&self.extensions));
        let version = known(&self.versions).into_iter().max().unwrap_or(self.version);
        let sni = if extensions.contains(&ext::SERVER_NAME) {
            'd'
        } else {
            'i'
        };
        let mut out = format!(
            "{}{}{sni}{:02}{:02}{}_",
            match transport {
                Transport::Stream => 't',
                Transport::Datagrams => 'd',
                Transport::Quic => 'q',
            },
            ja4_version(version),
            ciphers.len().min(99),
            extensions.len().min(99),
            ja4_alpn(&self.alpn),
        );
        ciphers.sort_unstable();
        out += &sha256_12(&hex(&ciphers));
        out.push('_');
        // Both vary with the site asked for, not with the client.
        extensions.retain(|e| !matches!(*e, ext::SERVER_NAME | ext::ALPN));
        extensions.sort_unstable();
        let mut text = hex(&extensions);
        let signatures = known(&self.signatures);
        if !signatures.is_empty() {
            text.push('_');
            text += &hex(&signatures);
        }
        out += &sha256_12(&text);
        out
    }
}

fn is_grease(v: u16) -> bool {
    v & 0x0f0f == 0x0a0a && v >> 8 == v & 0xff
}

fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .map(|b| u16::from_be_bytes([b[0], b[1]]))
        .collect()
}

fn list(mut r: TlsReader<'_>) -> Vec<u16> {
    u16s(r.rest())
}

fn decimal(list: &[u16]) -> String {
    let list = list.iter().filter(|v| !is_grease(**v)).map(u16::to_string);
    list.collect::<Vec<_>>().join("-")
}

fn hex(list: &[u16]) -> String {
    list.iter()
        .map(|v| format!("{v:04x}"))
        .collect::<Vec<_>>()
        .join(",")
}

fn md5_hex(text: &str) -> String {
    json::hex(&Md5::digest(text))
}

/// The first 12 digits of the SHA-256; zeros for nothing.
fn sha256_12(text: &str) -> String {
    match text {
        "" => "000000000000".to_owned(),
        text => json::hex(&Sha256::digest(text)[..6]),
    }
}

fn ja4_version(v: u16) -> &'static str {
    match v {
        names::TLSV13 => "13",
        names::TLSV12 => "12",
        names::TLSV11 => "11",
        names::TLSV10 => "10",
        names::SSLV3 => "s3",
        names::SSLV2 => "s2",
        names::DTLSV10 => "d1",
        names::DTLSV12 => "d2",
        names::DTLSV13 => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hex digits where one of them is neither letter nor digit.
fn ja4_alpn(first: &[u8]) -> String {
    let (Some(&a), Some(&z)) = (first.first(), first.last()) else {
        return "00".to_owned();
    };
    if a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric() {
        [a, z].map(char::from).iter().collect()
    } else {
        let digit = |v: u8| char::from_digit(v.into(), 16).unwrap_or('0');
        [digit(a >> 4), digit(z & 0xf)].iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a JA3, as its authors write it, taken apart.
    fn hello(text: &str) -> Hello {
        let mut fields = text.split(',').map(|f| {
            let numbers = f.split('-').filter(|n| !n.is_empty());
            numbers.map(|n| n.parse().unwrap()).collect::<Vec<u16>>()
        });
        let mut next = || fields.next().unwrap_or_default();
        Hello {
            version: next()[0],
            ciphers: next(),
            extensions: next(),
            groups: next(),
            point_formats: next().iter().map(|&f| f as u8).collect(),
            ..Hello::default()
        }
    }

    /// Published with JA3: https://github.com/salesforce/ja3.
    #[test]
    fn ja3_gives_the_published_hashes() {
        let full = hello("769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(full.ja3(), "ada70206e40642a3e4461f35503241d5");
        let bare = hello("769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(bare.ja3(), "de350869b8c85de67a350c8d186f11e6");
        assert_eq!(
            hello("769,47,65281-0-11-35-5-16").ja3s(),
            "836ce314215654b5b1f85f97c73e506f"
        );
    }

    fn hexes(list: &str) -> Vec<u16> {
        list.split(',')
            .map(|n| u16::from_str_radix(n, 16).unwrap())
            .collect()
    }

    /// Published with JA4: https://github.com/FoxIO-LLC/ja4, technical details.
    #[test]
    fn ja4_gives_the_published_hash() {
        let mut h = Hello {
            version: 0x0303,
            ciphers: hexes("9a9a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"),
            extensions: hexes(
                "1a1a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
            ),
            signatures: hexes("0403,0804,0401,0503,0805,0501,0806,0601"),
            versions: hexes("2a2a,0304,0303"),
            alpn: b"h2".to_vec(),
            ..Hello::default()
        };
        assert_eq!(h.ja4(Transport::Stream), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        h.signatures.clear();
        // Without signature algorithms there is no underscore, so another hash.
        assert!(
            h.ja4(Transport::Datagrams)
                .starts_with("d13d1516h2_8daaf6152771_")
        );
        assert_ne!(h.ja4(Transport::Stream), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn what_is_not_there_has_a_sign_of_its_own() {
        assert_eq!(
            Hello::default().ja4(Transport::Stream),
            "t00i000000_000000000000_000000000000"
        );
        assert_eq!(ja4_alpn(b"http/1.1"), "h1");
        assert_eq!(ja4_alpn(&[0xab]), "ab");
        assert_eq!(ja4_alpn(&[0x30, 0xab]), "3b");
    }

    #[test]
    fn numbers_are_read_off_the_wire_and_what_is_cut_off_is_not_there() {
        let wire = [
            0, 10, 0, 4, 0, 2, 0, 29, 0, 11, 0, 2, 1, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0, 43, 0, 3, 2, 3,
            4, 0, 13, 0, 4, 0, 2, 4, 3,
        ];
        let h = Hello::new(0x0303, &[0x13, 1, 0x13, 2, 9], TlsReader::new(&wire));
        let want = Hello {
            version: 0x0303,
            ciphers: vec![0x1301, 0x1302],
            extensions: vec![10, 11, 16, 43, 13],
            groups: vec![29],
            point_formats: vec![0],
            signatures: vec![0x0403],
            versions: vec![0x0304],
            alpn: b"h2".to_vec(),
        };
        assert_eq!(h, want);
        for n in 0..wire.len() {
            let cut = Hello::new(0x0303, &[], TlsReader::new(&wire[..n]));
            assert!(cut.extensions.len() < 5);
        }
    }
}
