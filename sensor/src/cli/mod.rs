//! The binary's commands: what is asked for on the command line, put together from the other modules.

mod accounts;
mod args;
mod clock;
mod interfaces;
mod limits;
mod live;
mod live_sinks;
mod pipe;
mod read;
mod reporter;
mod say;
mod signals;
mod sinks;
mod slow;
mod status;
mod stop;
mod sweep;
mod useless;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use args::{Cli, Command, Common};
use clap::Parser as _;
use reporter::Reporter;
use say::say;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::analyzer::tls;
use crate::analyzer::x509::Validator;
use crate::catalog::listed;
use crate::conn::{self, Timeouts};
use crate::output::local_nets::LocalNets;

/// A failure with the exit status that goes with it (2: nothing was done; 1: the input is damaged or
/// something was lost).
pub struct Failure {
    pub status: u8,
    pub error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(e: E) -> Self {
        Failure {
            status: 2,
            error: e.into(),
        }
    }
}

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
        .with_writer(say::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_filter(LevelFilter::from_level(level));
    tracing_subscriber::registry()
        .with(terminal)
        .with(reporter.clone())
        .init();
    let result = match &cli.command {
        Command::Run(a) => live::run(a, &reporter).map(|()| ExitCode::SUCCESS),
        Command::Read(a) => read::read(a, &reporter)
            .map(ExitCode::from)
            .map_err(Failure::from),
        Command::Events => list_events(&mut std::io::stdout().lock())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| Failure {
                status: 1,
                error: e.into(),
            }),
    };
    let status = match result {
        Ok(status) => status,
        Err(f) => {
            say!("sensor: {}", explain(&f.error));
            ExitCode::from(f.status)
        }
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

/// The error and its causes in one line, nothing twice.
fn explain(e: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in e.chain().map(|c| c.to_string()) {
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    line
}

fn ns(seconds: f64, what: &str) -> anyhow::Result<u64> {
    anyhow::ensure!(
        (0.0..=1e9).contains(&seconds),
        "{what} must be between 0 and 1e9 seconds"
    );
    Ok((seconds * 1e9) as u64)
}

/// Those of the TLS analyzers.
fn tls_settings(c: &Common) -> anyhow::Result<tls::Settings> {
    let validator = match (&c.ca_file, c.validate_certs) {
        (Some(file), _) => Some(Arc::new(Validator::with_roots_in(file)?)),
        (None, true) => Some(Arc::new(Validator::with_public_roots())),
        (None, false) => None,
    };
    Ok(tls::Settings {
        max_message: c.tls_max_message as usize * 1024,
        max_certs: c.tls_max_certs as usize,
        extras: tls::Extras {
            subjects: c.tls_subjects,
            fingerprints: c.tls_fingerprints,
        },
        validator,
    })
}

/// The engine's settings out of the command line's.
fn engine_config(c: &Common, seed: u64) -> anyhow::Result<conn::Config> {
    let nets: LocalNets = match &c.local_nets {
        Some(list) => list.parse()?,
        None => LocalNets::private(),
    };
    let timeouts = Timeouts {
        tcp_attempt_delay: ns(c.tcp_attempt_delay, "--tcp-attempt-delay")?,
        tcp_close_delay: ns(c.tcp_close_delay, "--tcp-close-delay")?,
        tcp_reset_delay: ns(c.tcp_reset_delay, "--tcp-reset-delay")?,
        tcp_inactivity: ns(c.tcp_inactivity_timeout, "--tcp-inactivity-timeout")?,
        udp_inactivity: ns(c.udp_inactivity_timeout, "--udp-inactivity-timeout")?,
        icmp_inactivity: ns(c.icmp_inactivity_timeout, "--icmp-inactivity-timeout")?,
        status_interval: ns(c.status_interval, "--status-interval")?,
        ..Timeouts::default()
    };
    Ok(conn::Config {
        timeouts,
        contents: c.contents.as_ref().map(|c| c.0.clone()).unwrap_or_default(),
        contents_files: c.contents_file.is_some(),
        reassembly_limit: c.reassembly_limit << 10,
        reassembly_total: c.reassembly_total << 20,
        seed,
        tls: tls_settings(c)?,
        is_local: Arc::new(move |a| nets.is_local(a)),
        realms: c.realms(),
        ..conn::Config::default()
    })
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
