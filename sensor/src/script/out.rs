//! What scripts give: it is put down while a handler runs and carried out when it has returned.

use std::net::IpAddr;

use crate::conn::Order;
use crate::conn::row::{WeirdRow, Whose};
use crate::event::log_stream::StreamRow;
use crate::event::{
    BroScriptLoaded, Column, ConnId, ConnWeird, Event, FileOpened, FlowWeird, Fuid, LogRow, NetWeird,
    PrintHook, ReporterError, RotateInterval, RotateSize, Ts, Value,
};
use crate::file::api::FileWish;
use crate::messages::say::say;
use crate::resolver::Change;

/// One thing that a script gave.
#[derive(Debug)]
pub enum Out {
    /// A row of a log that a script defined.
    Row(StreamRow<'static>),
    /// A row that a filter of scripts let through, or made.
    Filtered(FilteredRow),
    /// An event of the scripts' own.
    Event(OwnEvent),
    /// What is to become of a connection or a file.
    Order(Order),
    /// What tells a file from others, whose event is being handled; empty: it is not to be looked at.
    Handle(Vec<u8>),
}

/// A row that a filter made.
#[derive(Clone, Debug)]
pub struct FilteredRow {
    pub path: &'static str,
    pub columns: &'static [Column],
    pub values: Vec<Value<'static>>,
}

impl LogRow for FilteredRow {
    fn path(&self) -> &'static str {
        self.path
    }

    fn columns(&self) -> &'static [Column] {
        self.columns
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend(self.values.iter().map(Value::borrowed));
    }
}

/// Whose weird it is that a script tells of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeirdOf {
    /// A connection's.
    Conn(ConnId),
    /// Of these sender and receiver.
    Hosts(IpAddr, IpAddr),
    /// Nobody's.
    Nobody,
}

impl WeirdOf {
    /// As weird.log has it.
    pub fn whose(&self) -> Whose<'_> {
        match self {
            WeirdOf::Conn(c) => Whose::Conn(c),
            WeirdOf::Hosts(src, dst) => Whose::Hosts(*src, *dst),
            WeirdOf::Nobody => Whose::Nobody,
        }
    }
}

/// A weird that a script tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptWeird {
    pub name: &'static str,
    pub addl: String,
    pub of: WeirdOf,
    /// weird.log has it.
    pub is_logged: bool,
}

impl ScriptWeird {
    /// Its row of weird.log.
    pub fn row(&self, ts: Ts) -> WeirdRow<'_> {
        WeirdRow::new(ts, self.of.whose(), self.name, &self.addl, "")
    }

    fn with<R>(&self, then: impl FnOnce(&dyn Event) -> R) -> R {
        let (name, addl) = (self.name, self.addl.as_str());
        match &self.of {
            WeirdOf::Conn(c) => then(&ConnWeird { name, c, addl }),
            WeirdOf::Hosts(src, dst) => {
                let (src, dst) = (*src, *dst);
                then(&FlowWeird { name, src, dst })
            }
            WeirdOf::Nobody => then(&NetWeird { name }),
        }
    }
}

/// An event that the scripts themselves cause.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnEvent {
    /// bro_script_loaded
    Loaded { path: String, level: u64 },
    /// file_opened
    FileOpened { f: String },
    /// print_hook
    Print { f: String, s: String },
    /// rotate_interval
    RotateInterval { f: String },
    /// rotate_size
    RotateSize { f: String },
    /// reporter_error
    Error { msg: String, location: String },
    /// dns_mapping_*
    Lookup(Box<Change>),
    /// conn_weird, flow_weird or net_weird
    Weird(ScriptWeird),
}

impl OwnEvent {
    /// Of an error: the place, if it is known, and what is wrong.
    pub fn said(&self) -> Option<String> {
        match self {
            OwnEvent::Error { msg, location } if location.is_empty() => Some(msg.clone()),
            OwnEvent::Error { msg, location } => Some(format!("{location}: {msg}")),
            _ => None,
        }
    }

    /// Shows the event, at the time `t`.
    pub fn with<R>(&self, t: Ts, then: impl FnOnce(&dyn Event) -> R) -> R {
        match self {
            OwnEvent::Loaded { path, level } => then(&BroScriptLoaded { path, level: *level }),
            OwnEvent::FileOpened { f } => then(&FileOpened { f }),
            OwnEvent::Print { f, s } => then(&PrintHook { f, s }),
            OwnEvent::RotateInterval { f } => then(&RotateInterval { f }),
            OwnEvent::RotateSize { f } => then(&RotateSize { f }),
            OwnEvent::Error { msg, location } => then(&ReporterError { t, msg, location }),
            OwnEvent::Lookup(change) => change.with(then),
            OwnEvent::Weird(weird) => weird.with(then),
        }
    }
}

/// Who carries out what scripts give.
pub trait Carrier {
    /// A row of a log of theirs, or one of any log that they let through.
    fn row(&mut self, row: &dyn LogRow);
    /// An event of their own, at the time `now`.
    fn tell(&mut self, now: Ts, ev: &dyn Event);
    /// What is to become of a connection or a file.
    fn order(&mut self, order: Order);

    /// What tells the file from others that they were asked for.
    fn handle(&mut self, handle: Vec<u8>) {
        let _ = handle;
    }
}

impl Out {
    /// Has it carried out at the time `now`. What failed is said on standard error.
    pub fn carry_out(self, now: Ts, by: &mut impl Carrier) {
        match self {
            Out::Row(row) => by.row(&row),
            Out::Filtered(row) => by.row(&row),
            Out::Event(own) => {
                if let Some(said) = own.said() {
                    say!("sensor: {said}");
                }
                if let OwnEvent::Weird(weird) = &own
                    && weird.is_logged
                {
                    by.row(&weird.row(now));
                }
                own.with(now, |ev| by.tell(now, ev));
            }
            Out::Order(order) => by.order(order),
            Out::Handle(handle) => by.handle(handle),
        }
    }
}

/// What scripts asked of the engine, until it takes that.
#[derive(Debug, Default)]
pub struct Asked {
    orders: Vec<Order>,
    handle: Option<Vec<u8>>,
}

impl Asked {
    /// One order more.
    pub fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// What tells the file from others that they were asked for. The last word holds.
    pub fn handle(&mut self, handle: Vec<u8>) {
        self.handle = Some(handle);
    }

    /// Whether there are orders.
    #[inline]
    pub fn is_any(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Takes all orders.
    pub fn take(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// Takes what is wanted of one file.
    pub fn take_of_file(&mut self, fuid: Fuid) -> Vec<FileWish> {
        let of_file = |order: &mut Order| matches!(order, Order::File(f, _) if *f == fuid);
        let wish = |order| match order {
            Order::File(_, wish) => Some(wish),
            Order::Conn(..) => None,
        };
        self.orders.extract_if(.., of_file).filter_map(wish).collect()
    }

    /// Takes what tells the file from others.
    pub fn take_handle(&mut self) -> Option<Vec<u8>> {
        self.handle.take()
    }
}
