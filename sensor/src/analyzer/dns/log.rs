//! The row of dns.log.

use super::names;
use super::rr;
use crate::base::time::SECOND;
use crate::event::{ConnId, Ts, row};

/// A query and its response, as far as each was seen. It becomes one row of dns.log per question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsSession {
    /// When the first of the two was seen.
    pub ts: Ts,
    /// Transaction id of the header.
    pub trans_id: u16,
    /// The question, and the records that answer it.
    pub asked: Asked,
    /// The message's further questions (RFC 1035, 4.1.2); each gets a row of its own.
    pub more: Vec<Asked>,
    /// Index of the question that the last record answered: 0 is `asked`, n is `more[n - 1]`.
    pub answered: usize,
    /// Response code: 4 bits, or 12 where the response has an OPT record (RFC 6891, 6.1.3).
    pub rcode: Option<u16>,
    /// Header bit AA (RFC 1035, 4.1.1): the answer is authoritative.
    pub aa: bool,
    /// Header bit TC: the message was truncated.
    pub tc: bool,
    /// Header bit RD: recursion is desired.
    pub rd: bool,
    /// Header bit RA: recursion is available.
    pub ra: bool,
    /// Header bits Z (3 bits), among them RFC 4035's AD and CD.
    pub z: u8,
    /// A response had an error code and no question, or a question and no record (Zeek's `dns_rejected`).
    pub rejected: bool,
    /// The query was seen.
    pub saw_query: bool,
    /// A response was seen.
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

impl DnsSession {
    /// Bytes that it keeps on the heap, roughly.
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
            log(&DnsRow::new(c, self, asked));
        }
    }
}

/// What the records of an answer say.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a>(&'a [(Vec<u8>, u32)]);

impl<'a> Answers<'a> {
    /// Each record's text, as it came off the wire.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(|a| &*a.0)
    }
}

/// For how long the records of an answer hold.
#[derive(Clone, Copy, Debug)]
pub struct Ttls<'a>(&'a [(Vec<u8>, u32)]);

impl Ttls<'_> {
    /// Each record's time to live, ns.
    pub fn iter(self) -> impl Iterator<Item = i64> {
        self.0.iter().map(|a| i64::from(a.1) * SECOND as i64)
    }
}

row! {
    /// One row of dns.log.
    #[derive(Clone, Debug)]
    pub struct DnsRow<'a> in "dns" {
        /// When the question was seen, or the answer if that came first.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// Transport.
        proto: enumeration,
        /// Transaction id.
        trans_id: count (u16),
        /// From the question to the first answer, ns.
        rtt: opt interval,
        /// The name asked about.
        query: opt wire (&'a [u8]),
        /// Class asked for.
        qclass: opt count (u16),
        /// Its name.
        qclass_name: opt text,
        /// Type asked for.
        qtype: opt count (u16),
        /// Its name.
        qtype_name: opt text,
        /// How the server answered.
        rcode: opt count (u16),
        /// Its name.
        rcode_name: opt text,
        /// The server is an authority.
        aa = "AA": bool,
        /// The message was cut off.
        tc = "TC": bool,
        /// Recursion was asked for.
        rd = "RD": bool,
        /// Recursion is offered.
        ra = "RA": bool,
        /// The header's other bits.
        z = "Z": count (u8),
        /// What each record of the answer says; unset without any.
        answers: opt vector wire (Answers<'a>),
        /// For how long each holds; unset without any.
        ttls = "TTLs": opt vector interval (Ttls<'a>),
        /// The server refused.
        rejected: bool,
    }
}

impl<'a> DnsRow<'a> {
    fn new(c: &'a ConnId, s: &DnsSession, asked: &'a Asked) -> DnsRow<'a> {
        let answers = Some(&*asked.answers).filter(|a| !a.is_empty());
        DnsRow {
            ts: s.ts,
            c,
            proto: c.proto.as_str(),
            trans_id: s.trans_id,
            rtt: asked.rtt,
            query: asked.query.as_deref(),
            qclass: asked.qclass,
            qclass_name: asked.qclass.map(names::qclass),
            qtype: asked.qtype,
            qtype_name: match asked.is_nbstat {
                true => Some("NBSTAT".into()),
                false => asked.qtype.map(names::qtype),
            },
            rcode: s.rcode,
            rcode_name: s.rcode.map(names::rcode),
            aa: s.aa,
            tc: s.tc,
            rd: s.rd,
            ra: s.ra,
            z: s.z,
            answers: answers.map(Answers),
            ttls: answers.map(Ttls),
            rejected: s.rejected,
        }
    }
}
