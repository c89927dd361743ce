//! The sensor as a library, offline: frames in, the events that a handler wants out.
//!
//! See `examples/retransmissions.rs`. What the handler wants decides what work is done at all.

use sensor_common::Policy;

use crate::catalog::policy_bits;
use crate::conn::{Config, Engine, EngineSink, Sink};
use crate::datapath::soft::{self, Soft};
use crate::event::log::LogRow;
use crate::event::{self, Event, Handler, L2Hdr, L3Proto, RawPktHdr, Ts};
use crate::packet::capture::{Capture, CaptureError, Frame};
use crate::packet::ip;
use crate::packet::link::{self, LinkType};

/// Reads captures as one stream of frames and hands the handler its events. Gives the handler back, and the
/// damage that ended reading early, if there was any.
pub fn read<H: Handler>(
    captures: impl IntoIterator<Item = Capture>,
    cfg: Config,
    handler: H,
) -> (H, Option<CaptureError>) {
    let mut offline = Offline::new(cfg, handler);
    for mut capture in captures {
        while let Some(frame) = capture.next() {
            match frame {
                Ok(f) => offline.frame(&f),
                Err(e) => return (offline.finish(), Some(e)),
            }
        }
    }
    (offline.finish(), None)
}

/// An engine, the datapath before it and the handler behind it.
pub struct Offline<H> {
    soft: Soft,
    engine: Engine<ToHandler<H>>,
    now: Ts,
}

impl<H: Handler> Offline<H> {
    /// With the kinds that `handler` wants now; it is not asked again.
    pub fn new(cfg: Config, handler: H) -> Self {
        let subs = handler.wants();
        let config = soft::SoftConfig {
            policy: Policy {
                bits: policy_bits(&subs, cfg.contents.any()) | cfg.realms,
                ..Policy::default()
            },
            ..soft::SoftConfig::default()
        };
        let soft = Soft::with_tunnels(config, cfg.tunnels.clone());
        let mut engine = Engine::new(cfg, subs, ToHandler(handler));
        engine.raise(0, &event::BroInit {});
        Offline { soft, engine, now: 0 }
    }

    /// Takes the next frame.
    pub fn frame(&mut self, f: &Frame<'_>) {
        let mut f = *f;
        f.ts = network_time(f.ts);
        // Network time never goes back.
        self.now = self.now.max(f.ts);
        let _ = self.soft.frame(&f, &mut EngineSink(&mut self.engine));
        raw_packet(&f, self.soft.take_reassembled(), &mut self.engine);
        self.engine.sink().0.advance(self.now);
        self.engine.flush_point(f.ts);
    }

    /// The input is over: ends every connection and gives the handler back.
    pub fn finish(mut self) -> H {
        self.engine.finish(self.now, self.soft.flows());
        self.engine.flush_point(self.now);
        self.engine.raise(self.now, &event::BroDone {});
        self.engine.into_sink().0
    }
}

/// Events and rows go to the handler.
struct ToHandler<H>(H);

impl<H: Handler> Sink for ToHandler<H> {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.0.event(ts, ev);
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.0.log(row);
    }
}

/// A frame's time as network time, which has microseconds, as in Zeek; finer ones are cut.
pub fn network_time(ts: Ts) -> Ts {
    ts - ts % 1000
}

/// Raises raw_packet for a frame that has been analyzed, if somebody wants it. A frame that completed a
/// datagram shows the datagram, `whole`, as in Zeek.
#[inline]
pub fn raw_packet<S: Sink>(f: &Frame<'_>, whole: Option<&[u8]>, engine: &mut Engine<S>) {
    // A record of nothing is no packet.
    if engine.wants(event::RawPacket::KIND) && !f.data.is_empty() && f.wire_len != 0 {
        raise_raw_packet(f, whole, engine);
    }
}

fn raise_raw_packet<S: Sink>(f: &Frame<'_>, whole: Option<&[u8]>, engine: &mut Engine<S>) {
    let ethernet = f.link == LinkType::ETHERNET;
    let mac = |at: usize| {
        f.data
            .get(at..at + 6)
            .and_then(|b| b.try_into().ok())
            .filter(|_| ethernet)
    };
    let (mut len, mut sound) = (f.wire_len as u64, false);
    let (ethertype, vlan, inner_vlan, ip, arp) = match link::parse(f.link, f.data) {
        Ok(l) => {
            if let Some(whole) = whole {
                len = l.l3 as u64 + whole.len() as u64;
            }
            let ip = f.data.get(l.l3 as usize..l.end as usize);
            sound = is_sound(f, &l);
            (l.ethertype, l.vlan, l.inner_vlan, ip, false)
        }
        Err(e) => (e.ethertype, e.vlan, e.inner_vlan, None, e.arp),
    };
    let version = ip.and_then(|ip| Some((ip.first()? >> 4, ip.len())));
    let proto = match version {
        Some((4, 20..)) => L3Proto::Ipv4,
        Some((6, 40..)) => L3Proto::Ipv6,
        _ if arp => L3Proto::Arp,
        _ => L3Proto::Unknown,
    };
    let l2 = L2Hdr {
        ethernet,
        len,
        cap_len: f.data.len() as u64,
        src: mac(6),
        dst: mac(0),
        vlan,
        inner_vlan,
        eth_type: ethernet.then_some(ethertype),
        proto,
    };
    engine.raise(
        f.ts,
        &event::RawPacket {
            p: match whole {
                Some(whole) => RawPktHdr::reassembled(l2, whole),
                None => RawPktHdr::new(l2, ip.filter(|_| sound)),
            },
        },
    );
}

/// Whether the IP header is one that Zeek's analysis keeps.
fn is_sound(f: &Frame<'_>, l: &link::Link) -> bool {
    let input = ip::Input {
        frame: f.data,
        l3: l.l3 as usize,
        end: l.end as usize,
        wire_len: f.wire_len,
        ts: f.ts,
        checksums: false,
        reassembled: false,
    };
    let mut found = ip::Ip::default();
    ip::parse(&input, &mut found);
    found.has_addrs
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::event::Subscriptions;

    /// Names of what came.
    struct Names(Vec<&'static str>, &'static str);

    impl Handler for Names {
        fn wants(&self) -> Subscriptions {
            self.1.parse().expect("known")
        }

        fn event(&mut self, _: Ts, ev: &dyn Event) {
            event::seen::note(ev);
            self.0.push(ev.info().name);
        }
    }

    /// A capture of one UDP packet, 10.0.0.1:4096 to 10.0.0.2:9; then `rest`.
    fn capture(rest: &[u8]) -> Capture {
        let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        pcap.extend([0, 0, 4, 0, 101, 0, 0, 0]);
        pcap.extend([1, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 30, 0, 0, 0]);
        pcap.extend([0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        pcap.extend([16, 0, 0, 9, 0, 10, 0, 0, 1, 2]);
        pcap.extend(rest);
        Capture::from_reader("made", Box::new(Cursor::new(pcap))).expect("a capture")
    }

    #[test]
    fn a_handler_gets_what_it_wants() {
        let wanted = "bro_init,new_connection,connection_state_remove,bro_done";
        let (names, damage) = read([capture(&[])], Config::default(), Names(Vec::new(), wanted));
        assert!(damage.is_none());
        assert_eq!(names.0.join(","), wanted);
        let (names, damage) = read(
            [capture(&[7])],
            Config::default(),
            Names(Vec::new(), "raw_packet,new_packet"),
        );
        assert!(damage.is_some(), "cut in the next packet's header");
        assert_eq!(names.0, ["new_packet", "raw_packet"]);
    }
}
