//! What is known of names, as lines of a file: a line says which kind of file it is, then each mapping is a line of JSON.
//!
//! A file is written whole beside the old one, made durable, and then takes its name, so that there is always a whole one. What is in
//! it may have been damaged all the same: a line that is none is left out, and counted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mapping::{Found, Mapping};
use super::query::Query;
use crate::base::host_name::is_host_name;
use crate::event::Ts;

/// The first line.
const FIRST: &str = r#"{"sensor_dns_cache":1}"#;
/// Largest file that is read, bytes.
const MAX_FILE: u64 = 256 << 20;

/// Mode of the file, less the umask: as that of logs.
const MODE: u32 = 0o640;

/// A mapping as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addr: Option<IpAddr>,
    at: Ts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addrs: Vec<IpAddr>,
}

impl From<&Mapping> for Line {
    fn from(m: &Mapping) -> Line {
        let (host, addr) = match &m.query {
            Query::Name(name) => (Some(name.to_string()), None),
            Query::Addr(addr) => (None, Some(*addr)),
        };
        let (name, addrs) = match &m.found {
            Some(Found::Name(name)) => (Some(name.clone()), Vec::new()),
            Some(Found::Addrs(addrs)) => (None, addrs.clone()),
            None => (None, Vec::new()),
        };
        Line {
            host,
            addr,
            at: m.at,
            name,
            addrs,
        }
    }
}

impl Line {
    /// None: no mapping is like that.
    fn mapping(self) -> Option<Mapping> {
        let (query, found) = match (self.host, self.addr) {
            (Some(host), None) if self.name.is_none() => {
                let query = Query::of(&host).filter(|q| matches!(q, Query::Name(_)))?;
                (query, Found::addrs(self.addrs))
            }
            (None, Some(addr)) if self.addrs.is_empty() => {
                if self.name.as_deref().is_some_and(|n| !is_host_name(n)) {
                    return None;
                }
                (Query::Addr(addr), self.name.map(Found::Name))
            }
            _ => return None,
        };
        Some(Mapping {
            query,
            at: self.at,
            found,
        })
    }
}

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The mappings.
    pub mappings: Vec<Mapping>,
    /// What is wrong with the file, in a line; what is sound in it is taken all the same.
    pub wrong: Option<String>,
}

/// Reads a file; if there is none, nothing is known.
pub fn load(path: &Path) -> Loaded {
    match read(path) {
        Ok(text) => parse(path, &text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Loaded::default(),
        Err(e) => Loaded {
            wrong: Some(format!(
                "cannot read {}: {e}; what names were is not known",
                path.display()
            )),
            ..Loaded::default()
        },
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    // What is beyond is cut, and seen by that.
    file.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(text)
}

fn parse(path: &Path, text: &[u8]) -> Loaded {
    let file = path.display();
    let mut lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    if lines.next() != Some(FIRST.as_bytes()) {
        return Loaded {
            wrong: Some(format!(
                "{file} is no file of names of this version and is begun anew; what names were is not known"
            )),
            ..Loaded::default()
        };
    }
    let (mut mappings, mut bad) = (Vec::new(), 0_u64);
    for line in lines {
        let line = serde_json::from_slice(line).ok();
        match line.and_then(Line::mapping) {
            Some(m) => mappings.push(m),
            None => bad += 1,
        }
    }
    let wrong = (bad > 0).then(|| format!("{file} is damaged: {bad} of its lines are left out"));
    Loaded { mappings, wrong }
}

/// Writes a file in place of the old one.
pub fn save<'m>(path: &Path, mappings: impl Iterator<Item = &'m Mapping>) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(MODE);
    let mut to = BufWriter::new(options.open(&partial)?);
    writeln!(to, "{FIRST}")?;
    for m in mappings {
        serde_json::to_writer(&mut to, &Line::from(m))?;
        to.write_all(b"\n")?;
    }
    let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder that goes.
    struct Dir(PathBuf);

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn dir(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("sensor-names-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        Dir(dir)
    }

    fn sample() -> Vec<Mapping> {
        let of = |query: &str, at, found| Mapping {
            query: Query::of(query).expect("a query"),
            at,
            found,
        };
        let addrs = ["192.0.2.1", "2001:db8::1"].map(|a| a.parse().expect("an address"));
        vec![
            of(
                "a.example",
                1_700_000_000_123_456_789,
                Found::addrs(addrs.to_vec()),
            ),
            of("gone.example", 2, None),
            of("192.0.2.1", 3, Some(Found::Name("a.example".into()))),
            of("2001:db8::1", 4, None),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = dir("written");
        let path = dir.0.join("deep/names");
        assert_eq!(load(&path), Loaded::default());
        for mappings in [sample(), Vec::new(), sample()] {
            save(&path, mappings.iter()).expect("a file");
            let wrong = None;
            assert_eq!(load(&path), Loaded { mappings, wrong });
        }
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o137, 0, "others do not read it: {mode:o}");
        let names: Vec<_> = fs::read_dir(dir.0.join("deep")).expect("a folder").collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }

    #[test]
    fn a_damaged_file_gives_what_is_sound() {
        let dir = dir("damaged");
        let path = dir.0.join("names");
        save(&path, sample().iter()).expect("a file");
        let whole = fs::read(&path).expect("text");
        // Cut anywhere, as by a disk that was full.
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).expect("a file");
            let loaded = load(&path);
            assert!(loaded.mappings.len() <= 4);
            let is_prefix = loaded.mappings == sample()[..loaded.mappings.len()];
            assert!(is_prefix, "{len}: {loaded:?}");
        }
        // A bit turned anywhere.
        for at in 0..whole.len() {
            let mut text = whole.clone();
            text[at] ^= 1 << (at % 8);
            fs::write(&path, &text).expect("a file");
            let loaded = load(&path);
            assert!(loaded.mappings.len() <= 5, "{at}: {loaded:?}");
        }
        let mut text = whole.clone();
        text.extend_from_slice(b"\xff\x00{\n{\"host\":\"10.0.0.1\",\"at\":1}\n");
        text.extend_from_slice(b"{\"addr\":\"10.0.0.1\",\"at\":1,\"name\":\"a\\nb\"}\n");
        text.extend_from_slice(b"{\"addr\":\"10.0.0.1\",\"host\":\"a.example\",\"at\":1}\n");
        fs::write(&path, &text).expect("a file");
        let loaded = load(&path);
        assert_eq!(loaded.mappings, sample());
        let wrong = loaded.wrong.expect("it is said");
        assert!(
            wrong.ends_with("names is damaged: 4 of its lines are left out"),
            "{wrong}"
        );
    }

    #[test]
    fn another_file_is_not_taken_for_one() {
        let dir = dir("other");
        fs::create_dir_all(&dir.0).expect("a folder");
        let path = dir.0.join("names");
        for text in [
            "",
            "\n\n",
            "x",
            "1\n1.0 1 a.example 0 * 1 0 0\n",
            "{\"sensor_dns_cache\":2}\n",
        ] {
            fs::write(&path, text).expect("a file");
            let loaded = load(&path);
            assert!(loaded.mappings.is_empty());
            assert!(loaded.wrong.expect("said").contains("no file of names"), "{text}");
        }
        let loaded = load(&dir.0);
        assert!(loaded.wrong.expect("said").starts_with("cannot read "));
    }
}
