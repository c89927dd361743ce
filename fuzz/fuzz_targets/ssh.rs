//! SSH: banners, key exchange, encrypted packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::ssh::Ssh;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Ssh>(22, data, None));
