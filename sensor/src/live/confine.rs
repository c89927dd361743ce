//! Workers read bytes that attackers send: their threads keep no right that they have no use for.
//!
//! Rights are a thread's own in Linux. A worker asks the flow table, waits for its ring, thinks, and hands results to other
//! threads; with `--contents-file` it writes files. So it keeps CAP_BPF, sees no file but that directory (Landlock), and has
//! no system call beyond these (seccomp): it opens no socket, starts no process, and attaches nothing. The threads that attach
//! to interfaces and write logs read nothing of what interfaces carry. They share its memory, though: who takes over a
//! worker's thread altogether may find a way through them, so this is a second wall, not the first one.
#![allow(unsafe_code, reason = "pthread_sigmask is a system call")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Threads that are confined, and what they keep beside what all keep.
#[derive(Clone, Default)]
pub struct Confinement {
    /// Directory in which they make files.
    pub writes: Option<PathBuf>,
    /// Ports of servers that they ask over the network; none: they open no socket.
    pub asks: Vec<u16>,
}

/// Signals to the process, which are the other threads': who hears one tells of it by a system call that a confined thread
/// does not have.
const OTHERS: [libc::c_int; 7] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
    libc::SIGXFSZ,
];

/// Newest rules for files that are asked for; an older kernel applies those that it knows.
const LANDLOCK: ABI = ABI::V5;

/// Memory, time, waiting, what threads and panics need, and what a worker asks the kernel.
const ALWAYS: &[i64] = &[
    libc::SYS_bpf,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_prctl,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Files of one's own.
const FILES: &[i64] = &[
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pwrite64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

/// Sockets of one's own, and waiting for them.
const NETWORK: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_fcntl,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];
/// Families of their addresses.
const FAMILIES: [libc::c_int; 2] = [libc::AF_INET, libc::AF_INET6];

impl Confinement {
    /// Confines the calling thread for good, as far as this kernel can. What it cannot is said, at the level of details.
    pub fn begin(&self) {
        leave_signals();
        for (what, done) in [
            ("files", self.files()),
            ("capabilities", self.capabilities()),
            ("system calls", self.calls()),
        ] {
            if let Err(e) = done {
                tracing::info!("a worker is not confined in its {what}: {e}");
            }
        }
    }

    fn files(&self) -> Result<(), String> {
        let all = AccessFs::from_all(LANDLOCK);
        let writes: Vec<&Path> = self.writes.iter().map(PathBuf::as_path).collect();
        // Of what is said over UDP it knows nothing.
        let ports = self
            .asks
            .iter()
            .map(|p| Ok::<_, RulesetError>(NetPort::new(*p, AccessNet::ConnectTcp)));
        let rules = Ruleset::default()
            .handle_access(all)
            .and_then(|r| r.handle_access(AccessNet::from_all(LANDLOCK)))
            .and_then(Ruleset::create)
            .and_then(|r| r.add_rules(path_beneath_rules(writes, all)))
            .and_then(|r| r.add_rules(ports));
        let status = rules.and_then(|r| r.restrict_self()).map_err(|e| e.to_string())?;
        match status.ruleset {
            landlock::RulesetStatus::NotEnforced => Err("this kernel has no Landlock".into()),
            _ => Ok(()),
        }
    }

    fn capabilities(&self) -> Result<(), String> {
        let mut keep = CapsHashSet::new();
        if self.asks.is_empty() {
            keep.insert(Capability::CAP_BPF);
        }
        if self.writes.is_some() {
            // The directory may be another user's; no other is to be seen.
            keep.insert(Capability::CAP_DAC_OVERRIDE);
        }
        let text = |e: caps::errors::CapsError| e.to_string();
        let have = caps::read(None, CapSet::Permitted).map_err(text)?;
        let keep: CapsHashSet = keep.intersection(&have).copied().collect();
        let none = CapsHashSet::new();
        // Ambient ones go with those that could be inherited.
        caps::set(None, CapSet::Inheritable, &none).map_err(text)?;
        caps::set(None, CapSet::Effective, &keep).map_err(text)?;
        caps::set(None, CapSet::Permitted, &keep).map_err(text)
    }

    fn calls(&self) -> Result<(), String> {
        let files = if self.writes.is_some() { FILES } else { &[] };
        let network = if self.asks.is_empty() { &[] } else { NETWORK };
        let all = ALWAYS.iter().chain(files).chain(network);
        let mut rules: BTreeMap<i64, _> = all.map(|n| (*n, Vec::new())).collect();
        if !self.asks.is_empty() {
            let of = |family: &libc::c_int| {
                let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *family as u64)?;
                SeccompRule::new(vec![is])
            };
            let sockets: Result<Vec<_>, _> = FAMILIES.iter().map(of).collect();
            rules.insert(libc::SYS_socket, sockets.map_err(|e| e.to_string())?);
        }
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
        let refused = SeccompAction::Errno(libc::EPERM as u32);
        let filter =
            SeccompFilter::new(rules, refused, SeccompAction::Allow, arch).map_err(|e| e.to_string())?;
        let program: BpfProgram = filter
            .try_into()
            .map_err(|e: seccompiler::BackendError| e.to_string())?;
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())
    }
}

fn leave_signals() {
    // SAFETY: the set is this function's, and filled in before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in OTHERS {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Write as _};
    use std::net::UdpSocket;
    use std::process::Command;

    use super::*;

    /// What a confined thread finds, as it tries.
    #[test]
    fn a_confined_thread_opens_nothing_and_starts_nothing() {
        let dir = std::env::temp_dir().join(format!("sensor-confined-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let confined = Confinement {
            writes: Some(dir.clone()),
            ..Confinement::default()
        };
        std::thread::spawn(move || {
            let before = File::create(dir.join("before")).expect("a file");
            confined.begin();
            // What it is for goes on.
            let mut file = File::create(dir.join("own")).expect("its own directory");
            file.write_all(b"x").expect("written");
            drop(before);
            let mut much = vec![0_u8; 64 << 20];
            much[63 << 20] = 1;
            std::thread::sleep(std::time::Duration::from_millis(1));
            let has_landlock = Path::new("/sys/kernel/security/lsm").exists();
            let passwd = File::open("/etc/passwd").map(drop);
            if has_landlock || passwd.is_err() {
                assert_eq!(
                    passwd.expect_err("others' files").kind(),
                    ErrorKind::PermissionDenied
                );
                assert!(File::create("/tmp/sensor-not-confined").is_err());
            }
            let socket = UdpSocket::bind("127.0.0.1:0").expect_err("a socket");
            assert_eq!(socket.kind(), ErrorKind::PermissionDenied);
            assert!(Command::new("/bin/true").spawn().is_err(), "a process");
            assert!(caps::raise(None, CapSet::Effective, Capability::CAP_NET_ADMIN).is_err());
            let _ = std::fs::remove_file(dir.join("own"));
        })
        .join()
        .expect("a thread that lives");
        // The others are as they were.
        assert!(UdpSocket::bind("127.0.0.1:0").is_ok() && File::open("/etc/passwd").is_ok());
    }

    #[test]
    fn who_asks_over_the_network_does_nothing_else() {
        use std::net::{Ipv6Addr, TcpListener, TcpStream};
        use std::os::unix::net::UnixStream;

        let listen = || TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (server, other) = (listen(), listen());
        let at = |l: &TcpListener| l.local_addr().expect("an address");
        let (asked, not_asked) = (at(&server), at(&other));
        let confined = Confinement {
            asks: vec![asked.port()],
            ..Confinement::default()
        };
        std::thread::spawn(move || {
            confined.begin();
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            udp.send_to(b"x", asked).expect("a datagram");
            UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
            TcpStream::connect(asked).expect("a connection");
            assert!(File::open("/etc/resolv.conf").is_err(), "a file");
            if TcpStream::connect(not_asked).is_ok() {
                // Before Linux 6.7 Landlock knows no ports.
                assert!(!has_ports(), "another server");
            }
            let path = UnixStream::connect("/run/none").expect_err("another family");
            assert_eq!(path.kind(), ErrorKind::PermissionDenied);
            assert!(Command::new("/bin/true").spawn().is_err(), "a process");
            assert!(caps::raise(None, CapSet::Effective, Capability::CAP_BPF).is_err());
        })
        .join()
        .expect("a thread that lives");
    }

    /// Whether this kernel's Landlock knows ports.
    fn has_ports() -> bool {
        use landlock::Compatible as _;

        Ruleset::default()
            .set_compatibility(landlock::CompatLevel::HardRequirement)
            .handle_access(AccessNet::ConnectTcp)
            .and_then(Ruleset::create)
            .is_ok()
    }

    #[test]
    fn without_files_of_its_own_it_opens_none() {
        std::thread::spawn(|| {
            Confinement::default().begin();
            let e = File::open("/dev/null").expect_err("a file");
            assert_eq!(e.kind(), ErrorKind::PermissionDenied);
            // A panic of it says what it has to say.
            assert!(std::panic::catch_unwind(|| panic!("as it may")).is_err());
        })
        .join()
        .expect("a thread that lives");
    }
}
