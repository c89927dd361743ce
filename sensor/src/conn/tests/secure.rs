//! TLS and DTLS that begin after something else, on ports that tell nothing, or without the connection's start.

use super::*;

pub const DTLS: &[u8] = include_bytes!("../../analyzer/tls/samples/dtls12.bin");
const TLS: &[u8] = include_bytes!("../../analyzer/tls/samples/tls12-ecdhe.bin");
/// Who its client asks for.
const NAME: &str = "www.example.org";

/// The datagrams of a sample, with who sent them: see the samples' README.
pub fn pieces(mut sample: &[u8]) -> Vec<(usize, &[u8])> {
    let mut out = Vec::new();
    while let [side, a, b, c, d, rest @ ..] = sample {
        let n = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (piece, after) = rest.split_at(n);
        out.push((usize::from(*side), piece));
        sample = after;
    }
    out
}

/// 10.0.0.1:4096 to 10.0.0.2:5000 or back.
pub fn udp_frame(side: usize, payload: &[u8]) -> Vec<u8> {
    let (hosts, ports) = ([[10, 0, 0, 1], [10, 0, 0, 2]], [4096u16, 5000]);
    let mut f = vec![0; 12];
    f.extend([8, 0, 0x45, 0]);
    f.extend((28 + payload.len() as u16).to_be_bytes());
    f.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    f.extend(hosts[side]);
    f.extend(hosts[side ^ 1]);
    f.extend(ports[side].to_be_bytes());
    f.extend(ports[side ^ 1].to_be_bytes());
    f.extend((8 + payload.len() as u16).to_be_bytes());
    f.extend([0, 0]);
    f.extend_from_slice(payload);
    f
}

/// DTLS after `before`, its client being `client`; the service and the rows of ssl.log.
fn dtls_after(before: &[&[u8]], client: usize) -> (String, usize) {
    let mut lab = Lab::new("");
    for b in before {
        lab.frame(&udp_frame(0, b));
        lab.frame(&udp_frame(1, b));
    }
    for (side, piece) in pieces(DTLS) {
        lab.frame(&udp_frame(side ^ client, piece));
    }
    let seen = lab.finish();
    let rows = seen.rows.iter().filter(|r| r.0 == "ssl").count();
    (seen.conn("service").to_owned(), rows)
}

/// A binding request with the magic cookie.
fn stun() -> Vec<u8> {
    let mut m = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    m.resize(20 + 8, 7);
    m
}

#[test]
fn dtls_after_stun_is_found_whoever_is_its_client() {
    let stun = stun();
    let found = ("dtls".to_owned(), 1);
    assert_eq!(dtls_after(&[], 0), found);
    assert_eq!(dtls_after(&[&stun], 0), found);
    assert_eq!(dtls_after(&[&stun, &stun], 1), found);
}

/// A datagram with one whole message as two with a fragment each, cut after `at` bytes of the message's body.
fn fragments(whole: &[u8], at: usize) -> [Vec<u8>; 2] {
    let (head, body) = whole.split_at(25);
    [(0, &body[..at]), (at, &body[at..])].map(|(offset, part)| {
        let mut f = [head, part].concat();
        f[11..13].copy_from_slice(&(12 + part.len() as u16).to_be_bytes());
        f[19..22].copy_from_slice(&(offset as u32).to_be_bytes()[1..]);
        f[22..25].copy_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
        f[10] += (offset > 0) as u8;
        f
    })
}

/// Service of datagrams, and whether TLS was established.
fn dtls(datagrams: impl IntoIterator<Item = (usize, Vec<u8>)>) -> (String, String) {
    let mut lab = Lab::new("");
    for (side, d) in datagrams {
        lab.frame(&udp_frame(side, &d));
    }
    let (service, _, established, _) = told(&lab.finish());
    (service, established)
}

/// The sample without HelloVerifyRequest and what came before.
fn from_second_hello() -> Vec<(usize, Vec<u8>)> {
    let all = pieces(DTLS).into_iter().skip(2);
    all.map(|(side, d)| (side, d.to_vec())).collect()
}

#[test]
fn dtls_is_found_by_any_hello_that_comes_first() {
    let found = ("dtls".to_owned(), "Bool(true)".to_owned());
    for number in [0, 1, 255, 256, 1 << 47] {
        let mut all = from_second_hello();
        all[0].1[5..11].copy_from_slice(&u64::to_be_bytes(number)[2..]);
        assert_eq!(dtls(all), found, "{number}");
    }
    // The cookie's request first, or the server's hello.
    for from in [1, 3] {
        let all = pieces(DTLS).into_iter().skip(from);
        assert_eq!(dtls(all.map(|(side, d)| (side, d.to_vec()))), found, "{from}");
    }
    // The hello's end first; or nothing but its end.
    let mut all = from_second_hello();
    let [start, end] = fragments(&all.remove(0).1, 40);
    all.insert(0, (0, end));
    assert_eq!(dtls(all.clone()), found);
    all.insert(1, (0, start));
    assert_eq!(dtls(all), found);
}

#[test]
fn datagrams_are_not_looked_at_for_ever() {
    let long = [0x55; 600];
    assert_eq!(dtls_after(&[&long], 0).1, 0);
}

/// A conversation over TCP, its client being `client`, in segments of at most 500 bytes; without those before `from`.
fn talk(lab: &mut Lab, sample: &[u8], client: usize, from: usize) {
    let mut at = [1u32; 2];
    let all = pieces(sample);
    let segments = all
        .iter()
        .flat_map(|(side, piece)| piece.chunks(500).map(move |b| (side ^ client, b)));
    for (n, (side, bytes)) in segments.enumerate() {
        if n >= from {
            lab.data(side, at[side], at[side ^ 1], bytes);
        }
        at[side] += bytes.len() as u32;
    }
}

/// Service and originator's port of the connection, whether TLS was established, whom its client asked for.
fn told(seen: &Seen) -> (String, String, String, String) {
    let rows: Vec<_> = seen.rows.iter().filter(|r| r.0 == "ssl").collect();
    assert!(rows.len() <= 1, "{rows:?}");
    let column = |name: &str| {
        let row = rows.first()?;
        row.1.iter().find(|v| v.0 == name).map(|v| v.1.clone())
    };
    (
        seen.conn("service").to_owned(),
        seen.conn("id.orig_p").to_owned(),
        column("established").unwrap_or_default(),
        column("server_name").unwrap_or_default(),
    )
}

#[test]
fn a_lost_syn_ack_costs_tls_nothing() {
    for port in [443, 5000] {
        let mut lab = Lab::new("");
        lab.resp_port = port;
        lab.tcp(0, tf::SYN, 0, 0, b"");
        lab.ack(0, 1, 1);
        talk(&mut lab, TLS, 0, 0);
        let (service, _, established, name) = told(&lab.finish());
        assert_eq!(
            (service.as_str(), established.as_str()),
            ("ssl", "Bool(true)"),
            "{port}"
        );
        assert!(name.contains(NAME), "{name}");
    }
}

/// Service, originator's port, whether established, and server name of TLS in mid-stream: its client is `client`, `before`
/// sends an ACK first, and the first `from` segments were not captured.
fn midstream(
    port: u16,
    client: usize,
    before: Option<usize>,
    from: usize,
) -> (String, String, String, String) {
    let mut lab = Lab::new("");
    lab.resp_port = port;
    if let Some(side) = before {
        lab.ack(side, 1, 1);
    }
    talk(&mut lab, TLS, client, from);
    told(&lab.finish())
}

#[test]
fn tls_without_a_handshake_of_tcp_is_found_by_its_hello() {
    for (port, client) in [(443, 0), (5000, 0), (5000, 1)] {
        let of_client = format!("Port({})", if client == 0 { CLIENT_PORT } else { port });
        for before in [None, Some(0), Some(1)] {
            let whole = midstream(port, client, before, 0);
            let told = (
                "ssl".to_owned(),
                of_client.clone(),
                "Bool(true)".to_owned(),
                NAME.to_owned(),
            );
            assert_eq!(whole, told, "{port} {client} {before:?}");
            // From the server's hello on, whose client asked for somebody.
            let (service, orig, established, name) = midstream(port, client, before, 1);
            assert_eq!(
                [service, established, name],
                ["ssl", "Bool(true)", "Unset"],
                "{port} {client} {before:?}"
            );
            assert_eq!(orig, of_client);
        }
        // What comes later says nothing by itself.
        for from in 2..8 {
            assert_eq!(midstream(port, client, None, from).0, "Unset", "{port} {from}");
        }
    }
}

#[test]
fn mid_stream_is_looked_at_for_a_while_and_nothing_in_it_is_a_violation() {
    let hello = pieces(TLS)[0].1;
    for (clear, found) in [(0, false), (1000, true), (4000, true), (5000, false)] {
        let mut lab = Lab::new("protocol_violation");
        lab.resp_port = 443;
        // Encrypted records, cut anywhere, or nothing.
        let bulk = [[23, 3, 3, 0, 200].as_slice(), &[0x5a; 200]].concat().repeat(30);
        let part = &bulk[100..100 + clear];
        let mut at = 1;
        for b in part.chunks(700) {
            lab.data(1, at, 1, b);
            at += b.len() as u32;
            lab.ack(0, 1, at);
        }
        if clear > 0 {
            lab.data(0, 1, at, hello);
        } else {
            // In the middle of a segment it is none.
            lab.data(0, 1, at, &[b"x", hello].concat());
        }
        let seen = lab.finish();
        assert_eq!(seen.names(), [""; 0]);
        assert_eq!(told(&seen).0, if found { "ssl" } else { "Unset" }, "{clear}");
    }
}

#[test]
fn a_syn_says_who_began_whoever_says_hello_first() {
    let mut lab = Lab::new("");
    lab.resp_port = 5000;
    lab.tcp(0, tf::SYN, 0, 0, b"");
    lab.ack(0, 1, 1);
    talk(&mut lab, TLS, 1, 0);
    assert_eq!(told(&lab.finish()).1, "Port(4096)");
}
