//! What has been said on a connection decides how the next message is read.

use super::wire::{self, flag};
use crate::analyzer::fields::Fields;

/// What a message changes for the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    /// The client answers the server's greeting.
    Answer,
    /// The same, and goes on with TLS.
    Tls,
}

/// What the server's next message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Anything,
    Status,
    Columns,
    Column,
    ColumnOrEnd,
    /// The end of the columns, unless client and server do without it; then a row.
    RowsBegin,
    Row,
}

/// Both sides' state.
#[derive(Debug)]
pub struct Session {
    /// The protocol's version, of the greeting.
    version: u8,
    /// Client and server get to know each other.
    connects: bool,
    /// The client's next message is about its identity, not its first answer.
    identifies: bool,
    last_number: u8,
    expected: Expected,
    columns: u32,
    columns_left: u32,
    server_has_attributes: bool,
    client: u32,
}

impl Default for Session {
    fn default() -> Session {
        Session {
            version: 0,
            connects: true,
            identifies: false,
            last_number: 0,
            expected: Expected::Status,
            columns: 0,
            columns_left: 0,
            server_has_attributes: false,
            client: 0,
        }
    }
}

impl Session {
    /// A message of the client. None: it is none.
    pub fn client(&mut self, mut rest: Fields<'_>) -> Option<Said> {
        match (self.connects, self.identifies) {
            (true, true) => Some(Said::Nothing),
            (true, false) => self.answer(&mut rest),
            (false, _) => self.command(&mut rest).map(|()| Said::Nothing),
        }
    }

    /// A message of the server with this number. None: it is none.
    pub fn server(&mut self, number: u8, mut rest: Fields<'_>) -> Option<Said> {
        let rest = &mut rest;
        let is_first = number == 0 && self.last_number != 255;
        match (self.connects, is_first) {
            (true, true) => self.greeting(rest)?,
            (true, false) => self.verdict(rest)?,
            (false, _) => self.response(rest)?,
        }
        self.last_number = number;
        Some(Said::Nothing)
    }

    fn greeting(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        let version = rest.u8()?;
        match version {
            10 => {
                rest.text()?;
                // A connection's number, eight bytes of a challenge, a filler, flags, a character set, a status.
                rest.take(4 + 8 + 1 + 2 + 1 + 2)?;
                let flags = u32::from(rest.le16()?) << 16;
                let len = rest.u8()?;
                if (1..21).contains(&len) {
                    return None;
                }
                rest.take(10)?;
                // The challenge's second part.
                rest.take(usize::from(len).saturating_sub(8).max(13))?;
                if flags & flag::PLUGIN_AUTH != 0 {
                    rest.text()?;
                }
                self.server_has_attributes = flags & flag::QUERY_ATTRIBUTES != 0;
            }
            9 => {
                rest.text()?;
                rest.take(4)?;
                rest.text()?;
            }
            _ => {
                wire::error(rest)?;
                self.is_known();
            }
        }
        self.version = version;
        Some(())
    }

    /// Client and server know each other.
    fn is_known(&mut self) {
        (self.connects, self.identifies) = (false, false);
    }

    fn answer(&mut self, rest: &mut Fields<'_>) -> Option<Said> {
        match self.version {
            10 => {}
            9 => {
                let flags = u32::from(rest.le16()?);
                rest.take(3)?;
                rest.text()?;
                rest.text()?;
                if flags & flag::CONNECT_WITH_DB != 0 {
                    rest.text()?;
                }
                return Some(Said::Answer);
            }
            _ => return None,
        }
        let flags = rest.le32()?;
        // The longest message, a character set, a filler.
        rest.take(4 + 1 + 23)?;
        self.client = flags;
        let has = |flag| flags & flag != 0;
        if has(flag::SSL) {
            return Some(Said::Tls);
        }
        rest.text()?;
        wire::string(rest)?;
        if has(flag::CONNECT_WITH_DB) {
            rest.text()?;
        }
        if has(flag::PLUGIN_AUTH) {
            // It may be missing.
            let _ = rest.text();
        }
        if has(flag::CONNECT_ATTRS) {
            wire::attributes(rest)?;
        }
        if has(flag::ZSTD) {
            rest.u8()?;
        }
        self.identifies |= has(flag::PLUGIN_AUTH);
        Some(Said::Answer)
    }

    /// What the server makes of the client.
    fn verdict(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        match rest.u8()? {
            0x00 => self.ok(rest),
            // More about its identity.
            0x01 => Some(()),
            // Another way to tell it.
            0xfe => {
                rest.text()?;
                (self.identifies, self.expected) = (true, Expected::Status);
                Some(())
            }
            0xff => self.error(rest),
            _ => None,
        }
    }

    fn ok(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        wire::number(rest)?;
        self.is_known();
        Some(())
    }

    fn error(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        wire::error(rest)?;
        self.is_known();
        Some(())
    }

    fn command(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        const QUERY: u8 = 0x03;
        const CHANGE_USER: u8 = 0x11;
        let command = rest.u8()?;
        let both = self.server_has_attributes && self.client & flag::QUERY_ATTRIBUTES != 0;
        if command == QUERY && both {
            wire::query_attributes(rest)?;
        }
        if command == CHANGE_USER {
            self.change_user(rest)?;
        }
        self.expected = match command {
            // SLEEP, QUIT, INIT_DB, CREATE_DB, DROP_DB, REFRESH, SHUTDOWN, CONNECT, PROCESS_KILL, DEBUG, PING, TIME,
            // DELAYED_INSERT, DAEMON, RESET_CONNECTION.
            0x00..=0x02 | 0x05..=0x08 | 0x0b..=0x10 | 0x1d | 0x1f => Expected::Status,
            // And PROCESS_INFO.
            QUERY | 0x0a => Expected::Columns,
            // FIELD_LIST.
            0x04 => Expected::ColumnOrEnd,
            CHANGE_USER => self.expected,
            _ => Expected::Anything,
        };
        Some(())
    }

    /// The client wants to be somebody else.
    fn change_user(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        rest.text()?;
        let len = rest.u8()?;
        rest.take(len)?;
        rest.text()?;
        rest.le16()?;
        if self.client & flag::PLUGIN_AUTH != 0 {
            rest.text()?;
        }
        if self.client & flag::CONNECT_ATTRS != 0 {
            wire::attributes(rest)?;
        }
        self.connects = true;
        Some(())
    }

    fn response(&mut self, rest: &mut Fields<'_>) -> Option<()> {
        match self.expected {
            Expected::Anything => Some(()),
            Expected::Status => match rest.u8()? {
                0x00 => self.ok(rest),
                0xfe => wire::eof(rest),
                0xff => self.error(rest),
                _ => Some(()),
            },
            Expected::Columns => match rest.u8()? {
                0x00 => self.ok(rest),
                0xff => self.error(rest),
                first => {
                    let columns = wire::number_of(first, rest)? as u32;
                    (self.columns, self.columns_left) = (columns, columns);
                    self.expected = Expected::Column;
                    Some(())
                }
            },
            Expected::Column => {
                wire::column(rest.u8()?, rest)?;
                self.columns_left = self.columns_left.wrapping_sub(1);
                self.expected = match self.columns_left {
                    0 => Expected::RowsBegin,
                    _ => Expected::Column,
                };
                Some(())
            }
            Expected::ColumnOrEnd => match self.marked(rest)? {
                Some(first) => wire::column(first, rest),
                None => Some(()),
            },
            Expected::RowsBegin if !self.without_eof() => {
                rest.u8()?;
                wire::eof(rest)?;
                self.is_known();
                self.expected = Expected::Row;
                Some(())
            }
            Expected::RowsBegin | Expected::Row => match self.marked(rest)? {
                Some(first) => {
                    wire::row(first, self.columns, rest)?;
                    self.expected = Expected::Row;
                    Some(())
                }
                None => {
                    self.expected = Expected::Anything;
                    Some(())
                }
            },
        }
    }

    fn without_eof(&self) -> bool {
        self.client & flag::DEPRECATE_EOF != 0
    }

    /// The first byte of a row or column, or its end in its place. An end that is too long to be one is a verdict.
    fn marked(&mut self, rest: &mut Fields<'_>) -> Option<Option<u8>> {
        let is_long = rest.len() > 9;
        match rest.u8()? {
            0xfe if self.without_eof() || is_long => self.ok(rest).map(|()| None),
            0xfe => wire::eof(rest).map(|()| None),
            first => Some(Some(first)),
        }
    }
}
