//! The row of os.log.

use crate::event::{ConnId, row};

row! {
    /// One row of os.log: a host's operating system as its packets tell it, once a day, and once more when they tell how long it is up.
    #[derive(Clone, Debug)]
    pub struct OsRow<'a> in "os" {
        /// When it was found.
        ts: time,
        /// The connection whose SYN or SYN-ACK it was found by.
        c: conn (&'a ConnId),
        /// The host.
        host: addr,
        /// It is the connection's originator.
        is_orig: bool,
        /// The system's family, such as `Linux`, or a tool's name.
        genre: text (&'a str),
        /// Its version and other detail.
        detail: text (&'a str),
        /// `win`, `unix`, `other`; unset: it is a tool, and the system that it runs on is not known.
        class: opt text (&'a str),
        /// Hops away, by the TTL.
        dist: count,
        /// How sure it is: `direct_inference`, `generic_inference` or `fuzzy_inference`.
        match_type: text (&'static str),
        /// The largest packet on its link, by the MSS, bytes.
        mtu: opt count,
        /// What links have such an MTU.
        link: opt text (&'a str),
        /// How long it is up, by its timestamps. Newer systems add a number by chance for each pair of hosts.
        uptime: opt interval,
        /// What was seen, as a signature of p0f.
        signature: text (String),
    }
}
