//! SSH (RFC 4251 to 4254; version 1 too): version lines, key exchange up to NEWKEYS, at which it is sure, and whether the
//! client is authenticated, as far as lengths say. Meaning is Zeek's.

mod auth;
pub mod events;
mod kex;
mod log;
mod offer;
mod rules;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines};
use super::text;
use crate::event::{AnalyzerTag, Event, Kind, Ts};
use crate::software::{self, Found};
use auth::{Answer, Auth};
use events::*;
pub use log::{Hassh, SshRow};
use offer::limit_reached;
use wire::{KexInit, Message, Method, Offer, Packet, PublicKey, Unsound, Whole};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ssh;

/// Zeek's violation for a key exchange packet before both sides have agreed on a version.
const NO_VERSION: &str = "invalid index for case: SSH_Key_Exchange: 3";
/// Events for which an authentication is followed although ssh.log says nothing of it.
const AUTH_EVENTS: [Kind; 3] = [
    SshAuthAttempted::KIND,
    SshAuthSuccessful::KIND,
    SshAuthResult::KIND,
];

/// Settings of the SSH analyzers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SshConfig {
    /// Whether ssh.log has the columns `hassh` and `hassh_server`.
    pub hassh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Version,
    Kex,
    Encrypted,
}

#[derive(Debug)]
struct Side {
    lines: Lines,
    state: State,
    offer: Offer,
    packet: Packet,
}

/// One connection's state.
#[derive(Debug)]
pub struct Ssh {
    /// By direction, orig first.
    sides: [Side; 2],
    /// The first KEXINIT and whether the originator sent it, until a key exchange is agreed on.
    first: Option<(bool, Vec<u8>)>,
    /// How keys are exchanged, once that is agreed on.
    method: Option<Method>,
    auth: Auth,
    /// From the first version line to when the row is written.
    row: Option<Box<SshRow>>,
    config: SshConfig,
    /// Somebody wants an event for each encrypted packet.
    watched: bool,
    /// Neither direction is read any further.
    over: bool,
    /// When it met what is not allowed.
    failed: Option<Ts>,
}

/// Raises an event of the connection if somebody wants it.
macro_rules! raise {
    ($ctx:ident, $event:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        if $ctx.subs.wants($event::KIND) {
            let ev = $event { c: $ctx.c, $($field $(: $value)?),* };
            $ctx.out.event($ctx.ts, &ev as &dyn Event);
        }
    };
}

impl Protocol for Ssh {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[SshRow::LOG],
        tcp_ports: &[22],
        rules: rules::RULES,
        needs_start: true,
        stays: true,
        interactive: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SSH", "ssh"))
    };
    type Shared = SshConfig;

    fn new(_: &Start, config: &SshConfig) -> Ssh {
        let side = || Side {
            lines: Lines::new(Eol::CrOrLf),
            state: State::Version,
            offer: Offer::Unknown,
            packet: Packet::default(),
        };
        Ssh {
            sides: [side(), side()],
            first: None,
            method: None,
            auth: Auth::default(),
            row: None,
            config: *config,
            watched: false,
            over: false,
            failed: None,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        // Where several packets are read at once because their content told the protocol, Zeek reads on behind a violation:
        // the other side's version may come.
        if !self.over || self.failed == Some(ctx.ts) {
            self.feed(is_orig, bytes, ctx);
        }
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.finish();
        Next::More
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        let Some(row) = self.row.take() else { return };
        let auth_attempts = row.auth_attempts;
        let is_failure = row.auth_success == Some(false) && row.client.is_some() && row.server.is_some();
        if is_failure {
            raise!(ctx, SshAuthFailed {});
        }
        write(row, ctx);
        if is_failure {
            raise!(
                ctx,
                SshAuthResult {
                    result: false,
                    auth_attempts
                }
            );
        }
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
        if let Some((is_orig, _)) = &mut self.first {
            *is_orig = !*is_orig;
        }
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        match self.over {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }

    fn is_settled(&self) -> bool {
        self.row.is_none()
    }
}

impl Ssh {
    /// Neither direction is read any further.
    fn finish(&mut self) {
        self.over = true;
        self.first = None;
        for side in &mut self.sides {
            side.packet = Packet::default();
        }
    }

    fn side(&mut self, is_orig: bool) -> &mut Side {
        &mut self.sides[usize::from(!is_orig)]
    }

    /// The version both sides speak, 1 or 2.
    fn version(&self) -> Option<u8> {
        self.sides[0].offer.common(self.sides[1].offer)
    }

    /// Says what is not allowed, in the words of Zeek's parser, and reads no further.
    fn violation(&mut self, reason: &str, ctx: &mut Ctx<'_>) {
        ctx.violation(&format!("Binpac exception: binpac exception: {reason}"));
        self.failed = Some(ctx.ts);
        self.finish();
    }

    /// The bytes of one packet, in order.
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) {
        while self.side(is_orig).state == State::Version {
            let Some(line) = self.side(is_orig).lines.next(&mut bytes).map(<[u8]>::to_vec) else {
                return;
            };
            self.line(is_orig, &line, ctx);
        }
        if self.over {
            return;
        }
        let side = self.side(is_orig);
        side.lines.settle(&mut bytes);
        while !bytes.is_empty() && self.side(is_orig).state == State::Kex {
            let Some(version) = self.version() else {
                return self.violation(NO_VERSION, ctx);
            };
            let packet = &mut self.side(is_orig).packet;
            let Some(whole) = packet.take(version, &mut bytes, |len| {
                limit_reached(
                    "SSH_max_packet_length_exceeded",
                    len.into(),
                    wire::MAX_PACKET.into(),
                    ctx,
                );
            }) else {
                return;
            };
            match version {
                1 => self.packet_of_1(is_orig, &whole, ctx),
                _ => self.packet_of_2(is_orig, &whole, ctx),
            }
            if self.over {
                return;
            }
        }
        if !bytes.is_empty() {
            self.encrypted(is_orig, bytes.len(), ctx);
        }
        self.let_go(ctx);
    }

    /// A line of a side that has not said its version yet.
    fn line(&mut self, is_orig: bool, line: &[u8], ctx: &mut Ctx<'_>) {
        match Offer::of(line) {
            Some(offer) => {
                let side = self.side(is_orig);
                side.offer = offer;
                side.state = State::Kex;
                self.identified(is_orig, line, ctx);
            }
            // A server may talk before its version; a client may not.
            None if is_orig => {
                self.side(is_orig).state = State::Kex;
                self.finish();
            }
            None => raise!(
                ctx,
                SshServerPreBannerData {
                    data: &text::of_bytes(wire::pre_banner(line))
                }
            ),
        }
    }

    /// A side has said who it is, in `line`.
    fn identified(&mut self, is_orig: bool, line: &[u8], ctx: &mut Ctx<'_>) {
        self.watched = ctx.subs.wants(SshEncryptedPacket::KIND);
        let version = &text::of_bytes(line);
        match is_orig {
            true => raise!(ctx, SshClientVersion { version }),
            false => raise!(ctx, SshServerVersion { version }),
        }
        let banner = wire::software(line);
        ctx.out.software(&match is_orig {
            true => Found::client(ctx.c, software::Kind::SshClient, banner),
            false => Found::server(ctx.c, software::Kind::SshServer, banner),
        });
        let hassh = self.config.hassh;
        let row = self
            .row
            .get_or_insert_with(|| Box::new(SshRow::new(ctx.ts, ctx.c, direction(ctx), hassh)));
        match is_orig {
            true => row.client = Some(line.to_vec()),
            false => row.server = Some(line.to_vec()),
        }
        let common = self.sides[0].offer.common(self.sides[1].offer);
        row.version = common.map(u64::from);
        if let (Some(client), Some(server)) = (&row.client, &row.server) {
            let offers = [self.sides[0].offer, self.sides[1].offer];
            if let Some(weird) = odd_versions(client, server, offers) {
                let both = format!("{} vs {}", text::of_bytes(server), text::of_bytes(client));
                ctx.out.weird(weird, &both);
            }
        }
    }

    /// A packet of version 1. Behind the first of each side all is encrypted.
    fn packet_of_1(&mut self, is_orig: bool, packet: &Whole, ctx: &mut Ctx<'_>) {
        self.side(is_orig).state = State::Encrypted;
        match packet.kind() {
            wire::CMSG_SESSION_KEY => ctx.confirm(),
            wire::SMSG_PUBLIC_KEY => match packet.payload(1).and_then(PublicKey::read) {
                Ok(key) => self.host_key_of_1(&key, ctx),
                Err(unsound) => self.unsound(packet, &unsound, ctx),
            },
            other => {
                let unsound = Unsound::case("SSH1_Message", other);
                self.violation(&unsound.reason, ctx);
            }
        }
    }

    /// A packet of version 2.
    fn packet_of_2(&mut self, is_orig: bool, packet: &Whole, ctx: &mut Ctx<'_>) {
        if packet.kind() == wire::MSG_NEWKEYS {
            self.side(is_orig).state = State::Encrypted;
            ctx.confirm();
            return;
        }
        let payload = packet.payload(2);
        match payload.and_then(|payload| Message::read(self.method, packet.kind(), payload)) {
            Ok(message) => self.message(is_orig, &message, packet, ctx),
            Err(unsound) => self.unsound(packet, &unsound, ctx),
        }
    }

    /// A message cannot be read. Of one that was too long to be kept nothing is known.
    fn unsound(&mut self, packet: &Whole, unsound: &Unsound, ctx: &mut Ctx<'_>) {
        if let Some(len) = unsound.too_long {
            limit_reached(
                "SSH_max_string_length_exceeded",
                len.into(),
                wire::MAX_STRING.into(),
                ctx,
            );
        }
        if packet.is_kept() {
            self.violation(&unsound.reason, ctx);
        }
    }

    /// A message of the key exchange.
    fn message(&mut self, is_orig: bool, message: &Message<'_>, packet: &Whole, ctx: &mut Ctx<'_>) {
        match *message {
            Message::KexInit(ref offer) => self.kex_init(is_orig, offer, packet, ctx),
            Message::DhInit => raise!(ctx, Ssh2DhGexInit { is_orig }),
            Message::DhGroup { p, g } => raise!(ctx, Ssh2DhServerParams { p, q: g }),
            Message::HostKey(key) => self.host_key_of_2(key, ctx),
            Message::EccInit(q) => {
                raise!(ctx, Ssh2EccKey { is_orig, q });
                raise!(ctx, Ssh2EccInit { is_orig });
            }
            Message::EccReply { host_key, q } => {
                self.host_key_of_2(host_key, ctx);
                raise!(ctx, Ssh2EccKey { is_orig, q });
            }
            Message::GssInit => raise!(ctx, Ssh2GssInit { is_orig }),
            Message::GssError {
                major,
                minor,
                message,
            } => raise!(
                ctx,
                Ssh2GssError {
                    major_status: major.into(),
                    minor_status: minor.into(),
                    err_msg: &text::of_bytes(message),
                }
            ),
            Message::RsaSecret => raise!(ctx, Ssh2RsaSecret { is_orig }),
            Message::Other => {}
        }
    }

    /// What a side offers.
    fn kex_init(&mut self, is_orig: bool, offer: &KexInit<'_>, packet: &Whole, ctx: &mut Ctx<'_>) {
        offer::tell(is_orig, offer, ctx);
        if let Some(hassh) = self.row.as_mut().and_then(|row| row.hassh.as_mut()) {
            let own = match is_orig {
                true => &mut hassh.hassh,
                false => &mut hassh.hassh_server,
            };
            own.get_or_insert_with(|| kex::hassh(offer, !is_orig));
        }
        let Some((first_is_orig, payload)) = self.first.take() else {
            self.first = packet.payload(2).ok().map(|p| (is_orig, p.to_vec()));
            return;
        };
        if let (true, Ok(first)) = (first_is_orig != is_orig, KexInit::read(&payload)) {
            let (client, server) = if is_orig { (offer, &first) } else { (&first, offer) };
            self.agreed(client, server, ctx);
        }
        // Without a key exchange that is known another offer may come.
        self.first = self.method.is_none().then_some((first_is_orig, payload));
    }

    /// Both sides have said what they offer.
    fn agreed(&mut self, client: &KexInit<'_>, server: &KexInit<'_>, ctx: &mut Ctx<'_>) {
        if let Some(row) = &mut self.row {
            row.cipher_alg = Some(kex::agreed_both(client.encryption, server.encryption));
            row.mac_alg = Some(kex::agreed_both(client.mac, server.mac));
            row.compression_alg = Some(kex::agreed_both(client.compression, server.compression));
            row.kex_alg = Some(kex::agreed(client.kex, server.kex));
            row.host_key_alg = Some(kex::agreed(client.host_key, server.host_key));
        }
        if let Some(algorithm) = kex::common(client.kex, server.kex) {
            self.method = Method::of(algorithm);
            if self.method.is_none() {
                ctx.out
                    .weird("ssh_unknown_kex_algorithm", &text::of_bytes(algorithm));
            }
        }
    }

    /// The server's key, in version 2.
    fn host_key_of_2(&mut self, key: &[u8], ctx: &mut Ctx<'_>) {
        self.fingerprint(kex::fingerprint(&[key]), ctx);
        raise!(ctx, Ssh2ServerHostKey { key });
    }

    /// The server's key, in version 1.
    fn host_key_of_1(&mut self, key: &PublicKey<'_>, ctx: &mut Ctx<'_>) {
        let PublicKey { modulus, exponent } = *key;
        self.fingerprint(kex::fingerprint(&[modulus, exponent]), ctx);
        raise!(ctx, Ssh1ServerHostKey { modulus, exponent });
    }

    fn fingerprint(&mut self, hash: String, ctx: &mut Ctx<'_>) {
        raise!(ctx, SshServerHostKey { hash: &hash });
        if let Some(row) = &mut self.row {
            row.host_key = Some(hash);
        }
    }

    /// A packet has brought `len` encrypted bytes.
    fn encrypted(&mut self, is_orig: bool, len: usize, ctx: &mut Ctx<'_>) {
        raise!(
            ctx,
            SshEncryptedPacket {
                orig: is_orig,
                len: len as u64
            }
        );
        if self.version() != Some(2) {
            return;
        }
        if let Some(answer) = self.auth.packet(is_orig, len) {
            self.answered(answer, ctx);
        }
    }

    /// The server has said whether the client is authenticated.
    fn answered(&mut self, answer: Answer, ctx: &mut Ctx<'_>) {
        let authenticated = answer != Answer::Failure;
        raise!(ctx, SshAuthAttempted { authenticated });
        if let Answer::Success { none } = answer {
            raise!(
                ctx,
                SshAuthSuccessful {
                    auth_method_none: none
                }
            );
        }
        let Some(row) = &mut self.row else { return };
        if !row.is_compressed() {
            row.auth_success = Some(authenticated);
            row.auth_attempts += 1;
        }
        let auth_attempts = row.auth_attempts;
        let done = self.row.take_if(|_| authenticated);
        if let Some(row) = done {
            write(row, ctx);
            raise!(
                ctx,
                SshAuthResult {
                    result: true,
                    auth_attempts
                }
            );
        }
    }

    /// Reads no further where nothing more can be learnt.
    fn let_go(&mut self, ctx: &Ctx<'_>) {
        let is_encrypted = self.sides.iter().all(|side| side.state == State::Encrypted);
        if is_encrypted && !self.watched && !self.may_learn(ctx) {
            self.finish();
        }
    }

    /// Whether encrypted packets may still say something of the authentication.
    fn may_learn(&self, ctx: &Ctx<'_>) -> bool {
        let is_told = || {
            let is_compressed = self.row.as_ref().is_some_and(|row| row.is_compressed());
            !is_compressed || AUTH_EVENTS.iter().any(|kind| ctx.subs.wants(*kind))
        };
        self.version() == Some(2) && !self.auth.is_over() && is_told()
    }
}

/// Writes a row, under the connection's ends as they are by now.
fn write(mut row: Box<SshRow>, ctx: &mut Ctx<'_>) {
    row.c = *ctx.c;
    ctx.out.log(&*row);
}

/// Where a connection leads, if one of its ends is local and the other is not.
fn direction(ctx: &Ctx<'_>) -> Option<&'static str> {
    match [ctx.c.orig_h, ctx.c.resp_h].map(|addr| ctx.out.is_local(addr)) {
        [true, false] => Some("OUTBOUND"),
        [false, true] => Some("INBOUND"),
        _ => None,
    }
}

/// What is odd about two version lines, under Zeek's name. `offers`: what they offer.
fn odd_versions(client: &[u8], server: &[u8], offers: [Offer; 2]) -> Option<&'static str> {
    let has_version = |line: &[u8]| line.len() > b"SSH-".len();
    if !has_version(client) || !has_version(server) {
        return Some("SSH_cannot_determine_version");
    }
    let differ = matches!(offers, [Offer::V1, Offer::V2] | [Offer::V2, Offer::V1]);
    differ.then_some("SSH_version_mismatch")
}
