//! Half-open flows: who gives way when there are too many, and what userspace makes of connections of which it was
//! told late.

use sensor::conn::{self, Engine};
use sensor::datapath::FlowTable;
use sensor::datapath::xdp::{Injector, Kernel, KernelConfig, KernelTable, Ring};
use sensor::event::log::LogRow;
use sensor::event::{Event, Subscriptions, Ts, Value};
use sensor_common::flow::{half, why};
use sensor_common::key::IPPROTO_TCP;
use sensor_common::record::{KIND_GONE, KIND_PACKET};
use sensor_common::{Counter, FlowKey};

use super::frames::{ACK, FIN, PSH, SYN, tcp_frame};
use super::{flows, load_with, records, udp_frame};

const RST: u8 = 4;
const SECOND: u64 = 1_000_000_000;

/// A segment of the connection of `port`, from the client (side 0) or to it.
fn segment(port: u16, (side, flags, seq, ack, len): Step) -> Vec<u8> {
    let mut f = tcp_frame(
        seq.wrapping_add(ISN[side]),
        if flags & ACK == 0 {
            0
        } else {
            ack.wrapping_add(ISN[side ^ 1])
        },
        flags,
        &vec![7; len],
    );
    let ends = [([10, 1, 0, 1], port), ([10, 2, 0, 2], 7000)];
    for (i, at) in [(side, 0), (side ^ 1, 1)] {
        f[26 + 4 * at..30 + 4 * at].copy_from_slice(&ends[i].0);
        f[34 + 2 * at..36 + 2 * at].copy_from_slice(&ends[i].1.to_be_bytes());
    }
    f
}

/// Side, flags, sequence number and acknowledgement from the initial ones on, payload bytes.
type Step = (usize, u8, u32, u32, usize);
const ISN: [u32; 2] = [0xffff_fff0 - 0x100, 5000];

const OPEN: [Step; 3] = [(0, SYN, 0, 0, 0), (1, SYN | ACK, 0, 1, 0), (0, ACK, 1, 1, 0)];

/// One share in four of 64.
fn load() -> Kernel {
    load_with(&KernelConfig {
        flows: 64,
        half_open_share: 25,
        ring_bytes: 1 << 16,
        ..KernelConfig::default()
    })
}

#[test]
fn the_oldest_give_way_and_are_told_of() {
    let kernel = load();
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap().in_batches(),
        kernel.injector().unwrap(),
    );
    let mut play = |port, step, ts| run.test_run(&segment(port, step), ts).map(drop).unwrap();
    // Some are answered in full, and leave room at once.
    for port in 0..20 {
        for step in OPEN {
            play(port, step, 10);
        }
    }
    assert!(records(&mut ring).iter().all(|(h, _)| h.kind == KIND_PACKET));
    for port in 100..200 {
        play(port, OPEN[0], port.into());
        if port % 2 == 0 {
            play(port, OPEN[1], u64::from(port) + 1);
        }
        let told = records(&mut ring);
        let gone: Vec<_> = told.iter().filter(|(h, _)| h.kind == KIND_GONE).collect();
        assert_eq!(gone.len(), usize::from(port >= 116), "port {port}");
        for (h, _) in gone {
            let state = h.last_state();
            assert_eq!((state.start, h.flow_start), (u64::from(port) - 16, state.start));
            let ports = [h.pkt.key.a_port, h.pkt.key.b_port];
            assert!(ports.contains(&(port - 16)), "{ports:?}");
            assert_eq!(
                state.dir.map(|d| d.pkts).iter().sum::<u64>(),
                1 + u64::from(port % 2 == 0)
            );
        }
    }
    let c = kernel.counters().unwrap();
    assert_eq!(
        (
            c.get(Counter::HalfOpenEvicted),
            c.get(Counter::HalfOpenUntold),
            c.get(Counter::TableFull)
        ),
        (84, 0, 0)
    );
    assert_eq!(flows(&table), 20 + 16);
    assert!(c.balanced(), "{c:?}");
}

#[test]
fn who_leaves_the_table_makes_room_for_others() {
    let kernel = load();
    let (mut ring, mut table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap().in_batches(),
        kernel.injector().unwrap(),
    );
    for port in 0..200 {
        run.test_run(&segment(port, OPEN[0]), 1).unwrap();
        let keys: Vec<_> = records(&mut ring).iter().map(|(h, _)| h.pkt.key).collect();
        if port % 16 == 15 {
            let mut cursor = None;
            let mut all: Vec<FlowKey> = Vec::new();
            table.walk(&mut cursor, 100, |k, _| all.push(*k)).unwrap();
            table.ask(&all, true, &mut Vec::new());
        }
        assert_eq!(keys.len(), 1);
    }
    assert_eq!(kernel.counters().unwrap().get(Counter::HalfOpenEvicted), 0);
}

#[test]
fn without_a_bound_none_gives_way() {
    let kernel = load_with(&KernelConfig {
        flows: 64,
        half_open_share: 100,
        ..KernelConfig::default()
    });
    let mut run = kernel.injector().unwrap();
    for port in 0..200 {
        run.test_run(&segment(port, OPEN[0]), 1).unwrap();
    }
    let c = kernel.counters().unwrap();
    assert_eq!(c.get(Counter::HalfOpenEvicted), 0);
    assert!(c.get(Counter::TableFull) > 0 && c.balanced(), "{c:?}");
}

/// TCP's rows of conn.log without the uid.
#[derive(Default)]
struct Rows(Vec<String>);

impl conn::Sink for Rows {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, row: &dyn LogRow) {
        let mut values = Vec::new();
        row.values(&mut values);
        if row.path() != "conn" || !values.contains(&Value::Count(IPPROTO_TCP.into())) {
            return;
        }
        let named = row.columns().iter().zip(&values).filter(|(c, _)| c.name != "uid");
        let row: Vec<_> = named.map(|(c, v)| format!("{}={v:?}", c.name)).collect();
        self.0.push(row.join(" "));
    }
}

/// Brings what is in the ring to the engine.
fn drain(ring: &mut Ring, engine: &mut Engine<Rows>, table: &mut KernelTable) {
    while let Some((h, bytes)) = ring.next() {
        if h.kind == KIND_GONE {
            engine.gone(&h.pkt.key, &h.last_state(), h.why & why::UNTOLD != 0, table);
        } else {
            engine.record(h, bytes, table);
        }
    }
}

/// The rows of a connection of these packets; the ring is crowded for the first so many of them.
fn rows(kernel: &Kernel, run: &mut Injector, steps: &[Step], crowded: usize) -> Vec<String> {
    let (mut ring, mut table) = (kernel.ring(0).unwrap(), kernel.table().unwrap());
    let held = || kernel.counters().unwrap().get(Counter::SynsHeld);
    let before = held();
    let mut engine = Engine::new(conn::Config::default(), Subscriptions::default(), Rows::default());
    let other = |run: &mut Injector| run.test_run(&udp_frame(1000).0, SECOND).map(drop).unwrap();
    for _ in 0..30 {
        other(run);
        if crowded == 0 {
            drain(&mut ring, &mut engine, &mut table);
        }
    }
    let opening = steps.iter().take_while(|s| s.1 & (SYN | RST) != 0).count();
    for (i, step) in steps.iter().enumerate() {
        if i == crowded {
            drain(&mut ring, &mut engine, &mut table);
        }
        run.test_run(&segment(1, *step), (i as u64 + 2) * SECOND).unwrap();
    }
    let held = held() - before;
    assert_eq!(held, crowded.min(opening) as u64, "{steps:?}");
    drain(&mut ring, &mut engine, &mut table);
    // What is untold still is told in the end, as by the slow sweep.
    let mut untold = Vec::new();
    table
        .walk(&mut None, 100, |k, f| {
            untold.extend((f.half & half::UNTOLD != 0).then_some(*k))
        })
        .unwrap();
    assert_eq!(untold.len(), usize::from(held == steps.len() as u64));
    table.end_and_tell(&untold).unwrap();
    drain(&mut ring, &mut engine, &mut table);
    assert_eq!(flows(&table), 2 - untold.len());
    engine.finish(100 * SECOND, &mut table);
    engine.into_sink().0
}

#[test]
fn who_is_told_late_knows_the_same() {
    let closed: &[Step] = &[
        (0, ACK | PSH, 1, 1, 300),
        (1, ACK, 1, 301, 800),
        (0, FIN | ACK, 301, 801, 0),
        (1, FIN | ACK, 801, 302, 0),
        (0, ACK, 302, 802, 0),
    ];
    let conns: [Vec<Step>; 6] = [
        [&OPEN, closed].concat(),
        // The handshake's last packet brings payload.
        [&OPEN[..2], closed].concat(),
        OPEN[..1].to_vec(),
        OPEN[..2].to_vec(),
        vec![OPEN[0], (1, RST | ACK, 0, 1, 0)],
        vec![OPEN[0], OPEN[1], (0, RST, 1, 0, 0)],
    ];
    let kernel = load();
    let mut run = kernel.injector().unwrap();
    for steps in conns {
        let at_once = rows(&kernel, &mut run, &steps, 0);
        assert_eq!(at_once.len(), 1, "{at_once:?}");
        // Up to all that opens.
        for crowded in 1..=2.min(steps.len()) {
            assert_eq!(
                rows(&kernel, &mut run, &steps, crowded),
                at_once,
                "{steps:?}, {crowded} of them held"
            );
        }
    }
}
