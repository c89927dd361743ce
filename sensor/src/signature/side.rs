//! What is remembered of a connection: where its directions stand in the machines, and what they have matched.

use std::sync::Arc;

use super::compile::Signatures;
use super::rule::Context;

/// What has to be known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// It is TCP.
    pub tcp: bool,
    /// It is UDP.
    pub udp: bool,
    /// Both ends have one address.
    pub same_ip: bool,
    /// Both sides of a TCP connection have opened it, or are in the middle of it.
    pub established: bool,
}

/// A stream's place in a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub machine: u32,
    pub place: u32,
    /// Bytes so far.
    pub passed: u64,
    /// The machine's.
    pub context: Context,
    /// Nothing can come of it any more.
    pub done: bool,
}

/// What of a context comes in several streams at a time is matched by itself in each: the bodies of HTTP/2.
#[derive(Debug)]
pub(super) struct Stream {
    pub id: u32,
    pub context: Context,
    pub cursors: Vec<Cursor>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub ready: bool,
    /// It has places in machines; before its first payload they would only take memory, as in a flood of SYNs.
    pub opened: bool,
    pub groups: Box<[u32]>,
    /// Contexts in which something may still match, as bits.
    pub contexts: u16,
    pub cursors: Vec<Cursor>,
    pub streams: Vec<Stream>,
    pub size: Option<u64>,
    /// Expressions that are complete, in order.
    pub accepted: Vec<u32>,
    /// Signatures whose expressions all are, and which have not matched yet, in order.
    pub complete: Vec<(u32, Arc<[u8]>)>,
    /// Signatures that have matched, in order.
    pub matched: Vec<u32>,
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Conn {
    pub facts: Facts,
    pub sides: [Side; 2],
    /// Of both directions.
    pub bytes: u64,
    pub pieces: u32,
    /// No more payload is matched.
    pub over: bool,
    /// Of the stream inside it, if there is one.
    pub inner: Option<Box<Conn>>,
}

impl Side {
    /// The place of a signature among those that are complete, or where it would be.
    pub fn complete(&self, rule: u32) -> Result<usize, usize> {
        self.complete.binary_search_by_key(&rule, |(rule, _)| *rule)
    }

    /// The direction is now that of side `s`.
    pub fn turn(&mut self, s: usize, signatures: &Signatures) {
        for cursor in &mut self.cursors {
            if let Some(machine) = signatures.machines.get(cursor.machine as usize) {
                // What meant nothing before may mean something now.
                cursor.done = !machine.is_of(s) || cursor.done && machine.is_of(s ^ 1);
            }
        }
        self.contexts = match self.opened {
            true => contexts_of(&self.cursors),
            false => signatures.contexts_of(&self.groups, s),
        };
    }
}

/// The contexts of those that are not done, as bits.
pub(super) fn contexts_of(cursors: &[Cursor]) -> u16 {
    let open = cursors.iter().filter(|c| !c.done);
    open.fold(0, |all, c| all | c.context.bit())
}

/// A set in a sorted list.
pub(super) fn insert(list: &mut Vec<u32>, n: u32) -> bool {
    match list.binary_search(&n) {
        Ok(_) => false,
        Err(at) => {
            list.insert(at, n);
            true
        }
    }
}

pub(super) fn has(list: &[u32], n: u32) -> bool {
    list.binary_search(&n).is_ok()
}
