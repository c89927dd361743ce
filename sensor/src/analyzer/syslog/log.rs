//! The row of syslog.log.

use std::borrow::Cow;

use super::wire::{Message, UNSPECIFIED};
use crate::event::{ConnId, Ts, row};

row! {
    /// One row of syslog.log: a message.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SyslogRow<'a> in "syslog" {
        /// When the message came.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// What it came over.
        proto: enumeration,
        /// Who speaks; `UNSPECIFIED` if the message has no priority, `?-N` of a number without a name.
        facility: text,
        /// How bad it is; `UNSPECIFIED` if the message has no priority.
        severity: text,
        /// What follows the priority.
        message: wire (&'a [u8]),
    }
}

/// By number (RFC 5424, table 1), as Zeek calls them.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
    "NTP", "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6",
    "LOCAL7",
];

/// By number (RFC 5424, table 2).
const SEVERITIES: [&str; 8] = [
    "EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG",
];

impl<'a> SyslogRow<'a> {
    /// Of a message that came at `ts`.
    pub fn new(ts: Ts, c: &'a ConnId, message: &Message<'a>) -> SyslogRow<'a> {
        SyslogRow {
            ts,
            c,
            proto: c.proto.as_str(),
            facility: name(&FACILITIES, message.facility()),
            severity: name(&SEVERITIES, message.severity()),
            message: message.text,
        }
    }
}

fn name(names: &[&'static str], n: u64) -> Cow<'static, str> {
    let known = usize::try_from(n).ok().and_then(|at| names.get(at));
    match known {
        Some(name) => (*name).into(),
        None if n == UNSPECIFIED => "UNSPECIFIED".into(),
        None => format!("?-{n}").into(),
    }
}
