//! `sensor read`: captures through the engine.

use anyhow::Context as _;
use sensor_common::{Policy, policy};

use super::Failure;
use super::args::{Datapath, Decap, Read, Switch};
use super::reporter::Reporter;
use super::sinks::{Outputs, contents_files, subscriptions};
use crate::conn::{Engine, EngineSink};
use crate::datapath::soft::{self, Soft};
use crate::datapath::tunnels::Tunnels;
use crate::datapath::xdp;
use crate::event::{Event, Ts, policy_bits};
use crate::offline::{network_time, raw_packet};
use crate::packet::capture::{Capture, CaptureError, Frame};
use crate::packet::link::LinkType;

/// Runs the command.
pub fn read(a: &Read, reporter: &Reporter) -> Result<(), Failure> {
    let subs = subscriptions(&a.common)?;
    reporter.listen(subs);
    let mut cfg = super::engine_config(&a.common, a.common.seed.unwrap_or(0))?;
    cfg.analyzers = !a.no_analyzers;
    let mut bits = policy_bits(&subs, cfg.contents.any());
    if a.forward_all {
        bits |= policy::ALL_PACKETS;
    }
    let policy = Policy {
        bits,
        ..Policy::default()
    };
    // What cannot be opened is known before anything is written.
    let mut captures = Vec::new();
    for f in &a.files {
        captures.push(Capture::open(f)?);
    }
    let contents = contents_files(&a.common, 1)?;
    let mut outputs = Outputs::open(&a.common, subs)?;
    outputs.contents = contents;
    let tunnels = cfg.tunnels.clone();
    let mut engine = Engine::new(cfg, subs, outputs);
    engine.raise(0, &Event::BroInit {});
    let checksums = a.common.checksums == Switch::On;
    let (last, damage) = match a.datapath {
        Datapath::User => {
            let config = soft::Config {
                policy,
                checksums,
                ..soft::Config::default()
            };
            let mut soft = Soft::with_tunnels(config, tunnels);
            let feed = |f: &Frame<'_>, engine: &mut Engine<Outputs>| -> anyhow::Result<()> {
                let _ = soft.frame(f, &mut EngineSink(engine));
                raw_packet(f, soft.take_reassembled(), engine);
                Ok(())
            };
            let (last, damage) = each_frame(captures, &mut engine, reporter, feed)?;
            engine.finish(last, soft.flows());
            (last, damage)
        }
        Datapath::Xdp => {
            let mut policy = policy;
            if !checksums {
                // The kernel verifies none.
                policy.bits |= Decap::bits(&a.decap);
            }
            let mut kernel = xdp_read::Reader::load(policy, tunnels, checksums)?;
            let feed = |f: &Frame<'_>, engine: &mut Engine<Outputs>| {
                kernel.frame(f, engine)?;
                raw_packet(f, kernel.slow.take_reassembled(), engine);
                Ok(())
            };
            let (last, damage) = each_frame(captures, &mut engine, reporter, feed)?;
            engine.finish(last, &mut kernel.table);
            (last, damage)
        }
    };
    engine.flush_point(last);
    reporter.drain(last, |ev| engine.raise(last, ev));
    engine.raise(last, &Event::BroDone {});
    let no_room = engine.no_room();
    if no_room > 0 {
        tracing::warn!("{no_room} holes were given up early: no room for reassembly; see --reassembly-limit");
    }
    let outputs = engine.into_sink();
    outputs.close().map_err(|error| Failure { status: 1, error })?;
    match damage {
        Some(e) => Err(Failure {
            status: e.exit_code(),
            error: e.into(),
        }),
        None => Ok(()),
    }
}

/// Feeds every frame of every capture; the time of the last one, and the damage that ended reading.
fn each_frame(
    captures: Vec<Capture>,
    engine: &mut Engine<Outputs>,
    reporter: &Reporter,
    mut feed: impl FnMut(&Frame<'_>, &mut Engine<Outputs>) -> anyhow::Result<()>,
) -> anyhow::Result<(Ts, Option<CaptureError>)> {
    let mut now = 0;
    for mut c in captures {
        tracing::info!("reading {}", c.name());
        while let Some(frame) = c.next() {
            match frame {
                Ok(mut f) => {
                    f.ts = network_time(f.ts);
                    // Network time never goes back.
                    now = now.max(f.ts);
                    feed(&f, engine)?;
                    engine.flush_point(f.ts);
                    reporter.drain(f.ts, |ev| engine.raise(f.ts, ev));
                }
                Err(e) => {
                    let (t, msg, location) = (now, &*e.to_string(), "");
                    engine.raise(now, &Event::ReporterError { t, msg, location });
                    return Ok((now, Some(e)));
                }
            }
        }
    }
    Ok((now, None))
}

/// Captures through the program in the kernel.
mod xdp_read {
    use super::super::slow::{SlowPath, Worker};
    use super::*;

    /// Frames that the kernel does not run a program over: shorter than Ethernet's header, or longer than
    /// any record.
    const MIN_FRAME: usize = 14;
    const MAX_FRAME: usize = 66_048;

    /// The loaded program and the way back from it.
    pub struct Reader {
        pub table: xdp::Table,
        injector: xdp::Injector,
        ring: xdp::Ring,
        pub slow: SlowPath,
        checksums: bool,
        _kernel: xdp::Kernel,
    }

    impl Reader {
        pub fn load(mut policy: Policy, tunnels: Tunnels, checksums: bool) -> anyhow::Result<Self> {
            // Frames that are not IP may be odd, too.
            policy.bits |= policy::ALL_FRAMES;
            let kernel = xdp::Kernel::load(&xdp::Config {
                policy,
                rings: 1,
                flows: 1 << 20,
                ring_bytes: 4 << 20,
                half_open_share: 100,
                ..xdp::Config::default()
            })?;
            Ok(Reader {
                table: kernel.table()?,
                injector: kernel.injector()?,
                ring: kernel.ring(0)?,
                slow: SlowPath::new(tunnels, checksums),
                checksums,
                _kernel: kernel,
            })
        }

        pub fn frame(&mut self, f: &Frame<'_>, engine: &mut Engine<Outputs>) -> anyhow::Result<()> {
            anyhow::ensure!(
                f.link == LinkType::ETHERNET,
                "link type {} cannot go through the kernel, which takes Ethernet; use --datapath user",
                f.link.0
            );
            engine.advance(f.ts, &mut self.table);
            let mut worker = Worker {
                ring: &mut self.ring,
                table: &mut self.table,
                injector: &mut self.injector,
                engine,
                shift: 0,
                alone: true,
            };
            let runs = (MIN_FRAME..=MAX_FRAME).contains(&f.data.len()) && f.wire_len != 0;
            // The kernel verifies nothing: what is wrong is kept from it.
            if !runs || (self.checksums && !soft::verifies(f)) {
                return self.slow.frame(f, &mut worker);
            }
            let how = xdp::Inject {
                ts: f.ts,
                wire_len: f.wire_len,
                ..Default::default()
            };
            worker
                .injector
                .run(f.data, &how)
                .context("frame refused by the kernel")?;
            while self.slow.drain(&mut worker)? {}
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::*;

    #[test]
    fn damage_in_a_capture_is_an_event_too() {
        let dir = std::env::temp_dir().join(format!("sensor-read-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("directory");
        let at = |name: &str| dir.join(name).display().to_string();
        // pcap's header, then the begin of a record.
        let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        pcap.extend([0, 0, 4, 0, 1, 0, 0, 0, 7, 7, 7]);
        std::fs::write(at("cut.pcap"), pcap).expect("capture");
        let wanted = "bro_init,reporter_error,bro_done";
        let cli = Cli::parse_from([
            "sensor",
            "read",
            &at("cut.pcap"),
            "--log-dir",
            &at("logs"),
            "--events",
            &at("events"),
            "--event",
            wanted,
        ]);
        let Command::Read(a) = &cli.command else {
            panic!("read")
        };
        let failure = read(a, &Reporter::default()).expect_err("damaged");
        let events = std::fs::read_to_string(at("events")).expect("events");
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(failure.status, 1);
        let lines: Vec<serde_json::Value> = events
            .lines()
            .map(|l| serde_json::from_str(l).expect("valid JSON"))
            .collect();
        let names: Vec<_> = lines.iter().filter_map(|l| l["event"].as_str()).collect();
        assert_eq!(names.join(","), wanted);
        let msg = lines[1]["args"]["msg"].as_str().expect("text");
        assert!(msg.contains("cut.pcap: damaged at byte "), "{msg}");
    }
}
