//! What single packets cost.

use super::*;
use crate::profile::place::{Part, begin_thread, switch_on};

#[test]
fn one_of_so_many_packets_is_looked_at() {
    switch_on();
    begin_thread("test", Part::Input);
    let mut lab = Lab::with(
        "load_sample,http_request",
        Config {
            load_sample: 2,
            ..Config::default()
        },
    );
    lab.handshake();
    lab.data(0, 1, 1, b"GET /one HTTP/1.1\r\n\r\n");
    let seen = lab.finish();
    assert_eq!(seen.names(), ["load_sample", "http_request", "load_sample"]);
    let last = seen.args("load_sample")[1];
    let samples = last["samples"].as_array().expect("places");
    for part in ["engine", "detection", "HTTP"] {
        assert!(samples.contains(&part.into()), "{part}: {last:#}");
    }
    assert!(last["CPU"].as_f64().is_some_and(|cpu| cpu > 0.0), "{last:#}");
    assert!(last["dmem"].as_i64().is_some(), "{last:#}");
}
