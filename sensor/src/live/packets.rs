//! Interfaces without a program in the kernel: frames of a packet socket through the soft datapath, by one worker that has flow
//! table, engine and timers to itself. Every packet is copied; that is what the program in the kernel spares.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sensor_common::{Packet, Policy, RecordHeader};

use super::clock::Clock;
use super::duties::see_to;
use super::interfaces::Hooks;
use super::metrics::WorkerGauges;
use super::netns::Netns;
use super::orders::{Mailbox, Orders};
use super::recorder::Recorder;
use super::worker::{Stop, WorkerSink};
use crate::base::time::MILLISECOND;
use crate::conn::{Config, Engine, EngineSink, Sink};
use crate::datapath::packet::{Frames, MAX_INTERFACES, Ring, Socket};
use crate::datapath::soft::{self, Flows, InnerPacket, PacketSink, Soft, Untracked};
use crate::datapath::xdp::{self, Counters, KernelError};
use crate::event::{Subscriptions, Ts};
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;
use crate::packet::weird::Weird;
use crate::settings::Settings;

/// Longest sleep of the worker. Without traffic a timer is late by up to this.
const MAX_SLEEP: Duration = Duration::from_millis(50);
/// Most frames of a turn, but for the rest of a block.
const FRAMES_PER_TURN: u32 = 4096;
/// Most timers that a turn fires, and that fire for each millisecond of packets' time while more frames wait.
const TIMERS_PER_TURN: u32 = 1024;
const TIMERS_PER_GRAIN: u32 = 128;
const TIMER_GRAIN_NS: u64 = MILLISECOND;

/// What the worker has counted, for who asks, and how many flows its table has.
type Counted = Arc<Mutex<(Counters, u64)>>;

/// The socket, and what is known of its worker.
pub struct Packets {
    socket: Socket,
    /// Until the worker has it.
    ring: Option<Ring>,
    counted: Counted,
    missed: u64,
    netns: Netns,
    rx_only: bool,
    policy: Policy,
    flows: u32,
    ring_bytes: u32,
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> KernelError {
    move |source| match source.raw_os_error() {
        Some(libc::EPERM) => KernelError::Capabilities {
            missing: vec!["CAP_NET_RAW"],
        },
        _ => KernelError::Sys { what, source },
    }
}

impl Packets {
    /// Opens the socket; nothing is heard yet. `bits`: the policy.
    pub fn open(settings: &Settings, bits: u32, netns: Netns) -> Result<Self, KernelError> {
        let ring_bytes = settings.rings.mib << 20;
        let (socket, ring) = {
            let _inside = netns
                .enter()
                .map_err(system("cannot enter the network namespace"))?;
            Socket::open(ring_bytes as usize).map_err(system("cannot open a packet socket"))?
        };
        tracing::warn!(
            "--datapath packet: every packet is copied to userspace and counted there, by one thread, not in the kernel: it costs \
             several times as much, and of a busy link not all is seen"
        );
        Ok(Packets {
            socket,
            ring: Some(ring),
            counted: Counted::default(),
            missed: 0,
            netns,
            rx_only: settings.interfaces.rx_only,
            policy: Policy {
                bits,
                snaplen: settings.rings.snaplen,
                dedup: settings.dedup_ns(),
                ..Policy::default()
            },
            flows: settings.flows.entries,
            ring_bytes,
        })
    }

    /// Stops hearing; what is in the ring stays there.
    pub fn detach(&mut self) {
        if let Err(e) = self.socket.end() {
            tracing::warn!("the packet socket goes on hearing: {e}");
        }
    }

    /// What the worker has counted, and how many flows its table has.
    pub fn counted(&self) -> (Counters, u64) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames for which the ring had no room.
    pub fn missed(&mut self) -> u64 {
        match self.socket.dropped() {
            Ok(n) => self.missed = n,
            Err(e) => tracing::warn!("cannot ask for what the packet socket missed: {e}"),
        }
        self.missed
    }

    /// Flows that the table has room for, and bytes of the ring.
    pub fn room(&self) -> (u32, u32) {
        (self.flows, self.ring_bytes)
    }

    /// The worker; None: it was asked for before.
    pub fn worker<S: WorkerSink>(
        &mut self,
        cfg: &Config,
        (subs, sink): (Subscriptions, S),
        clock: &Clock,
        gauges: Arc<WorkerGauges>,
        orders: &Orders,
    ) -> Option<PacketWorker<S>> {
        let config = soft::SoftConfig {
            policy: self.policy,
            max_flows: self.flows as usize,
            ..soft::SoftConfig::default()
        };
        let mut engine = Engine::new(cfg.clone(), subs, sink);
        engine.shifted_by(clock.shift());
        Some(PacketWorker {
            ring: self.ring.take()?,
            frames: Frames::default(),
            soft: Soft::with_tunnels(config, cfg.tunnels.clone()),
            engine,
            mailbox: orders.of(0),
            recorder: Recorder::new(orders.history, cfg.seed, clock.shift()),
            clock: clock.clone(),
            gauges,
            counted: self.counted.clone(),
            last: 0,
            advanced: 0,
        })
    }
}

impl Hooks for Packets {
    fn netns(&self) -> &Netns {
        &self.netns
    }

    fn attach(&mut self, iface: &str) -> Result<u32, KernelError> {
        let _inside = self
            .netns
            .enter()
            .map_err(system("cannot enter the network namespace"))?;
        let link = xdp::ethernet(iface)?;
        // What is sent on the loopback is received there, too.
        let sent = !self.rx_only && !link.is_loopback;
        let heard = self.socket.hear(link.ifindex, sent);
        match heard.map_err(system("cannot set the filter of the packet socket"))? {
            true => Ok(link.ifindex),
            false => Err(KernelError::Attach {
                iface: iface.to_owned(),
                source: std::io::Error::other(format!(
                    "--datapath packet watches {MAX_INTERFACES} interfaces at most"
                )),
            }),
        }
    }

    fn release(&mut self, ifindex: u32) {
        if let Err(e) = self.socket.forget(ifindex) {
            tracing::warn!("cannot set the filter of the packet socket: {e}");
        }
    }
}

/// The worker.
pub struct PacketWorker<S> {
    ring: Ring,
    frames: Frames,
    soft: Soft,
    engine: Engine<S>,
    mailbox: Mailbox,
    recorder: Recorder,
    clock: Clock,
    gauges: Arc<WorkerGauges>,
    counted: Counted,
    /// Engine's time of the last frame, and up to which timers have fired, ns.
    last: Ts,
    advanced: Ts,
}

impl<S: WorkerSink> PacketWorker<S> {
    /// Works until told to stop. Returns what the sink leaves behind, and the bytes that came through the ring.
    pub fn run(mut self, stop: &Stop) -> (S::Left, anyhow::Result<u64>) {
        let mut result = Ok(());
        while !stop.is_told() && result.is_ok() {
            if !self.turn() {
                result = self.ring.wait(MAX_SLEEP);
            }
        }
        self.engine.sink().be_patient();
        // Nothing new is heard: what is in the ring is the rest, of which the last block is on its way.
        let mut since = Instant::now();
        while since.elapsed() < 4 * Socket::HAND_OVER && result.is_ok() {
            let before = self.ring.read();
            self.turn();
            if self.ring.read() != before {
                since = Instant::now();
            }
            std::thread::sleep(Socket::HAND_OVER / 4);
        }
        self.engine.finish(self.clock.now(), self.soft.flows());
        self.gauges.show(&self.engine, 0);
        let left = self.engine.into_sink().finish();
        (left, result.map(|()| self.ring.read()).map_err(Into::into))
    }

    /// Takes frames, and fires timers that are due; true if there are more of either.
    fn turn(&mut self) -> bool {
        let taken = self.ring.taken();
        // From the wall clock to the engine's.
        let by = self.clock.shift() - xdp::boot_to_epoch();
        let (mut n, mut begun) = (0, false);
        while n < FRAMES_PER_TURN {
            let PacketWorker {
                ring,
                frames,
                soft,
                engine,
                recorder,
                last,
                advanced,
                clock,
                gauges,
                ..
            } = self;
            // When the block was there.
            let mut now = None;
            let read = ring.block(|raw| {
                let now = *now.get_or_insert_with(|| clock.now());
                if !std::mem::replace(&mut begun, true) {
                    gauges.begins(|| Some(raw.ns.wrapping_add_signed(by)), || now);
                }
                // The wall clock may have been set since. The engine's time does not go back.
                let ts = raw.ns.wrapping_add_signed(by).min(now).max(*last);
                *last = ts;
                if ts >= *advanced + TIMER_GRAIN_NS {
                    *advanced = ts;
                    engine.advance_some(ts, TIMERS_PER_GRAIN, soft.flows());
                }
                frames.of(raw, |data, wire_len| {
                    let f = Frame {
                        ts,
                        link: LinkType::ETHERNET,
                        data,
                        wire_len,
                        iface: 0,
                    };
                    let _ = soft.frame(&f, &mut Timed(EngineSink(engine), recorder));
                });
            });
            let Some(read) = read else { break };
            n += read;
        }
        let at = self.clock.now();
        let late = self.engine.advance_some(at, TIMERS_PER_TURN, self.soft.flows());
        self.engine.settle(at, self.soft.flows());
        self.engine.flush_point(at);
        self.engine.sink().settle(at);
        see_to(
            &self.mailbox,
            &mut self.recorder,
            &mut self.engine,
            at,
            self.soft.flows(),
        );
        self.gauges.show(&self.engine, taken);
        self.gauges.ends(n, self.ring.read());
        let flows = self.soft.flows().len() as u64;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.1 = flows;
        if n > 0 {
            for (to, from) in counted.0.counts.iter_mut().zip(self.soft.counts().all()) {
                *to = *from;
            }
        }
        n >= FRAMES_PER_TURN || late
    }
}

/// What the soft datapath finds, for an engine whose timers the worker sees to: a million that are due at once must not hold up
/// the ring.
struct Timed<'e, S>(EngineSink<'e, S>, &'e mut Recorder);

impl<S: Sink> PacketSink for Timed<'_, S> {
    fn advance(&mut self, _: u64, _: &mut Flows) {}

    fn record(&mut self, header: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        self.1.see(header, frame);
        self.0.record(header, frame, flows)
    }

    fn packet_weird(&mut self, packet: &Packet, weird: Weird, frame: &[u8], flows: &mut Flows) {
        self.0.packet_weird(packet, weird, frame, flows);
    }

    fn untracked(&mut self, u: &Untracked<'_>, flows: &mut Flows) {
        self.0.untracked(u, flows);
    }

    fn weird(
        &mut self,
        ts: u64,
        name: &'static str,
        addl: &str,
        addrs: Option<&soft::Addrs>,
        flows: &mut Flows,
    ) {
        self.0.weird(ts, name, addl, addrs, flows);
    }
}
