//! POP3: commands, replies, mails.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::pop3::Pop3;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Pop3>(110, data, None));
