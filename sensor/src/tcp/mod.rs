//! TCP without connections: sequence space and reassembly of one direction.

pub mod endpoint;
pub mod kept;
pub mod reassembly;
