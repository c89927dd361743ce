//! An analyzer inside another one, which gives it what it carries: TLS in QUIC's CRYPTO frames, NTLM in SMB.
//!
//! It has a standing of its own: it is confirmed, fails and is a service of the connection by itself. Who owns it asks it what
//! it still wants, and closes it.

use super::api::{Closing, Ctx, Interest, Listed, Next, Seen, Standing};

/// An analyzer that another one owns.
#[derive(Debug)]
pub struct Inner<P> {
    analyzer: P,
    standing: Standing,
    /// It reads no more.
    done: bool,
}

impl<P: Listed> Inner<P> {
    /// Before its first byte.
    pub const fn new(analyzer: P) -> Inner<P> {
        Inner {
            analyzer,
            standing: Standing {
                confirmed: false,
                failed: None,
            },
            done: false,
        }
    }

    /// What it is.
    pub fn analyzer(&self) -> &P {
        &self.analyzer
    }

    /// Gives it something to read, in whichever way, unless it is done or has failed in an earlier packet.
    pub fn read(&mut self, ctx: &mut Ctx<'_>, work: impl FnOnce(&mut P, &mut Ctx<'_>) -> Next) -> Next {
        self.done |= self.standing.failed.is_some_and(|at| at != ctx.ts) && !P::SPEC.stays;
        if self.done {
            return Next::Stop;
        }
        let next = work(&mut self.analyzer, &mut ctx.inside::<P>(&mut self.standing));
        self.done = next != Next::More;
        next
    }

    /// Bytes of a direction, in order.
    pub fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.read(ctx, |a, ctx| a.data(is_orig, bytes, ctx))
    }

    /// One message where messages have bounds of their own.
    pub fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.read(ctx, |a, ctx| a.datagram(is_orig, bytes, ctx))
    }

    /// `len` bytes of a direction are missing here.
    pub fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.read(ctx, |a, ctx| a.gap(is_orig, len, ctx))
    }

    /// The connection is over.
    pub fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        let how = Closing {
            reads: how.reads && !self.done,
            ..how
        };
        self.analyzer.close(how, &mut ctx.inside::<P>(&mut self.standing));
    }

    /// Originator and responder change places.
    pub fn flip(&mut self) {
        self.analyzer.flip();
    }

    /// How much of a direction it still needs. `bytes`: payload bytes of the connection so far.
    pub fn interest(&self, is_orig: bool, bytes: u64) -> Interest {
        if self.done || self.standing.failed.is_some() {
            return Interest::Nothing;
        }
        let confirmed = self.standing.confirmed;
        self.analyzer.interest(is_orig, Seen { bytes, confirmed })
    }

    /// It is sure of its protocol.
    pub fn is_confirmed(&self) -> bool {
        self.standing.confirmed
    }

    /// Whether closing it changes nothing.
    pub fn is_settled(&self) -> bool {
        self.analyzer.is_settled()
    }
}
