//! Stretches of a direction that are skipped: the kernel's program against the host's build of the same function.

use sensor::datapath::FlowTable;
use sensor::datapath::xdp::{Injector, KernelTable, Ring};
use sensor_common::flow::why;
use sensor_common::policy::{PAYLOAD, RECORDS};
use sensor_common::{FlowState, RecordHeader, skip};

use super::followed::{DATA, Random, segment};
use super::{load, load_small, on_host, records, udp_frame};

struct Both {
    table: KernelTable,
    ring: Ring,
    run: Injector,
    host: FlowState,
    bits: u32,
}

impl Both {
    /// A packet to both; why it was forwarded.
    fn take(&mut self, seq: u32, len: usize) -> u32 {
        let (frame, mut p) = segment(seq, &vec![7; len]);
        p.ts = 5;
        self.run.test_run(&frame, 5).unwrap();
        let out = on_host(&mut self.host, &p, self.bits);
        assert_eq!(self.table.lookup(&p.key).unwrap(), Some(self.host), "{seq} {len}");
        let got = records(&mut self.ring);
        if !out.forward() {
            assert_eq!(got, []);
            return 0;
        }
        let mut head = RecordHeader::default();
        head.fill(&p, &self.host, &out);
        head.wire_len = frame.len() as u32;
        let whole = out.why & why::PAYLOAD != 0;
        let bytes = if whole { &frame[..] } else { &frame[..DATA] };
        head.cap_len = bytes.len() as u32;
        assert_eq!(got, [(head, bytes.to_vec())], "{seq} {len}");
        out.why
    }
}

#[test]
fn stretches_are_skipped_as_the_host_build_does() {
    for bits in [PAYLOAD, PAYLOAD | RECORDS] {
        let kernel = load(bits);
        let mut both = Both {
            table: kernel.table().unwrap(),
            ring: kernel.ring(0).unwrap(),
            run: kernel.injector().unwrap(),
            host: FlowState::starting(5),
            bits,
        };
        let mut r = Random(99);
        let p = segment(0, b"x").1;
        let (mut kept, mut whole, mut refused) = (0, 0, 0);
        for round in 0..40u32 {
            // Numbers wrap in some rounds.
            let start = 0u32.wrapping_sub(30_000 * (round % 2));
            both.table.take(&p.key).unwrap();
            both.host = FlowState::starting(5);
            both.take(start.wrapping_sub(1), 1);
            let mut at = 0;
            let mut late: Option<(u32, usize)> = None;
            while at < 60_000 {
                if r.below(8) == 0 {
                    let end = start.wrapping_add(at + r.below(9000) as u32).wrapping_sub(1000);
                    // SAFETY: an exclusive reference.
                    let here = unsafe { skip::order(&mut both.host, p.dir, end) };
                    assert_eq!(both.table.skip(&p.key, p.dir, end), here);
                    refused += u32::from(!here);
                }
                let len = 1 + r.below([40, 1400][round as usize % 2]) as usize;
                // Nobody acknowledges, so a hole stays open for long: not in every round.
                if round % 5 == 0 && r.below(30) == 0 && late.is_none() {
                    late = Some((at, len));
                } else {
                    let why = both.take(start.wrapping_add(at), len);
                    kept += u32::from(why & why::PAYLOAD == 0);
                    whole += u32::from(why & why::PAYLOAD != 0);
                }
                at += len as u32;
                if let Some((at, len)) = late.filter(|_| r.below(3) == 0) {
                    both.take(start.wrapping_add(at), len);
                    late = None;
                }
            }
        }
        assert!(
            kept > 1000 && whole > 1000 && refused > 100,
            "{kept} {whole} {refused}"
        );
        assert!(kernel.counters().unwrap().balanced());
    }
}

#[test]
fn a_stretch_ends_in_a_ring_without_room_for_payload_too() {
    let kernel = load_small(PAYLOAD);
    let (mut ring, mut table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let (frame, p) = segment(0, b"x");
    run.test_run(&frame, 1).unwrap();
    records(&mut ring);
    assert!(table.skip(&p.key, p.dir, 2));
    for _ in 0..100 {
        run.test_run(&udp_frame(1000).0, 2).unwrap();
    }
    run.test_run(&segment(1, b"xyz").0, 3).unwrap();
    assert_eq!(table.lookup(&p.key).unwrap().unwrap().shed, 0);
    records(&mut ring);
    run.test_run(&segment(4, b"xyz").0, 4).unwrap();
    let (head, bytes) = records(&mut ring).pop().unwrap();
    assert_eq!((head.why & why::PAYLOAD, bytes.len()), (why::PAYLOAD, DATA + 3));
    assert!(kernel.counters().unwrap().balanced());
}

#[test]
fn what_is_not_there_or_has_gone_by_is_not_skipped() {
    let kernel = load(PAYLOAD);
    let (mut table, mut run) = (kernel.table().unwrap(), kernel.injector().unwrap());
    let (frame, p) = segment(0, b"x");
    assert!(!table.skip(&p.key, p.dir, 100));
    run.test_run(&frame, 1).unwrap();
    assert!(!table.skip(&p.key, p.dir, 1));
    assert_eq!(table.lookup(&p.key).unwrap().unwrap().shed, 0);
    assert!(table.skip(&p.key, p.dir, 100));
    let now = |table: &KernelTable| table.lookup(&p.key).unwrap().unwrap().shed;
    assert_eq!(now(&table), (1 << p.dir) | skip::bits(1 << p.dir));
    // A plain order to shed takes its place, and one to shed no more.
    table.shed(&p.key, 1 << p.dir);
    assert_eq!(now(&table), 1 << p.dir);
    assert!(table.skip(&p.key, p.dir, 200));
    table.order(false, &[(p.key, 1 << p.dir)]).unwrap();
    assert_eq!(now(&table), 0);
}
