//! Lines of both sides: what they make of the connection.

use crate::analyzer::api::Inside;
use crate::analyzer::talk::{inside, tcp, tcp_pieces};

const HELLO: &[u8] = b"NICK a\r\nUSER a b c :d\r\n";
const WELCOME: &[u8] = b":irc.example 001 a :hi\r\n";

#[test]
fn a_clients_command_tells() {
    for port in [6667, 4000] {
        for size in [1, 100] {
            let talk = tcp_pieces(port, &[(true, HELLO), (false, WELCOME)], size);
            assert_eq!(
                (talk.services.as_str(), talk.said.len()),
                ("irc", 1),
                "{port} {size}"
            );
        }
    }
    for (line, tells) in [
        (&b"quit\r\n"[..], true),
        (b"@time=1;a=b :me JOIN #a\r\n", true),
        (b"  PING\r\n", true),
        (b"PING", false),
        (b"HELO a\r\n", false),
        (b":me\r\n", false),
        (b"@time=1\r\n", false),
    ] {
        assert_eq!(
            tcp(6667, &[(true, line)]).services == "irc",
            tells,
            "{}",
            line.escape_ascii()
        );
        assert_eq!(
            tcp(6667, &[(false, line)]).services,
            "",
            "{}",
            line.escape_ascii()
        );
    }
    let server: &[u8] = b"SERVER a.example 1 :info\r\n";
    assert_eq!(tcp(4000, &[(true, server), (false, server)]).services, "irc");
}

#[test]
fn what_is_wrong_is_told() {
    let long = [&[b'a'; 513][..], b"\r\n"].concat();
    let command = [&[b'a'; 21][..], b" b\r\n"].concat();
    for (line, weird, holds) in [
        (&b"ab\r\n"[..], "? irc_line_too_short", true),
        (&long, "? irc_line_size_exceeded", true),
        (b":abc\r\n", "? irc_invalid_line", true),
        (b":abc d\r\n", "? irc_invalid_line", false),
        (b"00x a\r\n", "? irc_invalid_reply_number", false),
        (b"001\r\n", "? irc_invalid_reply_number", false),
        (&command, "? irc_invalid_command", true),
        (b"PRIVMSG a\r\n", "? irc_invalid_privmsg_message_format", true),
        (
            b"PRIVMSG a :\x01DCC SEND a\x01\r\n",
            "? irc_invalid_dcc_message_format",
            true,
        ),
        (
            b"PRIVMSG a :\x01DCC SEND a 1 2 3 4\x01\r\n",
            "? irc_invalid_dcc_message_format",
            true,
        ),
        (
            b"PRIVMSG a :\x01DCC SEND a b 2 3\x01\r\n",
            "? irc_invalid_dcc_host",
            true,
        ),
        (
            b"PRIVMSG a :\x01DCC SEND a 1 65536\x01\r\n",
            "? irc_invalid_dcc_port 65536",
            true,
        ),
    ] {
        let talk = tcp(6667, &[(true, HELLO), (false, line)]);
        assert_eq!(talk.said.get(1).map(String::as_str), Some(weird));
        assert_eq!(talk.services == "irc", holds, "{weird}");
    }
    let many = command.repeat(20);
    assert_eq!(tcp(6667, &[(true, HELLO), (true, &many)]).services, "irc");
    assert_eq!(
        tcp(6667, &[(true, HELLO), (true, &many), (true, &command)]).services,
        ""
    );
}

#[test]
fn files_are_announced() {
    // 10.0.0.22 is 167772182.
    let announced = |line: &[u8]| tcp(6667, &[(true, HELLO), (false, line)]).announced;
    let to = ["0.0.0.0 > 10.0.0.22:4000 Analyzer::ANALYZER_IRC_DATA"];
    assert_eq!(
        announced(b":b PRIVMSG a :\x01DCC SEND f 167772182 4000 77\x01\r\n"),
        to
    );
    assert_eq!(
        announced(b":b PRIVMSG a :\x01DCC SEND f 167772182 4000\x01\r\n"),
        to
    );
    assert_eq!(announced(b":b PRIVMSG a  DCC SEND f 167772182 4000 77 T\r\n"), to);
    let none = [""; 0];
    assert_eq!(
        announced(b":b PRIVMSG a :\x01DCC CHAT f 167772182 4000\x01\r\n"),
        none
    );
    assert_eq!(
        announced(b":b NOTICE a :\x01DCC SEND f 167772182 4000\x01\r\n"),
        none
    );
}

#[test]
fn tls_begins_behind_its_number() {
    let talk: [(bool, &[u8]); 2] = [(true, b"STARTTLS\r\n"), (false, b":irc.example 670 a :go\r\n")];
    assert_eq!(inside(6667, &talk), Some(Inside::Tls));
    assert_eq!(inside(6667, &talk[..1]), None);
    assert_eq!(tcp(6667, &talk).services, "irc");
}
