//! The row of prof.log.

use crate::event::row;

row! {
    /// One row of prof.log: what something has cost since the rows before.
    #[derive(Clone, Debug)]
    pub struct ProfRow<'a> in "prof" {
        /// When it was written.
        ts: time,
        /// What it is: `process`, `thread`, `part`; in every Nth round `analyzer`, `handler` (of a script) and `map` too.
        kind: text (&'static str),
        /// Its name.
        name: text (&'a str),
        /// CPU time.
        cpu: opt interval,
        /// The same of all that the process took, percent.
        share: opt double,
        /// Calls, or how much is in it.
        count: opt count,
        /// Memory that it takes, bytes.
        memory: opt count,
    }
}
