//! What workers are asked to do while they work: a box for each, which costs a worker one look a turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::Sender;

use crate::conn;
use crate::event::{Ts, Uid};
use crate::file::api::IsLocal;

/// A question for a connection's packets.
pub struct Ask {
    /// The connection's.
    pub uid: Uid,
    /// Not for those to come.
    pub past: bool,
    /// The answer's way.
    pub to: Sender<Told>,
}

/// What is told of a connection. Who does not know it says nothing.
#[derive(Debug)]
pub enum Told {
    /// It is known; its packets come.
    Known,
    /// Some of its packets.
    Packets(Chunk),
    /// All was told.
    End {
        /// So many packets, of whatever connection, were overwritten before they were looked at.
        lost: u64,
        /// Of so many no bytes came to userspace that make a packet.
        bare: u64,
    },
}

/// Packets of one connection.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// What is known of them: when they were seen, by the engine's clock; bytes on the wire, and in `bytes`; whether these begin
    /// with an Ethernet header.
    pub packets: Vec<(Ts, u32, u32, bool)>,
}

/// An order to a worker.
pub enum Order {
    /// To tell of a connection's packets.
    Packets(Ask),
    /// Other networks are local from here on.
    Local(IsLocal),
    /// What somebody wants of a connection or a file, perhaps another worker's.
    Engine(conn::Order),
}

/// A worker's box; copies are the same one.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<(AtomicBool, Mutex<VecDeque<Order>>)>);

impl Mailbox {
    /// Adds an order.
    pub fn put(&self, order: Order) {
        let (is_filled, orders) = &*self.0;
        orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(order);
        is_filled.store(true, Ordering::Release);
    }

    /// Takes the orders that have come since.
    #[inline]
    pub fn take(&self) -> VecDeque<Order> {
        let (is_filled, orders) = &*self.0;
        if !is_filled.load(Ordering::Relaxed) {
            return VecDeque::new();
        }
        is_filled.store(false, Ordering::Release);
        std::mem::take(&mut *orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The boxes of all workers; copies are the same ones.
#[derive(Clone, Default)]
pub struct Orders {
    boxes: Arc<[Mailbox]>,
    /// Bytes of packets that each worker keeps, for who asks for them later.
    pub history: usize,
    /// Packets are told to nobody.
    pub hides_packets: bool,
}

impl Orders {
    /// For so many workers.
    pub fn new(workers: u32, history: usize) -> Orders {
        Orders {
            boxes: (0..workers).map(|_| Mailbox::default()).collect(),
            history,
            hides_packets: false,
        }
    }

    /// The box of worker `n`.
    pub fn of(&self, n: u32) -> Mailbox {
        self.boxes.get(n as usize).cloned().unwrap_or_default()
    }

    /// All boxes.
    pub fn all(&self) -> &[Mailbox] {
        &self.boxes
    }
}
