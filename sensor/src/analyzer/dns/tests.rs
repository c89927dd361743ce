use super::*;
use crate::analyzer::WorkerShared;
use crate::analyzer::api::{Call, Out, Solo};
use crate::analyzer::tree::Tree;
use crate::event::log::{LogRow, Value};
use crate::event::{Event, Proto, Subscriptions, Ts, Uid};

/// What came out: rows as `column=value` of what is set, weirds.
#[derive(Default)]
struct Heard {
    rows: Vec<String>,
    weirds: Vec<String>,
    confirmed: bool,
}

impl Out for Heard {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        let text = row
            .columns()
            .iter()
            .zip(&values)
            .skip(7)
            .filter_map(|(c, v)| match v {
                Value::Unset | Value::Bool(false) | Value::Count(0) => None,
                Value::Str(s) => Some(format!("{}={s}", c.name)),
                Value::Wire(s) => Some(format!("{}={}", c.name, s.escape_ascii())),
                Value::Count(n) => Some(format!("{}={n}", c.name)),
                Value::Interval(n) => Some(format!("{}={n}", c.name)),
                Value::Bool(true) => Some(c.name.to_string()),
                Value::List(l) => {
                    let items: Vec<String> = l
                        .iter()
                        .map(|v| match v {
                            Value::Wire(s) => s.escape_ascii().to_string(),
                            Value::Interval(n) => (n / crate::base::time::SECOND as i64).to_string(),
                            other => format!("{other:?}"),
                        })
                        .collect();
                    Some(format!("{}=[{}]", c.name, items.join("|")))
                }
                other => Some(format!("{other:?}")),
            })
            .collect::<Vec<_>>();
        self.rows.push(text.join(" "));
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.confirmed = true;
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.weirds.push(reason.into());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.weirds.push(format!("{name} {addl}").trim_end().into());
    }
    fn gave_up(&mut self) {
        self.weirds.push("gave up".into());
    }
}

fn conn(resp_h: &str, resp_p: u16) -> ConnId {
    ConnId {
        uid: Uid::new(1, 1),
        orig_h: [10, 0, 0, 1].into(),
        resp_h: resp_h.parse().unwrap(),
        orig_p: 4000,
        resp_p,
        proto: Proto::Udp,
        start: 0,
    }
}

/// Datagrams a microsecond apart, then the end.
fn run(c: &ConnId, talk: &[(bool, Vec<u8>)]) -> Heard {
    let (mut out, subs) = (Heard::default(), Subscriptions::default());
    let shared = WorkerShared::default();
    let mut d = Tree::new(false, c.orig_p, c.resp_p, &shared);
    for (n, (is_orig, msg)) in talk.iter().enumerate() {
        let mut call = Call {
            ts: n as u64 * 1000,
            c,
            subs: &subs,
            out: &mut out,
        };
        d.datagram(*is_orig, msg, &shared, &mut call);
    }
    let mut call = Call {
        ts: 0,
        c,
        subs: &subs,
        out: &mut out,
    };
    d.close(&mut call);
    out
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags]
        .iter()
        .chain(&counts)
        .flat_map(|n| n.to_be_bytes())
        .collect()
}

const NAME: &[u8] = b"\x03WWW\x02ab\0";

fn query(id: u16, qtype: u8) -> Vec<u8> {
    [&header(id, 0x0100, [1, 0, 0, 0]), NAME, &[0, qtype, 0, 1][..]].concat()
}

/// An answer to `query`, with records of type and data.
fn reply(id: u16, qtype: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut msg = header(id, 0x8580, [1, records.len() as u16, 0, 0]);
    msg.extend([NAME, &[0, qtype, 0, 1]].concat());
    for (rtype, data) in records {
        msg.extend(b"\xc0\x0c");
        msg.extend(rtype.to_be_bytes());
        msg.extend([0, 1, 0, 0, 1, 0]);
        msg.extend((data.len() as u16).to_be_bytes());
        msg.extend(*data);
    }
    msg
}

const HEAD: &str = "query=www.ab qclass=1 qclass_name=C_INTERNET";

#[test]
fn a_question_and_its_answer_are_one_row() {
    let c = conn("10.0.0.2", 53);
    let records: &[(u16, &[u8])] = &[(5, b"\x01X\xc0\x10"), (1, &[192, 0, 2, 1])];
    let out = run(
        &c,
        &[
            (true, query(7, 1)),
            (true, query(8, 28)),
            (false, reply(7, 1, records)),
        ],
    );
    assert!(out.confirmed && out.weirds.is_empty());
    assert_eq!(
        out.rows,
        [
            format!(
                "trans_id=7 rtt=2000 {HEAD} qtype=1 qtype_name=A rcode_name=NOERROR AA RD RA \
                 answers=[x.ab|192.0.2.1] TTLs=[256|256]"
            ),
            format!("trans_id=8 {HEAD} qtype=28 qtype_name=AAAA RD"),
        ]
    );
}

#[test]
fn what_each_type_of_record_says() {
    let cases: &[(u16, &[u8], &str)] = &[
        (
            28,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            "2001:db8::1",
        ),
        (2, b"\x02ns\xc0\x0c", "ns.www.ab"),
        (15, b"\0\x0a\x02mx\xc0\x10", "mx.ab"),
        (6, b"\x01m\0\x01r\0....................", "m"),
        (16, b"\x03a,b\x02cd", "TXT 3 a,b TXT 2 cd"),
        (99, b"\x01\xff", "SPF 1 \\xff"),
        (33, b"\0\x01\0\x02\0\x50\x01t\0", "t"),
        (35, b"\0\x64\0\x0a\x01s\x03SIP\0\x01r\0", "NAPTR 100 10 s SIP r"),
        (43, b"\0\x01\x05\x02....", "DS 5 2"),
        (48, b"\x01\0\x03\x08key", "DNSKEY 8"),
        (46, b"\0\x2b\x05\x02............\0\x01\x02ed\0sig", "RRSIG 43 ed"),
        (47, b"\x01n\0\0\x01\x40", "NSEC www.ab n"),
        (44, b"\x01\x01\xab\xcd", "SSHFP: abcd"),
        (29, b"\0\x12\x15\x13............", "LOC:  18 21 19"),
        (
            65,
            b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x04\0\x04\xc0\0\x02\x63",
            "1 . alpn=h3,h2 ipv4hint=192.0.2.99",
        ),
        (65, b"\0\0\x05ALIAS\xc0\x0c", "alias.www.ab"),
        (64, b"\0\x10\x03svc\0\0\x03\0\x02\x20\xfb", "16 svc port=8443"),
        (300, b"??", "<unknown type=300>"),
    ];
    let c = conn("10.0.0.2", 53);
    for (rtype, data, says) in cases {
        let out = run(
            &c,
            &[(true, query(1, 1)), (false, reply(1, 1, &[(*rtype, data)]))],
        );
        assert!(out.confirmed, "type {rtype}: {:?}", out.weirds);
        let want = format!("answers=[{says}]");
        assert!(out.rows[0].contains(&want), "{} lacks {want}", out.rows[0]);
    }
}

#[test]
fn names_and_strings_keep_their_bytes() {
    let labels = |msg: Vec<u8>| -> Vec<u8> {
        let mut msg = msg;
        msg[HEADER + 1..HEADER + 4].copy_from_slice(b"\n\xffW");
        msg
    };
    let out = run(
        &conn("10.0.0.2", 53),
        &[
            (true, labels(query(1, 16))),
            (false, labels(reply(1, 16, &[(16, b"\x02\t\r")]))),
        ],
    );
    assert!(out.rows[0].contains(r"query=\n\xffw.ab "), "{}", out.rows[0]);
    assert!(out.rows[0].contains(r"answers=[TXT 2 \t\r]"), "{}", out.rows[0]);
}

#[test]
fn flags_are_those_of_the_header_without_answers_too() {
    for (flags, row) in [
        (0x8183, "rcode=3 rcode_name=NXDOMAIN RD RA"),
        (0x8502, "rcode=2 rcode_name=SERVFAIL AA RD"),
        (0x8380, "rcode_name=NOERROR TC RD RA"),
    ] {
        // With an authority that nobody reads.
        let no = [&header(9, flags, [1, 0, 1, 0]), NAME, &[0, 1, 0, 1][..]].concat();
        let out = run(&conn("10.0.0.2", 53), &[(true, query(9, 1)), (false, no)]);
        assert_eq!(
            out.rows,
            [format!("trans_id=9 {HEAD} qtype=1 qtype_name=A {row}")]
        );
    }
}

#[test]
fn the_response_code_has_its_upper_bits_in_an_opt_record() {
    const OPT: &[u8] = &[0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0];
    const AUTHORITY: &[u8] = b"\xc0\x0c\0\x06\0\x01\0\0\0\x01\0\x02ab";
    let cases = [
        (0x8180, [0, 1], OPT.to_vec(), "rcode=16 rcode_name=BADVERS"),
        (
            0x8187,
            [1, 1],
            [AUTHORITY, OPT].concat(),
            "rcode=23 rcode_name=BADCOOKIE",
        ),
        // Not there, not whole, or behind what does not end.
        (
            0x8183,
            [1, 0],
            [AUTHORITY, OPT].concat(),
            "rcode=3 rcode_name=NXDOMAIN",
        ),
        (0x8183, [0, 1], OPT[..8].to_vec(), "rcode=3 rcode_name=NXDOMAIN"),
        (
            0x8183,
            [1, 1],
            [&AUTHORITY[..13], OPT].concat(),
            "rcode=3 rcode_name=NXDOMAIN",
        ),
    ];
    for (flags, [authorities, additional], records, says) in cases {
        let head = header(9, flags, [1, 0, authorities, additional]);
        let msg = [&head, NAME, &[0, 1, 0, 1], &records].concat();
        let out = run(&conn("10.0.0.2", 53), &[(true, query(9, 1)), (false, msg)]);
        assert!(out.confirmed && out.weirds.is_empty());
        assert!(out.rows[0].contains(says), "{} lacks {says}", out.rows[0]);
    }
}

#[test]
fn each_question_of_a_message_has_a_row_and_its_answers() {
    let c = conn("10.0.0.2", 53);
    let second = b"\x01C\xc0\x10\0\x1c\0\x01";
    let asked = [&header(7, 0x0100, [2, 0, 0, 0]), NAME, &[0, 1, 0, 1], second].concat();
    // The second one by way of another name, then the first one.
    let reply = [
        &header(7, 0x8180, [2, 3, 0, 0]),
        NAME,
        &[0, 1, 0, 1],
        second,
        b"\xc0\x18\0\x05\0\x01\0\0\0\x05\0\x04\x01d\xc0\x10",
        b"\x01d\xc0\x10\0\x1c\0\x01\0\0\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x07\0\x04\xc0\0\x02\x01",
    ]
    .concat();
    let first = format!("trans_id=7 rtt=1000 {HEAD} qtype=1 qtype_name=A rcode_name=NOERROR RD RA");
    let second = "query=c.ab qclass=1 qclass_name=C_INTERNET qtype=28 qtype_name=AAAA";
    let out = run(&c, &[(true, asked.clone()), (false, reply)]);
    assert_eq!(
        out.rows,
        [
            format!("{first} answers=[192.0.2.1] TTLs=[7]"),
            format!(
                "trans_id=7 rtt=1000 {second} rcode_name=NOERROR RD RA answers=[d.ab|2001:db8::1] TTLs=[5|6]"
            )
        ]
    );
    let out = run(&c, &[(true, asked)]);
    assert_eq!(
        out.rows,
        [
            format!("trans_id=7 {HEAD} qtype=1 qtype_name=A RD"),
            format!("trans_id=7 {second} RD")
        ]
    );
}

#[test]
fn refusals_and_answers_without_a_question() {
    let c = conn("10.0.0.2", 53);
    let mut refused = query(9, 1);
    refused[2] |= 0x80;
    refused[3] |= 3;
    let out = run(
        &c,
        &[
            (true, query(9, 1)),
            (false, refused),
            (false, reply(10, 1, &[(1, &[192, 0, 2, 1])])),
        ],
    );
    assert_eq!(
        out.rows,
        [
            &format!("trans_id=9 {HEAD} qtype=1 qtype_name=A rcode=3 rcode_name=NXDOMAIN RD rejected")[..],
            "trans_id=10 query=www.ab rcode_name=NOERROR AA RA answers=[192.0.2.1] TTLs=[256]",
        ]
    );
}

#[test]
fn multicast_messages_stand_for_themselves() {
    let c = conn("224.0.0.251", 5353);
    let out = run(
        &c,
        &[(true, query(0, 1)), (true, reply(0, 1, &[(1, &[192, 0, 2, 1])]))],
    );
    assert_eq!(
        out.rows,
        [
            &format!("{HEAD} qtype=1 qtype_name=A RD")[..],
            "query=www.ab rcode_name=NOERROR AA RA answers=[192.0.2.1] TTLs=[256]",
        ]
    );
}

#[test]
fn netbios_names_are_written_out() {
    let mut msg = header(1, 0x0110, [1, 0, 0, 0]);
    // "WPAD", padded with blanks, kind 0.
    msg.extend(b"\x20FHFAEBEECACACACACACACACACACACAAA\0\0\x20\0\x01");
    let out = run(&conn("10.0.0.255", 137), &[(true, msg)]);
    assert_eq!(
        out.rows,
        ["trans_id=1 query=WPAD qclass=1 qclass_name=C_INTERNET qtype=32 qtype_name=NIMLOC RD Z=1"]
    );
}

#[test]
fn what_is_not_sound_is_weird_and_not_dns() {
    let c = conn("10.0.0.2", 53);
    let bad: &[(&str, Vec<u8>)] = &[
        ("DNS_truncated_len_lt_hdr_len", vec![0; 11]),
        ("DNS_truncated_quest_too_short", query(1, 1)[..23].to_vec()),
        ("DNS_RR_bad_length", reply(1, 1, &[(1, &[1, 2, 3])])),
        (
            "DNS_truncated_RR_rdlength_lt_len",
            reply(1, 1, &[(1, &[1, 2, 3, 4])])[..38].to_vec(),
        ),
    ];
    for (weird, msg) in bad {
        let out = run(&c, &[(true, msg.clone())]);
        assert!(!out.confirmed, "{weird}");
        assert_eq!(out.weirds, [*weird]);
    }
    let out = run(&c, &[(true, header(1, 0x1000, [1, 0, 0, 0]))]);
    assert_eq!(out.weirds, ["DNS_unknown_opcode 2", "gave up"]);
    assert!(!out.confirmed);
}

#[test]
fn strings_beyond_the_data_are_a_weird() {
    let c = conn("10.0.0.2", 53);
    // A length without its string ends the data all the same; one with a part of it does not.
    let cases: &[(&[u8], bool)] = &[(b"\x02ab\x05", true), (b"\x02ab\x05c", false)];
    for (data, sound) in cases {
        let out = run(&c, &[(false, reply(1, 16, &[(16, data)]))]);
        assert_eq!(out.weirds, ["DNS_TXT_char_str_past_rdlen"]);
        assert_eq!(out.confirmed, *sound);
        assert!(out.rows[0].contains("answers=[TXT 2 ab]"), "{}", out.rows[0]);
    }
}

#[test]
fn weird_dnssec_is_told() {
    let cases: &[(u16, &[u8], &str)] = &[
        (
            46,
            b"\0\x2b\x09\x02............\0\x01\x02ed\0sig",
            "DNSSEC_RRSIG_unknown_ZoneSignAlgo 9",
        ),
        (48, b"\x01\x81\x03\x08key", "DNSSEC_DNSKEY_Revoked_KSK 385"),
        (48, b"\x01\x02\x03\x08key", "DNSSEC_DNSKEY_Invalid_Flag 258"),
        (48, b"\x01\x00\x04\x08key", "DNSSEC_DNSKEY_Invalid_Protocol 4"),
        (
            48,
            b"\x01\x00\x03\x01key",
            "DNSSEC_DNSKEY_NotRecommended_ZoneSignAlgo 1",
        ),
        (43, b"\0\x01\x05\x05....", "DNSSEC_DS_unknown_DigestType 5"),
        (47, b"\x01n\0\x07\0", "DNSSEC_NSEC_bitmapLen0 7"),
        (50, b"\x01\0\0\x0a\0\x01h\x03\0", "DNSSEC_NSEC3_bitmapLen0 3"),
        (65534, b"\x08\0\x01\0\0\0", "DNS_BINDS_complete_flag_length 2"),
        (
            29,
            b"\x01\x12\x15\x13............",
            "DNS_LOC_version_unrecognized 1",
        ),
    ];
    let c = conn("10.0.0.2", 53);
    for (rtype, data, weird) in cases {
        let out = run(&c, &[(false, reply(1, 1, &[(*rtype, data)]))]);
        assert_eq!(out.weirds, [*weird]);
        assert!(out.confirmed, "{weird}");
    }
}

#[test]
fn too_many_questions_are_a_weird_and_a_violation() {
    let out = run(&conn("10.0.0.2", 53), &[(true, header(1, 0, [26, 0, 0, 0]))]);
    assert_eq!(out.weirds, ["DNS_Conn_count_too_large"; 2]);
    assert!(!out.confirmed);
}

#[test]
fn what_waits_is_bounded() {
    let c = conn("10.0.0.2", 53);
    let (mut out, subs) = (Heard::default(), Subscriptions::default());
    let mut solo = Solo::new(Analyzer::new(&Start::default(), &()));
    for id in 0..2000u16 {
        let call = Call {
            ts: 0,
            c: &c,
            subs: &subs,
            out: &mut out,
        };
        solo.with(call, |a, ctx| {
            a.datagram(true, &query(id, 1), ctx);
            a.datagram(false, &reply(id ^ 0x8000, 16, &[(16, &[0; 4000])]), ctx);
        });
        let d = &solo.analyzer.dns;
        assert!(d.questions.len() + d.answers.len() <= MAX_WAITING);
        assert!(d.kept <= MAX_KEPT);
    }
    let mut last = 0;
    let d = &mut solo.analyzer.dns;
    d.finish(&c, &mut |_| last += 1);
    assert_eq!((d.kept, out.rows.len() + last), (0, 4000));
    assert!(d.questions.is_empty() && d.answers.is_empty());
}
