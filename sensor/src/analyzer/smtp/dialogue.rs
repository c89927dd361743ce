//! Commands and replies: what each changes, by Zeek's state machine. A command takes effect when it comes, and its reply takes
//! that back if it was refused: clients do not wait.
//!
//! Knows no bytes and no mail: what is to become of the mail is an [`Effect`].

use std::collections::VecDeque;

use super::events::*;
use crate::analyzer::api::Ctx;
use crate::analyzer::text::of_bytes;

/// Most commands that wait for a reply behind the first one. With more, all of those are forgotten, as in Zeek.
const MAX_UNANSWERED: usize = 1000;

/// RFC 821, 1869, 1985, 2487, 2554, 3030 and Exchange's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Quit,
    Rset,
    Vrfy,
    Expn,
    Help,
    Noop,
    StartTls,
    AnonymousTls,
    Send,
    Soml,
    Saml,
    Turn,
    Bdat,
    Etrn,
    Auth,
    /// The connection itself, which the greeting answers.
    Connection,
    /// The end of a mail.
    EndOfData,
    /// An answer in an exchange that AUTH began.
    AuthAnswer,
}
use Command::*;

/// As they are written.
const COMMANDS: [(&str, Command); 20] = [
    ("EHLO", Ehlo),
    ("HELO", Helo),
    ("MAIL", Mail),
    ("RCPT", Rcpt),
    ("DATA", Data),
    ("QUIT", Quit),
    ("RSET", Rset),
    ("VRFY", Vrfy),
    ("EXPN", Expn),
    ("HELP", Help),
    ("NOOP", Noop),
    ("STARTTLS", StartTls),
    ("X-ANONYMOUSTLS", AnonymousTls),
    ("SEND", Send),
    ("SOML", Soml),
    ("SAML", Saml),
    ("TURN", Turn),
    ("BDAT", Bdat),
    ("ETRN", Etrn),
    ("AUTH", Auth),
];

/// What stands for a command that is not known.
pub const UNKNOWN: &str = "(UNKNOWN)";

impl Command {
    /// That with this name.
    pub fn named(word: &[u8]) -> Option<Command> {
        let mut all = COMMANDS.iter();
        let found = all.find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        found.map(|(_, command)| *command)
    }

    /// Zeek's word for it.
    fn word(self) -> &'static str {
        match self {
            AnonymousTls => "X_ANONYMOUSTLS",
            Connection => "CONN_ESTABLISHMENT",
            EndOfData => "END_OF_DATA",
            AuthAnswer => "AUTH_ANSWER",
            _ => COMMANDS
                .iter()
                .find(|(_, c)| *c == self)
                .map_or(UNKNOWN, |(name, _)| name),
        }
    }
}

/// Where the dialogue stands. Events name the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Connected,
    Initiated,
    NotAvailable,
    Ready,
    MailOk,
    RcptOk,
    /// The client sends the lines of a mail.
    InData,
    AfterData,
    /// The next line is an answer to the server's challenge.
    InAuth,
    InTls,
    Quit,
    /// Bytes are missing: reading goes on with the next valid reply.
    AfterGap,
    /// It went on; no command came since.
    GapRecovery,
    /// The client sends a mail in chunks.
    InBdat,
}

/// What a command or reply does to the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Begin,
    End,
}

/// What both sides have said so far.
#[derive(Debug)]
pub struct Dialogue {
    pub state: State,
    /// Commands that wait for a reply, in the order in which replies come (pipelining).
    unanswered: VecDeque<Command>,
    /// The command that the last reply answered.
    answered: Option<Command>,
    /// The code of a multi-line reply that has not ended.
    pending: u16,
    /// Until a TURN changes that.
    pub orig_is_sender: bool,
}

impl Dialogue {
    /// Of a connection without any bytes.
    pub fn new() -> Dialogue {
        Dialogue {
            state: State::Initiated,
            unanswered: VecDeque::from([Connection]),
            answered: None,
            pending: 0,
            orig_is_sender: true,
        }
    }

    /// Whether what comes is TLS. A reply of several lines comes to its end first.
    pub fn is_tls(&self) -> bool {
        self.state == State::InTls && self.pending == 0
    }

    /// Something that should not have come, of the mail's sender or of its receiver.
    pub fn unexpected(&self, is_sender: bool, msg: &str, detail: &[u8], ctx: &mut Ctx<'_>) {
        let is_orig = is_sender == self.orig_is_sender;
        let detail = || of_bytes(detail);
        raise!(
            ctx,
            SmtpUnexpected {
                is_orig,
                msg,
                detail: &detail(),
            }
        );
    }

    fn unexpected_command(&self, command: Option<Command>, code: u16, ctx: &mut Ctx<'_>) {
        if ctx.subs.wants(SmtpUnexpected::KIND) {
            let word = command.map_or(UNKNOWN, Command::word);
            let detail = format!("{word} reply = {code} state = {}", self.state as u8);
            self.unexpected(true, "unexpected command", detail.as_bytes(), ctx);
        }
    }

    fn unexpected_reply(&self, command: Option<Command>, code: u16, ctx: &mut Ctx<'_>) {
        if ctx.subs.wants(SmtpUnexpected::KIND) {
            let word = command.map_or(UNKNOWN, Command::word);
            let detail = format!("{code} state = {}, last command = {word}", self.state as u8);
            self.unexpected(true, "unexpected reply", detail.as_bytes(), ctx);
        }
    }

    /// Bytes are missing.
    pub fn lost(&mut self) {
        self.state = State::AfterGap;
        self.unanswered.clear();
        self.answered = None;
    }

    /// A command waits for its reply.
    pub fn asked(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        if self.unanswered.len() > MAX_UNANSWERED {
            ctx.out.weird("smtp_excessive_pending_cmds", "");
            self.unanswered.truncate(1);
        }
        self.unanswered.push_back(command);
    }

    /// A line of a reply with that code: whether it is its first line. `more`: other lines follow.
    pub fn reply_line(&mut self, code: u16, more: bool, line: &[u8], ctx: &mut Ctx<'_>) -> bool {
        if self.pending != 0 && self.pending != code {
            self.unexpected(false, "reply code does not match the continuing reply", line, ctx);
            self.pending = 0;
        }
        let is_first = self.pending == 0;
        if is_first {
            self.answered = self.unanswered.pop_front();
        }
        self.pending = if more { code } else { 0 };
        is_first
    }

    /// The command that the reply answers.
    pub fn answered(&self) -> Option<Command> {
        self.answered
    }

    /// Its name in an event.
    pub fn answered_word(&self) -> &'static str {
        match self.answered {
            Some(Connection) => ">",
            Some(EndOfData) => ".",
            Some(command) => command.word(),
            None => UNKNOWN,
        }
    }

    /// A command without a reply yet (`code` is 0), or the reply to it.
    pub fn update(&mut self, command: Option<Command>, code: u16, ctx: &mut Ctx<'_>) -> Effect {
        let before = self.state;
        if before == State::Quit && code == 0 {
            self.unexpected_command(command, code, ctx);
        }
        match code {
            0 => self.ask(command, before, ctx),
            _ => self.answer(command, code, ctx),
        }
    }

    fn ask(&mut self, command: Option<Command>, before: State, ctx: &mut Ctx<'_>) -> Effect {
        use State as S;
        let Some(c) = command else { return Effect::Nothing };
        // Where it may come, and what comes then.
        let (places, next): (&[State], Option<State>) = match c {
            Ehlo | Helo => (&[S::Initiated], Some(S::Ready)),
            Mail | Send | Soml | Saml => (&[S::Ready], Some(S::MailOk)),
            Rcpt => (&[S::MailOk, S::RcptOk], Some(S::RcptOk)),
            Data => (&[S::RcptOk], Some(S::InData)),
            // The mail has begun with its first chunk.
            Bdat => (&[S::RcptOk], Some(S::InBdat)),
            EndOfData => (&[S::InData, S::InBdat], Some(S::AfterData)),
            Auth | Turn | StartTls | AnonymousTls => (&[S::Ready], None),
            AuthAnswer => (&[S::InAuth], None),
            Rset => (&[before], Some(S::Ready)),
            Command::Quit => (&[before], Some(S::Quit)),
            Vrfy | Expn | Help | Noop | Etrn | Connection => (&[before], None),
        };
        if !places.contains(&before) {
            self.unexpected_command(command, 0, ctx);
        }
        self.state = next.unwrap_or(self.state);
        match c {
            Data => Effect::Begin,
            EndOfData => Effect::End,
            _ => Effect::Nothing,
        }
    }

    fn answer(&mut self, command: Option<Command>, code: u16, ctx: &mut Ctx<'_>) -> Effect {
        use State as S;
        let before = self.state;
        let is_expected = match command {
            Some(Connection) => matches!(code, 220 | 421 | 554),
            Some(Ehlo | Helo) => matches!(code, 250 | 421 | 500 | 501 | 504 | 550),
            Some(Mail | Send | Soml | Saml) => {
                matches!(code, 250 | 421 | 451 | 452 | 500 | 501 | 503 | 550 | 552 | 553)
            }
            Some(Rcpt) => matches!(
                code,
                250 | 251 | 421 | 450 | 451 | 452 | 500 | 501 | 503 | 550..=554
            ),
            Some(Data) => matches!(code, 354 | 421 | 500 | 501 | 503 | 451 | 554),
            Some(Bdat) => matches!(code, 250 | 421 | 500 | 501 | 503 | 451 | 554),
            Some(EndOfData) => matches!(code, 250 | 421 | 451 | 452 | 552 | 554),
            Some(Rset) => code == 250,
            Some(Command::Quit) => code == 221,
            _ => true,
        };
        if !is_expected {
            self.unexpected_reply(command, code, ctx);
        }
        if matches!(command, Some(Auth | Turn | StartTls | AnonymousTls)) && before != S::Ready
            || command == Some(AuthAnswer) && before != S::InAuth
        {
            self.unexpected_command(command, code, ctx);
        }
        let is_refused = is_expected && code != 250;
        self.state = match (command, code) {
            (Some(Connection), 421 | 554) => S::NotAvailable,
            (Some(Ehlo | Helo), _) if is_refused => S::Initiated,
            (Some(Mail | Send | Soml | Saml), _) if is_refused && before != S::InData => S::Ready,
            (Some(Data), 354) => before,
            (Some(Data), 421) => S::Quit,
            // Zeek forgets here that the next mail has begun.
            (Some(EndOfData), _) if matches!(before, S::InData | S::InBdat) => before,
            (Some(Data | EndOfData), _) => S::Ready,
            (Some(Auth | AuthAnswer), 334) => S::InAuth,
            (Some(Auth | AuthAnswer), _) => S::Initiated,
            (Some(Turn), 250) => S::Connected,
            (Some(StartTls | AnonymousTls), 220) => S::InTls,
            _ => before,
        };
        match (command, code) {
            (Some(Data), 354) => Effect::Nothing,
            (Some(Data), _) if before == S::InData => Effect::End,
            (Some(Turn), 250) => {
                self.orig_is_sender = !self.orig_is_sender;
                Effect::Nothing
            }
            (None | Some(Vrfy | Expn | Help | Noop | Etrn), 354) if before == S::GapRecovery => {
                self.state = S::InData;
                Effect::Begin
            }
            _ => Effect::Nothing,
        }
    }
}
