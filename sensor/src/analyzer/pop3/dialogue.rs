//! Commands and replies, by Zeek's state machine. Knows lines, and of mails only where they begin and end.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::events::*;
use crate::analyzer::api::Ctx;
use crate::analyzer::http::body::base64;
use crate::analyzer::text::of_bytes;

/// Most commands that wait for a reply; the oldest give way (Zeek: POP3::max_pending_commands).
const MAX_PENDING: usize = 10;
/// With more commands that are none, it is no POP3 (Zeek: POP3::max_unknown_client_commands).
const MAX_UNKNOWN: u32 = 10;

/// A word that begins a line, of a server or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Ok,
    Err,
    User,
    Pass,
    Apop,
    Auth,
    Stat,
    List,
    Retr,
    Dele,
    Rset,
    Noop,
    Last,
    Quit,
    Top,
    Capa,
    Uidl,
    Stls,
    Xsender,
}
use Word::*;

const WORDS: [(&str, Word); 19] = [
    ("OK", Ok),
    ("ERR", Err),
    ("USER", User),
    ("PASS", Pass),
    ("APOP", Apop),
    ("AUTH", Auth),
    ("STAT", Stat),
    ("LIST", List),
    ("RETR", Retr),
    ("DELE", Dele),
    ("RSET", Rset),
    ("NOOP", Noop),
    ("LAST", Last),
    ("QUIT", Quit),
    ("TOP", Top),
    ("CAPA", Capa),
    ("UIDL", Uidl),
    ("STLS", Stls),
    ("XSENDER", Xsender),
];

/// What a word of a line is, with its name; a sign before it does not count. Zeek takes off a sign for each word that it
/// compares with.
fn known(mut word: &[u8]) -> Option<(&'static str, Word)> {
    if word.is_empty() {
        return None;
    }
    for (name, known) in WORDS {
        if let [b'+' | b'-', rest @ ..] = word {
            word = rest;
        }
        if word.eq_ignore_ascii_case(name.as_bytes()) {
            return Some((name, known));
        }
    }
    None
}

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Authorization,
    Transaction,
    Update,
    Finished,
}

/// The command whose reply comes next, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// One of a session without state of its own.
    Of(Word),
    Auth(Method),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Other,
    Plain,
    Login,
    CramMd5,
}

/// What a line of the server is to the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No part of one.
    Nothing,
    /// A line of it, the first of which begins it.
    Line,
    /// What it ends with, if there is one.
    End,
    /// The rest of the connection is TLS.
    Tls,
}

/// What both sides have said so far.
#[derive(Debug)]
pub struct Dialogue {
    phase: Phase,
    state: State,
    /// A command that is not allowed yet: the server may say that it is.
    guess: Option<State>,
    /// Lines of an exchange that AUTH began, if one is under way.
    exchange: Option<u32>,
    /// The reply to come has several lines.
    wants_lines: bool,
    /// They come.
    in_lines: bool,
    user: Vec<u8>,
    password: Vec<u8>,
    /// Commands without a reply; the first is at work.
    pending: VecDeque<Vec<u8>>,
    unknown: u32,
}

impl Dialogue {
    pub fn new() -> Dialogue {
        Dialogue {
            phase: Phase::Start,
            state: State::Start,
            guess: None,
            exchange: None,
            wants_lines: false,
            in_lines: false,
            user: Vec::new(),
            password: Vec::new(),
            pending: VecDeque::new(),
            unknown: 0,
        }
    }

    /// Whether lines of a mail come.
    pub fn in_mail(&self) -> bool {
        self.in_lines && matches!(self.state, State::Of(Retr | Top))
    }

    /// A line of the client.
    pub fn request(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        if line.is_empty() {
            return;
        }
        if let Some(lines) = &mut self.exchange {
            *lines = lines.saturating_add(1);
            let nth = *lines;
            return self.credentials(line, nth, ctx);
        }
        self.pending.push_back(text(line).into_owned());
        if self.pending.len() > MAX_PENDING {
            ctx.out.weird("pop3_client_too_many_pending_commands", "");
            self.pending.pop_front();
        }
        if self.pending.len() == 1 {
            self.command(ctx);
        }
    }

    /// A line of an exchange: who the client is.
    fn credentials(&mut self, line: &[u8], nth: u32, ctx: &mut Ctx<'_>) {
        let odd = &mut |said: &str| ctx.out.weird("base64_illegal_encoding", said);
        let Some(said) = base64(until_nul(line), odd) else {
            return ctx.out.weird("pop3_bad_base64_encoding", "");
        };
        match self.state {
            State::Auth(Method::Login) if nth == 1 => self.user = said,
            State::Auth(Method::Login) if nth == 2 => self.password = said,
            State::Auth(Method::Plain) => {
                // RFC 4616: the name to act as, the name, the password.
                let mut parts = said.splitn(3, |b| *b == 0).skip(1);
                match (parts.next(), parts.next()) {
                    (Some(user), Some(password)) if !password.is_empty() => {
                        (self.user, self.password) = (user.to_vec(), password.to_vec());
                    }
                    _ => ctx.out.weird("pop3_malformed_auth_plain", ""),
                }
            }
            State::Auth(Method::CramMd5) => {
                let end = said.iter().position(|b| matches!(b, b' ' | b'\t' | 0));
                self.user = said.get(..end.unwrap_or(said.len())).unwrap_or(&[]).to_vec();
                self.password.clear();
            }
            _ => {}
        }
    }

    /// The first command that waits is at work.
    fn command(&mut self, ctx: &mut Ctx<'_>) {
        let Some(line) = self.pending.front() else { return };
        let (word, argument) = words(line);
        let Some((name, word)) = known(word) else {
            if self.exchange.is_none() {
                let said = if word.is_empty() { b"???" } else { word };
                ctx.out.weird("pop3_client_command_unknown", &of_bytes(said));
                self.unknown = self.unknown.saturating_add(1);
                if self.unknown > MAX_UNKNOWN {
                    ctx.violation("too many unknown client commands");
                }
            }
            return;
        };
        let argument = argument.to_vec();
        let allowed = match word {
            Ok | Err => {
                ctx.out.weird("pop3_client_sending_server_commands", "");
                return;
            }
            User | Pass | Apop | Auth => self.phase == Phase::Authorization,
            Quit => matches!(
                self.phase,
                Phase::Start | Phase::Authorization | Phase::Transaction
            ),
            Capa | Stls => true,
            _ => self.phase == Phase::Transaction,
        };
        let has_lines = match word {
            Retr | Top | Capa => true,
            List | Uidl => argument.is_empty(),
            _ => false,
        };
        self.wants_lines |= has_lines;
        if !allowed {
            return self.not_allowed(name, word, ctx);
        }
        if word == Pass && self.state != State::Of(User) {
            return unexpected(true, name, "pass must follow the command 'USER'", ctx);
        }
        raise!(
            ctx,
            Pop3Request {
                is_orig: true,
                command: name,
                arg: &of_bytes(&argument),
            }
        );
        self.state = match word {
            Auth => return self.auth(&argument, ctx),
            // So Zeek does.
            Xsender => State::Of(Last),
            _ => State::Of(word),
        };
        match word {
            User => self.user = argument,
            Pass => self.password = argument,
            Apop => {
                let end = argument.iter().position(|b| matches!(b, b' ' | b'\t'));
                self.user = argument
                    .get(..end.unwrap_or(argument.len()))
                    .unwrap_or(&[])
                    .to_vec();
            }
            _ => {}
        }
    }

    fn auth(&mut self, argument: &[u8], ctx: &mut Ctx<'_>) {
        let names = |name: &[u8]| memchr::memmem::find(argument, name).is_some();
        let method = match argument {
            // The client asks which methods there are.
            [] => {
                self.wants_lines = true;
                self.state = State::Auth(Method::Other);
                return;
            }
            _ if names(b"LOGIN") => Method::Login,
            _ if names(b"PLAIN") => Method::Plain,
            _ if names(b"CRAM-MD5") => Method::CramMd5,
            _ => {
                let detail = format!("unknown AUTH method {}", of_bytes(argument));
                unexpected(true, "AUTH", &detail, ctx);
                Method::Other
            }
        };
        self.state = State::Auth(method);
        self.exchange = Some(0);
    }

    fn not_allowed(&mut self, name: &str, word: Word, ctx: &mut Ctx<'_>) {
        let detail = match word {
            Auth => "pass must follow the command 'USER'",
            User | Pass | Apop => "not allowed in other state than 'authorization'",
            _ => "not allowed in other state than 'transaction'",
        };
        match word {
            User | Pass | Apop | Auth | Stat => {}
            Quit => self.guess = Some(State::Of(Last)),
            _ => self.guess = Some(State::Of(word)),
        }
        unexpected(true, name, detail, ctx);
    }

    /// The first command that waits has its reply.
    fn answered(&mut self, ctx: &mut Ctx<'_>) {
        if self.pending.pop_front().is_some() {
            self.command(ctx);
        }
    }

    /// A line of the server, or a piece of one: `starts` and `ends` say which.
    pub fn reply(&mut self, line: &[u8], (starts, ends): (bool, bool), ctx: &mut Ctx<'_>) -> Part {
        if self.in_lines {
            if line == b"." && starts && ends {
                (self.wants_lines, self.in_lines) = (false, false);
                self.answered(ctx);
                return Part::End;
            }
            if ctx.subs.wants(Pop3Data::KIND) {
                let text = text(line);
                let data = &of_bytes(&text);
                raise!(ctx, Pop3Data { is_orig: false, data });
            }
            return match self.in_mail() {
                true => Part::Line,
                false => Part::Nothing,
            };
        }
        let line = text(line);
        let (word, argument) = words(&line);
        match known(word) {
            Some((name, Ok)) => self.ok(name, argument, ctx),
            Some((name, Err)) => {
                self.err(name, argument, ctx);
                Part::Nothing
            }
            Some(_) => {
                ctx.out.weird("pop3_server_sending_client_commands", "");
                Part::Nothing
            }
            None => {
                if self.exchange.is_none() {
                    let said = of_bytes(if word.is_empty() { b"???" } else { word });
                    ctx.violation(&format!("unknown server command ({said})"));
                    ctx.out.weird("pop3_server_command_unknown", &said);
                }
                Part::Nothing
            }
        }
    }

    fn ok(&mut self, name: &str, argument: &[u8], ctx: &mut Ctx<'_>) -> Part {
        if let Some(guess) = self.guess.take() {
            self.phase = Phase::Transaction;
            self.state = guess;
            let detail = "no auth required -> state changed to 'transaction'";
            unexpected(false, name, detail, ctx);
        }
        let mut part = Part::Nothing;
        match self.state {
            State::Start => self.phase = Phase::Authorization,
            State::Of(User) => {
                self.phase = Phase::Authorization;
                ctx.confirm();
            }
            State::Of(Pass | Apop | Noop | Last | Stat | Rset | Dele | Xsender) => {
                if self.phase == Phase::Authorization {
                    self.let_in(ctx);
                }
                self.phase = Phase::Transaction;
            }
            State::Auth(_) => {
                self.in_lines |= self.wants_lines;
                if self.exchange.take().is_some() {
                    self.phase = Phase::Transaction;
                }
                self.let_in(ctx);
            }
            State::Of(Top | Retr) => {
                self.in_lines |= self.wants_lines;
                part = Part::Line;
            }
            State::Of(Capa) => {
                ctx.confirm();
                self.in_lines |= self.wants_lines;
            }
            State::Of(Uidl | List) => self.in_lines |= self.wants_lines,
            State::Of(Stls) => {
                ctx.confirm();
                raise!(ctx, Pop3Starttls {});
                return Part::Tls;
            }
            State::Of(Quit) => match self.phase {
                Phase::Authorization | Phase::Start => self.phase = Phase::Finished,
                Phase::Transaction => self.phase = Phase::Update,
                _ => {}
            },
            State::Of(Ok | Err | Auth) => {}
        }
        self.told(name, argument, ctx);
        part
    }

    fn err(&mut self, name: &str, argument: &[u8], ctx: &mut Ctx<'_>) {
        (self.in_lines, self.wants_lines) = (false, false);
        (self.guess, self.exchange) = (None, None);
        match self.state {
            State::Of(User | Pass | Apop) | State::Auth(_) => {
                self.phase = Phase::Authorization;
                self.state = State::Start;
                if !self.user.is_empty() {
                    let (user, password) = (&of_bytes(&self.user), &of_bytes(&self.password));
                    raise!(
                        ctx,
                        Pop3LoginFailure {
                            is_orig: false,
                            user,
                            password
                        }
                    );
                }
            }
            State::Of(Noop | Last | Stat | Rset | Dele | List | Retr | Uidl | Top | Xsender) => {
                self.phase = Phase::Transaction;
            }
            State::Of(Quit) if !matches!(self.phase, Phase::Update) => self.phase = Phase::Finished,
            _ => {}
        }
        self.told(name, argument, ctx);
    }

    /// The first line of a reply has had its effect.
    fn told(&mut self, name: &str, argument: &[u8], ctx: &mut Ctx<'_>) {
        raise!(
            ctx,
            Pop3Reply {
                is_orig: false,
                cmd: name,
                msg: &of_bytes(argument),
            }
        );
        if !self.in_lines {
            self.answered(ctx);
        }
    }

    fn let_in(&mut self, ctx: &mut Ctx<'_>) {
        if !self.user.is_empty() {
            let (user, password) = (&of_bytes(&self.user), &of_bytes(&self.password));
            raise!(
                ctx,
                Pop3LoginSuccess {
                    is_orig: false,
                    user,
                    password
                }
            );
        }
    }
}

fn unexpected(is_orig: bool, msg: &str, detail: &str, ctx: &mut Ctx<'_>) {
    raise!(ctx, Pop3Unexpected { is_orig, msg, detail });
}

fn until_nul(line: &[u8]) -> &[u8] {
    line.split(|b| *b == 0).next().unwrap_or(&[])
}

/// A line up to a NUL, without blanks around it and with single ones in it.
fn text(line: &[u8]) -> Cow<'_, [u8]> {
    let line = crate::analyzer::lines::skip_blank(until_nul(line));
    let end = line.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    let line = line.get(..end).unwrap_or(line);
    match memchr::memmem::find(line, b"  ") {
        None => line.into(),
        Some(_) => {
            let mut out = Vec::with_capacity(line.len());
            for b in line {
                if *b != b' ' || out.last() != Some(&b' ') {
                    out.push(*b);
                }
            }
            out.into()
        }
    }
}

/// A line's first word, and the rest of it.
fn words(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (line.get(..at).unwrap_or(line), line.get(at + 1..).unwrap_or(&[])),
        None => (line, &[]),
    }
}
