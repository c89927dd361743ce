//! Events of packets of no connection, and of the event queue.

use super::*;

/// An Ethernet frame of an IPv6 packet with these headers after the first.
fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut f = vec![0; 12];
    f.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, rest.len() as u8, next, 64]);
    f.extend([0x20; 16]);
    f.extend([0x21; 16]);
    f.extend(rest);
    f
}

#[test]
fn esp_and_mobility_headers_have_events_of_their_own() {
    const BINDING_REFRESH: [u8; 8] = [59, 0, 0, 0, 0, 0, 0, 0];
    let mut lab = Lab::new("esp_packet,mobile_ipv6_message,new_connection");
    // Destination options before it.
    let mut options = vec![135, 0, 1, 4, 0, 0, 0, 0];
    options.extend(BINDING_REFRESH);
    lab.frame(&ipv6(60, &options));
    lab.frame(&ipv6(50, &[0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4]));
    // Only IPv6 has it as an extension header; over IPv4 it is a protocol like others.
    let mut esp4 = tcp_frame(0, 1, 0, [0, 0], b"");
    esp4[23] = 50;
    lab.frame(&esp4);
    let seen = lab.finish();
    assert_eq!(
        seen.names(),
        ["mobile_ipv6_message", "esp_packet", "new_connection"]
    );
    let mobile = &seen.args("mobile_ipv6_message")[0]["p"]["ip6"];
    assert_eq!(mobile["nxt"], 60);
    assert_eq!(mobile["exts"][1]["id"], 135, "{mobile}");
    let esp = seen.args("esp_packet");
    assert_eq!(esp[0]["p"]["ip6"]["exts"][0]["id"], 50, "{}", esp[0]);
}

/// A UDP datagram of the originator to port 80, in an IP packet of 40 bytes and `more`, with this length in
/// its header.
fn udp_frame(length: u16, more: &[u8]) -> Vec<u8> {
    let mut frame = tcp_frame(0, 1, 0, [0, 0], more);
    frame[23] = 17;
    frame[38..40].copy_from_slice(&length.to_be_bytes());
    frame
}

#[test]
fn a_udp_header_that_contradicts_ip_is_odd() {
    let mut lab = Lab::new("conn_weird");
    // 20 bytes behind the IP header, as the UDP header says, too.
    lab.frame(&udp_frame(20, b""));
    assert!(lab.engine.sink().events.is_empty());
    lab.frame(&udp_frame(256, b""));
    let seen = lab.finish();
    assert_eq!(
        seen.args("conn_weird"),
        [&serde_json::json!({"name": "UDP_datagram_length_mismatch", "addl": "256 != 20"})]
    );
}

#[test]
fn without_an_ip_length_a_udp_header_is_held_against_what_was_captured() {
    let mut lab = Lab::new("conn_weird");
    let mut frame = udp_frame(20, b"");
    frame[16..18].copy_from_slice(&[0, 0]);
    lab.frame(&frame);
    // Nine bytes more.
    frame.extend([0; 9]);
    lab.frame(&frame);
    let seen = lab.finish();
    assert_eq!(
        seen.args("conn_weird"),
        [&serde_json::json!({"name": "UDP_datagram_length_mismatch", "addl": "20 != 29"})]
    );
}

#[test]
fn a_packets_contents_are_what_the_lengths_say() {
    let mut lab = Lab::new("packet_contents");
    // UDP says that there are two bytes in it, then nothing; the last byte is the frame's.
    let mut frame = udp_frame(10, b"abc");
    frame.push(b'!');
    lab.frame(&frame);
    lab.frame(&udp_frame(8, b"abc"));
    // Where TCP's payload begins is not known.
    let mut damaged = tcp_frame(0, 1, tf::ACK, [0, 0], b"abc");
    damaged[46] = 0x40;
    lab.frame(&damaged);
    let seen = lab.finish();
    let told: Vec<_> = seen
        .args("packet_contents")
        .iter()
        .map(|a| a["contents"].clone())
        .collect();
    assert_eq!(told, [hex(&frame[42..44])]);
}

#[test]
fn the_time_of_events_never_goes_back() {
    let mut lab = Lab::new("connection_SYN_packet,connection_established,connection_first_ACK");
    lab.tcp(0, tf::SYN, 0, 0, b"");
    let first = lab.now;
    // Captured later, with an earlier time.
    lab.now -= SECOND;
    lab.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
    lab.now = first;
    lab.tcp(0, tf::ACK, 1, 1, b"");
    let seen = lab.finish();
    let times: Vec<_> = seen.events.iter().map(|e| e["ts"].as_f64()).collect();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_flush_point_follows_events_and_nothing_else() {
    let mut lab = Lab::new("connection_first_ACK,event_queue_flush_point");
    lab.handshake();
    lab.engine.flush_point(lab.now);
    lab.engine.flush_point(lab.now);
    lab.data(0, 1, 1, b"abcd");
    lab.engine.flush_point(lab.now);
    assert_eq!(
        lab.finish().names(),
        ["connection_first_ACK", "event_queue_flush_point"]
    );
}

#[test]
fn new_event_precedes_every_event_but_itself() {
    let mut lab = Lab::new("new_event,new_connection,connection_established");
    lab.handshake();
    let seen = lab.finish();
    assert_eq!(
        seen.names(),
        [
            "new_event",
            "new_connection",
            "new_event",
            "connection_established"
        ]
    );
    let args = seen.args("new_event");
    let told: Vec<_> = args.iter().map(|a| &a["name"]).collect();
    assert_eq!(told, ["new_connection", "connection_established"]);
    assert_eq!(args[0]["params"][0]["value"]["orig_p"], 4096);
}

#[test]
fn ipv6_has_labels_and_extension_headers() {
    let mut lab = Lab::new("connection_flow_label_changed,ipv6_ext_headers");
    // UDP behind eight bytes of padding options.
    let rest = [17, 0, 1, 4, 0, 0, 0, 0, 0x10, 0, 0, 9, 0, 8, 0, 0];
    let mut frame = ipv6(60, &rest);
    lab.frame(&frame);
    frame[17] = 7;
    lab.frame(&frame);
    lab.frame(&frame);
    let seen = lab.finish();
    assert_eq!(
        seen.args("connection_flow_label_changed"),
        [&serde_json::json!({"is_orig": true, "old_label": 0, "new_label": 7})]
    );
    let headers = seen.args("ipv6_ext_headers");
    assert_eq!(headers.len(), 3);
    assert_eq!(headers[0]["p"]["ip6"]["exts"][0]["id"], 60);
}

#[test]
fn sessions_of_some_udp_protocols_are_told_at_their_end() {
    let done = |port: u8| {
        let mut lab = Lab::new("udp_session_done");
        let mut frame = udp_frame(20, b"");
        frame[37] = port;
        lab.frame(&frame);
        let seen = lab.finish();
        seen.events
            .iter()
            .map(|e| e["u"]["resp_p"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(done(53), [53]);
    assert!(done(54).is_empty());
}

/// A DNS message that is its header alone, in [`udp_frame`]'s datagram.
fn dns_frame(flags: u16, questions: u16) -> Vec<u8> {
    let mut frame = udp_frame(20, b"");
    frame[37] = 53;
    frame[42..54].fill(0);
    frame[44..46].copy_from_slice(&flags.to_be_bytes());
    frame[46..48].copy_from_slice(&questions.to_be_bytes());
    frame
}

#[test]
fn what_an_analyzer_would_not_read_is_one_letter() {
    let mut lab = Lab::new("conn_weird");
    // Updates, as hosts send them to register their names.
    lab.frame(&dns_frame(0x2800, 1));
    lab.frame(&dns_frame(0x2800, 1));
    let seen = lab.finish();
    assert_eq!(seen.conn("history"), "DX");
    assert_eq!(seen.args("conn_weird").len(), 2);
    // The log does not repeat itself.
    assert_eq!(seen.rows.iter().filter(|r| r.0 == "weird").count(), 1);
}

/// DNS may be silent for 10 seconds. What turned out to be something else may be for a minute.
#[test]
fn what_is_not_dns_is_not_over_when_dns_would_be() {
    let rows = |questions: u16| {
        let mut lab = Lab::new("new_connection");
        lab.frame(&dns_frame(0, questions));
        lab.frame(&dns_frame(0, 0));
        lab.now += 30 * SECOND;
        lab.frame(&dns_frame(0, 0));
        lab.finish().events.len()
    };
    assert_eq!((rows(0), rows(26)), (2, 1));
}
