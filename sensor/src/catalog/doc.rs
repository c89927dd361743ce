//! `docs/events.md` against the declarations; `BLESS=1 cargo test -p sensor catalog::doc` makes it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::listed;

fn table() -> String {
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

#[test]
fn the_table_of_events_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&path, table()).expect("table");
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    let remedy = "run BLESS=1 cargo test -p sensor catalog::doc";
    assert!(have == table(), "docs/events.md is stale: {remedy}");
}
