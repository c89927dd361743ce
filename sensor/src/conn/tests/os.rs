//! Operating systems of both ends.

use std::sync::Arc;

use super::*;
use crate::os::Fingerprints;

/// SYNs of the test's own, and no others.
const FINGERPRINTS: &str = "[tcp:request]
label = s:unix:TestOS:one
sig = *:64:0:*:*,*:::0
[tcp:response]
label = s:unix:TestOS:two
sig = *:64:0:*:*,*:::0
";

#[test]
fn both_ends_are_told_once() {
    let all = Fingerprints::parse("test", FINGERPRINTS).expect("fingerprints");
    let mut lab = Lab::with(
        "OS_version_found",
        Config {
            os: Some(Arc::new(all)),
            ..Config::default()
        },
    );
    lab.handshake();
    lab.data(0, 1, 1, b"x");
    let seen = lab.finish();
    assert_eq!(seen.names(), ["OS_version_found", "OS_version_found"]);
    let of = |n: usize| {
        let args = &seen.args("OS_version_found")[n];
        (
            args["host"].as_str().map(str::to_owned),
            args["OS"]["genre"].as_str().map(str::to_owned),
            args["OS"]["detail"].as_str().map(str::to_owned),
            args["OS"]["dist"].as_u64(),
            args["OS"]["match_type"].as_str().map(str::to_owned),
        )
    };
    let want = |host: &str, detail: &str| {
        let text = |s: &str| Some(s.to_owned());
        (
            text(host),
            text("TestOS"),
            text(detail),
            Some(0),
            text("direct_inference"),
        )
    };
    assert_eq!(of(0), want("10.0.0.1", "one"));
    assert_eq!(of(1), want("10.0.0.2", "two"));
}
