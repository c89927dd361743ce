//! QUIC's versions: what they are called, how they number their packets, and what their Initial packets are protected with.

use std::borrow::Cow;

/// Version 1 (RFC 9000).
pub const V1: u32 = 1;
/// Version 2 (RFC 9369).
pub const V2: u32 = 0x6b33_43cf;

/// What kind of packet a long header is of (RFC 9000, section 17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries the first handshake messages; anybody can read it.
    Initial,
    /// Carries data before the handshake is over.
    ZeroRtt,
    /// Carries the rest of the handshake.
    Handshake,
    /// Asks the client to begin anew.
    Retry,
}

/// How versions differ in what is read of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Drafts 23 to 28, and some of mvfst's.
    Draft23,
    /// Draft 22, and the first of mvfst's.
    Draft22,
    /// Drafts 29 to 32.
    Draft29,
    /// Version 1, and drafts 33 and 34.
    V1,
    /// Version 2.
    V2,
}

/// What is known of a version; nothing of one that is not read.
pub fn family(version: u32) -> Option<Family> {
    Some(match version {
        V1 | 0xff00_0021 | 0xff00_0022 => Family::V1,
        V2 => Family::V2,
        0xff00_001d..=0xff00_0020 => Family::Draft29,
        0xff00_0017..=0xff00_001c => Family::Draft23,
        0xff00_0016 | 0xface_b001 => Family::Draft22,
        0xface_b002 | 0xface_b00e | 0xface_b011..=0xface_b013 => Family::Draft23,
        _ => return None,
    })
}

/// Whether a version is none: that of a packet that negotiates one, or one that is reserved to force that (RFC 9000,
/// sections 15 and 17.2.1).
pub fn negotiates(version: u32) -> bool {
    version == 0 || version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

/// What quic.log calls a version (Zeek's `QUIC::version_strings`).
pub fn version(version: u32) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        V1 => "1",
        V2 => "quicv2",
        0xff00_0016 => "draft-22",
        0xff00_0017 => "draft-23",
        0xff00_0018 => "draft-24",
        0xff00_0019 => "draft-25",
        0xff00_001a => "draft-26",
        0xff00_001b => "draft-27",
        0xff00_001c => "draft-28",
        0xff00_001d => "draft-29",
        0xff00_001e => "draft-30",
        0xff00_001f => "draft-31",
        0xff00_0020 => "draft-32",
        0xff00_0021 => "draft-33",
        0xff00_0022 => "draft-34",
        0xface_b001 => "mvfst (faceb001)",
        0xface_b002 => "mvfst (faceb002)",
        0xface_b00e => "mvfst (faceb00e)",
        0xface_b011 => "mvfst (faceb011)",
        0xface_b012 => "mvfst (faceb012)",
        0xface_b013 => "mvfst (faceb013)",
        other => return Cow::Owned(format!("unknown-{other:x}")),
    })
}

impl Family {
    /// The kind that two bits of the first byte say.
    pub fn kind(self, bits: u8) -> Kind {
        // Version 2 counts from one.
        let from = match self {
            Family::V2 => bits.wrapping_sub(1),
            _ => bits,
        };
        match from & 3 {
            0 => Kind::Initial,
            1 => Kind::ZeroRtt,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        }
    }

    /// What Initial secrets are made with, beside the client's first connection id (RFC 9001, section 5.2).
    pub fn salt(self) -> &'static [u8; 20] {
        match self {
            Family::V1 => b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
            Family::V2 => b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
            Family::Draft29 => {
                b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
            }
            Family::Draft23 => {
                b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
            }
            Family::Draft22 => {
                b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
            }
        }
    }

    /// The labels of packet protection's key, IV and header protection key (RFC 9001, section 5.1; RFC 9369, section 3.3.1).
    pub fn labels(self) -> [&'static str; 3] {
        match self {
            Family::V2 => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            _ => ["quic key", "quic iv", "quic hp"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names_and_number_their_packets() {
        assert_eq!(version(V1), "1");
        assert_eq!(version(0xff00_001f), "draft-31");
        assert_eq!(version(0x1001_0000), "unknown-10010000");
        let kinds = [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry];
        assert_eq!([0, 1, 2, 3].map(|bits| Family::V1.kind(bits)), kinds);
        assert_eq!([1, 2, 3, 0].map(|bits| Family::V2.kind(bits)), kinds);
        assert_eq!([0xff00_001d, 0xff00_0020].map(family), [Some(Family::Draft29); 2]);
        assert_eq!(family(0), None);
        assert!(negotiates(0) && negotiates(0x1a2a_3a4a) && !negotiates(V1));
    }
}
