//! Lookups from servers that answer as no server should. Those that answer as servers do are in the live tests.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::super::mapping::{Found, How, MAX_ADDRS};
use super::*;

/// What a server says to a query, in datagrams and over TCP. The query comes whole, and its name as labels with dots.
type Say = fn(query: &[u8], name: &str) -> (Vec<Vec<u8>>, Vec<u8>);

/// A server on the loopback that says what it is told to, and how often it was asked.
fn server(say: Say) -> (SocketAddr, Arc<AtomicU64>) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let at = udp.local_addr().expect("an address");
        // Another test may have the port of the other kind.
        if let Ok(tcp) = TcpListener::bind(at) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().expect("an address");
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    std::thread::spawn(move || {
        let mut query = [0; 4096];
        while let Ok((n, from)) = udp.recv_from(&mut query) {
            counted.fetch_add(1, Ordering::Relaxed);
            for datagram in say(&query[..n], &name_in(&query[..n])).0 {
                let _ = udp.send_to(&datagram, from);
            }
        }
    });
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in tcp.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut len = [0; 2];
                while stream.read_exact(&mut len).is_ok() {
                    let mut query = vec![0; u16::from_be_bytes(len).into()];
                    stream.read_exact(&mut query).expect("a query");
                    let reply = say(&query, &name_in(&query)).1;
                    let len = u16::try_from(reply.len()).expect("it fits");
                    let _ = stream.write_all(&[&len.to_be_bytes()[..], &reply].concat());
                }
            });
        }
    });
    (at, asked)
}

/// The name that a query asks for.
fn name_in(query: &[u8]) -> String {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let len = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..][..len]).into_owned());
        at += 1 + len;
    }
    labels.join(".")
}

/// Where the question ends.
fn question_end(query: &[u8]) -> usize {
    12 + query[12..].iter().position(|b| *b == 0).expect("a name") + 5
}

/// What type of record is asked for.
fn kind(query: &[u8]) -> u8 {
    query[question_end(query) - 3]
}

/// A reply with these flags beside that of a reply, and these answers: type, data; all are of the name that was asked for.
fn reply(query: &[u8], flags: u16, answers: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = query[..question_end(query)].to_vec();
    out[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    out[6..12].copy_from_slice(&[0; 6]);
    out[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
    for (kind, data) in answers {
        out.extend([0xc0, 12, 0, *kind, 0, 1, 0, 0, 0, 0]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    out
}

const A: u8 = 1;
const CNAME: u8 = 5;
const PTR: u8 = 12;
const NX: u16 = 3;

fn wire_name(name: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name {
        out.push(label.len() as u8);
        out.extend(*label);
    }
    out.push(0);
    out
}

/// Says the usual thing: `good.example` is 192.0.2.1.
fn good(query: &[u8]) -> Vec<u8> {
    let answers = match kind(query) {
        A => vec![(A, vec![192, 0, 2, 1])],
        _ => vec![],
    };
    reply(query, 0, &answers)
}

fn plan(server: SocketAddr) -> ResolverPlan {
    ResolverPlan {
        servers: vec![server],
        timeout: Duration::from_millis(500),
        file: None,
        entries: 1000,
        lookups: 4,
        keep: Keep {
            least: Duration::ZERO,
            most: Duration::from_secs(100),
        },
    }
}

fn ask(asker: &Asker, what: &str) -> Receiver<Answer> {
    let (to, answers) = channel();
    let query = Query::of(what).expect("a query");
    assert!(asker.ask(Question { query, ticket: 7, to }));
    answers
}

fn answer(asker: &Asker, what: &str) -> Answer {
    let answers = ask(asker, what);
    answers.recv_timeout(Duration::from_secs(10)).expect(what)
}

fn addrs(list: &[[u8; 4]]) -> Got {
    let addrs = list.iter().map(|a| IpAddr::from(*a)).collect();
    Got::Found(Found::addrs(addrs).expect("addresses"))
}

#[test]
fn a_hostile_server_cannot_do_more_than_not_answer() {
    let (at, _) = server(|query, name| {
        let head = &query[..2];
        let udp = match name.split('.').next().unwrap_or_default() {
            "garbage" => vec![[head, &[0xff; 600][..]].concat()],
            "short" => vec![head.to_vec(), Vec::new()],
            "cut" => {
                let whole = good(query);
                vec![whole[..whole.len() - 3].to_vec()]
            }
            // A pointer to itself, in place of a name.
            "pointer" => vec![reply(
                query,
                0,
                &[(CNAME, vec![0xc0, question_end(query) as u8 + 12])],
            )],
            "loop" => vec![reply(query, 0, &[(CNAME, wire_name(&[b"loop", b"example"]))])],
            // Each has another one.
            n if n.starts_with("chain") => {
                let next = format!("chain{}", n.len());
                let next = wire_name(&[
                    format!("{next}x{n}").as_bytes().get(..60).unwrap_or(n.as_bytes()),
                    b"example",
                ]);
                vec![reply(query, 0, &[(CNAME, next)])]
            }
            "servfail" => vec![reply(query, 2, &[])],
            "refused" => vec![reply(query, 5, &[])],
            // To somebody else's question.
            "other" => {
                let mut other = good(query);
                other[13] ^= 1;
                vec![other]
            }
            "silent" => vec![],
            "id" => {
                let mut other = good(query);
                other[0] ^= 1;
                vec![other]
            }
            _ => vec![good(query)],
        };
        (udp, Vec::new())
    });
    let resolver = Resolver::start(plan(at), || {}).expect("a thread");
    let asker = resolver.asker();
    for name in [
        "garbage", "short", "cut", "pointer", "loop", "chain", "servfail", "refused", "other", "id", "silent",
    ] {
        let got = answer(&asker, &format!("{name}.example")).got;
        assert!(
            matches!(got, Got::Unanswered(None) | Got::Empty),
            "{name}: {got:?}"
        );
    }
    assert_eq!(answer(&asker, "good.example").got, addrs(&[[192, 0, 2, 1]]));
    resolver.finish();
}

#[test]
fn large_answers_come_over_tcp_and_are_bounded() {
    let (at, _) = server(|query, name| {
        let many: Vec<_> = (0..4000_u32)
            .map(|n| (A, (0x0a00_0000 + n).to_be_bytes().to_vec()))
            .collect();
        let all = match (kind(query), name) {
            (A, "many.example") => many,
            (A, _) => vec![(A, vec![192, 0, 2, 1])],
            _ => vec![],
        };
        // In a datagram the reply is cut off, and says so.
        (vec![reply(query, 0x0200, &[])], reply(query, 0, &all))
    });
    let resolver = Resolver::start(plan(at), || {}).expect("a thread");
    let asker = resolver.asker();
    let Got::Found(found) = answer(&asker, "many.example").got else {
        panic!("addresses")
    };
    assert_eq!(found.as_addrs().len(), MAX_ADDRS);
    assert_eq!(answer(&asker, "one.example").got, addrs(&[[192, 0, 2, 1]]));
}

#[test]
fn names_of_addresses_are_hosts_names_or_none() {
    let (at, _) = server(|query, name| {
        let names: Vec<Vec<u8>> = match name {
            "1.2.0.192.in-addr.arpa" => vec![
                wire_name(&[b"z", b"example"]),
                wire_name(&[b"A", b"example"]),
                wire_name(&[b"\x1b[31m", b"example"]),
            ],
            "2.2.0.192.in-addr.arpa" => vec![wire_name(&[b"a\nb", b"example"]), wire_name(&[])],
            _ => vec![],
        };
        let names: Vec<_> = names.into_iter().map(|n| (PTR, n)).collect();
        let flags = if names.is_empty() { NX } else { 0 };
        (vec![reply(query, flags, &names)], Vec::new())
    });
    let resolver = Resolver::start(plan(at), || {}).expect("a thread");
    let asker = resolver.asker();
    let name = Got::Found(Found::Name("a.example".to_owned()));
    assert_eq!(answer(&asker, "192.0.2.1").got, name);
    assert_eq!(answer(&asker, "192.0.2.2").got, Got::Empty);
    assert_eq!(answer(&asker, "192.0.2.3").got, Got::Empty);
}

#[test]
fn many_questions_are_asked_some_at_a_time_and_the_same_once() {
    let (at, asked) = server(|query, name| {
        let says = name != "silent.example";
        (if says { vec![good(query)] } else { vec![] }, Vec::new())
    });
    let keep = Keep {
        least: Duration::from_secs(50),
        most: Duration::from_secs(100),
    };
    let resolver = Resolver::start(ResolverPlan { keep, ..plan(at) }, || {}).expect("a thread");
    let asker = resolver.asker();
    let same: Vec<_> = (0..100).map(|_| ask(&asker, "good.example")).collect();
    for answers in same {
        let got = answers.recv_timeout(Duration::from_secs(10)).expect("an answer");
        assert_eq!(got.got, addrs(&[[192, 0, 2, 1]]));
    }
    // Both kinds of records, once.
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let (to, answers) = channel();
    let (mut taken, mut full) = (0, 0);
    for n in 0..3 * MAX_WAITING as u64 {
        let query = Query::of(&format!("h{n}.example")).expect("a name");
        let to = to.clone();
        let is_taken = asker.ask(Question { query, ticket: n, to });
        *if is_taken { &mut taken } else { &mut full } += 1;
    }
    let mut not_asked = 0;
    for n in 0..taken {
        let answer = answers.recv_timeout(Duration::from_secs(10));
        let answer =
            answer.unwrap_or_else(|e| panic!("each that was taken has an answer: {n} of {taken}: {e}"));
        not_asked += usize::from(answer.got == Got::NotAsked);
    }
    assert!(full + not_asked > 0, "there were too many");
    // And nobody is in the way of those who ask then.
    assert_eq!(answer(&asker, "after.example").got, addrs(&[[192, 0, 2, 1]]));
}

#[test]
fn what_names_were_is_known_to_the_next_run() {
    let (at, _) = server(|query, _| (vec![good(query)], Vec::new()));
    let dir = std::env::temp_dir().join(format!("sensor-resolver-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let plan = ResolverPlan {
        file: Some(dir.join("deep/names")),
        ..plan(at)
    };
    let run = |plan: &ResolverPlan, what: &str| {
        let resolver = Resolver::start(plan.clone(), || {}).expect("a thread");
        let answer = answer(&resolver.asker(), what);
        resolver.finish();
        answer.change.map(|c| c.how)
    };
    assert_eq!(run(&plan, "a.example"), None);
    assert_eq!(run(&plan, "a.example"), Some(How::Valid));
    // Nobody is there: a port that was just free.
    let nobody = UdpSocket::bind("127.0.0.1:0")
        .expect("a socket")
        .local_addr()
        .expect("an address");
    let alone = ResolverPlan {
        servers: vec![nobody],
        ..plan.clone()
    };
    assert_eq!(run(&alone, "a.example"), Some(How::Unverified));
    assert_eq!(run(&alone, "b.example"), None);
    assert_eq!(run(&plan, "b.example"), Some(How::NewName));
    // What an operator breaks is begun anew.
    std::fs::write(dir.join("deep/names"), "?").expect("a file");
    assert_eq!(run(&plan, "a.example"), None);
    assert_eq!(run(&plan, "a.example"), Some(How::Valid));
    // A run in which nobody asks touches nothing.
    std::fs::remove_dir_all(&dir).expect("a folder");
    Resolver::start(plan, || {}).expect("a thread").finish();
    assert!(!dir.exists());
}
