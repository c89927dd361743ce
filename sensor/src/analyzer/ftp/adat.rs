//! TLS handshakes in AUTH GSSAPI's security data (RFC 2228): GSI, as GridFTP uses it, carries them in base64 in ADAT and in
//! the replies to it.

use super::nvt::Line;
use crate::analyzer::api::{Closing, Ctx};
use crate::analyzer::http::body::base64;
use crate::analyzer::inner::Inner;
use crate::analyzer::lines::{reply_code, skip_blank, word};
use crate::analyzer::tls;

/// Content type of TLS's handshake records, the length of their header, and where in it their length stands.
const HANDSHAKE: u8 = 22;
const HEADER: usize = 5;

/// An exchange.
#[derive(Debug)]
pub struct Adat {
    tls: Inner<tls::Analyzer>,
    /// The client has sent its first token.
    has_begun: bool,
    is_over: bool,
}

impl Adat {
    pub fn new(shared: &tls::SharedTls) -> Adat {
        Adat {
            tls: Inner::new(tls::Analyzer::with(shared)),
            has_begun: false,
            is_over: false,
        }
    }

    /// It says no more.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The handshake is over.
    pub fn is_established(&self) -> bool {
        self.tls.analyzer().is_established()
    }

    pub fn is_settled(&self) -> bool {
        self.tls.is_settled()
    }

    pub fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        self.tls.close(how, ctx);
    }

    pub fn flip(&mut self) {
        self.tls.flip();
    }

    /// A command or a line of a reply.
    pub fn line(&mut self, is_orig: bool, line: &Line<'_>, ctx: &mut Ctx<'_>) {
        if self.is_over {
            return;
        }
        let token = if is_orig {
            self.command(line.bytes, ctx)
        } else {
            self.reply(line.bytes, ctx)
        };
        // A part of base64 is none.
        if let Some(token) = token.filter(|_| line.len == line.bytes.len()) {
            self.tls.data(is_orig, &token, ctx);
        }
    }

    fn command(&mut self, line: &[u8], ctx: &mut Ctx<'_>) -> Option<Vec<u8>> {
        let (command, arg) = word(skip_blank(line));
        if b"AUTH".starts_with(command) {
            // It begins anew.
            self.is_over = true;
        }
        if !b"ADAT".starts_with(command) {
            return None;
        }
        let token = decoded(arg, ctx);
        if std::mem::replace(&mut self.has_begun, true) {
            return token;
        }
        if token.is_none() {
            let weird = "ftp_adat_bad_first_token_encoding";
            ctx.out.weird_from(weird, "", "FTP_ADAT");
        }
        // GSI leaves out what GSS-API would begin with (RFC 2743, section 3.1).
        let token = token.filter(|token| begins_handshake(token));
        self.is_over |= token.is_none();
        token
    }

    fn reply(&mut self, line: &[u8], ctx: &mut Ctx<'_>) -> Option<Vec<u8>> {
        let code = reply_code(line).unwrap_or(0);
        // The exchange is over, or the server wants no such thing; or it is over already, as it sends protected replies.
        self.is_over |= matches!(
            code,
            232 | 234 | 235 | 421 | 431 | 500 | 501 | 503 | 535 | 631 | 632 | 633
        );
        if !matches!(code, 235 | 334 | 335) {
            return None;
        }
        let text = line.get(3..)?;
        let text = skip_blank(text.strip_prefix(b"-").unwrap_or(text));
        decoded(text.strip_prefix(b"ADAT=")?, ctx)
    }
}

fn decoded(text: &[u8], ctx: &mut Ctx<'_>) -> Option<Vec<u8>> {
    base64(text, &mut |odd| ctx.out.weird("base64_illegal_encoding", odd))
}

/// Whether a token is one record of a TLS handshake.
fn begins_handshake(token: &[u8]) -> bool {
    match token {
        [HANDSHAKE, _, _, hi, lo, ..] => token.len() - HEADER == usize::from(u16::from_be_bytes([*hi, *lo])),
        _ => false,
    }
}
