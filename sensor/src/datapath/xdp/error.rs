//! What can go wrong between the sensor and the kernel, in words for the user.

use std::io;

/// Errors of the kernel's datapath.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The process may not do what it has to.
    #[error("not privileged: missing {}; run as root or grant them (setcap)", missing.join(", "))]
    Capabilities {
        /// The capabilities' names (`CAP_BPF` ...).
        missing: Vec<&'static str>,
    },
    /// The name is no interface's.
    #[error("no such interface: {0}")]
    NoInterface(String),
    /// Frames of the interface begin with no Ethernet header.
    #[error("{0}: not an Ethernet interface")]
    NotEthernet(String),
    /// The interface has an XDP program of somebody else.
    #[error("{0}: another XDP program is already attached")]
    Occupied(String),
    /// The kernel is too old for something.
    #[error("this kernel ({has}) lacks {feature}, which came with Linux {since}")]
    Kernel {
        /// What it lacks.
        feature: &'static str,
        /// The version that has it.
        since: &'static str,
        /// The version that runs.
        has: String,
    },
    /// The kernel refused to attach a program to an interface.
    #[error("{iface}: cannot attach: {source}")]
    Attach {
        /// The interface's name.
        iface: String,
        /// Why.
        source: io::Error,
    },
    /// The object cannot be loaded; with the reason.
    #[error("cannot load the BPF program: {0}")]
    Load(String),
    /// The verifier refused a program.
    #[error(
        "the verifier of this kernel ({release}) refuses the BPF program {program}: {verdict} (RUST_LOG=debug shows \
         more)"
    )]
    Refused {
        /// The program's name in the object.
        program: &'static str,
        /// The kernel's release.
        release: String,
        /// The verifier's last words.
        verdict: String,
    },
    /// The object that the environment names cannot be read.
    #[error("cannot read the BPF object {path}: {source}")]
    Object {
        /// The file that was named.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A map or program is not in the object; with its name.
    #[error("the BPF object has no {0}")]
    Missing(&'static str),
    /// A system call failed.
    #[error("{what}: {source}")]
    Sys {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A frame is too short or too long for the kernel to run; with its length, bytes.
    #[error("a frame of {0} bytes cannot be run through the program")]
    FrameLength(usize),
    /// There is no BPF file system where something is to be kept.
    #[error(
        "--persist: {dir} is not in a BPF file system: `mount -t bpf bpf /sys/fs/bpf`, or see --persist-dir"
    )]
    NoBpfFs {
        /// The directory.
        dir: String,
    },
    /// The user may not use the directory's BPF file system.
    #[error(
        "--persist: cannot use {dir}: {source}; /sys/fs/bpf is root's: the service has a BPF file system of its own, with \
         --persist-dir /run/sensorbpf/sensor"
    )]
    BpfFs {
        /// The directory.
        dir: String,
        /// Why.
        source: io::Error,
    },
    /// Another sensor has what is kept there.
    #[error("--persist: another sensor has {dir} now; see --persist-dir")]
    PinsTaken {
        /// The directory.
        dir: String,
    },
    /// What an earlier run left does not fit.
    #[error(
        "--persist: what the last run left in {dir} does not fit: {what}; start with its options, end it in order with \
         `--persist=replace`, or take it away with `sensor detach`"
    )]
    Misfit {
        /// The directory.
        dir: String,
        /// What is different.
        what: String,
    },
    /// The configuration cannot be; with the reason.
    #[error("{0}")]
    Config(&'static str),
}

impl KernelError {
    /// Whether it is about the program and its hook, so that a packet socket might do.
    pub fn is_of_the_program(&self) -> bool {
        use KernelError::{Attach, Capabilities, Kernel, Load, Occupied, Refused};
        match self {
            Capabilities { missing } => !missing.contains(&"CAP_NET_RAW"),
            Kernel { .. } | Attach { .. } | Load(_) | Refused { .. } | Occupied(_) => true,
            _ => false,
        }
    }
}
