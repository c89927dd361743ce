//! The binary's commands: what is asked for on the command line, put together from the other modules.

mod args;
mod explain;
mod fill;
mod log;
mod pipe;
mod read;
mod results;
mod stop;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;
use explain::explain;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::catalog::listed;
use crate::live::{self, Failed};
use crate::messages::reporter::Reporter;
use crate::messages::say::{self, say};

/// Runs the command line's command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Without the thread messages are written by whoever has them.
    let _ = say::start();
    let verbose = match &cli.command {
        Command::Run(a) => a.common.verbose,
        Command::Read(a) => a.common.verbose,
        Command::Events => 0,
    };
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let reporter = Reporter::default();
    let terminal = tracing_subscriber::fmt::layer()
        .with_writer(log::Terminal)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_filter(LevelFilter::from_level(level));
    tracing_subscriber::registry()
        .with(terminal)
        .with(log::ToReporter(reporter.clone()))
        .init();
    let result = match &cli.command {
        Command::Run(a) => live::run(&a.into(), &reporter).map(|()| ExitCode::SUCCESS),
        Command::Read(a) => read::read(&a.files, &a.into(), &reporter)
            .map(ExitCode::from)
            .map_err(Failed::ToStart),
        Command::Events => list_events(&mut std::io::stdout().lock())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| Failed::Later(e.into())),
    };
    let failed = |status: u8, e: &anyhow::Error| {
        say!("sensor: {}", explain(e));
        ExitCode::from(status)
    };
    let status = match result {
        Ok(status) => status,
        Err(Failed::ToStart(e)) => failed(2, &e),
        Err(Failed::Later(e)) => failed(1, &e),
    };
    say::finish();
    status
}

/// `sensor events`: the names of the events that are raised, a line each, and what they mean. docs/events.md has more.
fn list_events(out: &mut impl std::io::Write) -> std::io::Result<()> {
    let raised: Vec<_> = listed().into_iter().filter(|e| e.raised).collect();
    let width = raised.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for e in raised {
        let meaning = e.doc.first().map_or("", |l| l.trim());
        match writeln!(out, "{:width$}  {meaning}", e.name) {
            // Who reads has seen enough.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn the_events_are_listed_a_line_each() {
        let mut text = Vec::new();
        list_events(&mut text).expect("memory");
        let text = String::from_utf8(text).expect("text");
        let names: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
        assert!(names.contains(&"bro_init") && names.contains(&"ssl_established"));
        assert!(!names.contains(&"OS_version_found"), "it is not raised");
        assert!(names.iter().all(|n| catalog::named(n).is_some()));
        let meaning = "The sensor starts; no packet has been seen yet.";
        assert!(
            text.lines()
                .any(|l| l.starts_with("bro_init ") && l.ends_with(meaning))
        );
    }
}
