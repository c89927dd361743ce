//! The row of dns.log.

use std::borrow::Cow;
use std::net::IpAddr;

use super::answer::rr;
use super::names;
use crate::event::log::{Column, LogRow, Value};
use crate::event::{ConnId, Ts};

/// A question and its answer, as far as each was seen: what becomes a row of dns.log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// When the first of the two was seen.
    pub ts: Ts,
    pub trans_id: u16,
    /// The question, and the records that answer it.
    pub asked: Asked,
    /// The message's other questions (RFC 1035, 4.1.2: there may be several), a row each.
    pub more: Vec<Asked>,
    /// Which of them the last record answered: `asked`, then those of `more`.
    pub answered: usize,
    /// All twelve bits of it, where the response has an OPT record (RFC 6891, 6.1.3).
    pub rcode: Option<u16>,
    /// Header bits (RFC 1035, 4.1.1; `z` includes RFC 4035's AD and CD).
    pub aa: bool,
    pub tc: bool,
    pub rd: bool,
    pub ra: bool,
    pub z: u8,
    pub rejected: bool,
    pub saw_query: bool,
    pub saw_reply: bool,
}

/// A question with its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The name asked about, lower case, without the last dot.
    pub query: Option<Vec<u8>>,
    pub qclass: Option<u16>,
    pub qtype: Option<u16>,
    /// Type 33 is a node status over NetBIOS.
    pub is_nbstat: bool,
    /// From the question to the first answer, ns.
    pub rtt: Option<i64>,
    /// What each record of the answer says, and for how many seconds it holds.
    pub answers: Vec<(Vec<u8>, u32)>,
}

impl Asked {
    /// Whether a record of this owner and type answers it by itself.
    fn is_answered_by(&self, owner: &[u8], rtype: u16) -> bool {
        self.query.as_deref() == Some(owner)
            && (rtype == rr::CNAME || self.qtype.is_some_and(|t| t == rtype || t == ANY))
    }

    fn kept(&self) -> usize {
        self.query.as_ref().map_or(0, Vec::len) + self.answers.iter().map(|a| a.0.len() + 32).sum::<usize>()
    }
}

/// The type of a question for records of all types.
const ANY: u16 = 255;

impl Session {
    /// Bytes that it keeps beyond its fixed size, about.
    pub fn kept(&self) -> usize {
        let more: usize = self.more.iter().map(|q| q.kept() + size_of::<Asked>()).sum();
        self.asked.kept() + more
    }

    /// The question that a record of this owner and type belongs to: its own, or that of the record before it, as at
    /// the end of a chain of CNAMEs.
    pub fn asked_for(&mut self, owner: &[u8], rtype: u16) -> &mut Asked {
        let all = std::iter::once(&self.asked).chain(&self.more);
        if let Some(at) = all.into_iter().position(|q| q.is_answered_by(owner, rtype)) {
            self.answered = at;
        }
        match self.answered.checked_sub(1).and_then(|at| self.more.get_mut(at)) {
            Some(asked) => asked,
            None => &mut self.asked,
        }
    }

    /// Its rows, one a question.
    pub fn log(&self, c: &ConnId, log: &mut dyn FnMut(&DnsRow<'_>)) {
        for asked in std::iter::once(&self.asked).chain(&self.more) {
            log(&DnsRow { c, s: self, asked });
        }
    }
}

/// One row of dns.log.
pub struct DnsRow<'a> {
    c: &'a ConnId,
    s: &'a Session,
    asked: &'a Asked,
}

const COLUMNS: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
    Column::new("proto", "enum"),
    Column::new("trans_id", "count"),
    Column::new("rtt", "interval"),
    Column::new("query", "string"),
    Column::new("qclass", "count"),
    Column::new("qclass_name", "string"),
    Column::new("qtype", "count"),
    Column::new("qtype_name", "string"),
    Column::new("rcode", "count"),
    Column::new("rcode_name", "string"),
    Column::new("AA", "bool"),
    Column::new("TC", "bool"),
    Column::new("RD", "bool"),
    Column::new("RA", "bool"),
    Column::new("Z", "count"),
    Column::new("answers", "vector[string]"),
    Column::new("TTLs", "vector[interval]"),
    Column::new("rejected", "bool"),
];

/// Nanoseconds of a record's time to live.
fn ttl(seconds: u32) -> i64 {
    i64::from(seconds) * 1_000_000_000
}

fn count<'a>(n: Option<impl Into<u64>>) -> Value<'a> {
    n.map_or(Value::Unset, |n| Value::Count(n.into()))
}

fn name<'a>(n: Option<Cow<'static, str>>) -> Value<'a> {
    n.map_or(Value::Unset, Value::Str)
}

impl LogRow for DnsRow<'_> {
    fn path(&self) -> &'static str {
        "dns"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let DnsRow { c, s, asked } = self;
        let host = |a: &IpAddr| Value::Addr(*a);
        let list = |items: Vec<Value<'a>>| match items.is_empty() {
            true => Value::Unset,
            false => Value::List(items),
        };
        let qtype = match asked.is_nbstat {
            true => Some("NBSTAT".into()),
            false => asked.qtype.map(names::qtype),
        };
        out.extend([
            Value::Time(s.ts),
            Value::Str(c.uid.to_string().into()),
            host(&c.orig_h),
            Value::Port(c.orig_p),
            host(&c.resp_h),
            Value::Port(c.resp_p),
            Value::Str(c.proto.as_str().into()),
            Value::Count(s.trans_id.into()),
            asked.rtt.map_or(Value::Unset, Value::Interval),
            asked
                .query
                .as_ref()
                .map_or(Value::Unset, |q| Value::Wire(q.into())),
            count(asked.qclass),
            name(asked.qclass.map(names::qclass)),
            count(asked.qtype),
            name(qtype),
            count(s.rcode),
            name(s.rcode.map(names::rcode)),
            Value::Bool(s.aa),
            Value::Bool(s.tc),
            Value::Bool(s.rd),
            Value::Bool(s.ra),
            Value::Count(s.z.into()),
            list(asked.answers.iter().map(|a| Value::Wire((&a.0).into())).collect()),
            list(asked.answers.iter().map(|a| Value::Interval(ttl(a.1))).collect()),
            Value::Bool(s.rejected),
        ]);
    }
}
