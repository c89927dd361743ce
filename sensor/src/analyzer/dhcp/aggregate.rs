//! Transactions: what the messages of one transaction id say together, until it is silent (Zeek: DHCP::aggregate_msgs).
//!
//! A client that has no address and the server that answers it talk on several connections, which may be on several workers:
//! one table for all of them.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::{DhcpRow, type_name};
use super::wire::{Message, code, mac};
use crate::base::time::SECOND;
use crate::event::{ConnId, Ts};

/// A transaction is looked at for the first time so long after its first message, at the next look at all of them (Zeek:
/// join_data's create_expire).
const FIRST_LOOK: Ts = 10 * SECOND;
/// The same for further looks.
const NEXT_LOOK: Ts = 5 * SECOND;
/// All transactions whose time has come are looked at so often (Zeek: table_expire_interval).
const LOOKS: Ts = 10 * SECOND;
/// A transaction that was silent for longer is over.
const SILENCE: Ts = 5 * SECOND;
/// One that began longer ago is over (Zeek: max_txid_watch_time).
const LONGEST: Ts = 30 * SECOND;
/// With so many connections a row is written (Zeek: max_uids_per_log_entry).
const MOST_UIDS: usize = 10;
/// The same for messages (Zeek: max_msg_types_per_log_entry).
const MOST_TYPES: usize = 50;
/// Most transactions at a time. Each may take three kilobytes, so Zeek's 100,000 would be too many for somebody's forged messages.
pub const MOST: usize = 20_000;
/// ARP's number of Ethernet, in client identifiers.
const ETHERNET: u8 = 1;

/// There were so many transactions that the oldest had to go.
pub struct Full(pub usize);

/// All transactions; one table for all workers.
#[derive(Clone, Debug, Default)]
pub struct Transactions(Arc<Mutex<Table>>);

impl Transactions {
    /// A connection that has messages.
    pub fn join(&self) -> Member {
        self.lock().members += 1;
        Member {
            all: self.clone(),
            is_in: true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's part: when the last of all ends, no transaction is left.
#[derive(Debug)]
pub struct Member {
    all: Transactions,
    is_in: bool,
}

impl Member {
    /// Takes a message. Returns rows of transactions that are over.
    pub fn add(&self, ts: Ts, c: &ConnId, is_orig: bool, msg: &Message<'_>) -> (Vec<DhcpRow>, Option<Full>) {
        let mut table = self.all.lock();
        let mut rows = table.look(ts);
        let full = table.add(ts, c, is_orig, msg, &mut rows);
        (rows, full)
    }

    /// The connection is over. Returns rows of transactions that are over: all of them, if there is no other connection.
    pub fn leave(mut self, ts: Ts) -> Vec<DhcpRow> {
        self.is_in = false;
        let mut table = self.all.lock();
        table.members = table.members.saturating_sub(1);
        match table.members {
            0 => table.take_all(),
            _ => table.look(ts),
        }
    }
}

/// A connection whose end is not told, because its worker failed, is in no one's way.
impl Drop for Member {
    fn drop(&mut self) {
        if self.is_in {
            let mut table = self.all.lock();
            table.members = table.members.saturating_sub(1);
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    /// By transaction id.
    open: HashMap<u32, Transaction>,
    /// Their ids by when they are looked at next, and in which order they came to be.
    due: BTreeMap<(Ts, u64), u32>,
    made: u64,
    /// When all that are due are looked at.
    next_look: Ts,
    /// Connections with messages.
    members: usize,
}

#[derive(Debug)]
struct Transaction {
    /// Without the messages' types and their duration.
    row: DhcpRow,
    /// The type of each message and when it came, in order of time: of two workers one may be behind.
    types: Vec<(Ts, u8)>,
    /// The hardware address in the client's messages, if they name no other.
    chaddr: Option<String>,
    /// Its place in [`Table::due`].
    due: (Ts, u64),
}

impl Table {
    fn add(
        &mut self,
        ts: Ts,
        c: &ConnId,
        is_orig: bool,
        msg: &Message<'_>,
        rows: &mut Vec<DhcpRow>,
    ) -> Option<Full> {
        let is_new = !self.open.contains_key(&msg.xid);
        let mut full = None;
        if is_new && self.open.len() >= MOST {
            full = Some(Full(self.open.len()));
            rows.extend(self.take_oldest());
        }
        let due = (ts.saturating_add(FIRST_LOOK), self.made);
        let one = self.open.entry(msg.xid).or_insert_with(|| Transaction {
            row: DhcpRow::new(ts, c.uid),
            types: Vec::new(),
            chaddr: None,
            due,
        });
        if is_new {
            self.made += 1;
            self.due.insert(due, msg.xid);
        }
        one.add(ts, c, is_orig, msg);
        if one.row.uids.len() >= MOST_UIDS || one.types.len() >= MOST_TYPES {
            // Zeek writes this row without the address that the client's header has.
            rows.extend(self.remove(msg.xid).map(Transaction::cut));
        }
        full
    }

    /// Looks at those whose time has come, if it is time to look. Returns rows of those that are over.
    fn look(&mut self, now: Ts) -> Vec<DhcpRow> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now.saturating_add(LOOKS);
        let later = self.due.split_off(&(now, 0));
        let mut rows = Vec::new();
        for ((_, n), xid) in std::mem::replace(&mut self.due, later) {
            let Some(one) = self.open.get_mut(&xid) else {
                continue;
            };
            if one.is_over(now) {
                rows.extend(self.open.remove(&xid).map(Transaction::finish));
            } else {
                one.due = (now.saturating_add(NEXT_LOOK), n);
                self.due.insert(one.due, xid);
            }
        }
        rows
    }

    fn take_oldest(&mut self) -> Option<DhcpRow> {
        let (_, xid) = self.due.pop_first()?;
        self.open.remove(&xid).map(Transaction::finish)
    }

    fn take_all(&mut self) -> Vec<DhcpRow> {
        let mut open = take(&mut self.open);
        let in_order = take(&mut self.due).into_values();
        in_order
            .filter_map(|xid| open.remove(&xid).map(Transaction::finish))
            .collect()
    }

    fn remove(&mut self, xid: u32) -> Option<Transaction> {
        let one = self.open.remove(&xid)?;
        self.due.remove(&one.due);
        Some(one)
    }
}

impl Transaction {
    fn last(&self) -> Ts {
        self.types.last().map_or(self.row.ts, |(ts, _)| *ts)
    }

    fn is_over(&self, now: Ts) -> bool {
        now.saturating_sub(self.last()) > SILENCE || now.saturating_sub(self.row.ts) > LONGEST
    }

    /// The row of one that is over.
    fn finish(mut self) -> DhcpRow {
        let chaddr = self.chaddr.take();
        let mut row = self.cut();
        row.mac = row.mac.or(chaddr);
        row
    }

    /// The row of one that has too much.
    fn cut(self) -> DhcpRow {
        let last = self.last();
        let mut row = self.row;
        row.ts = self.types.first().map_or(row.ts, |(ts, _)| *ts);
        row.duration = last.saturating_sub(row.ts).cast_signed();
        row.msg_types = self.types.iter().map(|(_, n)| type_name(*n)).collect();
        row
    }

    fn add(&mut self, ts: Ts, c: &ConnId, is_orig: bool, msg: &Message<'_>) {
        let at = self.types.partition_point(|(other, _)| *other <= ts);
        self.types.insert(at, (ts, msg.options.message_type()));
        let row = &mut self.row;
        if !row.uids.contains(&c.uid) {
            row.uids.push(c.uid);
        }
        // A server that broadcasts is an originator, too.
        let is_client = is_orig && (c.orig_h == ANY || c.orig_p == 68 || c.resp_p == 67);
        let options = &msg.options;
        let text = options.get(code::MESSAGE).map(<[u8]>::to_vec);
        if is_client {
            put(&mut row.client_message, text);
            self.add_client(c, msg);
        } else {
            put(&mut row.server_message, text);
            self.add_server(c, is_orig, msg);
        }
    }

    fn add_client(&mut self, c: &ConnId, msg: &Message<'_>) {
        let (row, options) = (&mut self.row, &msg.options);
        if c.orig_h != ANY && c.orig_h != IpAddr::V4(Ipv4Addr::BROADCAST) {
            row.client_addr = Some(c.orig_h);
        }
        put(
            &mut row.host_name,
            options.get(code::HOST_NAME).map(<[u8]>::to_vec),
        );
        let fqdn = options.get(code::CLIENT_FQDN).and_then(|v| v.get(3..));
        put(&mut row.client_fqdn, fqdn.map(<[u8]>::to_vec));
        match options.get(code::CLIENT_ID).and_then(<[u8]>::split_first) {
            Some((&ETHERNET, address)) => row.mac = Some(mac(address)),
            _ => self.chaddr = Some(mac(msg.chaddr)),
        }
        put(&mut row.requested_addr, options.addr(code::REQUESTED_ADDRESS));
    }

    fn add_server(&mut self, c: &ConnId, is_orig: bool, msg: &Message<'_>) {
        let (row, options) = (&mut self.row, &msg.options);
        if !msg.yiaddr.is_unspecified() {
            // To an address that is not broadcast, the server is the responder.
            row.server_addr = Some(if is_orig { c.orig_h } else { c.resp_h });
            row.assigned_addr = Some(msg.yiaddr.into());
        }
        row.mac.get_or_insert_with(|| mac(msg.chaddr));
        row.client_addr = row.client_addr.or(row.assigned_addr);
        put(
            &mut row.domain,
            options
                .get(code::DOMAIN_NAME)
                .map(|v| super::wire::domain(v).to_vec()),
        );
        put(&mut row.lease_time, options.seconds(code::LEASE));
    }
}

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Takes the newer value, if there is one.
fn put<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}
