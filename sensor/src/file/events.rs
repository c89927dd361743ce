//! The events of who reads files, and what they carry.

use crate::event::page::events;
use crate::event::record;

record! {
    /// How random some bytes are (Zeek's `entropy_test_result`).
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct EntropyTestResult is "entropy_test_result" {
        /// Bits of information a byte, 0 to 8.
        entropy: double,
        /// Chi-square of how often each byte came; some 256 for bytes by chance.
        chi_square: double,
        /// Mean of the bytes; 127.5 for bytes by chance.
        mean: double,
        /// Pi by the share of points in a circle; 0 for less than six bytes.
        monte_carlo_pi: double,
        /// How much a byte depends on the one before it, -1 to 1; -100000 if all are the same.
        serial_correlation: double,
    }
}

events! {
    /// The events of who reads files.
    page 29 "files" of "files";

    /// A file is over, and how random its bytes are was asked for.
    /// `f`: the file; `ent`: what was counted.
    FileEntropy "file_entropy" (f: fa_file, ent: record EntropyTestResult);
}
