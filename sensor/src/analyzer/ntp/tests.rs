//! Datagrams in, rows and events out.

use proptest::prelude::*;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, write_json};
use crate::event::{Event, Proto, Subscriptions, Ts, Uid};

/// What came out.
#[derive(Default)]
struct Heard {
    /// Without time and uid.
    rows: Vec<String>,
    /// The connection's ends and the arguments.
    events: Vec<String>,
    violations: Vec<String>,
    confirmed: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let c = ev.conn().expect("a connection");
        self.events.push(format!("{} {args}", ends(c)));
        assert!(NtpMessage::of(ev).is_some(), "it comes back");
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"id.orig_h\"").expect("a connection");
        self.rows.push(format!("{{\"id.orig_h\"{line}"));
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.confirmed = true;
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.violations.push(reason.to_owned());
    }
    fn weird(&mut self, _: &'static str, _: &str) {}
    fn gave_up(&mut self) {}
}

fn ends(c: &ConnId) -> String {
    format!("{}:{} > {}:{}", c.orig_h, c.orig_p, c.resp_h, c.resp_p)
}

fn conn(resp_h: [u8; 4]) -> ConnId {
    ConnId {
        uid: Uid::new(1, 1),
        orig_h: [192, 0, 2, 1].into(),
        resp_h: resp_h.into(),
        orig_p: 4000,
        resp_p: 123,
        proto: Proto::Udp,
        start: 0,
    }
}

/// Datagrams on one connection, each with its direction: from the originator or not.
fn heard(c: &ConnId, talk: &[(bool, &[u8])], subs: &Subscriptions) -> Heard {
    let mut out = Heard::default();
    let mut solo = Solo::new(Ntp::new(&Start::default(), &()));
    for (is_orig, bytes) in talk {
        let out = &mut out;
        let call = Call { ts: 0, c, subs, out };
        solo.with(call, |a, ctx| a.datagram(*is_orig, bytes, ctx));
    }
    out
}

/// One datagram of the originator.
fn said(bytes: &[u8]) -> Heard {
    heard(&conn([192, 0, 2, 2]), &[(true, bytes)], &Subscriptions::ALL)
}

/// A message about time, version 4.
fn standard(mode: u8, stratum: u8, reference: [u8; 4]) -> Vec<u8> {
    let mut m = vec![4 << 3 | mode, stratum, 6, 0xe8];
    m.extend([0, 1, 0x80, 0]); // 1.5 s
    m.extend([0xff, 0xff, 0x40, 0]); // 65535.25 s
    m.extend(reference);
    m.extend([0; 8]);
    m.extend([0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0]); // 1970, half a second
    m.extend([0x83, 0xaa, 0x7e, 0x7f, 0x80, 0, 0, 0]); // half a second before 1970
    m.extend([0xe1, 0xb8, 0, 0, 0, 0, 0, 1]);
    m
}

/// What an event's `msg` is.
fn message(h: &Heard) -> &str {
    let [event] = &h.events[..] else {
        panic!("{:?}", h.events);
    };
    let (_, msg) = event.split_once("\"msg\":").expect("a message");
    msg.strip_suffix("}}").expect("closed")
}

#[test]
fn a_request_is_a_row_and_an_event() {
    let h = said(&standard(3, 2, [192, 0, 2, 9]));
    assert_eq!(
        h.rows,
        [
            "{\"id.orig_h\":\"192.0.2.1\",\"id.orig_p\":4000,\"id.resp_h\":\"192.0.2.2\",\"id.resp_p\":123,\
             \"version\":4,\"mode\":3,\"stratum\":2,\"poll\":64.000000,\"precision\":0.000000,\
             \"root_delay\":1.500000,\"root_disp\":65535.250000,\"ref_id\":\"192.0.2.9\",\"ref_time\":0.000000,\
             \"org_time\":0.500000,\"rec_time\":-0.500000,\"xmt_time\":1577943424.000000,\"num_exts\":0}"
        ]
    );
    assert_eq!(
        h.events,
        [
            "192.0.2.1:4000 > 192.0.2.2:123 {\"is_orig\":true,\"msg\":{\"version\":4,\"mode\":3,\"std_msg\":{\
             \"stratum\":2,\"poll\":64.000000,\"precision\":0.000000,\"root_delay\":1.500000,\
             \"root_disp\":65535.250000,\"ref_addr\":\"192.0.2.9\",\"ref_time\":0.000000,\"org_time\":0.500000,\
             \"rec_time\":-0.500000,\"xmt_time\":1577943424.000000,\"num_exts\":0}}}}"
        ]
    );
    assert!(h.confirmed && h.violations.is_empty());
}

#[test]
fn what_the_reference_is_follows_from_the_stratum() {
    for (stratum, name, shown) in [
        (0, "kiss_code", "\"ref_id\":\"RATE\""),
        (1, "ref_id", "\"ref_id\":\"RATE\""),
        (2, "ref_addr", "\"ref_id\":\"82.65.84.69\""),
        (255, "ref_addr", "\"ref_id\":\"82.65.84.69\""),
    ] {
        let h = said(&standard(3, stratum, *b"RATE"));
        assert!(h.rows[0].contains(shown), "{}", h.rows[0]);
        for other in ["kiss_code", "ref_id", "ref_addr"] {
            let is_there = message(&h).contains(&format!("\"{other}\":"));
            assert_eq!(is_there, other == name, "{stratum} {other}");
        }
    }
    assert!(message(&said(&standard(3, 1, *b"GPS\0"))).contains("\"ref_id\":\"47505300\""));
}

#[test]
fn each_mode_has_a_record_of_its_own_and_those_about_time_a_row() {
    for (mode, record) in [
        (0, None),
        (1, Some("std_msg")),
        (2, Some("std_msg")),
        (3, Some("std_msg")),
        (4, Some("std_msg")),
        (5, Some("std_msg")),
        (6, Some("control_msg")),
        (7, Some("mode7_msg")),
    ] {
        let mut bytes = [0; 48];
        bytes[0] = 4 << 3 | mode;
        let h = said(&bytes);
        for other in ["std_msg", "control_msg", "mode7_msg"] {
            let is_there = message(&h).contains(other);
            assert_eq!(is_there, record == Some(other), "{mode} {other}");
        }
        let next = match mode {
            0 => "num_exts",
            _ => "stratum",
        };
        let columns = format!("\"version\":4,\"mode\":{mode},\"{next}\":0");
        assert_eq!(h.rows.len(), usize::from(mode <= 5), "{mode}");
        assert!(h.rows.iter().all(|row| row.contains(&columns)), "{:?}", h.rows);
    }
}

#[test]
fn a_message_of_mode_0_is_no_more_than_its_mode() {
    let none = said(&[2 << 3]);
    let [row] = &none.rows[..] else {
        panic!("{:?}", none.rows)
    };
    assert!(
        row.ends_with(",\"version\":2,\"mode\":0,\"num_exts\":0}"),
        "{row}"
    );
    assert_eq!(message(&none), "{\"version\":2,\"mode\":0}");
    assert!(none.confirmed);
}

/// A message about time with so many more bytes.
fn longer(more: &[u8]) -> Vec<u8> {
    [&standard(3, 2, [1; 4])[..], more].concat()
}

/// An extension field (RFC 5906) of `len` bytes, with a value and a signature of so many.
fn extension(len: u8, value: u8, signature: u8) -> Vec<u8> {
    let mut e = vec![0; 14];
    (e[1], e[3]) = (2, len);
    e.extend([0, 0, 0, value]);
    e.resize(e.len() + usize::from(value), 1);
    e.extend([0, 0, 0, signature]);
    e.resize(usize::from(len), 2);
    e
}

#[test]
fn macs_are_told_from_extension_fields() {
    let mac = |n: usize| [&[0, 0, 0, 7][..], &vec![0xab; n]].concat();
    let has = |bytes: &[u8]| {
        let h = said(bytes);
        assert_eq!(h.violations, [""; 0]);
        let msg = message(&h).to_owned();
        let exts = msg
            .rsplit_once("\"num_exts\":")
            .map(|(_, n)| n.trim_end_matches('}'));
        let digest = msg
            .split_once("\"key_id\":7,\"digest\":\"")
            .and_then(|(_, d)| d.split_once('"'));
        let key = digest.map(|(hex, _)| hex.len() / 2);
        (exts.and_then(|n| n.parse::<u32>().ok()), key)
    };
    assert_eq!(has(&longer(&[])), (Some(0), None));
    assert_eq!(has(&longer(&mac(16))), (Some(0), Some(16)));
    assert_eq!(has(&longer(&mac(20))), (Some(0), Some(20)));
    // Neither: a crypto-NAK is a key id alone.
    assert_eq!(has(&longer(&mac(0))), (Some(0), None));
    assert_eq!(has(&longer(&mac(15))), (Some(0), None));
    assert_eq!(has(&longer(&extension(28, 4, 0))), (Some(1), None));
    let two = [extension(28, 4, 2), extension(40, 0, 18), mac(20)].concat();
    assert_eq!(has(&longer(&two)), (Some(2), Some(20)));
}

#[test]
fn what_is_cut_off_is_a_violation_in_zeeks_words() {
    let why = |bytes: &[u8]| {
        let h = said(bytes);
        assert!(h.rows.is_empty() && h.events.is_empty() && !h.confirmed);
        let [reason] = &h.violations[..] else {
            panic!("{:?}", h.violations);
        };
        reason
            .strip_prefix("Binpac exception: binpac exception: ")
            .expect("the prefix")
            .to_owned()
    };
    let whole = standard(3, 2, [1; 4]);
    assert_eq!(
        why(&whole[..1]),
        "out_of_bound: NTP_std_msg:root_dispersion: 11 > 0"
    );
    assert_eq!(
        why(&whole[..13]),
        "out_of_bound: NTP_std_msg:reference_id: 15 > 12"
    );
    assert_eq!(
        why(&whole[..47]),
        "out_of_bound: NTP_std_msg:transmit_ts: 47 > 46"
    );
    assert_eq!(why(&longer(&[0; 25])), "&enforce violation : Extension_Field:len");
    assert_eq!(
        why(&longer(&extension(28, 20, 0))),
        "&enforce violation : Extension_Field:value_len"
    );
    assert_eq!(
        why(&longer(&[extension(28, 8, 0), vec![0; 8]].concat())),
        "&enforce violation : Extension_Field:sig_len"
    );
    assert_eq!(
        why(&longer(&extension(28, 4, 9))),
        "out_of_bound: Extension_Field:signature: 35 > 28"
    );
    let mut short = extension(28, 4, 0);
    short[3] = 60;
    assert_eq!(why(&longer(&short)), "out_of_bound: Extension_Field:pad: 60 > 28");
    assert_eq!(why(&[0x16, 0, 0]), "out_of_bound: NTP_control_msg:c: 11 > 2");
    let control = [0x16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1];
    assert_eq!(why(&control), "out_of_bound: NTP_control_msg:data: 15 > 12");
    assert_eq!(
        why(&[0x17]),
        "out_of_bound: NTP_mode7_msg:err_and_data_len: 5 > 0"
    );
    assert_eq!(
        why(&[0x17, 0, 3, 42, 0, 1]),
        "out_of_bound: NTP_mode7_msg:data: 6 > 5"
    );
    assert_eq!(
        why(&[0x17, 0x80, 3, 42, 0, 0, 9]),
        "out_of_bound: NTP_MAC: 20 > 1"
    );
    let nothing = said(&[]);
    assert!(nothing.violations.is_empty() && !nothing.confirmed);
}

#[test]
fn a_control_message_may_have_data_and_a_mac() {
    let head = |len: u8| vec![0x16, 0xc2, 0, 3, 6, 0x15, 0, 9, 0, 0, 0, len];
    let fields = "\"op_code\":2,\"resp_bit\":true,\"err_bit\":true,\"more_bit\":false,\"sequence\":3,\
                  \"status\":1557,\"association_id\":9";
    let shown = |bytes: &[u8]| {
        let h = said(bytes);
        assert!(h.rows.is_empty() && h.confirmed);
        let msg = message(&h).to_owned();
        let (_, rest) = msg.split_once(fields).expect("the fields");
        rest.to_owned()
    };
    assert_eq!(shown(&head(0)), "}}");
    assert_eq!(shown(&[head(2), vec![1, 2]].concat()), ",\"data\":\"0102\"}}");
    let mac = [0, 0, 0, 7, 8, 8, 8, 8, 8, 8, 8, 8];
    assert_eq!(
        shown(&[&head(2)[..], &[1, 2], &mac].concat()),
        ",\"data\":\"0102\",\"key_id\":7,\"crypto_checksum\":\"0808080808080808\"}}"
    );
    // Padding, and no MAC.
    assert_eq!(shown(&[&head(0)[..], &mac[1..]].concat()), "}}");
}

#[test]
fn a_private_message_may_have_data() {
    let h = said(&[0x97, 0x81, 3, 42, 0x40, 2, 0xaa, 0xbb]);
    // It claims a MAC that is not there.
    assert_eq!(h.violations.len(), 1);
    let h = said(&[0x97, 1, 3, 42, 0x40, 2, 0xaa, 0xbb]);
    assert_eq!(
        message(&h),
        "{\"version\":2,\"mode\":7,\"mode7_msg\":{\"req_code\":42,\"auth_bit\":false,\"sequence\":1,\
         \"implementation\":3,\"err\":4,\"data\":\"aabb\"}}"
    );
    assert!(h.rows.is_empty());
    let signed = [&[0x17, 0x80, 3, 42, 0, 0][..], &[5; 20]].concat();
    assert!(
        message(&said(&signed))
            .ends_with("\"auth_bit\":true,\"sequence\":0,\"implementation\":3,\"err\":0}}")
    );
}

#[test]
fn who_answers_first_is_the_responder_from_this_message_on() {
    let (reply, request) = (standard(4, 1, *b"GPSs"), standard(3, 0, [0; 4]));
    let c = conn([192, 0, 2, 2]);
    let h = heard(&c, &[(true, &reply)], &Subscriptions::ALL);
    assert!(h.events[0].starts_with("192.0.2.2:123 > 192.0.2.1:4000 {\"is_orig\":false,"));
    assert!(
        h.rows[0].starts_with("{\"id.orig_h\":\"192.0.2.2\",\"id.orig_p\":123,\"id.resp_h\":\"192.0.2.1\"")
    );
    // Once for a direction.
    let h = heard(&c, &[(false, &request), (false, &request)], &Subscriptions::ALL);
    assert!(h.events[0].starts_with("192.0.2.2:123 > 192.0.2.1:4000 {\"is_orig\":true,"));
    assert!(h.events[1].starts_with("192.0.2.1:4000 > 192.0.2.2:123 {\"is_orig\":false,"));
    // A group cannot have asked.
    let h = heard(&conn([224, 0, 1, 1]), &[(true, &reply)], &Subscriptions::ALL);
    assert!(h.events[0].starts_with("192.0.2.1:4000 > 224.0.1.1:123 {\"is_orig\":true,"));
}

#[test]
fn without_subscribers_there_are_rows_and_no_events() {
    let message = standard(3, 2, [1; 4]);
    let h = heard(&conn([192, 0, 2, 2]), &[(true, &message)], &Subscriptions::NONE);
    assert_eq!((h.rows.len(), h.events.len()), (1, 0));
}

#[test]
fn every_message_is_read_however_many_there_were() {
    let ntp = Ntp::new(&Start::default(), &());
    let seen = Seen {
        bytes: 1 << 30,
        confirmed: true,
    };
    assert_eq!(ntp.interest(true, seen), Interest::Everything);
}

#[test]
fn numbers_are_nanoseconds() {
    for (exponent, ns) in [
        (0, 1_000_000_000),
        (10, 1_024_000_000_000),
        (33, 8_589_934_592_000_000_000),
        (34, i64::MAX),
        (62, i64::MAX),
        (127, i64::MAX),
        (-1, 500_000_000),
        (-24, 60),
        (-30, 1),
        (-31, 0),
        (-128, 0),
    ] {
        assert_eq!(wire::power_of_two(exponent), ns, "{exponent}");
    }
    for (raw, ns) in [
        (0, 0),
        (1, 15_258),
        (0xffff, 999_984_741),
        (u32::MAX, 65_535_999_984_741),
    ] {
        assert_eq!(wire::short_time(raw), ns, "{raw:#x}");
    }
    for (seconds, fraction, ns) in [
        (0, 0, 0),
        (0, 1, -2_208_988_800_000_000_000),
        (0, 0x8000_0000, -2_208_988_799_500_000_000),
        (2_208_988_800, 0, 0),
        (2_208_988_800, u32::MAX, 1_000_000_000),
        // Doubles are 238 ns apart there: 1495806035.4975455 is a bit less than that.
        (3_704_794_835, 0x7f5f_2473, 1_495_806_035_497_545_000),
        (2_208_988_800, 0x4000_0000, 250_000_000),
        (u32::MAX, 0, 2_085_978_495_000_000_000),
    ] {
        assert_eq!(wire::time(seconds, fraction), ns, "{seconds} {fraction:#x}");
    }
}

proptest! {
    #[test]
    fn noise_never_panics(
        first: u8,
        body in prop::collection::vec(prop_oneof![Just(0u8), Just(24), any::<u8>()], 0..200),
        is_orig: bool,
    ) {
        let bytes = [&[first][..], &body].concat();
        let h = heard(&conn([192, 0, 2, 2]), &[(is_orig, &bytes), (!is_orig, &bytes)], &Subscriptions::ALL);
        prop_assert_eq!(h.events.len() + h.violations.len(), 2);
    }
}
