//! Looking into conn.log's rows.

use std::net::IpAddr;

use serde_json::Value;

use crate::sensor::Finished;

/// The row of the connection from `orig_p` (of a kernel's choosing) to `resp_h`; there is to be one.
pub fn row(rows: &[Value], resp_h: IpAddr, orig_p: u16) -> &Value {
    let hits: Vec<_> = rows
        .iter()
        .filter(|r| r["id.orig_p"] == orig_p && r["id.resp_h"] == resp_h.to_string())
        .collect();
    assert_eq!(hits.len(), 1, "rows from port {orig_p} to {resp_h}: {hits:#?}");
    hits[0]
}

/// Compares columns of a row.
pub fn check(row: &Value, want: &[(&str, Value)]) {
    for (column, value) in want {
        assert_eq!(&row[*column], value, "{column} in {row:#}");
    }
}

/// The connections that carried a tunnelled one.
pub fn parents(row: &Value) -> Vec<&str> {
    let list = row["tunnel_parents"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The rows of a log without names and times, which are a sensor's own, in an order that does not depend on them.
pub fn plain(done: &Finished, log: &str) -> Vec<String> {
    let mut rows: Vec<String> = done
        .log(log)
        .unwrap_or_default()
        .into_iter()
        .map(|mut r| {
            let fields = r.as_object_mut().expect("a row");
            for own in [
                "uid",
                "uids",
                "conn_uids",
                "fuid",
                "ts",
                "duration",
                "resp_fuids",
                "orig_fuids",
                "rtt",
                "orig_rtt",
                "resp_rtt",
            ] {
                fields.remove(own);
            }
            Value::Object(std::mem::take(fields)).to_string()
        })
        .collect();
    rows.sort();
    rows
}
