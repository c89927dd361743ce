//! TLS's record layer on a byte stream, with SSLv2's.

use super::content;
use super::handshake::Messages;
use super::info::session_id;
use super::log::SslRow;
use super::names;
use super::reader::{Parsed, Short, TlsReader};
use super::session::Session;
use super::shared::{Heard, SharedTls, Transport};
use super::{detect, events};
use crate::analyzer::api::{Closing, Ctx, Interest, Later, Next, Protocol, ReadsMarks, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// A record's header, bytes. SSLv2's is shorter, but its message's first three bytes say what it is.
const HEADER: usize = 5;

/// Longest body of a record: 2^14 bytes of plaintext and 2048 that encryption may add (RFC 5246 section 6.2.3).
const MAX_LENGTH: u16 = (1 << 14) + 2048;

/// Alerts read of one record (Zeek's `SSL::max_alerts_per_record`).
const MAX_ALERTS: usize = 10;

/// Buffers up to this size are kept between records, bytes.
const KEEP_BUFFER: usize = 4096;

/// Segments passed over for want of a record's header, where the start was not seen: what a flight of certificates takes.
const MAX_PASSED: u8 = 16;

/// Where a direction stands in its records.
#[derive(Clone, Copy, Debug)]
enum At {
    Header,
    /// In the body of a record, `left` bytes before its end. Bodies that nobody reads are not `kept`.
    Body {
        head: Head,
        left: usize,
        kept: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Head {
    content_type: u16,
    /// As on the wire, 0 for SSLv2.
    version: u16,
    /// Body, bytes.
    length: usize,
    /// The header's last two bytes: SSLv2 has a part of its message there.
    tail: [u8; 2],
}

/// One direction.
#[derive(Debug)]
struct Half {
    at: At,
    /// What has come of a header, or of a body that is kept.
    partial: Vec<u8>,
    messages: Messages,
}

impl Half {
    fn new() -> Half {
        Half {
            at: At::Header,
            partial: Vec::new(),
            messages: Messages::default(),
        }
    }
}

/// The TLS analyzer of one TCP connection.
#[derive(Debug)]
pub struct Tls {
    s: Session,
    /// Originator's, responder's.
    halves: [Half; 2],
    /// Version of the first record seen, 0 before it. With SSLv2 it stays that way.
    layer: u16,
    /// Whether anybody wants what comes after the handshake.
    bulk_wanted: bool,
    /// See [`Tls::start_unseen`]: segments that may be passed over because they begin no record.
    may_pass: u8,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls::new()
    }
}

impl Protocol for Tls {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE, super::offer_events::PAGE],
        logs: &[SslRow::LOG],
        tcp_ports: detect::SSL_PORTS,
        later: Later::Segment {
            first: detect::looks_like_tls,
            begins: detect::hello_begins,
            within: detect::CLEAR_TEXT_BYTES,
        },
        stays: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SSL", "ssl"))
    };
    type Shared = SharedTls;

    fn new(_: &Start, shared: &SharedTls) -> Tls {
        Tls::with(shared)
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if !self.s.begin(ctx, bytes.len()) {
            return Next::More;
        }
        self.bulk_wanted = ctx.subs.wants(events::SslEncryptedData::KIND);
        let mut data = bytes;
        while !self.s.ended && self.step(is_orig, &mut data, ctx) {}
        if self.s.ended {
            self.halves = [Half::new(), Half::new()];
        }
        Next::More
    }

    /// Neither direction can be followed any further, as in Zeek.
    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.stop();
        Next::More
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        self.s.ended = true;
        self.s.write_row(ctx);
    }

    fn flip(&mut self) {
        self.s.swap_roles();
        self.halves.swap(0, 1);
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        match (self.s.ended, self.s.is_established(), self.bulk_wanted) {
            (true, ..) | (_, true, false) => Interest::Nothing,
            // SSLv2's records have another header.
            (_, true, true) if self.layer != 0 => Interest::Marks,
            _ => Interest::Everything,
        }
    }

    fn is_settled(&self) -> bool {
        self.s.is_logged()
    }

    /// A direction may begin in the middle of a record: what is no record's header is passed over up to the next segment.
    /// That is no violation.
    fn start_unseen(&mut self) {
        if !self.s.start_unseen {
            self.s.start_unseen = true;
            self.may_pass = MAX_PASSED;
        }
    }

    fn marks(&self) -> Option<&dyn ReadsMarks> {
        Some(self)
    }

    fn marks_mut(&mut self) -> Option<&mut dyn ReadsMarks> {
        Some(self)
    }
}

impl ReadsMarks for Tls {
    fn to_header(&self, is_orig: bool) -> Option<u64> {
        let half = &self.halves[usize::from(!is_orig)];
        match half.at {
            At::Header => half.partial.is_empty().then_some(0),
            At::Body {
                left, kept: false, ..
            } => Some(left as u64),
            At::Body { .. } => None,
        }
    }

    /// If they are not all of one record that nobody reads, that is a gap.
    fn unseen(&mut self, is_orig: bool, n: u64, ctx: &mut Ctx<'_>) {
        if n == 0 || !self.s.begin(ctx, n as usize) {
            return;
        }
        let half = &mut self.halves[usize::from(!is_orig)];
        match half.at {
            At::Body {
                head,
                left,
                kept: false,
            } if n <= left as u64 => {
                let left = left - n as usize;
                if left > 0 {
                    half.at = At::Body {
                        head,
                        left,
                        kept: false,
                    };
                } else {
                    half.at = At::Header;
                    self.record(is_orig, head, &[], &mut &[][..], ctx);
                }
            }
            _ => self.stop(),
        }
    }

    fn record_begins(&mut self, is_orig: bool) {
        let half = &mut self.halves[usize::from(!is_orig)];
        half.at = At::Header;
        half.partial.clear();
    }

    /// A stream has no datagrams.
    fn headers(&mut self, _: bool, _: usize, _: &mut dyn Iterator<Item = [u8; 5]>, _: &mut Ctx<'_>) {}
}

impl Tls {
    /// With certificates of its own: every one is new to x509.log.
    pub fn new() -> Tls {
        Tls::with(&SharedTls::default())
    }

    /// With certificates shared between connections, so that each is parsed and logged once.
    pub fn with(shared: &SharedTls) -> Tls {
        Tls::over(Transport::Stream, shared)
    }

    /// In QUIC, which brings whole messages: [`Tls::message`].
    pub fn in_quic(shared: &SharedTls) -> Tls {
        Tls::over(Transport::Quic, shared)
    }

    fn over(transport: Transport, shared: &SharedTls) -> Tls {
        Tls {
            s: Session::new(transport, shared.clone()),
            halves: [Half::new(), Half::new()],
            layer: 0,
            bulk_wanted: true,
            may_pass: 0,
        }
    }

    /// One whole handshake message with its header, without a record around it.
    pub fn message(&mut self, is_orig: bool, message: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if self.s.begin(ctx, message.len()) {
            self.s.record_version = names::TLSV12;
            self.s.message(ctx, is_orig, message);
        }
        match self.s.ended {
            true => Next::Stop,
            false => Next::More,
        }
    }

    /// What hellos have said so far.
    pub fn heard(&self) -> &Heard {
        &self.s.heard
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        self.s.is_established()
    }

    /// Neither direction is read any further.
    fn stop(&mut self) {
        self.s.ended = true;
        self.halves = [Half::new(), Half::new()];
    }

    /// Takes one header or one body, or what there is of it. False when more bytes are needed.
    fn step(&mut self, is_orig: bool, data: &mut &[u8], ctx: &mut Ctx<'_>) -> bool {
        let half = &mut self.halves[usize::from(!is_orig)];
        match half.at {
            At::Header => {
                let n = (HEADER - half.partial.len()).min(data.len());
                let (part, rest) = data.split_at(n);
                half.partial.extend_from_slice(part);
                *data = rest;
                let Some(head) = half.partial.first_chunk::<HEADER>().copied() else {
                    return false;
                };
                half.partial.clear();
                self.header(is_orig, head, data, ctx);
            }
            At::Body {
                head,
                left,
                kept: false,
            } => {
                let n = left.min(data.len());
                *data = &data[n..];
                if n < left {
                    let left = left - n;
                    half.at = At::Body {
                        head,
                        left,
                        kept: false,
                    };
                    return false;
                }
                half.at = At::Header;
                self.record(is_orig, head, &[], data, ctx);
            }
            At::Body { head, .. } if half.partial.is_empty() && data.len() >= head.length => {
                half.at = At::Header;
                let (body, rest) = data.split_at(head.length);
                *data = rest;
                self.record(is_orig, head, body, data, ctx);
            }
            At::Body { head, .. } => {
                let n = (head.length - half.partial.len()).min(data.len());
                let (part, rest) = data.split_at(n);
                half.partial.extend_from_slice(part);
                *data = rest;
                if half.partial.len() < head.length {
                    return false;
                }
                half.at = At::Header;
                let body = std::mem::take(&mut half.partial);
                self.record(is_orig, head, &body, data, ctx);
                // The buffer serves the next record, unless it is that of an uncommonly long one.
                if body.capacity() <= KEEP_BUFFER && !self.s.is_encrypted(is_orig) {
                    let half = &mut self.halves[usize::from(!is_orig)];
                    half.partial = body;
                    half.partial.clear();
                }
            }
        }
        true
    }

    fn header(&mut self, is_orig: bool, raw: [u8; HEADER], after: &mut &[u8], ctx: &mut Ctx<'_>) {
        if self.s.start_unseen && !self.is_header(raw) {
            *after = &[];
            match self.may_pass.checked_sub(1) {
                Some(left) => self.may_pass = left,
                None => self.stop(),
            }
            return;
        }
        let Some(layer) = self.layer_of(is_orig, raw, ctx) else {
            return;
        };
        let head = if layer == names::SSLV2 {
            let after_header = usize::from(raw[0] & 0x7f) << 8 | usize::from(raw[1]);
            let Some(length) = after_header.checked_sub(3) else {
                // Less than the part of the message that is in the header.
                let short = Short {
                    at: "SSLRecord:rec",
                    need: after_header + 2,
                    have: HEADER,
                };
                return self.unreadable(short, after, ctx);
            };
            Head {
                content_type: content::V2 + u16::from(raw[2]),
                version: 0,
                length,
                tail: [raw[3], raw[4]],
            }
        } else {
            Head {
                content_type: raw[0].into(),
                version: u16::from_be_bytes([raw[1], raw[2]]),
                length: u16::from_be_bytes([raw[3], raw[4]]).into(),
                tail: [raw[3], raw[4]],
            }
        };
        if head.length == 0 {
            return;
        }
        // Once encrypted it stays so, and application data is not read in any state: no need to keep those.
        let kept = head.content_type != content::APPLICATION_DATA && !self.s.is_encrypted(is_orig);
        self.halves[usize::from(!is_orig)].at = At::Body {
            head,
            left: head.length,
            kept,
        };
    }

    /// Whether this begins a record, where it may as well be the middle of one.
    fn is_header(&self, [content_type, v1, v0, l1, l0]: [u8; HEADER]) -> bool {
        let version = u16::from_be_bytes([v1, v0]);
        let length = u16::from_be_bytes([l1, l0]);
        self.layer == names::SSLV2
            || (20..=26).contains(&content_type)
                && matches!(version, names::SSLV3..=names::TLSV12)
                && length <= MAX_LENGTH
    }

    /// The version of the record layer, or nothing, and the analysis ends, when this is no record.
    fn layer_of(&mut self, is_orig: bool, raw: [u8; HEADER], ctx: &mut Ctx<'_>) -> Option<u16> {
        let version = u16::from_be_bytes([raw[1], raw[2]]);
        let known = matches!(version, names::SSLV3..=names::TLSV12);
        let reason = match self.layer {
            names::SSLV2 => return Some(names::SSLV2),
            0 if raw[0] & 0x80 != 0 => match self.sslv2_layer(is_orig, raw) {
                Ok(layer) => return Some(layer),
                Err(reason) => reason,
            },
            0 if !known => format!("Invalid version in TLS connection. Version: {version}"),
            // The registry's record types, and a few to come.
            0 if !(20..=30).contains(&raw[0]) => {
                format!(
                    "Invalid type in TLS connection. Version: {version}, Type: {}",
                    raw[0]
                )
            }
            0 => {
                self.layer = version;
                return Some(version);
            }
            _ if known => return Some(version),
            _ => format!("Invalid version late in TLS connection. Packet reported version: {version}"),
        };
        self.s.fatal(ctx, &reason);
        None
    }

    /// A client's SSLv2 hello may be followed by TLS; a server's may not.
    fn sslv2_layer(&mut self, is_orig: bool, raw: [u8; HEADER]) -> Result<u16, String> {
        let version = u16::from_be_bytes([raw[3], raw[4]]);
        match (raw[2], is_orig) {
            (1, true) if matches!(version, names::SSLV2 | names::SSLV3..=names::TLSV12) => Ok(names::SSLV2),
            (1, true) => Err(format!("Invalid version in SSL client hello. Version: {version}")),
            (4, false) if raw[4] < 2 => {
                self.layer = names::SSLV2;
                Ok(names::SSLV2)
            }
            _ => Err(format!(
                "Invalid headers in SSL connection. Head1: {}, head2: {}, head3: {}",
                raw[1], raw[2], raw[3]
            )),
        }
    }

    /// A whole record; `body` is empty where it is not kept, `after` is what came with it.
    fn record(&mut self, is_orig: bool, head: Head, body: &[u8], after: &mut &[u8], ctx: &mut Ctx<'_>) {
        self.s.record_version = head.version;
        let mut rest = TlsReader::new(body);
        // What a message leaves of its record is another message of the same kind to Zeek.
        loop {
            let s = &mut self.s;
            let before_13 = matches!(s.version, names::SSLV2 | names::SSLV3..=names::TLSV12);
            if head.content_type == content::APPLICATION_DATA && !before_13 {
                // TLS 1.3 has no sign of its own for where encryption begins.
                s.start_encryption(is_orig);
            }
            if s.is_encrypted(is_orig) {
                return s.ciphertext(ctx, is_orig, head.content_type, head.length);
            }
            let read = match head.content_type {
                content::HANDSHAKE => {
                    let messages = &mut self.halves[usize::from(!is_orig)].messages;
                    messages.record(s, ctx, is_orig, rest.rest());
                    Ok(())
                }
                content::V2_ERROR => {
                    rest.rest();
                    s.alert(ctx, is_orig, u64::MAX, u16::from_be_bytes(head.tail));
                    Ok(())
                }
                content::V2_CLIENT_HELLO => rest.part(|r| v2_client_hello(s, ctx, head, r)),
                content::V2_SERVER_HELLO => rest.part(|r| v2_server_hello(s, ctx, is_orig, r)),
                content::V2_CLIENT_MASTER_KEY => rest.part(|r| v2_client_master_key(s, ctx, r)),
                _ => s.plain_message(ctx, is_orig, head.content_type, head.length, &mut rest),
            };
            if let Err(short) = read {
                return self.unreadable(short, after, ctx);
            }
            self.s.plaintext(ctx, head.content_type);
            if rest.is_empty() || self.s.ended {
                return;
            }
        }
    }

    /// What came with something that cannot be read is not read either; what comes next is a record again.
    fn unreadable(&mut self, short: Short, after: &mut &[u8], ctx: &mut Ctx<'_>) {
        self.s.violation(ctx, &short.to_string());
        *after = &[];
    }
}

impl Session {
    /// A message in the clear that is neither handshake nor SSLv2, from a record of `length` bytes.
    pub(super) fn plain_message(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_orig: bool,
        content_type: u16,
        length: usize,
        r: &mut TlsReader<'_>,
    ) -> Parsed<()> {
        match content_type {
            content::CHANGE_CIPHER_SPEC => {
                r.u8("ChangeCipherSpec")?;
                self.change_cipher_spec(ctx, is_orig);
            }
            content::ALERT => self.alerts(ctx, is_orig, r.rest())?,
            content::HEARTBEAT => {
                const LENGTH: &str = "Heartbeat:payload_length";
                r.check(LENGTH, 3)?;
                let (heartbeat_type, payload_length) = (r.u8(LENGTH)?, r.u16(LENGTH)?);
                self.heartbeat(ctx, is_orig, length, heartbeat_type, payload_length, r.rest());
            }
            content::APPLICATION_DATA => {
                r.rest();
            }
            other => {
                r.rest();
                let from = if is_orig { "originator" } else { "responder" };
                self.violation(ctx, &format!("unknown SSL record type ({other}) from {from}"));
            }
        }
        Ok(())
    }

    fn alerts(&mut self, ctx: &mut Ctx<'_>, is_orig: bool, body: &[u8]) -> Parsed<()> {
        // TLS 1.3 allows one alert a record (RFC 8446 section 5.1).
        let most = 2 * if names::is_tls13(self.version) {
            1
        } else {
            MAX_ALERTS
        };
        if body.len() > most {
            ctx.out
                .weird("SSL_excessive_alerts_in_record", &(body.len() / 2).to_string());
        }
        let mut r = TlsReader::new(&body[..body.len().min(most)]);
        while !r.is_empty() {
            let (level, desc) = r.part(|r| {
                r.check("Alert", 2)?;
                Ok((r.u8("Alert")?, r.u8("Alert")?))
            })?;
            self.alert(ctx, is_orig, level.into(), desc.into());
        }
        Ok(())
    }
}

/// SSLv2's ClientHello, which clients that know more may also send; its first five bytes are the header.
fn v2_client_hello(s: &mut Session, ctx: &mut Ctx<'_>, head: Head, r: &mut TlsReader<'_>) -> Parsed<()> {
    const LENGTHS: &str = "V2ClientHello:chal_len";
    const ALL: &str = "V2ClientHello";
    r.check(LENGTHS, 6)?;
    let [ciphers, id, challenge] = [r.u16(LENGTHS)?, r.u16(LENGTHS)?, r.u16(LENGTHS)?].map(usize::from);
    r.end_after(ALL, ciphers + id + challenge)?;
    let ciphers = r.take(ALL, ciphers - ciphers % 3)?;
    let id = session_id(r.take(ALL, id)?);
    let challenge = r.take(ALL, challenge)?;
    r.rest();
    s.client_hello(ctx, u16::from_be_bytes(head.tail), 0, challenge, id, || {
        u24s(ciphers)
    });
    let full = s.info(ctx).letter(true, 'c');
    s.history_limit(ctx, full);
    Ok(())
}

fn v2_server_hello(s: &mut Session, ctx: &mut Ctx<'_>, is_orig: bool, r: &mut TlsReader<'_>) -> Parsed<()> {
    const LENGTHS: &str = "V2ServerHello:conn_id_len";
    r.check(LENGTHS, 8)?;
    let version = r.u16(LENGTHS)?;
    let [cert, ciphers, conn_id] = [r.u16(LENGTHS)?, r.u16(LENGTHS)?, r.u16(LENGTHS)?].map(usize::from);
    let cert = r.take("V2ServerHello:cert_data", cert)?;
    let ciphers = u24s(r.list("V2ServerHello:ciphers", ciphers / 3, 3)?);
    let conn_id = r.take("V2ServerHello:conn_id_data", conn_id)?;
    if version != names::SSLV2 {
        let reason = format!("Invalid version in SSL server hello. Version: {version}");
        s.fatal(ctx, &reason);
        return Ok(());
    }
    let cipher = ciphers.first().copied().unwrap_or(0) as u32;
    s.server_hello(ctx, version, conn_id, session_id(&[]), cipher, 0);
    let full = s.info(ctx).letter(false, 's');
    s.history_limit(ctx, full);
    s.certificates(ctx, is_orig, &[cert]);
    Ok(())
}

/// With the client's key everything is encrypted, in both directions.
fn v2_client_master_key(s: &mut Session, ctx: &mut Ctx<'_>, r: &mut TlsReader<'_>) -> Parsed<()> {
    const LENGTHS: &str = "V2ClientMasterKey:key_arg_len";
    r.check(LENGTHS, 7)?;
    r.u8(LENGTHS)?;
    let lengths = [r.u16(LENGTHS)?, r.u16(LENGTHS)?, r.u16(LENGTHS)?].map(usize::from);
    r.take("V2ClientMasterKey", lengths.iter().sum())?;
    s.start_encryption(true);
    s.start_encryption(false);
    s.establish(ctx);
    Ok(())
}

/// Three-byte cipher kinds.
fn u24s(list: &[u8]) -> Vec<u64> {
    let kind = |b: &[u8]| u64::from(b[0]) << 16 | u64::from(b[1]) << 8 | u64::from(b[2]);
    list.chunks_exact(3).map(kind).collect()
}
