//! An XDP program that passes every packet: what any program costs on a veth before it does anything.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context as _, Result};
use sensor_tests::link;

use crate::bench::bpf;

/// Attaches the program to an interface of this namespace, for as long as what is returned lives.
pub fn attach(ifname: &str) -> Result<OwnedFd> {
    let prog = bpf::load(&bpf::PASSING).context("cannot load the passing program")?;
    bpf::attach(prog.as_fd(), link::index(ifname)?).context("cannot attach the passing program")
}
