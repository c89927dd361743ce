//! FTP's control connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::ftp::Ftp;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Ftp>(21, data, None));
