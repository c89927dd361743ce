//! SOCKS: what client and proxy say before the tunnel begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::socks::Socks;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Socks>(1080, data, None));
