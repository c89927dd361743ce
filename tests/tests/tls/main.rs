//! TLS and DTLS between real peers in namespaces: what ssl.log says against what the peers say themselves.

mod bulk;
mod openssl_peers;
mod rustls_peers;
mod starttls;

use serde_json::Value;

/// Rows to a server's port, in the order of their time.
fn rows(log: &[Value], port: u16) -> Vec<&Value> {
    let mut rows: Vec<_> = log.iter().filter(|r| r["id.resp_p"] == port).collect();
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).unwrap());
    rows
}

/// Columns of a row that ought to be as given; `Null` is for a column that is not set.
fn check(row: &Value, what: &str, want: &[(&str, Value)]) {
    for (column, value) in want {
        assert_eq!(&row[*column], value, "{column} of {what} in {row:#}");
    }
}
