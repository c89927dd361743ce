//! SMB 1 to 3 (MS-CIFS, MS-SMB, MS-SMB2), over TCP and in NetBIOS' sessions: sure when three pieces of a stream were read. Its
//! tokens of authentication are GSS-API's or NTLM's, its pipes DCE/RPC.

mod embedded;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use super::framer::Framer;
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;
use embedded::Embedded;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Smb;

/// Bytes kept of a message; of longer ones the body is not read.
const MAX_MESSAGE: usize = 72 * 1024;
/// Pieces of a stream after which it is SMB.
const SURE_AFTER: u8 = 3;
/// Bytes read of a connection after which nothing is looked for any more. Contents of files do not count.
const MAX_READ: u64 = 256 * 1024;
/// Bytes at the beginning of which neither side has had a message.
const MAX_LOST: u64 = 64 * 1024;
/// Bytes of a message behind which its content is passed over: NetBIOS' header, SMB's, and the fields of READ or WRITE.
const CONTENT_FROM: usize = 4 + 64 + 48;
/// Content shorter than that is as cheap to read.
const MIN_CONTENT: u64 = 2048;

/// Protocol identifiers (MS-CIFS, section 2.2.3.1; MS-SMB2, sections 2.2.1 and 2.2.41).
const SMB1: u32 = 0xff53_4d42;
const SMB2: u32 = 0xfe53_4d42;
const ENCRYPTED: u32 = 0xfd53_4d42;

/// One connection's state.
#[derive(Debug)]
pub struct Smb {
    /// By direction, orig first.
    framers: [Framer; 2],
    embedded: Embedded,
    /// Nothing is read before a piece that begins with a message.
    in_step: bool,
    /// Pieces that were read, up to those that make it sure.
    pieces: u8,
    /// Bytes read.
    read: u64,
}

impl Protocol for Smb {
    const SPEC: Spec = Spec {
        tcp_ports: &[139, 445],
        rules: &[Rule::Orig(first_bytes), Rule::Resp(first_bytes)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SMB", "smb"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Smb {
        Smb {
            framers: [const { Framer::new(MAX_MESSAGE) }; 2],
            embedded: Embedded::new(),
            in_step: false,
            pieces: 0,
            read: 0,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        // What is given anew ends with nothing, which is no piece.
        if bytes.is_empty() {
            return Next::More;
        }
        self.read += bytes.len() as u64;
        let begins = |id| bytes.get(4..8) == Some(&u32::to_be_bytes(id));
        self.in_step |= begins(SMB1) || begins(SMB2);
        if !self.in_step {
            return Next::More;
        }
        let dir = usize::from(!is_orig);
        let mut framer = std::mem::replace(&mut self.framers[dir], Framer::new(MAX_MESSAGE));
        let mut read = Some(());
        while let Some(message) = framer.next(&mut bytes, len) {
            if !message.is_cut {
                read = self.message(is_orig, message.bytes, ctx);
            }
            if read.is_none() {
                break;
            }
        }
        if read.is_none() {
            ctx.violation("no SMB message");
            self.out_of_step();
            return Next::More;
        }
        self.pass_over(is_orig, &mut framer, ctx);
        self.framers[dir] = framer;
        self.pieces = self.pieces.saturating_add(1);
        if self.pieces == SURE_AFTER {
            ctx.confirm();
        }
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.out_of_step();
        Next::More
    }

    fn unseen(&mut self, is_orig: bool, len: u64, _: &mut Ctx<'_>) -> Next {
        self.framers[usize::from(!is_orig)].came(len);
        Next::More
    }

    fn flip(&mut self) {
        self.framers.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        let most = if self.in_step || seen.confirmed {
            MAX_READ
        } else {
            MAX_LOST
        };
        let is_over = self.read > most || (seen.is_late() && self.embedded.is_complete());
        match self.framers[usize::from(!is_orig)].unwanted() {
            _ if is_over => Interest::Nothing,
            0 => Interest::Everything,
            n if seen.confirmed => Interest::Skip(n),
            _ => Interest::Everything,
        }
    }
}

impl Smb {
    fn out_of_step(&mut self) {
        self.in_step = false;
        self.framers.iter_mut().for_each(Framer::clear);
    }

    /// A message in NetBIOS' frame. `None`: it is broken.
    fn message(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        let mut f = Fields::new(bytes);
        let head = f.be32()?;
        // Other kinds than session messages are passed over.
        if head >> 24 != 0 {
            return Some(());
        }
        while !f.is_empty() {
            let goes_on = match f.be32()? {
                SMB1 => {
                    v1::read(&mut f, head & 0x00ff_ffff, is_orig, &mut self.embedded, ctx)?;
                    false
                }
                SMB2 => v2::read(&mut f, is_orig, &mut self.embedded, ctx)?,
                ENCRYPTED => {
                    f.skip(48)?;
                    false
                }
                _ => false,
            };
            if !goes_on {
                break;
            }
        }
        Some(())
    }

    /// Nobody wants the rest of the message under way if it is the content of a file, or encrypted.
    fn pass_over(&self, is_orig: bool, framer: &mut Framer, ctx: &Ctx<'_>) {
        let begun = framer.begun();
        let missing = len(begun).saturating_sub(begun.len() as u64);
        if !ctx.is_confirmed() || framer.unwanted() > 0 || begun.len() < CONTENT_FROM || missing < MIN_CONTENT
        {
            return;
        }
        let mut f = Fields::new(begun);
        let is_useless = match f.skip(4).and_then(|()| f.be32()) {
            Some(SMB2) => v2::is_content(begun, is_orig, &self.embedded),
            Some(ENCRYPTED) => true,
            _ => false,
        };
        if is_useless {
            framer.pass_over(missing);
        }
    }
}

/// How long the message is that begins so; 0 if that is not known yet.
fn len(begun: &[u8]) -> u64 {
    Fields::new(begun)
        .be32()
        .map_or(0, |head| u64::from(head & 0x00ff_ffff) + 4)
}

/// NetBIOS' header and SMB's identifier, of either side.
fn first_bytes(b: &[u8]) -> Match {
    let expected = |at: usize, byte: u8| match at {
        0..4 => byte != b'\n',
        4 => matches!(byte, 0xfe | 0xff),
        5 => byte == b'S',
        6 => byte == b'M',
        _ => byte == b'B',
    };
    match b.iter().take(8).enumerate().all(|(at, byte)| expected(at, *byte)) {
        false => Match::No,
        true if b.len() < 8 => Match::More,
        true => Match::Yes,
    }
}
