//! Datagrams of several connections in, rows and events out.

use proptest::prelude::*;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::base::time::SECOND;
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Event, Proto, Subscriptions, Ts, Uid};

/// What came out.
#[derive(Default)]
struct Heard {
    rows: Vec<String>,
    /// Arguments.
    events: Vec<String>,
    violations: Vec<String>,
    weirds: Vec<String>,
    confirmed: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        self.events.push(args.to_owned());
        assert!(DhcpMessage::of(ev).is_some(), "it comes back");
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        self.rows.push(String::from_utf8(line).expect("text"));
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.confirmed = true;
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.violations.push(reason.to_owned());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.weirds.push(format!("{name} {addl}"));
    }
    fn gave_up(&mut self) {}
}

fn conn(n: u64, orig: ([u8; 4], u16), resp: ([u8; 4], u16)) -> ConnId {
    ConnId {
        uid: Uid::new(n, 0),
        orig_h: orig.0.into(),
        resp_h: resp.0.into(),
        orig_p: orig.1,
        resp_p: resp.1,
        proto: Proto::Udp,
        start: 0,
    }
}

const NOBODY: ([u8; 4], u16) = ([0; 4], 68);
const ALL_SERVERS: ([u8; 4], u16) = ([255; 4], 67);
const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 50], 68);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 67);

/// One connection with its analyzer.
struct Flow {
    c: ConnId,
    solo: Solo<Dhcp>,
}

impl Flow {
    fn new(c: ConnId, all: &Transactions) -> Flow {
        let start = Start {
            ports: [c.orig_p, c.resp_p],
            strangers: 0,
        };
        Flow {
            solo: Solo::new(Dhcp::new(&start, all)),
            c,
        }
    }

    fn says(&mut self, ts: Ts, is_orig: bool, bytes: &[u8], out: &mut Heard) -> Next {
        let call = Call {
            ts,
            c: &self.c,
            subs: &Subscriptions::ALL,
            out,
        };
        self.solo.with(call, |a, ctx| a.datagram(is_orig, bytes, ctx))
    }

    fn ends(&mut self, ts: Ts, out: &mut Heard) {
        self.solo.close(Call {
            ts,
            c: &self.c,
            subs: &Subscriptions::ALL,
            out,
        });
    }
}

/// A message with these options, each a number and a value.
fn message(xid: u32, yiaddr: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut m = vec![1, 1, 6, 0];
    m.extend(xid.to_be_bytes());
    m.extend([0, 3, 0x80, 0]);
    m.extend([0; 4]);
    m.extend(yiaddr);
    m.extend([0; 8]);
    m.extend([2, 0, 0, 0, 0, 1]);
    m.resize(236, 0);
    m.extend(wire::COOKIE.to_be_bytes());
    for (code, value) in options {
        m.extend([*code, value.len() as u8]);
        m.extend(*value);
    }
    m.push(255);
    m
}

/// One message of a client to all servers.
fn said(bytes: &[u8]) -> Heard {
    let mut out = Heard::default();
    let mut flow = Flow::new(conn(1, NOBODY, ALL_SERVERS), &Transactions::default());
    flow.says(SECOND, true, bytes, &mut out);
    flow.ends(SECOND, &mut out);
    out
}

#[test]
fn the_messages_of_a_transaction_are_one_row_whatever_they_came_on() {
    let all = Transactions::default();
    let mut out = Heard::default();
    let mut asks = Flow::new(conn(1, NOBODY, ALL_SERVERS), &all);
    let mut answers = Flow::new(conn(2, CLIENT, SERVER), &all);
    let asked: [(u8, &[u8]); 2] = [(50, &[192, 0, 2, 50]), (12, b"host\0")];
    let given: [(u8, &[u8]); 3] = [
        (51, &[0, 0, 0x0e, 0x10]),
        (15, b"example.net\0"),
        (54, &[192, 0, 2, 1]),
    ];
    let with = |kind: &'static [u8], more: &[(u8, &'static [u8])]| {
        let mut all = vec![(53, kind)];
        all.extend_from_slice(more);
        all
    };
    asks.says(SECOND, true, &message(7, [0; 4], &with(&[1], &asked)), &mut out);
    answers.says(
        2 * SECOND,
        false,
        &message(7, CLIENT.0, &with(&[2], &given)),
        &mut out,
    );
    let fqdn: (u8, &[u8]) = (81, b"\0\0\0host.example.net");
    let id: (u8, &[u8]) = (61, &[1, 2, 0, 0, 0, 0, 9]);
    let request = message(7, [0; 4], &with(&[3], &[asked[0], asked[1], fqdn, id]));
    asks.says(3 * SECOND, true, &request, &mut out);
    answers.says(
        4 * SECOND,
        false,
        &message(7, CLIENT.0, &with(&[5], &given)),
        &mut out,
    );
    assert!(out.confirmed && out.violations.is_empty() && out.rows.is_empty());
    answers.ends(4 * SECOND, &mut out);
    assert_eq!(out.rows, [""; 0], "another connection may bring more");
    asks.ends(4 * SECOND, &mut out);
    assert_eq!(
        out.rows,
        [format!(
            "{{\"ts\":1.000000,\"uids\":[\"{}\",\"{}\"],\"client_addr\":\"192.0.2.50\",\
          \"server_addr\":\"192.0.2.1\",\"mac\":\"02:00:00:00:00:09\",\"host_name\":\"host\\\\x00\",\
          \"client_fqdn\":\"host.example.net\",\"domain\":\"example.net\",\"requested_addr\":\"192.0.2.50\",\
          \"assigned_addr\":\"192.0.2.50\",\"lease_time\":3600.000000,\
          \"msg_types\":[\"DISCOVER\",\"OFFER\",\"REQUEST\",\"ACK\"],\"duration\":3.000000}}",
            asks.c.uid, answers.c.uid
        )]
    );
}

/// The columns of the only row from `from` on, without the duration.
fn columns(h: &Heard, from: &str) -> String {
    let [row] = &h.rows[..] else {
        panic!("{:?}", h.rows)
    };
    let at = row
        .find(&format!("\"{from}\":"))
        .unwrap_or_else(|| panic!("{row}"));
    let (columns, _) = row[at..].split_once(",\"duration\"").expect("a duration");
    columns.to_owned()
}

#[test]
fn sides_and_addresses_are_told_by_ports() {
    let one = |c: ConnId, is_orig: bool, m: &[u8]| {
        let mut out = Heard::default();
        let mut flow = Flow::new(c, &Transactions::default());
        flow.says(SECOND, is_orig, m, &mut out);
        flow.ends(SECOND, &mut out);
        out
    };
    let text: (u8, &[u8]) = (56, b"why");
    // A server that broadcasts.
    let h = one(
        conn(1, SERVER, ([255; 4], 68)),
        true,
        &message(1, [0; 4], &[(53, &[6]), text]),
    );
    assert_eq!(
        columns(&h, "mac"),
        "\"mac\":\"02:00:00:00:00:01\",\"server_message\":\"why\",\"msg_types\":[\"NAK\"]"
    );
    let h = one(
        conn(1, SERVER, ([255; 4], 68)),
        true,
        &message(1, CLIENT.0, &[(53, &[5])]),
    );
    assert_eq!(
        columns(&h, "client_addr"),
        "\"client_addr\":\"192.0.2.50\",\"server_addr\":\"192.0.2.1\",\"mac\":\"02:00:00:00:00:01\",\
         \"assigned_addr\":\"192.0.2.50\",\"msg_types\":[\"ACK\"]"
    );
    // A client that has an address; the hardware address is out of the header if its identifier has another type.
    let h = one(
        conn(1, CLIENT, SERVER),
        true,
        &message(1, [0; 4], &[(53, &[8]), text, (61, &[0, 7])]),
    );
    assert_eq!(
        columns(&h, "client_addr"),
        "\"client_addr\":\"192.0.2.50\",\"mac\":\"02:00:00:00:00:01\",\"client_message\":\"why\",\
         \"msg_types\":[\"INFORM\"]"
    );
    // Zeek leaves out an identifier of Ethernet that is too short.
    let h = one(
        conn(1, NOBODY, ALL_SERVERS),
        true,
        &message(1, [0; 4], &[(53, &[99]), (61, &[1, 2])]),
    );
    assert_eq!(
        columns(&h, "mac"),
        "\"mac\":\"\",\"msg_types\":[\"unknown-message-type-99\"]"
    );
}

#[test]
fn a_silent_transaction_is_over_at_the_next_look() {
    let all = Transactions::default();
    let mut out = Heard::default();
    let mut flow = Flow::new(conn(1, NOBODY, ALL_SERVERS), &all);
    let mut say = |s: u64, xid: u32| {
        flow.says(s * SECOND, true, &message(xid, [0; 4], &[(53, &[1])]), &mut out);
        out.rows.len()
    };
    // Looks come every ten seconds. One that goes on is not over at them, until it is older than 30 seconds.
    assert_eq!(
        [100, 104, 109, 111, 116, 120, 122, 127, 131].map(|s| say(s, 1)),
        [0; 9]
    );
    assert_eq!(say(133, 2), 1);
    // Ten seconds old at the next look are those of before that second.
    assert_eq!([say(138, 3), say(144, 4)], [1, 2]);
    assert_eq!(say(400, 2), 4);
    flow.ends(400 * SECOND, &mut out);
    assert_eq!(out.rows.len(), 5);
    assert_eq!(out.rows[0].matches("DISCOVER").count(), 9);
    assert!(out.rows[0].ends_with("\"duration\":31.000000}"));
}

#[test]
fn messages_are_told_in_order_of_time_although_workers_are_not() {
    let all = Transactions::default();
    let mut out = Heard::default();
    let mut asks = Flow::new(conn(1, NOBODY, ALL_SERVERS), &all);
    let mut answers = Flow::new(conn(2, CLIENT, SERVER), &all);
    answers.says(5 * SECOND, false, &message(7, CLIENT.0, &[(53, &[2])]), &mut out);
    asks.says(4 * SECOND, true, &message(7, [0; 4], &[(53, &[1])]), &mut out);
    answers.ends(5 * SECOND, &mut out);
    asks.ends(5 * SECOND, &mut out);
    assert!(out.rows[0].starts_with("{\"ts\":4.000000,"));
    assert!(out.rows[0].ends_with("\"msg_types\":[\"DISCOVER\",\"OFFER\"],\"duration\":1.000000}"));
}

#[test]
fn a_row_is_written_when_it_has_too_much() {
    let all = Transactions::default();
    let mut out = Heard::default();
    let mut flows: Vec<_> = (0..11)
        .map(|n| Flow::new(conn(n, NOBODY, ALL_SERVERS), &all))
        .collect();
    let discover = message(1, [0; 4], &[(53, &[1])]);
    for flow in &mut flows[..10] {
        flow.says(SECOND, true, &discover, &mut out);
    }
    // Zeek fills in the header's hardware address in other rows.
    assert_eq!(out.rows.len(), 1);
    assert!(!out.rows[0].contains("mac") && out.rows[0].contains(&flows[9].c.uid.to_string()));
    for n in 1..50 {
        flows[10].says(SECOND, true, &discover, &mut out);
        assert_eq!(out.rows.len(), 1, "{n}");
    }
    flows[10].says(SECOND, true, &discover, &mut out);
    assert_eq!(out.rows.len(), 2);
    assert_eq!(out.rows[1].matches("DISCOVER").count(), 50);
}

#[test]
fn there_is_a_bound_for_transactions() {
    let all = Transactions::default();
    let mut out = Heard::default();
    let c = conn(1, NOBODY, ALL_SERVERS);
    let member = all.join();
    let bytes = message(0, [0; 4], &[(53, &[1])]);
    let mut msg = wire::read(&bytes).expect("sound");
    for n in 0..aggregate::MOST as u32 {
        msg.xid = n;
        let (rows, full) = member.add(SECOND, &c, true, &msg);
        assert!(rows.is_empty() && full.is_none());
    }
    let mut flow = Flow::new(c, &all);
    flow.says(
        2 * SECOND,
        true,
        &message(u32::MAX, [0; 4], &[(53, &[3])]),
        &mut out,
    );
    assert_eq!(out.weirds, ["DHCP_max_tracked_transactions_exceeded 20000"]);
    assert_eq!(out.rows.len(), 1);
    assert!(out.rows[0].starts_with("{\"ts\":1.000000"));
    // A worker that fails tells of no end.
    drop(member);
    flow.ends(2 * SECOND, &mut out);
    assert_eq!(out.rows.len(), aggregate::MOST + 1);
    assert!(out.rows.last().is_some_and(|row| row.contains("REQUEST")));
}

#[test]
fn what_is_missing_is_a_violation_in_zeeks_words() {
    let why = |bytes: &[u8]| {
        let h = said(bytes);
        assert!(h.rows.is_empty() && h.events.is_empty() && !h.confirmed);
        let [reason] = &h.violations[..] else {
            panic!("{:?}", h.violations)
        };
        reason.replace("Binpac exception: binpac exception: ", "")
    };
    let whole = message(1, [0; 4], &[]);
    for (len, reason) in [
        (0, "out_of_bound: DHCP_Message:giaddr: 28 > 0"),
        (27, "out_of_bound: DHCP_Message:giaddr: 28 > 27"),
        (28, "out_of_bound: DHCP_Message:chaddr: 44 > 28"),
        (44, "out_of_bound: DHCP_Message:sname: 108 > 44"),
        (108, "out_of_bound: DHCP_Message:file_n: 236 > 108"),
        (236, "out_of_bound: DHCP_Message:cookie: 240 > 236"),
        (240, "out_of_bound: Option:code: 1 > 0"),
    ] {
        assert_eq!(why(&whole[..len]), reason);
    }
    let ending = |options: &[u8]| why(&[&whole[..240], options].concat());
    assert_eq!(ending(&[12]), "out_of_bound: OptionValueWrapper:length: 1 > 0");
    assert_eq!(ending(&[12, 3, 0, 0]), "out_of_bound: OptionValue:other: 3 > 2");
    assert_eq!(ending(&[51, 0, 0, 0]), "out_of_bound: OptionValue:lease: 4 > 2");
    assert_eq!(
        ending(&[6, 9, 0, 0]),
        "out_of_bound: OptionValue:dns_server_list: 8 > 2"
    );
    assert_eq!(
        ending(&[81, 2, 0, 0, 0]),
        "invalid length string: Client_FQDN:domain_name: -1"
    );
    assert_eq!(
        ending(&[61, 0, 0]),
        "invalid length string: Client_Identifier:hwaddr: -1"
    );
    assert_eq!(
        ending(&[82, 3, 1, 9, 9]),
        "out_of_bound: Relay_Agent_SubOption:value: 11 > 3"
    );
    assert_eq!(
        ending(&[82, 4, 1, 1]),
        "out_of_bound: OptionValue:relay_agent_inf: 4 > 2"
    );

    let untyped = said(&whole);
    assert_eq!(untyped.violations, ["no DHCP message type option"]);
    assert!(untyped.confirmed && untyped.rows[0].contains("[\"unknown-message-type-0\"]"));
    let mut other = message(1, [0; 4], &[(53, &[1])]);
    other[236] = 0xff;
    assert_eq!(why(&other), "bad cookie (-8236189)");
}

#[test]
fn values_are_as_long_as_their_types_say() {
    // The first type counts. What the length says beyond it begins the next option.
    let h = said(&message(
        1,
        [0; 4],
        &[
            (53, &[1, 0]),
            (53, &[2]),
            (12, b"a"),
            (12, b"b"),
            (3, &[1, 2, 3, 4, 0]),
        ],
    ));
    assert_eq!(
        columns(&h, "host_name"),
        "\"host_name\":\"b\",\"msg_types\":[\"DISCOVER\"]"
    );
    assert!(h.events[0].contains("\"options\":{\"options\":[53,0,53,12,12,3,0],\"routers\":[\"1.2.3.4\"],"));
}

#[test]
fn an_event_has_all_options() {
    let four: &[u8] = &[192, 0, 2, 7];
    let mut options: Vec<(u8, &[u8])> = vec![(53, &[5])];
    options.extend([1, 3, 6, 28, 44, 50, 51, 54, 58, 59, 4, 5, 42].map(|code| (code, four)));
    let texts: [(u8, &[u8]); 9] = [
        (12, b"a"),
        (15, b"b.c\0"),
        (43, b"d"),
        (56, b"e"),
        (60, b"f"),
        (77, b"g"),
        (252, b"h\n"),
        (61, b"\0ij"),
        (81, b"\x01\x02\x03k"),
    ];
    options.extend(texts);
    options.extend([
        (19, &[1][..]),
        (116, &[0]),
        (55, &[1, 3]),
        (57, &[5, 0xdc]),
        (2, &[0xff, 0xff, 0xff, 0xfe]),
    ]);
    let mut bytes = message(9, CLIENT.0, &options);
    bytes[44..48].copy_from_slice(b"boot");
    bytes[108] = b'x';
    let h = said(&bytes);
    assert_eq!(
        h.events,
        [
            "{\"is_orig\":true,\"msg\":{\"op\":1,\"m_type\":5,\"xid\":9,\"secs\":3.000000,\"flags\":32768,\
          \"ciaddr\":\"0.0.0.0\",\"yiaddr\":\"192.0.2.50\",\"siaddr\":\"0.0.0.0\",\"giaddr\":\"0.0.0.0\",\
          \"chaddr\":\"02:00:00:00:00:01\",\"sname\":\"626f6f74\",\"file_n\":\"\"},\
          \"options\":{\"options\":[53,1,3,6,28,44,50,51,54,58,59,4,5,42,12,15,43,56,60,77,252,61,81,19,116,55,57,2],\
          \"subnet_mask\":\"192.0.2.7\",\"routers\":[\"192.0.2.7\"],\"dns_servers\":[\"192.0.2.7\"],\
          \"host_name\":\"61\",\"domain_name\":\"622e63\",\"forwarding\":true,\"broadcast\":\"192.0.2.7\",\
          \"vendor\":\"64\",\"nbns\":[\"192.0.2.7\"],\"addr_request\":\"192.0.2.7\",\"lease\":3221225991.000000,\
          \"serv_addr\":\"192.0.2.7\",\"param_list\":[1,3],\"message\":\"65\",\"max_msg_size\":1500,\
          \"renewal_time\":3221225991.000000,\"rebinding_time\":3221225991.000000,\"vendor_class\":\"66\",\
          \"client_id\":{\"hwtype\":0,\"hwaddr\":\"696a\"},\"user_class\":\"67\",\
          \"client_fqdn\":{\"flags\":1,\"rcode1\":2,\"rcode2\":3,\"domain_name\":\"6b\"},\"auto_config\":false,\
          \"auto_proxy_config\":\"68\",\"time_offset\":-2,\"time_servers\":[\"192.0.2.7\"],\
          \"name_servers\":[\"192.0.2.7\"],\"ntp_servers\":[\"192.0.2.7\"]}}}"
        ]
    );
}

#[test]
fn on_other_ports_the_first_datagram_must_look_like_it() {
    let other = conn(1, CLIENT, ([192, 0, 2, 1], 4000));
    let dhcp = message(1, [0; 4], &[(53, &[1])]);
    let mut out = Heard::default();
    let all = Transactions::default();
    assert!(!has_cookie(b"something") && has_cookie(&dhcp));
    let mut flow = Flow::new(other, &all);
    assert_eq!(flow.says(SECOND, true, &dhcp, &mut out), Next::More);
    assert!(out.confirmed);
    // Behind it anything else is a violation.
    assert_eq!(flow.says(SECOND, true, b"something", &mut out), Next::More);
    assert_eq!(out.violations.len(), 1);
}

#[test]
fn addresses_of_hardware_have_six_bytes_or_eight() {
    assert_eq!(wire::mac(&[1, 2, 3, 4, 5, 6]), "01:02:03:04:05:06");
    assert_eq!(wire::mac(&[1, 2, 3, 4, 5, 6, 0, 0, 9]), "01:02:03:04:05:06");
    assert_eq!(wire::mac(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), "01:02:03:04:05:06:07:08");
    assert_eq!(
        (wire::mac(&[1; 5]), wire::mac(&[1; 7])),
        (String::new(), String::new())
    );
}

proptest! {
    #[test]
    fn noise_never_panics(
        options in prop::collection::vec(prop_oneof![Just(53u8), Just(82), Just(255), any::<u8>()], 0..300),
        cut in 0usize..600,
    ) {
        let mut bytes = message(1, [0; 4], &[]);
        bytes.splice(240.., options);
        bytes.truncate(cut);
        let h = said(&bytes);
        prop_assert_eq!(h.rows.len(), h.events.len());
        prop_assert!(h.rows.len() + h.violations.len() > 0);
    }
}
