//! TLS records followed through a direction: the kernel's program against the host's build of the same function.

use std::sync::LazyLock;

use sensor::datapath::FlowTable;
use sensor::datapath::xdp::{Injector, Kernel, KernelTable, Ring};
use sensor_common::flow::{Outcome, update, why};
use sensor_common::follow::{self, MARK_LEN, Mark, Marks};
use sensor_common::policy::{PAYLOAD, RECORDS};
use sensor_common::{FlowState, Packet, RecordHeader};

use super::frames::{self, Case};
use super::{load, load_small, records, udp_frame};

const BITS: u32 = PAYLOAD | RECORDS;
/// Where the payload of the frames here begins.
pub const DATA: usize = 14 + 20 + 20;

/// Numbers that look random (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A segment as a frame, and the packet that it is.
pub fn segment(seq: u32, payload: &[u8]) -> (Vec<u8>, Packet) {
    static ONE: LazyLock<Case> = LazyLock::new(|| {
        let mut all = frames::tracked().into_iter();
        all.find(|c| c.name == "tcp4 0 vlans 0+0 options 1400 bytes")
            .unwrap()
    });
    let (mut frame, mut p) = (ONE.frame.clone(), ONE.expect.unwrap());
    frame.truncate(DATA);
    frame.extend(payload);
    frame[16..18].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    frame[38..42].copy_from_slice(&seq.to_be_bytes());
    // No acknowledgement: there is nobody to acknowledge.
    frame[47] = 0;
    (p.ip_len, p.payload_len) = (40 + payload.len() as u32, payload.len() as u32);
    (p.seq, p.flags) = (seq, 0);
    (frame, p)
}

/// What the host makes of a packet: the record, if there is one, and what follows it.
fn on_host(flow: &mut FlowState, p: &Packet, frame: &[u8]) -> Option<(RecordHeader, Vec<u8>)> {
    let mut marks = Marks::default();
    let mut out: Outcome;
    // SAFETY: an exclusive reference; there is room for what is loaded.
    unsafe {
        out = update(flow, p, BITS);
        if out.why & why::RECORDS != 0 {
            follow::follow(flow, p, &mut out, &mut marks, |from, to, n| {
                let from = DATA + from as usize;
                std::ptr::copy_nonoverlapping(frame[from..from + n as usize].as_ptr(), to, n as usize);
                true
            });
        }
    }
    if !out.forward() {
        return None;
    }
    let mut head = RecordHeader::default();
    head.fill(p, flow, &out);
    if out.why & (why::RECORDS | why::UNSHED) != 0 {
        head.fill_marks(&marks);
    }
    head.wire_len = frame.len() as u32;
    let bytes = match out.why & (why::RECORDS | why::PAYLOAD) {
        why::RECORDS => marks.marks[..marks.n as usize]
            .iter()
            .flat_map(|m| m.to_bytes())
            .collect(),
        why::PAYLOAD => frame.to_vec(),
        _ => frame[..DATA].to_vec(),
    };
    if out.why & why::RECORDS == 0 {
        head.cap_len = bytes.len() as u32;
    }
    Some((head, bytes))
}

/// Records of random lengths, some of them none, and where they begin.
fn stream(r: &mut Random, len: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut begins) = (Vec::new(), Vec::new());
    while out.len() < len {
        begins.push(out.len());
        let n = match r.below(8) {
            0 => r.below(4) as u16,
            1..4 => r.below(200) as u16,
            _ => r.below(18_000) as u16,
        };
        out.extend([20 + r.below(5) as u8, 3, r.below(4) as u8]);
        out.extend(n.to_be_bytes());
        out.extend(std::iter::repeat_n(r.below(256) as u8, n as usize));
        if r.below(40) == 0 {
            // No record.
            out.push(99);
        }
    }
    (out, begins)
}

struct Both<'k> {
    table: KernelTable,
    ring: Ring,
    run: Injector,
    host: FlowState,
    marks: &'k mut Vec<Mark>,
}

impl Both<'_> {
    /// A packet to both; why it was forwarded.
    fn take(&mut self, seq: u32, payload: &[u8]) -> u32 {
        let (frame, mut p) = segment(seq, payload);
        p.ts = 5;
        self.run.test_run(&frame, 5).unwrap();
        let want = on_host(&mut self.host, &p, &frame);
        assert_eq!(
            self.table.lookup(&p.key).unwrap(),
            Some(self.host),
            "{seq} {}",
            payload.len()
        );
        let got = records(&mut self.ring);
        assert_eq!(got.first(), want.as_ref(), "{seq} {}", payload.len());
        assert!(got.len() <= 1);
        let Some((head, bytes)) = want else { return 0 };
        if head.why & why::RECORDS != 0 {
            self.marks.extend(
                bytes
                    .as_chunks::<MARK_LEN>()
                    .0
                    .iter()
                    .map(|m| Mark::from_bytes(*m)),
            );
        }
        head.why
    }
}

#[test]
fn a_direction_is_followed_as_the_host_build_does() {
    let kernel = load(BITS);
    let mut marks = Vec::new();
    let mut both = Both {
        table: kernel.table().unwrap(),
        ring: kernel.ring(0).unwrap(),
        run: kernel.injector().unwrap(),
        host: FlowState::starting(5),
        marks: &mut marks,
    };
    let mut r = Random(77);
    let key = segment(0, b"x").1.key;
    let dir = segment(0, b"x").1.dir;
    let (mut followed, mut unshed) = (0, 0);
    for round in 0..60u32 {
        // Numbers wrap in some rounds.
        let start = 0u32.wrapping_sub(30_000 * (round % 2));
        both.table.take(&key).unwrap();
        both.host = FlowState::starting(5);
        let (bytes, begins) = stream(&mut r, 60_000);
        both.take(start.wrapping_sub(1), b"x");
        let order = |both: &mut Both<'_>, at: u32| {
            // SAFETY: an exclusive reference.
            let here = unsafe { follow::order(&mut both.host, dir, at) };
            assert_eq!(both.table.follow(&key, dir, at), here);
            here
        };
        assert!(!order(&mut both, start.wrapping_sub(1)), "that place has gone by");
        assert!(order(&mut both, start));
        let mut at = 0;
        let mut late: Option<(usize, usize)> = None;
        while at < bytes.len() {
            let end = (at + 1 + r.below([3, 40, 1400][round as usize % 3]) as usize).min(bytes.len());
            // Nobody acknowledges, so a hole stays open for long: not in every round.
            if round % 5 == 0 && r.below(30) == 0 && late.is_none() {
                late = Some((at, end));
            } else {
                let why = both.take(start.wrapping_add(at as u32), &bytes[at..end]);
                followed += (why & why::RECORDS != 0) as u32;
                if why & why::UNSHED != 0 {
                    unshed += 1;
                    let next = begins.iter().find(|b| **b >= end).unwrap_or(&end);
                    order(&mut both, start.wrapping_add(*next as u32));
                }
            }
            at = end;
            if let Some((a, b)) = late.filter(|_| r.below(3) == 0) {
                both.take(start.wrapping_add(a as u32), &bytes[a..b]);
                late = None;
            }
        }
    }
    assert!(followed > 1000 && unshed > 100, "{followed} {unshed}");
    assert!(marks.len() > 100, "{}", marks.len());
    assert!(kernel.counters().unwrap().balanced());
}

/// A direction of which the first byte has been, and that is to be followed from there on: its first packet.
fn following(kernel: &Kernel) -> (Ring, KernelTable, Injector, Packet) {
    let (mut ring, mut table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let (frame, p) = segment(0, b"x");
    run.test_run(&frame, 1).unwrap();
    records(&mut ring);
    assert!(table.follow(&p.key, p.dir, 1));
    (ring, table, run, p)
}

#[test]
fn the_end_of_following_is_told_in_a_ring_without_room_for_payload() {
    let kernel = load_small(BITS);
    let (mut ring, _, mut run, _) = following(&kernel);
    for _ in 0..100 {
        run.test_run(&udp_frame(1000).0, 2).unwrap();
    }
    run.test_run(&segment(1, b"no record").0, 3).unwrap();
    let (head, bytes) = records(&mut ring).pop().unwrap();
    assert_eq!(
        head.why & (why::UNSHED | why::SHED | why::PAYLOAD),
        why::UNSHED | why::SHED
    );
    assert_eq!((head.pkt.ts, bytes.len()), (3, DATA));
    assert!(kernel.counters().unwrap().balanced());
}

#[test]
fn nobody_is_followed_unless_somebody_wants_it() {
    let kernel = load(PAYLOAD);
    let (mut ring, mut table, mut run, p) = following(&kernel);
    assert!(!table.follow(&p.key, p.dir, 0));
    let record = [&[23, 3, 3, 0, 20][..], &[0; 20]].concat();
    run.test_run(&segment(1, &record).0, 2).unwrap();
    assert_eq!(records(&mut ring), []);
    let after = table.lookup(&p.key).unwrap().unwrap();
    assert_eq!((after.shed, after.follow[p.dir as usize].at), (1 << p.dir, 1));
    // A plain order to shed ends it.
    table.shed(&p.key, 1 << p.dir);
    assert_eq!(
        table.lookup(&p.key).unwrap().unwrap().follow[p.dir as usize].state,
        0
    );
    // What is not there cannot be followed.
    table.take(&p.key).unwrap();
    assert!(!table.follow(&p.key, p.dir, 100));
}
