//! Syslog's datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::syslog::Syslog;
use sensor_fuzz::datagrams;

fuzz_target!(|data: &[u8]| datagrams::check::<Syslog>(514, "syslog_message", data));
