//! DTLS's record layer (RFC 6347, RFC 9147): one or more records a datagram, handshake messages in fragments.

use super::events;
use super::fragments::{Fragments, MAX_FRAGMENTED, Message};
use super::handshake::too_long;
use super::reader::{Parsed, TlsReader};
use super::session::Session;
use super::shared::{SharedTls, Transport};
use super::{content, detect, names};
use crate::analyzer::api::{Closing, Ctx, Interest, Later, Next, Protocol, ReadsMarks, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// What follows the first byte of a record before its body: version, epoch, number and length, bytes.
const HEADER: usize = 12;
/// Records of unknown version in a row before the analysis ends (Zeek's `SSL::dtls_max_version_errors`).
const MAX_VERSION_ERRORS: u32 = 10;
/// How many of them are reported (Zeek's `SSL::dtls_max_reported_version_errors`).
const MAX_REPORTED_ERRORS: u32 = 1;
/// The DTLS analyzer of one UDP flow.
#[derive(Debug)]
pub struct Dtls {
    s: Session,
    /// Originator's, responder's.
    fragments: [Fragments; 2],
    version_errors: u32,
    reported_errors: u32,
    bulk_wanted: bool,
}

impl Default for Dtls {
    fn default() -> Dtls {
        Dtls::new()
    }
}

/// The versions that records have, DTLS 1.3's too.
fn is_record_version(version: u16) -> bool {
    matches!(version, names::DTLSV10 | names::DTLSV12)
}

/// STUN shares the port with WebRTC's DTLS: its magic cookie.
fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() > 20 && bytes[4..8] == [0x21, 0x12, 0xa4, 0x42]
}

impl Protocol for Dtls {
    const SPEC: Spec = Spec {
        udp_ports: detect::DTLS_PORTS,
        later: Later::Datagram {
            begins: detect::looks_like_dtls,
            stranger: Dtls::is_stranger,
        },
        stays: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DTLS", "dtls"))
    };
    type Shared = SharedTls;

    fn new(start: &Start, shared: &SharedTls) -> Dtls {
        let mut dtls = Dtls::with(shared);
        dtls.version_errors = start.strangers;
        dtls.s.ended = start.strangers > MAX_VERSION_ERRORS;
        dtls
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if !self.s.begin(ctx, bytes.len()) {
            return Next::More;
        }
        self.bulk_wanted = ctx.subs.wants(events::SslEncryptedData::KIND);
        if is_stun(bytes) {
            return Next::More;
        }
        let mut r = TlsReader::new(bytes);
        while !self.s.ended && !r.is_empty() {
            if let Err(short) = self.record(is_orig, &mut r, ctx) {
                self.s.violation(ctx, &short.to_string());
                break;
            }
        }
        Next::More
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        self.s.ended = true;
        self.s.write_row(ctx);
    }

    fn flip(&mut self) {
        self.s.swap_roles();
        self.fragments.swap(0, 1);
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        match (self.s.ended, self.s.is_established(), self.bulk_wanted) {
            (true, ..) | (_, true, false) => Interest::Nothing,
            // DTLS 1.3 has other headers when it is encrypted, and so have records with connection ids.
            (_, true, true) if self.s.version != names::DTLSV13 && !self.s.has_connection_ids() => {
                Interest::Marks
            }
            _ => Interest::Everything,
        }
    }

    fn is_settled(&self) -> bool {
        self.s.is_logged()
    }

    fn marks(&self) -> Option<&dyn ReadsMarks> {
        Some(self)
    }

    fn marks_mut(&mut self) -> Option<&mut dyn ReadsMarks> {
        Some(self)
    }
}

impl ReadsMarks for Dtls {
    /// Of a flow of datagrams there is no next one.
    fn to_header(&self, _: bool) -> Option<u64> {
        None
    }

    fn unseen(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) {}

    fn record_begins(&mut self, _: bool) {}

    /// The headers are those of encrypted records: type, version, length.
    fn headers(
        &mut self,
        is_orig: bool,
        len: usize,
        headers: &mut dyn Iterator<Item = [u8; 5]>,
        ctx: &mut Ctx<'_>,
    ) {
        if !self.s.begin(ctx, len) {
            return;
        }
        for [content_type, v0, v1, l0, l1] in headers {
            let version = u16::from_be_bytes([v0, v1]);
            let length = u16::from_be_bytes([l0, l1]);
            self.encrypted(is_orig, version, content_type.into(), length.into(), ctx);
        }
    }
}

impl Dtls {
    /// With certificates of its own: every one is new to x509.log.
    pub fn new() -> Dtls {
        Dtls::with(&SharedTls::default())
    }

    /// With certificates shared between connections, so that each is parsed and logged once.
    pub fn with(shared: &SharedTls) -> Dtls {
        Dtls {
            s: Session::new(Transport::Datagrams, shared.clone()),
            fragments: Default::default(),
            version_errors: 0,
            reported_errors: 0,
            bulk_wanted: true,
        }
    }

    /// Whether a datagram has a record's header, but the version of none, and is not STUN's.
    pub(super) fn is_stranger(bytes: &[u8]) -> bool {
        matches!(bytes, [_, a, b, ..] if !is_record_version(u16::from_be_bytes([*a, *b])))
            && bytes.len() > HEADER
            && !is_stun(bytes)
    }

    /// An encrypted record with a header of DTLS 1.0 or 1.2.
    fn encrypted(
        &mut self,
        is_orig: bool,
        version: u16,
        content_type: u16,
        length: usize,
        ctx: &mut Ctx<'_>,
    ) {
        if self.version_ok(ctx, version) && length != 0 {
            self.s.record_version = version;
            self.s.ciphertext(ctx, is_orig, content_type, length);
        }
    }

    fn record(&mut self, is_orig: bool, r: &mut TlsReader<'_>, ctx: &mut Ctx<'_>) -> Parsed<()> {
        let first = r.u8("SSLRecordSwitch:firstbyte")?;
        if self.s.version == names::DTLSV13 && first & 0xe0 == 0x20 {
            return r.part(|r| self.unified(is_orig, first, r, ctx));
        }
        r.part(|r| self.classic(is_orig, first, r, ctx))
    }

    /// The record that all versions begin with (RFC 6347 section 4.1), after its first byte.
    fn classic(&mut self, is_orig: bool, first: u8, r: &mut TlsReader<'_>, ctx: &mut Ctx<'_>) -> Parsed<()> {
        const LENGTH: &str = "SSLRecord:length";
        r.check(LENGTH, HEADER)?;
        let (version, epoch, number) = (r.u16(LENGTH)?, r.u16(LENGTH)?, r.u48(LENGTH)?);
        let content_type = u16::from(first);
        if content_type == content::TLS12_CID && epoch != 0 && is_record_version(version) {
            // A connection id comes before the length (RFC 9146 section 4).
            match self.s.connection_id(is_orig) {
                Some(n) => {
                    let id = "SSLRecord:connection_id";
                    r.check(id, n + 2)?;
                    r.take(id, n)?;
                }
                // Of unknown length: then this record is taken for the datagram's last one.
                None => {
                    let length = r.rest().len();
                    self.encrypted(is_orig, version, content_type, length, ctx);
                    return Ok(());
                }
            }
        }
        let length = usize::from(r.u16(LENGTH)?);
        if !self.version_ok(ctx, version) {
            r.rest();
            return Ok(());
        }
        let mut body = TlsReader::new(r.take("SSLRecord:rec", length)?);
        self.s.record_version = version;
        if length == 0 {
            return Ok(());
        }
        if epoch != 0 {
            self.s.ciphertext(ctx, is_orig, content_type, length);
            return Ok(());
        }
        // What a message leaves of its record is another one.
        while !body.is_empty() && !self.s.ended {
            match content_type {
                content::HANDSHAKE => self.handshake(is_orig, number, TlsReader::new(body.rest()), ctx)?,
                _ => self
                    .s
                    .plain_message(ctx, is_orig, content_type, length, &mut body)?,
            }
            self.s.plaintext(ctx, content_type);
        }
        Ok(())
    }

    /// The encrypted record of DTLS 1.3 (RFC 9147 section 4).
    fn unified(&mut self, is_orig: bool, first: u8, r: &mut TlsReader<'_>, ctx: &mut Ctx<'_>) -> Parsed<()> {
        // The length of a connection id is in the peer's hello only; Zeek takes the rest as it is, so do we.
        let with_cid = first & 0x10 != 0;
        if !with_cid {
            let number = if first & 0x08 != 0 { 2 } else { 1 };
            r.take("UnifiedRecord:sequence_number", number)?;
            if first & 0x04 != 0 {
                r.u16("UnifiedRecord:length")?;
            }
        }
        let length = r.rest().len();
        // There is no ChangeCipherSpec: a record each way is all there is to go by.
        self.s.start_encryption(is_orig);
        self.s.ciphertext(ctx, is_orig, content::APPLICATION_DATA, length);
        Ok(())
    }

    fn version_ok(&mut self, ctx: &mut Ctx<'_>, version: u16) -> bool {
        if is_record_version(version) {
            if self.s.is_confirmed() {
                self.version_errors = 0;
            }
            return true;
        }
        self.version_errors += 1;
        if self.s.is_confirmed() {
            self.reported_errors = self.reported_errors.saturating_add(1);
            if self.reported_errors <= MAX_REPORTED_ERRORS {
                let reason =
                    format!("Invalid version in DTLS connection. Packet reported version: {version}");
                self.s.violation(ctx, &reason);
            }
        }
        if self.version_errors > MAX_VERSION_ERRORS {
            self.s.ended = true;
        }
        false
    }

    /// The handshake messages, or fragments of them, in one record.
    fn handshake(
        &mut self,
        is_orig: bool,
        number: u64,
        mut r: TlsReader<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Parsed<()> {
        const LAST: &str = "Handshake:fragment_length";
        while !r.is_empty() && !self.s.ended {
            r = TlsReader::new(r.rest());
            r.check(LAST, 12)?;
            let msg_type = r.u8(LAST)?;
            let length = r.u24(LAST)? as usize;
            let message_seq = r.u16(LAST)?;
            let offset = r.u24(LAST)? as usize;
            let fragment_length = r.u24(LAST)? as usize;
            let is_whole = offset == 0 && fragment_length == length;
            if !is_whole && length > MAX_FRAGMENTED {
                let reason = format!("DTLS record length {length} larger than allowed maximum.");
                self.s.violation(ctx, &reason);
                return Ok(());
            }
            if !self.s.shared.fits(msg_type, length) {
                too_long(&mut self.s, ctx, length);
                return Ok(());
            }
            if fragment_length > r.len() {
                let reason = "DTLS handshake record length does not match packet length";
                self.s.violation(ctx, reason);
                return Ok(());
            }
            let data = r.take("Handshake:data", fragment_length)?;
            if is_whole {
                if !self.s.handshake(ctx, is_orig, msg_type, data) {
                    return Ok(());
                }
                continue;
            }
            if offset + fragment_length > length {
                let reason = "DTLS handshake fragment trying to write past end of buffer";
                self.s.violation(ctx, reason);
                continue;
            }
            let message = Message {
                seq: message_seq,
                msg_type,
                length,
            };
            let kept = &mut self.fragments[usize::from(!is_orig)];
            match kept.add(number, message, offset, data) {
                Ok(Some(whole)) => {
                    self.s.handshake(ctx, is_orig, msg_type, &whole);
                }
                Ok(None) => {}
                Err(reason) => self.s.violation(ctx, reason),
            }
        }
        Ok(())
    }
}
