//! Events on their way to the scripts' interpreter: their arguments as bytes, many events after one another. So a worker that
//! hands one over allocates nothing, and both ways to the interpreter, from workers of a live run and from the engine
//! that reads a capture, are the same.

use std::net::IpAddr;

use crate::event::log::Value;
use crate::event::{Arg, Column, ConnId, Event, Kind, LogRow, MOST_EVENTS, MOST_PAGES, Ts, Visitor};

/// What a value begins with.
mod tag {
    pub const NIL: u8 = 0;
    pub const COUNT: u8 = 1;
    pub const INT: u8 = 2;
    pub const DOUBLE: u8 = 3;
    pub const FALSE: u8 = 4;
    pub const TRUE: u8 = 5;
    pub const TIME: u8 = 6;
    pub const INTERVAL: u8 = 7;
    pub const V4: u8 = 8;
    pub const V6: u8 = 9;
    pub const TEXT: u8 = 10;
    pub const CONN: u8 = 11;
    pub const LIST: u8 = 12;
    pub const RECORD: u8 = 13;
    pub const JSON: u8 = 14;
    /// Ends lists and records.
    pub const END: u8 = 15;
}

/// A log and its columns.
pub type LogColumns = (&'static str, &'static [Column]);

/// Instead of an event's kind: a row of a log.
pub const ROW: Kind = Kind::new(MOST_PAGES as u8 - 1, MOST_EVENTS as u8 - 1);

/// Events with their arguments, and rows of logs.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Connections that they name.
    conns: Vec<ConnId>,
    /// Logs whose rows are among them.
    logs: Vec<LogColumns>,
}

impl Batch {
    /// Adds an event with the time `ts`.
    pub fn push(&mut self, ts: Ts, ev: &dyn Event) {
        let kind = ev.kind();
        self.bytes.extend(ts.to_le_bytes());
        self.bytes.extend([kind.page() as u8, kind.index() as u8]);
        ev.visit(&mut Writer {
            batch: self,
            names: false,
        });
        self.bytes.push(tag::END);
    }

    /// Adds a row of a log.
    pub fn push_row(&mut self, ts: Ts, row: &dyn LogRow) {
        let log = (row.path(), row.columns());
        let is = |l: &LogColumns| l.0 == log.0 && std::ptr::eq(l.1, log.1);
        let n = self.logs.iter().position(is).unwrap_or_else(|| {
            self.logs.push(log);
            self.logs.len() - 1
        });
        self.bytes.extend(ts.to_le_bytes());
        self.bytes.extend([ROW.page() as u8, ROW.index() as u8]);
        self.number(tag::COUNT, n as u64);
        let mut values = Vec::new();
        row.values(&mut values);
        values.iter().for_each(|v| self.value(v));
        self.bytes.push(tag::END);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that they take, but for connections.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for others.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.conns.clear();
        self.logs.clear();
    }

    /// Reads them from their beginning.
    pub fn reader(&self) -> Reader<'_> {
        self.reader_at(0)
    }

    /// Reads them from a place on that a reader was at.
    pub fn reader_at(&self, at: usize) -> Reader<'_> {
        Reader {
            bytes: self.bytes.get(at..).unwrap_or_default(),
            all: self.bytes.len(),
            conns: &self.conns,
            logs: &self.logs,
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        self.bytes.push(tag::TEXT);
        self.bytes.extend((bytes.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn number(&mut self, tag: u8, bits: u64) {
        self.bytes.push(tag);
        self.bytes.extend(bits.to_le_bytes());
    }

    fn addr(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(a) => {
                self.bytes.push(tag::V4);
                self.bytes.extend(a.octets());
            }
            IpAddr::V6(a) => {
                self.bytes.push(tag::V6);
                self.bytes.extend(a.octets());
            }
        }
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.bytes.push(tag::LIST);
        items.iter().for_each(|i| item(self, i));
        self.bytes.push(tag::END);
    }

    fn conn(&mut self, c: &ConnId) {
        // One event after the other is about the same connection.
        let last = self.conns.len().checked_sub(1);
        let at = match last.filter(|at| self.conns[*at] == *c) {
            Some(at) => at,
            None => {
                self.conns.push(*c);
                self.conns.len() - 1
            }
        };
        self.bytes.push(tag::CONN);
        self.bytes.extend((at as u32).to_le_bytes());
    }

    fn value(&mut self, v: &Value<'_>) {
        match v {
            Value::Unset => self.bytes.push(tag::NIL),
            Value::Time(t) => self.number(tag::TIME, *t),
            Value::Seconds(s) => self.number(tag::INT, *s as u64),
            Value::Nanoseconds(n) | Value::Interval(n) => self.number(tag::INTERVAL, *n as u64),
            Value::Str(s) => self.text(s.as_bytes()),
            Value::Uid(u) => self.text(u.to_string().as_bytes()),
            Value::Wire(s) => self.text(s),
            Value::Count(n) => self.number(tag::COUNT, *n),
            Value::Int(n) => self.number(tag::INT, *n as u64),
            Value::Double(d) => self.number(tag::DOUBLE, d.to_bits()),
            Value::Bool(b) => self.bytes.push(if *b { tag::TRUE } else { tag::FALSE }),
            Value::Addr(a) => self.addr(*a),
            Value::Port(p) => self.number(tag::COUNT, (*p).into()),
            Value::List(all) => self.list(all, |b, v| b.value(v)),
        }
    }
}

/// Shows a batch what an event or a record has.
struct Writer<'b> {
    batch: &'b mut Batch,
    /// Whether names are of use, as in a record.
    names: bool,
}

impl<'e> Visitor<'e> for Writer<'_> {
    fn arg(&mut self, name: &'static str, _: &'static str, arg: Arg<'e>) {
        if self.names {
            self.batch.text(name.as_bytes());
        }
        let b = &mut *self.batch;
        match arg {
            Arg::Conn(c) => b.conn(c),
            Arg::Count(v) => b.number(tag::COUNT, v),
            Arg::Int(v) => b.number(tag::INT, v as u64),
            Arg::Double(v) => b.number(tag::DOUBLE, v.to_bits()),
            Arg::Bool(v) => b.bytes.push(if v { tag::TRUE } else { tag::FALSE }),
            Arg::Time(v) => b.number(tag::TIME, v),
            Arg::Nanoseconds(v) | Arg::Interval(v) => b.number(tag::INTERVAL, v as u64),
            Arg::Addr(v) => b.addr(v),
            Arg::Text(v) => b.text(v.as_bytes()),
            Arg::Bytes(v) => b.text(v),
            Arg::Counts(v) => b.list(v, |b, n| b.number(tag::COUNT, *n)),
            Arg::Strings(v) => b.list(v, |b, s| b.text(s)),
            Arg::Addrs(v) => b.list(v, |b, a| b.addr(*a)),
            Arg::Tag(v) => b.text(v.as_str().as_bytes()),
            Arg::Texts(v) => b.list(v, |b, s| b.text(s.as_bytes())),
            Arg::Record(v) => {
                b.bytes.push(tag::RECORD);
                v.visit(&mut Writer {
                    batch: b,
                    names: true,
                });
                self.batch.bytes.push(tag::END);
            }
            Arg::Row(row) => {
                b.bytes.push(tag::RECORD);
                let mut values = Vec::new();
                row.values(&mut values);
                for (column, value) in row.columns().iter().zip(&values) {
                    if *value != Value::Unset {
                        b.text(column.name.as_bytes());
                        b.value(value);
                    }
                }
                b.bytes.push(tag::END);
            }
            Arg::Event(ev) => {
                b.bytes.push(tag::RECORD);
                ev.visit(&mut Writer {
                    batch: b,
                    names: true,
                });
                self.batch.bytes.push(tag::END);
            }
            Arg::FaFile(f) => {
                b.bytes.push(tag::RECORD);
                if let Some(c) = f.conn {
                    b.text(b"c");
                    b.conn(c);
                }
                let optional = |b: &mut Batch, name: &str, text: Option<&str>| {
                    if let Some(text) = text {
                        b.text(name.as_bytes());
                        b.text(text.as_bytes());
                    }
                };
                optional(b, "id", Some(f.id));
                optional(b, "parent_id", f.parent_id);
                optional(b, "source", Some(f.source));
                if let Some(is_orig) = f.is_orig {
                    b.text(b"is_orig");
                    b.bytes.push(if is_orig { tag::TRUE } else { tag::FALSE });
                }
                let counts = [
                    ("seen_bytes", Some(f.seen_bytes)),
                    ("total_bytes", f.total_bytes),
                    ("missing_bytes", Some(f.missing_bytes)),
                    ("overflow_bytes", Some(f.overflow_bytes)),
                ];
                for (name, count) in counts {
                    if let Some(count) = count {
                        b.text(name.as_bytes());
                        b.number(tag::COUNT, count);
                    }
                }
                b.bytes.push(tag::END);
            }
            // Rare, and deep: as the event stream has them.
            other => {
                let mut json = Vec::new();
                other.write_json(&mut json);
                b.bytes.push(tag::JSON);
                b.bytes.extend((json.len() as u32).to_le_bytes());
                b.bytes.extend_from_slice(&json);
            }
        }
    }
}

/// A value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'b> {
    Nil,
    Count(u64),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// Nanoseconds since 1970.
    Time(Ts),
    /// Nanoseconds.
    Interval(i64),
    Addr(IpAddr),
    Text(&'b [u8]),
    Conn(&'b ConnId),
    /// Items follow, up to an [`Item::End`].
    List,
    /// Names, each with an item, follow, up to an [`Item::End`].
    Record,
    Json(&'b [u8]),
    End,
}

/// Reads a batch.
#[derive(Debug)]
pub struct Reader<'b> {
    bytes: &'b [u8],
    all: usize,
    conns: &'b [ConnId],
    logs: &'b [LogColumns],
}

impl<'b> Reader<'b> {
    /// Where it is.
    pub fn at(&self) -> usize {
        self.all - self.bytes.len()
    }

    /// The next event: its time and kind. Its arguments, and an [`Item::End`], come next.
    pub fn event(&mut self) -> Option<(Ts, Kind)> {
        let ts = u64::from_le_bytes(*self.take()?);
        let [page, index] = *self.take::<2>()?;
        Some((ts, Kind::new(page, index)))
    }

    /// Of a row: its log. Its values come next.
    pub fn log(&mut self) -> Option<LogColumns> {
        match self.item() {
            Item::Count(n) => self.logs.get(n as usize).copied(),
            _ => None,
        }
    }

    /// The time of the next event.
    pub fn next_time(&self) -> Option<Ts> {
        self.bytes.first_chunk().map(|b| u64::from_le_bytes(*b))
    }

    /// The next item; what cannot be read ends.
    pub fn item(&mut self) -> Item<'b> {
        self.read().unwrap_or(Item::End)
    }

    /// Passes over the rest of an event.
    pub fn skip(&mut self) {
        let mut depth = 1;
        while depth > 0 && !self.bytes.is_empty() {
            match self.item() {
                Item::List | Item::Record => depth += 1,
                Item::End => depth -= 1,
                _ => {}
            }
        }
    }

    fn read(&mut self) -> Option<Item<'b>> {
        let [tag] = *self.take::<1>()?;
        Some(match tag {
            tag::NIL => Item::Nil,
            tag::COUNT => Item::Count(self.number()?),
            tag::INT => Item::Int(self.number()? as i64),
            tag::DOUBLE => Item::Double(f64::from_bits(self.number()?)),
            tag::FALSE => Item::Bool(false),
            tag::TRUE => Item::Bool(true),
            tag::TIME => Item::Time(self.number()?),
            tag::INTERVAL => Item::Interval(self.number()? as i64),
            tag::V4 => Item::Addr((*self.take::<4>()?).into()),
            tag::V6 => Item::Addr((*self.take::<16>()?).into()),
            tag::TEXT => Item::Text(self.text()?),
            tag::CONN => {
                let at = u32::from_le_bytes(*self.take()?);
                Item::Conn(self.conns.get(at as usize)?)
            }
            tag::LIST => Item::List,
            tag::RECORD => Item::Record,
            tag::JSON => Item::Json(self.text()?),
            _ => Item::End,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<&'b [u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(|b| u64::from_le_bytes(*b))
    }

    fn text(&mut self) -> Option<&'b [u8]> {
        let len = u32::from_le_bytes(*self.take()?) as usize;
        let (text, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnWeird, ContentGap, NetWeird};

    #[test]
    fn events_come_back_in_order_with_their_arguments() {
        let (c, other) = (ConnId::sample(80), ConnId::sample(81));
        let mut batch = Batch::default();
        batch.push(5, &NetWeird { name: "a" });
        batch.push(
            6,
            &ConnWeird {
                name: "b",
                c: &c,
                addl: "",
            },
        );
        batch.push(
            7,
            &ContentGap {
                c: &other,
                is_orig: true,
                seq: 1,
                length: 9,
            },
        );
        let mut r = batch.reader();
        assert_eq!(r.event(), Some((5, NetWeird::KIND)));
        assert_eq!((r.item(), r.item()), (Item::Text(b"a"), Item::End));
        let at = r.at();
        assert_eq!(r.event(), Some((6, ConnWeird::KIND)));
        r.skip();
        assert_eq!(r.event(), Some((7, ContentGap::KIND)));
        assert_eq!(r.item(), Item::Conn(&other));
        assert_eq!(r.item(), Item::Bool(true));
        assert_eq!((r.item(), r.item()), (Item::Count(1), Item::Count(9)));
        assert_eq!((r.item(), r.event()), (Item::End, None));
        let mut again = batch.reader_at(at);
        assert_eq!(again.next_time(), Some(6));
        assert_eq!(again.event(), Some((6, ConnWeird::KIND)));
        assert_eq!((again.item(), again.item()), (Item::Text(b"b"), Item::Conn(&c)));
    }
}
