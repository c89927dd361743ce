//! The protection of Initial packets (RFC 9001, section 5), which anybody can undo who saw the client's first one.

use std::fmt;
use std::ops::Range;

use ring::aead::quic::{self, HeaderProtectionKey};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{self, HKDF_SHA256, Prk, Salt};

use super::names::Family;

/// Bytes of a sample, which the protection of the header is made with.
const SAMPLE: usize = 16;
/// Longest packet number, bytes.
const MAX_NUMBER: usize = 4;
const TAG: usize = 16;

/// What the Initial packets of one side are read with.
pub struct Keys {
    payload: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    header: HeaderProtectionKey,
    /// The packet number that is expected next.
    next: u64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// TLS 1.3's HKDF-Expand-Label (RFC 8446, section 7.1). Nothing only if a label is longer than those are.
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    let (len, name) = (u8::try_from(N).ok()?, u8::try_from(6 + label.len()).ok()?);
    let head = [0, len, name];
    let info: [&[u8]; 4] = [&head, b"tls13 ", label.as_bytes(), &[0]];
    let mut key = [0; N];
    secret.expand(&info, Bytes(N)).ok()?.fill(&mut key).ok()?;
    Some(key)
}

impl Keys {
    /// Of client and server, by the destination of the client's first Initial.
    pub fn pair(family: Family, dcid: &[u8]) -> Option<[Keys; 2]> {
        let initial = Salt::new(HKDF_SHA256, family.salt()).extract(dcid);
        let of = |label| Keys::new(family, &expand::<32>(&initial, label)?);
        Some([of("client in")?, of("server in")?])
    }

    fn new(family: Family, secret: &[u8]) -> Option<Keys> {
        let secret = Prk::new_less_safe(HKDF_SHA256, secret);
        let [key, iv, header] = family.labels();
        let key = UnboundKey::new(&aead::AES_128_GCM, &expand::<16>(&secret, key)?).ok()?;
        Some(Keys {
            payload: LessSafeKey::new(key),
            iv: expand(&secret, iv)?,
            header: HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(&secret, header)?).ok()?,
            next: 0,
        })
    }

    /// The payload of a packet whose number begins, and whose payload ends, at these places. Nothing if it is not theirs.
    pub fn open(&mut self, packet: &[u8], at: &Range<usize>) -> Option<Vec<u8>> {
        let packet = packet.get(..at.end)?;
        let sample = packet.get(at.start.checked_add(MAX_NUMBER)?..)?.get(..SAMPLE)?;
        let mask = self.header.new_mask(sample).ok()?;
        let first = packet.first()? ^ (mask[0] & 0x0f);
        let len = usize::from(first & 3) + 1;
        let mut header = packet.get(..at.start + len)?.to_vec();
        *header.first_mut()? = first;
        let mut number = 0;
        for (b, m) in header.get_mut(at.start..)?.iter_mut().zip(&mask[1..]) {
            *b ^= m;
            number = number << 8 | u64::from(*b);
        }
        let number = self.whole(number, 8 * len as u32);
        let mut payload = packet.get(header.len()..)?.to_vec();
        let nonce = self.nonce(number);
        let open = self
            .payload
            .open_in_place(nonce, Aad::from(&header), &mut payload);
        open.ok()?;
        payload.truncate(payload.len().saturating_sub(TAG));
        self.next = self.next.max(number.saturating_add(1));
        Some(payload)
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut iv = self.iv;
        for (b, n) in iv.iter_mut().rev().zip(number.to_le_bytes()) {
            *b ^= n;
        }
        Nonce::assume_unique_for_key(iv)
    }

    /// The number whose last `bits` were sent: the one next to what is expected (RFC 9000, appendix A.3).
    fn whole(&self, sent: u64, bits: u32) -> u64 {
        let window = 1u64 << bits;
        let near = self.next & !(window - 1) | sent;
        if near + window / 2 <= self.next {
            near + window
        } else if near > self.next + window / 2 && near >= window {
            near - window
        } else {
            near
        }
    }

    /// Protects a packet, whose number begins at `at` and is as long as the first byte says: the way back, for tests and fuzz
    /// targets. Nothing if the packet is too short.
    pub fn seal(&self, mut packet: Vec<u8>, at: usize, number: u64) -> Option<Vec<u8>> {
        let len = usize::from(packet.first()? & 3) + 1;
        if packet.len() < at + MAX_NUMBER {
            return None;
        }
        let mut payload = packet.split_off(at + len);
        let aad = Aad::from(&packet);
        let sealed = self
            .payload
            .seal_in_place_append_tag(self.nonce(number), aad, &mut payload);
        sealed.ok()?;
        packet.extend(payload);
        let sample = packet.get(at + MAX_NUMBER..)?.get(..SAMPLE)?;
        let mask = self.header.new_mask(sample).ok()?;
        *packet.first_mut()? ^= mask[0] & 0x0f;
        for (b, m) in packet.get_mut(at..at + len)?.iter_mut().zip(&mask[1..]) {
            *b ^= m;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).expect("hex")
    }

    /// RFC 9001, appendix A.1 and A.3.
    #[test]
    fn the_published_server_packet_opens() {
        let dcid = hex("8394c8f03e515708");
        let [client, mut server] = Keys::pair(Family::V1, &dcid).expect("keys");
        assert_eq!(client.iv[..], hex("fa044b2f42a3fd3b46fb255c"));
        assert_eq!(server.iv[..], hex("0ac1493ca1905853b0bba03e"));
        let packet = hex("cf000000010008f067a5502a4262b500 4075c0d95a482cd0991cd25b0aac406a
             5816b6394100f37a1c69797554780bb3 8cc5a99f5ede4cf73c3ec2493a1839b3
             dbcba3f6ea46c5b7684df3548e7ddeb9 c3bf9c73cc3f3bded74b562bfb19fb84
             022f8ef4cdd93795d77d06edbb7aaf2f 58891850abbdca3d20398c276456cbc4
             2158407dd074ee");
        let payload = server.open(&packet, &(18..packet.len())).expect("opened");
        assert_eq!(payload[..9], hex("02000000000600405a"));
        assert_eq!((payload.len(), server.next), (99, 2));
        let mut spoilt = packet.clone();
        spoilt[60] ^= 1;
        assert!(server.open(&spoilt, &(18..packet.len())).is_none());
        assert!(server.open(&packet, &(18..packet.len() + 1)).is_none());
        let [_, mut other] = Keys::pair(Family::V2, &dcid).expect("keys");
        assert!(other.open(&packet, &(18..packet.len())).is_none());
    }

    /// RFC 9369, appendix A.1.
    #[test]
    fn version_2_has_keys_of_its_own() {
        let [client, server] = Keys::pair(Family::V2, &hex("8394c8f03e515708")).expect("keys");
        assert_eq!(client.iv[..], hex("91f73e2351d8fa91660e909f"));
        assert_eq!(server.iv[..], hex("dd13c276499c0249d3310652"));
    }

    /// RFC 9000, appendix A.3, and both ends.
    #[test]
    fn numbers_are_the_nearest_to_what_is_expected() {
        let [mut keys, _] = Keys::pair(Family::V1, b"id").expect("keys");
        keys.next = 0xa82f_30eb;
        assert_eq!(keys.whole(0x9b32, 16), 0xa82f_9b32);
        keys.next = 0;
        assert_eq!(keys.whole(0xff, 8), 0xff);
        keys.next = 0x1ff;
        assert_eq!([keys.whole(0, 8), keys.whole(0xf0, 8)], [0x200, 0x1f0]);
    }

    #[test]
    fn what_is_sealed_opens() {
        let [mut keys, _] = Keys::pair(Family::Draft29, b"").expect("keys");
        for number in [0, 1, 300, 70_000] {
            let mut packet = vec![0xc3, 1, 2, 3];
            packet.extend((number as u32).to_be_bytes());
            packet.extend(b"the payload of it");
            let sealed = keys.seal(packet, 4, number).expect("long enough");
            let open = keys.open(&sealed, &(4..sealed.len()));
            assert_eq!(open.as_deref(), Some(&b"the payload of it"[..]));
        }
    }
}
