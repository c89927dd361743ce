//! `sensor config`: what is wrong in a file of settings, and what would hold with it.

use std::process::ExitCode;

use clap::ArgMatches;

use super::args::ConfigCommand;
use super::explain::explain;
use super::layers;
use super::print::print;
use crate::settings::file::SettingsFile;
use crate::settings::{Settings, names};

/// Runs one of the commands.
pub fn config(command: &ConfigCommand, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = match command {
        ConfigCommand::Check { file } => {
            let settings = serde_json::from_value(SettingsFile::read(file)?.tree())?;
            check(settings).map_err(|e| {
                let why = names::in_file(&explain(&e));
                anyhow::anyhow!("{}: {why}", file.display())
            })?;
            format!("{} is in order\n", file.display())
        }
        ConfigCommand::Print(a) => layers::of_run(a, matches)?.text()?,
    };
    print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a run on interfaces can have these settings. The interfaces may be named by its options.
fn check(mut settings: Settings) -> anyhow::Result<()> {
    if settings.interfaces.names.is_empty() {
        settings.interfaces.names.push("any".into());
    }
    let subs = settings.subscriptions()?;
    settings.useless_live(subs)?;
    settings.with_local_names(|_| Vec::new()).engine(0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::args::{Cli, whole};
    use super::*;
    use crate::settings::file::{at, paths};
    use clap::CommandFactory as _;

    /// The options of the commands that have settings, by their long names.
    fn options() -> Vec<clap::Arg> {
        let command = whole(Cli::command());
        let of = |name| command.find_subcommand(name).into_iter();
        let all = of("run").chain(of("read")).flat_map(|c| c.get_arguments());
        all.filter(|a| a.get_long().is_some()).cloned().collect()
    }

    fn long(option: &clap::Arg) -> &str {
        option.get_long().unwrap_or_default()
    }

    #[test]
    fn every_option_is_a_setting() {
        for option in options() {
            let name = long(&option);
            assert_eq!(
                option.get_id().as_str().replace('_', "-"),
                name,
                "found by its name"
            );
            assert!(names::of_option(name).is_some() || name == "config", "--{name}");
            let is_told = option.get_help().is_some() || option.is_hide_set();
            assert!(is_told, "--{name} says what it is for");
        }
    }

    /// A file that sets nothing and has all settings, with what the command line's help says of them.
    fn sample() -> String {
        let mut text = "\
# Settings of the sensor: what each is when nothing is said. Options of the command line win over this file.
# `sensor config check FILE` finds what is wrong in it, `sensor config print` shows what holds.
#
# Made of the options' help by `BLESS=1 cargo test -p sensor config`; not to be edited here.
"
        .to_owned();
        let defaults = serde_json::to_value(Settings::default()).expect("JSON");
        let options = options();
        let mut section = "";
        let paths = paths();
        let (sections, top): (Vec<_>, Vec<_>) = paths.iter().partition(|p| p.contains('.'));
        for path in top.into_iter().chain(sections) {
            // Two commands may have options of one name for two settings, in the same order.
            let place = |o: &clap::Arg| names::all_of_option(long(o)).position(|p| p == path.as_str());
            let mut ways = options.iter().filter_map(|o| Some((o, place(o)?)));
            let (first, place) = ways.next().expect("an option");
            let option = match place {
                0 => first,
                n => ways.nth(n - 1).expect("another option").0,
            };
            if option.is_hide_set() {
                continue;
            }
            let (of, key) = path.split_once('.').unwrap_or(("", path));
            if of != section {
                section = of;
                let _ = write!(text, "\n[{of}]\n");
            }
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "\n# {}", help.trim_end_matches('.').replace('\n', "\n# "));
            let _ = match at(&defaults, path) {
                serde_json::Value::Null => writeln!(text, "#{key} ="),
                value => writeln!(text, "#{key} = {value}"),
            };
        }
        text
    }

    #[test]
    fn the_sample_has_every_setting() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/sensor.toml");
        let want = sample();
        if std::env::var_os("BLESS").is_some() {
            return std::fs::write(&path, want).expect("sample");
        }
        let have = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            have == want,
            "deploy/sensor.toml is stale: run BLESS=1 cargo test -p sensor config"
        );
        // What it shows can be said.
        let said = want.lines().filter_map(|l| match l.strip_prefix('#') {
            Some(l) if l.starts_with(' ') || l.is_empty() || l.ends_with(" =") => None,
            Some(l) => Some(l),
            None => Some(l),
        });
        let said = said.collect::<Vec<_>>().join("\n");
        let file = SettingsFile::parse(&said, "sample".into()).expect("settings");
        let settings: Settings = serde_json::from_value(file.tree()).expect("settings");
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn settings_that_do_not_go_together_are_wrong() {
        assert!(check(Settings::default()).is_ok());
        let mut s = Settings::default();
        s.events.only = vec!["ssl_*".into()];
        let why = check(s).expect_err("no stream").to_string();
        assert!(
            names::in_file(&why).starts_with("events.only names events"),
            "{why}"
        );
        let mut s = Settings::default();
        s.events.to = Some("-".into());
        s.events.only = vec!["no_such_event".into()];
        assert!(check(s).is_err());
        let s = Settings {
            checksums: true,
            ..Settings::default()
        };
        assert!(check(s).is_err(), "the kernel verifies none");
    }
}
