//! Who listens to a connection's streams: one list, which decides both what is delivered to whom and what the datapath
//! may keep.

use super::config::ContentsOf;
use super::entry::Tcp;
use super::shared::{Run, raise};
use super::sink::{Piece, Sink};
use crate::analyzer::api::Interest;
use crate::event;

/// A listener.
#[derive(Clone, Copy, Debug)]
enum Tap {
    /// tcp_contents, for who asked for a stream's bytes as events.
    Contents,
    /// What is kept until it is acknowledged, to be compared with retransmissions.
    Kept,
    /// Files of streams' contents.
    Files,
    /// Signatures, which may put analyzers on the connection. They are given datagrams before the analyzers are.
    Signatures,
    /// The analyzers.
    Analyzers,
    /// What a UDP connection carries, if it is a tunnel. It is given datagrams before all others.
    Tunnel,
}

/// All of them, in the order in which they are told.
const TAPS: [Tap; 6] = [
    Tap::Contents,
    Tap::Kept,
    Tap::Files,
    Tap::Signatures,
    Tap::Analyzers,
    Tap::Tunnel,
];

/// What there is to be told of a TCP direction.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// The next bytes, which begin at `seq` (relative: the first payload byte is 1).
    Bytes { seq: u64, bytes: &'a [u8] },
    /// So many bytes came that are not at hand: the datapath kept them, or the capture cut them off.
    Unseen(u64),
    /// So many bytes never came.
    Gap(u64),
    /// It is over, and all of it was told.
    End,
}

impl<S: Sink> Run<'_, S> {
    /// Tells all listeners. `s` is the sender's side.
    pub fn tell(&mut self, tcp: &mut Tcp, s: usize, heard: Heard<'_>) {
        for tap in TAPS {
            self.tell_one(tap, tcp, s, heard);
        }
    }

    #[inline]
    fn tell_one(&mut self, tap: Tap, tcp: &mut Tcp, s: usize, heard: Heard<'_>) {
        let is_orig = s == 0;
        match (tap, heard) {
            (Tap::Contents, Heard::Bytes { seq, bytes }) => {
                if self.sh.cfg.contents.wants(is_orig, self.conn.resp_port()) {
                    raise!(self, TcpContents, is_orig: is_orig, seq: seq, contents: bytes);
                }
            }
            (Tap::Kept, Heard::Bytes { seq, bytes }) => self.keep(s, seq, bytes),
            (Tap::Files, Heard::Bytes { bytes, .. }) => self.write_file(is_orig, Piece::Data(bytes)),
            (Tap::Files, Heard::Unseen(len) | Heard::Gap(len)) => {
                self.write_file(is_orig, Piece::Missing(len));
            }
            (Tap::Signatures, Heard::Bytes { bytes, .. }) => self.signatures_stream(tcp, is_orig, bytes),
            (Tap::Analyzers, Heard::Bytes { seq, bytes }) => self.app_stream(tcp, is_orig, seq, bytes),
            (Tap::Analyzers, Heard::Unseen(len)) => self.app_unseen(is_orig, len),
            (Tap::Analyzers, Heard::Gap(len)) => self.app_gap(is_orig, len),
            (Tap::Analyzers, Heard::End) => self.app_eof(is_orig),
            // Files end with the connection, with what still waits for holes.
            (Tap::Files, Heard::End) | (Tap::Contents | Tap::Kept | Tap::Signatures | Tap::Tunnel, _) => {}
        }
    }

    /// What all listeners together want of a direction.
    pub fn interest(&self, is_orig: bool) -> Interest {
        let of_each = TAPS.into_iter().map(|tap| self.interest_of(tap, is_orig));
        of_each.fold(Interest::Nothing, Interest::and)
    }

    #[inline]
    fn interest_of(&self, tap: Tap, is_orig: bool) -> Interest {
        let wants = match tap {
            Tap::Contents => self.sh.cfg.contents.wants(is_orig, self.conn.resp_port()),
            Tap::Kept => self.sh.subs.wants(event::RexmitInconsistency::KIND),
            Tap::Files => self.wants_file(is_orig),
            Tap::Signatures => self.signatures_want(is_orig),
            Tap::Tunnel => self.is_tunnel(),
            Tap::Analyzers => return self.app_interest(is_orig),
        };
        match wants {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }

    /// Whether a direction has a contents file.
    fn wants_file(&self, is_orig: bool) -> bool {
        match self.sh.cfg.contents_files {
            ContentsOf::None => false,
            ContentsOf::All => true,
            ContentsOf::Request => {
                let bit = if is_orig { 1 } else { 2 };
                self.conn.extra.as_ref().is_some_and(|e| e.contents & bit != 0)
            }
        }
    }

    /// Adds to a direction's contents file.
    pub fn write_file(&mut self, is_orig: bool, piece: Piece<'_>) {
        if !self.wants_file(is_orig) {
            return;
        }
        let id = self.id();
        if let Some(reason) = self.sh.outlet.sink.contents(&id, is_orig, piece) {
            raise!(self, ContentsFileWriteFailure, is_orig: is_orig, msg: &reason);
        }
    }
}
