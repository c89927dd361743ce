//! SOCKS 4, 4a and 5 (RFC 1928, 1929): sure at the proxy's reply. What comes behind request and reply is any protocol's.

pub mod events;
mod log;
mod names;
mod rules;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::text;
use crate::datapath::tunnels::TunnelKind;
use crate::event::{AnalyzerTag, Event};
use events::*;
pub use log::SocksRow;
use wire::{Address, Login, Message, Negotiation, Read, Stage};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Socks;

/// Bytes of a message that are kept until all of it is there. Only names in version 4 could be longer.
const MAX_MESSAGE: usize = 1024;

/// One connection's state.
#[derive(Debug)]
pub struct Socks {
    /// By direction, orig first.
    sides: [Side; 2],
    stage: Stage,
    row: Option<Box<SocksRow>>,
    /// It is read no further.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Side {
    /// Of a message that is not there as a whole.
    kept: Vec<u8>,
    /// Its request or reply came.
    is_done: bool,
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

impl Protocol for Socks {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[SocksRow::LOG],
        tcp_ports: &[1080],
        rules: rules::RULES,
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SOCKS", "socks"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Socks {
        Socks {
            sides: Default::default(),
            stage: Stage::default(),
            row: None,
            is_over: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let mut rest = bytes;
        loop {
            if self.is_over {
                return Next::More;
            }
            // What the client sends ahead waits for the answer to what was before it.
            if !self.step(is_orig, &mut rest, ctx) && (is_orig || !self.step(true, &mut &[][..], ctx)) {
                break;
            }
            if self.sides.iter().all(|side| side.is_done) {
                self.is_over = true;
                return Next::HandOver(HandOver::new(Inside::Tunnel, rest));
            }
        }
        Next::More
    }

    /// A message is lost, or a part of one.
    fn gap(&mut self, is_orig: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.sides[usize::from(!is_orig)].kept = Vec::new();
        Next::More
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        // What has turned out to be something else is not logged.
        if let Some(mut row) = self.row.take().filter(|_| ctx.is_service()) {
            row.c = *ctx.c;
            ctx.out.log(&*row);
        }
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        match self.is_over {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }

    fn is_settled(&self) -> bool {
        self.row.is_none()
    }
}

impl Socks {
    /// Reads a message of a side, if all of it is there. False: more has to come.
    fn step(&mut self, is_orig: bool, rest: &mut &[u8], ctx: &mut Ctx<'_>) -> bool {
        let waits = is_orig && self.stage.waits();
        let side = &mut self.sides[usize::from(!is_orig)];
        let before = side.kept.len();
        let room = MAX_MESSAGE.saturating_sub(before);
        side.kept.extend_from_slice(rest.get(..room).unwrap_or(rest));
        if waits || side.kept.is_empty() {
            return self.keep(before, rest, ctx);
        }
        let kept = std::mem::take(&mut side.kept);
        match wire::read(&self.stage, is_orig, &kept) {
            Read::More => {
                self.sides[usize::from(!is_orig)].kept = kept;
                self.keep(before, rest, ctx)
            }
            Read::Violation(reason) => {
                self.fail(&reason, ctx);
                true
            }
            Read::Message(message, len) => {
                // All that was kept before belongs to the message, or to what was read ahead.
                match len.checked_sub(before) {
                    Some(len) => *rest = rest.get(len..).unwrap_or(&[]),
                    None => {
                        self.sides[usize::from(!is_orig)].kept =
                            kept.get(len..before).unwrap_or(&[]).to_vec();
                    }
                }
                self.message(is_orig, &message, ctx);
                true
            }
        }
    }

    /// All of `rest` waits in its side's buffer, if there is room for it.
    fn keep(&mut self, before: usize, rest: &mut &[u8], ctx: &mut Ctx<'_>) -> bool {
        if before + rest.len() > MAX_MESSAGE {
            self.fail("message is too long", ctx);
            return true;
        }
        *rest = &[];
        false
    }

    fn fail(&mut self, reason: &str, ctx: &mut Ctx<'_>) {
        ctx.violation(reason);
        self.is_over = true;
        self.sides = Default::default();
    }

    fn row(&mut self, version: u8, ctx: &Ctx<'_>) -> &mut SocksRow {
        self.row
            .get_or_insert_with(|| Box::new(SocksRow::new(ctx.ts, ctx.c, version)))
    }

    fn message(&mut self, is_orig: bool, message: &Message<'_>, ctx: &mut Ctx<'_>) {
        self.stage.next(is_orig, message);
        match *message {
            Message::Negotiation(Negotiation::Offer | Negotiation::Method(_)) => {}
            Message::Login(Login::Password { user, password }) => {
                raise!(
                    ctx,
                    SocksLoginUserpassRequest {
                        user: &text::of_bytes(user),
                        password: &text::of_bytes(password),
                    }
                );
                self.row(5, ctx).user = Some(user.to_vec());
            }
            Message::Login(Login::Answer(code)) => {
                raise!(ctx, SocksLoginUserpassReply { code: code.into() });
                self.row(5, ctx).status = Some(names::status(5, code));
            }
            Message::Login(Login::Unknown { weird, ref addl }) => ctx.out.weird_from(weird, addl, "SOCKS"),
            Message::Request {
                version,
                command,
                address,
                port,
                user,
            } => {
                let name = address.name.map(text::of_bytes);
                raise!(
                    ctx,
                    SocksRequest {
                        version: version.into(),
                        request_type: command.into(),
                        sa: shown(&address, name.as_deref()),
                        p: port.into(),
                        user: &text::of_bytes(user),
                    }
                );
                let row = self.row(version, ctx);
                row.request_host = address.host;
                row.request_name = address.name.map(<[u8]>::to_vec);
                row.request_p = Some(port);
                self.sides[0].is_done = true;
                ctx.out.proxies(TunnelKind::Socks);
            }
            Message::Reply {
                version,
                code,
                address,
                port,
            } => {
                let name = address.name.map(text::of_bytes);
                raise!(
                    ctx,
                    SocksReply {
                        version: version.into(),
                        reply: code.into(),
                        sa: shown(&address, name.as_deref()),
                        p: port.into(),
                    }
                );
                let row = self.row(version, ctx);
                row.status = Some(names::status(version, code));
                row.bound_host = address.host;
                row.bound_name = address.name.map(<[u8]>::to_vec);
                row.bound_p = Some(port);
                self.sides[1].is_done = true;
                ctx.confirm();
            }
        }
    }
}

/// An address as events have it; `name` is its name.
fn shown<'a>(address: &Address<'_>, name: Option<&'a str>) -> AddressRecord<'a> {
    AddressRecord {
        host: address.host,
        name,
    }
}
