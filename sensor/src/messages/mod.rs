//! What the sensor itself has to say: lines on standard error (`say`), and messages that become events (`reporter`).
//!
//! Knows events, and nothing of what the messages are about.

pub mod reporter;
pub mod say;
