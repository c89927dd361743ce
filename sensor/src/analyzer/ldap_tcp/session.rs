//! A conversation in LDAP: what its messages are wrapped in, and the authentication in them.

use super::message::{self, Says};
use crate::analyzer::api::Ctx;
use crate::analyzer::fields::Fields;

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the clear.
    Clear,
    /// In SASL's layer, or in the clear: the next one tells.
    Maybe,
    /// In SASL's layer, which only its length is known of.
    Wrapped,
    /// In SASL's layer, in tokens of Kerberos.
    Kerberos,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next one.
    More,
    /// TLS.
    Tls,
}

/// A conversation's state.
#[derive(Debug)]
pub struct Session {
    mode: Mode,
    /// The last of SASL's mechanisms, as far as it matters; `None`: the client named none.
    mechanism: Option<Mechanism>,
    asks_tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Spnego,
    /// Another one that begins with GSS, as GSSAPI does.
    Gss,
    Other,
}

impl Default for Session {
    /// Before the first message.
    fn default() -> Session {
        Session {
            mode: Mode::Clear,
            mechanism: None,
            asks_tls: false,
        }
    }
}

impl Session {
    /// How the next message comes, whose first bytes are these; nothing is known yet of `Maybe`.
    pub fn mode(&self, begun: &[u8]) -> Mode {
        match (self.mode, begun.first()) {
            (Mode::Maybe, Some(0x30)) => Mode::Clear,
            (Mode::Maybe, Some(_)) => {
                let is_gss = self.mechanism != Some(Mechanism::Other);
                match begun.get(4..6) {
                    _ if !is_gss => Mode::Wrapped,
                    Some([5, 4]) => Mode::Kerberos,
                    Some(_) => Mode::Wrapped,
                    None => Mode::Maybe,
                }
            }
            (mode, _) => mode,
        }
    }

    /// How long the message is that begins so; 0 if that is not known yet.
    pub fn len(&self, begun: &[u8]) -> u64 {
        match self.mode(begun) {
            Mode::Clear => message::len(begun),
            Mode::Maybe => 0,
            Mode::Wrapped | Mode::Kerberos => Fields::new(begun).be32().map_or(0, |n| u64::from(n) + 4),
        }
    }

    /// Reads a message. `None`: it is none.
    pub fn read(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Then> {
        self.mode = self.mode(bytes);
        match self.mode {
            Mode::Clear => self.message(bytes, ctx),
            Mode::Maybe | Mode::Wrapped => Some(Then::More),
            Mode::Kerberos => self.wrapped(bytes, ctx),
        }
    }

    /// A message that is not kept to its end.
    pub fn cut(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Then> {
        self.mode = self.mode(bytes);
        if self.mode == Mode::Clear {
            if bytes.first() != Some(&0x30) {
                return None;
            }
            ctx.confirm();
        }
        Some(Then::More)
    }

    fn message(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Then> {
        let says = message::read(bytes)?;
        let mut then = Then::More;
        match says {
            Says::Bind {
                mechanism: Some(name),
            } => {
                self.mechanism = Some(match name {
                    b"GSS-SPNEGO" => Mechanism::Spnego,
                    name if name.starts_with(b"GSS") => Mechanism::Gss,
                    _ => Mechanism::Other,
                });
            }
            Says::Bound { success, token } => {
                if success && self.mechanism.is_some() {
                    self.mode = Mode::Maybe;
                }
                if let Some(token) = token.filter(|_| self.mechanism == Some(Mechanism::Spnego))
                    && message::spnego_ends(token)?
                {
                    self.mode = Mode::Kerberos;
                }
            }
            Says::AsksTls => self.asks_tls = true,
            Says::Done if self.asks_tls => then = Then::Tls,
            Says::Bind { mechanism: None } | Says::Done | Says::Other => {}
        }
        ctx.confirm();
        Some(then)
    }

    /// Messages in a wrap token of Kerberos (RFC 4121, section 4.2.6.2), if it is not sealed.
    fn wrapped(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Then> {
        let mut f = Fields::new(bytes);
        f.be32()?;
        if f.be16()? != 0x0504 {
            return Some(Then::More);
        }
        let is_sealed = f.u8()? & 2 != 0;
        if f.u8()? != 0xff {
            return None;
        }
        let (extra, rotated) = (f.be16()?, f.be16()?);
        f.skip(8)?;
        let trailer = match rotated {
            n if n == extra => {
                f.skip(extra.into())?;
                0
            }
            0 => extra,
            _ if is_sealed => 0,
            _ => return None,
        };
        if is_sealed {
            return Some(Then::More);
        }
        let len = f.len().checked_sub(trailer.into())?;
        let mut inside = f.take(len as u64)?;
        while !inside.is_empty() {
            let len = usize::try_from(message::len(inside)).ok().filter(|n| *n > 0)?;
            let (message, rest) = inside.split_at_checked(len)?;
            if self.message(message, ctx)? == Then::Tls {
                return Some(Then::Tls);
            }
            inside = rest;
        }
        Some(Then::More)
    }
}
