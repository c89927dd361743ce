//! The event of syslog.

use crate::event::page::events;

events! {
    /// Events of syslog.
    page 16 "syslog" of "syslog";

    /// A syslog message.
    /// `facility`, `severity`: out of its priority, both 999 if it has none; `msg`: what follows the priority.
    SyslogMessage "syslog_message" (c: conn, facility: count, severity: count, msg: bytes);
}
