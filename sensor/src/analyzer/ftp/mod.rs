//! FTP's control connection: sure at the first word of a command; replies have to carry codes.
//!
//! `nvt` cuts lines, `Control` knows commands from replies, `session` what ftp.log says of them; `adat` is TLS in security data.

mod adat;
mod channel;
mod commands;
pub mod events;
mod log;
mod nvt;
mod path;
mod rules;
mod session;
#[cfg(test)]
mod tests;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{reply_code, skip_blank, word};
use super::tls::SharedTls;
use super::{Id, text};
use crate::event::{AnalyzerTag, Event};
use crate::signature::Context;
use crate::software::{Found, Kind, greeting};
use adat::Adat;
use events::*;
pub use log::FtpRow;
use nvt::{Line, Nvt};
use session::{SOURCE, Session, Text};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ftp;

/// Longest command, bytes (Zeek's `FTP::max_command_length`). A longer word is not taken for one.
const MAX_COMMAND: usize = 100;
/// Shortest command, bytes.
const MIN_COMMAND: usize = 3;

/// One connection's state.
#[derive(Debug)]
pub struct Ftp {
    lines: [Nvt; 2],
    control: Control,
}

/// What client and server have said so far.
#[derive(Debug)]
struct Control {
    /// The code of a multi-line reply that has not ended.
    pending: u16,
    auth: Auth,
    /// The client has asked for GSS-API.
    gridftp: bool,
    adat: Option<Box<Adat>>,
    session: Option<Box<Session>>,
    /// What was odd in lines and told.
    told: nvt::Odd,
    tls: SharedTls,
}

/// What the client's last AUTH asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    Tls,
    Gssapi,
    Other,
}

/// What a line changes for the rest of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is none.
    Skip,
    Nothing,
    /// TLS begins behind it.
    Tls,
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

impl Protocol for Ftp {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[FtpRow::LOG],
        tcp_ports: &[21, 2811],
        rules: rules::RULES,
        interactive: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_FTP", "ftp"))
    };
    type Shared = SharedTls;

    fn new(_: &Start, shared: &SharedTls) -> Ftp {
        Ftp {
            lines: [Nvt::new(), Nvt::new()],
            control: Control {
                pending: 0,
                auth: Auth::Other,
                gridftp: false,
                adat: None,
                session: None,
                told: nvt::Odd::default(),
                tls: shared.clone(),
            },
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let lines = &mut self.lines[usize::from(!is_orig)];
        while let Some(line) = lines.next(&mut bytes) {
            if self.control.line(is_orig, &line, ctx) == Turn::Tls {
                return Next::HandOver(HandOver::new(Inside::Tls, bytes));
            }
        }
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        if let Some(mut adat) = self.control.adat.take() {
            adat.close(how, ctx);
        }
        if let Some(mut session) = self.control.session.take() {
            session.finish(ctx);
        }
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
        if let Some(adat) = &mut self.control.adat {
            adat.flip();
        }
    }

    /// Once it is FTP, data connections may be announced at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed || !seen.is_late() {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }

    fn is_settled(&self) -> bool {
        let control = &self.control;
        control.session.is_none() && control.adat.as_ref().is_none_or(|adat| adat.is_settled())
    }
}

impl Control {
    fn line(&mut self, is_orig: bool, line: &Line<'_>, ctx: &mut Ctx<'_>) -> Turn {
        self.tell_odd(line.odd, ctx);
        if line.len == 0 {
            return Turn::Skip;
        }
        let turn = if is_orig {
            self.request(line, ctx)
        } else {
            self.reply(line, ctx)
        };
        if turn == Turn::Nothing
            && let Some(adat) = &mut self.adat
        {
            adat.line(is_orig, line, ctx);
            if self.gridftp && adat.is_established() {
                ctx.serve(Id::gridftp.number());
            }
        }
        turn
    }

    /// Each once a connection.
    fn tell_odd(&mut self, odd: nvt::Odd, ctx: &mut Ctx<'_>) {
        if odd.nul && !std::mem::replace(&mut self.told.nul, true) {
            ctx.out.weird_from("NUL_in_line", "", "NVT");
        }
        if odd.lone_cr && !std::mem::replace(&mut self.told.lone_cr, true) {
            ctx.out.weird_from("line_terminated_with_single_CR", "", "NVT");
        }
    }

    fn request(&mut self, line: &Line<'_>, ctx: &mut Ctx<'_>) -> Turn {
        let whole = skip_blank(line.bytes);
        let (command, arg) = word(whole);
        if command.len() < MIN_COMMAND || !command.iter().all(u8::is_ascii_graphic) {
            if ctx.is_confirmed() {
                ctx.out.weird_from("FTP_invalid_command", "", SOURCE);
            }
            return Turn::Skip;
        }
        if command.len() > MAX_COMMAND {
            if ctx.is_confirmed() {
                let len = command.len().to_string();
                ctx.out
                    .weird_from("FTP_max_command_length_exceeded", &len, SOURCE);
            }
            return Turn::Skip;
        }
        let command = command.to_ascii_uppercase();
        ctx.confirm();
        if b"AUTH".starts_with(&command) {
            self.auth = match arg {
                b"TLS" => Auth::Tls,
                b"GSSAPI" => Auth::Gssapi,
                _ => Auth::Other,
            };
        }
        ctx.to_match(Context::Ftp, true, whole);
        raise!(
            ctx,
            FtpRequest {
                command: &text::of_bytes(&command),
                arg: &text::of_bytes(arg),
            }
        );
        match &*command {
            b"CLNT" if !arg.is_empty() => ctx.out.software(&Found::client(ctx.c, Kind::FtpClient, arg)),
            b"USER" => ctx.out.prepare(ctx.c.orig_h, ctx.c.resp_h),
            b"AUTH" => self.gridftp = memchr::memmem::find(arg, b"GSSAPI").is_some(),
            _ => {}
        }
        let arg = kept(line, arg);
        self.session(ctx).request(&command, arg, ctx);
        Turn::Nothing
    }

    fn reply(&mut self, line: &Line<'_>, ctx: &mut Ctx<'_>) -> Turn {
        let bytes = line.bytes;
        let mut code = reply_code(bytes).unwrap_or(0);
        let fourth = bytes.get(3).copied();
        let behind = |n: usize| skip_blank(bytes.get(n..).unwrap_or(&[]));
        let (mut goes_on, mut msg) = (false, bytes);
        if self.pending != 0 {
            if code == self.pending && fourth == Some(b' ') {
                self.pending = 0;
                msg = behind(3);
            } else {
                (code, goes_on) = (0, true);
            }
        } else {
            if code == 220 && !ctx.is_confirmed() {
                self.greeting(bytes.get(4..).unwrap_or(&[]), ctx);
            }
            match (code, fourth) {
                (0, _) => return violation("non-numeric reply code", ctx),
                (1..100, _) => return violation("invalid reply code", ctx),
                (_, Some(b'-')) => {
                    self.pending = code;
                    goes_on = true;
                    msg = behind(4);
                }
                (_, Some(b' ') | None) => msg = behind(3),
                _ => return violation("invalid reply line", ctx),
            }
        }
        let mut turn = Turn::Nothing;
        match (code, self.auth) {
            (234, Auth::Tls) => {
                raise!(ctx, FtpStarttls {});
                turn = Turn::Tls;
            }
            (334, Auth::Gssapi) if self.adat.as_ref().is_none_or(|adat| adat.is_over()) => {
                if let Some(mut before) = self.adat.replace(Box::new(Adat::new(&self.tls))) {
                    let how = Closing {
                        ended: false,
                        reads: false,
                    };
                    before.close(how, ctx);
                }
            }
            _ => {}
        }
        raise!(
            ctx,
            FtpReply {
                code: code.into(),
                msg: &text::of_bytes(msg),
                cont_resp: goes_on,
            }
        );
        let msg = kept(line, msg);
        self.session(ctx).reply(code, msg, goes_on, ctx);
        turn
    }

    fn greeting(&self, text: &[u8], ctx: &mut Ctx<'_>) {
        if let Some(banner) = greeting::software(text) {
            ctx.out.software(&Found::server(ctx.c, Kind::FtpServer, banner));
        }
    }

    fn session(&mut self, ctx: &Ctx<'_>) -> &mut Session {
        self.session.get_or_insert_with(|| Box::new(Session::new(ctx)))
    }
}

fn violation(reason: &str, ctx: &mut Ctx<'_>) -> Turn {
    ctx.violation(reason);
    Turn::Skip
}

/// A part of a line up to its end, with the length that it has in the line.
fn kept<'b>(line: &Line<'_>, bytes: &'b [u8]) -> Text<'b> {
    let lost = line.len - line.bytes.len();
    Text {
        bytes,
        len: bytes.len() + lost,
    }
}
