//! How versions, cipher suites, groups and alerts are named in logs.

use std::borrow::Cow;

use super::registry;

/// SSL 2.0.
pub const SSLV2: u16 = 0x0002;
/// SSL 3.0.
pub const SSLV3: u16 = 0x0300;
/// TLS 1.0.
pub const TLSV10: u16 = 0x0301;
/// TLS 1.1.
pub const TLSV11: u16 = 0x0302;
/// TLS 1.2.
pub const TLSV12: u16 = 0x0303;
/// TLS 1.3.
pub const TLSV13: u16 = 0x0304;
/// DTLS 1.0.
pub const DTLSV10: u16 = 0xfeff;
/// DTLS 1.2.
pub const DTLSV12: u16 = 0xfefd;
/// DTLS 1.3.
pub const DTLSV13: u16 = 0xfefc;

/// Whether a hello may carry `v`.
pub fn version_ok(v: u16) -> bool {
    const KNOWN: [u16; 9] = [
        SSLV2, SSLV3, TLSV10, TLSV11, TLSV12, TLSV13, DTLSV10, DTLSV12, DTLSV13,
    ];
    v >> 8 == 0x7f || KNOWN.contains(&v)
}

/// Whether `v` is TLS 1.3 or one of its drafts. Zeek divides by 255, so the range is not quite 0x7f00 to 0x7fff.
pub fn is_tls13(v: u16) -> bool {
    v == TLSV13 || is_draft(v)
}

fn is_draft(v: u16) -> bool {
    v / 0xff == 0x7f
}

/// ssl.log's `version`.
pub fn version(v: u16) -> Cow<'static, str> {
    Cow::Borrowed(match v {
        SSLV2 => "SSLv2",
        SSLV3 => "SSLv3",
        TLSV10 => "TLSv10",
        TLSV11 => "TLSv11",
        TLSV12 => "TLSv12",
        TLSV13 => "TLSv13",
        DTLSV10 => "DTLSv10",
        DTLSV12 => "DTLSv12",
        DTLSV13 => "DTLSv13",
        _ if is_draft(v) => return Cow::Owned(format!("TLSv13-draft{}", v % 0x7f)),
        _ => return Cow::Owned(format!("unknown-{v}")),
    })
}

/// ssl.log's `cipher`: two bytes of TLS or three of SSLv2.
pub fn cipher(v: u32) -> Cow<'static, str> {
    look_up(registry::CIPHERS, v)
}

/// ssl.log's `curve`.
pub fn curve(v: u16) -> Cow<'static, str> {
    look_up(registry::CURVES, v.into())
}

/// ssl.log's `last_alert`.
pub fn alert(v: u16) -> Cow<'static, str> {
    match registry::ALERTS.binary_search_by_key(&u32::from(v), |e| e.0) {
        Ok(i) => Cow::Borrowed(registry::ALERTS[i].1),
        Err(_) => Cow::Owned(format!("unknown-{v}")),
    }
}

fn look_up(table: &'static [(u32, &'static str)], v: u32) -> Cow<'static, str> {
    match table.binary_search_by_key(&v, |e| e.0) {
        Ok(i) => Cow::Borrowed(table[i].1),
        // RFC 8701: both bytes alike, lower half 0xa.
        Err(_) if v <= 0xffff && v & 0x0f0f == 0x0a0a && v >> 8 == v & 0xff => {
            Cow::Owned(format!("grease_0x{v:04X}"))
        }
        Err(_) => Cow::Owned(format!("unknown-{v}")),
    }
}

/// How a suite agrees on keys, as far as its ServerKeyExchange looks different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kex {
    /// Signed ephemeral Diffie-Hellman on a curve.
    Ecdhe {
        /// A pre-shared key is used as well: the message begins with an identity hint and ends without a signature.
        psk: bool,
    },
    /// Unsigned Diffie-Hellman on a curve.
    EcdhAnon,
    /// Signed ephemeral Diffie-Hellman.
    Dhe {
        /// As in [`Kex::Ecdhe`].
        psk: bool,
    },
    /// Unsigned Diffie-Hellman.
    DhAnon,
    /// Nothing to read in it.
    Other,
}

/// The key exchange of a TLS cipher suite, from its name.
pub fn kex(suite: u32) -> Kex {
    let name = cipher(suite);
    // Suites like TLS_PSK_DHE_WITH_AES_128_CCM_8 have the words the other way round.
    let method = name.split("_WITH_").next().unwrap_or("");
    let psk = method.contains("PSK");
    if method.contains("ECDHE") {
        Kex::Ecdhe { psk }
    } else if method.contains("ECDH_ANON") {
        Kex::EcdhAnon
    } else if method.contains("DHE") {
        Kex::Dhe { psk }
    } else if method.contains("DH_ANON") {
        Kex::DhAnon
    } else {
        Kex::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_have_no_code_twice() {
        for t in [registry::CIPHERS, registry::CURVES, registry::ALERTS] {
            assert!(t.windows(2).all(|w| w[0].0 < w[1].0));
        }
    }

    #[test]
    fn names_follow_the_registries_and_the_rules() {
        assert_eq!(version(0x0304), "TLSv13");
        assert_eq!(version(0x7f17), "TLSv13-draft23");
        assert_eq!(version(0x0305), "unknown-773");
        assert_eq!(cipher(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(cipher(0x0700c0), "SSLv20_CK_DES_192_EDE3_CBC_WITH_MD5");
        assert_eq!(cipher(0x3a3a), "grease_0x3A3A");
        assert_eq!(cipher(0x3a4a), "unknown-14922");
        assert_eq!(curve(29), "x25519");
        assert_eq!(curve(0xdada), "grease_0xDADA");
        assert_eq!(alert(40), "handshake_failure");
        assert_eq!(alert(0x0a0a), "unknown-2570");
    }

    #[test]
    fn key_exchange_comes_from_the_suite() {
        assert_eq!(kex(0xc030), Kex::Ecdhe { psk: false });
        assert_eq!(kex(0xc035), Kex::Ecdhe { psk: true });
        assert_eq!(kex(0x0039), Kex::Dhe { psk: false });
        assert_eq!(kex(0x0018), Kex::DhAnon);
        assert_eq!(kex(0xc018), Kex::EcdhAnon);
        assert_eq!(kex(0x002f), Kex::Other);
        assert_eq!(kex(0xc002), Kex::Other);
    }
}
