//! Handshake messages: put together from records, then read.

use super::events;
use super::fingerprint::Hello;
use super::info::session_id;
use super::names::{self, Kex, kex};
use super::reader::{Parsed, TlsReader};
use super::session::Session;
use super::{certificate_type, hs};
use crate::analyzer::api::Ctx;

/// Type and three bytes of length.
const HEADER: usize = 4;

/// The messages of one direction, out of records of any size.
#[derive(Debug, Default)]
pub(super) struct Messages {
    partial: Vec<u8>,
}

impl Messages {
    /// Takes the payload of one handshake record and reads every message it completes.
    pub(super) fn record(&mut self, s: &mut Session, ctx: &mut Ctx<'_>, is_orig: bool, mut data: &[u8]) {
        while !(s.ended || data.is_empty() && self.partial.is_empty()) {
            if self.partial.is_empty() {
                // The common case: whole messages in one record, read where they are.
                match whole(s, data) {
                    Size::Message(n) => {
                        let (msg, rest) = data.split_at(n);
                        data = rest;
                        if !s.message(ctx, is_orig, msg) {
                            return;
                        }
                    }
                    Size::Short => {
                        self.partial.extend_from_slice(data);
                        return;
                    }
                    Size::TooLong(n) => return too_long(s, ctx, n),
                }
                continue;
            }
            let want = match whole(s, &self.partial) {
                Size::TooLong(n) => return too_long(s, ctx, n),
                Size::Message(n) => {
                    let msg = std::mem::take(&mut self.partial);
                    if !s.message(ctx, is_orig, &msg[..n]) {
                        return;
                    }
                    continue;
                }
                Size::Short if self.partial.len() < HEADER => HEADER,
                Size::Short => HEADER + length(&self.partial),
            };
            let n = (want - self.partial.len()).min(data.len());
            if n == 0 {
                return;
            }
            let (head, rest) = data.split_at(n);
            self.partial.extend_from_slice(head);
            data = rest;
        }
    }
}

enum Size {
    Message(usize),
    Short,
    TooLong(usize),
}

/// The length in a message's header, 0 when the header is not all there.
fn length(msg: &[u8]) -> usize {
    match msg {
        [_, a, b, c, ..] => usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
        _ => 0,
    }
}

fn whole(s: &Session, data: &[u8]) -> Size {
    let n = length(data);
    if !s.shared.fits(data.first().copied().unwrap_or(0), n) {
        Size::TooLong(n)
    } else if data.len() < HEADER || data.len() - HEADER < n {
        Size::Short
    } else {
        Size::Message(HEADER + n)
    }
}

pub(super) fn too_long(s: &mut Session, ctx: &mut Ctx<'_>, n: usize) {
    s.give_up(ctx, "tls_handshake_message_too_long", &n.to_string());
}

impl Session {
    /// One whole message with its four-byte header. False when it could not be read, and with it the rest of
    /// its record.
    pub(super) fn message(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, msg: &[u8]) -> bool {
        match msg.split_at_checked(HEADER) {
            Some((header, body)) => self.handshake(ctx, is_orig, header[0], body),
            None => false,
        }
    }

    /// One whole message; false as above.
    pub(super) fn handshake(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, msg_type: u8, body: &[u8]) -> bool {
        if let Err(short) = self.body(ctx, is_orig, msg_type, TlsReader::new(body)) {
            self.violation(ctx, &short.to_string());
            return false;
        }
        let is_orig = self.is_client(is_orig);
        self.event(ctx, events::SslHandshakeMessage::KIND, |c, raise| {
            raise(&events::SslHandshakeMessage {
                c,
                is_orig,
                msg_type: msg_type.into(),
                length: body.len() as u64,
            });
        });
        let full = self.info(ctx).handshake(is_orig, msg_type);
        self.history_limit(ctx, full);
        true
    }

    fn body(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, msg_type: u8, mut r: TlsReader<'_>) -> Parsed<()> {
        match msg_type {
            hs::HELLO_REQUEST => self.check_direction(ctx, false, is_orig),
            hs::CLIENT_HELLO => self.read_client_hello(ctx, is_orig, r)?,
            hs::SERVER_HELLO => self.read_server_hello(ctx, is_orig, r)?,
            hs::HELLO_VERIFY_REQUEST => {
                r.check("HelloVerifyRequest:cookie_length", 3)?;
                r.u16("HelloVerifyRequest:version")?;
                r.vec8("HelloVerifyRequest:cookie_length", "HelloVerifyRequest:cookie")?;
            }
            hs::SESSION_TICKET => {
                const LENGTH: &str = "SessionTicketHandshake:length";
                r.check(LENGTH, 6)?;
                let ticket_lifetime_hint = r.u32(LENGTH)?.into();
                let ticket = r.vec16(LENGTH, "SessionTicketHandshake:data")?.rest();
                self.note(ctx, |o| o.ticket_lifetime_hint = Some(ticket_lifetime_hint));
                self.event(ctx, events::SslSessionTicketHandshake::KIND, |c, raise| {
                    raise(&events::SslSessionTicketHandshake {
                        c,
                        ticket_lifetime_hint,
                        ticket,
                    });
                });
            }
            hs::CERTIFICATE => self.read_certificate(ctx, is_orig, r)?,
            hs::SERVER_KEY_EXCHANGE => self.read_server_key_exchange(ctx, r)?,
            hs::CERTIFICATE_REQUEST => self.check_certificate_request(r)?,
            hs::CERTIFICATE_STATUS => {
                r.check("CertificateStatus:length", 4)?;
                let status_type = r.u8("CertificateStatus:length")?;
                r.u24("CertificateStatus:length")?;
                match (status_type, r.rest()) {
                    (_, []) => ctx.out.weird("SSL_zero_length_stapled_OCSP_message", ""),
                    (1, response) => self.stapled_ocsp(ctx, is_orig, response),
                    _ => {}
                }
            }
            // Nothing in them is read.
            hs::SERVER_HELLO_DONE
            | hs::CERTIFICATE_VERIFY
            | hs::CLIENT_KEY_EXCHANGE
            | hs::FINISHED
            | hs::CERTIFICATE_URL => {}
            other => {
                let from = if is_orig { "originator" } else { "responder" };
                self.violation(ctx, &format!("unknown handshake message ({other}) from {from}"));
            }
        }
        Ok(())
    }

    fn read_client_hello(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, mut r: TlsReader<'_>) -> Parsed<()> {
        self.check_direction(ctx, true, is_orig);
        r.check("ClientHello:gmt_unix_time", 6)?;
        let version = r.u16("ClientHello:gmt_unix_time")?;
        let time = r.u32("ClientHello:gmt_unix_time")?;
        let random = r.take("ClientHello:random_bytes", 28)?;
        let n = r.u8("ClientHello:session_len")?;
        let id = session_id(r.list("ClientHello:session_id", n.into(), 1)?);
        if matches!(version, names::DTLSV10 | names::DTLSV12) {
            r.part(|r| r.vec8("ClientHelloCookie:cookie_len", "ClientHelloCookie:cookie"))?;
        }
        let n = r.u16("ClientHello:csuit_len")?;
        let ciphers = r.list("ClientHello:csuits", usize::from(n) / 2, 2)?;
        let n = r.u8("ClientHello:cmeth_len")?;
        let methods = r.list("ClientHello:cmeths", n.into(), 1)?;
        if !r.is_empty() {
            r.u16("ClientHello:ext_len__elem")?;
        }
        self.read_extensions(ctx, is_orig, hs::CLIENT_HELLO, r)?;
        if self.shared.settings.extras.fingerprints {
            let hello = Hello::new(version, ciphers, r);
            let transport = self.transport();
            self.info(ctx).client_fingerprints(&hello, transport);
        }
        self.note(ctx, |o| {
            o.client_version = Some(version.into());
            o.client_ciphers = Some(u16s(ciphers));
            o.client_comp_methods = Some(methods.iter().map(|m| u64::from(*m)).collect());
        });
        self.client_hello(ctx, version, time, random, id, || u16s(ciphers));
        Ok(())
    }

    fn read_server_hello(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, mut r: TlsReader<'_>) -> Parsed<()> {
        self.check_direction(ctx, false, is_orig);
        let version = r.u16("ServerHelloChoice:server_version1")?;
        // Drafts that named themselves here had neither session id nor compression.
        let old_draft = version == names::TLSV13 || version >> 8 == 0x7f;
        let mut r = TlsReader::new(r.rest());
        let (random, id, cipher, comp_method) = if old_draft {
            let random = r.take("ServerHello13:random", 32)?;
            (random, &[][..], r.u16("ServerHello13:cipher_suite")?, 0)
        } else {
            let random = r.take("ServerHello:random_bytes", 32)?;
            let n = r.u8("ServerHello:session_len")?;
            let id = r.list("ServerHello:session_id", n.into(), 1)?;
            const LAST: &str = "ServerHello:compression_method";
            r.check(LAST, 3)?;
            (random, id, r.u16(LAST)?, r.u8(LAST)?)
        };
        let cipher = u32::from(cipher);
        self.certificate_types = [certificate_type::X509; 2];
        if !r.is_empty() {
            r.u16(match old_draft {
                true => "ServerHello13:ext_len__elem",
                false => "ServerHello:ext_len__elem",
            })?;
        }
        self.read_extensions(ctx, is_orig, hs::SERVER_HELLO, r)?;
        if self.shared.settings.extras.fingerprints {
            let hello = Hello::new(version, &(cipher as u16).to_be_bytes(), r);
            self.info(ctx).server_fingerprint(&hello);
        }
        self.cipher = Some(cipher);
        self.note(ctx, |o| o.server_version = Some(version.into()));
        self.server_hello(ctx, version, random, session_id(id), cipher, comp_method);
        self.set_version(version);
        Ok(())
    }

    /// The first version named is the one: an extension comes before the hello it is in.
    pub(super) fn set_version(&mut self, version: u16) {
        if self.version == 0 {
            self.version = version;
        }
    }

    fn read_certificate(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, mut r: TlsReader<'_>) -> Parsed<()> {
        match self.certificate_types[usize::from(self.is_client(is_orig))] {
            certificate_type::X509 => {}
            // A SubjectPublicKeyInfo and no list (RFC 7250 section 3); no log has a place for it.
            certificate_type::RAW_PUBLIC_KEY => {
                r.vec24("RawPublicKey:length", "RawPublicKey")?;
                return Ok(());
            }
            // OpenPGP's and IEEE 1609.2's.
            _ => return Ok(()),
        }
        let mut chain = Vec::new();
        let mut list = r.vec24("Certificate:length", "Certificate")?;
        while !list.is_empty() {
            let mut cert = list.part(|r| r.vec24("X509Certificate:length", "X509Certificate:certificate"))?;
            chain.push(cert.rest());
        }
        self.certificates(ctx, is_orig, &chain);
        Ok(())
    }

    fn read_server_key_exchange(&mut self, ctx: &mut Ctx<'_>, mut r: TlsReader<'_>) -> Parsed<()> {
        let Some(suite) = self.cipher else { return Ok(()) };
        let kex = kex(suite);
        if let Kex::Ecdhe { psk: true } | Kex::Dhe { psk: true } = kex {
            r.vec16(
                "ServerKeyExchange:psk_identity_hint",
                "ServerKeyExchange:psk_identity_hint",
            )?;
            r = TlsReader::new(r.rest());
        }
        match kex {
            Kex::Ecdhe { .. } | Kex::EcdhAnon => {
                let curve_type = match kex {
                    Kex::EcdhAnon => r.u8("EcdhAnonServerKeyExchange:curve_type")?,
                    _ => r.u8("EcdheServerKeyExchange:curve_type")?,
                };
                // 3 is named_curve (RFC 8422 section 5.4); explicit curves are not read.
                if curve_type != 3 {
                    return Ok(());
                }
                let curve = r.part(|r| {
                    const LENGTH: &str = "ServerECDHParamsAndSignature:point_length";
                    r.check(LENGTH, 3)?;
                    let curve = r.u16(LENGTH)?;
                    r.vec8(LENGTH, "ServerECDHParamsAndSignature:point")?;
                    Ok(curve)
                })?;
                if let Kex::Ecdhe { psk: false } = kex {
                    self.check_signature(r)?;
                }
                self.server_curve(ctx, curve);
            }
            Kex::Dhe { .. } => {
                let p = r.vec16("DheServerKeyExchange:dh_p_length", "DheServerKeyExchange:dh_p")?;
                let q = r.vec16("DheServerKeyExchange:dh_g_length", "DheServerKeyExchange:dh_g")?;
                let ys = r.vec16("DheServerKeyExchange:dh_Ys_length", "DheServerKeyExchange:dh_Ys")?;
                if let Kex::Dhe { psk: false } = kex {
                    self.check_signature(r)?;
                }
                self.dh_server_params(ctx, [p, q, ys]);
            }
            Kex::DhAnon => {
                let p = r.vec16(
                    "DhAnonServerKeyExchange:dh_p_length",
                    "DhAnonServerKeyExchange:dh_p",
                )?;
                let q = r.vec16(
                    "DhAnonServerKeyExchange:dh_g_length",
                    "DhAnonServerKeyExchange:dh_g",
                )?;
                let ys = r.vec16(
                    "DhAnonServerKeyExchange:dh_Ys_length",
                    "DhAnonServerKeyExchange:dh_Ys",
                )?;
                self.dh_server_params(ctx, [p, q, ys]);
            }
            Kex::Other => {}
        }
        Ok(())
    }

    fn dh_server_params(&mut self, ctx: &mut Ctx<'_>, params: [TlsReader<'_>; 3]) {
        let [p, q, ys] = params.map(|mut r| r.rest());
        self.event(ctx, events::SslDhServerParams::KIND, |c, raise| {
            raise(&events::SslDhServerParams { c, p, q, ys });
        });
        self.note(ctx, |o| o.dh_param_size = Some(8 * ys.len() as u64));
    }

    /// From TLS 1.2 on signatures say their algorithm.
    fn signs_with_algorithm(&self) -> bool {
        self.version > names::TLSV11 && self.version != names::DTLSV10
    }

    /// The signature at the end of a ServerKeyExchange.
    fn check_signature(&self, mut r: TlsReader<'_>) -> Parsed<()> {
        r.part(|r| {
            if self.signs_with_algorithm() {
                r.part(|r| r.u16("SignatureAndHashAlgorithm"))?;
            }
            r.vec16(
                "ServerKeyExchangeSignature:signature_length",
                "ServerKeyExchangeSignature:signature",
            )?;
            Ok(())
        })
    }

    fn check_certificate_request(&self, mut r: TlsReader<'_>) -> Parsed<()> {
        let n = r.u8("CertificateRequest:certificate_types_len")?;
        r.list("CertificateRequest:certificate_types", n.into(), 1)?;
        if self.signs_with_algorithm() {
            r.part(signature_algorithms)?;
        }
        let mut authorities = r.vec16(
            "CertificateRequest:certificate_authorities_len",
            "CertificateRequest:certificate_authorities",
        )?;
        while !authorities.is_empty() {
            authorities.part(|r| {
                r.vec16(
                    "CertificateAuthorities:certificate_authority_len",
                    "CertificateAuthorities:certificate_authority",
                )
            })?;
        }
        Ok(())
    }
}

/// A list of signature algorithms, two bytes each.
pub(super) fn signature_algorithms<'a>(r: &mut TlsReader<'a>) -> Parsed<&'a [u8]> {
    let mut list = r.vec16("SignatureAlgorithm:length", "SignatureAlgorithm")?;
    let mut copy = list;
    let all = copy.rest();
    while !list.is_empty() {
        list.part(|r| r.u16("SignatureAndHashAlgorithm"))?;
    }
    Ok(all)
}

/// Two-byte numbers; an odd byte at the end is left out.
pub(super) fn u16s(list: &[u8]) -> Vec<u64> {
    list.chunks_exact(2)
        .map(|b| u64::from(b[0]) << 8 | u64::from(b[1]))
        .collect()
}
