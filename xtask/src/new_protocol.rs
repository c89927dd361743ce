//! `cargo xtask new-protocol`: the folder of a new protocol, made of templates that are an analyzer as they stand.
//!
//! The templates are the protocol `example` on page 0. Its name, as a word, as a type and as a constant, and the page's
//! number are all that is replaced.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// The analyzers' folder, with their list in `mod.rs`.
const ANALYZERS: &str = "sensor/src/analyzer";
/// The pages of events have numbers below it (`MOST_PAGES` of `sensor/src/event/model.rs`).
const MOST_PAGES: u8 = 32;
/// Longest line of the list.
const WIDTH: usize = 110;

/// The files of a protocol's folder.
const TEMPLATES: [(&str, &str); 5] = [
    ("mod.rs", include_str!("../templates/protocol/mod.rs")),
    ("wire.rs", include_str!("../templates/protocol/wire.rs")),
    ("events.rs", include_str!("../templates/protocol/events.rs")),
    ("log.rs", include_str!("../templates/protocol/log.rs")),
    ("tests.rs", include_str!("../templates/protocol/tests.rs")),
];

/// Rust's keywords, and the names of its own types, which a module of the same name would hide.
const RUST: &str = "abstract as async await become bool box break char const continue crate do dyn else enum extern \
    f32 f64 false final fn for gen i128 i16 i32 i64 i8 if impl in isize let loop macro match mod move mut override priv \
    pub ref return self static str struct super trait true try type typeof u128 u16 u32 u64 u8 unsafe unsized use usize \
    virtual where while yield";

/// Makes the folder, adds the word to the list, and says what comes next.
pub fn run(name: &str) -> Result<()> {
    let root = shell::workspace();
    let page = make(&root, name)?;
    let folder = Path::new(ANALYZERS).join(name);
    // A name of another length breaks lines elsewhere.
    let mut format = Command::new("rustfmt");
    format.args(["--edition", "2024"]).arg(folder.join("mod.rs"));
    shell::run(format.current_dir(&root))?;
    println!(
        "\
{} is there: page {page} of events, {name}.log, and the word in {ANALYZERS}/mod.rs.

It compiles, and is an example until wire.rs reads the protocol. Then:
- BLESS=1 cargo test -p sensor catalog::doc     writes docs/events.md, docs/logs.md and logs.schema.json anew
- cargo test -p sensor --lib analyzer::{name}::     its tests
- fuzz: a file in fuzz/seeds/detect, and its port, if it has one, in fuzz/fuzz_targets/detect.rs;
  cargo +nightly fuzz run detect (fuzz/README.md)
- a line in CHANGELOG.md, the log in README.md, and in docs/zeek-differences.md where it differs from Zeek
- cargo xtask lint",
        folder.display()
    );
    Ok(())
}

/// Makes the folder in the tree at `root` and adds the word to the list there; the number of the page of events.
fn make(root: &Path, name: &str) -> Result<u8> {
    check(root, name)?;
    let page = free_page(root)?;
    let list = root.join(ANALYZERS).join("mod.rs");
    let longer = with_word(&fs::read_to_string(&list).context("the list of protocols")?, name)?;
    let folder = root.join(ANALYZERS).join(name);
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (file, template) in TEMPLATES {
        fs::write(folder.join(file), filled(template, name, page))?;
    }
    fs::write(list, longer)?;
    Ok(page)
}

/// Refuses what cannot be a protocol's name in the tree at `root`.
fn check(root: &Path, name: &str) -> Result<()> {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_word),
        "'{name}' cannot be a module: a lower-case letter, then letters, digits and underscores"
    );
    ensure!(
        RUST.split_whitespace().all(|word| word != name),
        "'{name}' is a word of Rust's"
    );
    let analyzers = root.join(ANALYZERS);
    for taken in [analyzers.join(name), analyzers.join(format!("{name}.rs"))] {
        ensure!(
            !taken.exists(),
            "there is a module '{name}' in {ANALYZERS} already"
        );
    }
    let logs = fs::read_to_string(root.join("docs/logs.md")).context("docs/logs.md")?;
    let heading = format!("## {name}.log");
    ensure!(
        logs.lines().all(|line| line != heading),
        "there is a log '{name}' already"
    );
    Ok(())
}

/// The lowest number that no page of events has.
fn free_page(root: &Path) -> Result<u8> {
    let mut taken = BTreeSet::new();
    for source in shell::sources(&root.join("sensor/src"))? {
        taken.extend(fs::read_to_string(source)?.lines().filter_map(page_number));
    }
    let free = (0..MOST_PAGES).find(|n| !taken.contains(n));
    free.context("all numbers of pages of events are taken: raise MOST_PAGES")
}

/// The number of the page that a line begins: `page 7 "ssl" of "ssl";`.
fn page_number(line: &str) -> Option<u8> {
    let (number, name) = line.trim_start().strip_prefix("page ")?.split_once(' ')?;
    name.starts_with('"').then(|| number.parse().ok())?
}

/// The list of protocols with `name` at its end: those before keep their numbers.
fn with_word(list: &str, name: &str) -> Result<String> {
    const BEGIN: &str = "\nprotocols! {\n";
    let Some(begin) = list.find(BEGIN).map(|at| at + BEGIN.len()) else {
        bail!("no list of protocols in {ANALYZERS}/mod.rs");
    };
    let end = list[begin..]
        .find("\n}")
        .context("the list of protocols has no end")?
        + begin;
    let last = list[begin..end].rsplit('\n').next().unwrap_or_default();
    let gap = match last.len() + 1 + name.len() <= WIDTH {
        true => " ",
        false => "\n    ",
    };
    Ok(format!("{}{gap}{name}{}", &list[..end], &list[end..]))
}

/// A template for the protocol `name` with the page of events `page`.
fn filled(template: &str, name: &str, page: u8) -> String {
    template
        .replace("page 0 \"", &format!("page {page} \""))
        .replace("example", name)
        .replace("Example", &camel(name))
        .replace("EXAMPLE", &name.to_uppercase())
}

/// `mqtt_sn` as a type: `MqttSn`.
fn camel(name: &str) -> String {
    let part = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    };
    name.split('_').map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A copy of the files that are looked at, which goes away with the value.
    struct TreeCopy(PathBuf);

    impl TreeCopy {
        fn new(test: &str) -> TreeCopy {
            let root = std::env::temp_dir().join(format!("new-protocol-{}-{test}", std::process::id()));
            let tree = shell::workspace();
            let mut files = shell::sources(&tree.join("sensor/src")).expect("sources");
            files.push(tree.join("docs/logs.md"));
            for file in files {
                let to = root.join(file.strip_prefix(&tree).expect("in the tree"));
                fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
                fs::copy(&file, to).expect("a copy");
            }
            TreeCopy(root)
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.0.join(ANALYZERS).join(file)).expect(file)
        }

        fn refused(&self, name: &str) -> String {
            let said = make(&self.0, name).expect_err(name).to_string();
            assert!(!said.contains('\n'), "{said}");
            said
        }
    }

    impl Drop for TreeCopy {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_protocol_is_a_folder_and_a_word() {
        let copy = TreeCopy::new("made");
        let before = copy.read("mod.rs");
        let page = make(&copy.0, "mqtt_sn").expect("a protocol");
        assert_eq!(free_page(&shell::workspace()).ok(), Some(page));
        assert_ne!(free_page(&copy.0).ok(), Some(page));
        for (file, template) in TEMPLATES {
            let made = copy.read(&format!("mqtt_sn/{file}"));
            assert!(!made.to_lowercase().contains("example"), "{file}");
            assert_eq!(made.lines().count(), template.lines().count(), "{file}");
        }
        let events = copy.read("mqtt_sn/events.rs");
        assert!(events.contains(&format!("    page {page} \"mqtt_sn\" of \"mqtt_sn\";\n")));
        assert!(events.contains("    MqttSnHello \"mqtt_sn_hello\" (c: conn,"));
        assert!(
            copy.read("mqtt_sn/log.rs")
                .contains("struct MqttSnRow<'a> in \"mqtt_sn\" {")
        );
        let tag = "AnalyzerTag::new(\"Analyzer::ANALYZER_MQTT_SN\", \"mqtt_sn\")";
        assert!(copy.read("mqtt_sn/mod.rs").contains(tag));
        let after = copy.read("mod.rs");
        assert_eq!(after.replacen(" mqtt_sn\n}", "\n}", 1), before);
        let second = make(&copy.0, "second").expect("another one");
        assert_ne!(second, page);
        let said = copy.refused("second");
        assert_eq!(said, "there is a module 'second' in sensor/src/analyzer already");
    }

    #[test]
    fn what_cannot_be_a_protocol_is_refused() {
        let copy = TreeCopy::new("refused");
        for name in ["", "A", "mqttSn", "1st", "_x", "a-b", "../x", "a b", "é"] {
            assert!(copy.refused(name).contains("cannot be a module"), "{name}");
        }
        for name in ["type", "yield", "u8"] {
            assert!(copy.refused(name).contains("word of Rust's"), "{name}");
        }
        for name in ["dns", "tree", "api", "websocket"] {
            assert!(copy.refused(name).contains("there is a module"), "{name}");
        }
        for name in ["conn", "x509"] {
            assert_eq!(copy.refused(name), format!("there is a log '{name}' already"));
        }
    }

    #[test]
    fn the_list_goes_on_in_a_new_line_when_one_is_full() {
        let full = format!("x\nprotocols! {{\n    {}\n}}\n", "a".repeat(WIDTH - 5));
        let longer = with_word(&full, "b").expect("a list");
        assert!(longer.ends_with("a\n    b\n}\n"), "{longer}");
        let short = with_word("\nprotocols! {\n    a\n}\nx", "b").expect("a list");
        assert_eq!(short, "\nprotocols! {\n    a b\n}\nx");
        assert!(with_word("nothing", "b").is_err());
    }
}
