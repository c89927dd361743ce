//! SMTP: commands, mails and their parts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::smtp::Smtp;
use sensor_fuzz::talk;

fuzz_target!(|data: &[u8]| talk::check::<Smtp>(25, data, None));
