//! The mails of a connection: the one that is being sent, after DATA as lines, after BDAT in chunks.

use super::chunk::{Chunk, Chunks};
use super::mail::{Line, Mail};
use super::work::Work;

/// See the module.
#[derive(Debug, Default)]
pub struct Mails {
    mail: Option<Box<Mail>>,
    /// It comes in chunks.
    chunks: Option<Box<Chunks>>,
    /// Entities of the mails before it.
    entities: u64,
}

impl Mails {
    /// Whether none is being sent.
    pub fn is_idle(&self) -> bool {
        self.mail.is_none()
    }

    /// Whether one is being sent in chunks.
    pub fn in_chunks(&self) -> bool {
        self.chunks.is_some()
    }

    /// Whether what comes next is of a body.
    pub fn is_in_body(&self) -> bool {
        self.mail.as_ref().is_some_and(|m| m.is_in_body())
    }

    /// A mail begins. One that has not ended ends.
    pub fn begin(&mut self, w: &mut Work<'_, '_>) {
        if !self.is_idle() {
            w.ctx.out.weird("smtp_nested_mail_transaction", "");
            self.end(w);
        }
        self.mail = Some(Box::new(Mail::new(self.entities, w)));
    }

    /// A BDAT command: how many bytes of a mail follow, if it is one.
    pub fn announce(&mut self, argument: &[u8], w: &mut Work<'_, '_>) -> Option<u64> {
        let chunk = match Chunk::of(argument) {
            Ok(chunk) if i64::try_from(chunk.len).is_ok() => chunk,
            Ok(chunk) => {
                w.ctx.out.weird("smtp_huge_bdat_chunk", &chunk.len.to_string());
                return None;
            }
            Err(what) => {
                w.ctx.out.weird("smtp_invalid_bdat_command", what);
                return None;
            }
        };
        match &mut self.chunks {
            Some(chunks) => chunks.announce(chunk),
            None => {
                self.begin(w);
                self.chunks = Some(Box::new(Chunks::new(chunk)));
            }
        }
        Some(chunk.len)
    }

    /// Bytes of a chunk; nothing if a line comes instead. Whether they were the last of the mail.
    pub fn chunk(&mut self, bytes: &[u8], w: &mut Work<'_, '_>) -> bool {
        let (Some(chunks), Some(mail)) = (&mut self.chunks, &mut self.mail) else {
            return false;
        };
        if !bytes.is_empty() {
            chunks.push(bytes, w, &mut |line, w| mail.line(line, w));
        }
        chunks.is_over()
    }

    /// A line behind DATA.
    pub fn line(&mut self, line: Line<'_>, w: &mut Work<'_, '_>) {
        if let Some(mail) = &mut self.mail {
            mail.line(line, w);
        }
    }

    /// So many bytes never came, of the mail or of what the server says to it. The mail is not read on.
    pub fn lost(&mut self, len: u64, w: &mut Work<'_, '_>) {
        if let Some(mail) = &mut self.mail {
            mail.lost(len, w);
        }
        self.end(w);
    }

    /// A command that is not BDAT, while chunks should follow.
    pub fn break_off(&mut self, w: &mut Work<'_, '_>) {
        if self.in_chunks() {
            w.ctx.out.weird("smtp_missing_bdat_last_chunk", "");
            self.end(w);
        }
    }

    /// The mail is over, if there is one.
    pub fn end(&mut self, w: &mut Work<'_, '_>) {
        let Some(mut mail) = self.mail.take() else { return };
        if let Some(mut chunks) = self.chunks.take() {
            if chunks.is_short() {
                w.ctx.out.weird("smtp_bdat_remaining_at_end_data", "");
            }
            chunks.finish(w, &mut |line, w| mail.line(line, w));
        }
        mail.end(w);
        self.entities = mail.count();
    }
}
