//! What can go wrong between the sensor and the kernel, in words for the user.

use std::io;

/// Errors of the kernel's datapath.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not privileged: missing {}; run as root or grant them (setcap)", missing.join(", "))]
    Capabilities { missing: Vec<&'static str> },
    #[error("no such interface: {0}")]
    NoInterface(String),
    #[error("{0}: not an Ethernet interface")]
    NotEthernet(String),
    #[error("{0}: another XDP program is already attached")]
    Occupied(String),
    #[error("this kernel ({has}) lacks {feature}, which came with Linux {since}")]
    Kernel {
        feature: &'static str,
        since: &'static str,
        has: String,
    },
    #[error("{iface}: cannot attach: {source}")]
    Attach { iface: String, source: io::Error },
    #[error("cannot load the BPF program: {0}")]
    Load(String),
    #[error(
        "the verifier of this kernel ({release}) refuses the BPF program {program}: {verdict} (RUST_LOG=debug shows \
         more)"
    )]
    Refused {
        program: &'static str,
        release: String,
        verdict: String,
    },
    #[error("cannot read the BPF object {path}: {source}")]
    Object { path: String, source: io::Error },
    #[error("the BPF object has no {0}")]
    Missing(&'static str),
    #[error("{what}: {source}")]
    Sys { what: &'static str, source: io::Error },
    #[error("a frame of {0} bytes cannot be run through the program")]
    FrameLength(usize),
    #[error("{0}")]
    Config(&'static str),
}
