//! Time, as all of the sensor has it.

/// Network time: nanoseconds since the epoch. Also used for spans of time, in nanoseconds.
pub type Ts = u64;

/// A millisecond, ns.
pub const MILLISECOND: Ts = 1_000_000;
/// A second, ns.
pub const SECOND: Ts = 1_000_000_000;
/// A minute, ns.
pub const MINUTE: Ts = 60 * SECOND;
/// An hour, ns.
pub const HOUR: Ts = 60 * MINUTE;
/// A day, ns.
pub const DAY: Ts = 24 * HOUR;
