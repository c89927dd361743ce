//! Handshakes of any version and shape, their datagrams in any order; and what is left of them when bytes are spoilt.

use proptest::prelude::*;

use super::peer::{Peers, Side, client_hello, server_hello};
use super::{Flow, Heard, Next};
use crate::analyzer::quic::names;

/// How a connection goes.
#[derive(Clone, Debug)]
struct Plan {
    version: u32,
    ids: [Vec<u8>; 3],
    name: String,
    protocol: String,
    /// Bytes of the client's key: post-quantum ones do not fit into a datagram.
    key: usize,
    /// How long pieces of CRYPTO are.
    piece: usize,
    /// Pieces a packet.
    each: usize,
    /// Random numbers that pieces and datagrams are put in order by.
    order: Vec<u32>,
}

fn id(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), len)
}

fn plan() -> impl Strategy<Value = Plan> {
    let version = prop_oneof![
        Just(names::V1),
        Just(names::V2),
        (0xff00_001d..=0xff00_0020u32),
        Just(0xff00_0022u32),
    ];
    (
        version,
        (id(0..=20), id(0..=20), id(0..=20)),
        "[a-z]{1,20}(\\.[a-z]{2,9}){0,3}",
        "[a-z0-9]{1,9}",
        prop_oneof![Just(32usize), Just(1216), 0..4000usize],
        20..700usize,
        1..6usize,
        proptest::collection::vec(any::<u32>(), 300),
    )
        .prop_map(|(version, ids, name, protocol, key, piece, each, order)| Plan {
            version,
            ids: [ids.0, ids.1, ids.2],
            name,
            protocol,
            key,
            piece,
            each,
            order,
        })
}

/// All datagrams of a plan, in a random order.
fn datagrams(plan: &Plan) -> Vec<(Side, Vec<u8>)> {
    let mut peers = Peers::new(plan.version, &plan.ids[0], &plan.ids[1], &plan.ids[2]);
    let mut order = plan.order.iter().cycle().copied();
    let mut all = Vec::new();
    let messages = [
        client_hello(&plan.name, &[&plan.protocol], plan.key),
        server_hello(),
    ];
    for (side, message) in [Side::Client, Side::Server].into_iter().zip(&messages) {
        let mut at = 0u64;
        let mut pieces: Vec<(u32, (u64, &[u8]))> = Vec::new();
        for piece in message.chunks(plan.piece) {
            pieces.push((order.next().unwrap_or(0), (at, piece)));
            at += piece.len() as u64;
        }
        pieces.sort_by_key(|p| p.0);
        for packet in pieces.chunks(plan.each) {
            let list: Vec<(u64, &[u8])> = packet.iter().map(|p| p.1).collect();
            all.push((order.next().unwrap_or(0), (side, peers.initial(side, &list))));
        }
    }
    for side in [Side::Client, Side::Server] {
        all.push((order.next().unwrap_or(0), (side, peers.handshake(side))));
    }
    all.sort_by_key(|d| d.0);
    all.into_iter().map(|d| d.1).collect()
}

fn heard(datagrams: &[(Side, Vec<u8>)]) -> Heard {
    let mut flow = Flow::new(443);
    for (side, datagram) in datagrams {
        flow.sends(*side, datagram);
    }
    flow.over()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A thousand of them, each with every packet at any place, the server's before the client's too.
    #[test]
    fn any_handshake_in_any_order_is_read(plan in plan()) {
        let out = heard(&datagrams(&plan));
        let [row] = &out.quic[..] else { panic!("{:?} {:?}", out.quic, out.said) };
        let want = format!(r#""server_name":"{}","client_protocol":"{}""#, plan.name, plan.protocol);
        prop_assert!(row.contains(&want), "{row} {:?}", out.said);
        prop_assert!(out.ssl[0].contains(r#""version":"TLSv13","cipher":"TLS_AES_128_GCM_SHA256""#));
        prop_assert!(!out.said.iter().any(|s| s.contains(':')), "{:?}", out.said);
        prop_assert_eq!(out.ssl.len(), 1);
    }
}

proptest! {
    /// Spoilt bytes, cut datagrams and noise end in a violation or in nothing; every connection has had its rows.
    #[test]
    fn what_is_spoilt_does_no_harm(
        plan in plan(),
        spoil in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 0..6),
        noise in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..4),
    ) {
        let mut all = datagrams(&plan);
        for (which, at, value) in spoil {
            let n = all.len();
            let (_, datagram) = &mut all[usize::from(which) % n];
            let at = usize::from(at) % datagram.len().max(1);
            match value {
                0..64 => datagram.truncate(at),
                _ => if let Some(b) = datagram.get_mut(at) { *b ^= value },
            }
        }
        for (is_client, bytes) in noise {
            all.insert(0, (if is_client { Side::Client } else { Side::Server }, bytes));
        }
        let mut flow = Flow::new(443);
        for (side, datagram) in &all {
            flow.sends(*side, datagram);
        }
        let stopped = flow.next == Next::Stop;
        let out = flow.over();
        prop_assert!(!stopped || out.said.iter().any(|s| s.starts_with("quic: ")));
    }
}
