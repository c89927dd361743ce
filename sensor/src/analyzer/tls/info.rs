//! What is known of a TLS connection for its ssl.log row, and how each message changes it.
//!
//! Knows no bytes of the wire: the session calls it with what it has read, in the order of Zeek's events.

use std::borrow::Cow;
use std::sync::Arc;

use super::fingerprint::Hello;
use super::log::{Fingerprints, Offers, SslRow, Subjects, Validation};
use super::names;
use super::shared::{TlsConfig, Transport};
use crate::event::{ConnId, Ts};
use crate::file::x509::Certificate;

/// Longest history, letters; what comes after is not written (Zeek's `max_ssl_history_length`).
const MAX_HISTORY: usize = 100;

/// The random that marks a ServerHello as a HelloRetryRequest (RFC 8446 section 4.1.3).
pub(super) const HELLO_RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A session id as Zeek hands it on: always 32 bytes, short ones filled up with zeros, none and too long ones zeros.
pub(super) type SessionId = [u8; 32];

/// See [`SessionId`].
pub(super) fn session_id(wire: &[u8]) -> SessionId {
    let mut id = [0; 32];
    if let Some(head) = id.get_mut(..wire.len()) {
        head.copy_from_slice(wire);
    }
    id
}

/// Columns that are there on request.
#[derive(Debug, Default)]
struct Extra {
    ja3: Option<String>,
    ja3s: Option<String>,
    ja4: Option<String>,
    validation_status: Option<Cow<'static, str>>,
    offers: Offers,
}

/// The state behind one ssl.log row.
#[derive(Debug, Default)]
pub(super) struct SslInfo {
    ts: Ts,
    version: Option<u16>,
    cipher: Option<u32>,
    curve: Option<u16>,
    server_name: Option<Vec<u8>>,
    next_protocol: Option<Vec<u8>>,
    last_alert: Option<u16>,
    session_id: Option<SessionId>,
    resumed: bool,
    established: bool,
    ticket_and_no_session_id: bool,
    client_key_exchange: bool,
    client_psk: bool,
    hello_retry: bool,
    history: String,
    /// What columns on request hold.
    extra: Option<Box<Extra>>,
    /// Chains of server and client, `None` inside for what could not be parsed; unset until a certificate came.
    chains: Option<[Vec<Option<Arc<Certificate>>>; 2]>,
}

impl SslInfo {
    pub(super) fn new(ts: Ts) -> SslInfo {
        SslInfo {
            ts,
            ..SslInfo::default()
        }
    }

    /// Whether the version of the ServerHello is known.
    pub(super) fn has_version(&self) -> bool {
        self.version.is_some()
    }

    /// Adds a letter, upper case for the client's. True when this was the last one that fits.
    pub(super) fn letter(&mut self, is_client: bool, letter: char) -> bool {
        if self.history.len() >= MAX_HISTORY {
            return false;
        }
        self.history.push(if is_client {
            letter.to_ascii_uppercase()
        } else {
            letter
        });
        self.history.len() == MAX_HISTORY
    }

    /// The hellos came the other way round.
    pub(super) fn flipped(&mut self) {
        if self.history.len() < MAX_HISTORY {
            self.history.push('^');
        }
    }

    pub(super) fn client_hello(&mut self, id: SessionId) {
        if id != [0; 32] {
            self.session_id = Some(id);
            self.ticket_and_no_session_id = false;
        }
    }

    pub(super) fn server_hello(&mut self, version: u16, random: &[u8], id: SessionId, cipher: u32) {
        // An extension before has the last word.
        let version = *self.version.get_or_insert(version);
        self.cipher = Some(cipher);
        if random == HELLO_RETRY_RANDOM {
            self.hello_retry = true;
        }
        if self.session_id == Some(id) && !names::is_tls13(version) {
            self.resumed = true;
        }
    }

    /// The version a server names in its supported_versions extension.
    pub(super) fn server_version(&mut self, version: u16) {
        self.version = Some(version);
    }

    /// The group of a ServerKeyExchange or of a server's key share.
    pub(super) fn curve(&mut self, curve: u16) {
        self.curve = Some(curve);
    }

    pub(super) fn server_name(&mut self, name: &[u8]) {
        self.server_name = Some(name.to_owned());
    }

    pub(super) fn next_protocol(&mut self, name: &[u8]) {
        self.next_protocol = Some(name.to_owned());
    }

    pub(super) fn extension(&mut self, is_client: bool, code: u16, empty: bool) {
        match (code, is_client) {
            (super::ext::SESSION_TICKET, true) if !empty => self.ticket_and_no_session_id = true,
            (super::ext::PRE_SHARED_KEY, true) => self.client_psk = true,
            (super::ext::PRE_SHARED_KEY, false) if self.client_psk => self.resumed = true,
            _ => {}
        }
    }

    /// The letter of a handshake message; true as for [`SslInfo::letter`].
    pub(super) fn handshake(&mut self, is_client: bool, msg_type: u8) -> bool {
        if is_client && msg_type == super::hs::CLIENT_KEY_EXCHANGE {
            self.client_key_exchange = true;
        }
        let letter = match msg_type {
            0 => 'h',
            1 => 'c',
            2 if std::mem::take(&mut self.hello_retry) => 'j',
            2 => 's',
            3 => 'v',
            4 => 't',
            5 => 'e',
            6 => 'j',
            8 => 'o',
            11 => 'x',
            12 => 'k',
            13 => 'r',
            14 => 'n',
            15 => 'y',
            16 => 'g',
            20 => 'f',
            21 => 'w',
            22 => 'u',
            23 => 'a',
            24 => 'p',
            254 => 'm',
            _ => 'z',
        };
        self.letter(is_client, letter)
    }

    pub(super) fn change_cipher_spec(&mut self, is_client: bool) -> bool {
        if is_client && self.ticket_and_no_session_id && !self.client_key_exchange {
            self.resumed = true;
        }
        self.letter(is_client, 'i')
    }

    pub(super) fn alert(&mut self, is_client: bool, desc: u16) -> bool {
        self.last_alert = Some(desc);
        self.letter(is_client, 'l')
    }

    pub(super) fn established(&mut self) {
        self.established = true;
    }

    pub(super) fn is_established(&self) -> bool {
        self.established
    }

    pub(super) fn certificate(&mut self, is_client: bool, cert: Option<Arc<Certificate>>) {
        self.chains.get_or_insert_default()[usize::from(is_client)].push(cert);
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Of the first ClientHello; one after a retry request says less.
    pub(super) fn client_fingerprints(&mut self, hello: &Hello, transport: Transport) {
        let extra = self.extra();
        if extra.ja3.is_none() {
            extra.ja3 = Some(hello.ja3());
            extra.ja4 = Some(hello.ja4(transport));
        }
    }

    /// Of the last ServerHello: the first may be a retry request.
    pub(super) fn server_fingerprint(&mut self, hello: &Hello) {
        self.extra().ja3s = Some(hello.ja3s());
    }

    /// What hellos offer and choose, to be written to.
    pub(super) fn offers(&mut self) -> &mut Offers {
        &mut self.extra().offers
    }

    /// What is to be thought of the server's chain.
    pub(super) fn validation(&mut self, status: Cow<'static, str>) {
        self.extra().validation_status = Some(status);
    }

    /// The row as things stand, with the columns that `settings` asks for.
    pub(super) fn row(&self, c: &ConnId, settings: &TlsConfig) -> SslRow {
        let fps = |i: usize| {
            self.chains
                .as_ref()
                .map(|ch| ch[i].iter().flatten().map(|c| c.fingerprint.clone()).collect())
        };
        let leaf = |i: usize| self.chains.as_ref().and_then(|ch| ch[i].first()?.as_deref());
        let sni_matches_cert = match (leaf(0), &self.server_name) {
            (Some(cert), Some(name)) => Some(cert.matches_host(name)),
            _ => None,
        };
        SslRow {
            ts: self.ts,
            c: *c,
            version: self.version.map(names::version),
            cipher: self.cipher.map(names::cipher),
            curve: self.curve.map(names::curve),
            server_name: self.server_name.clone(),
            resumed: self.resumed,
            last_alert: self.last_alert.map(names::alert),
            next_protocol: self.next_protocol.clone(),
            established: self.established,
            ssl_history: self.history.clone(),
            cert_chain_fps: fps(0),
            client_cert_chain_fps: fps(1),
            sni_matches_cert,
            subjects: settings.extras.subjects.then(|| {
                let subject = |i| leaf(i).map(|c: &Certificate| c.subject.clone());
                let issuer = |i| leaf(i).map(|c: &Certificate| c.issuer.clone());
                Subjects {
                    subject: subject(0),
                    issuer: issuer(0),
                    client_subject: subject(1),
                    client_issuer: issuer(1),
                }
            }),
            fingerprints: settings.extras.fingerprints.then(|| {
                let extra = self.extra.as_deref();
                Fingerprints {
                    ja3: extra.and_then(|e| e.ja3.clone()),
                    ja3s: extra.and_then(|e| e.ja3s.clone()),
                    ja4: extra.and_then(|e| e.ja4.clone()),
                }
            }),
            offers: settings.extras.offers.then(|| {
                let extra = self.extra.as_deref();
                extra.map(|e| e.offers.clone()).unwrap_or_default()
            }),
            validation: settings.validator.as_ref().map(|_| Validation {
                validation_status: self.extra.as_deref().and_then(|e| e.validation_status.clone()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_filled_up_and_too_long_ones_dropped() {
        assert_eq!(session_id(&[7])[..2], [7, 0]);
        assert_eq!(session_id(&[7; 32]), [7; 32]);
        assert_eq!(session_id(&[7; 33]), [0; 32]);
    }

    #[test]
    fn the_same_session_id_is_a_resumption_but_not_in_tls_1_3() {
        let mut i = SslInfo::new(0);
        i.client_hello([1; 32]);
        i.server_hello(0x0303, &[0; 32], [1; 32], 0x2f);
        assert!(i.resumed);
        let mut i = SslInfo::new(0);
        i.client_hello([1; 32]);
        i.server_version(0x0304);
        i.server_hello(0x0303, &[0; 32], [1; 32], 0x1301);
        assert!(!i.resumed);
        assert_eq!(i.version, Some(0x0304));
    }

    #[test]
    fn a_ticket_is_a_resumption_when_no_key_is_exchanged() {
        let mut i = SslInfo::new(0);
        i.extension(true, super::super::ext::SESSION_TICKET, false);
        i.client_hello([0; 32]);
        i.change_cipher_spec(true);
        assert!(i.resumed);
        let mut i = SslInfo::new(0);
        i.extension(true, super::super::ext::SESSION_TICKET, false);
        i.client_hello([0; 32]);
        i.handshake(true, 16);
        i.change_cipher_spec(true);
        assert!(!i.resumed);
    }

    #[test]
    fn history_is_bounded_and_a_retry_request_has_its_own_letter() {
        let mut i = SslInfo::new(0);
        i.handshake(true, 1);
        i.server_hello(0x0303, &HELLO_RETRY_RANDOM, [0; 32], 0x1301);
        i.handshake(false, 2);
        i.handshake(false, 2);
        assert_eq!(i.history, "Cjs");
        let full = (0..500).filter(|_| i.alert(true, 0)).count();
        assert_eq!((full, i.history.len()), (1, MAX_HISTORY));
    }
}
