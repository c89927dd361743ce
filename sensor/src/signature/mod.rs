//! Signatures in Zeek's language: conditions on packets' headers and expressions for what connections carry. Sans-I/O but for
//! reading the files.
//!
//! `lex` and `parse` read a file, `pattern` the expressions in it; `compile` puts signatures that ask the same of headers
//! into groups with one machine for each context (`nfa`), which `dfa` runs over streams of which nothing is kept. [`Matching`]
//! knows how far each connection has come (`side`, `work`). Meaning is that of Zeek's RuleMatcher. Knows events and log rows, no analyzer and
//! no connection's state.

mod cmp;
mod compile;
mod dfa;
mod exits;
pub mod header;
mod lex;
mod log;
mod magic;
mod matching;
mod nfa;
mod parse;
mod pattern;
mod rule;
mod side;
mod work;

pub use compile::{Known, Signature, SignatureError, Signatures};
pub use log::{SignatureRow, write};
pub use magic::FileMagic;
pub use matching::Matching;
pub use rule::{Action, Context, Problem, Raise};
pub use side::Facts;
pub use work::{At, Host};
