//! Capture files: pcap, pcapng, gzip'ed.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sensor::packet::Capture;

fuzz_target!(|data: &[u8]| {
    let Ok(mut capture) = Capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    let mut bytes = 0usize;
    let mut frames = 0usize;
    while let Some(frame) = capture.next() {
        let Ok(frame) = frame else {
            break;
        };
        bytes += frame.data.len();
        frames += 1;
    }
    assert!(capture.next().is_none());
    // Unless it was compressed, no more comes out than went in.
    if !data.starts_with(&[0x1f, 0x8b]) {
        assert!(bytes + 12 * frames <= data.len());
    }
});
