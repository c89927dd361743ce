//! DHCP's datagrams on four connections, whose transactions are together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::api::{Protocol, Solo, Start};
use sensor::analyzer::dhcp::{Dhcp, Transactions};
use sensor::event::{Proto, Subscriptions, Uid};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

fuzz_target!(|data: &[u8]| {
    let all = Transactions::default();
    let mut out = Said::default();
    let subs = Subscriptions::ALL;
    let mut flows: Vec<_> = (0..4)
        .map(|n| {
            let mut c = conn(Proto::Udp, [67, 68, 67, 4000][n as usize]);
            c.uid = Uid::new(n, n);
            let start = Start {
                ports: [c.orig_p, c.resp_p],
                ..Start::default()
            };
            (c, Solo::new(Dhcp::new(&start, &all)))
        })
        .collect();
    let mut late = 0;
    for (what, piece) in pieces(data) {
        let (c, solo) = &mut flows[usize::from(what >> 1 & 3)];
        late += u64::from(what >> 3) * 1_000_000_000;
        let mut call = call(c, &subs, &mut out);
        call.ts += late;
        solo.with(call, |a, ctx| a.datagram(what & 1 == 0, piece, ctx));
    }
    for (c, solo) in &mut flows {
        solo.close(call(c, &subs, &mut out));
    }
    let text = String::from_utf8_lossy(&out.text);
    let messages = text
        .lines()
        .filter(|l| l.starts_with("{\"event\":\"dhcp_message\""))
        .count();
    let mut told = 0;
    // Events begin with their name.
    for row in text.lines().filter(|l| l.starts_with("{\"ts\":")) {
        let (_, types) = row.split_once("\"msg_types\":[").expect("types");
        let (types, _) = types.split_once(']').expect("an end");
        let n = types.split(',').count();
        assert!((1..=50).contains(&n));
        told += n;
    }
    assert_eq!(told, messages);
});
