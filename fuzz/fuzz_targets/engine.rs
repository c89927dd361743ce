//! A capture, or frames, through the soft datapath and the engine.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sensor::packet::{Capture, Frame, LinkType};
use sensor_fuzz::{Machine, Setup, both_ways};

const LINKS: [u32; 16] = [1, 1, 1, 1, 101, 101, 0, 9, 50, 105, 108, 113, 127, 204, 239, 276];
/// Captures and frames on hand are whole: nothing is said of the rest.
const WHOLE: u8 = 0x20;

fn capture(data: &[u8], m: &mut Machine) {
    let Ok(mut c) = Capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    while let Some(Ok(frame)) = c.next() {
        m.frame(&frame);
    }
}

/// Each frame: link type and how it is cut, time, little-endian length, bytes.
fn frames(data: &[u8], whole: bool, m: &mut Machine) {
    let mut rest = data;
    let mut ts = 1_000_000_000;
    while let [kind, time, lo, hi, more @ ..] = rest {
        let len = (u16::from_le_bytes([*lo, *hi]) as usize).min(more.len());
        let (frame, more) = more.split_at(len);
        rest = more;
        // Milliseconds, then seconds to a month.
        ts += match *time as u64 {
            n @ 0..=127 => n * 1_000_000,
            n => (n - 127).pow(3) * 1_000_000_000,
        };
        let cut = if whole {
            0
        } else {
            ((kind >> 4) as i32 - 4).max(-1) * 16
        };
        m.frame(&Frame {
            ts,
            link: LinkType(LINKS[(kind & 15) as usize]),
            data: frame,
            wire_len: (frame.len() as u32).wrapping_add_signed(cut),
            iface: 0,
        });
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&settings, rest)) = data.split_first() else {
        return;
    };
    let setup = Setup::new(settings);
    let is_capture = matches!(
        rest,
        [0xd4, 0xc3, ..] | [0xa1, 0xb2, ..] | [0x0a, 0x0d, ..] | [0x1f, 0x8b, ..]
    );
    let run = |m: &mut Machine| {
        if is_capture {
            capture(rest, m);
        } else {
            frames(rest, settings & WHOLE != 0, m);
        }
    };
    // What a capture cut, the default policy does not always see.
    if settings & WHOLE != 0 && !is_capture && !setup.events && !setup.contents {
        both_ways(setup, run);
    } else {
        let mut m = Machine::new(setup);
        run(&mut m);
        m.finish();
    }
});
