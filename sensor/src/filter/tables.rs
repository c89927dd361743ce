//! The kernel's tables, made of terms.

use sensor_common::filter::{PORTS, PROTOCOLS, Rules, Sides, VLANS};

use super::Action;
use super::expr::Side;
use super::term::Term;

/// One half of the tables, as [`sensor_common::filter`] has them.
pub struct Tables {
    /// What the rules do.
    pub rules: Rules,
    /// Networks: address and bits that count. All addresses are in one.
    pub nets: Vec<([u8; 16], u32, Sides)>,
    /// By port.
    pub ports: Vec<Sides>,
    /// By protocol.
    pub protocols: Vec<u64>,
    /// By VLAN.
    pub vlans: Vec<u64>,
    /// By the interfaces' numbers; 0 is for all others.
    pub interfaces: Vec<(u32, u64)>,
}

impl Tables {
    pub(super) fn new(terms: &[(Action, Term)], ifindex: impl Fn(&str) -> u32) -> Tables {
        let set = |holds: &dyn Fn(&Term) -> bool| {
            let bits = terms.iter().enumerate().filter(|(_, (_, t))| holds(t));
            bits.fold(0, |set, (i, _)| set | 1 << i)
        };
        let of = |action| {
            let bits = terms.iter().enumerate().filter(|(_, (a, _))| *a == action);
            bits.fold(0, |set, (i, _)| set | 1 << i)
        };
        let sides = |holds: &dyn Fn(&Term, Side) -> bool| Sides {
            src: set(&|t| holds(t, Side::Src)),
            dst: set(&|t| holds(t, Side::Dst)),
        };
        let mut nets: Vec<_> = terms.iter().flat_map(|(_, t)| t.nets()).collect();
        nets.push(([0; 16], 0));
        nets.sort_unstable();
        nets.dedup();
        let nets = nets.into_iter().map(|(net, bits)| {
            // An address whose longest network this is: it is in those that have all of this one.
            (net, bits, sides(&|t, side| t.has_addr(side, net, bits)))
        });
        let mut names: Vec<_> = terms.iter().flat_map(|(_, t)| t.interfaces()).collect();
        names.sort_unstable();
        names.dedup();
        let named = names.into_iter().map(|name| (ifindex(name), Some(name)));
        let interfaces = named.filter(|(i, _)| *i != 0).chain([(0, None)]);
        Tables {
            rules: Rules {
                ignore: of(Action::Ignore),
                count: of(Action::Count),
            },
            nets: nets.collect(),
            ports: (0..PORTS)
                .map(|p| sides(&|t, side| t.has_port(side, p as u16)))
                .collect(),
            protocols: (0..PROTOCOLS).map(|p| set(&|t| t.has_proto(p as u8))).collect(),
            vlans: (0..VLANS).map(|v| set(&|t| t.has_vlan(v as u16))).collect(),
            interfaces: interfaces
                .map(|(i, name)| (i, set(&|t| t.has_interface(name))))
                .collect(),
        }
    }

    /// What the kernel's program finds for a flow: by the same steps. For tests, and to see them in one place.
    #[cfg(test)]
    pub fn verdict(&self, p: &sensor_common::Packet, ifindex: u32) -> u32 {
        use super::expr::mask;
        let k = &p.key;
        let (src, dst, sport, dport) = match p.dir {
            0 => (k.a, k.b, k.a_port, k.b_port),
            _ => (k.b, k.a, k.b_port, k.a_port),
        };
        let net = |addr: [u8; 16]| {
            let covers = |(net, bits, _): &&([u8; 16], u32, Sides)| {
                (u128::from_be_bytes(*net) ^ u128::from_be_bytes(addr)) & mask(*bits) == 0
            };
            self.nets
                .iter()
                .filter(covers)
                .max_by_key(|n| n.1)
                .expect("a network")
                .2
        };
        let mut rest = net(src).src & net(dst).dst;
        if matches!(k.proto, 6 | 17) {
            rest &= self.ports[usize::from(sport)].src & self.ports[usize::from(dport)].dst;
        }
        rest &= self.protocols[usize::from(k.proto)] & self.vlans[usize::from(k.realm.vlans().0)];
        let named = self.interfaces.iter().find(|(i, _)| *i == ifindex);
        let other = self.interfaces.iter().find(|(i, _)| *i == 0);
        rest &= named.or(other).expect("an entry").1;
        self.rules.verdict(rest)
    }
}
