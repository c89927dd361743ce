//! What TLS over streams and over datagrams have in common: negotiated state, events, the log row.
//!
//! Record layers frame; [`super::handshake`] reads messages; here is what follows from them.

use super::events;
use super::info::{HELLO_RETRY_RANDOM, SessionId, SslInfo};
use super::shared::{Heard, SharedTls, Transport};
use super::{certificate_type, content, names};
use crate::analyzer::api::{Ctx, IGNORE_VIOLATIONS_AFTER};
use crate::base::time::SECOND;
use crate::event::{ConnId, Event, Kind, Ts};
use crate::file::{Carrier, Handle, News, Piece};

/// More violations than these are not told (Zeek's `max_analyzer_violations`).
const MAX_VIOLATIONS: u32 = 1000;

/// One TLS session on one connection.
#[derive(Debug)]
pub(super) struct Session {
    transport: Transport,
    /// What hellos said, for QUIC.
    pub(super) heard: Heard,
    pub(super) shared: SharedTls,
    info: Option<Box<SslInfo>>,
    logged: bool,
    confirmed: bool,
    /// When a confirmed session was established.
    over: Option<Ts>,
    /// Cipher suite of the ServerHello.
    pub(super) cipher: Option<u32>,
    /// Version of the ServerHello, 0 before it.
    pub(super) version: u16,
    /// Version of the record being read; 0 for SSLv2.
    pub(super) record_version: u16,
    /// The client is the connection's responder.
    flipped: bool,
    /// A hello has said who is client.
    direction_known: bool,
    direction_weird: bool,
    early_weird: bool,
    /// The connection's start was not seen.
    pub(super) start_unseen: bool,
    /// What the Certificate messages of server and client are.
    pub(super) certificate_types: [u8; 2],
    /// Lengths of the connection ids that client and server want in what they receive (RFC 9146), once they said so.
    pub(super) connection_ids: [Option<u8>; 2],
    /// Encryption began, by originator and by responder.
    encrypted: [bool; 2],
    established: bool,
    /// Nothing more is to be read.
    pub(super) ended: bool,
    violations: u32,
    /// When a violation was met that ends the analysis with the packet it is in.
    failed: Option<Ts>,
    /// Payload bytes seen, both directions.
    pub(super) bytes: u64,
    /// Files seen, for their ids.
    files: u64,
}

impl Session {
    pub(super) fn new(transport: Transport, shared: SharedTls) -> Session {
        Session {
            transport,
            heard: Heard::default(),
            shared,
            info: None,
            logged: false,
            confirmed: false,
            over: None,
            cipher: None,
            version: 0,
            record_version: 0,
            flipped: false,
            direction_known: false,
            direction_weird: false,
            early_weird: false,
            start_unseen: false,
            certificate_types: [certificate_type::X509; 2],
            connection_ids: [None; 2],
            encrypted: [false; 2],
            established: false,
            ended: false,
            violations: 0,
            failed: None,
            bytes: 0,
            files: 0,
        }
    }

    /// The connection's originator and responder change places.
    pub(super) fn swap_roles(&mut self) {
        self.encrypted.swap(0, 1);
        // The client stays who it is.
        self.flipped ^= self.direction_known;
    }

    pub(super) fn is_client(&self, is_orig: bool) -> bool {
        is_orig != self.flipped
    }

    /// DTLS.
    pub(super) fn is_datagrams(&self) -> bool {
        self.transport == Transport::Datagrams
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// What hellos say is kept for who carries them.
    pub(super) fn is_in_quic(&self) -> bool {
        self.transport == Transport::Quic
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) fn is_established(&self) -> bool {
        self.established
    }

    /// Length of the connection id in a side's records: its peer chose it. Unknown without the peer's hello.
    pub(super) fn connection_id(&self, is_orig: bool) -> Option<usize> {
        self.connection_ids[usize::from(self.is_client(is_orig))].map(usize::from)
    }

    /// Whether records of either side have one: both must have agreed.
    pub(super) fn has_connection_ids(&self) -> bool {
        matches!(self.connection_ids, [Some(a), Some(b)] if a > 0 || b > 0)
    }

    pub(super) fn is_encrypted(&self, is_orig: bool) -> bool {
        self.encrypted[usize::from(!is_orig)]
    }

    pub(super) fn start_encryption(&mut self, is_orig: bool) {
        self.encrypted[usize::from(!is_orig)] = true;
    }

    /// The row's state, made when first needed: its time is that of the first sign of TLS.
    pub(super) fn info(&mut self, ctx: &Ctx<'_>) -> &mut SslInfo {
        self.info.get_or_insert_with(|| Box::new(SslInfo::new(ctx.ts)))
    }

    pub(super) fn event(
        &self,
        ctx: &mut Ctx<'_>,
        kind: Kind,
        make: impl FnOnce(&ConnId, &mut dyn FnMut(&dyn Event)),
    ) {
        if ctx.subs.wants(kind) {
            let (ts, out) = (ctx.ts, &mut *ctx.out);
            make(ctx.c, &mut |ev| out.event(ts, ev));
        }
    }

    /// Whether there is no row to come.
    pub(super) fn is_logged(&self) -> bool {
        self.logged || self.info.is_none()
    }

    /// Writes the row unless it is written or there is nothing to write.
    pub(super) fn write_row(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(info) = &self.info
            && !std::mem::replace(&mut self.logged, true)
        {
            ctx.out.log(&info.row(ctx.c, &self.shared.settings));
        }
    }

    pub(super) fn confirm(&mut self, ctx: &mut Ctx<'_>) {
        if !std::mem::replace(&mut self.confirmed, true) {
            ctx.confirm();
            self.info(ctx);
        }
    }

    /// Payload came. False when nothing of it is to be read.
    pub(super) fn begin(&mut self, ctx: &Ctx<'_>, bytes: usize) -> bool {
        self.ended |= self.failed.is_some_and(|t| t != ctx.ts);
        self.bytes += bytes as u64;
        !self.ended
    }

    /// Something TLS does not allow, but what follows can still be read: the analysis goes on to the end of
    /// the packet, as Zeek's does.
    pub(super) fn violation(&mut self, ctx: &mut Ctx<'_>, reason: &str) {
        self.violations = self.violations.saturating_add(1);
        if self.violations > MAX_VIOLATIONS {
            if self.violations == MAX_VIOLATIONS + 1 {
                ctx.out.weird("too_many_analyzer_violations", "");
            }
            return;
        }
        ctx.tell_violation(reason);
        self.write_row(ctx);
        if self.bytes <= IGNORE_VIOLATIONS_AFTER {
            self.failed = Some(ctx.ts);
            // Zeek reads on for the packet in which a session is established, and then only if somebody asks it to.
            if self.over.is_none_or(|t| t == ctx.ts) {
                ctx.retract();
            }
        }
    }

    /// What follows cannot be understood.
    pub(super) fn fatal(&mut self, ctx: &mut Ctx<'_>, reason: &str) {
        self.violation(ctx, reason);
        self.ended = true;
    }

    /// A bound of ours was reached: analysis ends, the protocol is not called into question.
    pub(super) fn give_up(&mut self, ctx: &mut Ctx<'_>, name: &'static str, addl: &str) {
        ctx.out.weird(name, addl);
        self.ended = true;
    }

    pub(super) fn history_limit(&self, ctx: &mut Ctx<'_>, reached: bool) {
        if reached {
            ctx.out.weird("SSL_max_ssl_history_length_reached", "");
        }
    }

    /// Hellos tell who is client; the connection's originator need not be.
    pub(super) fn check_direction(&mut self, ctx: &mut Ctx<'_>, from_client: bool, is_orig: bool) {
        self.direction_known = true;
        if self.is_client(is_orig) == from_client {
            return;
        }
        self.flipped = !self.flipped;
        self.info(ctx).flipped();
        if !self.flipped && !std::mem::replace(&mut self.direction_weird, true) {
            ctx.out.weird("SSL_unclear_connection_direction", "");
        }
    }

    /// A ClientHello; `possible_ts` in seconds. `ciphers` is called when somebody wants them.
    pub(super) fn client_hello(
        &mut self,
        ctx: &mut Ctx<'_>,
        version: u16,
        possible_ts: u32,
        random: &[u8],
        id: SessionId,
        ciphers: impl FnOnce() -> Vec<u64>,
    ) {
        let ok = names::version_ok(version);
        if ok {
            self.confirm(ctx);
        } else {
            self.fatal(ctx, &format!("unsupported client SSL version 0x{version:04x}"));
        }
        self.event(ctx, events::SslClientHello::KIND, |c, raise| {
            raise(&events::SslClientHello {
                c,
                version: version.into(),
                possible_ts: u64::from(possible_ts) * SECOND,
                client_random: random,
                session_id: &id,
                ciphers: &ciphers(),
            });
        });
        self.info(ctx).client_hello(id);
        self.heard.client_hellos = self.heard.client_hellos.saturating_add(1);
    }

    /// A ServerHello.
    pub(super) fn server_hello(
        &mut self,
        ctx: &mut Ctx<'_>,
        version: u16,
        random: &[u8],
        id: SessionId,
        cipher: u32,
        comp_method: u8,
    ) {
        if !names::version_ok(version) {
            self.fatal(ctx, &format!("unsupported server SSL version 0x{version:04x}"));
        } else if self.is_datagrams() || self.start_unseen {
            // The client's hello may have come before the capture, or in part.
            self.confirm(ctx);
        }
        // SSLv2 has a connection id in this place, and no time in it.
        let secs = match random.first_chunk::<4>() {
            Some(t) if version != names::SSLV2 => u32::from_be_bytes(*t),
            _ => 0,
        };
        self.event(ctx, events::SslServerHello::KIND, |c, raise| {
            raise(&events::SslServerHello {
                c,
                version: version.into(),
                possible_ts: u64::from(secs) * SECOND,
                server_random: random,
                session_id: &id,
                cipher: cipher.into(),
                comp_method: comp_method.into(),
            });
        });
        self.info(ctx).server_hello(version, random, id, cipher);
        self.heard.server_hellos = self.heard.server_hellos.saturating_add(1);
        self.heard.retries = random == HELLO_RETRY_RANDOM;
    }

    /// A curve the server chose in a ServerKeyExchange.
    pub(super) fn server_curve(&mut self, ctx: &mut Ctx<'_>, curve: u16) {
        self.event(ctx, events::SslServerCurve::KIND, |c, raise| {
            raise(&events::SslServerCurve {
                c,
                curve: curve.into(),
            });
        });
        self.info(ctx).curve(curve);
    }

    /// `desc` is 16 bits for SSLv2's errors, whose `level` is -1 as Zeek has it.
    pub(super) fn alert(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, level: u64, desc: u16) {
        let is_orig = self.is_client(is_orig);
        self.event(ctx, events::SslAlert::KIND, |c, raise| {
            raise(&events::SslAlert {
                c,
                is_orig,
                level,
                desc: desc.into(),
            });
        });
        let full = self.info(ctx).alert(is_orig, desc);
        self.history_limit(ctx, full);
    }

    pub(super) fn change_cipher_spec(&mut self, ctx: &mut Ctx<'_>, is_orig: bool) {
        // TLS 1.3 sends it for old middle boxes only; encryption begins with the first application data there.
        if !names::is_tls13(self.version) {
            self.start_encryption(is_orig);
        }
        let is_orig = self.is_client(is_orig);
        self.event(ctx, events::SslChangeCipherSpec::KIND, |c, raise| {
            raise(&events::SslChangeCipherSpec { c, is_orig });
        });
        let full = self.info(ctx).change_cipher_spec(is_orig);
        self.history_limit(ctx, full);
    }

    /// A heartbeat in the clear; `length` is the record's.
    pub(super) fn heartbeat(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_orig: bool,
        length: usize,
        heartbeat_type: u8,
        payload_length: u16,
        payload: &[u8],
    ) {
        let is_orig = self.is_client(is_orig);
        self.event(ctx, events::SslHeartbeat::KIND, |c, raise| {
            raise(&events::SslHeartbeat {
                c,
                is_orig,
                length: length as u64,
                heartbeat_type: heartbeat_type.into(),
                payload_length: payload_length.into(),
                payload,
            });
        });
        let full = self.info(ctx).letter(is_orig, 'b');
        self.history_limit(ctx, full);
    }

    /// A record in the clear was read to its end.
    pub(super) fn plaintext(&mut self, ctx: &mut Ctx<'_>, content_type: u16) {
        let info = self.info(ctx);
        let early = content_type == content::APPLICATION_DATA && info.has_version() && !info.is_established();
        // Repetitions are not logged.
        if early && !std::mem::replace(&mut self.early_weird, true) {
            ctx.out.scripted_weird("ssl_early_application_data");
        }
    }

    /// An encrypted record of `length` bytes.
    pub(super) fn ciphertext(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, content_type: u16, length: usize) {
        if self.encrypted == [true; 2] && !self.established {
            self.established = true;
            self.establish(ctx);
        }
        let is_orig = self.is_client(is_orig);
        self.event(ctx, events::SslEncryptedData::KIND, |c, raise| {
            raise(&events::SslEncryptedData {
                c,
                is_orig,
                content_type: content_type.into(),
                length: length as u64,
            });
        });
    }

    /// The handshake is over, as far as can be told from outside: the row is complete.
    pub(super) fn establish(&mut self, ctx: &mut Ctx<'_>) {
        self.event(ctx, events::SslEstablished::KIND, |c, raise| {
            raise(&events::SslEstablished { c })
        });
        self.info(ctx).established();
        self.over = self.over.or(self.confirmed.then_some(ctx.ts));
        self.write_row(ctx);
    }

    /// Gives a file that came in one piece to the files room; `during` runs while it is still known.
    fn file(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_orig: bool,
        mime: &'static str,
        data: &[u8],
        during: impl FnOnce(&mut Session, &mut Ctx<'_>),
    ) -> News {
        self.files += 1;
        let uid = ctx.c.uid.to_string();
        let carrier = Carrier {
            handle: Handle::of(&[uid.as_bytes(), &[is_orig.into()], &self.files.to_be_bytes()]),
            tag: ctx.tag(),
            source: if self.is_datagrams() { "DTLS" } else { "SSL" },
            c: ctx.c,
            is_orig,
            depth: 0,
            name: None,
            mime: Some(mime),
        };
        ctx.out.file(
            &carrier,
            Piece::Bytes {
                at: None,
                bytes: data,
            },
        );
        during(self, ctx);
        ctx.out.file(&carrier, Piece::End)
    }

    /// A certificate chain, leaf first.
    pub(super) fn certificates(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, chain: &[&[u8]]) {
        let is_client = self.is_client(is_orig);
        for (i, der) in chain.iter().enumerate() {
            if der.is_empty() {
                ctx.out.weird("zero_length_certificate", "");
                continue;
            }
            if i >= self.shared.settings.max_certs {
                return self.give_up(ctx, "tls_too_many_certificates", &chain.len().to_string());
            }
            let mime = match i {
                0 => "application/x-x509-user-cert",
                _ => "application/x-x509-ca-cert",
            };
            let news = self.file(ctx, is_client, mime, der, |_, _| {});
            // A certificate before any other sign of TLS belongs to no row, as in Zeek.
            if let Some(info) = &mut self.info {
                info.certificate(is_client, news.certificate);
            }
        }
        if let (false, Some(validator)) = (is_client, self.shared.settings.validator.clone()) {
            // As above: no row for certificates alone.
            if let Some(info) = &mut self.info {
                info.validation(validator.status(chain, ctx.ts));
            }
        }
    }

    /// A stapled OCSP response.
    pub(super) fn stapled_ocsp(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, response: &[u8]) {
        let is_orig = self.is_client(is_orig);
        self.file(ctx, false, "application/ocsp-response", response, |s, ctx| {
            s.event(ctx, events::SslStapledOcsp::KIND, |c, raise| {
                raise(&events::SslStapledOcsp { c, is_orig, response });
            });
        });
    }
}
