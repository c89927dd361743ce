//! `sensor check`: whether a run would work, before one is begun.

use std::process::ExitCode;

use clap::ArgMatches;

use super::args::Check;
use super::layers;
use super::print::print;
use crate::preflight;

/// Says what is found; status 1 if a run would not work.
pub fn check(command: &Check, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let report = preflight::check(&layers::of_run(&command.run, matches)?.settings);
    let text = match command.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => report.to_string(),
    };
    print(text.as_bytes())?;
    Ok(match report.fails() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
