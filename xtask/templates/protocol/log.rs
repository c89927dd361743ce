//! The row of example.log.

use crate::event::{ConnId, row};

row! {
    /// One row of example.log.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ExampleRow<'a> in "example" {
        /// When the greeting was complete.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// The name that the greeting says.
        name: wire (&'a [u8]),
    }
}
