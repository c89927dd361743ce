//! Settings in a file: TOML, with a table for each section of [`Settings`] and its fields as keys.
//!
//! Each value is looked at by itself, so that all that is wrong in a file is said at once, with its line.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Settings, names};

/// The file that `sensor run` takes its settings from if there is one and no other is named.
pub const USUAL_FILE: &str = "/etc/sensor/sensor.toml";
/// Longest file to read, bytes.
const MAX_LEN: u64 = 1 << 20;

/// A value out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Which setting, as `rings.mib`.
    pub path: String,
    /// The line that it stands on, from 1.
    pub line: usize,
    /// What it is set to.
    pub value: Value,
}

/// The settings that a file has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingsFile {
    /// Where it was read from.
    pub from: PathBuf,
    /// In the order of their names.
    pub values: Vec<Placed>,
}

/// A file that no settings can be read from. Its text has a line for each problem.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the settings in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no file of settings.
    #[error("the settings in {} are longer than {MAX_LEN} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}", Lines(.0))]
    Wrong(Vec<Problem>),
}

/// What is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what is allowed.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.0.iter().enumerate() {
            write!(f, "{}{p}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl SettingsFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let read = || -> std::io::Result<(String, bool)> {
            use std::io::Read as _;
            let mut text = String::new();
            let n = std::fs::File::open(path)?
                .take(MAX_LEN + 1)
                .read_to_string(&mut text)?;
            Ok((text, n as u64 > MAX_LEN))
        };
        let path = || path.to_owned();
        match read() {
            Ok((_, true)) => Err(FileError::TooLong { path: path() }),
            Ok((text, false)) => SettingsFile::parse(&text, path()),
            Err(source) => Err(FileError::Read { path: path(), source }),
        }
    }

    /// Takes what stands in a file that was read from `from`.
    pub fn parse(text: &str, from: PathBuf) -> Result<Self, FileError> {
        let mut reader = Reader {
            text,
            file: SettingsFile {
                from,
                values: Vec::new(),
            },
            problems: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(table) => reader.root(table.get_ref()),
            Err(e) => {
                let line = reader.line(e.span().map_or(0, |s| s.start));
                reader.problem(line, e.message().lines().collect::<Vec<_>>().join(", "));
            }
        }
        if reader.problems.is_empty() {
            return Ok(reader.file);
        }
        reader.problems.sort_by_key(|p| p.line);
        Err(FileError::Wrong(reader.problems))
    }

    /// The file's values as [`Settings`] are written as JSON, without those that it leaves alone.
    pub fn tree(&self) -> Value {
        let mut tree = Value::Object(Map::new());
        for v in &self.values {
            put(&mut tree, &v.path, v.value.clone());
        }
        tree
    }

    /// The line of a setting, if the file has it.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        self.values.iter().find(|v| v.path == path).map(|v| v.line)
    }
}

/// Sets what stands at `path` in settings as JSON.
pub fn put(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for key in path.split('.') {
        at = &mut at[key];
    }
    *at = value;
}

/// What stands at `path` in settings as JSON; null if nothing does.
pub fn at<'t>(tree: &'t Value, path: &str) -> &'t Value {
    path.split('.').fold(tree, |t, key| &t[key])
}

/// The paths of all settings, by sections, in the order of their names.
pub fn paths() -> Vec<String> {
    let all = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut paths = Vec::new();
    for (name, value) in all.as_object().into_iter().flatten() {
        match value {
            Value::Object(section) => paths.extend(section.keys().map(|k| format!("{name}.{k}"))),
            _ => paths.push(name.clone()),
        }
    }
    paths
}

struct Reader<'t> {
    text: &'t str,
    file: SettingsFile,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn root(&mut self, table: &DeTable<'_>) {
        let all = serde_json::to_value(Settings::default()).unwrap_or_default();
        for (key, value) in table {
            let line = self.line(key.span().start);
            let name = key.get_ref().as_ref();
            match (all.get(name), value.get_ref()) {
                (None, DeValue::Table(_)) => self.unknown(line, "section", name, sections(&all)),
                (None, _) => self.unknown(line, "key", name, scalars(&all)),
                (Some(Value::Object(known)), DeValue::Table(t)) => self.section(name, known, t),
                (Some(Value::Object(_)), _) => {
                    self.problem(
                        line,
                        format!("{name} is a section: its keys stand below [{name}]"),
                    );
                }
                (Some(_), _) => self.value(line, name.to_owned(), value),
            }
        }
    }

    fn section(&mut self, section: &str, known: &Map<String, Value>, table: &DeTable<'_>) {
        for (key, value) in table {
            let line = self.line(key.span().start);
            let name = key.get_ref().as_ref();
            if known.contains_key(name) {
                self.value(line, format!("{section}.{name}"), value);
            } else {
                self.unknown(
                    line,
                    &format!("key in [{section}]"),
                    name,
                    known.keys().cloned().collect(),
                );
            }
        }
    }

    fn value(&mut self, line: usize, path: String, value: &Spanned<DeValue<'_>>) {
        match checked(&path, value) {
            Ok(value) => self.file.values.push(Placed { path, line, value }),
            Err(what) => self.problem(line, what),
        }
    }

    fn unknown(&mut self, line: usize, what: &str, name: &str, allowed: Vec<String>) {
        let unlike = |a: &&String| strsim::damerau_levenshtein(a, name);
        let meant = allowed.iter().min_by_key(unlike).filter(|a| unlike(a) <= 2);
        let meant = meant.map_or(String::new(), |m| format!("; is {m} meant?"));
        let allowed = allowed.join(", ");
        self.problem(
            line,
            format!("there is no {what} called {name} (but {allowed}){meant}"),
        );
    }

    fn problem(&mut self, line: usize, what: String) {
        self.problems.push(Problem {
            file: self.file.from.clone(),
            line,
            what,
        });
    }

    /// The line of the text's byte `at`.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|b| **b == b'\n').count()
    }
}

fn sections(all: &Value) -> Vec<String> {
    let all = all.as_object().into_iter().flatten();
    all.filter(|(_, v)| v.is_object())
        .map(|(k, _)| k.clone())
        .collect()
}

fn scalars(all: &Value) -> Vec<String> {
    let all = all.as_object().into_iter().flatten();
    all.filter(|(_, v)| !v.is_object())
        .map(|(k, _)| k.clone())
        .collect()
}

/// A value of a setting, if settings can have it.
fn checked(path: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    let wrong = |why: String| format!("{path}: {}", names::in_file(&why));
    let value = Value::deserialize(ValueDeserializer::from(value.clone()))
        .map_err(|e| wrong(e.message().to_owned()))?;
    // JSON has none, so it would be taken for a setting that is not there.
    if value.is_null() {
        return Err(wrong("it must be a finite number".into()));
    }
    let mut tree = serde_json::to_value(Settings::default()).unwrap_or_default();
    put(&mut tree, path, value.clone());
    let alone: Settings = serde_json::from_value(tree).map_err(|e| wrong(e.to_string()))?;
    alone.check_numbers().map_err(|e| wrong(e.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingsFile, String> {
        SettingsFile::parse(text, "s.toml".into()).map_err(|e| e.to_string())
    }

    #[test]
    fn values_are_found_with_their_lines() {
        let file = parse("seed = 7\n\n[rings]\nby = \"cpu\"\nmib = 4\n[timeouts]\ntcp_inactivity = 5\n")
            .expect("settings");
        assert_eq!(file.line_of("seed"), Some(1));
        assert_eq!(file.line_of("rings.mib"), Some(5));
        assert_eq!(file.line_of("rings.workers"), None);
        let s: Settings = serde_json::from_value(file.tree()).expect("settings");
        assert_eq!(
            (s.seed, s.rings.mib, s.timeouts.tcp_inactivity),
            (Some(7), 4, 5.0)
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_line() {
        let text = "checksums = \"on\"\n[ring]\nmib = 1\n[rings]\nmbi = 1\nmib = 0\nworkers = 2000\nby = \"hash\"\n\
                    [timeouts]\ntcp_inactivity = -1\nudp_inactivity = inf\n[files]\nhashes = [\"md4\"]\n";
        let error = parse(text).expect_err("wrong");
        let said: Vec<&str> = error.lines().collect();
        let expected = [
            ("s.toml:1: checksums: ", "expected a boolean"),
            ("s.toml:2: ", "is rings meant?"),
            ("s.toml:5: ", "is mib meant?"),
            ("s.toml:6: rings.mib: ", "rings.mib must be in 1..=1024"),
            ("s.toml:7: rings.workers: ", "1..=8"),
            ("s.toml:8: rings.by: ", "`cpu`, `flow`, `auto`"),
            (
                "s.toml:10: timeouts.tcp_inactivity: ",
                "between 0 and 1e9 seconds",
            ),
            ("s.toml:11: timeouts.udp_inactivity: ", "finite"),
            ("s.toml:13: files.hashes: ", "`md5`, `sha1`, `sha256`"),
        ];
        assert_eq!(said.len(), expected.len(), "{error}");
        for (line, (start, part)) in said.iter().zip(expected) {
            assert!(line.starts_with(start) && line.contains(part), "{line}");
        }
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_line() {
        let error = parse("seed = 1\n[rings\n").expect_err("wrong");
        assert!(error.starts_with("s.toml:2: "), "{error}");
        let error = parse("rings = 5").expect_err("wrong");
        assert!(error.contains("[rings]"), "{error}");
        let error = parse("[rings]\nmib = 1\nmib = 2\n").expect_err("twice");
        assert!(error.starts_with("s.toml:3: "), "{error}");
    }
}
