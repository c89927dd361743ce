//! The program on a veth between two namespaces.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sensor::datapath::xdp::{Egress, Kernel, KernelConfig, KernelError, Mode};
use sensor_common::key::{IPPROTO_TCP, v4_mapped};
use sensor_common::{Counter, FlowState, Policy};

use super::records;

/// Two namespaces, `s0` in one and `c0` in the other; gone when dropped.
pub struct Pair {
    pub server: String,
    pub client: String,
}

fn ip(args: &str) {
    let out = Command::new("ip").args(args.split(' ')).output().unwrap();
    assert!(
        out.status.success(),
        "ip {args}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

impl Pair {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |side: char| format!("xdpt{}-{n}{side}", std::process::id());
        let pair = Pair {
            server: name('s'),
            client: name('c'),
        };
        let (s, c) = (&pair.server, &pair.client);
        ip(&format!("netns add {s}"));
        ip(&format!("netns add {c}"));
        ip(&format!("link add s0 netns {s} type veth peer name c0 netns {c}"));
        ip(&format!("-n {s} addr add 10.9.0.1/24 dev s0"));
        ip(&format!("-n {c} addr add 10.9.0.2/24 dev c0"));
        for (ns, dev) in [(s, "s0"), (c, "c0"), (s, "lo"), (c, "lo")] {
            ip(&format!("-n {ns} link set {dev} up"));
        }
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for ns in [&self.server, &self.client] {
            let _ = Command::new("ip").args(["netns", "del", ns]).status();
        }
    }
}

/// Moves the calling thread into a namespace.
pub fn enter(ns: &str) {
    let file = std::fs::File::open(format!("/run/netns/{ns}")).unwrap();
    // SAFETY: a descriptor of a namespace; only this thread moves.
    assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
}

fn attached(ns: &str) -> bool {
    let out = Command::new("ip")
        .args(["-n", ns, "link", "show", "s0"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).contains("prog/xdp")
}

/// Sends `n` bytes from the server to the client; the client's port.
fn transfer(pair: &Pair, n: usize) -> u16 {
    std::thread::scope(|s| {
        let listener = s
            .spawn(|| {
                enter(&pair.server);
                TcpListener::bind("10.9.0.1:5000").unwrap()
            })
            .join()
            .unwrap();
        s.spawn(move || {
            let (mut to, _) = listener.accept().unwrap();
            to.write_all(&vec![7; n]).unwrap();
        });
        s.spawn(|| {
            enter(&pair.client);
            let mut from = TcpStream::connect("10.9.0.1:5000").unwrap();
            let port = from.local_addr().unwrap().port();
            let mut all = Vec::new();
            from.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), n);
            port
        })
        .join()
        .unwrap()
    })
}

#[test]
fn both_directions_of_a_transfer_are_counted_as_on_the_wire() {
    const N: usize = 3_000_000;
    for skb_mode in [false, true] {
        let pair = Pair::new();
        let config = KernelConfig {
            skb_mode,
            policy: Policy {
                bits: 0,
                ..Default::default()
            },
            ..Default::default()
        };
        let mut kernel = Kernel::load(&config).unwrap();
        std::thread::scope(|s| {
            s.spawn(|| {
                enter(&pair.server);
                assert!(matches!(
                    kernel.attach("none0", false),
                    Err(KernelError::NoInterface(_))
                ));
                let a = kernel.attach("s0", false).unwrap();
                assert_eq!(a.mode, if skb_mode { Mode::Skb } else { Mode::Native });
                assert_ne!(a.egress, Egress::Off);
                let mut second = Kernel::load(&config).unwrap();
                assert!(matches!(second.attach("s0", true), Err(KernelError::Occupied(_))));
            });
        });
        let port = transfer(&pair, N);
        let table = kernel.table().unwrap();
        let (server, client) = (v4_mapped([10, 9, 0, 1]), v4_mapped([10, 9, 0, 2]));
        let (key, dir) = sensor_common::FlowKey::new(&server, &client, 5000, port, IPPROTO_TCP, false);
        // Both FINs and the last ACK may still be on their way.
        let deadline = Instant::now() + Duration::from_secs(20);
        let done = |f: &FlowState| f.dir.iter().all(|d| d.flags & 1 != 0);
        let mut flow = table.lookup(&key).unwrap().unwrap();
        while !done(&flow) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            flow = table.lookup(&key).unwrap().unwrap();
        }
        let (tx, rx) = (flow.dir[dir as usize], flow.dir[1 - dir as usize]);
        assert_eq!(tx.payload - tx.rexmit_bytes, N as u64, "{flow:?}");
        assert_eq!(rx.payload, 0);
        // 20 + 32 bytes of headers a segment, 8 more of options on the SYN-ACK.
        assert_eq!(tx.bytes, tx.payload + 52 * tx.pkts + 8, "{flow:?}");
        assert!(tx.pkts >= N as u64 / 1448 && tx.pkts < N as u64 / 500, "{flow:?}");
        let c = kernel.counters().unwrap();
        assert!(c.balanced(), "{c:?}");
        assert!(c.get(Counter::Shed) >= N as u64 / 1448);
        assert!(attached(&pair.server));
        drop(kernel);
        assert!(!attached(&pair.server));
    }
}

/// Keeps the calling thread on a CPU; whether there is such a one.
fn on_cpu(cpu: usize) -> bool {
    // SAFETY: a zeroed set is an empty one, and lives through the call with its true size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set) == 0
    }
}

/// On a veth, a frame is received on the CPU that sends it.
#[test]
fn a_flow_keeps_the_ring_of_the_cpu_on_which_it_began() {
    let pair = Pair::new();
    let mut kernel = Kernel::load(&KernelConfig {
        rings: 2,
        policy: Policy {
            ring_by_cpu: 1,
            ..Policy::default()
        },
        ..KernelConfig::default()
    })
    .unwrap();
    let mut rings = [0, 1].map(|i| kernel.ring(i).unwrap());
    std::thread::scope(|s| {
        s.spawn(|| {
            enter(&pair.server);
            kernel.attach("s0", true).unwrap();
        });
    });
    // Which of the ports 8000 to 8009 came through which ring.
    let mut seen = || {
        std::thread::sleep(Duration::from_millis(200));
        rings.each_mut().map(|r| {
            let mut ports: Vec<u16> = records(r)
                .iter()
                .flat_map(|(h, _)| [h.pkt.key.a_port, h.pkt.key.b_port])
                .filter(|p| (8000..8010).contains(p))
                .collect();
            ports.sort_unstable();
            ports
        })
    };
    let send = |cpu: usize, ports: std::ops::Range<u16>| {
        std::thread::scope(|s| {
            let sent = s.spawn(|| {
                enter(&pair.client);
                if !on_cpu(cpu) {
                    return false;
                }
                let socket = UdpSocket::bind("10.9.0.2:9000").unwrap();
                for port in ports {
                    socket.send_to(b"hello", ("10.9.0.1", port)).unwrap();
                }
                true
            });
            sent.join().unwrap()
        })
    };
    // The address is resolved first.
    send(0, 7999..8000);
    seen();
    let (first, second): (Vec<u16>, Vec<u16>) = ((8000..8005).collect(), (8005..8010).collect());
    assert!(send(0, 8000..8005));
    assert_eq!(seen(), [first.clone(), Vec::new()]);
    if !send(1, 8005..8010) {
        return eprintln!("not tested: one CPU");
    }
    assert_eq!(seen(), [Vec::new(), second.clone()]);
    // They move to the other CPU and stay in their ring.
    assert!(send(1, 8000..8005) && send(0, 8005..8010));
    assert_eq!(seen(), [first, second]);
}
