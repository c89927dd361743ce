//! What is said on the socket.

use serde::{Deserialize, Serialize};

/// What the sensor is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    /// Read the settings again; what can take effect does.
    Reload,
    /// Rotate the logs.
    Rotate,
    /// Tell of a connection's packets.
    Pcap {
        /// The connection's id.
        uid: String,
        /// Not of those to come.
        #[serde(default)]
        past: bool,
    },
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// It was done, or is being done.
    pub ok: bool,
    /// What there is to say of it, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl Reply {
    /// It was done.
    pub fn done(said: Vec<String>) -> Reply {
        Reply { ok: true, said }
    }

    /// It cannot be done.
    pub fn refused(why: impl Into<String>) -> Reply {
        Reply {
            ok: false,
            said: vec![why.into()],
        }
    }

    /// As a line.
    pub fn line(&self) -> Vec<u8> {
        // It goes to memory and has no keys but names.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// What is said at the end of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Packets in it.
    pub packets: u64,
    /// Those of them of which not all bytes were captured.
    pub cut: u64,
    /// Packets of which nothing could be written: no bytes came to userspace that make a packet.
    pub bare: u64,
    /// Packets, of whatever connection, that were overwritten before they were looked at.
    pub lost: u64,
}
