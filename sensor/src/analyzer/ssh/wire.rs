//! SSH's bytes before they are encrypted: version lines, packets (RFC 4253, section 6), messages of key exchanges. What is
//! unsound is said in the words of Zeek's parser.

/// Longest packet, bytes. A larger length field counts as this, as in Zeek.
pub const MAX_PACKET: u32 = 8 << 20;
/// Longest string, bytes; the same.
pub const MAX_STRING: u32 = 2 << 20;
/// Bytes of a packet that are kept to be read: as many as OpenSSH takes. Real ones of a key exchange stay below 5000.
const MAX_KEPT: usize = 256 * 1024;
/// Bytes of the length field.
const LEN_FIELD: u64 = 4;

/// Version 2: encryption begins behind it.
pub const MSG_NEWKEYS: u8 = 21;
/// The only two messages of version 1 before encryption: the server's, then the client's.
pub const SMSG_PUBLIC_KEY: u8 = 2;
pub const CMSG_SESSION_KEY: u8 = 3;

/// What a side's version line offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Unknown,
    V1,
    V2,
    /// Both versions (`1.99`).
    Both,
}

impl Offer {
    /// Of a line; None if it is no version.
    pub fn of(line: &[u8]) -> Option<Offer> {
        let rest = line.strip_prefix(b"SSH-")?;
        Some(match rest {
            [b'2', ..] => Offer::V2,
            [b'1', _, b'9', b'9', ..] => Offer::Both,
            [b'1', ..] => Offer::V1,
            _ => Offer::Unknown,
        })
    }

    /// The version that two sides speak, 1 or 2.
    pub fn common(self, other: Offer) -> Option<u8> {
        use Offer::{Both, V1, V2};
        match (self, other) {
            (V1, V1) | (V1, Both) | (Both, V1) => Some(1),
            (V2, V2) | (V2, Both) | (Both, V2) | (Both, Both) => Some(2),
            _ => None,
        }
    }
}

/// What a version line says of the software: what follows the protocol's version, without any of the digits, dots and
/// hyphens there.
pub fn software(line: &[u8]) -> &[u8] {
    let rest = line.strip_prefix(b"SSH").unwrap_or(line);
    let is_version = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'-');
    let from = rest.iter().position(|b| !is_version(b)).unwrap_or(rest.len());
    rest.get(from..).unwrap_or(&[])
}

/// What a server says before its version, as far as Zeek's pattern for it goes.
pub fn pre_banner(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| matches!(b, b'[' | 0xc0 | 0xc1));
    line.get(..end.unwrap_or(line.len())).unwrap_or(line)
}

/// A packet that has begun. Positions count from its length field.
#[derive(Debug, Default)]
pub struct Packet {
    /// Bytes taken so far.
    seen: u64,
    len: u32,
    total: u64,
    /// Its bytes behind the length field.
    kept: Vec<u8>,
}

/// A packet that came to its end.
#[derive(Debug)]
pub struct Whole {
    /// Its length field, at most [`MAX_PACKET`].
    len: usize,
    /// Where its type is in `kept`.
    type_at: usize,
    kept: Vec<u8>,
}

impl Packet {
    /// Takes the packet's bytes off the front of `bytes`; gives the packet once it is whole. `too_long` is told of a length
    /// field that is beyond [`MAX_PACKET`].
    pub fn take(&mut self, version: u8, bytes: &mut &[u8], too_long: impl FnOnce(u32)) -> Option<Whole> {
        while self.seen < LEN_FIELD {
            let (&b, rest) = bytes.split_first()?;
            *bytes = rest;
            self.len = self.len << 8 | u32::from(b);
            self.seen += 1;
        }
        // Version 1 puts 1 to 8 bytes of padding before the type and does not count them; version 2 counts the padding's
        // length before the type.
        let padding = |len: u32| match version {
            1 => 8 - len % 8,
            _ => 0,
        };
        if self.total == 0 {
            if self.len > MAX_PACKET {
                too_long(self.len);
            }
            self.len = self.len.min(MAX_PACKET);
            self.total = LEN_FIELD + u64::from(padding(self.len)) + u64::from(self.len);
        }
        let n = usize::try_from(self.total - self.seen)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        let room = MAX_KEPT.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(part.get(..room).unwrap_or(part));
        self.seen += n as u64;
        if self.seen < self.total {
            return None;
        }
        let whole = std::mem::take(self);
        Some(Whole {
            len: whole.len as usize,
            type_at: match version {
                1 => padding(whole.len) as usize,
                _ => 1,
            },
            kept: whole.kept,
        })
    }
}

impl Whole {
    /// The message's type; 0 where there is none.
    pub fn kind(&self) -> u8 {
        self.kept.get(self.type_at).copied().unwrap_or(0)
    }

    /// Whether all its bytes are at hand.
    pub fn is_kept(&self) -> bool {
        self.len <= MAX_KEPT - 8
    }

    /// The message behind its type, without what stands around it: padding in version 2, a checksum in version 1.
    pub fn payload(&self, version: u8) -> Result<&[u8], Unsound> {
        let behind = self.kept.get(self.type_at + 1..).unwrap_or(&[]);
        let around = match version {
            1 => 4,
            _ => usize::from(self.kept.first().copied().unwrap_or(0)),
        };
        let n = behind.len().checked_sub(around);
        n.and_then(|n| behind.get(..n)).ok_or_else(|| {
            let len = behind.len() as i64 - around as i64;
            let message = match version {
                1 => "SSH1_Message",
                _ => "SSH2_Message",
            };
            Unsound::out_of_bound(message, len, behind.len())
        })
    }
}

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsound {
    /// A violation's reason.
    pub reason: String,
    /// The length of a string, if it is beyond [`MAX_STRING`].
    pub too_long: Option<u32>,
}

impl Unsound {
    fn out_of_bound(field: &str, needed: i64, given: usize) -> Unsound {
        Unsound {
            reason: format!("out_of_bound: {field}: {needed} > {given}"),
            too_long: None,
        }
    }

    /// No message of that type is known there.
    pub fn case(of: &str, kind: u8) -> Unsound {
        Unsound {
            reason: format!("invalid index for case: {of}: {kind}"),
            too_long: None,
        }
    }
}

/// A KEXINIT (RFC 4253, section 7.1): lists of names, separated by commas. Of two, the first is for what the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KexInit<'m> {
    pub cookie: &'m [u8],
    pub kex: &'m [u8],
    pub host_key: &'m [u8],
    pub encryption: [&'m [u8]; 2],
    pub mac: [&'m [u8]; 2],
    pub compression: [&'m [u8]; 2],
    pub languages: [&'m [u8]; 2],
}

impl<'m> KexInit<'m> {
    /// Reads a message.
    pub fn read(payload: &'m [u8]) -> Result<KexInit<'m>, Unsound> {
        let mut r = Reader(payload);
        let cookie = r.bytes(16, "SSH2_KEXINIT:cookie")?;
        let mut list = || r.string();
        let kex_init = KexInit {
            cookie,
            kex: list()?,
            host_key: list()?,
            encryption: [list()?, list()?],
            mac: [list()?, list()?],
            compression: [list()?, list()?],
            languages: [list()?, list()?],
        };
        // Whether a guess follows, and what is reserved.
        r.bytes(5, "SSH2_KEXINIT:reserved")?;
        Ok(kex_init)
    }
}

/// How keys are exchanged, as far as messages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Diffie-Hellman in a group that both know (RFC 4253, section 8).
    Dh,
    /// In one that the server chooses (RFC 4419).
    DhGex,
    /// On a curve (RFC 5656), or with a key encapsulation beside it: the messages are the same.
    Ecc,
    /// Through GSS-API (RFC 4462).
    Gss,
    /// By RSA (RFC 4432).
    Rsa,
}

impl Method {
    /// That of an algorithm, if it is known. Zeek 8.0 does not know group 18, later ones do.
    pub fn of(algorithm: &[u8]) -> Option<Method> {
        Some(match algorithm {
            b"rsa1024-sha1" | b"rsa2048-sha256" => Method::Rsa,
            b"diffie-hellman-group1-sha1"
            | b"diffie-hellman-group14-sha1"
            | b"diffie-hellman-group14-sha256"
            | b"diffie-hellman-group16-sha512"
            | b"diffie-hellman-group18-sha512" => Method::Dh,
            b"diffie-hellman-group-exchange-sha1" | b"diffie-hellman-group-exchange-sha256" => Method::DhGex,
            b"ecmqv-sha2" => Method::Ecc,
            a if a.starts_with(b"gss-") => Method::Gss,
            a if [
                &b"ecdh-sha2-"[..],
                b"curve25519-sha256",
                b"sntrup761x25519-sha512",
                b"mlkem",
            ]
            .iter()
            .any(|known| a.starts_with(known)) =>
            {
                Method::Ecc
            }
            _ => return None,
        })
    }
}

/// A message of a key exchange, as far as something is said of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'m> {
    KexInit(KexInit<'m>),
    /// The client's part of Diffie-Hellman.
    DhInit,
    /// The group of one.
    DhGroup {
        p: &'m [u8],
        g: &'m [u8],
    },
    /// The server's key.
    HostKey(&'m [u8]),
    /// The client's key on a curve.
    EccInit(&'m [u8]),
    /// The server's key, and its key on a curve.
    EccReply {
        host_key: &'m [u8],
        q: &'m [u8],
    },
    GssInit,
    GssError {
        major: u32,
        minor: u32,
        message: &'m [u8],
    },
    RsaSecret,
    Other,
}

impl<'m> Message<'m> {
    /// The message of type `kind` behind it. What it is depends on the key exchange; before one is agreed on, Zeek takes all
    /// for KEXINIT.
    pub fn read(method: Option<Method>, kind: u8, payload: &'m [u8]) -> Result<Message<'m>, Unsound> {
        let mut r = Reader(payload);
        let Some(method) = method else {
            return KexInit::read(payload).map(Message::KexInit);
        };
        Ok(match (method, kind) {
            (Method::Dh, 30) | (Method::DhGex, 32) => {
                r.string()?;
                Message::DhInit
            }
            (Method::Dh, 31) | (Method::DhGex, 33) => {
                let [host_key, _, _] = r.strings()?;
                Message::HostKey(host_key)
            }
            (Method::DhGex, 31) | (Method::Gss, 41) => {
                let [p, g] = r.strings()?;
                Message::DhGroup { p, g }
            }
            (Method::Dh | Method::DhGex, _) => Message::Other,
            (Method::Ecc, 30) => Message::EccInit(r.string()?),
            (Method::Ecc, 31) => {
                let [host_key, q, _] = r.strings()?;
                Message::EccReply { host_key, q }
            }
            (Method::Ecc, _) => return Err(Unsound::case("SSH2_Key_Exchange_ECC_Message", kind)),
            (Method::Gss, 30) => {
                let [_, _] = r.strings()?;
                Message::GssInit
            }
            (Method::Gss, 33) => Message::HostKey(r.string()?),
            (Method::Gss, 34) => {
                let [major, minor] = [
                    r.long("SSH2_GSS_ERROR:major_status")?,
                    r.long("SSH2_GSS_ERROR:minor_status")?,
                ];
                let [message, _] = r.strings()?;
                Message::GssError {
                    major,
                    minor,
                    message,
                }
            }
            (Method::Gss, 31 | 32 | 40) => Message::Other,
            (Method::Gss, _) => return Err(Unsound::case("SSH2_Key_Exchange_GSS_Message", kind)),
            (Method::Rsa, 31) => {
                r.string()?;
                Message::RsaSecret
            }
            (Method::Rsa, 30 | 32) => Message::Other,
            (Method::Rsa, _) => return Err(Unsound::case("SSH2_Key_Exchange_RSA_Message", kind)),
        })
    }
}

/// The server's key in version 1.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicKey<'m> {
    pub modulus: &'m [u8],
    pub exponent: &'m [u8],
}

impl<'m> PublicKey<'m> {
    /// Reads SMSG_PUBLIC_KEY: a cookie, a key for the session, the host's key; each key's bits, exponent and modulus.
    pub fn read(payload: &'m [u8]) -> Result<PublicKey<'m>, Unsound> {
        let mut r = Reader(payload);
        r.bytes(8, "SSH1_PUBLIC_KEY:cookie")?;
        let mut key = |bits: &str| {
            r.long(bits)?;
            let [exponent, modulus] = [r.number()?, r.number()?];
            Ok(PublicKey { modulus, exponent })
        };
        key("SSH1_PUBLIC_KEY:server_key")?;
        let host_key = key("SSH1_PUBLIC_KEY:host_key")?;
        r.bytes(12, "SSH1_PUBLIC_KEY:supported_auths")?;
        Ok(host_key)
    }
}

/// Takes fields off the front, big-endian.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn bytes(&mut self, n: usize, field: &str) -> Result<&'m [u8], Unsound> {
        let (bytes, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| Unsound::out_of_bound(field, n as i64, self.0.len()))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn long(&mut self, field: &str) -> Result<u32, Unsound> {
        let bytes = self.bytes(4, field)?;
        Ok(bytes.iter().fold(0, |v, b| v << 8 | u32::from(*b)))
    }

    /// A `string` (RFC 4251, section 5).
    fn string(&mut self) -> Result<&'m [u8], Unsound> {
        let given = self.0.len();
        let len = self.long("ssh_string:len")?;
        let n = len.min(MAX_STRING);
        let (val, rest) = self.0.split_at_checked(n as usize).ok_or_else(|| Unsound {
            too_long: (len > MAX_STRING).then_some(len),
            ..Unsound::out_of_bound("ssh_string:val", 4 + i64::from(n), given)
        })?;
        self.0 = rest;
        Ok(val)
    }

    fn strings<const N: usize>(&mut self) -> Result<[&'m [u8]; N], Unsound> {
        let mut strings = [&[][..]; N];
        for string in &mut strings {
            *string = self.string()?;
        }
        Ok(strings)
    }

    /// A number of version 1: its bits, then its bytes.
    fn number(&mut self) -> Result<&'m [u8], Unsound> {
        let given = self.0.len();
        let bits = self.bytes(2, "ssh1_mp_int:len")?;
        let n = bits.iter().fold(0, |v, b| v << 8 | usize::from(*b)).div_ceil(8);
        let (val, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| Unsound::out_of_bound("ssh1_mp_int:val", 2 + n as i64, given))?;
        self.0 = rest;
        Ok(val)
    }
}
