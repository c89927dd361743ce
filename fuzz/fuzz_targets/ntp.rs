//! NTP's datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::ntp::Ntp;
use sensor_fuzz::datagrams;

fuzz_target!(|data: &[u8]| datagrams::check::<Ntp>(123, "ntp_message", data));
