//! The settings of a run: what a file says, and over it what was given on the command line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::Value;

use super::args::{Read, Run};
use crate::settings::file::{SettingsFile, USUAL_FILE, at, paths, put};
use crate::settings::{Settings, names};

/// Where a setting was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// On a line of the file.
    File(usize),
    /// By this option.
    Option(&'static str),
}

/// Settings, and where each of them was set.
#[derive(Debug)]
pub struct Layers {
    /// What holds.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// By the settings' paths, in the order of their names.
    pub origins: Vec<(String, Origin)>,
}

/// The settings of a run on interfaces, by the file that is named, or else the usual one if there is one.
pub fn of_run(a: &Run, matches: &ArgMatches) -> anyhow::Result<Layers> {
    over(
        file(a.common.config.as_deref())?,
        a.into(),
        matches,
        "reading.datapath",
    )
}

/// The file that is named, or else the usual one if there is one.
pub fn file(named: Option<&Path>) -> anyhow::Result<Option<SettingsFile>> {
    let usual = Path::new(USUAL_FILE);
    let usual = usual.exists().then_some(usual);
    Ok(named.or(usual).map(SettingsFile::read).transpose()?)
}

/// The settings by which captures are read. A file has to be named: what is read twice comes out the same on any machine.
pub fn of_reading(a: &Read, matches: &ArgMatches) -> anyhow::Result<Layers> {
    let file = a.common.config.as_deref().map(SettingsFile::read);
    over(file.transpose()?, a.into(), matches, "interfaces.datapath")
}

/// Puts what was given on the command line over a file. `given` are the settings of the command line alone, as `matches`
/// have them; `other` is what another command's option of the same name gives.
fn over(
    file: Option<SettingsFile>,
    given: Settings,
    matches: &ArgMatches,
    other: &str,
) -> anyhow::Result<Layers> {
    let mut last = matches;
    while let Some((_, deeper)) = last.subcommand() {
        last = deeper;
    }
    let mut options = options(last);
    options.retain(|path| *path != other);
    let origin = |path: &String| {
        let option = options.iter().find(|o| **o == path.as_str());
        let line = file.as_ref().and_then(|f| f.line_of(path));
        let origin = match (option, line) {
            (Some(path), _) => names::option_of(path).map(Origin::Option),
            (None, line) => line.map(Origin::File),
        };
        (path.clone(), origin.unwrap_or(Origin::Default))
    };
    let origins = paths().iter().map(origin).collect();
    let settings = match &file {
        None => given,
        Some(file) => {
            let given = serde_json::to_value(given).context("settings as JSON")?;
            let mut tree = file.tree();
            for path in options {
                put(&mut tree, path, at(&given, path).clone());
            }
            serde_json::from_value(tree).context("cannot put options over a file")?
        }
    };
    Ok(Layers {
        settings,
        file: file.map(|f| f.from),
        origins,
    })
}

/// The paths of the settings that options were given for.
fn options(matches: &ArgMatches) -> Vec<&'static str> {
    let given = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let ids = matches
        .ids()
        .filter(given)
        .map(|id| id.as_str().replace('_', "-"));
    ids.flat_map(|id| names::all_of_option(&id).collect::<Vec<_>>())
        .collect()
}

impl Layers {
    /// The settings as a file that has all of them, with where each was set.
    pub fn text(&self) -> anyhow::Result<String> {
        let all = serde_json::to_value(&self.settings).context("settings as JSON")?;
        let mut text = String::new();
        let (sections, top): (Vec<_>, Vec<_>) = self.origins.iter().partition(|(p, _)| p.contains('.'));
        let mut section = "";
        for (path, origin) in top.into_iter().chain(sections) {
            let (of, key) = path.split_once('.').unwrap_or(("", path));
            if of != section {
                section = of;
                let _ = write!(text, "\n[{of}]\n");
            }
            let from = match (origin, &self.file) {
                (Origin::Default, _) | (Origin::File(_), None) => "default".into(),
                (Origin::File(line), Some(file)) => format!("{}:{line}", file.display()),
                (Origin::Option(o), _) => (*o).to_owned(),
            };
            let _ = match at(&all, path) {
                Value::Null => writeln!(text, "# {key} is not set"),
                value => writeln!(text, "{key} = {} # {from}", toml(value)),
            };
        }
        Ok(text)
    }
}

/// A value of settings in TOML. What is written as JSON is TOML, too: strings, numbers, lists of them.
fn toml(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::args::{Command, parse_from};
    use super::*;

    fn layers(file: Option<&str>, command: &str) -> Layers {
        let (cli, matches) = parse_from(["sensor"].into_iter().chain(command.split(' '))).expect("a command");
        let given = match cli.command {
            Command::Run(a) => Settings::from(&a),
            Command::Read(a) => Settings::from(&a),
            _ => panic!("no settings"),
        };
        let file = file.map(|text| SettingsFile::parse(text, "s.toml".into()).expect("settings"));
        over(file, given, &matches, "").expect("settings")
    }

    const FILE: &str =
        "seed = 3\n[interfaces]\nnames = [\"a\", \"b\"]\nrx_only = true\n[rings]\nmib = 2\nworkers = 4\n";

    #[test]
    fn options_win_over_the_file_and_the_file_over_defaults() {
        let l = layers(Some(FILE), "run --ring-mib 8 --rx-only=false");
        assert_eq!(l.settings.interfaces.names, ["a", "b"]);
        assert_eq!((l.settings.rings.mib, l.settings.rings.workers), (8, Some(4)));
        assert!(!l.settings.interfaces.rx_only);
        let of = |path: &str| l.origins.iter().find(|(p, _)| p == path).map(|(_, o)| o.clone());
        assert_eq!(of("rings.mib"), Some(Origin::Option("--ring-mib")));
        assert_eq!(of("rings.workers"), Some(Origin::File(7)));
        assert_eq!(of("rings.by"), Some(Origin::Default));
        // An option that says what is the default anyway was given all the same.
        let l = layers(Some(FILE), "run --ring-mib 16 --iface c");
        assert_eq!(
            (l.settings.rings.mib, &l.settings.interfaces.names[..]),
            (16, &["c".to_owned()][..])
        );
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let l = layers(
            Some(FILE),
            "run --ring-mib 8 --log-dir /tmp/\u{e9}\"x --event a,b --events - --file-hashes md5",
        );
        let text = l.text().expect("text");
        assert!(text.contains("mib = 8 # --ring-mib\n"), "{text}");
        assert!(text.contains("workers = 4 # s.toml:7\n"), "{text}");
        assert!(text.contains("snaplen = 0 # default\n"), "{text}");
        let again = SettingsFile::parse(&text, "again".into()).expect("settings");
        let again: Settings = serde_json::from_value(again.tree()).expect("settings");
        assert_eq!(again, l.settings);
    }

    #[test]
    fn without_a_file_the_command_line_is_all() {
        let l = layers(None, "read x --seed 5");
        assert_eq!(
            l.settings,
            Settings {
                seed: Some(5),
                ..Settings::default()
            }
        );
    }
}
