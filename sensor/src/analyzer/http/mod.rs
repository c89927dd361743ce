//! HTTP: requests and replies with their headers and bodies (http.log, events, files), and where a CONNECT tunnel or
//! another protocol (Upgrade) begins.
//!
//! `content` cuts a direction into lines and bodies, `wire` reads first lines, `message` goes through a message's
//! parts (`entity`), `exchange` matches replies with requests and keeps the rows. What is odd, and how long bodies are, is
//! what Zeek finds. A connection that turns out to be HTTP/2 is read by `h2`, which Zeek does not.

pub(super) mod body;
mod brotli;
mod carry;
pub(super) mod content;
mod entity;
pub mod events;
mod exchange;
mod h2;
mod handle;
mod held;
mod log;
mod memory;
mod message;
pub(super) mod mime;
mod rules;
#[cfg(test)]
mod tests;
mod unpack;
mod wire;
mod work;

use std::collections::VecDeque;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::websocket;
use crate::datapath::tunnels::TunnelKind;
use crate::signature::Context;
use content::{Content, Piece};
use entity::Expects;
use events::tell;
use exchange::{Exchange, Exchanges};
use h2::H2;
use held::Held;
use memory::Memory;
use message::Message;
use unpack::Unpacking;
use wire::{UNKNOWN, V2, V09, Version};
use work::{Both, Work};

pub use log::HttpRow;

/// Most requests whose replies are awaited; of more, the first ones are taken for answered.
const MAX_UNANSWERED: usize = 4096;

/// Why a message is over that the connection's end interrupts.
const CONNECTION_DONE: &str = "message interrupted when connection done";

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Http;

/// Settings of the analyzers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// Passwords of the basic scheme go into http.log (Zeek: HTTP::default_capture_password).
    pub capture_password: bool,
}

/// What the analyzers of one worker share.
#[derive(Clone, Debug, Default)]
pub struct HttpShared {
    /// Settings.
    pub config: HttpConfig,
    /// What compressed bodies take.
    memory: Memory,
}

impl HttpShared {
    /// With these settings.
    pub fn new(config: HttpConfig) -> HttpShared {
        HttpShared {
            config,
            memory: Memory::default(),
        }
    }
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    FirstLine,
    /// Headers or a body.
    Message,
    /// The bytes that answer a request of HTTP/0.9.
    Raw,
    /// What is not looked at, to the connection's end.
    Nothing,
}

#[derive(Debug)]
struct Side {
    content: Content,
    expect: Expect,
    message: Option<Box<Message>>,
    /// The message is not over.
    is_open: bool,
    /// A line broke the protocol.
    is_broken: bool,
    /// First lines so far.
    messages: u64,
    /// Place of the next byte in the stream; the first one is 1.
    at: u64,
    /// Somebody but the files room wants more of the body that is being read.
    wants_body: bool,
}

/// One connection's state.
#[derive(Debug)]
pub struct Http {
    sides: [Side; 2],
    both: Both,
    /// For each request without a reply: whether it was HEAD.
    unanswered: VecDeque<bool>,
    exchanges: Exchanges,
    /// A line that ended with a CR alone was told.
    lone_cr_told: bool,
    /// The connection's end is to be told.
    stats_due: bool,
    /// It began inside a tunnel, whose reply goes on as long as the connection.
    in_reply: bool,
    /// The client's preface of HTTP/2 may still come. What came so far, which is its beginning, and what a server of
    /// HTTP/2 sends ahead of it.
    may_be_h2: bool,
    held: Held,
    /// It goes on as HTTP/2.
    h2: Option<Box<H2>>,
}

impl Protocol for Http {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[HttpRow::LOG],
        tcp_ports: &[80, 81, 631, 1080, 3128, 8000, 8080, 8888],
        rules: rules::RULES,
        needs_start: true,
        ..Spec::new(handle::TAG)
    };
    type Shared = HttpShared;

    fn new(_: &Start, shared: &HttpShared) -> Http {
        let side = || Side {
            content: Content::default(),
            expect: Expect::FirstLine,
            message: None,
            is_open: false,
            is_broken: false,
            messages: 0,
            at: 1,
            wants_body: false,
        };
        Http {
            sides: [side(), side()],
            both: Both {
                unpacking: Unpacking::new(shared.memory.clone()),
                ..Both::default()
            },
            unanswered: VecDeque::new(),
            exchanges: Exchanges::new(shared.config.capture_password),
            lone_cr_told: false,
            stats_due: false,
            in_reply: false,
            may_be_h2: true,
            held: Held::default(),
            h2: None,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.stats_due = ctx.subs.wants(events::HttpStatsEvent::KIND);
        let dir = usize::from(!is_orig);
        self.sides[dir].at += bytes.len() as u64;
        if self.may_be_h2 && self.hold(dir, bytes, ctx) {
            return Next::More;
        }
        self.feed(dir, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.lose(is_orig, len, ctx);
        Next::More
    }

    fn unseen(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.skip(is_orig, len, ctx);
        Next::More
    }

    fn coming(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        self.with_message(usize::from(!is_orig), ctx, |m, w| m.coming(w));
    }

    fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) -> Next {
        let dir = usize::from(!is_orig);
        self.let_go(ctx);
        if self.h2.is_some() {
            return Next::More;
        }
        let next = match self.sides[dir].content.is_partial() {
            true => self.feed(dir, b"\n", ctx),
            false => None,
        };
        let over = "message ends as connection contents are completely delivered";
        let next = next.or(self.over(dir, false, over, &[], ctx));
        next.map_or(Next::More, Next::HandOver)
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        let dir = usize::from(!is_orig);
        let holds_line = self.held.of(dir).last().is_some_and(|b| *b != b'\n');
        self.h2.is_none() && (holds_line || self.sides[dir].content.is_partial())
    }

    /// What is inside a tunnel, or behind an upgrade, is counted on; a pair that was begun outside may end inside.
    fn inherit(&mut self, outer: &mut Http) {
        self.exchanges = outer.exchanges.hand_on();
        self.both.unpacking = outer.both.unpacking.clone();
        self.in_reply = outer.sides[1].is_open;
        outer.sides.iter_mut().for_each(|side| side.is_open = false);
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        self.let_go(ctx);
        if std::mem::take(&mut self.in_reply) {
            let stat = events::MessageStat {
                start: ctx.ts,
                interrupted: true,
                finish_msg: CONNECTION_DONE,
                body_length: 0,
                content_gap_length: 0,
                header_length: 0,
            };
            self.exchanges.message_done(false, stat, ctx);
        }
        for dir in [0, 1] {
            self.over(dir, true, CONNECTION_DONE, &[], ctx);
        }
        if let Some(h2) = &mut self.h2 {
            h2.finish(CONNECTION_DONE, ctx);
            self.both.versions = [V2; 2];
            for (side, n) in self.sides.iter_mut().zip(h2.messages) {
                side.messages += n;
            }
        }
        if std::mem::take(&mut self.stats_due) {
            let version = |(major, minor): Version| f64::from(major) + f64::from(minor) / 10.0;
            let stats = events::HttpStats {
                num_requests: self.sides[0].messages,
                num_replies: self.sides[1].messages,
                request_version: version(self.both.versions[0]),
                reply_version: version(self.both.versions[1]),
            };
            tell!(ctx, HttpStatsEvent, stats: stats);
        }
        self.exchanges.finish(ctx);
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
        self.held.flip();
        if let Some(h2) = &mut self.h2 {
            h2.stop();
        }
        // Who asks and who answers was decided already: nothing of it makes sense the other way round.
        if self.sides.iter().any(|side| side.messages > 0) {
            self.read_no_more();
        }
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        if let Some(h2) = &self.h2 {
            return h2.interest();
        }
        match self.sides[usize::from(!is_orig)].expect {
            Expect::Nothing => Interest::Nothing,
            Expect::FirstLine | Expect::Message | Expect::Raw => match self.skippable(is_orig) {
                0 => Interest::Everything,
                n => Interest::Skip(n),
            },
        }
    }

    fn is_settled(&self) -> bool {
        let is_open = self.sides.iter().any(|side| side.is_open);
        let h2_is_open = self.h2.as_ref().is_some_and(|h2| !h2.is_settled());
        self.exchanges.is_empty() && !self.stats_due && self.held.is_empty() && !is_open && !h2_is_open
    }
}

impl Http {
    /// Bytes of a connection that may be HTTP/2: keeps them while they may, and goes on as HTTP/2 when the whole preface
    /// has come. False: they are HTTP/1's, as are those before them.
    fn hold(&mut self, dir: usize, bytes: &[u8], ctx: &mut Ctx<'_>) -> bool {
        let held = self.held.of(dir);
        let may_be = match dir {
            0 => match h2::PREFACE.strip_prefix(held) {
                Some(due) if bytes.starts_with(due) => {
                    self.begin_h2(None, bytes, ctx);
                    return true;
                }
                Some(due) => due.starts_with(bytes),
                // The sides have changed places.
                None => false,
            },
            _ => held.len() + bytes.len() <= h2::MAX_EARLY && h2::may_begin(held, bytes),
        };
        if may_be {
            self.held.push(dir, bytes);
        } else {
            self.let_go(ctx);
        }
        may_be
    }

    /// It is HTTP/1: reads what was kept in case that it would not be, as it came: what a reply means depends on whether its
    /// request came before it.
    fn let_go(&mut self, ctx: &mut Ctx<'_>) {
        if !std::mem::take(&mut self.may_be_h2) {
            return;
        }
        for (dir, bytes) in std::mem::take(&mut self.held).turns() {
            // Neither can hand the connection over.
            let _ = self.feed(dir, bytes, ctx);
        }
    }

    /// The connection goes on as HTTP/2; `bytes` are the client's, behind those kept.
    fn begin_h2(&mut self, asked: Option<Box<Exchange>>, bytes: &[u8], ctx: &mut Ctx<'_>) {
        self.may_be_h2 = false;
        let passwords = self.exchanges.capture_password;
        let unpacking = self.both.unpacking.clone();
        let mut h2 = Box::new(H2::new(
            self.exchanges.depth(),
            asked.map(|x| *x),
            passwords,
            unpacking,
        ));
        let held = std::mem::take(&mut self.held);
        for (dir, bytes) in [(1, held.of(1)), (0, held.of(0)), (0, bytes)] {
            h2.data(dir, bytes, ctx);
        }
        self.h2 = Some(h2);
    }

    /// What a message of that direction works with.
    fn work<'w, 'c>(&'w mut self, dir: usize, ctx: &'w mut Ctx<'c>) -> Work<'w, 'c> {
        Work {
            is_orig: dir == 0,
            content: &mut self.sides[dir].content,
            both: &mut self.both,
            exchanges: &mut self.exchanges,
            ctx,
        }
    }

    /// Lets the message work that is being read in that direction, if there is one. Whether it came to its end.
    fn with_message(
        &mut self,
        dir: usize,
        ctx: &mut Ctx<'_>,
        work: impl FnOnce(&mut Message, &mut Work<'_, '_>),
    ) -> bool {
        let Some(mut message) = self.sides[dir].message.take() else {
            return false;
        };
        work(&mut message, &mut self.work(dir, ctx));
        let is_over = message.is_finished() && self.sides[dir].is_open;
        self.sides[dir].message = Some(message);
        is_over
    }

    /// Takes in a direction's bytes.
    fn feed(&mut self, dir: usize, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let next = self.read(dir, bytes, ctx);
        // From here on: a body may have begun with these bytes.
        self.sides[dir].wants_body =
            ctx.subs.wants(events::HttpEntityData::KIND) || work::matches_body(dir == 0, false, ctx);
        next
    }

    fn read(&mut self, dir: usize, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        loop {
            if let Some(h2) = &mut self.h2 {
                self.sides[dir].content.settle(&mut bytes);
                h2.data(dir, bytes, ctx);
                return None;
            }
            let side = &mut self.sides[dir];
            match side.expect {
                Expect::Nothing => {
                    self.pass_over(dir, bytes, ctx);
                    return None;
                }
                Expect::Raw => {
                    self.raw(bytes, ctx);
                    return None;
                }
                Expect::FirstLine | Expect::Message => {}
            }
            let in_body = side.message.as_ref().is_some_and(|m| m.is_in_body());
            let starts = !side.content.in_line;
            let piece = side
                .content
                .next(&mut bytes, in_body && side.expect == Expect::Message);
            let is_over = matches!(piece, Some(Piece::Line(_)));
            side.content.in_line &= !is_over;
            while let Some(odd) = self.sides[dir].content.take_odd() {
                self.line_is_odd(odd, ctx);
            }
            let over = match piece? {
                Piece::Plain(data) => self.deliver(dir, data, false, false, bytes, ctx),
                Piece::OfLine(piece) => self.deliver(dir, &piece, starts, false, bytes, ctx),
                Piece::Line(line) => {
                    let over = self.line(dir, &line, starts, bytes, ctx);
                    if let std::borrow::Cow::Owned(line) = line {
                        self.sides[dir].content.give_back(line);
                    }
                    over
                }
            };
            if over.is_some() {
                return over;
            }
        }
    }

    /// Bytes behind a line that broke the protocol, as long as they are given at all: only how their lines end is said.
    fn pass_over(&mut self, dir: usize, mut bytes: &[u8], ctx: &mut Ctx<'_>) {
        while self.sides[dir].is_broken && !self.lone_cr_told {
            let content = &mut self.sides[dir].content;
            let piece = content.next(&mut bytes, false);
            let odd = content.take_odd();
            if let Some(Piece::Line(std::borrow::Cow::Owned(line))) = piece {
                content.give_back(line);
            } else if piece.is_none() && odd.is_none() {
                return;
            }
            if let Some(odd) = odd {
                self.line_is_odd(odd, ctx);
            }
        }
    }

    fn line_is_odd(&mut self, odd: &'static str, ctx: &mut Ctx<'_>) {
        let is_lone_cr = odd == "line_terminated_with_single_CR";
        if !is_lone_cr || !std::mem::replace(&mut self.lone_cr_told, true) {
            ctx.out.weird(odd, "");
        }
    }

    /// A line; `rest` is what is behind it.
    fn line(
        &mut self,
        dir: usize,
        line: &[u8],
        starts: bool,
        rest: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> Option<HandOver> {
        match (self.sides[dir].expect, dir) {
            (Expect::FirstLine, 0) => self.request(line, ctx),
            (Expect::FirstLine, _) => self.reply(line, ctx),
            (Expect::Message, _) => {
                let over = self.deliver(dir, line, starts, true, rest, ctx);
                if over.is_none() && dir == 1 && self.both.connect && line.is_empty() {
                    return Some(self.tunnel(rest, ctx));
                }
                return over;
            }
            (Expect::Raw | Expect::Nothing, _) => {}
        }
        None
    }

    /// A reply said that the request for a tunnel is granted.
    fn tunnel(&mut self, rest: &[u8], ctx: &mut Ctx<'_>) -> HandOver {
        ctx.out.proxies(TunnelKind::Http);
        self.leave("protocol_data_with_HTTP_CONNECT_reply", rest, ctx);
        HandOver::new(Inside::Tunnel, rest)
    }

    /// What follows is not HTTP any more; `weird`: that some of it came with the reply.
    fn leave(&mut self, weird: &'static str, rest: &[u8], ctx: &mut Ctx<'_>) {
        if !rest.is_empty() {
            ctx.out.weird(weird, &rest.len().to_string());
        }
        self.read_no_more();
    }

    fn read_no_more(&mut self) {
        self.sides
            .iter_mut()
            .for_each(|side| side.expect = Expect::Nothing);
    }

    fn request(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        let said = wire::request_line(line, &mut |odd| work::odd(ctx, odd));
        if let Some(version) = said.version {
            self.set_version(0, version, ctx);
        }
        let Some((method, uri)) = said.request else {
            return self.no_request(line, ctx);
        };
        let decoded = wire::unescape(uri, &mut |odd| work::odd(ctx, odd));
        let version = self.both.versions[0];
        let side = &mut self.sides[0];
        side.messages += 1;
        if !self.both.keep_alive && side.messages > 1 {
            ctx.out.weird("unexpected_multiple_HTTP_requests", "");
        }
        side.expect = Expect::Message;
        side.is_open = true;
        self.both.request_is_open = true;
        // Zeek compares no further than the method is long.
        let is = |name: &[u8]| {
            name.get(..method.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(method))
        };
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(is(b"HEAD"));
        ctx.confirm();
        self.both.connect |= is(b"CONNECT");
        self.exchanges.request(method, uri, &decoded, version, ctx);
        ctx.to_match(Context::HttpRequest, true, &decoded);
        self.begin(0, Expects::Maybe, line.len(), ctx);
        if version == V09 {
            self.expect_raw(method, ctx);
        }
    }

    /// The reply to a request of HTTP/0.9 is raw data.
    fn expect_raw(&mut self, method: &[u8], ctx: &mut Ctx<'_>) {
        if method != b"GET" {
            ctx.out
                .weird("invalid_http_09_request_method", &super::text::of_bytes(method));
        }
        if self.sides[1].messages > 0 {
            ctx.out.weird("http_09_reply_before_request", "");
            self.over(1, false, message::NORMAL, &[], ctx);
        }
        self.sides[1].message = None;
        let side = &mut self.sides[1];
        side.content = Content::default();
        side.is_broken = false;
        side.expect = Expect::Raw;
        self.both.connect = false;
    }

    /// A line where a request line is due is none. Where no further request is expected, anything may trail the first one.
    fn no_request(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        if self.sides[0].messages > 0 && !self.both.keep_alive {
            work::event(ctx, "crud_trailing_HTTP_request", line);
        } else if line.is_empty() {
            ctx.out.weird("empty_http_request", "");
        } else {
            ctx.violation("not a http request line");
            self.sides[0].expect = Expect::Nothing;
            self.sides[0].is_broken = true;
        }
    }

    fn reply(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        let said = wire::reply_line(line, &mut |odd| work::odd(ctx, odd));
        if let Some(version) = said.version {
            self.set_version(1, version, ctx);
        }
        let Some((code, reason)) = said.status else {
            if !line.is_empty() {
                ctx.violation("not a http reply line");
                self.sides[1].expect = Expect::Nothing;
                self.sides[1].is_broken = true;
                self.both.connect = false;
            }
            return;
        };
        if !self.unanswered.is_empty() {
            ctx.confirm();
        }
        self.both.code = code;
        self.both.connect &= code == 200;
        let side = &mut self.sides[1];
        side.expect = Expect::Message;
        side.is_open = true;
        side.messages += 1;
        let version = self.both.versions[1];
        self.exchanges
            .reply(version, code, reason.unwrap_or(b"<empty>"), ctx);
        self.begin(1, self.reply_expects(), line.len(), ctx);
    }

    /// Whether the reply that is being read has a body (RFC 9112, section 6.3).
    fn reply_expects(&self) -> Expects {
        let is_head = self.unanswered.front().copied().unwrap_or(false);
        match self.both.code {
            _ if is_head => Expects::Nothing,
            100..=199 | 204 | 304 => Expects::Nothing,
            _ => Expects::Body,
        }
    }

    /// The bytes that answer a request of HTTP/0.9.
    fn raw(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) {
        if self.sides[1].message.is_none() {
            self.set_version(1, V09, ctx);
            if self.unanswered.pop_front().is_some() {
                ctx.confirm();
            }
            self.both.close = true;
            self.sides[1].is_open = true;
            self.exchanges.reply(V09, self.both.code, b"<empty>", ctx);
            self.begin(1, self.reply_expects(), 0, ctx);
            self.deliver(1, b"", true, true, &[], ctx);
        }
        if self.sides[1].expect == Expect::Raw {
            self.deliver(1, bytes, true, false, &[], ctx);
        }
    }

    fn set_version(&mut self, dir: usize, version: Version, ctx: &mut Ctx<'_>) {
        let known = &mut self.both.versions[dir];
        if *known != UNKNOWN && *known != version {
            ctx.out.weird("HTTP_version_mismatch", "");
        }
        *known = version;
        self.both.keep_alive |= version > (1, 0);
    }

    /// A message begins behind a first line that is so long.
    fn begin(&mut self, dir: usize, expects: Expects, len: usize, ctx: &mut Ctx<'_>) {
        if self.sides[dir].message.as_ref().is_some_and(|m| !m.is_finished()) {
            ctx.out.weird("HTTP_overlapping_messages", "");
        }
        let mut w = self.work(dir, ctx);
        let message = Message::new(expects, len, &mut w);
        self.sides[dir].message = Some(Box::new(message));
    }

    /// Gives a line, or a piece of a body, to the message that is being read.
    fn deliver(
        &mut self,
        dir: usize,
        data: &[u8],
        starts: bool,
        ends: bool,
        rest: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> Option<HandOver> {
        match self.with_message(dir, ctx, |m, w| m.deliver(data, starts, ends, w)) {
            true => self.made(dir, false, rest, ctx),
            false => None,
        }
    }

    /// The message that is being read is over, by the connection and not by itself.
    fn over(
        &mut self,
        dir: usize,
        interrupted: bool,
        why: &str,
        rest: &[u8],
        ctx: &mut Ctx<'_>,
    ) -> Option<HandOver> {
        if !self.sides[dir].is_open {
            return None;
        }
        self.with_message(dir, ctx, |m, w| m.done(Some((interrupted, why)), w));
        self.made(dir, interrupted, rest, ctx)
    }

    /// A message is over. What the connection becomes, if it was the one that changes the protocol.
    fn made(&mut self, dir: usize, interrupted: bool, rest: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let side = &mut self.sides[dir];
        side.is_open = false;
        side.expect = match interrupted {
            true => Expect::Nothing,
            // Raw data has no lines behind it.
            false if side.expect == Expect::Raw => Expect::Nothing,
            false => Expect::FirstLine,
        };
        side.content.set_plain(0);
        side.content.set_limit(None);
        side.content.set_in_part(false);
        // Only a body's file may be spoken of behind it.
        side.message = side.message.take().filter(|m| m.has_body());
        if dir == 0 {
            self.both.request_is_open = false;
            return None;
        }
        let code = std::mem::take(&mut self.both.code);
        if !(100..200).contains(&code) {
            self.unanswered.pop_front();
        }
        let upgrade = std::mem::take(&mut self.both.upgrade);
        let protocol = std::mem::take(&mut self.both.protocol);
        let changes = code == 101 && upgrade && self.unanswered.len() == 1;
        if changes && protocol.eq_ignore_ascii_case(b"h2c") && !self.both.request_is_open {
            tell!(ctx, HttpConnectionUpgrade, protocol: &super::text::of_bytes(&protocol));
            let asked = self.exchanges.give_up_last(ctx);
            self.begin_h2(asked, &[], ctx);
            return None;
        }
        (changes && !protocol.is_empty()).then(|| self.upgrade(&protocol, rest, ctx))
    }

    /// The rest of the connection is another protocol's.
    fn upgrade(&mut self, protocol: &[u8], rest: &[u8], ctx: &mut Ctx<'_>) -> HandOver {
        self.leave("protocol_data_with_HTTP_upgrade_reply", rest, ctx);
        tell!(ctx, HttpConnectionUpgrade, protocol: &super::text::of_bytes(protocol));
        let is_websocket = protocol.eq_ignore_ascii_case(b"websocket");
        if is_websocket {
            self.exchanges.websocket(ctx);
        }
        HandOver {
            framed: is_websocket.then_some(websocket::Analyzer::SPEC.tag),
            ..HandOver::new(Inside::Upgrade, rest)
        }
    }

    /// Bytes are missing. A message goes on behind them if they are all of its body. Else nothing more is read of the
    /// direction; and a reply's meaning depends on its request.
    fn lose(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) {
        let dir = usize::from(!is_orig);
        self.let_go(ctx);
        if let Some(h2) = &mut self.h2 {
            return h2.lose(dir, len, ctx);
        }
        let at = self.sides[dir].at;
        self.sides[dir].at = at.saturating_add(len);
        if self.sides[dir].expect == Expect::Nothing {
            // They may have come: nobody asked for them.
            return;
        }
        let mut goes_on = false;
        let is_over = self.with_message(dir, ctx, |m, w| {
            w.event("content gap", format!("seq={at}, len={len}").as_bytes());
            goes_on = m.undelivered(len, w);
        });
        if goes_on && is_over {
            self.made(dir, false, &[], ctx);
        }
        if goes_on {
            return;
        }
        let over = "message interrupted by a content gap";
        if is_orig {
            self.over(0, true, over, &[], ctx);
        }
        self.over(1, true, over, &[], ctx);
        self.sides[dir].expect = Expect::Nothing;
    }

    /// How many of a direction's next bytes nobody reads: they only count for the length of a body.
    fn skippable(&self, is_orig: bool) -> u64 {
        let side = &self.sides[usize::from(!is_orig)];
        if self.h2.is_some() {
            return 0;
        }
        match &side.message {
            Some(message) if side.expect == Expect::Message && !side.wants_body => {
                message.skippable(&side.content)
            }
            _ => 0,
        }
    }

    /// So many bytes of a direction came and are not at hand, no more than [`Http::skippable`] says.
    fn skip(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) {
        if len > self.skippable(is_orig) {
            return self.lose(is_orig, len, ctx);
        }
        let dir = usize::from(!is_orig);
        self.sides[dir].at = self.sides[dir].at.saturating_add(len);
        if self.with_message(dir, ctx, |m, w| m.unseen(len, w)) {
            self.made(dir, false, &[], ctx);
        }
    }
}
