//! The declaration against the table it was made from, and golden lines.

use super::*;
use crate::analyzer::tls::events::SslDhServerParams;
use crate::conn::events::ConnLogConn;
use crate::event::{AnalyzerTag, ConnId, Event, Info, Kind, Proto, Subscriptions, SynPacket, Uid};

/// The seeds' pages of events: name and arguments as the seeds have them; tcp_multiple_gap is Zeek's alone. What a
/// protocol adds stands on a page of another group.
const TABLE: &str = "\
core | OS_version_found | c: connection, host: addr, OS: OS_version\n\
core | anonymization_mapping | orig: addr, mapped: addr\n\
core | bro_done |\n\
core | bro_init |\n\
core | bro_script_loaded | path: string, level: count\n\
core | conn_stats | c: connection, os: endpoint_stats, rs: endpoint_stats\n\
core | conn_weird | name: string, c: connection, addl: string\n\
core | connection_external | c: connection, tag: string\n\
core | connection_flow_label_changed | c: connection, is_orig: bool, old_label: count, new_label: count\n\
core | connection_reused | c: connection\n\
core | connection_state_remove | c: connection\n\
core | connection_status_update | c: connection\n\
core | connection_timeout | c: connection\n\
core | content_gap | c: connection, is_orig: bool, seq: count, length: count\n\
core | dns_mapping_altered | dm: dns_mapping, old_addrs: addr_set, new_addrs: addr_set\n\
core | dns_mapping_lost_name | dm: dns_mapping\n\
core | dns_mapping_new_name | dm: dns_mapping\n\
core | dns_mapping_unverified | dm: dns_mapping\n\
core | dns_mapping_valid | dm: dns_mapping\n\
core | esp_packet | p: pkt_hdr\n\
core | event_queue_flush_point |\n\
core | file_gap | f: fa_file, offset: count, len: count\n\
core | file_new | f: fa_file\n\
core | file_opened | f: file\n\
core | file_over_new_connection | f: fa_file, c: connection, is_orig: bool\n\
core | file_reassembly_overflow | f: fa_file, offset: count, skipped: count\n\
core | file_sniff | f: fa_file, meta: fa_metadata\n\
core | file_state_remove | f: fa_file\n\
core | file_timeout | f: fa_file\n\
core | finished_send_state | p: event_peer\n\
core | flow_weird | name: string, src: addr, dst: addr\n\
core | gaobot_signature_found | c: connection\n\
core | get_file_handle | tag: Analyzer::Tag, c: connection, is_orig: bool\n\
core | ipv6_ext_headers | c: connection, p: pkt_hdr\n\
core | kazaa_signature_found | c: connection\n\
core | load_sample | samples: load_sample_info, CPU: interval, dmem: int\n\
core | mobile_ipv6_message | p: pkt_hdr\n\
core | napster_signature_found | c: connection\n\
core | net_weird | name: string\n\
core | new_connection | c: connection\n\
core | new_event | name: string, params: call_argument_vector\n\
core | new_packet | c: connection, p: pkt_hdr\n\
core | packet_contents | c: connection, contents: string\n\
core | print_hook | f: file, s: string\n\
core | profiling_update | f: file, expensive: bool\n\
core | protocol_confirmation | c: connection, atype: Analyzer::Tag, aid: count\n\
core | protocol_violation | c: connection, atype: Analyzer::Tag, aid: count, reason: string\n\
core | raw_packet | p: raw_pkt_hdr\n\
core | remote_capture_filter | p: event_peer, filter: string\n\
core | remote_connection_closed | p: event_peer\n\
core | remote_connection_error | p: event_peer, reason: string\n\
core | remote_connection_established | p: event_peer\n\
core | remote_connection_handshake_done | p: event_peer\n\
core | remote_event_registered | p: event_peer, name: string\n\
core | remote_log | level: count, src: count, msg: string\n\
core | remote_log_peer | p: event_peer, level: count, src: count, msg: string\n\
core | remote_pong | p: event_peer, seq: count, d1: interval, d2: interval, d3: interval\n\
core | remote_state_access_performed | id: string, v: any\n\
core | remote_state_inconsistency | operation: string, id: string, expected_old: string, real_old: string\n\
core | reporter_error | t: time, msg: string, location: string\n\
core | reporter_info | t: time, msg: string, location: string\n\
core | reporter_warning | t: time, msg: string, location: string\n\
core | rexmit_inconsistency | c: connection, t1: string, t2: string, tcp_flags: string\n\
core | root_backdoor_signature_found | c: connection\n\
core | rotate_interval | f: file\n\
core | rotate_size | f: file\n\
core | scheduled_analyzer_applied | c: connection, a: Analyzer::Tag\n\
core | signature_match | state: signature_state, msg: string, data: string\n\
core | software_parse_error | c: connection, host: addr, descr: string\n\
core | software_unparsed_version_found | c: connection, host: addr, str: string\n\
core | software_version_found | c: connection, host: addr, s: software, descr: string\n\
core | tunnel_changed | c: connection, e: EncapsulatingConnVector\n\
core | udp_session_done | u: connection\n\
tcp | connection_EOF | c: connection, is_orig: bool\n\
tcp | connection_SYN_packet | c: connection, pkt: SYN_packet\n\
tcp | connection_attempt | c: connection\n\
tcp | connection_established | c: connection\n\
tcp | connection_finished | c: connection\n\
tcp | connection_first_ACK | c: connection\n\
tcp | connection_half_finished | c: connection\n\
tcp | connection_partial_close | c: connection\n\
tcp | connection_pending | c: connection\n\
tcp | connection_rejected | c: connection\n\
tcp | connection_reset | c: connection\n\
tcp | contents_file_write_failure | c: connection, is_orig: bool, msg: string\n\
tcp | new_connection_contents | c: connection\n\
tcp | partial_connection | c: connection\n\
tcp | tcp_contents | c: connection, is_orig: bool, seq: count, contents: string\n\
tcp | tcp_multiple_checksum_errors | c: connection, is_orig: bool, threshold: count\n\
tcp | tcp_multiple_gap | c: connection, is_orig: bool, threshold: count\n\
tcp | tcp_multiple_retransmissions | c: connection, is_orig: bool, threshold: count\n\
tcp | tcp_multiple_zero_windows | c: connection, is_orig: bool, threshold: count\n\
tcp | tcp_option | c: connection, is_orig: bool, opt: count, optlen: count\n\
tcp | tcp_packet | c: connection, is_orig: bool, flags: string, seq: count, ack: count, len: count, payload: string\n\
tcp | tcp_rexmit | c: connection, is_orig: bool, seq: count, len: count, data_in_flight: count, window: count\n\
ssl | ssl_alert | c: connection, is_orig: bool, level: count, desc: count\n\
ssl | ssl_change_cipher_spec | c: connection, is_orig: bool\n\
ssl | ssl_client_hello | c: connection, version: count, possible_ts: time, client_random: string, session_id: string, ciphers: index_vec\n\
ssl | ssl_dh_server_params | c: connection, p: string, q: string, Ys: string\n\
ssl | ssl_encrypted_data | c: connection, is_orig: bool, content_type: count, length: count\n\
ssl | ssl_established | c: connection\n\
ssl | ssl_extension | c: connection, is_orig: bool, code: count, val: string\n\
ssl | ssl_extension_application_layer_protocol_negotiation | c: connection, is_orig: bool, protocols: string_vec\n\
ssl | ssl_extension_ec_point_formats | c: connection, is_orig: bool, point_formats: index_vec\n\
ssl | ssl_extension_elliptic_curves | c: connection, is_orig: bool, curves: index_vec\n\
ssl | ssl_extension_server_name | c: connection, is_orig: bool, names: string_vec\n\
ssl | ssl_handshake_message | c: connection, is_orig: bool, msg_type: count, length: count\n\
ssl | ssl_heartbeat | c: connection, is_orig: bool, length: count, heartbeat_type: count, payload_length: count, payload: string\n\
ssl | ssl_server_curve | c: connection, curve: count\n\
ssl | ssl_server_hello | c: connection, version: count, possible_ts: time, server_random: string, session_id: string, cipher: count, comp_method: count\n\
ssl | ssl_session_ticket_handshake | c: connection, ticket_lifetime_hint: count, ticket: string\n\
ssl | ssl_stapled_ocsp | c: connection, is_orig: bool, response: string\n\
conn | Conn::log_conn | rec: Conn::Info\n\
";

#[test]
fn the_seeds_events_are_declared_as_in_the_table() {
    let group = |e: &Info| {
        PAGES
            .iter()
            .find(|p| usize::from(p.number) == e.kind.page())
            .map(|p| p.group)
    };
    let groups: Vec<&str> = TABLE.lines().filter_map(|l| l.split(" | ").next()).collect();
    let have: Vec<String> = listed()
        .into_iter()
        .filter(|e| group(e).is_some_and(|g| groups.contains(&g)))
        .map(|e| {
            let args: Vec<String> = e.args.iter().map(|(n, t)| format!("{n}: {t}")).collect();
            let line = format!("{} | {} | {}", group(e).expect("a page"), e.name, args.join(", "));
            line.trim_end().to_owned()
        })
        .collect();
    assert_eq!(have.len(), 113);
    assert_eq!(have, TABLE.lines().collect::<Vec<_>>());
}

#[test]
fn names_lead_back_to_events_and_each_is_documented() {
    for e in events() {
        assert_eq!(named(e.name).map(|e| e.kind), Some(e.kind));
        assert_eq!(e.kind.info().map(|e| e.name), Some(e.name));
        assert!(!e.doc.is_empty(), "{}", e.name);
        let doc = e.doc.concat();
        for (name, typ) in e.args {
            let said =
                *typ == "connection" || doc.to_lowercase().contains(&format!("`{}`", name.to_lowercase()));
            assert!(said, "{}: nothing said of {name}", e.name);
        }
    }
    assert!(named("connection_eof").is_none());
    assert!(Kind::new(31, 63).info().is_none());
}

#[test]
fn an_event_is_told_from_others_and_its_arguments_come_back() {
    let c = id();
    let pkt = SynPacket {
        is_orig: true,
        df: false,
        ttl: 1,
        size: 40,
        win_size: 2,
        win_scale: -1,
        mss: 0,
        sack_ok: false,
        tsval: Some(3),
        tsecr: None,
    };
    let syn: &dyn Event = &event::ConnectionSynPacket { c: &c, pkt };
    let back = event::ConnectionSynPacket::of(syn).expect("the same kind");
    assert_eq!((back.c, back.pkt), (&c, pkt));
    assert!(event::ConnectionEof::of(syn).is_none());
    let about = event::NewEvent {
        name: syn.info().name,
        params: syn,
    };
    let within = event::NewEvent::of(&about).and_then(|e| event::ConnectionSynPacket::of(e.params));
    assert_eq!(within.map(|e| e.pkt), Some(pkt));
    assert!(event::BroInit::of(&event::BroInit {}).is_some());
    assert!(event::FileGap::of(syn).is_none());
}

fn id() -> ConnId {
    ConnId {
        uid: Uid::new(1, 1),
        orig_h: "141.142.228.5".parse().expect("address"),
        resp_h: "192.150.187.43".parse().expect("address"),
        orig_p: 59856,
        resp_p: 80,
        proto: Proto::Tcp,
        start: 1_362_692_526_869_344_000,
    }
}

fn line(ev: &dyn Event) -> String {
    let mut out = Vec::new();
    ev.write_json(1_362_692_526_869_344_000, &mut out);
    let s = String::from_utf8(out).expect("text");
    serde_json::from_str::<serde_json::Value>(&s).expect("valid JSON");
    s
}

#[test]
fn a_syn_reads_as_documented() {
    let c = id();
    let pkt = SynPacket {
        is_orig: true,
        df: true,
        ttl: 64,
        size: 60,
        win_size: 65535,
        win_scale: 5,
        mss: 1460,
        sack_ok: true,
        tsval: None,
        tsecr: None,
    };
    assert_eq!(
        line(&event::ConnectionSynPacket { c: &c, pkt }),
        format!(
            "{{\"event\":\"connection_SYN_packet\",\"ts\":1362692526.869344,\"c\":{{\"uid\":\"{}\",\
             \"orig_h\":\"141.142.228.5\",\"orig_p\":59856,\"resp_h\":\"192.150.187.43\",\"resp_p\":80,\
             \"proto\":\"tcp\",\"start_time\":1362692526.869344}},\"args\":{{\"pkt\":{{\"is_orig\":true,\"DF\":true,\
             \"ttl\":64,\"size\":60,\"win_size\":65535,\"win_scale\":5,\"MSS\":1460,\"SACK_OK\":true}}}}}}",
            c.uid
        )
    );
}

#[test]
fn bytes_are_hex_and_the_udp_connection_is_u() {
    let c = id();
    let args = |ev: &dyn Event| line(ev).split_once("\"args\":").map(|x| x.1.to_owned());
    assert_eq!(
        args(&event::TcpContents {
            c: &c,
            is_orig: true,
            seq: 1,
            contents: b"\x00\xff"
        })
        .as_deref(),
        Some("{\"is_orig\":true,\"seq\":1,\"contents\":\"00ff\"}}")
    );
    assert_eq!(
        args(&SslDhServerParams {
            c: &c,
            p: &[1],
            q: &[2],
            ys: &[3]
        })
        .as_deref(),
        Some("{\"p\":\"01\",\"q\":\"02\",\"Ys\":\"03\"}}")
    );
    assert_eq!(
        args(&event::ProtocolConfirmation {
            c: &c,
            atype: AnalyzerTag::new("Analyzer::ANALYZER_SSL", "ssl"),
            aid: 3
        })
        .as_deref(),
        Some("{\"atype\":\"Analyzer::ANALYZER_SSL\",\"aid\":3}}")
    );
    assert!(line(&event::UdpSessionDone { u: &c }).contains(",\"u\":{\"uid\":"));
    assert_eq!(
        line(&event::BroInit {}),
        "{\"event\":\"bro_init\",\"ts\":1362692526.869344,\"args\":{}}"
    );
}

#[test]
fn new_event_shows_the_other_events_arguments() {
    let c = id();
    let inner = event::ConnectionEof {
        c: &c,
        is_orig: false,
    };
    let s = line(&event::NewEvent {
        name: inner.info().name,
        params: &inner,
    });
    let v: serde_json::Value = serde_json::from_str(&s).expect("valid JSON");
    assert_eq!(v["args"]["name"], "connection_EOF");
    assert_eq!(v["args"]["params"][0]["value"]["orig_p"], 59856);
    assert_eq!(
        v["args"]["params"][1],
        serde_json::json!({"name":"is_orig","type":"bool","value":false})
    );
}

#[test]
fn subscriptions_parse_and_say_which_name_is_wrong() {
    let s: Subscriptions = "connection_EOF, Conn::log_conn".parse().expect("known");
    assert!(s.wants(event::ConnectionEof::KIND) && s.wants(ConnLogConn::KIND));
    assert!(!s.wants(event::TcpPacket::KIND) && s.any());
    assert_eq!(s.iter().count(), 2);
    let e = "tcp_packet,tcp_pocket"
        .parse::<Subscriptions>()
        .expect_err("unknown");
    assert_eq!(
        e.to_string(),
        "unknown event 'tcp_pocket'; did you mean tcp_packet, esp_packet or new_packet?"
    );
    let e = "SSL_Alerts".parse::<Subscriptions>().expect_err("unknown");
    assert_eq!(e.near.first(), Some(&"ssl_alert"), "{e}");
    let e = "qqqqq".parse::<Subscriptions>().expect_err("unknown");
    assert_eq!(e.to_string(), "unknown event 'qqqqq'");
    assert!(!Subscriptions::NONE.any());
    assert!(events().all(|e| Subscriptions::ALL.wants(e.kind)));
    assert_eq!(Subscriptions::ALL.iter().count(), events().count());
}

#[test]
fn forwarding_follows_from_what_is_wanted() {
    use sensor_common::policy::{ALL_FRAMES, ALL_PACKETS, PAYLOAD};
    let bits = |names: &str| policy_bits(&names.parse().expect("known"), false);
    assert_eq!(bits(""), PAYLOAD);
    assert_eq!(
        bits("connection_EOF,connection_first_ACK,conn_stats,ssl_alert"),
        PAYLOAD
    );
    for every in ["tcp_packet", "tcp_option", "new_packet", "packet_contents"] {
        assert_eq!(bits(every), PAYLOAD | ALL_PACKETS, "{every}");
    }
    assert_eq!(bits("raw_packet"), PAYLOAD | ALL_PACKETS | ALL_FRAMES);
    assert_eq!(bits("tcp_contents"), PAYLOAD);
    assert_eq!(policy_bits(&Subscriptions::NONE, true), PAYLOAD);
}

#[test]
fn patterns_stand_for_events() {
    let names = |list: &str| -> Vec<&str> {
        let subs: Subscriptions = list.parse().expect("known");
        subs.iter().map(|e| e.name).collect()
    };
    let ssl = names("ssl_*");
    assert!(
        ssl.len() > 5 && ssl.iter().all(|n| n.starts_with("ssl_")),
        "{ssl:?}"
    );
    assert_eq!(names("*_EOF, udp_session_done").len(), 2);
    assert_eq!(names("zeek_init,zeek_done"), ["bro_done", "bro_init"]);
    assert_eq!(names("zeek_??i*"), ["bro_init"]);
    assert_eq!(names("bro_init*"), ["bro_init"]);
    // The event about events comes by its own name alone, and so does that which undoes what others do.
    assert_eq!(names("*").len(), events().count() - 2);
    assert_eq!(names("anonymization_mapping"), ["anonymization_mapping"]);
    assert_eq!(names("*,new_event,anonymization_mapping").len(), events().count());
    for nothing in ["ssl_?", "x*", "*ssl", "anon*"] {
        assert!(nothing.parse::<Subscriptions>().is_err(), "{nothing}");
    }
}
