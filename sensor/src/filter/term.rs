//! Terms: conditions that all have to hold. An expression is an alternative of terms, each one rule of the kernel's.

use sensor_common::key::{IPPROTO_TCP, IPPROTO_UDP};
use sensor_common::{FlowKey, Packet};

use super::expr::{Atom, Expr, FilterError, Side, mask};

/// Most terms on the way; what contradicts itself falls away at the end.
const MAX_TERMS: usize = 1024;

/// A condition, or its contrary.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    atom: Atom,
    holds: bool,
}

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term(Vec<Literal>);

/// The terms of an expression.
pub fn terms(e: &Expr) -> Result<Vec<Term>, FilterError> {
    let mut all = alternatives(e, true)?;
    all.retain(Term::is_possible);
    all.dedup();
    Ok(all)
}

fn alternatives(e: &Expr, holds: bool) -> Result<Vec<Term>, FilterError> {
    let found = match (e, holds) {
        (Expr::Not(e), _) => return alternatives(e, !holds),
        (Expr::Or(a, b), true) | (Expr::And(a, b), false) => {
            let mut all = alternatives(a, holds)?;
            all.extend(alternatives(b, holds)?);
            all
        }
        (Expr::And(a, b), true) | (Expr::Or(a, b), false) => {
            let (a, b) = (alternatives(a, holds)?, alternatives(b, holds)?);
            if a.len() * b.len() > MAX_TERMS {
                return Err(FilterError::many(a.len() * b.len()));
            }
            let both = a.iter().flat_map(|a| b.iter().map(move |b| a.and(b)));
            both.filter(Term::is_possible).collect()
        }
        (Expr::Is(Atom::True), true) => vec![Term::default()],
        (Expr::Is(Atom::True), false) => Vec::new(),
        (Expr::Is(atom), holds) => {
            let atom = atom.clone();
            vec![Term(vec![Literal { atom, holds }])]
        }
    };
    match found.len() {
        n if n > MAX_TERMS => Err(FilterError::many(n)),
        _ => Ok(found),
    }
}

impl Term {
    fn and(&self, other: &Term) -> Term {
        let mut all = self.0.clone();
        all.extend(other.0.iter().filter(|l| !self.0.contains(l)).cloned());
        Term(all)
    }

    /// Whether any flow can match, as far as that is quickly seen.
    fn is_possible(&self) -> bool {
        let contradicts = |l: &Literal| self.0.iter().any(|o| o.atom == l.atom && o.holds != l.holds);
        !self.0.iter().any(contradicts) && (0..=u8::MAX).any(|p| self.has_proto(p))
    }

    pub fn asks_for_vlans(&self) -> bool {
        self.0.iter().any(|l| matches!(l.atom, Atom::Vlan(_)))
    }

    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|l| match &l.atom {
            Atom::Interface(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Networks that it speaks of.
    pub fn nets(&self) -> impl Iterator<Item = ([u8; 16], u32)> {
        self.0.iter().filter_map(|l| match l.atom {
            Atom::Net(_, net, bits) => Some((net, bits)),
            _ => None,
        })
    }

    /// Whether all hold that `says` has an opinion of.
    fn all(&self, says: impl Fn(&Atom) -> Option<bool>) -> bool {
        self.0
            .iter()
            .all(|l| says(&l.atom).is_none_or(|is| is == l.holds))
    }

    /// Whether an address, or all addresses of a network that no network of a term divides, may be a side's.
    pub fn has_addr(&self, side: Side, addr: [u8; 16], bits: u32) -> bool {
        self.all(|atom| match atom {
            Atom::Net(s, net, n) if *s == side => {
                let differs = u128::from_be_bytes(addr) ^ u128::from_be_bytes(*net);
                Some(*n <= bits && differs & mask(*n) == 0)
            }
            _ => None,
        })
    }

    pub fn has_port(&self, side: Side, port: u16) -> bool {
        self.all(|atom| match atom {
            Atom::Port(s, low, high) if *s == side => Some((*low..=*high).contains(&port)),
            _ => None,
        })
    }

    pub fn has_proto(&self, proto: u8) -> bool {
        // Others have no ports; what is said of them cannot hold, and its contrary does.
        let with_ports = matches!(proto, IPPROTO_TCP | IPPROTO_UDP);
        let named = self.all(|atom| match atom {
            Atom::Proto(p) => Some(*p == proto),
            _ => None,
        });
        let has = |l: &Literal| !matches!(l.atom, Atom::Port(..)) || !l.holds || with_ports;
        named && self.0.iter().all(has)
    }

    pub fn has_vlan(&self, vlan: u16) -> bool {
        self.all(|atom| match atom {
            Atom::Vlan(None) => Some(vlan != 0),
            Atom::Vlan(Some(id)) => Some(*id == vlan),
            _ => None,
        })
    }

    /// `name`: None is an interface that no rule speaks of.
    pub fn has_interface(&self, name: Option<&str>) -> bool {
        self.all(|atom| match atom {
            Atom::Interface(n) => Some(Some(n.as_str()) == name),
            _ => None,
        })
    }

    /// Whether the flow that a packet begins matches.
    pub fn matches(&self, p: &Packet) -> bool {
        let k: &FlowKey = &p.key;
        let (src, dst, sport, dport) = match p.dir {
            0 => (k.a, k.b, k.a_port, k.b_port),
            _ => (k.b, k.a, k.b_port, k.a_port),
        };
        let ports = !matches!(k.proto, IPPROTO_TCP | IPPROTO_UDP)
            || self.has_port(Side::Src, sport) && self.has_port(Side::Dst, dport);
        self.has_proto(k.proto)
            && ports
            && self.has_addr(Side::Src, src, 128)
            && self.has_addr(Side::Dst, dst, 128)
            && self.has_vlan(k.realm.vlans().0)
            && self.has_interface(None)
    }
}
