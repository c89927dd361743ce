//! SMB 2 and 3 (MS-SMB2, section 2.2), read as far as Zeek takes broken messages for another protocol.

use super::embedded::Embedded;
use crate::analyzer::api::Ctx;
use crate::analyzer::fields::Fields;

/// Bytes of the header, with the protocol's identifier.
const HEADER_LEN: i64 = 64;
/// The code of a question and its answer on a pipe.
const FSCTL_PIPE_TRANSCEIVE: u32 = 0x0011_c017;
/// Dialect 3.1.1, which has contexts.
const SMB_3_1_1: u16 = 0x0311;

/// Commands (section 2.2.1.2).
mod command {
    pub(super) const NEGOTIATE: u16 = 0;
    pub(super) const SESSION_SETUP: u16 = 1;
    pub(super) const TREE_CONNECT: u16 = 3;
    pub(super) const TREE_DISCONNECT: u16 = 4;
    pub(super) const CREATE: u16 = 5;
    pub(super) const CLOSE: u16 = 6;
    pub(super) const FLUSH: u16 = 7;
    pub(super) const READ: u16 = 8;
    pub(super) const WRITE: u16 = 9;
    pub(super) const LOCK: u16 = 10;
    pub(super) const IOCTL: u16 = 11;
    pub(super) const CANCEL: u16 = 12;
    pub(super) const ECHO: u16 = 13;
    pub(super) const QUERY_DIRECTORY: u16 = 14;
    pub(super) const CHANGE_NOTIFY: u16 = 15;
    pub(super) const QUERY_INFO: u16 = 16;
    pub(super) const SET_INFO: u16 = 17;
    pub(super) const OPLOCK_BREAK: u16 = 18;
}

/// Statuses with which an answer is none of an error (section 3.3.4.4).
mod status {
    pub(super) const PENDING: u32 = 0x0000_0103;
    pub(super) const NOTIFY_ENUM_DIR: u32 = 0x0000_010c;
    pub(super) const BUFFER_OVERFLOW: u32 = 0x8000_0005;
    pub(super) const INVALID_PARAMETER: u32 = 0xc000_000d;
    pub(super) const MORE_PROCESSING_REQUIRED: u32 = 0xc000_0016;
}

/// The header, without the protocol's identifier (section 2.2.1).
#[derive(Clone, Copy, Debug)]
struct Header {
    /// Its length as it says.
    len: u16,
    status: u32,
    command: u16,
    next: u32,
    message: u64,
    tree: u32,
    is_pipe: bool,
}

fn header(f: &mut Fields<'_>, is_orig: bool, embedded: &Embedded) -> Option<Header> {
    let len = f.le16()?;
    f.skip(2)?;
    let status = f.le32()?;
    let command = f.le16()?;
    f.skip(6)?;
    let next = f.le32()?;
    let message = f.le64()?;
    f.skip(4)?;
    let tree = f.le32()?;
    f.skip(24)?;
    let of = match is_orig {
        true => tree,
        false => embedded.tree_of.get(message) as u32,
    };
    Some(Header {
        len,
        status,
        command,
        next,
        message,
        tree,
        is_pipe: embedded.has_pipes(of),
    })
}

/// Reads a message behind the protocol's identifier; whether another one follows it. `None`: it is broken.
pub fn read(f: &mut Fields<'_>, is_orig: bool, embedded: &mut Embedded, ctx: &mut Ctx<'_>) -> Option<bool> {
    let header = header(f, is_orig, embedded)?;
    if is_orig {
        embedded.tree_of.insert(header.message, header.tree.into());
    } else if header.status != status::PENDING {
        embedded.tree_of.remove(header.message);
    }
    let mut body = f.ahead();
    match is_orig {
        true => request(&mut body, header, embedded, ctx),
        false if header.is_error() => {
            body.skip(4)?;
            let more = body.le32()?;
            body.skip(more.into())
        }
        false => response(&mut body, header, embedded, ctx),
    }?;
    let read = body.read();
    f.skip(read as u64)?;
    if header.next == 0 {
        return Some(false);
    }
    // Up to the next one's identifier.
    let pad = i64::from(header.next) - i64::from(header.len) - i64::try_from(read).ok()?;
    f.skip(u64::try_from(pad).ok()?)?;
    Some(true)
}

impl Header {
    fn is_error(self) -> bool {
        use command::{CHANGE_NOTIFY, IOCTL, QUERY_INFO, READ, SESSION_SETUP};
        let command = self.command;
        match self.status {
            0 => false,
            status::BUFFER_OVERFLOW => ![IOCTL, QUERY_INFO, READ].contains(&command),
            status::INVALID_PARAMETER => command != IOCTL,
            status::MORE_PROCESSING_REQUIRED => command != SESSION_SETUP,
            status::NOTIFY_ENUM_DIR => command != CHANGE_NOTIFY,
            _ => true,
        }
    }

    /// Where an offset from the message's start is in its body.
    fn at(self, offset: u32) -> i64 {
        i64::from(offset) - i64::from(self.len)
    }
}

/// A file id, as Zeek tells files apart.
fn file(f: &mut Fields<'_>) -> Option<u64> {
    Some(f.le64()?.wrapping_add(f.le64()?))
}

/// Bytes at an offset of 16 bits from the message's start, of a length that stands behind it.
fn placed<'a>(f: &mut Fields<'a>, h: Header, offset: u16, len: u64) -> Option<&'a [u8]> {
    f.skip_to(h.at(offset.into()))?;
    f.take(len)
}

fn request(f: &mut Fields<'_>, h: Header, embedded: &mut Embedded, ctx: &mut Ctx<'_>) -> Option<()> {
    match h.command {
        command::NEGOTIATE => {
            f.skip(2)?;
            let dialects = f.le16()?;
            f.skip(32 + 2 * u64::from(dialects))
        }
        command::SESSION_SETUP => {
            f.skip(12)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            let token = placed(f, h, offset, len.into())?;
            embedded.token(true, token, ctx);
            Some(())
        }
        command::TREE_CONNECT => {
            f.skip(4)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            placed(f, h, offset, len.into()).map(drop)
        }
        command::TREE_DISCONNECT => {
            f.skip(4)?;
            embedded.unset_pipes(h.tree);
            Some(())
        }
        command::CREATE => {
            f.skip(44)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            let (contexts, contexts_len) = (f.le32()?, f.le32()?);
            let name = placed(f, h, offset, len.into())?;
            contexts_at(f, contexts)?;
            f.skip(contexts_len.into())?;
            if !h.is_pipe {
                embedded.open(h.tree, name, true);
            }
            Some(())
        }
        command::CLOSE => {
            f.skip(8)?;
            embedded.close(file(f)?);
            Some(())
        }
        command::FLUSH | command::OPLOCK_BREAK => f.skip(24),
        command::READ => {
            f.skip(16)?;
            let file = file(f)?;
            f.skip(12)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            placed(f, h, offset, len.into())?;
            embedded.read_of.insert(h.message, file);
            Some(())
        }
        command::WRITE => {
            f.skip(2)?;
            let (offset, len) = (f.le16()?, f.le32()?);
            f.skip(8)?;
            let file = file(f)?;
            f.skip(16)?;
            let data = placed(f, h, offset, len.into())?;
            if h.is_pipe {
                embedded.pipe(file, true, data, ctx);
            }
            Some(())
        }
        command::LOCK => {
            f.skip(2)?;
            let locks = f.le16()?;
            f.skip(20 + 20 * u64::from(locks))
        }
        command::IOCTL => {
            f.skip(4)?;
            let code = f.le32()?;
            let file = file(f)?;
            let (input, input_len) = (f.le32()?, f.le32()?);
            f.skip(4)?;
            let (output, output_len) = (f.le32()?, f.le32()?);
            f.skip(12)?;
            let [data, _] = buffers(f, h, [(input, input_len), (output, output_len)])?;
            if code == FSCTL_PIPE_TRANSCEIVE {
                embedded.pipe(file, true, data, ctx);
            }
            embedded.ioctl_of.insert(h.message, file);
            Some(())
        }
        command::CANCEL | command::ECHO => f.skip(4),
        command::QUERY_DIRECTORY => {
            f.skip(24)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            f.skip(4)?;
            placed(f, h, offset, len.into()).map(drop)
        }
        command::CHANGE_NOTIFY => f.skip(32),
        command::QUERY_INFO => {
            f.skip(8)?;
            let offset = f.le16()?;
            f.skip(2)?;
            let len = f.le32()?;
            f.skip(24)?;
            placed(f, h, offset, len.into()).map(drop)
        }
        command::SET_INFO => set_info(f, h),
        _ => Some(()),
    }
}

/// Where contexts begin; offsets before the header's end lead nowhere.
fn contexts_at(f: &mut Fields<'_>, offset: u32) -> Option<()> {
    match offset {
        0 => Some(()),
        _ => f.skip_to(i64::from(offset.wrapping_sub(HEADER_LEN as u32))),
    }
}

/// The two buffers of IOCTL. Zeek counts what is before them the wrong way round, so it has to be nothing.
fn buffers<'a>(f: &mut Fields<'a>, h: Header, at: [(u32, u32); 2]) -> Option<[&'a [u8]; 2]> {
    let mut found: [&[u8]; 2] = [&[]; 2];
    let [(input, _), _] = at;
    for (n, (offset, len)) in at.into_iter().enumerate() {
        if offset != 0 && (n == 0 || offset != input) {
            let here = i64::try_from(f.read()).ok()?;
            f.skip(u64::try_from(here - h.at(offset)).ok()?)?;
        }
        *found.get_mut(n)? = f.take(len)?;
    }
    Some(found)
}

fn set_info(f: &mut Fields<'_>, h: Header) -> Option<()> {
    f.skip(2)?;
    let (class, level) = (f.u8()?, f.u8()?);
    f.skip(4)?;
    let offset = f.le16()?;
    f.skip(22)?;
    placed(f, h, offset, 0)?;
    match (class, level) {
        (1, 0x04) => f.skip(36),
        (1, 0x0a | 0x0b) => {
            f.skip(16)?;
            let name = f.le32()?;
            f.skip(name.into())
        }
        (1, 0x0d) => f.skip(1),
        (1, 0x0e | 0x13 | 0x14 | 0x18 | 0x27) => f.skip(8),
        (1, 0x0f) => loop {
            let mut ea = f.ahead();
            let next = ea.le32()?;
            ea.skip(1)?;
            let (name, value) = (ea.u8()?, ea.le16()?);
            ea.skip(u64::from(name) + u64::from(value))?;
            ea.skip_to(next.into())?;
            f.skip(ea.read() as u64)?;
            if next == 0 {
                return Some(());
            }
        },
        (1, 0x10) => f.skip(4),
        (1, 0x28) => {
            let name = f.le32()?;
            f.skip(name.into())
        }
        (2, 0x06) => f.skip(48),
        (2, 0x08) => f.skip(64),
        _ => Some(()),
    }
}

fn response(f: &mut Fields<'_>, h: Header, embedded: &mut Embedded, ctx: &mut Ctx<'_>) -> Option<()> {
    match h.command {
        command::NEGOTIATE => {
            let token = negotiated(f, h)?;
            embedded.token(false, token, ctx);
            Some(())
        }
        command::SESSION_SETUP => {
            f.skip(4)?;
            let (offset, len) = (f.le16()?, f.le16()?);
            let token = placed(f, h, offset, len.into())?;
            embedded.token(false, token, ctx);
            Some(())
        }
        command::TREE_CONNECT => {
            f.skip(2)?;
            let is_pipe = f.u8()? == 2;
            f.skip(13)?;
            if is_pipe {
                embedded.set_pipes(h.tree);
            }
            Some(())
        }
        command::TREE_DISCONNECT | command::FLUSH | command::LOCK | command::ECHO => f.skip(4),
        command::CREATE => {
            f.skip(80)?;
            let (contexts, len) = (f.le32()?, f.le32()?);
            contexts_at(f, contexts)?;
            f.skip(len.into())
        }
        command::CLOSE => f.skip(60),
        command::READ => {
            f.skip(2)?;
            let offset = f.u8()?;
            f.skip(1)?;
            let len = f.le32()?;
            f.skip(8)?;
            let data = placed(f, h, offset.into(), len.into())?;
            let file = embedded.read_of.get(h.message);
            embedded.read_of.remove(h.message);
            if h.is_pipe {
                embedded.pipe(file, false, data, ctx);
            }
            Some(())
        }
        command::WRITE => f.skip(16),
        command::IOCTL => {
            f.skip(4)?;
            let code = f.le32()?;
            f.skip(16)?;
            let (input, input_len) = (f.le32()?, f.le32()?);
            let (output, output_len) = (f.le32()?, f.le32()?);
            f.skip(8)?;
            let [_, data] = buffers(f, h, [(input, input_len), (output, output_len)])?;
            let file = embedded.ioctl_of.get(h.message);
            embedded.ioctl_of.remove(h.message);
            if code == FSCTL_PIPE_TRANSCEIVE {
                embedded.pipe(file, false, data, ctx);
            }
            Some(())
        }
        command::QUERY_DIRECTORY | command::QUERY_INFO => {
            f.skip(2)?;
            let (offset, len) = (f.le16()?, f.le32()?);
            placed(f, h, offset, len.into()).map(drop)
        }
        command::CHANGE_NOTIFY => {
            f.skip(2)?;
            let (offset, len) = (f.le16()?, f.le32()?);
            let mut changes = Fields::new(placed(f, h, offset, len.into())?);
            while !changes.is_empty() {
                changes.skip(8)?;
                let name = changes.le32()?;
                changes.skip(name.into())?;
            }
            Some(())
        }
        command::SET_INFO => f.skip(2),
        command::OPLOCK_BREAK => f.skip(24),
        _ => Some(()),
    }
}

/// NEGOTIATE's answer (section 2.2.4): its token.
fn negotiated<'a>(f: &mut Fields<'a>, h: Header) -> Option<&'a [u8]> {
    f.skip(4)?;
    let (dialect, contexts) = (f.le16()?, f.le16()?);
    f.skip(50)?;
    let token_len = f.le16()?;
    let offset = f.le32()?;
    let token = f.take(token_len)?;
    if dialect == SMB_3_1_1 {
        f.skip_to(i64::from(offset.wrapping_sub(h.len.into())))?;
        for left in (0..contexts).rev() {
            let mut context = f.ahead();
            negotiated_context(&mut context)?;
            if left > 0 {
                context.align(8)?;
            }
            f.skip(context.read() as u64)?;
        }
    }
    Some(token)
}

/// A context of it (section 2.2.4.1).
fn negotiated_context(f: &mut Fields<'_>) -> Option<()> {
    let (kind, len) = (f.le16()?, f.le16()?);
    f.skip(4)?;
    match kind {
        1 => {
            let (hashes, salt) = (f.le16()?, f.le16()?);
            f.skip(2 * u64::from(hashes) + u64::from(salt))
        }
        2 => {
            let ciphers = f.le16()?;
            f.skip(2 * u64::from(ciphers))
        }
        3 => {
            let algorithms = f.le16()?;
            f.skip(6 + 2 * u64::from(algorithms))
        }
        _ => f.skip(len.into()),
    }
}

/// Whether the rest of a message that begins so is the content of a file.
pub fn is_content(begun: &[u8], is_orig: bool, embedded: &Embedded) -> bool {
    let mut f = Fields::new(begun);
    let Some(h) = f.skip(8).and_then(|()| header(&mut f, is_orig, embedded)) else {
        return false;
    };
    let is_content = match is_orig {
        true => h.command == command::WRITE,
        false => h.command == command::READ && h.status == 0,
    };
    is_content && h.next == 0 && !h.is_pipe
}
