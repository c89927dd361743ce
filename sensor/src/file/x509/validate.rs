//! Whether a server's certificate chain leads to an authority that is trusted, at the time it was seen.
//!
//! By webpki, with Mozilla's roots or others. Revocation is not looked at, nor the name: ssl.log has its own column
//! for that. What is wrong is said in OpenSSL's words, which Zeek's log has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::base::time::HOUR;
use crate::event::Ts;

/// Most verdicts kept. A chain met again within the hour is not verified anew.
const MAX_VERDICTS: usize = 4096;
/// How long a verdict holds, ns.
const VERDICT_HOLDS_NS: Ts = HOUR;

type Status = Cow<'static, str>;

/// A file of roots that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no certificates of authorities in {file}: {why}")]
pub struct BadRoots {
    file: String,
    why: String,
}

/// See the module.
pub struct Validator {
    anchors: Vec<TrustAnchor<'static>>,
    /// By hash of the chain: when it was verified, and what came of it.
    verdicts: Mutex<HashMap<[u8; 32], (Ts, Status)>>,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validator({} anchors)", self.anchors.len())
    }
}

impl Validator {
    /// Trusts Mozilla's roots, as they were when the sensor was built.
    pub fn with_public_roots() -> Validator {
        Validator::with_anchors(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }

    /// Trusts the certificates in a PEM file, and nobody else.
    pub fn with_roots_in(file: &Path) -> Result<Validator, BadRoots> {
        let bad = |why: String| BadRoots {
            file: file.display().to_string(),
            why,
        };
        let mut anchors = Vec::new();
        for cert in CertificateDer::pem_file_iter(file).map_err(|e| bad(e.to_string()))? {
            let cert = cert.map_err(|e| bad(e.to_string()))?;
            anchors.push(anchor(&cert).map_err(|e| bad(e.to_string()))?);
        }
        match anchors.is_empty() {
            true => Err(bad("the file has none".to_owned())),
            false => Ok(Validator::with_anchors(anchors)),
        }
    }

    fn with_anchors(anchors: Vec<TrustAnchor<'static>>) -> Validator {
        Validator {
            anchors,
            verdicts: Mutex::default(),
        }
    }

    /// What is to be thought of a chain of DER certificates, leaf first, at `now`: `ok` or what is wrong.
    pub fn status(&self, chain: &[&[u8]], now: Ts) -> Status {
        let mut hash = Sha256::new();
        for der in chain {
            hash.update((der.len() as u64).to_le_bytes());
            hash.update(der);
        }
        let key: [u8; 32] = hash.finalize().into();
        let known = |v: &HashMap<_, (Ts, Status)>| {
            let (at, status) = v.get(&key)?;
            (now.abs_diff(*at) < VERDICT_HOLDS_NS).then(|| status.clone())
        };
        if let Some(status) = self.verdicts.lock().ok().and_then(|v| known(&v)) {
            return status;
        }
        let status = self.verify(chain, now);
        if let Ok(mut verdicts) = self.verdicts.lock() {
            if verdicts.len() >= MAX_VERDICTS {
                verdicts.clear();
            }
            verdicts.insert(key, (now, status.clone()));
        }
        status
    }

    fn verify(&self, chain: &[&[u8]], now: Ts) -> Status {
        let Some((leaf, others)) = chain.split_first() else {
            return "no certificate".into();
        };
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(*der)).collect();
        let leaf_der = CertificateDer::from(*leaf);
        let time = UnixTime::since_unix_epoch(Duration::from_nanos(now));
        let usage = KeyUsage::server_auth();
        let verified = EndEntityCert::try_from(&leaf_der).and_then(|leaf| {
            leaf.verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.anchors,
                &others,
                time,
                usage,
                None,
                None,
            )
            .map(|_| ())
        });
        match verified {
            Ok(()) => "ok".into(),
            Err(Error::CertExpired { .. }) => "certificate has expired".into(),
            Err(Error::CertNotValidYet { .. }) => "certificate is not yet valid".into(),
            Err(Error::UnknownIssuer | Error::CaUsedAsEndEntity) => match chain {
                [only] if is_self_signed(only) => "self-signed certificate".into(),
                [.., last] if is_self_signed(last) => "self-signed certificate in certificate chain".into(),
                _ => "unable to get local issuer certificate".into(),
            },
            Err(Error::BadDer | Error::TrailingData(_)) => "unreadable certificate".into(),
            Err(other) => format!("{other:?}").into(),
        }
    }
}

fn anchor(cert: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    anchor_from_trusted_cert(cert).map(|a| a.to_owned())
}

fn is_self_signed(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, x)| x.subject().as_raw() == x.issuer().as_raw())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

    use super::*;
    use crate::base::time::SECOND;

    /// Noon of 2 January of `year`.
    fn at(year: i32) -> Ts {
        (date_time_ymd(year, 1, 2).unix_timestamp() as Ts + 12 * 3600) * SECOND
    }

    fn params(name: &str, ca: bool) -> CertificateParams {
        let mut p = CertificateParams::new(vec![name.to_owned()]).unwrap();
        p.distinguished_name.push(rcgen::DnType::CommonName, name);
        (p.not_before, p.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
        if ca {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        p
    }

    #[test]
    fn a_chain_is_judged_at_its_time() {
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(params("root", true), key()).unwrap();
        let middle = CertifiedIssuer::signed_by(params("middle", true), key(), &root).unwrap();
        let leaf = params("www.example.org", false)
            .signed_by(&key(), &middle)
            .unwrap();
        let alone = params("alone", false).self_signed(&key()).unwrap();
        let file = std::env::temp_dir().join(format!("roots-{}.pem", std::process::id()));
        std::fs::write(&file, root.pem()).unwrap();
        let v = Validator::with_roots_in(&file);
        std::fs::remove_file(&file).unwrap();
        let v = v.unwrap();
        let [leaf, middle, root, alone] =
            [leaf.der(), middle.der(), root.der(), alone.der()].map(|d| d.as_ref());
        let chain = [leaf, middle];
        for (chain, year, want) in [
            (&chain[..], 2025, "ok"),
            (&[leaf, middle, root], 2025, "ok"),
            (&chain, 2031, "certificate has expired"),
            (&chain, 2019, "certificate is not yet valid"),
            (&[leaf], 2025, "unable to get local issuer certificate"),
            (&[alone], 2025, "self-signed certificate"),
            (
                &[leaf, alone],
                2025,
                "self-signed certificate in certificate chain",
            ),
            (&[&[0x30, 0]], 2025, "unreadable certificate"),
            (&[], 2025, "no certificate"),
        ] {
            assert_eq!(
                v.status(chain, at(year)),
                want,
                "{} certificates in {year}",
                chain.len()
            );
            // From what is remembered.
            assert_eq!(v.status(chain, at(year) + SECOND), want);
        }
        // Mozilla trusts neither.
        let public = Validator::with_public_roots();
        assert_eq!(
            public.status(&[leaf, middle, root], at(2025)),
            "self-signed certificate in certificate chain"
        );
    }

    #[test]
    fn a_file_without_roots_is_refused() {
        assert!(Validator::with_roots_in(Path::new("/nonexistent")).is_err());
        assert!(Validator::with_roots_in(Path::new("/dev/null")).is_err());
    }
}
