//! The event of conn.log.

use crate::event::page::events;

events! {
    /// The event of conn.log.
    page 6 "conn" of "conn";

    /// A row is about to be written to conn.log.
    /// `rec`: the row.
    ConnLogConn "Conn::log_conn" (rec: row);
}
