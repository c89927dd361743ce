//! `sensor script`: what is wrong in a script, and what it makes of captures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use super::args::ScriptCommand;
use super::print::print;
use crate::catalog::events;
use crate::conn::Order;
use crate::event::log::write_json_after;
use crate::event::{Event, Handler, LogRow, Subscriptions, Ts};
use crate::messages::say::say;
use crate::offline;
use crate::packet::capture::Capture;
use crate::resolver::{Asker, Resolver, ResolverPlan};
use crate::script::{Carrier, Host, Out, Plan};
use crate::settings::Settings;

/// Runs one of the commands.
pub fn script(command: &ScriptCommand) -> anyhow::Result<ExitCode> {
    match command {
        ScriptCommand::Check { file } => check(file),
        ScriptCommand::Test { file, captures } => test(file, captures),
    }
}

fn load(file: &Path, asker: Option<Asker>) -> anyhow::Result<Host> {
    let mut settings = Settings::default();
    settings.scripts.files.push(file.to_owned());
    let mut plan = Plan::of(&settings).context("a script")?;
    plan.asker = asker;
    Ok(Host::load(&plan)?)
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let wants = load(file, None)?.wants();
    let names: Vec<_> = events().filter(|e| wants.wants(e.kind)).map(|e| e.name).collect();
    let names = match names.is_empty() {
        true => "no event".to_owned(),
        false => names.join(", "),
    };
    print(format!("{} is in order; it handles {names}\n", file.display()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn test(file: &Path, captures: &[PathBuf]) -> anyhow::Result<ExitCode> {
    // What names were is not remembered: nothing is written.
    let plan = ResolverPlan {
        file: None,
        ..ResolverPlan::of(&Settings::default())?
    };
    let longest = plan.longest();
    let resolver = Resolver::start(plan, || {})?;
    let host = load(file, Some(resolver.asker()))?;
    let captures = captures
        .iter()
        .map(Capture::open)
        .collect::<Result<Vec<_>, _>>()?;
    let cfg = Settings::default().engine(0)?;
    let shown = Shown {
        filtered: host.filtered_logs(),
        host,
        now: 0,
    };
    let (mut shown, damage) = offline::read(captures, cfg, shown);
    let until = Instant::now() + longest;
    while shown
        .host
        .await_lookups(until.saturating_duration_since(Instant::now()))
    {
        if Instant::now() >= until {
            break;
        }
    }
    shown.host.finish();
    shown.show();
    let (calls, failed) = shown.host.calls();
    say!("sensor: {calls} calls of handlers, {failed} of them failed");
    if let Some(e) = &damage {
        say!("sensor: {e}");
    }
    Ok(match failed == 0 && damage.is_none() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Gives a script its events, and shows what it gives.
struct Shown {
    host: Host,
    /// The logs whose rows it looks at; those that it lets through are not shown.
    filtered: Vec<String>,
    now: Ts,
}

impl Shown {
    fn show_row(&self, row: &dyn LogRow) {
        let mut line = Vec::new();
        write_json_after(&mut line, row, &mut Vec::new(), |o| {
            o.text("_path", row.path());
        });
        line.push(b'\n');
        // Who does not read has seen enough.
        let _ = print(&line);
    }

    fn show(&mut self) {
        let mut out = Vec::new();
        if !self.host.has_out() {
            return;
        }
        self.host.take(&mut out);
        let now = self.now;
        for one in out {
            let is_own = !matches!(&one, Out::Filtered(row) if self.filtered.iter().any(|f| f == row.path()));
            if is_own {
                one.carry_out(now, self);
            }
        }
    }
}

impl Carrier for Shown {
    fn row(&mut self, row: &dyn LogRow) {
        self.show_row(row);
    }

    fn tell(&mut self, _: Ts, _: &dyn Event) {}

    // There is no place for what they could be about, and nothing to gain by not reading on.
    fn order(&mut self, _: Order) {}
}

impl Handler for Shown {
    fn wants(&self) -> Subscriptions {
        self.host.wants()
    }

    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.host.event(ts, ev);
        self.show();
    }

    fn log(&mut self, row: &dyn LogRow) {
        if self.filtered.iter().any(|f| f == row.path()) {
            self.host.row(self.now, row);
            self.show();
        }
    }

    fn advance(&mut self, ts: Ts) {
        self.now = ts;
        if ts >= self.host.next_due() {
            self.host.advance(ts);
            self.show();
        }
    }
}
