//! The binary's commands: what is asked for on the command line, put together from the other modules.

mod args;
mod check;
mod config;
mod control;
mod explain;
mod fill;
mod generate;
mod layers;
mod log;
mod pipe;
mod print;
mod progress;
mod read;
mod results;
mod script;
mod stop;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use args::{Command, parse_from};
use clap::ArgMatches;
use explain::explain;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::catalog::listed;
use crate::event::Info;
use crate::live::control::Command as Order;
use crate::live::{self, Failed};
use crate::messages::reporter::Reporter;
use crate::messages::say::{self, say};

/// Runs the command line's command.
pub fn main() -> ExitCode {
    let (cli, matches) = parse_from(std::env::args_os()).unwrap_or_else(|e| e.exit());
    // Without the thread messages are written by whoever has them.
    let _ = say::start();
    let status = command(cli.command, &matches).unwrap_or_else(|failed| {
        let (status, e) = match failed {
            Failed::ToStart(e) => (2, e),
            Failed::Later(e) => (1, e),
        };
        say!("sensor: {}", explain(&e));
        ExitCode::from(status)
    });
    say::finish();
    status
}

fn command(command: Command, matches: &ArgMatches) -> Result<ExitCode, Failed> {
    match &command {
        Command::Run(a) => {
            let settings = layers::of_run(a, matches)?.settings;
            let reporter = messages(settings.logs.verbose);
            let again = || Ok(layers::of_run(a, matches)?.settings);
            live::run(&settings, &reporter, &again).map(|()| ExitCode::SUCCESS)
        }
        Command::Detach(a) => {
            let settings = layers::of_run(a, matches)?.settings;
            let reporter = messages(settings.logs.verbose);
            live::detach(&settings, &reporter).map(|()| ExitCode::SUCCESS)
        }
        Command::Read(a) => {
            let settings = layers::of_reading(a, matches)?.settings;
            let reporter = messages(settings.logs.verbose);
            let status = read::read(&a.files, &settings, &reporter).map_err(Failed::ToStart)?;
            Ok(ExitCode::from(status))
        }
        Command::Events => print::print(list_events().as_bytes())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| Failed::Later(e.into())),
        Command::LogSchema => generate::log_schema().map(|()| ExitCode::SUCCESS),
        Command::Man { dir } => generate::man(dir).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => generate::completions(*shell).map(|()| ExitCode::SUCCESS),
        Command::Check(c) => check::check(c, matches).map_err(Failed::ToStart),
        Command::Script(c) => script::script(c).map_err(Failed::ToStart),
        Command::Reload(at) => control::order(&Order::Reload, at),
        Command::Rotate(at) => control::order(&Order::Rotate, at),
        Command::Pcap(a) => control::pcap(a),
        Command::Config(c) => config::config(c, matches).map_err(Failed::ToStart),
    }
}

/// Has messages of the level that is asked for written to standard error, and told to the reporter.
fn messages(verbose: u8) -> Reporter {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let reporter = Reporter::default();
    // Whoever answers lookups could fill terminal and stream; what comes of lookups is told by others.
    let heard = ["hickory_net", "hickory_proto", "hickory_resolver"].map(|t| (t, LevelFilter::OFF));
    let heard = Targets::new().with_targets(heard);
    // When its socket overflows, all interfaces are asked for anyway.
    let quiet = heard
        .clone()
        .with_default(level)
        .with_target("netlink_proto", LevelFilter::ERROR);
    let terminal = tracing_subscriber::fmt::layer()
        .with_writer(log::Terminal)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_filter(quiet);
    tracing_subscriber::registry()
        .with(terminal)
        .with(log::ToReporter(reporter.clone()).with_filter(heard.with_default(LevelFilter::TRACE)))
        .init();
    reporter
}

/// `sensor events`: the names of the events that are raised, a line each, and what they mean. docs/events.md has more.
fn list_events() -> String {
    let raised: Vec<_> = listed().into_iter().filter(|e| e.raised).collect();
    let width = raised.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let line = |e: &&Info| {
        let meaning = e.doc.first().map_or("", |l| l.trim());
        format!("{:width$}  {meaning}\n", e.name)
    };
    raised.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn the_events_are_listed_a_line_each() {
        let text = list_events();
        let names: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
        assert!(names.contains(&"bro_init") && names.contains(&"ssl_established"));
        assert!(!names.contains(&"connection_external"), "it is not raised");
        assert!(names.iter().all(|n| catalog::named(n).is_some()));
        let meaning = "The sensor starts; no packet has been seen yet.";
        assert!(
            text.lines()
                .any(|l| l.starts_with("bro_init ") && l.ends_with(meaning))
        );
    }
}
