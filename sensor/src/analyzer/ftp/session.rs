//! What a control connection has come to, as ftp.log tells it: which reply answers which command, where the user stands, which
//! file was transferred. What Zeek does of this in its scripts.

use std::net::IpAddr;
use std::sync::Arc;

use super::channel::{self, Place};
use super::commands::{INIT, is_guest, is_logged, is_of_files, may_answer};
use super::log::FtpRow;
use super::path::{self, MAX_DIRECTORY};
use crate::analyzer::api::{Ctx, Protocol};
use crate::analyzer::carried::Carried;
use crate::analyzer::ftp_data;
use crate::event::Ts;

/// Most commands that wait for a reply (Zeek: FTP::max_pending_commands). Further ones are not logged.
const MAX_PENDING: usize = 20;
/// Longest user's name and password in a row, bytes.
const MAX_NAME: usize = 128;
/// Longest argument and reply in a row, bytes.
const MAX_TEXT: usize = 4096;
const HIDDEN: &[u8] = b"<hidden>";
/// weird.log's `source`.
pub const SOURCE: &str = "FTP";
/// Fewest printable characters behind a code that make a line inside a reply one of its own.
const TELLING: usize = 10;

/// A text off the wire, of which a part may not have been kept.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// As much of it as is there.
    pub bytes: &'a [u8],
    /// Its length, bytes.
    pub len: usize,
}

impl Text<'_> {
    /// The first `most` bytes. A weird says what is longer.
    fn cut(&self, most: usize, weird: &'static str, ctx: &mut Ctx<'_>) -> Vec<u8> {
        if self.len > most {
            ctx.out.weird_from(weird, &self.len.to_string(), SOURCE);
        }
        self.bytes.get(..most).unwrap_or(self.bytes).to_vec()
    }
}

/// A command that waits for its reply.
#[derive(Debug)]
struct Command {
    number: u64,
    ts: Ts,
    name: Vec<u8>,
    arg: Vec<u8>,
    /// Its length, bytes, kept or not.
    arg_len: usize,
    /// The directory was changed for it.
    is_done: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    row: FtpRow,
    reply_len: usize,
    directory: Vec<u8>,
    /// In their order; at most [`MAX_PENDING`], at least one.
    pending: Vec<Command>,
    /// How many commands there were.
    commands: u64,
    /// Number of the command that the last reply is for.
    answered: Option<u64>,
    /// What data connections carry.
    files: Arc<Carried>,
}

impl Session {
    /// Before the greeting.
    pub fn new(ctx: &Ctx<'_>) -> Session {
        let mut session = Session {
            row: FtpRow::new(ctx.ts, ctx.c),
            reply_len: 0,
            directory: b".".to_vec(),
            pending: Vec::new(),
            commands: 0,
            answered: None,
            files: Arc::default(),
        };
        session.wait_for(INIT, Text { bytes: b"", len: 0 }, ctx.ts);
        session
    }

    fn wait_for(&mut self, name: &[u8], arg: Text<'_>, ts: Ts) {
        self.commands += 1;
        self.pending.push(Command {
            number: self.commands,
            ts,
            name: name.to_vec(),
            arg: arg.bytes.get(..MAX_TEXT).unwrap_or(arg.bytes).to_vec(),
            arg_len: arg.len,
            is_done: false,
        });
    }

    /// A command, in capitals.
    pub fn request(&mut self, name: &[u8], arg: Text<'_>, ctx: &mut Ctx<'_>) {
        // The one before it is over when the next one comes: its reply may have had more lines.
        if let Some(number) = self.answered {
            self.tell(number, ctx);
        }
        if self.pending.len() < MAX_PENDING {
            self.wait_for(name, arg, ctx.ts);
        } else {
            let pending = self.pending.len().to_string();
            ctx.out
                .weird_from("FTP_too_many_pending_commands", &pending, SOURCE);
        }
        match name {
            b"USER" => self.row.user = arg.cut(MAX_NAME, "FTP_user_too_long", ctx),
            b"PASS" => self.row.password = Some(arg.cut(MAX_NAME, "FTP_password_too_long", ctx)),
            b"PORT" => self.expect(false, channel::port(arg.bytes), ctx),
            b"EPRT" => self.expect(false, channel::extended(arg.bytes), ctx),
            _ => {}
        }
    }

    /// A line of a reply; `code` is 0 where it is neither the first nor the last one. `goes_on`: it is not the last one.
    pub fn reply(&mut self, code: u16, msg: Text<'_>, goes_on: bool, ctx: &mut Ctx<'_>) {
        let is_inside = goes_on && code == 0 && self.row.reply_code.is_some();
        if is_inside && !looks_like_reply(msg.bytes) {
            return;
        }
        self.row.reply_code = Some(code);
        self.row.reply_msg = Some(msg.bytes.get(..=MAX_TEXT).unwrap_or(msg.bytes).to_vec());
        self.reply_len = msg.len;
        let Some(at) = self.best_match(code, msg.bytes) else {
            return;
        };
        let Some(command) = self.pending.get_mut(at) else {
            return;
        };
        let number = command.number;
        self.answered = Some(number);
        if goes_on {
            return;
        }
        let name = std::mem::take(&mut command.name);
        match (&*name, code) {
            (b"RETR", 150) | (b"SIZE", 213) => self.row.file_size = Some(last_number(msg.bytes)),
            (b"PASV" | b"EPSV", 227) => self.expect(true, channel::passive(msg.bytes), ctx),
            (b"PASV" | b"EPSV", 229) => {
                let place = channel::extended_passive(msg.bytes);
                let here = ctx.c.resp_h;
                let place = place.map(|(host, port)| (if host.is_unspecified() { here } else { host }, port));
                self.expect(true, place, ctx);
            }
            _ => {}
        }
        if let Some(command) = self.pending.get_mut(at) {
            command.name = name;
            if !command.is_done
                && let Some(directory) = directory_after(&self.directory, command, code, msg.bytes)
            {
                command.is_done = true;
                self.directory = directory;
                self.directory.truncate(MAX_DIRECTORY);
            }
        }
        // With others behind it, it is told at once.
        if self.pending.len() > 1 {
            self.tell(number, ctx);
        }
    }

    /// The control connection is over.
    pub fn finish(&mut self, ctx: &mut Ctx<'_>) {
        for command in std::mem::take(&mut self.pending) {
            self.message(command, ctx);
        }
    }

    /// The pending command that a reply is for: what may be answered by its code, and what it names; the oldest of equals.
    fn best_match(&self, code: u16, msg: &[u8]) -> Option<usize> {
        let names = |part: &[u8]| part.len() <= msg.len() && memchr::memmem::find(msg, part).is_some();
        let score = |command: &Command| {
            let of_code = if may_answer(&command.name, code) { 100 } else { 0 };
            let of_name = if names(&command.name) { 20 } else { 0 };
            // An argument that is empty stands everywhere.
            let of_arg = if command.arg_len <= msg.len() && names(&command.arg) {
                10
            } else {
                0
            };
            of_code + of_name + of_arg
        };
        let scores = self.pending.iter().map(score).enumerate();
        scores
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(at, _)| at)
    }

    /// A data connection was agreed on, if what says so makes sense.
    fn expect(&mut self, passive: bool, place: Option<Place>, ctx: &mut Ctx<'_>) {
        let Some((resp, port)) = place else { return };
        // Who asks for a connection gets one from the other side.
        let orig: IpAddr = if passive { ctx.c.orig_h } else { ctx.c.resp_h };
        self.row.set_channel(passive, orig, (resp, port));
        let tag = ftp_data::Analyzer::SPEC.tag;
        ctx.out.announce_file(orig, (resp, port), tag, &self.files);
    }

    /// The command with this number is over, if it still waits.
    fn tell(&mut self, number: u64, ctx: &mut Ctx<'_>) {
        if let Some(at) = self.pending.iter().position(|c| c.number == number) {
            let command = self.pending.remove(at);
            self.message(command, ctx);
        }
    }

    /// Takes a command for the row's, and writes the row if the command is one that is logged.
    fn message(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        self.row.ts = command.ts;
        let arg = if is_of_files(&command.name) {
            let server = ctx.c.resp_h;
            path::url(server, &self.directory, &command.arg)
        } else {
            command.arg
        };
        let kept = command.arg_len.min(MAX_TEXT);
        let len = arg.len() + (command.arg_len - kept);
        let mut arg = Text { bytes: &arg, len }.cut(MAX_TEXT, "FTP_arg_too_long", ctx);
        if let Some(msg) = &mut self.row.reply_msg {
            let len = std::mem::replace(&mut self.reply_len, msg.len().min(MAX_TEXT));
            let text = Text { bytes: msg, len };
            *msg = text.cut(MAX_TEXT, "FTP_reply_msg_too_long", ctx);
        }
        let hides = !is_guest(&self.row.user);
        if hides {
            if command.name == b"PASS" {
                arg = HIDDEN.to_vec();
            }
            if let Some(password) = &mut self.row.password {
                *password = HIDDEN.to_vec();
            }
        }
        self.row.arg = Some(arg).filter(|arg| !arg.is_empty());
        let carried = self.files.take();
        self.row.fuid = carried.fuid.map(|fuid| fuid.to_string());
        self.row.mime_type = carried.mime;
        if is_logged(&command.name) {
            self.row.c = *ctx.c;
            self.row.command = Some(command.name);
            ctx.out.log(&self.row);
        }
        self.row.forget_transfer();
    }
}

/// Whether a line that should be inside a reply is one by itself: some servers never end the one before it.
fn looks_like_reply(line: &[u8]) -> bool {
    let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    match line {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', text @ ..] => {
            text.get(..TELLING).is_some_and(|text| text.iter().all(printable))
        }
        _ => false,
    }
}

/// The last number in a text; 0 if there is none.
fn last_number(text: &[u8]) -> u64 {
    let behind = text.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
    let text = text.get(..behind).unwrap_or(&[]);
    let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let digits = text.get(text.len() - digits..).unwrap_or(&[]);
    digits.iter().fold(0u64, |n, d| {
        n.saturating_mul(10).saturating_add(u64::from(d - b'0'))
    })
}

/// The directory after a command that was answered with `code`, if it is one that says.
fn directory_after(before: &[u8], command: &Command, code: u16, msg: &[u8]) -> Option<Vec<u8>> {
    match (&*command.name, code) {
        (b"CWD", 250) => Some(path::join(before, &command.arg)),
        (b"CDUP", 200 | 250) => Some(path::join(before, b"/..")),
        (b"PWD" | b"XPWD", 257) => Some(path::first_in(msg).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_last_number_of_a_reply() {
        for (text, want) in [
            (
                "Opening data connection for /rfc/rfc1001.txt (154427 bytes).",
                154_427,
            ),
            ("1024", 1024),
            ("nothing", 0),
            ("", 0),
            ("99999999999999999999999 bytes", u64::MAX),
        ] {
            assert_eq!(last_number(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_line_in_a_reply_may_be_one_of_its_own() {
        assert!(looks_like_reply(b"226 Transfer complete."));
        assert!(!looks_like_reply(b"226 Transfer"));
        assert!(!looks_like_reply(b"   File may not have transferred correctly."));
        assert!(!looks_like_reply(b"026 Transfer complete."));
    }
}
