//! The conversation in several networks at once that use the same addresses: VLANs, and the virtual networks of VXLAN and
//! Geneve.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::shapes::{self, Shape, Shot, ethertype, fragmented, from_client, plain, tunnel, udp_tunnel};
use super::{Ask, BY_KERNEL, ETHERNET, read, write_pcap};
use sensor_tests::sensor::TempDir;

/// The options with which keys know all of them.
pub const AWARE: &[&str] = &["--vlan-aware", "on", "--vni-aware"];

/// VLAN tags; the priority tag names none.
const TAGS: [&[u8]; 4] = [
    &[0x81, 0, 0, 5],
    &[0x81, 0, 0, 6],
    &[0x88, 0xa8, 0, 5, 0x81, 0, 0xe0, 6],
    &[0x81, 0, 0xe0, 0, 0x81, 0, 0x0f, 0xfe],
];
/// What conn.log has for them: outer and inner VLAN.
const VLANS: [[u64; 2]; 4] = [[5, 0], [6, 0], [5, 6], [4094, 0]];
const VNIS: [u32; 3] = [1, 256, 0xff_ffff];

fn tagged(tags: &[u8], p: &[u8]) -> Shot {
    tag(tags, &plain(p))
}

/// A frame behind more tags.
fn tag(tags: &[u8], s: &Shot) -> Shot {
    let (addresses, rest) = s.data.split_at(12);
    Shot {
        data: [addresses, tags, rest].concat(),
        wire: s.wire + tags.len() as u32,
    }
}

fn vxlan(vni: u32, p: &[u8]) -> Shot {
    let [_, a, b, c] = vni.to_be_bytes();
    let mut outer = shapes::vxlan(from_client(p), &plain(p).data);
    outer[28 + 4..28 + 7].copy_from_slice(&[a, b, c]);
    plain(&outer)
}

fn geneve(vni: u32, p: &[u8]) -> Shot {
    let [_, a, b, c] = vni.to_be_bytes();
    let t = ethertype(p);
    udp_tunnel(6081, &[0, 0, t[0], t[1], a, b, c, 0], p)
}

/// Each packet in each of the networks, one after the other.
fn in_each<N: Copy>(networks: &[N], f: impl Fn(N, &[u8]) -> Vec<Shot>) -> Vec<Shot> {
    let packets = shapes::both();
    let all = packets.iter().flat_map(|p| networks.iter().map(move |n| (*n, p)));
    all.flat_map(|(n, p)| f(n, p)).collect()
}

fn gre(p: &[u8]) -> Shot {
    let t = ethertype(p);
    tunnel(47, &[0, 0, t[0], t[1]], p)
}

pub fn all() -> Vec<Shape> {
    let mut out = Vec::new();
    let mut add = |name, shots| out.push(Shape { name, shots });
    add("vlans", in_each(&TAGS, |t, p| vec![tagged(t, p)]));
    let pieces = |t: &[u8], p: &[u8]| fragmented(p.len(), p).iter().map(|s| tag(t, s)).collect();
    add("fragments-in-vlans", in_each(&TAGS, pieces));
    add("gre-in-vlans", in_each(&TAGS, |t, p| vec![tag(t, &gre(p))]));
    add("vxlans", in_each(&VNIS, |n, p| vec![vxlan(n, p)]));
    add(
        "vxlan-in-vlans",
        in_each(&TAGS, |t, p| vec![tag(t, &vxlan(7, p))]),
    );
    add("geneves", in_each(&VNIS, |n, p| vec![geneve(n, p)]));
    // Tags inside a virtual network say no more than it does.
    let tags_in = |t: &[u8], p: &[u8]| vec![plain(&shapes::vxlan(from_client(p), &tagged(t, p).data))];
    add("vlans-in-vxlan", in_each(&TAGS, tags_in));
    out
}

/// What conn.log tells the networks by: those that each pair of ends was seen in, by what the connections did there.
/// Connections that carry others are left out.
fn networks(log: &[u8]) -> BTreeMap<String, BTreeSet<[u64; 3]>> {
    let mut out: BTreeMap<String, BTreeSet<[u64; 3]>> = BTreeMap::new();
    for line in log.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let row: Value = serde_json::from_slice(line).unwrap();
        let number = |column: &str| row[column].as_u64().unwrap_or(0);
        if row["id.resp_p"] == 4789 || row["id.resp_p"] == 6081 {
            continue;
        }
        let ends = ["id.orig_h", "id.resp_h", "id.orig_p", "id.resp_p", "proto"];
        let did = [
            "history",
            "orig_ip_bytes",
            "resp_ip_bytes",
            "conn_state",
            "service",
        ];
        let what = ends.iter().chain(&did).map(|c| row[*c].to_string());
        // The two directions come through tunnels of their own, which history's X says.
        let what: Vec<_> = what.map(|v| v.replace('X', "")).collect();
        let network = ["vlan", "inner_vlan", "vni"].map(number);
        assert!(
            out.entry(what.join(" ")).or_default().insert(network),
            "twice: {row}"
        );
    }
    out
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn the_same_ends_in_several_networks_are_as_many_connections() {
    let vlans: BTreeSet<_> = VLANS.iter().map(|[o, i]| [*o, *i, 0]).collect();
    let vnis: BTreeSet<_> = VNIS.iter().map(|n| [0, 0, *n as u64]).collect();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.pcap");
    let each = |shots: &[Shot], options: &[&str]| {
        write_pcap(&path, 0, ETHERNET, shots);
        let options = [&["--log-format", "json"], options].concat();
        let left = read(std::slice::from_ref(&path), &options, Ask::Logs);
        assert_eq!(left.status, Some(0), "{}", left.said);
        networks(&left.files["conn.log"])
    };
    let alone = each(&shapes::both().iter().map(|p| plain(p)).collect::<Vec<_>>(), &[]);
    assert!(alone.len() >= 6, "{alone:#?}");
    for shape in all() {
        let (aware, want) = match shape.name {
            "vlans" | "fragments-in-vlans" | "gre-in-vlans" => (&AWARE[..2], &vlans),
            "vxlans" | "geneves" => (&AWARE[2..], &vnis),
            "vlans-in-vxlan" => (&AWARE[..2], &vlans),
            _ => continue,
        };
        for way in [&[][..], BY_KERNEL[0], BY_KERNEL[1]] {
            let found = each(&shape.shots, &[way, aware].concat());
            for (what, n) in &found {
                assert_eq!(n, want, "{} {way:?}: {what}", shape.name);
            }
            // Fragments have headers of their own.
            if !shape.name.starts_with("fragments") {
                let (found, alone): (Vec<_>, Vec<_>) = (found.keys().collect(), alone.keys().collect());
                assert_eq!(found, alone, "{} {way:?}", shape.name);
            }
            assert_eq!(found.len(), alone.len(), "{} {way:?}", shape.name);
        }
    }
}
