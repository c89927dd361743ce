use super::*;
use proptest::prelude::*;
use std::io::Write;

/// Numbers in one of the byte orders.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, v: u16) -> [u8; 2] {
        if self.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    }
    fn u32(self, v: u32) -> [u8; 4] {
        if self.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    }

    fn pcap(self, magic: u32, link: u32) -> Vec<u8> {
        let mut b = self.u32(magic).to_vec();
        b.extend(self.u16(2));
        b.extend(self.u16(4));
        for v in [0, 0, 262_144, link] {
            b.extend(self.u32(v));
        }
        b
    }

    fn packet(self, sec: u32, frac: u32, data: &[u8], wire: u32) -> Vec<u8> {
        let mut b = Vec::new();
        for v in [sec, frac, data.len() as u32, wire] {
            b.extend(self.u32(v));
        }
        b.extend_from_slice(data);
        b
    }

    fn block(self, typ: u32, body: &[u8]) -> Vec<u8> {
        let body_len = body.len().next_multiple_of(4);
        let len = self.u32(12 + body_len as u32);
        let mut b = self.u32(typ).to_vec();
        b.extend(len);
        b.extend_from_slice(body);
        b.resize(8 + body_len, 0);
        b.extend(len);
        b
    }

    fn section(self) -> Vec<u8> {
        let mut b = self.u32(0x1a2b_3c4d).to_vec();
        b.extend(self.u16(1));
        b.extend(self.u16(0));
        b.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &b)
    }

    fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut b = self.u16(link).to_vec();
        b.extend([0, 0]);
        b.extend(self.u32(snaplen));
        for (code, value) in options {
            b.extend(self.u16(*code));
            b.extend(self.u16(value.len() as u16));
            b.extend_from_slice(value);
            b.resize(b.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            b.extend([0; 4]);
        }
        self.block(1, &b)
    }

    fn enhanced(self, iface: u32, stamp: u64, data: &[u8], wire: u32) -> Vec<u8> {
        let mut b = Vec::new();
        for v in [iface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire] {
            b.extend(self.u32(v));
        }
        b.extend_from_slice(data);
        self.block(6, &b)
    }
}

const LE: Order = Order { big: false };
const BE: Order = Order { big: true };

/// A reader that gives little at a time.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, b: &mut [u8]) -> io::Result<usize> {
        let n = b.len().min(7);
        self.0.read(&mut b[..n])
    }
}

fn open(b: &[u8]) -> Result<Capture, CaptureError> {
    Capture::from_reader("test", Box::new(Slow(Cursor::new(b.to_vec()))))
}

type Seen = (u64, u32, Vec<u8>, u32);

/// All frames, and the error that ended them.
fn read(b: &[u8]) -> (Vec<Seen>, Option<CaptureError>) {
    let mut c = match open(b) {
        Ok(c) => c,
        Err(e) => return (vec![], Some(e)),
    };
    let mut all = Vec::new();
    let mut error = None;
    while let Some(f) = c.next() {
        match f {
            Ok(f) => all.push((f.ts, f.link.0, f.data.to_vec(), f.wire_len)),
            Err(e) => error = Some(e),
        }
    }
    assert!(c.next().is_none());
    (all, error)
}

fn damaged_at(e: Option<CaptureError>) -> Option<u64> {
    match e {
        Some(CaptureError::Damaged { at, .. }) => Some(at),
        _ => None,
    }
}

#[test]
fn pcap_in_all_forms() {
    for o in [LE, BE] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let mut b = o.pcap(magic, 1);
            b.extend(o.packet(10, 20, &[1, 2, 3], 60));
            b.extend(o.packet(11, 0, &[], 0));
            let (all, e) = read(&b);
            assert!(e.is_none());
            assert_eq!(
                all,
                [
                    (10 * SECOND + 20 * unit, 1, vec![1, 2, 3], 60),
                    (11 * SECOND, 1, vec![], 0)
                ]
            );
        }
    }
}

#[test]
fn nothing_in_it() {
    assert_eq!(read(&LE.pcap(0xa1b2_c3d4, 101)).0, []);
    assert!(read(&LE.pcap(0xa1b2_c3d4, 101)).1.is_none());
    assert!(read(&LE.section()).1.is_none());
}

#[test]
fn no_capture() {
    for b in [
        &b""[..],
        b"x",
        b"#!/bin/sh\necho this is not a capture\n",
        &[0; 100],
        &[0x1f, 0x8b, 1],
    ] {
        let (_, e) = read(b);
        assert!(matches!(e, Some(CaptureError::NotACapture { .. })), "{b:?}");
        assert_eq!(e.map(|e| e.exit_code()), Some(2));
    }
    let e = Capture::open("/nonexistent/capture").err();
    assert_eq!(e.map(|e| e.exit_code()), Some(2));
}

#[test]
fn cut_off() {
    let mut b = LE.pcap(0xa1b2_c3d4, 1);
    b.extend(LE.packet(1, 0, &[7; 100], 100));
    let whole = b.len();
    b.extend(LE.packet(2, 0, &[8; 100], 100));
    for n in whole + 1..b.len() {
        let (all, e) = read(&b[..n]);
        assert_eq!(all.len(), 1);
        assert_eq!(damaged_at(e), Some(whole as u64));
    }
    // A length that nobody captures.
    b.truncate(whole);
    let mut long = LE.packet(2, 0, &[], 0);
    long[8..12].copy_from_slice(&[0xff; 4]);
    b.extend(long);
    b.extend([0; 1000]);
    assert_eq!(damaged_at(read(&b).1), Some(whole as u64));
}

#[test]
fn a_packet_is_no_longer_than_the_file_says() {
    let mut b = LE.pcap(0xa1b2_c3d4, 1);
    b[16..20].copy_from_slice(&LE.u32(3));
    b.extend(LE.packet(1, 0, &[1, 2, 3, 4, 5], 9));
    b.extend(LE.packet(2, 0, &[6], 1));
    let (all, e) = read(&b);
    assert!(e.is_none());
    let seen: Vec<_> = all.iter().map(|s| (&s.2[..], s.3)).collect();
    assert_eq!(seen, [(&[1u8, 2, 3][..], 9), (&[6], 1)]);
    // Without a length there is no limit.
    b[16..20].copy_from_slice(&LE.u32(0));
    assert_eq!(read(&b).0[0].2.len(), 5);
}

#[test]
fn gzip() {
    let mut b = LE.pcap(0xa1b2_c3d4, 1);
    for n in 0..2000u32 {
        b.extend(LE.packet(n, 0, &n.wrapping_mul(0x9e37_79b9).to_le_bytes().repeat(20), 80));
    }
    let mut z = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    z.write_all(&b).unwrap();
    let z = z.finish().unwrap();
    let (all, e) = read(&z);
    assert!(e.is_none());
    assert_eq!(all.len(), 2000);
    let (some, e) = read(&z[..z.len() / 2]);
    assert!(!some.is_empty() && some.len() < 2000);
    assert_eq!(e.map(|e| e.exit_code()), Some(1));
}

#[test]
fn pcapng_sections_and_interfaces() {
    let mut b = Vec::new();
    for o in [LE, BE] {
        b.extend(o.section());
        b.extend(o.interface(1, 0, &[]));
        // Nanoseconds; then 1/1024 s and a minute's offset.
        b.extend(o.interface(101, 0, &[(9, &[9])]));
        let minute = if o.big {
            60i64.to_be_bytes()
        } else {
            60i64.to_le_bytes()
        };
        b.extend(o.interface(113, 0, &[(9, &[0x8a]), (14, &minute)]));
        b.extend(o.block(5, &[0; 1_000])); // statistics: not of interest
        b.extend(o.enhanced(0, 1_500_000, &[1; 5], 5));
        b.extend(o.enhanced(1, 7, &[2; 6], 99));
        b.extend(o.enhanced(2, 512, &[3; 7], 7));
    }
    let (all, e) = read(&b);
    assert!(e.is_none(), "{e:?}");
    let want = [
        (1_500_000_000, 1, vec![1; 5], 5),
        (7, 101, vec![2; 6], 99),
        (60 * SECOND + SECOND / 2, 113, vec![3; 7], 7),
    ];
    assert_eq!(all[..3], want);
    assert_eq!(all[3..], want);
}

#[test]
fn pcapng_other_packets() {
    let mut b = LE.section();
    b.extend(LE.interface(1, 4, &[]));
    // Simple: no time, cut to the interface's snap length.
    b.extend(LE.block(3, &[9, 0, 0, 0, 1, 2, 3, 4]));
    // The obsolete packet block.
    let mut old = vec![0, 0, 0, 0];
    for v in [0u32, 2_000_000, 3, 70] {
        old.extend(v.to_le_bytes());
    }
    old.extend([5, 6, 7]);
    b.extend(LE.block(2, &old));
    let (all, e) = read(&b);
    assert!(e.is_none(), "{e:?}");
    assert_eq!(
        all,
        [(0, 1, vec![1, 2, 3, 4], 9), (2 * SECOND, 1, vec![5, 6, 7], 70)]
    );
}

#[test]
fn times_leave_room_for_deadlines() {
    let mut b = LE.section();
    b.extend(LE.interface(1, 0, &[(9, &[0])]));
    b.extend(LE.enhanced(0, u64::MAX, &[1; 5], 5));
    let (all, e) = read(&b);
    assert!(e.is_none(), "{e:?}");
    assert_eq!(all[0].0, i64::MAX as u64);
}

#[test]
fn pcapng_damage() {
    let mut good = LE.section();
    good.extend(LE.interface(1, 0, &[]));
    let at = good.len() as u64;
    let bad = |tail: &[u8]| damaged_at(read(&[&good[..], tail].concat()).1);
    assert_eq!(bad(&LE.enhanced(1, 0, &[0; 4], 4)), Some(at)); // no such interface
    let mut b = LE.enhanced(0, 0, &[0; 4], 4);
    b[20] = 200; // longer than its block
    assert_eq!(bad(&b), Some(at));
    assert_eq!(bad(&[6, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0]), Some(at));
    assert_eq!(bad(&[6, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0]), Some(at));
    assert_eq!(bad(&[99, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0]), Some(at + 12));
    let mut b = LE.enhanced(0, 0, &[0; 4], 4);
    let last = b.len() - 4;
    b[last] ^= 4; // lengths differ
    assert_eq!(bad(&b), Some(at));
}

#[test]
fn more_than_the_buffer() {
    let mut b = LE.pcap(0xa1b2_c3d4, 1);
    for n in 0..20u32 {
        b.extend(LE.packet(n, 0, &vec![n as u8; 100_000], 100_000));
    }
    let input = Box::new(Cursor::new(b));
    let mut c = Capture::from_reader("test", input).unwrap();
    let mut n = 0;
    while let Some(f) = c.next() {
        let f = f.unwrap();
        assert_eq!((f.data.len(), f.data[99_999]), (100_000, n));
        n += 1;
    }
    assert_eq!(n, 20);
}

proptest! {
    #[test]
    fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..400), head in 0u8..4, at in 0usize..300, v: u8) {
        let mut all = match head {
            0 => LE.pcap(0xa1b2_c3d4, 1),
            1 => [LE.section(), LE.interface(1, 0, &[(9, &[6])]), LE.enhanced(0, 1, &[1; 30], 30), LE.enhanced(0, 1, &[1; 30], 30)].concat(),
            2 => [BE.section(), BE.interface(1, 0, &[(9, &[6])]), BE.enhanced(0, 1, &[1; 30], 30)].concat(),
            _ => vec![],
        };
        all.extend(b);
        if let Some(x) = all.get_mut(at) {
            *x = v;
        }
        let _ = read(&all);
    }
}

/// A reader that has nothing at hand every other time, and little else.
struct Halting(Cursor<Vec<u8>>, bool);

impl Read for Halting {
    fn read(&mut self, b: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = b.len().min(5);
        self.0.read(&mut b[..n])
    }
}

#[test]
fn an_input_with_nothing_at_hand_is_asked_again() {
    let mut ng = LE.section();
    ng.extend(LE.interface(1, 0, &[]));
    // A block that is skipped.
    ng.extend(LE.block(5, &[7; 1000]));
    ng.extend(LE.enhanced(0, 1, b"first", 5));
    ng.extend(LE.block(0x0bad, &[7; 100]));
    ng.extend(LE.enhanced(0, 2, b"second", 6));
    let mut pcap = LE.pcap(0xa1b2_c3d4, 1);
    pcap.extend(LE.packet(1, 0, b"first", 5));
    pcap.extend(LE.packet(2, 0, b"second", 6));
    let gzip = |b: &[u8]| {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(b).expect("memory");
        e.finish().expect("memory")
    };
    for bytes in [gzip(&ng), gzip(&pcap), ng, pcap] {
        let mut c =
            Capture::from_reader("test", Box::new(Halting(Cursor::new(bytes), false))).expect("a capture");
        let (mut found, mut halts) = (Vec::new(), 0);
        loop {
            match c.step() {
                NextFrame::Frame(f) => found.push(f.data.to_vec()),
                NextFrame::NotYet => halts += 1,
                NextFrame::End => break,
                NextFrame::Damage(e) => panic!("{e}"),
            }
        }
        assert_eq!(found, [&b"first"[..], b"second"]);
        assert!(halts > 3, "{halts}");
    }
}
