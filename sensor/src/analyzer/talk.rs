//! Conversations for the tests of protocols: who says what to which port, and what becomes of it.

use std::net::IpAddr;

use super::WorkerShared;
use super::api::{Call, Inside, Out, Spec};
use super::tree::Tree;
use crate::event::log::LogRow;
use crate::event::{AnalyzerTag, ConnId, Event, Subscriptions, Ts};

/// Who speaks (`true` the originator) and what.
pub type Said<'a> = [(bool, &'a [u8])];

/// What a conversation was told to be.
#[derive(Debug, Default)]
pub struct Talk {
    /// conn.log's `service`.
    pub services: String,
    /// Confirmations (`+`), violations (`-`) and weirds (`?`).
    pub said: Vec<String>,
    /// Connections that it announced.
    pub announced: Vec<String>,
}

impl Out for Talk {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, _: &dyn LogRow) {}
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.said.push(format!("+{}", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.said.push(format!("-{}: {reason}", spec.tag.service()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.said.push(format!("? {name} {addl}").trim_end().to_owned());
    }
    fn gave_up(&mut self) {}
    fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag) {
        self.announced
            .push(format!("{orig} > {resp}:{port} {}", tag.as_str()));
    }
}

fn tree(is_tcp: bool, port: u16, said: &Said<'_>, size: usize, ended: bool) -> (Tree, Talk) {
    let (shared, subs, c) = (WorkerShared::default(), Subscriptions::NONE, ConnId::sample(port));
    let mut tree = Tree::new(is_tcp, 40_000, port, &shared);
    let mut talk = Talk::default();
    let mut ts = 0;
    for (is_orig, bytes) in said {
        let size = if is_tcp { size } else { usize::MAX };
        for piece in bytes.chunks(size) {
            ts += 1;
            let mut call = Call {
                ts,
                c: &c,
                subs: &subs,
                out: &mut talk,
            };
            match is_tcp {
                true => tree.stream(*is_orig, piece, &shared, &mut call),
                false => tree.datagram(*is_orig, piece, &shared, &mut call),
            }
        }
    }
    let mut call = Call {
        ts: ts + 1,
        c: &c,
        subs: &subs,
        out: &mut talk,
    };
    if ended {
        tree.eof(true, &mut call);
        tree.eof(false, &mut call);
    }
    tree.close(&mut call);
    talk.services = tree.services().collect::<Vec<_>>().join(",");
    (tree, talk)
}

/// Of a TCP connection on which each piece is a segment.
pub fn tcp(port: u16, said: &Said<'_>) -> Talk {
    tree(true, port, said, usize::MAX, false).1
}

/// The same in segments of that size.
pub fn tcp_pieces(port: u16, said: &Said<'_>, size: usize) -> Talk {
    tree(true, port, said, size, false).1
}

/// The same with the ends of both directions.
pub fn tcp_ended(port: u16, said: &Said<'_>) -> Talk {
    tree(true, port, said, usize::MAX, true).1
}

/// What begins inside a TCP connection.
pub fn inside(port: u16, said: &Said<'_>) -> Option<Inside> {
    tree(true, port, said, usize::MAX, false).0.inside()
}

/// Of a UDP flow on which each piece is a datagram.
pub fn udp(port: u16, said: &Said<'_>) -> Talk {
    tree(false, port, said, usize::MAX, false).1
}
