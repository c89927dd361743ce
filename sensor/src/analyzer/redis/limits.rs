//! What Zeek takes for too much.

/// Most elements of a message in all its arrays (Zeek: Redis::max_aggregate_elements).
pub const MAX_ELEMENTS: i64 = 20_000;
/// Longest string, bytes.
pub const MAX_STRING: i64 = 1 << 20;
