//! What is read of the traffic: files, protocols, scripts, signatures, timeouts; and how captures are read.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::conn::SIGNATURE_BYTES;
use crate::file::{Hashes, MimePattern};
use crate::os::{FingerprintError, Fingerprints};

/// Instead of a file: the fingerprints that come with the sensor.
const BUILTIN: &str = "builtin";
/// Those.
const BUILTIN_FINGERPRINTS: &str = include_str!("../../../fingerprints/os.fp");

/// Scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptSettings {
    /// The scripts.
    pub files: Vec<PathBuf>,
    /// They may use the system, and files anywhere.
    #[serde(rename = "unsafe")]
    pub is_unsafe: bool,
    /// Memory of all of them, MiB.
    pub memory_mib: u32,
    /// Instructions that a call of a handler may take.
    pub steps: u64,
    /// Failures of a handler after which it is not called any more.
    pub failures: u32,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        ScriptSettings {
            files: Vec::new(),
            is_unsafe: false,
            memory_mib: 256,
            steps: 10_000_000,
            failures: 100,
        }
    }
}

/// Files that traffic carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// The digests that are made of every file, for files.log.
    pub hashes: Vec<Digest>,
    /// How random its bytes are is counted of every file, for files.log and the event `file_entropy`.
    pub entropy: bool,
    /// Directory for the files themselves; None: they are not written.
    pub extract_dir: Option<PathBuf>,
    /// Only those that a script names.
    pub extract_on_request: bool,
    /// Types of those that are written; empty: all, also of unknown type.
    pub extract_types: Vec<MimePattern>,
    /// Largest part of a file that is written, from its beginning, MiB.
    pub extract_limit_mib: u64,
    /// Most that is written in a run, all files together, MiB.
    pub extract_total_mib: u64,
    /// Silence after which a file is over, seconds.
    pub timeout: f64,
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings {
            hashes: Vec::new(),
            entropy: false,
            extract_dir: None,
            extract_on_request: false,
            extract_types: Vec::new(),
            extract_limit_mib: 100,
            extract_total_mib: 10 << 10,
            timeout: 120.0,
        }
    }
}

/// Signatures to match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureSettings {
    /// Files of them, in Zeek's language.
    pub files: Vec<PathBuf>,
    /// How much of a connection's payload they are matched with, both directions together, bytes; 0: all of it.
    pub bytes: u64,
}

impl Default for SignatureSettings {
    fn default() -> Self {
        SignatureSettings {
            files: Vec::new(),
            bytes: SIGNATURE_BYTES,
        }
    }
}

/// Operating systems.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OsSettings {
    /// Signatures of their packets, in the format of p0f 3; `builtin`: those of the sensor; None: none are told.
    pub fingerprints: Option<PathBuf>,
}

impl OsSettings {
    /// The signatures, if there are to be any.
    pub fn read(&self) -> Result<Option<Arc<Fingerprints>>, FingerprintError> {
        let read = |path: &PathBuf| match path.as_os_str() == BUILTIN {
            true => Fingerprints::parse(BUILTIN, BUILTIN_FINGERPRINTS),
            false => Fingerprints::read(path),
        };
        self.fingerprints
            .as_ref()
            .map(|p| read(p).map(Arc::new))
            .transpose()
    }
}

/// Digests of whole files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Digest {
    /// Those of a list, for the engine.
    pub fn all(of: &[Digest]) -> Hashes {
        Hashes {
            md5: of.contains(&Digest::Md5),
            sha1: of.contains(&Digest::Sha1),
            sha256: of.contains(&Digest::Sha256),
        }
    }
}

/// Columns of conn.log on request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnSettings {
    /// Community ID, version 1.
    pub community_id: bool,
    /// Link-layer addresses of the first packet.
    pub l2_columns: bool,
    /// VLANs of the first packet.
    pub vlan_columns: bool,
    /// Round-trip times, retransmissions, packets out of order, zero windows.
    pub tcp_stats: bool,
    /// How long a connection is open when it has a row of conn_long.log, seconds.
    pub long: Vec<f64>,
}

/// TLS and certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// JA3, JA3S and JA4 of the hellos as columns of ssl.log.
    pub fingerprints: bool,
    /// What hellos offer and choose as columns of ssl.log.
    pub offers: bool,
    /// Subjects and issuers of certificates as columns of ssl.log.
    pub subjects: bool,
    /// Whether servers' certificate chains are validated.
    pub validate_certs: bool,
    /// Authorities to trust, as PEM; None: Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// Longest handshake message to read, KiB.
    pub max_message_kib: u32,
    /// Most certificates to read of one message.
    pub max_certs: u32,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            fingerprints: false,
            offers: false,
            subjects: false,
            validate_certs: false,
            ca_file: None,
            max_message_kib: 64,
            max_certs: 16,
        }
    }
}

/// HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Passwords of the basic scheme go into http.log.
    pub passwords: bool,
}

/// SSH.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SshSettings {
    /// hassh of both sides as columns of ssh.log.
    pub hassh: bool,
}

/// Timeouts of connections, seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// Silence after which an established TCP connection is over, seconds.
    pub tcp_inactivity: f64,
    /// Silence after which a UDP connection is over, seconds.
    pub udp_inactivity: f64,
    /// Silence after which an ICMP connection is over, seconds.
    pub icmp_inactivity: f64,
    /// How long a SYN may go unanswered, seconds.
    pub tcp_attempt_delay: f64,
    /// How long a closed connection lingers, seconds.
    pub tcp_close_delay: f64,
    /// How long a connection that was reset lingers, seconds.
    pub tcp_reset_delay: f64,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        TimeoutSettings {
            tcp_inactivity: 300.0,
            udp_inactivity: 60.0,
            icmp_inactivity: 60.0,
            tcp_attempt_delay: 5.0,
            tcp_close_delay: 5.0,
            tcp_reset_delay: 5.0,
        }
    }
}

/// Memory for segments that wait behind holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReassemblySettings {
    /// Most memory per direction of a connection, KiB.
    pub limit_kib: u64,
    /// Most memory for all connections together, MiB.
    pub total_mib: u64,
}

impl Default for ReassemblySettings {
    fn default() -> Self {
        ReassemblySettings {
            limit_kib: 1024,
            total_mib: 512,
        }
    }
}

/// How captures are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadSettings {
    /// Where frames are parsed and counted.
    pub datapath: Datapath,
    /// Forward every packet to the engine, not only those that teach it something.
    pub forward_all: bool,
    /// Whether analyzers look into payload.
    pub analyzers: bool,
}

impl Default for ReadSettings {
    fn default() -> Self {
        ReadSettings {
            datapath: Datapath::User,
            forward_all: false,
            analyzers: true,
        }
    }
}

/// Where the frames of captures are parsed and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// The program's double in userspace.
    User,
    /// The program in the kernel.
    Xdp,
}
