//! Certificates: parsed, matched against names, and through the cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::file::x509::{CertCache, Certificate};

fuzz_target!(|data: &[u8]| {
    let Some(cert) = Certificate::parse(data) else {
        return;
    };
    let _ = cert.matches_host(b"www.example.com");
    let _ = cert.matches_host(b"");
    let _ = format!("{cert:?}");
    let mut cache = CertCache::default();
    let again = cache.get(data).expect("it was one before");
    assert_eq!(format!("{cert:?}"), format!("{again:?}"));
    assert!(cache.is_new(&again, true, false, 5));
    assert!(!cache.is_new(&again, true, false, 6));
});
