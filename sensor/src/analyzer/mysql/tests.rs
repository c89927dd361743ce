//! Messages of both sides: what they make of the connection.

use super::wire::flag;
use crate::analyzer::api::Inside;
use crate::analyzer::talk::{Talk, inside, tcp, tcp_pieces};

/// A message with this number.
fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_le_bytes();
    [&len[..3], &[number], body].concat()
}

fn greeting(flags: u32) -> Vec<u8> {
    let high = ((flags >> 16) as u16).to_le_bytes();
    let low = (flags as u16).to_le_bytes();
    let mut body = b"\x0a8.0.30\0\x01\0\0\x0012345678\0".to_vec();
    body.extend(
        [
            &low[..],
            b"\x21\x02\0",
            &high,
            b"\x15",
            &[0; 10],
            b"123456789012\0",
        ]
        .concat(),
    );
    if flags & flag::PLUGIN_AUTH != 0 {
        body.extend(b"mysql_native_password\0");
    }
    message(0, &body)
}

fn answer(flags: u32, rest: &[u8]) -> Vec<u8> {
    message(
        1,
        &[&flags.to_le_bytes()[..], b"\0\0\0\x01\x21", &[0; 23], rest].concat(),
    )
}

/// Greeting, answer and the server's consent, and then these.
fn known(flags: u32, more: &[(bool, Vec<u8>)]) -> Talk {
    let mut said = vec![
        (false, greeting(flags)),
        (true, answer(flags, b"root\0\0")),
        (false, message(2, b"\0\0\0\x02\0\0\0")),
    ];
    said.extend(more.iter().cloned());
    let said: Vec<_> = said
        .iter()
        .map(|(is_orig, bytes)| (*is_orig, &bytes[..]))
        .collect();
    for size in [1, 7] {
        assert_eq!(tcp_pieces(3306, &said, size).services, tcp(3306, &said).services);
    }
    tcp(3306, &said)
}

const COLUMN: &[u8] = b"\x03def\x01s\x01t\x01t\x01a\x01a\x0c\x21\0\x0a\0\0\0\xfd\0\0\0\0\0";

#[test]
fn the_clients_answer_tells() {
    let greeting = greeting(0);
    assert_eq!(tcp(3306, &[(false, &greeting)]).services, "");
    assert_eq!(tcp(3306, &[(true, &answer(0, b"root\0\0"))]).services, "");
    let talk = known(0, &[]);
    assert_eq!(
        (talk.services.as_str(), talk.said),
        ("mysql", vec!["+mysql".to_owned()])
    );
    let old: [(bool, &[u8]); 2] = [
        (false, &message(0, b"\x093.2\0\x01\0\0\0abc\0")),
        (true, &message(1, b"\x08\0\0\0\x01root\0abc\0db\0")),
    ];
    assert_eq!(tcp(3306, &old).services, "mysql");
}

#[test]
fn fields_are_as_the_clients_flags_say() {
    let all = flag::CONNECT_WITH_DB | flag::PLUGIN_AUTH | flag::CONNECT_ATTRS | flag::ZSTD;
    let fields = b"root\0\x02abdb\0mysql_native_password\0\x04\x01a\x01b\x03";
    let greeting = greeting(0);
    for end in 0..=fields.len() {
        let answer = answer(all, &fields[..end]);
        let talk = tcp(3306, &[(false, &greeting), (true, &answer)]);
        assert_eq!(talk.services == "mysql", end == fields.len(), "{end}");
    }
}

#[test]
fn tls_begins_where_the_client_asks_for_it() {
    let greeting = greeting(flag::SSL);
    let talk: [(bool, &[u8]); 2] = [(false, &greeting), (true, &answer(flag::SSL, b""))];
    assert_eq!(inside(3306, &talk), Some(Inside::Tls));
    assert_eq!(tcp(3306, &talk).services, "mysql");
    assert_eq!(inside(3306, &talk[1..]), None);
}

#[test]
fn queries_have_columns_and_rows() {
    let query = (true, message(0, b"\x03select 1"));
    let server = |number, body: &[u8]| (false, message(number, body));
    let begin = [query.clone(), server(1, b"\x01"), server(2, COLUMN)];
    let legacy = [
        server(3, b"\xfe\0\0\x02\0"),
        server(4, b"\x01a"),
        server(5, b"\xfe\0\0\x02\0"),
        query.clone(),
        server(1, b"\xff\x15\x04#28000no"),
    ];
    let said = [&begin[..], &legacy[..]].concat();
    assert_eq!(known(0, &said).services, "mysql");
    // Cut anywhere, it lacks a field.
    for at in 1..said.len() {
        let (is_orig, whole) = &said[at];
        let body = &whole[4..];
        if *is_orig {
            continue;
        }
        let cut = message(
            whole[3],
            &body[..body.len() - 1 - usize::from(body[0] == 0xff) * 2],
        );
        let said = [&said[..at], &[(false, cut)]].concat();
        assert_eq!(known(0, &said).services, "", "{at}");
    }
    let modern = [
        server(3, b"\x01a"),
        server(4, b"\xfe\0\0\x02\0\0\0"),
        query.clone(),
        server(1, b"\0\0\0"),
    ];
    let flags = flag::DEPRECATE_EOF;
    assert_eq!(
        known(flags, &[&begin[..], &modern[..]].concat()).services,
        "mysql"
    );
    assert_eq!(
        known(0, &[query.clone(), server(1, b"\x02"), server(2, b"\x03de")]).services,
        ""
    );
}

#[test]
fn queries_may_have_attributes() {
    let flags = flag::QUERY_ATTRIBUTES;
    let query = |attributes: &[u8]| [(true, message(0, &[b"\x03", attributes, b"select 1"].concat()))];
    for (attributes, holds) in [
        (&b"\0\x01"[..], true),
        (b"\x01\x01\0\x01\xfe\0\x01a\x01b", true),
        (b"\x01\x01\x01\x01\xfe\0\x01a", true),
        (b"\x02\x01\0\x01\x08\0\x01a\x0a\0\x01b12345678\x0412345", true),
        (b"\x01\x01\0\x02\xfe\0\x01a\x01b", false),
        (b"\x01\x01\0\x01\x0e\0\x01a\x01b", false),
        (b"\x01\x01\0\x01\x0a\0\x01a\x05", false),
        (b"\xfd\xff\xff\xff\x01", false),
    ] {
        let talk = known(flags, &query(attributes));
        assert_eq!(talk.services == "mysql", holds, "{}", attributes.escape_ascii());
    }
}

#[test]
fn who_identifies_itself_in_another_way_does_so_until_the_verdict() {
    let server = |number, body: &[u8]| (false, message(number, body));
    let client = |number, body: &[u8]| (true, message(number, body));
    let begin = [
        (false, greeting(flag::PLUGIN_AUTH)),
        (
            true,
            answer(flag::PLUGIN_AUTH, b"root\0\0mysql_native_password\0"),
        ),
    ];
    let run = |more: &[(bool, Vec<u8>)]| {
        let said = [&begin[..], more].concat();
        let said: Vec<_> = said
            .iter()
            .map(|(is_orig, bytes)| (*is_orig, &bytes[..]))
            .collect();
        tcp(3306, &said).services
    };
    let other = server(2, b"\xfecaching_sha2_password\0abc\0");
    let more = server(4, b"\x01\x03");
    let consent = server(5, b"\0\0\0\x02\0\0\0");
    assert_eq!(
        run(&[other.clone(), client(3, b"x"), more, consent.clone()]),
        "mysql"
    );
    assert_eq!(run(&[other.clone(), client(3, b"x"), server(4, b"\x02")]), "");
    let change = client(0, b"\x11me\0\x02abdb\0\x21\0mysql_native_password\0");
    assert_eq!(
        run(&[consent.clone(), change.clone(), other, client(2, b"x")]),
        "mysql"
    );
    assert_eq!(run(&[consent.clone(), client(0, b"\x11me\0\x02ab")]), "");
    assert_eq!(run(&[consent, change, server(1, b"\xff\x15\x04#2800")]), "");
}
