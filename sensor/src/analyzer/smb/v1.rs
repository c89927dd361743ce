//! SMB 1 (MS-CIFS, MS-SMB), read as far as Zeek takes broken messages for another protocol.

use super::embedded::Embedded;
use crate::analyzer::api::Ctx;
use crate::analyzer::fields::Fields;

/// Bytes of the header, with the protocol's identifier.
const HEADER_LEN: u16 = 32;
/// A message of this length has an empty body.
const EMPTY_LEN: u32 = 35;
/// Commands in a chain (Zeek's `SMB::max_andx_depth`).
const MAX_ANDX: u8 = 10;
/// No further command in a chain.
const NO_COMMAND: u8 = 0xff;

/// Commands (MS-CIFS, section 2.2.2.1).
mod command {
    pub(super) const CLOSE: u8 = 0x04;
    pub(super) const QUERY_INFORMATION: u8 = 0x08;
    pub(super) const CHECK_DIRECTORY: u8 = 0x10;
    pub(super) const LOCKING_ANDX: u8 = 0x24;
    pub(super) const TRANSACTION: u8 = 0x25;
    pub(super) const TRANSACTION_SECONDARY: u8 = 0x26;
    pub(super) const ECHO: u8 = 0x2b;
    pub(super) const READ_ANDX: u8 = 0x2e;
    pub(super) const WRITE_ANDX: u8 = 0x2f;
    pub(super) const TRANSACTION2: u8 = 0x32;
    pub(super) const TRANSACTION2_SECONDARY: u8 = 0x33;
    pub(super) const TREE_DISCONNECT: u8 = 0x71;
    pub(super) const NEGOTIATE: u8 = 0x72;
    pub(super) const SESSION_SETUP_ANDX: u8 = 0x73;
    pub(super) const LOGOFF_ANDX: u8 = 0x74;
    pub(super) const TREE_CONNECT_ANDX: u8 = 0x75;
    pub(super) const NT_TRANSACT: u8 = 0xa0;
    pub(super) const NT_CREATE_ANDX: u8 = 0xa2;
    pub(super) const NT_CANCEL: u8 = 0xa4;
}

/// What a message is read with.
struct Reading<'a, 'c, 'x> {
    is_orig: bool,
    command: u8,
    is_unicode: bool,
    tree: u16,
    number: u16,
    is_pipe: bool,
    embedded: &'a mut Embedded,
    ctx: &'c mut Ctx<'x>,
}

/// Where a command stands in its message: its place and how many are before it.
#[derive(Clone, Copy)]
struct Place {
    offset: u16,
    depth: u8,
}

/// A next command and where it is said to be.
#[derive(Clone, Copy)]
struct AndX {
    command: u8,
    offset: u16,
}

/// Reads a message of `len` bytes behind the protocol's identifier. `None`: it is broken.
pub fn read(
    f: &mut Fields<'_>,
    len: u32,
    is_orig: bool,
    embedded: &mut Embedded,
    ctx: &mut Ctx<'_>,
) -> Option<()> {
    let command = f.u8()?;
    f.skip(5)?;
    let is_unicode = f.le16()? & 0x8000 != 0;
    f.skip(12)?;
    let tree = f.le16()?;
    f.skip(4)?;
    let number = f.le16()?;
    let is_pipe = embedded.has_pipes(tree.into());
    let mut reading = Reading {
        is_orig,
        command,
        is_unicode,
        tree,
        number,
        is_pipe,
        embedded,
        ctx,
    };
    let place = Place {
        offset: HEADER_LEN,
        depth: 0,
    };
    match len {
        EMPTY_LEN => f.skip(3),
        _ => reading.command(&mut f.ahead(), place),
    }
}

impl Reading<'_, '_, '_> {
    fn command(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        match self.is_orig {
            true => self.request(f, at),
            false => self.response(f, at),
        }
    }

    fn request(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        match self.command {
            command::READ_ANDX => {
                let words = f.u8()?;
                let next = andx(f)?;
                f.skip(if words == 0x0c { 22 } else { 18 })?;
                self.next(f, at, next)
            }
            command::WRITE_ANDX => {
                let words = f.u8()?;
                let next = andx(f)?;
                f.skip(14)?;
                let (high, low, offset) = (f.le16()?, f.le16()?, f.le16()?);
                f.skip(if words == 0x0e { 6 } else { 2 })?;
                let data = self.data(f, offset, (high, low))?;
                self.next(f, at, next)?;
                self.pipe(data);
                Some(())
            }
            command::NEGOTIATE => {
                f.skip(1)?;
                let len = f.le16()?;
                f.skip(len.into())
            }
            command::SESSION_SETUP_ANDX => self.session_setup(f, at),
            command::TREE_CONNECT_ANDX => {
                f.skip(1)?;
                let next = andx(f)?;
                f.skip(2)?;
                let password = f.le16()?;
                f.skip(2 + u64::from(password))?;
                self.text(f, 0)?;
                ascii(f);
                self.next(f, at, next)
            }
            command::NT_CREATE_ANDX => {
                f.skip(1)?;
                let next = andx(f)?;
                f.skip(46)?;
                let name = self.text(f, 0)?;
                self.next(f, at, next)?;
                if !self.is_pipe {
                    self.embedded.open(self.tree.into(), name, self.is_unicode);
                }
                Some(())
            }
            command::CLOSE => f.skip(9),
            command::QUERY_INFORMATION | command::CHECK_DIRECTORY => {
                f.skip(4)?;
                self.text(f, 0).map(drop)
            }
            // Zeek never says how long its ranges are.
            command::LOCKING_ANDX => None,
            command::TRANSACTION => self.transaction(f),
            command::TRANSACTION_SECONDARY => {
                f.skip(19)?;
                Some(())
            }
            command::TRANSACTION2 => self.transaction2(f),
            command::TRANSACTION2_SECONDARY => f.skip(21),
            command::ECHO => {
                f.skip(3)?;
                let len = f.le16()?;
                f.skip(len.into())
            }
            command::TREE_DISCONNECT | command::NT_CANCEL => f.skip(3),
            command::LOGOFF_ANDX => self.logoff(f, at),
            command::NT_TRANSACT => f.skip(1),
            _ => Some(()),
        }
    }

    fn response(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        match self.command {
            command::READ_ANDX => {
                f.skip(1)?;
                let next = andx(f)?;
                f.skip(6)?;
                let (low, offset, high) = (f.le16()?, f.le16()?, f.le16()?);
                f.skip(10)?;
                let data = self.data(f, offset, (high, low))?;
                self.next(f, at, next)?;
                self.pipe(data);
                Some(())
            }
            command::WRITE_ANDX => {
                f.skip(1)?;
                let next = andx(f)?;
                f.skip(10)?;
                self.next(f, at, next)
            }
            command::NEGOTIATE => self.negotiated(f),
            command::SESSION_SETUP_ANDX => self.session_is_set_up(f, at),
            command::TREE_CONNECT_ANDX => {
                let words = f.u8()?;
                let next = andx(f)?;
                if let Some(more) = words.checked_sub(3) {
                    f.skip(2 + 2 * u64::from(more))?;
                }
                let len = f.le16()?;
                let service = ascii(f);
                if usize::from(len) > service.len() {
                    self.text(f, 0)?;
                }
                self.next(f, at, next)?;
                if service.starts_with(b"IPC") {
                    self.embedded.set_pipes(self.tree.into());
                }
                Some(())
            }
            command::NT_CREATE_ANDX => {
                f.skip(1)?;
                let next = andx(f)?;
                f.skip(66)?;
                self.next(f, at, next)
            }
            command::CLOSE | command::CHECK_DIRECTORY | command::TREE_DISCONNECT => f.skip(3),
            // Zeek's time of the last change is two bytes longer than it is.
            command::QUERY_INFORMATION => f.skip(25),
            command::TRANSACTION => self.transaction_is_done(f),
            command::TRANSACTION2 => {
                f.skip(21)?;
                let len = f.le16()?;
                f.skip(len.into())
            }
            command::ECHO => {
                f.skip(3)?;
                let len = f.le16()?;
                f.skip(len.into())
            }
            command::LOGOFF_ANDX => self.logoff(f, at),
            command::NT_TRANSACT => f.skip(1),
            _ => Some(()),
        }
    }

    /// The next command of a chain.
    fn next(&mut self, f: &mut Fields<'_>, at: Place, next: AndX) -> Option<()> {
        let here = |f: &Fields<'_>| i64::from(at.offset) + f.read() as i64;
        let said = i64::from(next.offset);
        if said != 0 && said < here(f) + 2 {
            f.skip(u64::try_from(said - here(f)).ok()?)?;
        }
        let goes_on = at.depth <= MAX_ANDX && next.offset > at.offset;
        if goes_on && next.command != NO_COMMAND {
            let place = Place {
                offset: here(f) as u16,
                depth: at.depth + 1,
            };
            let before = std::mem::replace(&mut self.command, next.command);
            let read = self.command(&mut f.ahead(), place);
            self.command = before;
            read?;
        }
        if next.command != NO_COMMAND {
            if next.offset <= at.offset {
                self.give_up("smb_andx_offset_not_advancing");
            }
            if at.depth >= MAX_ANDX {
                self.give_up("smb_andx_depth_exceeded");
            }
        }
        Some(())
    }

    fn give_up(&mut self, weird: &'static str) {
        self.ctx.out.weird_from(weird, "", "SMB");
        self.ctx.out.gave_up();
    }

    /// Content at an offset from the message's start.
    fn data<'f>(&self, f: &mut Fields<'f>, offset: u16, (high, low): (u16, u16)) -> Option<&'f [u8]> {
        f.skip_to(i64::from(offset) - i64::from(HEADER_LEN))?;
        f.take(u64::from(high) << 16 | u64::from(low))
    }

    fn pipe(&mut self, data: &[u8]) {
        if self.is_pipe {
            self.embedded.pipe(0, self.is_orig, data, self.ctx);
        }
    }

    /// A text with its end. In UTF-16 it is padded to an even place; places are counted from the command's beginning, and
    /// `odd` is added.
    fn text<'f>(&self, f: &mut Fields<'f>, odd: usize) -> Option<&'f [u8]> {
        if !self.is_unicode {
            return Some(ascii(f));
        }
        f.skip(((f.read() + odd) & 1) as u64)?;
        let left = f.ahead().rest();
        let end = left.chunks_exact(2).position(|c| c == [0, 0]);
        let len = end.map_or(left.len(), |n| 2 * n + 2);
        f.take(len as u64)
    }

    fn logoff(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        f.skip(1)?;
        let next = andx(f)?;
        f.skip(2)?;
        self.next(f, at, next)
    }

    /// SESSION_SETUP_ANDX (MS-CIFS, section 2.2.4.53; MS-SMB, section 2.2.4.6).
    fn session_setup(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        let words = f.u8()?;
        // What follows has places of its own.
        let at = Place {
            offset: at.offset.wrapping_add(1),
            ..at
        };
        let f = &mut f.ahead();
        let next = andx(f)?;
        f.skip(10)?;
        let texts = match words {
            0x0a => {
                let password = f.le16()?;
                f.skip(6 + u64::from(password))?;
                4
            }
            0x0c => {
                let len = f.le16()?;
                f.skip(10)?;
                let token = f.take(len)?;
                self.texts(f, 2)?;
                self.next(f, at, next)?;
                self.embedded.token(true, token, self.ctx);
                return Some(());
            }
            0x0d => {
                let passwords = u64::from(f.le16()?) + u64::from(f.le16()?);
                f.skip(10 + passwords)?;
                4
            }
            _ => return None,
        };
        self.texts(f, texts)?;
        self.next(f, at, next)
    }

    fn texts(&self, f: &mut Fields<'_>, n: u8) -> Option<()> {
        for _ in 0..n {
            self.text(f, 1)?;
        }
        Some(())
    }

    fn session_is_set_up(&mut self, f: &mut Fields<'_>, at: Place) -> Option<()> {
        let words = f.u8()?;
        let at = Place {
            offset: at.offset.wrapping_add(1),
            ..at
        };
        let f = &mut f.ahead();
        match words {
            3 => {
                let next = andx(f)?;
                f.skip(2)?;
                let texts = if f.le16()? == 0 { 0 } else { 3 };
                self.texts(f, texts)?;
                self.next(f, at, next)
            }
            4 => {
                let next = andx(f)?;
                f.skip(2)?;
                let len = f.le16()?;
                f.skip(2)?;
                let token = f.take(len)?;
                self.texts(f, 2)?;
                self.next(f, at, next)?;
                self.embedded.token(false, token, self.ctx);
                Some(())
            }
            _ => f.skip(2),
        }
    }

    /// NEGOTIATE's answer (MS-CIFS, section 2.2.4.52.2; MS-SMB, section 2.2.4.5.2).
    fn negotiated(&mut self, f: &mut Fields<'_>) -> Option<()> {
        let words = f.u8()?;
        f.skip(2)?;
        match words {
            1 => f.skip(2),
            0x0d => {
                let f = &mut f.ahead();
                // Zeek's time and date are four bytes longer than they are, each.
                f.skip(28)?;
                let key = f.le16()?;
                f.skip(4 + u64::from(key))?;
                self.text(f, 0).map(drop)
            }
            0x11 => {
                let f = &mut f.ahead();
                f.skip(17)?;
                let capabilities = f.le32()?;
                f.skip(10)?;
                let key = f.u8()?;
                let len = f.le16()?;
                if capabilities & 0x8000_0000 == 0 {
                    f.skip(key.into())?;
                    return self.text(f, 0).map(drop);
                }
                f.skip(16)?;
                let token = f.take(len.checked_sub(16)?)?;
                self.embedded.token(false, token, self.ctx);
                Some(())
            }
            _ => None,
        }
    }

    /// TRANSACTION (MS-CIFS, section 2.2.4.33.1).
    fn transaction(&mut self, f: &mut Fields<'_>) -> Option<()> {
        f.skip(19)?;
        let (parameters, at, _data, data_at) = (f.le16()?, f.le16()?, f.le16()?, f.le16()?);
        let setups = f.u8()?;
        f.skip(1 + 2 * u64::from(setups) + 2)?;
        let name = self.text(f, 0)?;
        let is_named = self.is_pipe_name(name);
        self.past(f, at)?;
        f.skip(parameters.into())?;
        self.past(f, data_at)?;
        let data = f.rest();
        if is_named == Some(true) {
            self.embedded.pipe(0, true, data, self.ctx);
        }
        let is_pipe = is_named.unwrap_or(self.is_pipe);
        self.embedded.ask(self.number, is_pipe);
        Some(())
    }

    /// Whether a transaction's name is a pipe's; unless it is that of the old administration, nothing is known of others.
    fn is_pipe_name(&self, name: &[u8]) -> Option<bool> {
        let width = if self.is_unicode { 2 } else { 1 };
        let mut text = name.iter().step_by(width);
        if !(name.len() > 5 * width && text.by_ref().take(6).eq(b"\\PIPE\\")) {
            return None;
        }
        Some(!(name.len() > 11 * width && text.take(6).eq(b"LANMAN")))
    }

    fn past(&self, f: &mut Fields<'_>, offset: u16) -> Option<()> {
        f.skip_to(i64::from(offset) - i64::from(HEADER_LEN))
    }

    fn transaction_is_done(&mut self, f: &mut Fields<'_>) -> Option<()> {
        let is_pipe = self.embedded.answer(self.number);
        f.skip(7)?;
        let (parameters, at) = (f.le16()?, f.le16()?);
        f.skip(2)?;
        let (data, data_at) = (f.le16()?, f.le16()?);
        f.skip(2)?;
        let setups = f.u8()?;
        f.skip(1 + 2 * u64::from(setups) + 2)?;
        self.past(f, at)?;
        f.skip(parameters.into())?;
        self.past(f, data_at)?;
        if data > 0 && is_pipe {
            self.embedded.pipe(0, false, f.rest(), self.ctx);
        }
        Some(())
    }

    /// TRANSACTION2 (MS-CIFS, section 2.2.4.46.1).
    fn transaction2(&mut self, f: &mut Fields<'_>) -> Option<()> {
        f.skip(21)?;
        let at = f.le16()?;
        f.skip(6)?;
        let subcommand = f.le16()?;
        f.skip(2)?;
        self.past(f, at)?;
        let f = &mut f.ahead();
        let before = match subcommand {
            0x01 => 12,
            0x05 => 6,
            0x07 => return f.skip(4),
            0x10 => 2,
            _ => return Some(()),
        };
        f.skip(before)?;
        self.text(f, 0).map(drop)
    }
}

fn andx(f: &mut Fields<'_>) -> Option<AndX> {
    let command = f.u8()?;
    f.skip(1)?;
    Some(AndX {
        command,
        offset: f.le16()?,
    })
}

/// A text of single octets, with its end.
fn ascii<'f>(f: &mut Fields<'f>) -> &'f [u8] {
    let left = f.ahead().rest();
    let len = left.iter().position(|b| *b == 0).map_or(left.len(), |n| n + 1);
    f.take(len as u64).unwrap_or(&[])
}
