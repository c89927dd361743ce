//! Signatures as they are written, parsed. Knows no packet and no connection.

use std::path::PathBuf;
use std::sync::Arc;

use super::cmp::Cmp;
use super::header::Test;
use super::pattern::Expr;

/// What an expression is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// A TCP direction's stream, or one packet's payload.
    Payload,
    /// The URI of an HTTP request, decoded.
    HttpRequest,
    /// A header of a request, `name: value`.
    HttpRequestHeader,
    /// A request's body, decompressed.
    HttpRequestBody,
    /// A header of a reply.
    HttpReplyHeader,
    /// A reply's body, decompressed.
    HttpReplyBody,
    /// A command of FTP with its argument.
    Ftp,
    /// A request of finger.
    Finger,
    /// The beginning of a file.
    FileMagic,
}

impl Context {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// The bit of the context in a set of them.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// An expression of a signature.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What it is matched with.
    pub context: Context,
    /// It.
    pub expr: Expr,
    /// It has to be complete within so many bytes.
    pub depth: usize,
    /// The line on which it stands.
    pub line: u32,
}

/// What `tcp-state` and `udp-state` say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The handshake is over.
    pub established: bool,
    /// The originator sent it.
    pub orig: bool,
    /// The responder sent it.
    pub resp: bool,
    /// Nothing else matters.
    pub stateless: bool,
}

/// What has to hold beside headers and expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `tcp-state`
    Tcp(Flow),
    /// `udp-state`
    Udp(Flow),
    /// `same-ip`
    SameIp,
    /// `payload-size`
    Size(Cmp, u32),
    /// `eval`: a function of a script says so.
    Eval(Arc<str>),
}

/// Another signature that has to have matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requires {
    /// Its name.
    pub id: String,
    /// In the other direction.
    pub reverse: bool,
    /// It has not to have matched.
    pub negate: bool,
    /// The line on which it stands.
    pub line: u32,
}

/// What a match leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An event, by its name, with its message.
    Event(Raise, Arc<str>),
    /// An analyzer is put on the connection, by Zeek's name in upper case.
    Enable(Arc<str>),
    /// A file is of this type, and how strong that is.
    Mime(Arc<str>, i32),
}

/// The events that a signature may raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raise {
    /// `signature_match`
    Match,
    /// `gaobot_signature_found`
    Gaobot,
    /// `kazaa_signature_found`
    Kazaa,
    /// `napster_signature_found`
    Napster,
    /// `root_backdoor_signature_found`
    RootBackdoor,
}

impl Raise {
    /// Their names.
    pub const NAMES: [(&'static str, Raise); 5] = [
        ("signature_match", Raise::Match),
        ("gaobot_signature_found", Raise::Gaobot),
        ("kazaa_signature_found", Raise::Kazaa),
        ("napster_signature_found", Raise::Napster),
        ("root_backdoor_signature_found", Raise::RootBackdoor),
    ];

    /// By its name.
    pub fn named(name: &str) -> Option<Raise> {
        Raise::NAMES.iter().find(|(n, _)| *n == name).map(|(_, r)| *r)
    }
}

/// A signature.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub id: Arc<str>,
    /// Where it is written.
    pub file: Arc<PathBuf>,
    /// The line of its name.
    pub line: u32,
    /// What has to hold of the first packet's headers.
    pub tests: Vec<Test>,
    /// All of them have to match.
    pub patterns: Vec<Pattern>,
    /// All of these, too.
    pub conditions: Vec<Condition>,
    /// And these.
    pub requires: Vec<Requires>,
    /// In their order.
    pub actions: Vec<Action>,
    /// It is not switched off.
    pub active: bool,
}

impl Rule {
    /// Whether it is about the types of files, and nothing else.
    pub fn is_of_files(&self) -> bool {
        let of_files = |p: &Pattern| p.context == Context::FileMagic;
        self.tests.is_empty() && !self.patterns.is_empty() && self.patterns.iter().all(of_files)
    }

    /// What of it will never come to anything.
    pub fn useless(&self) -> Option<&'static str> {
        let has = |context| self.patterns.iter().any(|p| p.context == context);
        let names_type = self.actions.iter().any(|a| matches!(a, Action::Mime(..)));
        let tells = self.actions.iter().any(|a| !matches!(a, Action::Mime(..)));
        let asks = !self.conditions.is_empty() || !self.requires.is_empty();
        if has(Context::Finger) {
            Some("finger is not read: the signature never matches")
        } else if !has(Context::FileMagic) {
            names_type.then_some("file-mime does nothing without file-magic")
        } else if !self.is_of_files() {
            Some(
                "file-magic stands alone: with other expressions or conditions on headers the signature never matches",
            )
        } else if !names_type {
            Some("file-magic without file-mime: the signature does nothing")
        } else if tells || asks {
            Some(
                "a signature with file-magic says a file's type: other conditions and actions are not looked at",
            )
        } else {
            None
        }
    }
}

/// What is wrong with a file of signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", file.display())]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub what: String,
}
