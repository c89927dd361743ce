//! What can change while the sensor runs: the settings are read again, and those that take effect at once do.

use anyhow::Context as _;

use super::interfaces::Hooks as _;
use super::names::Names;
use super::orders::{Order, Orders};
use super::outputs::Outputs;
use super::source::Source;
use crate::datapath::xdp;
use crate::filter::Filter;
use crate::resolver::Change;
use crate::settings::Settings;
use crate::settings::file::{at, paths, put};

/// Reads the settings again, as at the start: from the file, and over it the options.
pub type Again<'a> = &'a dyn Fn() -> anyhow::Result<Settings>;

/// Settings that take effect without a restart.
const AT_ONCE: [&str; 8] = [
    "archive.keep_days",
    "archive.keep_mib",
    "archive.min_free_mib",
    FILTER,
    LOCAL,
    "logs.rotate",
    "logs.rotate_mib",
    "logs.sync",
];
const FILTER: &str = "filter.rules";
const LOCAL: &str = "logs.local_nets";

/// What settings that are read again reach.
pub struct Reach<'r> {
    pub source: &'r mut Source,
    pub outputs: &'r Outputs,
    pub orders: &'r Orders,
    pub names: &'r Names,
    /// What lookups changed of what was known.
    pub changes: &'r mut Vec<Change>,
}

/// The rules that decide of flows that begin, in the kernel.
pub struct Rules {
    filter: Filter,
    /// The interfaces that they speak of, by number.
    ifindexes: Vec<u32>,
}

impl Rules {
    /// Puts the settings' rules into the kernel.
    pub fn begin(settings: &Settings, source: &mut Source) -> anyhow::Result<Rules> {
        let filter = settings.filter()?;
        let mut rules = Rules {
            ifindexes: Vec::new(),
            filter,
        };
        if !rules.filter.is_empty() {
            rules.put(source)?;
        }
        Ok(rules)
    }

    fn put(&mut self, source: &mut Source) -> anyhow::Result<()> {
        let inside = source
            .netns()
            .enter()
            .context("cannot enter the network namespace")?;
        self.ifindexes = numbers(&self.filter);
        let tables = self.filter.tables(ifindex);
        drop(inside);
        match source.kernel() {
            Some(kernel) => Ok(kernel.set_filter(&tables)?),
            None => anyhow::bail!("--filter is for --datapath xdp"),
        }
    }

    /// Interfaces may have come and gone that rules speak of.
    pub fn look(&mut self, source: &mut Source) {
        if self.filter.interfaces().is_empty() {
            return;
        }
        let inside = source.netns().enter();
        let now = numbers(&self.filter);
        drop(inside);
        if now != self.ifindexes
            && let Err(e) = self.put(source)
        {
            tracing::warn!("{e:#}");
        }
    }

    /// Reads the settings again; what takes effect at once does. Says so, and names the rest; an error: all stays as it is.
    pub fn reload(
        &mut self,
        again: Again<'_>,
        settings: &mut Settings,
        reach: Reach<'_>,
    ) -> anyhow::Result<Vec<String>> {
        let new = again()?;
        // Whatever is wrong is wrong before anything changes.
        let filter = new.filter()?;
        new.check_signatures()?;
        let local = reach.names.look_up(&new)?;
        reach.changes.extend(local.changes);
        let is_local = local.settings.is_local()?;
        let (before, after) = (tree(settings)?, tree(&new)?);
        let changed: Vec<_> = paths()
            .into_iter()
            .filter(|p| at(&before, p) != at(&after, p))
            .collect();
        let (now, mut later): (Vec<_>, Vec<_>) = changed
            .iter()
            .map(String::as_str)
            .partition(|p| AT_ONCE.contains(p));
        let mut said = Vec::new();
        if now.contains(&FILTER) {
            let old = std::mem::replace(&mut self.filter, filter);
            if let Err(e) = self.put(reach.source) {
                self.filter = old;
                return Err(e);
            }
            said.push(
                "the filter is another one from here on; flows that there are go on as they began".into(),
            );
        }
        // Names may have other addresses by now.
        if now.contains(&LOCAL) || !new.local_names().is_empty() {
            for worker in reach.orders.all() {
                worker.put(Order::Local(is_local.clone()));
            }
        }
        let upkeep = now.iter().any(|p| ![FILTER, LOCAL].contains(p));
        if upkeep && !reach.outputs.set_upkeep(&new) {
            later.extend(now.iter().filter(|p| p.starts_with("archive.")));
        }
        let others = now.iter().filter(|p| **p != FILTER && !later.contains(p));
        let others: Vec<_> = others.copied().collect();
        if !others.is_empty() {
            said.push(format!("these settings hold from here on: {}", others.join(", ")));
        }
        if !later.is_empty() {
            said.push(format!(
                "these settings are others with the next start: {}",
                later.join(", ")
            ));
        }
        let mut holds = before;
        for path in now.iter().filter(|p| !later.contains(p)) {
            put(&mut holds, path, at(&after, path).clone());
        }
        *settings = serde_json::from_value(holds).context("settings as JSON")?;
        Ok(said)
    }
}

fn tree(settings: &Settings) -> anyhow::Result<serde_json::Value> {
    serde_json::to_value(settings).context("settings as JSON")
}

fn numbers(filter: &Filter) -> Vec<u32> {
    filter.interfaces().into_iter().map(ifindex).collect()
}

/// An interface's number; 0: there is none of the name that can be watched.
fn ifindex(name: &str) -> u32 {
    xdp::ethernet(name).map_or(0, |e| e.ifindex)
}
