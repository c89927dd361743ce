//! An event as others see it: its arguments are taken out, and what stands for them is put into an arena, out of which it shows
//! them.

use std::fmt;

use bumpalo::Bump;

use super::anonymizer::Anonymizer;
use super::row::{is_no_text, text};
use super::text::rewrite;
use crate::event::{
    Arg, ConnId, DnsMapping, Encap, Event, EventPeer, FaFile, Info, Kind, LogRow, Record, Visitor,
};

/// An argument or a field, with its name and Zeek's type.
type Named<'b> = (&'static str, &'static str, Arg<'b>);

/// Looks at arguments and puts what stands for them aside. The arena drops nothing, so nothing in it may need that.
struct Collect<'b> {
    bump: &'b Bump,
    by: &'b Anonymizer,
    all: Vec<Named<'b>>,
}

impl<'b> Visitor<'b> for Collect<'b> {
    fn arg(&mut self, name: &'static str, typ: &'static str, arg: Arg<'b>) {
        let arg = match is_no_text(name, typ) {
            true => arg,
            false => mapped(arg, self.bump, self.by),
        };
        self.all.push((name, typ, arg));
    }
}

impl<'b> Collect<'b> {
    fn of(bump: &'b Bump, by: &'b Anonymizer, show: impl FnOnce(&mut Self)) -> &'b [Named<'b>] {
        let mut collect = Collect {
            bump,
            by,
            all: Vec::new(),
        };
        show(&mut collect);
        bump.alloc_slice_copy(&collect.all)
    }
}

/// The event with stand-ins for addresses.
pub fn event<'b>(ev: &'b dyn Event, bump: &'b Bump, by: &'b Anonymizer) -> &'b dyn Event {
    bump.alloc(Shown {
        ev,
        conn: ev.conn().map(|c| by.conn(c)),
        args: Collect::of(bump, by, |c| ev.visit(c)),
    })
}

/// An event of other arguments.
struct Shown<'b> {
    ev: &'b dyn Event,
    conn: Option<ConnId>,
    args: &'b [Named<'b>],
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = self.args.iter().map(|(name, _, arg)| (name, arg));
        f.write_str(self.ev.info().name)?;
        f.debug_map().entries(args).finish()
    }
}

impl Event for Shown<'_> {
    fn info(&self) -> &'static Info {
        self.ev.info()
    }

    fn kind(&self) -> Kind {
        self.ev.kind()
    }

    fn conn(&self) -> Option<&ConnId> {
        self.conn.as_ref()
    }

    fn visit<'e>(&'e self, v: &mut dyn Visitor<'e>) {
        self.args
            .iter()
            .for_each(|(name, typ, arg)| v.arg(name, typ, *arg));
    }
}

/// A record of other fields.
#[derive(Debug)]
struct Fields<'b>(&'b [Named<'b>]);

impl Record for Fields<'_> {
    fn visit<'e>(&'e self, v: &mut dyn Visitor<'e>) {
        self.0.iter().for_each(|(name, typ, arg)| v.arg(name, typ, *arg));
    }
}

fn mapped<'b>(arg: Arg<'b>, bump: &'b Bump, by: &'b Anonymizer) -> Arg<'b> {
    let as_text = |s: &'b str| text(s, by).map_or(s, |new| bump.alloc_str(&new));
    let as_bytes = |s: &'b [u8]| rewrite(s, by).map_or(s, |new| bump.alloc_slice_copy(&new));
    let as_conn = |c: &ConnId| -> &'b ConnId { bump.alloc(by.conn(c)) };
    match arg {
        Arg::Conn(c) => Arg::Conn(as_conn(c)),
        Arg::Addr(a) => Arg::Addr(by.addr(a)),
        Arg::Text(s) => Arg::Text(as_text(s)),
        Arg::Bytes(s) => Arg::Bytes(as_bytes(s)),
        Arg::Strings(all) => Arg::Strings(bump.alloc_slice_fill_iter(all.iter().map(|s| as_bytes(s)))),
        Arg::Texts(all) => Arg::Texts(bump.alloc_slice_fill_iter(all.iter().map(|s| as_text(s)))),
        Arg::Addrs(all) => Arg::Addrs(bump.alloc_slice_fill_iter(all.iter().map(|a| by.addr(*a)))),
        Arg::FaFile(f) => Arg::FaFile(bump.alloc(FaFile {
            conn: f.conn.map(as_conn),
            ..*f
        })),
        Arg::DnsMapping(d) => Arg::DnsMapping(bump.alloc(DnsMapping {
            req_host: d.req_host.map(as_text),
            req_addr: d.req_addr.map(|a| by.addr(a)),
            hostname: d.hostname.map(as_text),
            addrs: bump.alloc_slice_fill_iter(d.addrs.iter().map(|a| by.addr(*a))),
            ..*d
        })),
        Arg::EventPeer(p) => Arg::EventPeer(bump.alloc(EventPeer {
            host: by.addr(p.host),
            descr: as_text(p.descr),
            ..*p
        })),
        Arg::Encap(all) => Arg::Encap(bump.alloc_slice_fill_iter(all.iter().map(|e| Encap {
            orig_h: by.addr(e.orig_h),
            resp_h: by.addr(e.resp_h),
            uid: by.uid(e.uid),
            ..*e
        }))),
        Arg::Event(ev) => Arg::Event(event(ev, bump, by)),
        Arg::Row(row) => {
            let row: &'b dyn LogRow = bump.alloc(super::row::row(row, by));
            Arg::Row(row)
        }
        Arg::Record(r) => {
            let fields: &'b dyn Record = bump.alloc(Fields(Collect::of(bump, by, |c| r.visit(c))));
            Arg::Record(fields)
        }
        // Events that show packets' headers are not raised: they have what only looks like a number.
        Arg::PktHdr(_) | Arg::RawPktHdr(_) => arg,
        Arg::Count(_)
        | Arg::Int(_)
        | Arg::Double(_)
        | Arg::Bool(_)
        | Arg::Time(_)
        | Arg::Nanoseconds(_)
        | Arg::Interval(_)
        | Arg::Counts(_)
        | Arg::Tag(_) => arg,
    }
}
