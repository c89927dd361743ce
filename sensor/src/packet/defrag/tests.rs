use super::*;
use proptest::prelude::*;

const A: [u8; 16] = [1; 16];
const B: [u8; 16] = [2; 16];

/// An IPv4 fragment: 20 bytes of header, then `data` for `offset`.
fn v4(offset: u16, more: bool, data: &[u8]) -> (Fragment, Vec<u8>) {
    let mut p = vec![0u8; 20];
    p[0] = 0x45;
    p[9] = 17;
    let field = offset >> 3 | (more as u16) << 13;
    p[6..8].copy_from_slice(&field.to_be_bytes());
    p.extend_from_slice(data);
    let f = Fragment {
        id: 7,
        proto: 17,
        offset,
        more,
        header_len: 20,
        data_at: 20,
        total_len: p.len() as u32,
        ..Fragment::default()
    };
    (f, p)
}

struct Bench {
    d: Defrag,
    whole: Vec<u8>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Bench {
            d: Defrag::new(limits),
            whole: Vec::new(),
        }
    }

    fn add(&mut self, now: u64, id: u32, (mut f, p): (Fragment, Vec<u8>)) -> (bool, Vec<Weird>) {
        f.id = id;
        let mut w = Weirds::default();
        let done = self
            .d
            .add(now, (&A, &B, Realm::NONE), &f, &p, &mut self.whole, &mut w);
        (done, w.iter().collect())
    }
}

#[test]
fn in_any_order() {
    let (x, y, z) = ([1u8; 64], [2u8; 64], [3u8; 10]);
    let parts = [v4(0, true, &x), v4(64, true, &y), v4(128, false, &z)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut b = Bench::new(Limits::default());
        for (n, &i) in order.iter().enumerate() {
            let (done, weirds) = b.add(0, 7, parts[i].clone());
            assert_eq!((done, weirds), (n == 2, vec![]));
        }
        assert_eq!(b.whole.len(), 20 + 138);
        assert_eq!(b.whole[2..4], 158u16.to_be_bytes());
        assert_eq!(b.whole[20..84], x);
        assert_eq!(b.whole[148..], z);
        assert!(b.d.is_empty());
        assert_eq!(b.d.held(), 0);
    }
}

#[test]
fn overlaps() {
    let mut b = Bench::new(Limits::default());
    assert_eq!(b.add(0, 7, v4(0, true, &[1; 64])).1, []);
    // The same again, then other bytes: what came first stays.
    assert_eq!(b.add(0, 7, v4(0, true, &[1; 64])).1, [Weird::FragmentOverlap]);
    assert_eq!(
        b.add(0, 7, v4(32, true, &[9; 64])).1,
        [Weird::FragmentInconsistency]
    );
    assert_eq!(b.add(0, 7, v4(96, false, &[3; 8])), (true, vec![]));
    assert_eq!(b.whole[20 + 63..20 + 65], [1, 9]);
    assert_eq!(b.whole.len(), 20 + 104);
}

#[test]
fn sizes() {
    let mut b = Bench::new(Limits::default());
    assert_eq!(b.add(0, 7, v4(64, false, &[0; 8])), (false, vec![]));
    // A second end, beyond the first.
    assert_eq!(
        b.add(0, 7, v4(128, false, &[0; 8])).1,
        [Weird::FragmentSizeInconsistency]
    );
    // Small: below 64 bytes with its header, and more to come.
    assert_eq!(
        b.add(0, 8, v4(0, true, &[0; 40])).1,
        [Weird::ExcessivelySmallFragment]
    );
    // Beyond 64000; and one that no length field could hold is not kept.
    assert_eq!(
        b.add(0, 9, v4(65_528, false, &[0; 100])),
        (false, vec![Weird::ExcessivelyLargeFragment])
    );
}

#[test]
fn time_and_memory_are_bounded() {
    let limits = Limits {
        total: 10_000,
        timeout: 100,
        ..Limits::default()
    };
    let mut b = Bench::new(limits);
    for id in 0..1000 {
        b.add(id as u64 / 100, id, v4(8, true, &[0; 600]));
        assert!(b.d.held() <= limits.total);
    }
    assert!(b.d.len() >= 8);
    b.d.advance(108);
    assert!(!b.d.is_empty());
    b.d.advance(109);
    assert!(b.d.is_empty());
    assert_eq!(b.d.held(), 0);
}

#[test]
fn atomic() {
    let mut p = vec![0x60, 0, 0, 0, 0, 12, 44, 64];
    p.extend([0; 32]);
    p.extend([17, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]);
    let f = Fragment {
        v6: true,
        proto: 17,
        header_len: 40,
        next_at: 6,
        data_at: 48,
        total_len: 52,
        ..Fragment::default()
    };
    let mut b = Bench::new(Limits::default());
    assert_eq!(b.add(0, 1, (f, p.clone())), (true, vec![]));
    assert_eq!(b.whole.len(), 44);
    assert_eq!((b.whole[5], b.whole[6]), (4, 17));
    assert_eq!(b.whole[40..], [1, 2, 3, 4]);
    // There is nothing in it.
    let empty = Fragment { total_len: 48, ..f };
    assert_eq!(b.add(0, 1, (empty, p)), (false, vec![]));
}

#[test]
fn the_longest_of_ipv6() {
    let part = |offset: u16, more: bool, len: usize| {
        let mut p = vec![0x60, 0, 0, 0, 0, 0, 44, 64];
        p.resize(48 + len, 0);
        let f = Fragment {
            v6: true,
            proto: 17,
            offset,
            more,
            header_len: 40,
            next_at: 6,
            data_at: 48,
            total_len: p.len() as u32,
            ..Fragment::default()
        };
        (f, p)
    };
    let mut b = Bench::new(Limits::default());
    b.add(0, 1, part(0, true, 32_768));
    assert!(b.add(0, 1, part(32_768, false, 32_767)).0);
    assert_eq!((b.whole.len(), &b.whole[4..6]), (65_575, &[0xff, 0xff][..]));
}

/// The model: a byte array, first writer wins.
#[derive(Default)]
struct Model {
    bytes: Vec<Option<u8>>,
    size: usize,
}

impl Model {
    fn add(&mut self, start: usize, more: bool, data: &[u8]) -> Option<Vec<u8>> {
        let upper = start + data.len();
        if !more || (self.size != 0 && upper > self.size) {
            self.size = self.size.max(upper);
        }
        if self.bytes.len() < upper {
            self.bytes.resize(upper, None);
        }
        for (slot, b) in self.bytes[start..].iter_mut().zip(data) {
            slot.get_or_insert(*b);
        }
        let prefix: Vec<u8> = self.bytes.iter().map_while(|b| *b).collect();
        (self.size > 0 && prefix.len() >= self.size).then_some(prefix)
    }
}

proptest! {
    #[test]
    fn like_the_model(frags in proptest::collection::vec((0u16..12, any::<bool>(), 1usize..40, any::<u8>()), 1..30)) {
        let mut b = Bench::new(Limits::default());
        let mut model = Model::default();
        for (unit, more, len, fill) in frags {
            let data = vec![fill; len];
            let (done, _) = b.add(0, 7, v4(unit * 8, more, &data));
            match model.add(unit as usize * 8, more, &data) {
                Some(want) => {
                    prop_assert!(done);
                    prop_assert_eq!(&b.whole[20..], &want[..]);
                    model = Model::default();
                }
                None => prop_assert!(!done),
            }
        }
    }

    #[test]
    fn never_panics(fs in proptest::collection::vec((any::<[u16; 6]>(), any::<[bool; 3]>(), 0u32..70_000), 1..20), len in 0usize..70_000) {
        let packet = vec![0x45u8; len];
        let mut d = Defrag::new(Limits { total: 4096, ..Limits::default() });
        let mut whole = Vec::new();
        for (n, b, total_len) in fs {
            let f = Fragment {
                v6: b[0], id: n[0] as u32 & 1, proto: n[1] as u8, offset: n[2] & 0xfff8, more: b[1], dont: b[2],
                header_len: n[3] & 0xff, next_at: n[4], data_at: n[5] & 0xff, total_len,
            };
            let mut w = Weirds::default();
            d.add(0, (&A, &B, Realm::NONE), &f, &packet, &mut whole, &mut w);
            prop_assert!(d.held() <= 4096);
        }
    }
}
