//! HTTP/1: requests and replies, bodies, upgrades and what is inside tunnels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::http::Http;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Http>(80, data, None));
