//! A client and a server that write packets as RFC 9000 and RFC 9001 say, with hellos of RFC 8446.

use super::super::keys::Keys;
use super::super::names::{Family, family};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

pub fn hex(bytes: &[u8]) -> String {
    crate::event::json::hex(bytes)
}

/// Both ends of a connection.
pub struct Peers {
    version: u32,
    family: Family,
    keys: [Keys; 2],
    /// Destination of the client's packets.
    pub id: Vec<u8>,
    scids: [Vec<u8>; 2],
    numbers: [u64; 2],
}

impl Peers {
    /// By the destination of the client's first Initial, and both sides' own connection ids.
    pub fn new(version: u32, id: &[u8], client: &[u8], server: &[u8]) -> Peers {
        let family = family(version).expect("a known version");
        Peers {
            version,
            family,
            keys: Keys::pair(family, id).expect("keys"),
            id: id.to_vec(),
            scids: [client.to_vec(), server.to_vec()],
            numbers: [0; 2],
        }
    }

    /// The first byte of a kind of packet that version 1 numbers so, and up to the connection ids.
    fn header(&self, side: Side, kind: u8) -> Vec<u8> {
        let bits = match self.family {
            Family::V2 => (kind + 1) & 3,
            _ => kind,
        };
        let mut header = vec![0xc0 | bits << 4];
        header.extend(self.version.to_be_bytes());
        let dcid = match side {
            Side::Client if self.numbers[1] > 0 => &self.scids[1],
            Side::Client => &self.id,
            Side::Server => &self.scids[0],
        };
        for id in [dcid, &self.scids[side as usize]] {
            header.push(id.len() as u8);
            header.extend(id);
        }
        header
    }

    /// An Initial packet with these pieces of CRYPTO; a client's is filled up to 1200 bytes.
    pub fn initial(&mut self, side: Side, pieces: &[(u64, &[u8])]) -> Vec<u8> {
        let mut payload = b"\x01".to_vec();
        for (offset, data) in pieces {
            payload.push(6);
            payload.extend(varint(*offset));
            payload.extend(varint(data.len() as u64));
            payload.extend(*data);
        }
        let least = if side == Side::Client { 1162 } else { 4 };
        payload.resize(payload.len().max(least), 0);
        self.sealed(side, &payload)
    }

    /// An Initial packet with this payload.
    pub fn sealed(&mut self, side: Side, payload: &[u8]) -> Vec<u8> {
        let mut packet = self.header(side, 0);
        let number = self.numbers[side as usize];
        self.numbers[side as usize] += 1;
        // A number of two bytes.
        packet[0] |= 1;
        packet.push(0);
        packet.extend(varint(2 + payload.len().max(2) as u64 + 16));
        let at = packet.len();
        packet.extend((number as u16).to_be_bytes());
        packet.extend(payload);
        packet.resize(packet.len().max(at + 4), 0);
        self.keys[side as usize]
            .seal(packet, at, number)
            .expect("long enough")
    }

    /// A packet of the rest of the handshake.
    pub fn handshake(&self, side: Side) -> Vec<u8> {
        let mut packet = self.header(side, 2);
        packet.extend(varint(40));
        packet.extend([0x5a; 40]);
        packet
    }

    /// A packet of early data.
    pub fn zero_rtt(&self) -> Vec<u8> {
        let mut packet = self.header(Side::Client, 1);
        packet.extend(varint(70));
        packet.extend([0x5a; 70]);
        packet
    }
}

fn varint(n: u64) -> Vec<u8> {
    match n {
        0..0x40 => vec![n as u8],
        0x40..0x4000 => (n as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (n as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn extension(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &vec16(body)].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

/// A hello that offers these protocols, with a key of so many bytes.
pub fn client_hello(name: &str, protocols: &[&str], key: usize) -> Vec<u8> {
    let name = [&[0][..], &vec16(name.as_bytes())].concat();
    let protocols: Vec<u8> = protocols.iter().flat_map(|p| vec8(p.as_bytes())).collect();
    let share = [&[0, 29][..], &vec16(&vec![7; key])].concat();
    let extensions = [
        extension(0, &vec16(&name)),
        extension(16, &vec16(&protocols)),
        extension(43, &vec8(&[3, 4])),
        extension(51, &vec16(&share)),
        extension(57, &[4, 4, 0x80, 0, 0xff, 0xff]),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[9; 32],
        &[0],
        &vec16(&[0x13, 1, 0x13, 2]),
        &[1, 0],
        &vec16(&extensions),
    ]
    .concat();
    message(1, &body)
}

fn hello_of_server(random: &[u8; 32], share: &[u8]) -> Vec<u8> {
    let extensions = [extension(43, &[3, 4]), extension(51, share)].concat();
    let body = [&[3, 3][..], random, &[0], &[0x13, 1], &[0], &vec16(&extensions)].concat();
    message(2, &body)
}

pub fn server_hello() -> Vec<u8> {
    hello_of_server(&[8; 32], &[&[0, 29][..], &vec16(&[7; 32])].concat())
}

/// A server that wants another group.
pub fn retry_request() -> Vec<u8> {
    let random = b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    hello_of_server(random, &[0, 29])
}
