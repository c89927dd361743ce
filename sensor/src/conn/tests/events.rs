//! Events of a connection's life, each from the packets that cause it.

use super::*;
use crate::event::AnalyzerTag;

/// Names of what these packets raised, until the end of the input.
fn raised(events: &str, play: impl FnOnce(&mut Lab)) -> Vec<String> {
    let mut lab = Lab::new(events);
    play(&mut lab);
    let seen = lab.finish();
    seen.names().into_iter().map(str::to_owned).collect()
}

/// Another connection's packet, so that timers come up.
fn later(lab: &mut Lab, seconds: u64) {
    let port = std::mem::replace(&mut lab.client_port, 9999);
    lab.now += seconds * SECOND;
    lab.tcp(0, tf::RST, 0, 0, b"");
    lab.client_port = port;
}

#[test]
fn a_syn_without_answer() {
    let names = raised(
        "connection_attempt,connection_SYN_packet,new_connection_contents",
        |lab| {
            lab.tcp(0, tf::SYN, 0, 0, b"");
            lab.tcp(0, tf::SYN, 0, 0, b"");
            later(lab, 10);
        },
    );
    assert_eq!(
        names,
        [
            "new_connection_contents",
            "connection_SYN_packet",
            "connection_SYN_packet",
            "connection_attempt",
            "new_connection_contents"
        ]
    );
}

#[test]
fn a_syn_packet_says_what_its_header_says() {
    let mut lab = Lab::new("connection_SYN_packet");
    lab.tcp(0, tf::SYN, 0, 0, b"");
    lab.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
    let seen = lab.finish();
    let args = seen.args("connection_SYN_packet");
    let pkt = &args[0]["pkt"];
    assert_eq!((&pkt["is_orig"], &pkt["ttl"]), (&true.into(), &64.into()));
    assert_eq!((&pkt["size"], &pkt["win_size"]), (&40.into(), &0x4000.into()));
    assert_eq!(args[1]["pkt"]["is_orig"], false);
}

#[test]
fn a_rejected_syn() {
    let names = raised("connection_rejected,connection_reset", |lab| {
        lab.tcp(0, tf::SYN, 0, 0, b"");
        lab.tcp(1, tf::RST | tf::ACK, 0, 1, b"");
    });
    assert_eq!(names, ["connection_rejected"]);
}

#[test]
fn a_connection_still_open_at_the_end_is_pending() {
    let wanted = "connection_pending,connection_state_remove,Conn::log_conn";
    let names = raised(wanted, |lab| {
        lab.handshake();
        lab.data(0, 1, 1, b"x");
    });
    assert_eq!(names.join(","), wanted);
    let mut lab = Lab::new(wanted);
    lab.handshake();
    lab.tcp(0, tf::RST, 1, 0, b"");
    later(&mut lab, 10);
    let seen = lab.finish();
    let pending = seen.events.iter().filter(|e| e["event"] == "connection_pending");
    let ports: Vec<_> = pending.map(|e| e["c"]["orig_p"].as_u64()).collect();
    assert_eq!(ports, [Some(9999)], "not the one that was reset");
}

#[test]
fn silence_ends_a_connection() {
    let names = raised("connection_timeout,connection_state_remove", |lab| {
        lab.handshake();
        later(lab, 299);
        later(lab, 10);
    });
    // The other one lasts for no time at all, twice.
    let of_interest: Vec<_> = names.iter().take(2).collect();
    assert!(
        of_interest.contains(&&"connection_timeout".to_owned()),
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|n| *n == "connection_state_remove").count(),
        3,
        "{names:?}"
    );
}

#[test]
fn a_side_that_closes_while_the_other_was_never_heard() {
    let names = raised("connection_half_finished,connection_finished", |lab| {
        lab.tcp(0, tf::SYN, 0, 0, b"");
        lab.tcp(0, tf::FIN | tf::ACK, 1, 1, b"");
    });
    assert_eq!(names, ["connection_half_finished"]);
}

#[test]
fn a_silent_side_that_closes_alone() {
    let names = raised("connection_partial_close,partial_connection", |lab| {
        lab.data(0, 1, 1, b"abcd");
        lab.tcp(1, tf::FIN | tf::ACK, 1, 5, b"");
        later(lab, 4);
    });
    assert_eq!(names, ["connection_partial_close"]);
    let names = raised("connection_partial_close,partial_connection", |lab| {
        lab.data(0, 1, 1, b"abcd");
        lab.data(1, 1, 5, b"efgh");
    });
    assert_eq!(names, ["partial_connection"]);
}

#[test]
fn a_second_syn_is_another_connection() {
    let names = raised("connection_reused,new_connection", |lab| {
        lab.handshake();
        lab.tcp(0, tf::RST, 1, 0, b"");
        lab.tcp(0, tf::SYN, 70_000, 0, b"");
    });
    assert_eq!(names, ["new_connection", "connection_reused", "new_connection"]);
}

#[test]
fn closed_windows_are_told_at_thresholds() {
    let mut lab = Lab::new("tcp_multiple_zero_windows");
    lab.handshake();
    for i in 0..12 {
        let mut frame = tcp_frame(1, 100 + i, tf::ACK, [1, 1], b"");
        frame[48..50].copy_from_slice(&[0, 0]);
        lab.frame(&frame);
    }
    let seen = lab.finish();
    assert_eq!(
        seen.args("tcp_multiple_zero_windows"),
        [&serde_json::json!({"is_orig": false, "threshold": 10})]
    );
    assert_eq!(seen.conn("history"), "ShAaww");
}

#[test]
fn status_is_told_as_often_as_asked() {
    let mut cfg = Config::default();
    cfg.timeouts.status_interval = 10 * SECOND;
    let mut lab = Lab::with("connection_status_update", cfg);
    lab.handshake();
    for _ in 0..10 {
        lab.now += 4 * SECOND;
        lab.data(0, 1, 1, b"abcd");
    }
    // At 12, 24 and 36 seconds: the timer is set anew when it is seen to have come up.
    assert_eq!(lab.finish().names(), ["connection_status_update"; 3]);
}

#[test]
fn packets_options_and_payload_one_by_one() {
    let mut lab = Lab::new("new_packet,tcp_option,packet_contents");
    lab.handshake();
    let mut frame = tcp_frame(
        0,
        9,
        tf::ACK,
        [1, 1],
        b"\x01\x01\x08\x0a\0\0\0\x01\0\0\0\x02payload",
    );
    // Twelve bytes of what follows the header are options: two of nothing, and a time stamp.
    frame[46] = 0x80;
    lab.frame(&frame);
    let seen = lab.finish();
    let names: Vec<_> = seen.names().into_iter().skip(3).collect();
    assert_eq!(
        names,
        [
            "new_packet",
            "packet_contents",
            "tcp_option",
            "tcp_option",
            "tcp_option"
        ]
    );
    assert_eq!(seen.args("packet_contents")[0]["contents"], hex(b"payload"));
    let kinds: Vec<_> = seen
        .args("tcp_option")
        .iter()
        .map(|a| a["opt"].as_u64())
        .collect();
    assert_eq!(kinds, [Some(1), Some(1), Some(8)]);
    assert_eq!(seen.args("new_packet")[3]["p"]["tcp"]["hl"], 32);
}

#[test]
fn flags_of_congestion_control_have_no_letters() {
    let mut lab = Lab::new("tcp_packet");
    lab.tcp(0, tf::SYN | 0xc0, 0, 0, b"");
    assert_eq!(lab.finish().args("tcp_packet")[0]["flags"], "S");
}

#[test]
fn gaps_are_told_at_thresholds() {
    let mut lab = Lab::new("tcp_multiple_gap,content_gap");
    lab.handshake();
    for i in 0..10 {
        // Nothing of ten bytes ever comes.
        lab.ack(1, 1, 11 + 10 * i);
    }
    let seen = lab.finish();
    assert_eq!(seen.args("content_gap").len(), 10);
    assert_eq!(
        seen.args("tcp_multiple_gap"),
        [&serde_json::json!({"is_orig": true, "threshold": 10})]
    );
    assert!(seen.conn("history").ends_with("aGG"), "{}", seen.conn("history"));
}

#[test]
fn weirds_name_their_connection_their_hosts_or_nobody() {
    let mut lab = Lab::new("conn_weird,flow_weird,net_weird");
    // Data in an answer to nothing; an IP header that claims more than there is; no IP at all.
    lab.tcp(1, tf::FIN | tf::ACK, 0, 0, b"");
    let mut short = tcp_frame(0, 1, tf::ACK, [0, 0], b"");
    short[17] = 200;
    lab.frame(&short);
    let seen = lab.finish();
    assert_eq!(seen.names()[0], "conn_weird");
    assert_eq!(seen.args("conn_weird")[0]["name"], "spontaneous_FIN");
    let rest: Vec<_> = seen.names().into_iter().skip(1).collect();
    assert!(
        rest.iter().any(|n| *n == "net_weird" || *n == "flow_weird"),
        "{rest:?}"
    );
}

#[test]
fn a_connection_that_ftp_announced_is_known_by_its_first_packet() {
    let mut lab = Lab::new("scheduled_analyzer_applied");
    lab.resp_port = 21;
    lab.handshake();
    lab.data(1, 1, 1, b"220 ready\r\n");
    lab.data(0, 1, 12, b"PASV\r\n");
    // 10.0.0.2, port 80.
    lab.data(1, 12, 7, b"227 Entering Passive Mode (10,0,0,2,0,80)\r\n");
    lab.resp_port = 80;
    lab.client_port = 4097;
    lab.handshake();
    let seen = lab.finish();
    assert_eq!(
        seen.args("scheduled_analyzer_applied"),
        [&serde_json::json!({"a": "Analyzer::ANALYZER_FTP_DATA"})]
    );
    let service = |port: &str| {
        let row = seen
            .rows
            .iter()
            .find(|r| r.0 == "conn" && r.1.iter().any(|v| *v == ("id.resp_p", format!("Port({port})"))));
        let row = row.expect("a row");
        row.1.iter().find(|v| v.0 == "service").map(|v| v.1.clone())
    };
    assert_eq!(service("21").as_deref(), Some("ftp"));
    assert_eq!(service("80").as_deref(), Some("ftp-data"));
}

#[test]
fn a_file_that_irc_announced_has_its_name() {
    let mut lab = Lab::new("scheduled_analyzer_applied");
    lab.resp_port = 6667;
    lab.handshake();
    // 10.0.0.2 is 167772162.
    let message = b"PRIVMSG b :\x01DCC SEND hello.txt 167772162 80 6\x01\r\n";
    lab.data(0, 1, 1, message);
    lab.resp_port = 80;
    lab.client_port = 4097;
    lab.handshake();
    lab.data(1, 1, 1, b"hello\n");
    lab.data(0, 1, 7, b"\0\0\0\x06");
    lab.tcp(1, tf::FIN | tf::ACK, 7, 5, b"");
    lab.tcp(0, tf::FIN | tf::ACK, 5, 8, b"");
    lab.ack(1, 8, 6);
    let seen = lab.finish();
    assert_eq!(
        seen.args("scheduled_analyzer_applied"),
        [&serde_json::json!({"a": "Analyzer::ANALYZER_IRC_DATA"})]
    );
    let column = |log: &str, port: &str, name: &str| {
        let is_it = |v: &(&str, String)| v.0 == "id.resp_p" && v.1 == format!("Port({port})");
        let row = seen.rows.iter().find(|r| r.0 == log && r.1.iter().any(is_it));
        let value = row.and_then(|r| r.1.iter().find(|v| v.0 == name));
        value.map(|v| v.1.clone())
    };
    assert_eq!(column("conn", "6667", "service").as_deref(), Some("irc"));
    assert_eq!(column("conn", "80", "service").as_deref(), Some("irc-dcc-data"));
    assert_eq!(column("files", "80", "source").as_deref(), Some("IRC_DATA"));
    assert_eq!(column("files", "80", "filename").as_deref(), Some("hello.txt"));
    assert_eq!(column("files", "80", "seen_bytes").as_deref(), Some("6"));
}

#[test]
fn the_control_connection_knows_the_file_of_its_data_connection() {
    let mut lab = Lab::new("file_new");
    lab.resp_port = 21;
    lab.handshake();
    let said: [(usize, &[u8]); 4] = [
        (1, b"220 ready\r\n"),
        (0, b"PASV\r\n"),
        // 10.0.0.2, port 80.
        (1, b"227 Entering Passive Mode (10,0,0,2,0,80)\r\n"),
        (0, b"RETR lines.txt\r\n"),
    ];
    let mut at = [1, 1];
    for (from, bytes) in said {
        lab.data(from, at[from], at[1 - from], bytes);
        at[from] += bytes.len() as u32;
    }
    (lab.resp_port, lab.client_port) = (80, 4097);
    lab.handshake();
    let lines = "one line of many\n".repeat(300);
    let mut end = 1;
    for piece in lines.as_bytes().chunks(1000) {
        lab.data(1, end, 1, piece);
        end += piece.len() as u32;
    }
    lab.tcp(1, tf::FIN | tf::ACK, end, 1, b"");
    (lab.resp_port, lab.client_port) = (21, 4096);
    for (from, bytes) in [(1, &b"226 Done\r\n"[..]), (0, b"QUIT\r\n")] {
        lab.data(from, at[from], at[1 - from], bytes);
        at[from] += bytes.len() as u32;
    }
    let seen = lab.finish();
    let column = |path: &str, n: usize, name: &str| {
        let row = seen.rows.iter().filter(|r| r.0 == path).nth(n).expect("a row");
        let value = row.1.iter().find(|v| v.0 == name).map(|v| v.1.clone());
        value.expect("a column")
    };
    assert_eq!(column("ftp", 0, "fuid"), "Unset", "PASV");
    assert_eq!(column("ftp", 1, "fuid"), column("files", 0, "fuid"));
    assert!(column("ftp", 1, "mime_type").contains("text/plain"));
}

#[test]
fn a_connection_that_another_engine_comes_to_announce_is_read_from_its_first_byte() {
    // What the control connection's engine has come to when the data begins: it knows the hosts.
    let client: std::net::IpAddr = [10, 0, 0, 1].into();
    let server: std::net::IpAddr = [10, 0, 0, 2].into();
    let tag = AnalyzerTag::new("Analyzer::ANALYZER_FTP_DATA", "ftp-data");
    let file = "one line of many\n".repeat(1000);
    // The announcement comes before a piece, or behind all of them; or never.
    for (announced, known) in [(1, true), (5, true), (17, true), (usize::MAX, false)] {
        let cfg = Config::default();
        let control = cfg.expected.clone();
        let mut lab = Lab::with("scheduled_analyzer_applied", cfg);
        lab.resp_port = 50_000;
        control.prepare(client, server, lab.now);
        lab.handshake();
        let mut at = 1;
        for (n, piece) in file.as_bytes().chunks(1000).enumerate() {
            if n == announced {
                control.announce(client, server, 50_000, tag, lab.now);
            }
            lab.data(1, at, 1, piece);
            at += piece.len() as u32;
            lab.ack(0, 1, at);
        }
        if announced == 17 {
            control.announce(client, server, 50_000, tag, lab.now);
        }
        lab.tcp(1, tf::FIN | tf::ACK, at, 1, b"");
        lab.tcp(0, tf::FIN | tf::ACK, 1, at + 1, b"");
        lab.ack(1, at + 1, 2);
        let seen = lab.finish();
        let files: Vec<_> = seen.rows.iter().filter(|r| r.0 == "files").collect();
        assert_eq!(
            (files.len() == 1, seen.conn("service") == "ftp-data"),
            (known, known)
        );
        assert_eq!(seen.args("scheduled_analyzer_applied").len(), usize::from(known));
        for row in files {
            let column = |name| row.1.iter().find(|v| v.0 == name).map(|v| v.1.as_str());
            assert_eq!(column("seen_bytes"), Some("17000"), "{announced}");
            assert_eq!(column("missing_bytes"), Some("0"));
        }
    }
}

#[test]
fn a_connection_of_nothing_but_damaged_packets_is_told_of_all_the_same() {
    let wanted =
        "conn_weird,tcp_multiple_checksum_errors,connection_pending,conn_stats,connection_state_remove";
    let mut lab = Lab::new(wanted);
    lab.soft = Soft::new(soft::SoftConfig {
        checksums: true,
        ..soft::SoftConfig::default()
    });
    for i in 0..10 {
        // The IP header's checksum is right, TCP's is not.
        let mut frame = tcp_frame(0, i, tf::SYN, [0, 0], b"");
        let words = frame[14..34]
            .chunks(2)
            .map(|w| u16::from_be_bytes([w[0], w[1]]) as u32);
        let sum = words.sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        lab.frame(&frame);
    }
    let seen = lab.finish();
    let mut names = seen.names();
    names.dedup();
    assert_eq!(
        names,
        [
            "conn_weird",
            "tcp_multiple_checksum_errors",
            "connection_pending",
            "conn_stats",
            "connection_state_remove"
        ]
    );
    assert_eq!(seen.args("conn_weird")[0]["name"], "bad_TCP_checksum");
    assert_eq!(
        seen.args("tcp_multiple_checksum_errors"),
        [&serde_json::json!({"is_orig": true, "threshold": 10})]
    );
    assert_eq!(seen.conn("history"), "CC");
}
