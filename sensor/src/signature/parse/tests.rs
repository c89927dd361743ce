//! What signatures say, and what is said of those that are wrong.

use super::*;
use crate::signature::header::Headers;

fn rules(text: &str) -> Vec<Rule> {
    parse(text.as_bytes(), "x.sig".into()).expect(text)
}

fn one(attributes: &str) -> Rule {
    rules(&format!("signature s {{ {attributes} }}")).remove(0)
}

fn error(text: &str) -> String {
    let e = parse(text.as_bytes(), "x.sig".into()).expect_err(text);
    e.to_string()
}

#[test]
fn every_condition_and_action_is_known() {
    let rule = one(r#"# a comment
        .meta data about it
        ip-proto == tcp  src-ip == 10.0.0.0/8,[fe80::1],[2001:db8::] / 32  dst-port != 80,8000-8010
        header ip[6:1] & 64 == 64  header tcp[13] == 2
        tcp-state established,originator  same-ip  payload-size >= 0x10  eval Mod::f
        payload /^GET\/[a-z]+/  http-request /a/i  payload [:20] /b/
        requires-signature other  requires-reverse-signature ! third
        event "a message"  event kazaa_signature_found  enable "http"  active false"#);
    assert_eq!((rule.id.as_ref(), rule.line, rule.active), ("s", 1, false));
    assert_eq!(rule.tests.len(), 5);
    assert_eq!(rule.patterns.len(), 3);
    assert_eq!(
        (rule.patterns[1].context, rule.patterns[2].depth),
        (Context::HttpRequest, 20)
    );
    assert_eq!(rule.patterns[0].line, 6);
    let flow = Flow {
        established: true,
        orig: true,
        ..Flow::default()
    };
    let conditions = [
        Condition::Tcp(flow),
        Condition::SameIp,
        Condition::Size(Cmp::Ge, 16),
        Condition::Eval("Mod::f".into()),
    ];
    assert_eq!(rule.conditions, conditions);
    let requires: Vec<_> = rule
        .requires
        .iter()
        .map(|r| (&*r.id, r.reverse, r.negate))
        .collect();
    assert_eq!(requires, [("other", false, false), ("third", true, true)]);
    assert_eq!(
        rule.actions,
        [
            Action::Event(Raise::Match, "a message".into()),
            Action::Event(Raise::Kazaa, "".into()),
            Action::Enable("HTTP".into())
        ]
    );
    let actions = one(r#"file-magic /a/ file-mime "x/y", -7 file-mime "x/z", 7 file-mime "x/w""#).actions;
    let mime = |name: &str, strength| Action::Mime(name.into(), strength);
    assert_eq!(actions, [mime("x/y", -7), mime("x/z", 7), mime("x/w", 0)]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, expected) in [
        (
            "signature",
            "x.sig:1: the file ends where a signature's name is expected",
        ),
        ("\n\nfoo", "x.sig:3: `foo` where `signature` is expected"),
        (
            "signature s {\n payload /a",
            "x.sig:2: an expression without its end, a slash",
        ),
        (
            "signature s { payload /(a/ }",
            "x.sig:1: in the expression: `(` without its counterpart",
        ),
        (
            "signature s {\n\n dst-port = HTTP_PORTS }",
            "x.sig:3: HTTP_PORTS: variables of scripts are not known here",
        ),
        (
            "signature s { dst-port == 9-8 }",
            "x.sig:1: no number is from 9 to 8",
        ),
        (
            "signature s { src-ip == 10.0.0.0/33 }",
            "x.sig:1: the prefix of 10.0.0.0 has between 0 and 32 bits",
        ),
        (
            "signature s { src-ip == 10.0.0 }",
            "x.sig:1: 10.0.0 is no address of IPv4",
        ),
        (
            "signature s { header ip[0:3] == 1 }",
            "x.sig:1: 1, 2 or 4 bytes of a header can be compared, not 3",
        ),
        (
            "signature s { header dns[0:1] == 1 }",
            "x.sig:1: `dns` where ip, ip6, tcp, udp, icmp or icmp6 is expected",
        ),
        (
            "signature s { udp-state established }",
            "x.sig:1: `established` says nothing of UDP",
        ),
        (
            "signature s { tcp-state open }",
            "x.sig:1: `open` where established, originator, responder or stateless is expected",
        ),
        (
            "signature s { nocase }",
            "x.sig:1: `nocase` is neither a condition nor an action",
        ),
        (
            "signature s { event foo \"x\" }",
            "x.sig:1: signatures raise no event foo (but signature_match, gaobot_signature_found, kazaa_signature_found, napster_signature_found, root_backdoor_signature_found)",
        ),
        (
            "signature s { event }",
            "x.sig:1: an event needs a message in quotes",
        ),
        ("signature s { event \"x }", "x.sig:1: a quote without its end"),
        (
            "signature s { payload [5:2] /a/ }",
            "x.sig:1: an expression's place cannot be said (nor is it looked at in Zeek): write .{n}",
        ),
        ("signature s { ; }", "x.sig:1: `;` means nothing here"),
        (
            "signature s { payload-size > 99999999999 }",
            "x.sig:1: 99999999999 is no number of 32 bits",
        ),
        ("signature s { ", "x.sig:1: the file ends where `}` is expected"),
    ] {
        assert_eq!(error(text), expected);
    }
}

/// Whether a condition on headers holds of a TCP segment from 10.1.2.3, port 1024, to 192.0.2.1, port 80.
fn holds(condition: &str) -> bool {
    let mapped = |v4: [u8; 4]| std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets();
    let mut ip = [0; 24];
    ip[..9].copy_from_slice(&[0x46, 0, 0, 40, 0, 0, 0x40, 0, 64]);
    ip[20..24].copy_from_slice(&[1, 131, 3, 4]);
    let headers = Headers {
        src: mapped([10, 1, 2, 3]),
        dst: mapped([192, 0, 2, 1]),
        ports: [1024, 80],
        proto: 6,
        ip: &ip,
        transport: &[4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2],
    };
    one(condition).tests.iter().all(|t| t.holds(&headers))
}

#[test]
fn conditions_on_headers_hold_as_in_zeek() {
    for (condition, expected) in [
        ("src-ip == 10.0.0.0/8", true),
        ("src-ip == 10.1.2.3", true),
        ("src-ip == 10.1.2.4,10.1.2.3", true),
        ("src-ip != 10.1.2.4,10.1.2.3", false),
        ("src-ip != 10.1.2.4", true),
        ("dst-ip == [::ffff:192.0.2.1]", true),
        ("dst-ip == [fe80::]/10", false),
        ("dst-ip != [fe80::]/10", true),
        ("dst-port == 80", true),
        ("dst-port == 70-90", true),
        ("dst-port != 70-90", false),
        ("dst-port < 81", true),
        ("dst-port < 80", false),
        ("dst-port <= 79-80", true),
        ("src-port >= 1024", true),
        ("ip-proto == tcp", true),
        ("ip-proto == udp", false),
        ("ip-proto == 6,17", true),
        ("ip-proto == ip", true),
        ("header ip[6:1] & 64 == 64", true),
        ("header ip[8:1] == 64,128", true),
        ("header ip[2:2] == 40", true),
        ("header ip6[0:1] >= 0", false),
        ("header tcp[13:1] & 255 == 2", true),
        ("header tcp[4:4] == 1", true),
        ("header tcp[40:1] == 0", false),
        ("header udp[0:2] == 1024", false),
        ("ip-options lsrr", true),
        ("ip-options rr,ssrr", false),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}
