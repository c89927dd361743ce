//! Which connections retransmit most: the sensor as a library.
//!
//!     cargo run --release -p sensor --example retransmissions -- CAPTURE [CAPTURE ...]

use std::process::ExitCode;

use sensor::conn::Config;
use sensor::event::{ConnId, ConnStats, Event, Handler, Subscriptions, Ts};
use sensor::offline;
use sensor::packet::Capture;

/// Packets and retransmissions of the connections that had some.
#[derive(Default)]
struct Worst(Vec<(u64, u64, ConnId)>);

impl Handler for Worst {
    fn wants(&self) -> Subscriptions {
        Subscriptions::NONE.with(ConnStats::KIND)
    }

    fn event(&mut self, _: Ts, ev: &dyn Event) {
        if let Some(ConnStats { c, os, rs }) = ConnStats::of(ev) {
            let again = os.num_rxmit + rs.num_rxmit;
            if again > 0 {
                self.0.push((again, os.num_pkts + rs.num_pkts, *c));
            }
        }
    }
}

fn main() -> ExitCode {
    let mut captures = Vec::new();
    for name in std::env::args_os().skip(1) {
        match Capture::open(name) {
            Ok(c) => captures.push(c),
            Err(e) => {
                eprintln!("{e}");
                return ExitCode::from(2);
            }
        }
    }
    let (mut worst, damage) = offline::read(captures, Config::default(), Worst::default());
    worst.0.sort_by_key(|w| std::cmp::Reverse(w.0));
    for (again, packets, c) in worst.0.iter().take(20) {
        let (o, r) = ((c.orig_h, c.orig_p), (c.resp_h, c.resp_p));
        println!(
            "{again:6} of {packets:8} packets  {}:{} -> {}:{}  {}",
            o.0, o.1, r.0, r.1, c.uid
        );
    }
    if let Some(e) = damage {
        eprintln!("{e}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
