//! Expressions, as pcap-filter(7) has them, as far as they say something of a flow as it begins.

use std::iter::Peekable;
use std::net::IpAddr;
use std::vec::IntoIter;

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Both hold.
    And(Box<Expr>, Box<Expr>),
    /// One holds, or both.
    Or(Box<Expr>, Box<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// Something about a flow.
    Is(Atom),
}

/// Something about a flow that holds or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// The address of the source, or of the destination, is in a network: its first bits.
    Net(Side, [u8; 16], u32),
    /// A port of TCP or UDP is in a range.
    Port(Side, u16, u16),
    /// The IP protocol.
    Proto(u8),
    /// The VLAN; None: there is one.
    Vlan(Option<u16>),
    /// The interface that its first packet came by.
    Interface(String),
    /// Always.
    True,
}

/// An end of a flow, by its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who sent it.
    Src,
    /// Who was to get it.
    Dst,
}

/// Why rules cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter{}: {why}", of.as_ref().map_or_else(String::new, |of| format!(" {of:?}")))]
pub struct FilterError {
    /// The rule.
    of: Option<String>,
    why: String,
}

impl FilterError {
    /// With the reason.
    pub fn new(why: impl Into<String>) -> Self {
        FilterError {
            of: None,
            why: why.into(),
        }
    }

    pub(super) fn of_rule(self, rule: &str) -> Self {
        FilterError {
            of: Some(rule.trim().to_owned()),
            ..self
        }
    }

    pub(super) fn many(n: usize) -> Self {
        Self::new(format!(
            "the kernel has room for {} rules, and these are {n}: each `or`, and each port or address without src or dst, makes more",
            sensor_common::filter::MAX_RULES
        ))
    }
}

type Result<T> = std::result::Result<T, FilterError>;

/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: u32 = 64;
/// Longest expression, bytes.
const MAX_LENGTH: usize = 16 * 1024;

/// Which of the two sides a primitive is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dir {
    Src,
    Dst,
    Either,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
}

/// What stands before a value, and holds for values after it that have nothing before them.
#[derive(Clone, Copy)]
struct Qualifiers {
    proto: Option<u8>,
    /// 4 or 6.
    version: Option<u8>,
    dir: Dir,
    kind: Kind,
}

/// Reads an expression; an empty one always holds.
pub fn parse(text: &str) -> Result<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(FilterError::new("it is too long"));
    }
    let mut p = Parser {
        words: words(text).into_iter().peekable(),
        last: None,
        depth: 0,
    };
    if p.words.peek().is_none() {
        return Ok(Expr::Is(Atom::True));
    }
    let all = p.or()?;
    match p.words.next() {
        None => Ok(all),
        Some(word) => Err(FilterError::new(format!("`{word}` is not expected there"))),
    }
}

fn words(text: &str) -> Vec<String> {
    let spaced = text
        .replace("&&", " and ")
        .replace("||", " or ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    // `!=` is no negation, and is refused as a word.
    let spaced = spaced
        .replace("!=", "\u{0}")
        .replace('!', " not ")
        .replace('\u{0}', "!=");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser {
    words: Peekable<IntoIter<String>>,
    last: Option<Qualifiers>,
    depth: u32,
}

impl Parser {
    fn takes(&mut self, word: &str) -> bool {
        self.words.next_if(|w| w == word).is_some()
    }

    fn or(&mut self) -> Result<Expr> {
        // As in pcap, `and` and `or` bind alike, from the left.
        let mut left = self.not()?;
        loop {
            if self.takes("and") {
                left = Expr::And(Box::new(left), Box::new(self.not()?));
            } else if self.takes("or") {
                left = Expr::Or(Box::new(left), Box::new(self.not()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn not(&mut self) -> Result<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::new("it is nested too deeply"));
        }
        let found = if self.takes("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let inner = self.or()?;
            if !self.takes(")") {
                return Err(FilterError::new("a `)` is missing"));
            }
            inner
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn value(&mut self, of: &str) -> Result<String> {
        let next = self
            .words
            .next_if(|w| !matches!(w.as_str(), "and" | "or" | "not" | "(" | ")"));
        next.ok_or_else(|| FilterError::new(format!("`{of}` needs a value")))
    }

    fn primitive(&mut self) -> Result<Expr> {
        let mut q = Qualifiers {
            proto: None,
            version: None,
            dir: Dir::Either,
            kind: Kind::Host,
        };
        let (mut named, mut kind, mut dir) = (false, None, None);
        let missing = || FilterError::new("a condition is missing");
        loop {
            let Some(word) = self.words.peek().cloned() else {
                return match named && kind.is_none() && dir.is_none() {
                    true => Ok(of_proto(&q)),
                    false => Err(missing()),
                };
            };
            match word.as_str() {
                "tcp" => (q.proto, named) = (Some(IPPROTO_TCP), true),
                "udp" => (q.proto, named) = (Some(IPPROTO_UDP), true),
                "icmp" => (q.proto, named) = (Some(IPPROTO_ICMP), true),
                "icmp6" => (q.proto, named) = (Some(IPPROTO_ICMPV6), true),
                "ip" => (q.version, named) = (Some(4), true),
                "ip6" => (q.version, named) = (Some(6), true),
                "src" => dir = Some(Dir::Src),
                "dst" => dir = Some(Dir::Dst),
                "inbound" | "outbound" => {
                    return Err(FilterError::new(format!(
                        "`{word}` is not known of a flow: use `ifname`"
                    )));
                }
                "host" => kind = Some(Kind::Host),
                "net" => kind = Some(Kind::Net),
                "port" => kind = Some(Kind::Port),
                "portrange" => kind = Some(Kind::PortRange),
                "proto" => {
                    self.words.next();
                    let value = self.value("proto")?;
                    q.proto = Some(proto(&value)?);
                    return Ok(of_proto(&q));
                }
                "vlan" => {
                    self.words.next();
                    let id = self.words.next_if(|w| w.bytes().all(|b| b.is_ascii_digit()));
                    let id = id.map(|id| match id.parse() {
                        Ok(id @ 0..=4095) => Ok(id),
                        _ => Err(FilterError::new(format!("`{id}` is no VLAN"))),
                    });
                    return Ok(Expr::Is(Atom::Vlan(id.transpose()?)));
                }
                "ifname" | "on" => {
                    self.words.next();
                    return Ok(Expr::Is(Atom::Interface(self.value(&word)?)));
                }
                "and" | "or" | "not" | "(" | ")" => {
                    return if named && kind.is_none() && dir.is_none() {
                        Ok(of_proto(&q))
                    } else {
                        Err(missing())
                    };
                }
                _ => break,
            }
            self.words.next();
            // `src or dst port 53`, `src and dst net 10.0.0.0/8`.
            if word == "src" && kind.is_none() {
                let mut ahead = self.words.clone();
                let (joint, second) = (ahead.next(), ahead.next());
                if second.as_deref() == Some("dst") {
                    dir = match joint.as_deref() {
                        Some("or") => Some(Dir::Either),
                        Some("and") => Some(Dir::Both),
                        _ => dir,
                    };
                    if matches!(joint.as_deref(), Some("or" | "and")) && is_kind(ahead.next().as_deref()) {
                        self.words.next();
                        self.words.next();
                    } else {
                        dir = Some(Dir::Src);
                    }
                }
            }
        }
        let value = self.words.next().ok_or_else(missing)?;
        if kind.is_none() && dir.is_none() && !named {
            // A value alone has what the one before it had.
            if !starts_value(&value) {
                return Err(unknown(&value));
            }
            q = self.last.unwrap_or(q);
            if self.last.is_none() && value.parse::<u32>().is_ok() {
                return Err(FilterError::new(format!(
                    "`{value}`: say `host`, `net` or `port`"
                )));
            }
        } else {
            q.kind = kind.unwrap_or(if value.contains('/') {
                Kind::Net
            } else {
                Kind::Host
            });
            q.dir = dir.unwrap_or(Dir::Either);
        }
        self.last = Some(q);
        of_value(&q, &value)
    }
}

fn is_kind(word: Option<&str>) -> bool {
    matches!(word, Some("host" | "net" | "port" | "portrange"))
}

fn starts_value(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':')
        && word.contains(|c: char| c.is_ascii_digit() || c == ':')
}

fn unknown(word: &str) -> FilterError {
    let why = match word.split(['[', '=', '<', '>']).next().unwrap_or(word) {
        "less" | "greater" | "len" => "looks at each packet; rules look at flows as they begin",
        "tcp" | "udp" | "ip" | "ip6" | "icmp" | "icmp6" | "ether" => {
            "looks into packets; rules look at flows as they begin"
        }
        "broadcast" | "multicast" | "gateway" | "arp" | "rarp" | "mpls" | "pppoed" | "pppoes" => {
            "is of the link layer, which flows are not"
        }
        _ => return FilterError::new(format!("`{word}` is not known")),
    };
    FilterError::new(format!("`{word}` {why}"))
}

fn of_proto(q: &Qualifiers) -> Expr {
    let proto = q.proto.map(|p| Expr::Is(Atom::Proto(p)));
    let version = q.version.map(of_version);
    match (proto, version) {
        (Some(p), Some(v)) => Expr::And(Box::new(v), Box::new(p)),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Expr::Is(Atom::True),
    }
}

/// IPv4 addresses stand in IPv6's as mapped ones.
fn of_version(version: u8) -> Expr {
    let v4 = Expr::Is(Atom::Net(Side::Src, sensor_common::key::v4_mapped([0; 4]), 96));
    match version {
        4 => v4,
        _ => Expr::Not(Box::new(v4)),
    }
}

fn proto(value: &str) -> Result<u8> {
    Ok(match value.trim_start_matches('\\') {
        "tcp" => IPPROTO_TCP,
        "udp" => IPPROTO_UDP,
        "icmp" => IPPROTO_ICMP,
        "icmp6" => IPPROTO_ICMPV6,
        "sctp" => 132,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        n => n
            .parse()
            .map_err(|_| FilterError::new(format!("`{n}` is no IP protocol")))?,
    })
}

fn of_value(q: &Qualifiers, value: &str) -> Result<Expr> {
    let at = |side| -> Result<Expr> {
        Ok(Expr::Is(match q.kind {
            Kind::Host => {
                let (net, bits) = network(value)?;
                if bits != 128 {
                    return Err(FilterError::new(format!("`{value}` is a network: say `net`")));
                }
                Atom::Net(side, net, bits)
            }
            Kind::Net => {
                let (net, bits) = network(value)?;
                Atom::Net(side, net, bits)
            }
            Kind::Port => {
                let port = port(value)?;
                Atom::Port(side, port, port)
            }
            Kind::PortRange => {
                let no = || FilterError::new(format!("`{value}` is no range of ports, such as 6000-6063"));
                let (low, high) = value.split_once('-').ok_or_else(no)?;
                let (low, high) = (port(low)?, port(high)?);
                if low > high {
                    return Err(no());
                }
                Atom::Port(side, low, high)
            }
        }))
    };
    let pair = |join: fn(Box<Expr>, Box<Expr>) -> Expr| -> Result<Expr> {
        Ok(join(Box::new(at(Side::Src)?), Box::new(at(Side::Dst)?)))
    };
    let mut found = match q.dir {
        Dir::Src => at(Side::Src)?,
        Dir::Dst => at(Side::Dst)?,
        Dir::Either => pair(Expr::Or)?,
        Dir::Both => pair(Expr::And)?,
    };
    if q.proto.is_some() || q.version.is_some() {
        found = Expr::And(Box::new(of_proto(q)), Box::new(found));
    }
    Ok(found)
}

fn port(value: &str) -> Result<u16> {
    let no = || FilterError::new(format!("`{value}` is no port: names are not looked up"));
    value.parse().map_err(|_| no())
}

/// An address, or a network as ADDRESS/BITS, as the flow table has addresses; and how many of its bits count.
fn network(value: &str) -> Result<([u8; 16], u32)> {
    let no = || {
        FilterError::new(format!(
            "`{value}` is no address or network: names are not looked up"
        ))
    };
    let (addr, bits) = match value.split_once('/') {
        Some((addr, bits)) => (addr, Some(bits.parse::<u32>().map_err(|_| no())?)),
        None => (value, None),
    };
    let (addr, offset) = match addr.parse().map_err(|_| no())? {
        IpAddr::V4(a) => (sensor_common::key::v4_mapped(a.octets()), 96),
        IpAddr::V6(a) => (a.octets(), 0),
    };
    let bits = bits.map_or(128, |b| b + offset);
    if bits > 128 {
        return Err(no());
    }
    if u128::from_be_bytes(addr) & !mask(bits) != 0 {
        return Err(FilterError::new(format!("`{value}` has bits beyond its prefix")));
    }
    Ok((addr, bits))
}

/// The first so many bits of an address.
pub(super) fn mask(bits: u32) -> u128 {
    match bits {
        0 => 0,
        n => u128::MAX << (128 - n.min(128)),
    }
}
