//! Rows that tests make, held against the schema of their log: what it says of them must be so, and it must know all of
//! their columns.

use std::net::IpAddr;
use std::sync::LazyLock;

use serde_json::Value;

use super::schema::schema;
use crate::event::log::{LogRow, write_json};

/// Panics if the row, as JSON, is not what the schema says.
pub fn hold(row: &dyn LogRow) {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema);
    let mut line = Vec::new();
    write_json(&mut line, row, &mut Vec::new());
    let of_log = &SCHEMA["$defs"][row.path()];
    let wrong = wrong(of_log, &line);
    let line = String::from_utf8_lossy(&line);
    assert!(wrong.is_empty(), "{}.log: {wrong:?} in {line}", row.path());
}

/// What is not as a log's definition says in a line of JSON.
pub fn wrong(of_log: &Value, line: &[u8]) -> Vec<String> {
    let row: Value = serde_json::from_slice(line).expect("valid JSON");
    let row = row.as_object().expect("an object");
    let properties = of_log["properties"]
        .as_object()
        .expect("a log that the schema has");
    let mut wrong = Vec::new();
    for name in of_log["required"].as_array().expect("a list") {
        if !row.contains_key(name.as_str().expect("a name")) {
            wrong.push(format!("no {name}"));
        }
    }
    for (name, value) in row {
        match properties.get(name) {
            None => wrong.push(format!("unknown {name}")),
            Some(is) if !fits(is, value) => wrong.push(format!("{name} is {value}, not {is}")),
            Some(_) => {}
        }
    }
    wrong
}

/// Whether the value is what it should be, by those words of JSON Schema that the sensor's schema has.
fn fits(is: &Value, value: &Value) -> bool {
    let is = is.as_object().expect("an object");
    is.iter().all(|(word, says)| match word.as_str() {
        "type" => match says {
            Value::Array(types) => types.iter().any(|t| of_type(t, value)),
            one => of_type(one, value),
        },
        "items" => value
            .as_array()
            .is_none_or(|all| all.iter().all(|v| fits(says, v))),
        "minimum" => value.as_i64().is_none_or(|n| Some(n) >= says.as_i64()),
        "maximum" => value.as_u64().is_none_or(|n| Some(n) <= says.as_u64()),
        "const" => value == says,
        "anyOf" => says.as_array().expect("a list").iter().any(|s| fits(s, value)),
        "format" => {
            let addr = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
            addr.is_some_and(|a| a.is_ipv4() == (says == "ipv4"))
        }
        "zeek" | "on_request" | "description" => true,
        other => panic!("{other} is not known here"),
    })
}

fn of_type(typ: &Value, value: &Value) -> bool {
    match typ.as_str().expect("a type") {
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn what_is_not_as_it_should_be_is_found() {
    let of_log = &schema()["$defs"]["dns"];
    let line = br#"{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"::1","id.resp_p":53,"proto":"udp","trans_id":7,
        "AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"rejected":false,"answers":["a"],"TTLs":[1.0]}"#;
    assert_eq!(wrong(of_log, line), [""; 0]);
    let text = String::from_utf8_lossy(line);
    for (is, becomes) in [
        ("\"ts\":1.5", "\"ts\":\"1.5\""),
        ("\"ts\":1.5,", ""),
        ("\"uid\":\"C1\",", ""),
        ("\"id.orig_p\":1", "\"id.orig_p\":65536"),
        ("\"id.orig_p\":1", "\"id.orig_p\":-1"),
        ("10.0.0.1", "10.0.0"),
        ("\"Z\":0", "\"Z\":0.5"),
        ("[\"a\"]", "[1]"),
        ("[\"a\"]", "\"a\""),
        ("\"answers\"", "\"answer\""),
        ("false", "null"),
    ] {
        let other = text.replacen(is, becomes, 1);
        assert_ne!(wrong(of_log, other.as_bytes()), [""; 0], "{becomes}");
    }
}
