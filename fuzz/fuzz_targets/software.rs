//! Banners, one a line, 64 of them: taken apart, told once and remembered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::base::known::Known;
use sensor::event::log::{LogRow, write_json};
use sensor::event::{Event, Proto, Subscriptions, Ts};
use sensor::software::{Cx, Found, Inventory, Kind, Out, greeting, version};
use sensor_fuzz::analyzers::conn;

const KINDS: [Kind; 4] = [
    Kind::HttpServer,
    Kind::HttpBrowser,
    Kind::SshClient,
    Kind::SmtpMailClient,
];

#[derive(Default)]
struct Told {
    rows: usize,
    events: usize,
}

impl Out for Told {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.events += 1;
        let mut text = Vec::new();
        ev.write_json(ts, &mut text);
        assert!(std::str::from_utf8(&text).is_ok());
    }
    fn log(&mut self, row: &dyn LogRow) {
        self.rows += 1;
        let mut text = Vec::new();
        write_json(&mut text, row, &mut Vec::new());
        assert!(std::str::from_utf8(&text).is_ok());
    }
}

fuzz_target!(|data: &[u8]| {
    let c = conn(Proto::Tcp, 80);
    let mut told = Told::default();
    let mut inventory = Inventory::new(Known::default());
    for (n, banner) in data.split(|b| *b == b'\n').take(64).enumerate() {
        let _ = greeting::software(banner);
        let described = version::parse(banner);
        assert_eq!(described, version::parse(banner));
        // What is escaped gets shorter; names of browsers and of Android are the sensor's own.
        let addl = described.version.addl.as_ref().map_or(0, Vec::len);
        assert!(described.name.len() <= banner.len() + 32 && addl <= banner.len());
        let kind = KINDS[n % KINDS.len()];
        let found = match n % 2 {
            0 => Found::server(&c, kind, banner),
            _ => Found::client(&c, kind, banner),
        };
        let before = (told.rows, told.events);
        for again in [false, true] {
            let mut cx = Cx {
                ts: 1_700_000_000_000_000_000 + n as u64,
                subs: &Subscriptions::ALL,
                is_local: &|_| true,
                out: &mut told,
            };
            inventory.found(&found, &mut cx);
            assert!(!again || told.rows <= before.0 + 1);
        }
        assert_eq!(told.events, before.1 + 4, "two events each time");
    }
});
