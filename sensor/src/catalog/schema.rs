//! The rows of all logs as they stand in JSON, as a JSON Schema (2020-12) made of their declarations: docs/logs.schema.json.
//!
//! It allows columns that it does not know, so that what is checked by it may be of a later version.

use serde_json::{Map, Value, json};

use super::logs;
use crate::event::log::Column;

/// Grows when a column goes away, is called differently or has another type; not with what is new.
const VERSION: u32 = 1;

/// The schema: a row of any log, known by its `_path`, and in `$defs` each log's by itself.
pub fn schema() -> Value {
    let mut all: Vec<_> = logs().collect();
    all.sort_by_key(|log| log.path);
    let paths: Vec<&str> = all.iter().map(|log| log.path).collect();
    let of_path = |path: &&str| {
        json!({
            "if": { "properties": { "_path": { "const": path } }, "required": ["_path"] },
            "then": { "$ref": format!("#/$defs/{path}") },
        })
    };
    let defs: Map<String, Value> = all
        .iter()
        .map(|log| (log.path.to_owned(), row(log.path, (log.columns)())))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:sensor:logs:{VERSION}"),
        "$comment": "Made from the declarations by `BLESS=1 cargo test -p sensor catalog::doc`; not to be edited.",
        "title": "A row of a log of the sensor",
        "description": "A row with `_path` (--json-path, --log-to) is one of that log. Rows without it are checked by their log's own \
            definition in $defs. `zeek` is a column's type in Zeek, `on_request` marks columns that are there on request only.",
        "schema_version": VERSION,
        "sensor_version": env!("CARGO_PKG_VERSION"),
        "type": "object",
        "properties": { "_path": { "enum": paths } },
        "allOf": paths.iter().map(of_path).collect::<Vec<_>>(),
        "$defs": defs,
    })
}

/// A row of one log.
fn row(path: &str, columns: &[Column]) -> Value {
    let mut properties = Map::new();
    properties.insert("_path".into(), json!({ "const": path }));
    properties.insert("_system_name".into(), json!({ "type": "string" }));
    for column in columns {
        let mut is = of_type(column.typ);
        if let Value::Object(is) = &mut is {
            is.insert("zeek".into(), column.typ.into());
            if column.on_request {
                is.insert("on_request".into(), true.into());
            }
        }
        properties.insert(column.name.into(), is);
    }
    let always = columns.iter().filter(|c| !c.optional && !c.on_request);
    json!({
        "type": "object",
        "properties": properties,
        "required": always.map(|c| c.name).collect::<Vec<_>>(),
    })
}

/// What [`crate::event::log::write_json`] makes of a value of Zeek's type.
fn of_type(typ: &str) -> Value {
    let list = typ.strip_prefix("set[").or_else(|| typ.strip_prefix("vector["));
    if let Some(one) = list.and_then(|rest| rest.strip_suffix(']')) {
        return json!({ "type": "array", "items": of_type(one) });
    }
    match typ {
        "time" => json!({ "type": "number", "description": "seconds since the epoch, UTC" }),
        "interval" => json!({ "type": "number", "description": "seconds" }),
        "count" => json!({ "type": "integer", "minimum": 0 }),
        "int" => json!({ "type": "integer" }),
        // What is no number is null.
        "double" => json!({ "type": ["number", "null"] }),
        "bool" => json!({ "type": "boolean" }),
        "port" => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX }),
        "addr" => json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] }),
        _ => json!({ "type": "string" }),
    }
}
