//! What an event is, without any: its kind and what is to be said of it, its arguments at run time, and who looks at them.
//!
//! An event shows its arguments to a [`Visitor`], and an argument may be another event or a record, which does the same.

use std::fmt;
use std::net::IpAddr;

use super::ids::{ConnId, Ts};
use super::log::LogRow;
use super::own_kinds::{DnsMapping, Encap, EventPeer, FaFile};
use super::pkt::{PktHdr, RawPktHdr};
use super::tag::AnalyzerTag;

/// Most pages: numbers are below it.
pub const MOST_PAGES: usize = 32;

/// Most events on a page: a set has a word for each page.
pub const MOST_EVENTS: usize = 64;

/// Which event it is: its page's number, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    page: u8,
    index: u8,
}

impl Kind {
    /// The `index`th event of the page with the number `page`.
    pub const fn new(page: u8, index: u8) -> Kind {
        assert!((page as usize) < MOST_PAGES && (index as usize) < MOST_EVENTS);
        Kind { page, index }
    }

    /// How many places [`Kind::place`] may name.
    pub const PLACES: usize = MOST_PAGES * MOST_EVENTS;

    /// Its place among all that there may be.
    pub const fn place(self) -> usize {
        self.page() * MOST_EVENTS + self.index()
    }

    /// The kind of a place.
    pub const fn at(place: usize) -> Kind {
        Kind::new((place / MOST_EVENTS) as u8, (place % MOST_EVENTS) as u8)
    }

    /// Its page's number.
    pub const fn page(self) -> usize {
        self.page as usize
    }

    /// Its place on the page.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// What is to be said of an event without its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Which event it is.
    pub kind: Kind,
    /// Its name, exactly as the seeds have it.
    pub name: &'static str,
    /// Its arguments, each name with Zeek's type.
    pub args: &'static [(&'static str, &'static str)],
    /// Its documentation, a line per line.
    pub doc: &'static [&'static str],
    /// Whether the sensor raises it.
    pub raised: bool,
    /// The policy bits ([`sensor_common::policy`]) without which packets that it is about stay in the kernel.
    pub needs: u32,
    /// The key of its connection in its JSON.
    pub conn_key: &'static str,
}

impl Info {
    /// What Zeek calls it since it is no longer called Bro.
    pub fn newer_name(&self) -> Option<String> {
        self.name.strip_prefix("bro_").map(|rest| format!("zeek_{rest}"))
    }

    /// Whether this is its name, that of the seeds or Zeek's newer one.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.newer_name().is_some_and(|n| n == name)
    }
}

/// Events that are declared together.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Its number, which no other page has.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// The seeds' page that its events are from.
    pub group: &'static str,
    /// Its events; each one's place is its kind's index.
    pub events: &'static [Info],
}

/// An event with its arguments. Borrows what it can: making one allocates nothing.
pub trait Event: fmt::Debug {
    /// What is to be said of it without its arguments.
    fn info(&self) -> &'static Info;

    /// Which event it is.
    fn kind(&self) -> Kind;

    /// The connection it is about, if any.
    fn conn(&self) -> Option<&ConnId>;

    /// Shows `v` all arguments, in order.
    fn visit<'e>(&'e self, v: &mut dyn Visitor<'e>);
}

/// A record that an event carries.
pub trait Record: fmt::Debug {
    /// Shows `v` the fields that are set, in order.
    fn visit<'e>(&'e self, v: &mut dyn Visitor<'e>);
}

/// An argument of an event.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'e> {
    /// A connection.
    Conn(&'e ConnId),
    /// An unsigned number.
    Count(u64),
    /// A signed number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A point in time, ns since the epoch.
    Time(Ts),
    /// A point in time, ns since the epoch, that may be before it.
    Nanoseconds(i64),
    /// A length of time, ns.
    Interval(i64),
    /// An address.
    Addr(IpAddr),
    /// Text.
    Text(&'e str),
    /// Bytes off the wire.
    Bytes(&'e [u8]),
    /// Numbers in order.
    Counts(&'e [u64]),
    /// Strings off the wire, in order.
    Strings(&'e [&'e [u8]]),
    /// A set of addresses.
    Addrs(&'e [IpAddr]),
    /// An analyzer.
    Tag(AnalyzerTag),
    /// A file.
    FaFile(&'e FaFile<'e>),
    /// A packet's headers.
    PktHdr(&'e PktHdr<'e>),
    /// A frame's headers.
    RawPktHdr(&'e RawPktHdr<'e>),
    /// A lookup.
    DnsMapping(&'e DnsMapping<'e>),
    /// Another sensor.
    EventPeer(&'e EventPeer<'e>),
    /// Texts.
    Texts(&'e [&'e str]),
    /// Layers of tunnels, outermost first.
    Encap(&'e [Encap<'e>]),
    /// Another event.
    Event(&'e dyn Event),
    /// A log's row.
    Row(&'e dyn LogRow),
    /// A record that is declared in a room of its own.
    Record(&'e dyn Record),
}

/// Is shown the arguments of an event, or the fields of a record.
pub trait Visitor<'e> {
    /// The next one, with its name and Zeek's type.
    fn arg(&mut self, name: &'static str, typ: &'static str, arg: Arg<'e>);
}
