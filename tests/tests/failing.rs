//! A worker that fails by a defect begins anew. The defect is a handler's, of a program that uses the library: it panics in
//! the midst of a connection's work, as any part of the engine might.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sensor::event::{ConnStats, ConnectionEstablished, Event, Handler, NewConnection, Subscriptions, Ts};
use sensor::live;
use sensor::settings::Settings;
use sensor_tests::lab::SERVER_V4;
use sensor_tests::{Lab, LabOptions, one_at_a_time};

const PORT: u16 = 7788;

/// Panics with the third connection that is established, once.
struct Fails {
    established: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    packets: Arc<AtomicU32>,
    has_failed: Arc<AtomicBool>,
}

impl Handler for Fails {
    fn wants(&self) -> Subscriptions {
        Subscriptions::NONE
            .with(NewConnection::KIND)
            .with(ConnectionEstablished::KIND)
            .with(ConnStats::KIND)
    }

    fn event(&mut self, _: Ts, ev: &dyn Event) {
        if ConnectionEstablished::of(ev).is_some() {
            let n = self.established.fetch_add(1, Ordering::AcqRel) + 1;
            if n == 3 && !self.has_failed.swap(true, Ordering::AcqRel) {
                panic!("a defect, as this test has one");
            }
        }
        if let Some(stats) = ConnStats::of(ev) {
            self.ended.fetch_add(1, Ordering::AcqRel);
            let n = stats.os.num_pkts + stats.rs.num_pkts;
            self.packets.fetch_add(n as u32, Ordering::AcqRel);
        }
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn connections_go_on_when_a_worker_fails() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let listener = lab
        .server
        .run(|| TcpListener::bind((SERVER_V4, PORT)))
        .unwrap()
        .unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|n| n > 0) {
                    let _ = stream.write_all(&byte);
                }
            });
        }
    });
    let mut settings = Settings::default();
    settings.interfaces.names = vec!["m0".into()];
    settings.interfaces.netns = Some(lab.middle.name().to_owned());
    settings.rings.workers = Some(1);
    settings.timeouts.tcp_close_delay = 0.5;
    let stop = Arc::<AtomicBool>::default();
    let (established, ended, packets) = <(Arc<AtomicU32>, Arc<AtomicU32>, Arc<AtomicU32>)>::default();
    let has_failed = Arc::<AtomicBool>::default();
    let handler = |_| Fails {
        established: established.clone(),
        ended: ended.clone(),
        packets: packets.clone(),
        has_failed: has_failed.clone(),
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| live::watch(&settings, &stop, handler));
        let connect = || {
            lab.client
                .run(|| TcpStream::connect((SERVER_V4, PORT)))
                .unwrap()
                .unwrap()
        };
        let say = |s: &mut TcpStream| {
            s.write_all(b"\x01").unwrap();
            s.read_exact(&mut [0]).unwrap();
        };
        let until = |is: &dyn Fn() -> bool, what: &str| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !is() {
                assert!(Instant::now() < deadline && !watching.is_finished(), "{what}");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        // Until it watches: what begins before is no whole connection.
        until(
            &|| {
                drop(connect());
                established.load(Ordering::Acquire) > 0
            },
            "it does not watch",
        );
        let mut streams: Vec<_> = (0..6).map(|_| connect()).collect();
        streams.iter_mut().for_each(say);
        until(&|| has_failed.load(Ordering::Acquire), "it did not fail");
        streams.iter_mut().for_each(say);
        let before = ended.load(Ordering::Acquire);
        streams.truncate(3);
        until(
            &|| ended.load(Ordering::Acquire) >= before + 3,
            "connections do not end",
        );
        streams.iter_mut().for_each(say);
        drop(streams);
        lab.settle().unwrap();
        stop.store(true, Ordering::Release);
        watching.join().unwrap().expect("the run goes on");
    });
    let packets_of_six = 6 * (3 + 2 * 3);
    assert!(
        packets.load(Ordering::Acquire) >= packets_of_six,
        "the counts are the kernel's"
    );
}
