//! Certificates seen before: parsed once, logged once a day.

use std::sync::Arc;

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use super::Certificate;
use crate::base::daily::Daily;
use crate::event::Ts;

/// Parsed certificates kept. A few hundred account for nearly all connections of a site.
const MAX_PARSED: usize = 4096;

/// Longest certificate that is kept, bytes of DER. Longer ones are few; they are parsed anew each time.
const MAX_KEPT_DER: usize = 16 * 1024;

/// Logged certificates remembered; 40 bytes each.
const MAX_LOGGED: usize = 1 << 18;

/// SHA-256 of a certificate's bytes.
type Key = [u8; 32];

/// See the module.
#[derive(Debug)]
pub struct CertCache {
    /// By their bytes as they came. What could not be parsed is remembered as well.
    parsed: HashMap<Box<[u8]>, Option<Arc<Certificate>>, RandomState>,
    /// Those that were logged within a day (Zeek's `X509::relog_known_certificates_after`): per certificate, host_cert and
    /// client_cert.
    logged: Daily<(Key, bool, bool)>,
}

impl Default for CertCache {
    fn default() -> CertCache {
        CertCache {
            parsed: HashMap::default(),
            logged: Daily::with_room(MAX_LOGGED),
        }
    }
}

impl CertCache {
    /// The certificate in `der`, `None` when it is none.
    pub fn get(&mut self, der: &[u8]) -> Option<Arc<Certificate>> {
        if der.len() > MAX_KEPT_DER {
            return Certificate::parse(der).map(Arc::new);
        }
        if let Some(known) = self.parsed.get(der) {
            return known.clone();
        }
        let cert = Certificate::parse(der).map(Arc::new);
        // Starting over costs some parsing; choosing whom to drop would cost every lookup.
        if self.parsed.len() >= MAX_PARSED {
            self.parsed.clear();
        }
        self.parsed.insert(der.into(), cert.clone());
        cert
    }

    /// Whether x509.log does not have this certificate in this role yet, or not for a day. Remembers it.
    pub fn is_new(&mut self, cert: &Certificate, host_cert: bool, client_cert: bool, now: Ts) -> bool {
        self.logged.is_new((cert.sha256, host_cert, client_cert), now)
    }
}
