//! The row of software.log.

use crate::event::row;

row! {
    /// One row of software.log: a version of a piece of software on a local host, once a day.
    #[derive(Clone, Debug)]
    pub struct SoftwareRow<'a> in "software" {
        /// When it was found.
        ts: time,
        /// Where it runs.
        host: addr,
        /// The port on which it is reached, if it is a server.
        host_p: opt port,
        /// What sort of software it is, such as `HTTP::SERVER`.
        software_type: enumeration,
        /// Its name.
        name: wire (&'a [u8]),
        /// The first number of its version.
        major = "version.major": opt count,
        /// The second one.
        minor = "version.minor": opt count,
        /// The third one.
        minor2 = "version.minor2": opt count,
        /// The fourth one.
        minor3 = "version.minor3": opt count,
        /// What follows the numbers.
        addl = "version.addl": opt wire (&'a [u8]),
        /// All that it said.
        unparsed_version: wire (&'a [u8]),
    }
}
