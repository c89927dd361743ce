//! `docs/events.md` and the rows' marks against the declaration and the sources.
//!
//! `BLESS=1 cargo test -p sensor event::doc` brings both up to date.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::EventKind;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file under `dir`, path from the workspace's root and text.
fn sources(dir: &str, out: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(root().join(dir))
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(|e| e.file_name());
    for e in entries {
        let path = format!("{dir}/{}", e.file_name().to_string_lossy());
        if path == "sensor/src/event" || path == "sensor/src/output" {
            continue;
        }
        if e.path().is_dir() {
            sources(&path, out);
        } else if path.ends_with(".rs") {
            out.push((path, fs::read_to_string(e.path()).expect("source")));
        }
    }
}

/// Whether `text` has `word` with no letter, digit or underscore on either side.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(i, _)| !part(text[..i].chars().next_back()) && !part(text[i + word.len()..].chars().next()))
}

/// The sources divided: what runs, and what tests.
struct Tree {
    code: String,
    tests: Vec<(String, String)>,
}

impl Tree {
    fn read() -> Tree {
        let mut files = Vec::new();
        sources("sensor/src", &mut files);
        let mut code = String::new();
        let mut tests = Vec::new();
        sources("tests", &mut tests);
        for (path, text) in files {
            if path.ends_with("tests.rs") || path.contains("/tests/") {
                tests.push((path, text));
                continue;
            }
            // Tests stand under the code they test.
            let (run, test) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            code.push_str(run);
            tests.push((path, test.to_owned()));
        }
        Tree { code, tests }
    }

    /// Whether something outside the tests makes this event.
    fn raises(&self, k: EventKind) -> bool {
        let name = format!("{k:?}");
        // The engine's macro takes the connection at work, then the event's name.
        let by_macro = self.code.split("raise!(").skip(1).any(|call| {
            let words = call.split_once(',').map(|(_, rest)| rest.trim_start());
            words
                .and_then(|w| w.strip_prefix(&name))
                .is_some_and(|w| !w.starts_with(char::is_alphanumeric))
        });
        by_macro || has_word(&self.code, &format!("Event::{name}"))
    }

    fn mentions(text: &str, k: EventKind) -> bool {
        has_word(text, k.name()) || has_word(text, &format!("{k:?}"))
    }

    /// The first file whose tests speak of the event.
    fn test(&self, k: EventKind) -> &str {
        let found = self.tests.iter().find(|(_, text)| Tree::mentions(text, k));
        found.map_or("", |(path, _)| path)
    }
}

fn table(tree: &Tree) -> String {
    let mut s = "\
# Events

Made from the declaration in `sensor/src/event` by `BLESS=1 cargo test -p sensor event::doc`; not to be edited.

| Event | Arguments | Raised | Test | Meaning |
|---|---|---|---|---|
"
    .to_owned();
    for &k in EventKind::ALL {
        let args: Vec<_> = k.args().iter().map(|(n, t)| format!("{n}: {t}")).collect();
        let raised = if tree.raises(k) { "yes" } else { "not yet" };
        let doc: Vec<_> = k.doc().iter().map(|l| l.trim()).collect();
        let (name, args, test, doc) = (k.name(), args.join(", "), tree.test(k), doc.join(" "));
        // Writing to a String cannot fail.
        let _ = writeln!(s, "| `{name}` | {args} | {raised} | {test} | {doc} |");
    }
    s
}

/// A line without its test column, which may name any test that speaks of the event.
fn without_test(line: &str) -> String {
    let cells = line
        .split('|')
        .enumerate()
        .filter(|(i, _)| *i != 4)
        .map(|(_, c)| c);
    cells.collect::<Vec<_>>().join("|")
}

/// Sets every row's mark in the declaration to what the sources say.
fn bless_marks(tree: &Tree) {
    for page in ["core", "tcp", "ssl"] {
        let path = root().join(format!("sensor/src/event/{page}.rs"));
        let mut text = fs::read_to_string(&path).expect("declaration");
        for &k in EventKind::ALL {
            let row = |mark: &str| format!("{k:?} \"{}\" {} {mark} (", k.name(), k.group());
            let wrap = |mark: &str| format!("{k:?} \"{}\" {} {mark}\n", k.name(), k.group());
            let (is, not) = if tree.raises(k) {
                ("raised", "not_yet")
            } else {
                ("not_yet", "raised")
            };
            text = text.replace(&row(not), &row(is)).replace(&wrap(not), &wrap(is));
        }
        fs::write(&path, text).expect("declaration");
    }
}

#[test]
fn the_table_of_events_is_up_to_date() {
    let tree = Tree::read();
    let want = table(&tree);
    let path = root().join("docs/events.md");
    if std::env::var_os("BLESS").is_some() {
        bless_marks(&tree);
        fs::create_dir_all(root().join("docs")).expect("docs");
        fs::write(&path, want).expect("table");
        return;
    }
    let remedy = "run BLESS=1 cargo test -p sensor event::doc";
    for &k in EventKind::ALL {
        let (mark, is) = (k.raised(), tree.raises(k));
        assert_eq!(
            mark,
            is,
            "{}: marked raised: {mark}, raised in the sources: {is}; {remedy}",
            k.name()
        );
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    let strip = |s: &str| s.lines().map(without_test).collect::<Vec<_>>();
    assert_eq!(strip(&have), strip(&want), "docs/events.md is stale: {remedy}");
    for (&k, line) in EventKind::ALL.iter().zip(have.lines().skip(6)) {
        let file = line.split('|').nth(4).unwrap_or_default().trim();
        let named = tree
            .tests
            .iter()
            .any(|(p, text)| p == file && Tree::mentions(text, k));
        assert!(
            file.is_empty() || named,
            "{}: {file} does not test it; {remedy}",
            k.name()
        );
    }
}
