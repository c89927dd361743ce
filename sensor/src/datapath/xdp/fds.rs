//! Descriptors of maps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::Map;

use super::error::KernelError;

pub fn map_fd(map: &Map) -> Result<BorrowedFd<'_>, KernelError> {
    match map {
        Map::Array(d)
        | Map::HashMap(d)
        | Map::LpmTrie(d)
        | Map::PerCpuArray(d)
        | Map::ProgramArray(d)
        | Map::RingBuf(d) => Ok(d.fd().as_fd()),
        _ => Err(KernelError::Missing("map of the right type")),
    }
}

pub fn dup(source: io::Error) -> KernelError {
    KernelError::Sys {
        what: "cannot duplicate a descriptor",
        source,
    }
}
