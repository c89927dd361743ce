//! What two sides agree on, out of what each of them offers (RFC 4253, section 7.1).

use md5::{Digest, Md5};

use super::wire::KexInit;
use crate::event::json::{hex, hex_colons};

/// Most names of a list that are read (Zeek: SSH::max_kexinit_kex_algorithms and its like). Real lists have some twenty.
pub const MOST_NAMES: usize = 100;
/// Zeek's words where no algorithm is both sides'.
const NONE: &[u8] = b"Algorithm negotiation failed";

/// The names on a list, at most [`MOST_NAMES`].
pub fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| *b == b',').take(MOST_NAMES)
}

/// How many names are on a list.
pub fn count(list: &[u8]) -> usize {
    1 + list.iter().filter(|b| **b == b',').count()
}

/// The first of the client's names that is the server's, too.
pub fn common<'c>(client: &'c [u8], server: &[u8]) -> Option<&'c [u8]> {
    let server: Vec<_> = names(server).collect();
    names(client).find(|name| server.contains(name))
}

/// What two lists lead to, in ssh.log's words.
pub fn agreed(client: &[u8], server: &[u8]) -> Vec<u8> {
    common(client, server).unwrap_or(NONE).to_vec()
}

/// The same of two directions, the client's first. They are nearly always alike.
pub fn agreed_both(client: [&[u8]; 2], server: [&[u8]; 2]) -> Vec<u8> {
    let [up, down] = [0, 1].map(|i| agreed(client[i], server[i]));
    match up == down {
        true => up,
        false => [b"To server: ", &up[..], b", to client: ", &down].concat(),
    }
}

/// hassh of what a side offers: MD5 of four lists of the direction in which it sends, as they came.
pub fn hassh(offer: &KexInit<'_>, is_server: bool) -> String {
    let own = usize::from(is_server);
    let lists = [
        offer.kex,
        offer.encryption[own],
        offer.mac[own],
        offer.compression[own],
    ];
    hex(&Md5::digest(lists.join(&b';')))
}

/// MD5 of a key that is in these parts, as OpenSSH shows it.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    hex_colons(&md5.finalize())
}
