//! Certificates seen before: parsed once, logged once a day.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Certificate;
use crate::base::time::{DAY, MINUTE};
use crate::event::Ts;

/// Time after which a certificate is logged again, ns (Zeek's `X509::relog_known_certificates_after`).
const RELOG_AFTER_NS: Ts = DAY;

/// Parsed certificates kept. A few hundred account for nearly all connections of a site.
const MAX_PARSED: usize = 4096;

/// Longest certificate that is kept, bytes of DER. Longer ones are few; they are parsed anew each time.
const MAX_KEPT_DER: usize = 16 * 1024;

/// Least time between two looks through a full memory for old certificates, ns.
const SWEEP_EVERY_NS: Ts = MINUTE;

/// Logged certificates remembered; 40 bytes each.
const MAX_LOGGED: usize = 1 << 18;

/// SHA-256 of the bytes as they came.
type Key = [u8; 32];

/// See the module.
#[derive(Debug, Default)]
pub struct CertCache {
    /// What could not be parsed is remembered as well.
    parsed: HashMap<Key, Option<Arc<Certificate>>>,
    /// When each was logged; per certificate, host_cert and client_cert.
    logged: HashMap<(Key, bool, bool), Ts>,
    /// When `logged` was last looked through for old ones.
    swept: Ts,
}

impl CertCache {
    /// The certificate in `der`, `None` when it is none.
    pub fn get(&mut self, der: &[u8]) -> Option<Arc<Certificate>> {
        if der.len() > MAX_KEPT_DER {
            return Certificate::parse(der).map(Arc::new);
        }
        let key: Key = Sha256::digest(der).into();
        if let Some(known) = self.parsed.get(&key) {
            return known.clone();
        }
        let cert = Certificate::parse(der).map(Arc::new);
        // Starting over costs some parsing; choosing whom to drop would cost every lookup.
        if self.parsed.len() >= MAX_PARSED {
            self.parsed.clear();
        }
        self.parsed.insert(key, cert.clone());
        cert
    }

    /// Whether x509.log does not have this certificate in this role yet, or not for a day. Remembers it.
    pub fn is_new(&mut self, cert: &Certificate, host_cert: bool, client_cert: bool, now: Ts) -> bool {
        let key = (cert.sha256, host_cert, client_cert);
        if self
            .logged
            .get(&key)
            .is_some_and(|t| now < t.saturating_add(RELOG_AFTER_NS))
        {
            return false;
        }
        // Not with every certificate: many new ones a day would make that slow.
        if self.logged.len() >= MAX_LOGGED && now >= self.swept.saturating_add(SWEEP_EVERY_NS) {
            self.swept = now;
            self.logged.retain(|_, t| now < t.saturating_add(RELOG_AFTER_NS));
        }
        if self.logged.len() < MAX_LOGGED {
            self.logged.insert(key, now);
        }
        true
    }
}
