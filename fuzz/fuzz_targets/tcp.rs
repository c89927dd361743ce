//! Segments of a few TCP connections, steered by the input, through the soft datapath and the engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor_fuzz::segments::{STEP, Script};
use sensor_fuzz::{Machine, Setup, both_ways};

/// Payloads are counting bytes, so that delivered contents can be checked.
const COUNTING: u8 = 0x20;
/// Some records are lost.
const LOSSY: u8 = 0x80;
/// Some packets are cut by the capture.
const CUTS: u8 = 0x40;

fuzz_target!(|data: &[u8]| {
    let Some((&settings, rest)) = data.split_first() else {
        return;
    };
    let (counting, cuts) = (settings & COUNTING != 0, settings & CUTS != 0);
    let setup = Setup {
        counting,
        checksums: false,
        lossy: settings & LOSSY != 0,
        ..Setup::new(settings)
    };
    let run = |m: &mut Machine| {
        let mut script = Script::new(counting);
        for step in rest.as_chunks::<STEP>().0 {
            script.step(step, cuts, m);
        }
    };
    // With so little memory, payload at hand makes a hole be given up that headers alone do not.
    if setup.events || setup.contents || setup.lossy || setup.tight || cuts {
        let mut m = Machine::new(setup);
        run(&mut m);
        m.finish();
    } else {
        both_ways(setup, run);
    }
});
