pub mod ports;
pub mod timer;
