//! IMAP: lines up to TLS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::imap::Imap;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Imap>(143, data, None));
