//! TCP without connections: sequence space and reassembly of one direction.
#![warn(missing_docs)]

pub mod endpoint;
pub mod kept;
pub mod reassembly;
