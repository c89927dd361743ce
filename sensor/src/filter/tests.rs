//! Rules as they are written, over packets of every kind; and the kernel's tables, which decide alike.

use proptest::prelude::*;
use sensor_common::filter::{COUNT, IGNORE, WATCH};
use sensor_common::key::{Realm, v4_mapped};
use sensor_common::{FlowKey, Packet};

use super::*;

fn packet(src: &str, sport: u16, dst: &str, dport: u16, proto: u8, vlan: u16) -> Packet {
    let addr = |a: &str| match a.parse().expect("an address") {
        std::net::IpAddr::V4(a) => v4_mapped(a.octets()),
        std::net::IpAddr::V6(a) => a.octets(),
    };
    let (mut key, dir) = FlowKey::new(&addr(src), &addr(dst), sport, dport, proto, false);
    key.realm = Realm::of_vlans(vlan, 0);
    Packet {
        key,
        dir,
        ..Packet::default()
    }
}

fn web() -> Packet {
    packet("10.0.0.1", 4096, "192.0.2.1", 443, 6, 0)
}

fn filter(rules: &[&str]) -> Filter {
    Filter::new(rules.iter().copied()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn expressions_mean_what_they_mean_to_pcap() {
    let dns = packet("fd00::1", 5353, "fd00::2", 53, 17, 7);
    let ping = packet("10.0.0.1", 8, "10.0.0.2", 0, 1, 0);
    for (expression, expected) in [
        ("tcp", [true, false, false]),
        ("port 443", [true, false, false]),
        ("src port 443", [false, false, false]),
        ("dst port 443 or 53", [true, true, false]),
        ("port 53 or 443", [true, true, false]),
        ("not port 443", [false, true, true]),
        ("! tcp && ! udp", [false, false, true]),
        ("host 10.0.0.1", [true, false, true]),
        ("10.0.0.1 and not icmp", [true, false, false]),
        ("net 10.0.0.0/8", [true, false, true]),
        ("src and dst net 10.0.0.0/8", [false, false, true]),
        ("src or dst net 192.0.2.0/24", [true, false, false]),
        (
            "src net 10.0.0.0/8 and dst net 192.0.2.0/24",
            [true, false, false],
        ),
        ("dst 192.0.2.0/24", [true, false, false]),
        ("not net 192.0.2.0/24", [false, true, true]),
        ("ip", [true, false, true]),
        ("ip6", [false, true, false]),
        ("ip6 and udp portrange 50-60", [false, true, false]),
        ("udp and (port 53 or port 123)", [false, true, false]),
        ("tcp or udp and port 53", [false, true, false]),
        ("ip proto 1", [false, false, true]),
        ("proto icmp", [false, false, true]),
        ("vlan 7", [false, true, false]),
        ("vlan and udp", [false, true, false]),
        ("not vlan", [true, false, true]),
        ("ip host 10.0.0.2", [false, false, true]),
        ("icmp and icmp6", [false, false, false]),
        ("", [true, true, true]),
    ] {
        let f = filter(&[&format!("ignore {expression}")]);
        for (p, expected) in [web(), dns, ping].iter().zip(expected) {
            let expected = if expected { IGNORE } else { WATCH };
            assert_eq!(f.verdict(p), expected, "{expression}: {p:?}");
            assert_eq!(f.tables(|_| 0).verdict(p, 0), expected, "{expression}: {p:?}");
        }
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let p = web();
    for (rules, expected) in [
        (&["watch port 443", "ignore tcp"][..], WATCH),
        (&["count host 10.0.0.1", "ignore tcp"], COUNT),
        (&["ignore udp", "count tcp"], COUNT),
        (&["udp"], IGNORE),
        (&["tcp"], WATCH),
        (&["tcp", "ignore net 10.0.0.0/8"], IGNORE),
        (&[], WATCH),
    ] {
        assert_eq!(filter(rules).verdict(&p), expected, "{rules:?}");
        assert_eq!(filter(rules).tables(|_| 0).verdict(&p, 0), expected, "{rules:?}");
    }
}

#[test]
fn interfaces_are_known_by_their_numbers() {
    let f = filter(&["ignore ifname lan0 and tcp", "count not ifname wan0"]);
    assert_eq!(f.interfaces(), ["lan0", "wan0"]);
    let tables = f.tables(|name| if name == "lan0" { 3 } else { 4 });
    let verdicts = [3, 4, 5].map(|i| tables.verdict(&web(), i));
    assert_eq!(verdicts, [IGNORE, WATCH, COUNT]);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    for (rule, why) in [
        ("ignore host example.org", "`example.org` is no address"),
        ("ignore port http", "`http` is no port"),
        ("ignore greater 100", "`greater` looks at each packet"),
        ("tcp[13] & 2 != 0", "looks into packets"),
        ("ignore ether host 02:00:00:00:00:01", "looks into packets"),
        ("ignore (tcp", "a `)` is missing"),
        ("ignore tcp and", "a condition is missing"),
        ("ignore net 10.0.0.1/8", "bits beyond its prefix"),
        ("ignore net 10.0.0.0/33", "is no address or network"),
        ("ignore host 10.0.0.0/8", "say `net`"),
        ("ignore 443", "say `host`, `net` or `port`"),
        ("ignore portrange 9-3", "no range of ports"),
        ("ignore vlan 5000", "no VLAN"),
        ("ignore frobnicate", "`frobnicate` is not known"),
        ("ignore inbound", "use `ifname`"),
        ("ignore tcp port", "a condition is missing"),
        ("tcp ) udp", "not expected there"),
    ] {
        let e = Filter::new([rule]).expect_err(rule).to_string();
        assert!(e.contains(why) && e.contains(rule), "{e}");
    }
    let many: Vec<_> = (0..40).map(|n| format!("ignore port {n}")).collect();
    let e = Filter::new(many.iter().map(String::as_str)).expect_err("many");
    assert!(
        e.to_string().contains("room for 64 rules, and these are 80"),
        "{e}"
    );
    let deep = format!("{}tcp{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(Filter::new([deep.as_str()]).is_err());
    let wide = (0..20)
        .map(|n| format!("(port {n} or host 10.0.0.{n})"))
        .collect::<Vec<_>>()
        .join(" and ");
    assert!(
        filter(&[&wide]).terms.len() <= 20,
        "its contrary is an alternative of as many"
    );
    assert!(Filter::new([format!("ignore {wide}").as_str()]).is_err());
}

fn expression() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("tcp".to_owned()),
        Just("udp".to_owned()),
        Just("ip6".to_owned()),
        (0u16..6).prop_map(|p| format!("port {p}")),
        (0u16..6).prop_map(|p| format!("src port {p}")),
        (0u8..4).prop_map(|n| format!("host 10.0.0.{n}")),
        (0u8..2).prop_map(|n| format!("dst net 10.0.0.{}/31", 2 * n)),
        (24u8..32).prop_map(|bits| format!("src net 10.0.0.0/{bits}")),
        (0u16..3).prop_map(|v| format!("vlan {v}")),
        (0u8..3).prop_map(|i| format!("ifname if{i}")),
    ];
    atom.prop_recursive(4, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not {a}")),
        ]
    })
}

proptest! {
    #[test]
    fn tables_decide_as_the_rules_do(
        rules in prop::collection::vec((prop_oneof![Just("watch "), Just("ignore "), Just("count "), Just("")], expression()), 0..4),
        packets in prop::collection::vec((0u8..5, 0u8..5, 0u16..7, 0u16..7, prop_oneof![Just(6u8), Just(17), Just(1)], 0u16..4), 1..20),
    ) {
        let rules: Vec<_> = rules.iter().map(|(a, e)| format!("{a}{e}")).collect();
        // Too many terms are refused.
        if let Ok(f) = Filter::new(rules.iter().map(String::as_str)) {
            let tables = f.tables(|_| 0);
            for (src, dst, sport, dport, proto, vlan) in packets {
                let p = packet(&format!("10.0.0.{src}"), sport, &format!("10.0.0.{dst}"), dport, proto, vlan);
                prop_assert_eq!(f.verdict(&p), tables.verdict(&p, 0), "{:?}: {:?}", rules, p);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = Filter::new([text.as_str()]);
    }
}
