use super::*;

const NONE: Realm = Realm::NONE;

const A: [u8; 16] = [1; 16];
const B: [u8; 16] = [2; 16];

#[test]
fn an_ip_tunnel_is_one_for_both_directions_and_kinds() {
    let t = Tunnels::default();
    let there = t.ip(None, TunnelKind::Gre, (&A, &B, NONE), 47, 5);
    let back = t.ip(None, TunnelKind::Ip, (&B, &A, NONE), 4, 6);
    assert_eq!(there.id, back.id);
    assert_eq!(back.last(), Some(TunnelKind::Gre));
    assert_eq!(back.layers[0].ends.orig, A);
    let inside = t.ip(Some(&there), TunnelKind::Gre, (&A, &B, NONE), 47, 7);
    assert_ne!(inside.id, there.id);
    assert_eq!(inside.layers.len(), 2);
    assert!(t.get(there.id).is_some_and(|s| s.same(&there)) && !inside.same(&there));
    assert!(t.get(0).is_none() && t.get(77).is_none());
}

#[test]
fn an_ip_tunnel_that_was_silent_is_another() {
    let t = Tunnels::default();
    let n = |now| t.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, now).layers[0].n;
    let first = n(0);
    // Looked at after 24 hours, when it had been silent for 4; then after 48.
    assert_eq!(n(20 * HOUR), first);
    assert_eq!(n(47 * HOUR), first);
    assert_ne!(n(96 * HOUR), first);
}

#[test]
fn vxlan_is_the_same_from_either_side() {
    let t = Tunnels::default();
    let layer = |o: [u8; 16], r: [u8; 16], kind| Layer {
        kind,
        ends: udp_ends((o, 1), (r, 4789), NONE),
        n: 3,
    };
    let (x, y) = (
        t.conn(None, layer(A, B, TunnelKind::Vxlan)),
        t.conn(None, layer(B, A, TunnelKind::Vxlan)),
    );
    assert!(x.same(&y));
    let (x, y) = (
        t.conn(None, layer(A, B, TunnelKind::Geneve)),
        t.conn(None, layer(B, A, TunnelKind::Geneve)),
    );
    assert!(!x.same(&y));
}

#[test]
fn tunnels_are_discovered_once_and_expire() {
    let t = Tunnels::default();
    let s = t.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 0);
    assert_eq!(t.discover(&s.layers, 0).len(), 1);
    assert_eq!(t.discover(&s.layers, HOUR / 2).len(), 0);
    assert_eq!(t.expire(HOUR).1, Some(HOUR + HOUR / 2));
    assert_eq!(t.expire(2 * HOUR).0.len(), 1);
    assert_eq!(t.expire(2 * HOUR), (vec![], None));
    assert_eq!(t.discover(&s.layers, 2 * HOUR).len(), 1);
    assert!(t.close(&s.layers[0].ends).is_some());
    assert!(t.close(&s.layers[0].ends).is_none());
}

fn by_program(proto: u8, from: u8, count: u64) -> u32 {
    Number { proto, from }.of(count)
}

#[test]
fn who_sees_a_number_first_makes_the_tunnel() {
    let t = Tunnels::default();
    let other = t.clone();
    let (key, _) = FlowKey::new(&A, &B, 5, VXLAN_PORT, IPPROTO_UDP, false);
    let id = by_program(IPPROTO_UDP, 0, 1);
    assert!(t.get(id).is_none());
    let s = other.numbered(id, &key, 3, || 77).expect("a tunnel");
    let ends = udp_ends((A, 5), (B, VXLAN_PORT), NONE);
    let kind = TunnelKind::Vxlan;
    assert_eq!((s.id, s.layers[0]), (id, Layer { kind, ends, n: 77 }));
    // The connection finds its number, and what is taken out of it in userspace has the same way.
    let held = t.hold(id, &key, false, || unreachable!()).expect("known");
    assert_eq!(held.layers[0].n, 77);
    assert_eq!(t.conn(None, held.layers[0]).id, id);
    // The other end of the key is the originator, and its port is none of a tunnel.
    let back = by_program(IPPROTO_UDP, 1, 2);
    assert!(t.numbered(back, &key, 3, || 78).is_none());
    // Another connection in the same entry.
    let again = t.hold(id, &key, true, || 79).expect("another");
    assert_eq!(again.layers[0].n, 79);
    assert_eq!(other.get(id).expect("known").layers[0].n, 79);
}

#[test]
fn a_number_that_is_held_is_not_forgotten() {
    let t = Tunnels::default();
    let (key, _) = FlowKey::new(&A, &B, 5, GENEVE_PORT, IPPROTO_UDP, false);
    let id = by_program(IPPROTO_UDP, 0, 1);
    t.hold(id, &key, false, || 1);
    let flood = || {
        for n in 0..(3 * GENERATION_ENTRIES as u128) {
            t.ip(None, TunnelKind::Ip, (&n.to_be_bytes(), &B, NONE), 4, 0);
        }
    };
    flood();
    assert!(t.get(id).is_some());
    t.let_go(id);
    assert!(t.get(id).is_some());
    flood();
    assert!(t.get(id).is_none());
}

#[test]
fn hosts_have_one_tunnel_whoever_took_it_apart() {
    let t = Tunnels::default();
    let (key, _) = FlowKey::new(&A, &B, 0, 0, 0, false);
    let never = || unreachable!();
    let number = |from, count| by_program(proto::GRE, from, count);
    // Userspace was first.
    let slow = t.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 5);
    let fast = t.numbered(number(1, 1), &key, 6, never).expect("a tunnel");
    assert!(fast.same(&slow) && fast.last() == Some(TunnelKind::Ip));
    // Once the program counts it, it is the program that knows of a silence.
    let later = t.ip(None, TunnelKind::Gre, (&B, &A, NONE), 47, 100 * HOUR);
    assert!(later.same(&fast));
    let other = t
        .numbered(number(1, 2), &key, 101 * HOUR, never)
        .expect("another");
    assert!(!other.same(&fast) && other.layers[0].ends.orig == B);
    assert!(
        t.ip(None, TunnelKind::Gre, (&B, &A, NONE), 47, 101 * HOUR)
            .same(&other)
    );
    assert!(
        t.numbered(number(1, 1), &key, 101 * HOUR, never)
            .is_some_and(|s| s.same(&fast))
    );
}

#[test]
fn what_is_remembered_is_what_the_table_has() {
    let t = Tunnels::default();
    let (mine, yours) = (t.clone(), t.clone());
    let first = mine.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 0);
    // Not told of the silence, as it is not asked.
    assert_eq!(
        yours.ip(None, TunnelKind::Ip, (&B, &A, NONE), 4, HOUR).id,
        first.id
    );
    for now in [HOUR, 20 * HOUR, 43 * HOUR, 70 * HOUR] {
        assert_eq!(
            mine.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, now).id,
            first.id,
            "{now}"
        );
    }
    let second = yours.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 130 * HOUR);
    assert_ne!(second.id, first.id);
    assert_eq!(
        mine.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 130 * HOUR).id,
        second.id
    );
    // What is used goes on being known to others while the rest is forgotten.
    let kind = TunnelKind::Vxlan;
    let ends = udp_ends((A, 1), (B, VXLAN_PORT), NONE);
    let used = mine.conn(None, Layer { kind, ends, n: 1 });
    for n in 0..(3 * GENERATION_ENTRIES as u64) {
        yours.conn(None, Layer { kind, ends, n: n + 2 });
        if n % 1000 == 0 {
            assert_eq!(mine.conn(None, Layer { kind, ends, n: 1 }).id, used.id);
        }
    }
    assert!(t.get(used.id).is_some());
}

/// A flood of tunnels takes bounded memory, and what is in use stays.
#[test]
fn a_flood_is_bounded() {
    let t = Tunnels::default();
    let used = t.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 0);
    for n in 0..(3 * GENERATION_ENTRIES as u128) {
        let other = t.ip(None, TunnelKind::Ip, (&n.to_be_bytes(), &B, NONE), 4, 0);
        t.discover(&other.layers, 0);
        if n % 1000 == 0 {
            assert_eq!(t.ip(None, TunnelKind::Ip, (&A, &B, NONE), 4, 0).id, used.id);
        }
    }
    assert!(t.get(used.id).is_some());
    let lens = t.locked(|table| {
        [
            table.by_id.len(),
            table.stacks.len(),
            table.ip.len(),
            table.active.len(),
        ]
    });
    for len in lens {
        assert!(len <= 2 * GENERATION_ENTRIES);
    }
}
