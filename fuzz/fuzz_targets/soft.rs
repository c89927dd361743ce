//! Frames through the soft datapath.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::datapath::FlowTable;
use sensor::datapath::soft::{Addrs, Flows, InnerPacket, PacketSink, Soft, SoftConfig, Untracked};
use sensor::packet::defrag::Limits;
use sensor::packet::{Frame, LinkType, Weird};
use sensor_common::policy::{ALL_PACKETS, PAYLOAD};
use sensor_common::{Packet, Policy, RecordHeader};

const LINKS: [u32; 16] = [1, 1, 1, 1, 101, 101, 0, 9, 50, 105, 108, 113, 127, 204, 239, 276];

/// Ends a flow now and then, as the engine would.
struct Checks {
    records: u32,
}

impl PacketSink for Checks {
    fn advance(&mut self, _: u64, _: &mut Flows) {}
    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        assert_eq!(h.body_len(), frame.len());
        assert!(h.pkt.l3 <= h.pkt.l4 && h.pkt.l4 <= h.pkt.data);
        // Where IP says that there is no payload, a header beyond its length is read, and not passed on.
        let beyond = h.pkt.l3 as u32 + h.pkt.ip_len < h.pkt.data as u32;
        assert!(h.pkt.data as usize <= frame.len() || beyond);
        assert_eq!(flows.get(h.key()).map(|s| s.start), Some(h.flow_start));
        self.records += 1;
        match self.records % 8 {
            3 => flows.shed(h.key(), 3),
            7 => assert!(flows.remove(h.key()).is_some()),
            _ => {}
        }
        None
    }
    fn packet_weird(&mut self, p: &Packet, _: Weird, frame: &[u8], _: &mut Flows) {
        assert!(p.data as usize <= frame.len());
    }
    fn untracked(&mut self, u: &Untracked<'_>, _: &mut Flows) {
        assert!(u.l3.is_none_or(|at| at as usize <= u.frame.len()));
    }
    fn weird(&mut self, _: u64, name: &'static str, _: &str, _: Option<&Addrs>, _: &mut Flows) {
        assert!(!name.is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&settings, mut rest)) = data.split_first() else {
        return;
    };
    let bits = if settings & 1 != 0 { ALL_PACKETS } else { PAYLOAD };
    let mut soft = Soft::new(SoftConfig {
        policy: Policy {
            bits,
            dedup: if settings & 16 != 0 { 1_000_000_000 } else { 0 },
            ..Policy::default()
        },
        checksums: settings & 2 != 0,
        max_flows: if settings & 4 != 0 { 2 } else { 1000 },
        fragments: Limits {
            total: if settings & 8 != 0 { 2000 } else { 1 << 20 },
            ..Limits::default()
        },
    });
    let mut checks = Checks { records: 0 };
    let mut ts = 0;
    while let [kind, time, lo, hi, more @ ..] = rest {
        let len = (u16::from_le_bytes([*lo, *hi]) as usize).min(more.len());
        let (frame, more) = more.split_at(len);
        rest = more;
        // Seconds, up to some minutes.
        ts += *time as u64 * 1_000_000_000;
        let f = Frame {
            ts,
            link: LinkType(LINKS[(kind & 15) as usize]),
            data: frame,
            // Some are cut, some claim to be shorter than they are.
            wire_len: (frame.len() as u32).wrapping_add_signed(((kind >> 4) as i32 - 4).max(-1) * 16),
            iface: 0,
        };
        let _ = soft.frame(&f, &mut checks);
        assert!(soft.counts().conserved());
    }
});
