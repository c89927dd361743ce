//! `docs/events.md`, `docs/logs.md` and `docs/logs.schema.json` against the declarations; `BLESS=1 cargo test -p sensor
//! catalog::doc` makes them anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{listed, logs, schema};

fn events_table() -> String {
    let mut s = "\
# Events

Made from the declarations by `BLESS=1 cargo test -p sensor catalog::doc`; not to be edited.

| Event | Arguments | Raised | Meaning |
|---|---|---|---|
"
    .to_owned();
    for e in listed() {
        let args: Vec<_> = e.args.iter().map(|(n, t)| format!("{n}: {t}")).collect();
        let raised = if e.raised { "yes" } else { "not yet" };
        let doc: Vec<_> = e.doc.iter().map(|l| l.trim()).collect();
        let (name, args, doc) = (e.name, args.join(", "), doc.join(" "));
        // Writing to a String cannot fail.
        let _ = writeln!(s, "| `{name}` | {args} | {raised} | {doc} |");
    }
    s
}

fn logs_table() -> String {
    let mut s = "\
# Logs

Each log's columns in order, with Zeek's types; those that are there on request only are among them. Made from the
declarations by `BLESS=1 cargo test -p sensor catalog::doc`; not to be edited. [logs.schema.json](logs.schema.json) has the
same for rows in JSON, as a JSON Schema.
"
    .to_owned();
    let mut all: Vec<_> = logs().collect();
    all.sort_by_key(|log| log.path);
    for log in all {
        let _ = write!(s, "\n## {}.log\n\n| Column | Type |\n|---|---|\n", log.path);
        for column in (log.columns)() {
            let _ = writeln!(s, "| `{}` | {} |", column.name, column.typ);
        }
    }
    s
}

/// Whether the file is what the declarations make.
fn compare(file: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&path, want).expect("table");
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    let remedy = "run BLESS=1 cargo test -p sensor catalog::doc";
    assert!(have == want, "docs/{file} is stale: {remedy}");
}

#[test]
fn the_table_of_events_is_up_to_date() {
    compare("events.md", &events_table());
}

#[test]
fn the_table_of_logs_is_up_to_date() {
    compare("logs.md", &logs_table());
}

#[test]
fn the_schema_of_logs_is_up_to_date() {
    compare("logs.schema.json", &format!("{:#}\n", schema()));
}
