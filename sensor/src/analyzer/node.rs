//! An analyzer at work on a connection, and what became of it.

use super::api::{Around, Call, Closing, Ctx, Interest, Next, ReadsMarks, Seen, Services, Standing, Start};
use super::{Analyzer, Id, WorkerShared};
use crate::event::Ts;
use crate::profile::place::enter_analyzer;

/// One analyzer on a connection.
#[derive(Debug)]
pub struct Node {
    pub id: Id,
    analyzer: Analyzer,
    standing: Standing,
    /// It reads no more.
    pub done: bool,
    /// It was given bytes.
    pub fed: bool,
}

/// What of the connection a node may change, and what it is told of it.
pub struct NodeConn<'t> {
    pub services: &'t mut Services,
    pub turned: &'t mut bool,
    /// The connection is incomplete: violations mean nothing.
    pub incomplete: bool,
    /// Payload bytes of both directions.
    pub bytes: u64,
}

impl Node {
    pub fn new(id: Id, start: &Start, shared: &WorkerShared) -> Node {
        Node {
            id,
            analyzer: Analyzer::new(id, start, shared),
            standing: Standing::default(),
            done: false,
            fed: false,
        }
    }

    fn with<R>(
        &mut self,
        conn: NodeConn<'_>,
        call: &mut Call<'_>,
        work: impl FnOnce(&mut Analyzer, &mut Ctx<'_>) -> R,
    ) -> R {
        let _inside = enter_analyzer(self.id.number());
        let around = Around {
            late: seen(conn.bytes, &self.standing).is_late(),
            mute: conn.incomplete,
            services: conn.services,
            turned: conn.turned,
        };
        let mut ctx = call.of(self.id.spec(), self.id.number(), &mut self.standing, around);
        work(&mut self.analyzer, &mut ctx)
    }

    /// Gives it something to read, unless it is done.
    fn read(
        &mut self,
        conn: NodeConn<'_>,
        call: &mut Call<'_>,
        work: impl FnOnce(&mut Analyzer, &mut Ctx<'_>) -> Next,
    ) -> Next {
        if self.done {
            return Next::Stop;
        }
        let next = self.with(conn, call, work);
        self.done = next != Next::More;
        next
    }

    /// Bytes of a TCP direction.
    pub fn data(&mut self, is_orig: bool, bytes: &[u8], conn: NodeConn<'_>, call: &mut Call<'_>) -> Next {
        self.fed |= !self.done && !bytes.is_empty();
        self.read(conn, call, |a, ctx| a.data(is_orig, bytes, ctx))
    }

    /// One datagram's payload.
    pub fn datagram(&mut self, is_orig: bool, bytes: &[u8], conn: NodeConn<'_>, call: &mut Call<'_>) {
        self.fed |= !self.done;
        self.read(conn, call, |a, ctx| a.datagram(is_orig, bytes, ctx));
    }

    /// Bytes are missing.
    pub fn gap(&mut self, is_orig: bool, len: u64, conn: NodeConn<'_>, call: &mut Call<'_>) {
        let next = self.with(conn, call, |a, ctx| a.gap(is_orig, len, ctx));
        self.done |= next != Next::More;
    }

    /// Bytes came that are not at hand. It had said that it needs none of them, or they are missing to it.
    pub fn unseen(&mut self, is_orig: bool, len: u64, conn: NodeConn<'_>, call: &mut Call<'_>) {
        let before = conn.bytes.saturating_sub(len);
        match self.interest(is_orig, before) {
            Interest::Skip(n) if n >= len => {
                self.read(conn, call, |a, ctx| a.unseen(is_orig, len, ctx));
            }
            _ => self.gap(is_orig, len, conn, call),
        }
    }

    /// Some bytes came of those that it needs none of, if there are such.
    pub fn coming(&mut self, is_orig: bool, conn: NodeConn<'_>, call: &mut Call<'_>) {
        if matches!(self.interest(is_orig, conn.bytes), Interest::Skip(_)) {
            self.with(conn, call, |a, ctx| a.coming(is_orig, ctx));
        }
    }

    /// A direction ended.
    pub fn eof(&mut self, is_orig: bool, conn: NodeConn<'_>, call: &mut Call<'_>) {
        self.read(conn, call, |a, ctx| a.eof(is_orig, ctx));
    }

    /// The connection is over; `ended`: a direction was delivered to its end.
    pub fn close(&mut self, ended: bool, conn: NodeConn<'_>, call: &mut Call<'_>) {
        let how = Closing {
            ended,
            reads: !self.done,
        };
        self.with(conn, call, |a, ctx| a.close(how, ctx));
    }

    /// It begins inside what `outer` has read.
    pub fn inherit(&mut self, outer: &mut Node) {
        self.analyzer.inherit(&mut outer.analyzer);
    }

    pub fn flip(&mut self) {
        self.analyzer.flip();
    }

    /// What could still change anything, given that so many bytes came.
    pub fn interest(&self, is_orig: bool, bytes: u64) -> Interest {
        if self.done || self.standing.failed.is_some() {
            return Interest::Nothing;
        }
        self.analyzer.interest(is_orig, seen(bytes, &self.standing))
    }

    pub fn is_settled(&self) -> bool {
        self.analyzer.is_settled()
    }

    pub fn start_unseen(&mut self) {
        self.analyzer.start_unseen();
    }

    /// It never was this protocol, and nothing will come of it.
    pub fn has_failed(&self) -> bool {
        let nothing = |is_orig| self.interest(is_orig, 0) == Interest::Nothing;
        !self.standing.confirmed && nothing(true) && nothing(false) && self.is_settled()
    }

    /// Whether it was given up before the packet of `last`: Zeek takes an analyzer off when the packet after the one
    /// that it failed in comes, and its timers with it.
    pub fn was_off(&self, last: Ts) -> bool {
        self.standing.failed.is_some_and(|at| at < last)
    }

    /// Whether it failed and was taken off.
    pub fn is_off(&self) -> bool {
        self.done && self.standing.failed.is_some()
    }

    /// Takes it off if it failed in an earlier packet than that of `now`. True: it may be dropped.
    pub fn take_off(&mut self, now: Ts) -> bool {
        let over = self.standing.failed.is_some_and(|at| at != now);
        self.done |= over;
        over && !self.id.spec().stays
    }

    /// Lets the part work that reads marks, if there is one.
    pub fn mark(
        &mut self,
        conn: NodeConn<'_>,
        call: &mut Call<'_>,
        work: impl FnOnce(&mut dyn ReadsMarks, &mut Ctx<'_>),
    ) {
        self.fed = true;
        self.with(conn, call, |a, ctx| {
            if let Some(marks) = a.marks_mut() {
                work(marks, ctx);
            }
        });
    }

    /// See [`ReadsMarks::to_header`].
    pub fn to_header(&self, is_orig: bool) -> Option<u64> {
        self.analyzer.marks()?.to_header(is_orig)
    }
}

fn seen(bytes: u64, standing: &Standing) -> Seen {
    Seen {
        bytes,
        confirmed: standing.confirmed,
    }
}
