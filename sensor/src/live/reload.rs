//! What can change while the sensor runs: the settings are read again, and those that take effect at once do.

use anyhow::Context as _;

use super::interfaces::Hooks as _;
use super::source::Source;
use crate::datapath::xdp;
use crate::filter::Filter;
use crate::settings::Settings;
use crate::settings::file::{at, paths};

/// Reads the settings again, as at the start: from the file, and over it the options.
pub type Again<'a> = &'a dyn Fn() -> anyhow::Result<Settings>;

/// Settings that take effect without a restart.
const AT_ONCE: [&str; 1] = ["filter.rules"];

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

    /// Reads the settings again; what takes effect at once does, and the rest is named.
    pub fn reload(&mut self, again: Again<'_>, settings: &mut Settings, source: &mut Source) {
        match self.changed(again, settings, source) {
            Ok(()) => {}
            Err(e) => tracing::warn!("the settings stay as they are: {e:#}"),
        }
    }

    fn changed(
        &mut self,
        again: Again<'_>,
        settings: &mut Settings,
        source: &mut Source,
    ) -> anyhow::Result<()> {
        let new = again()?;
        let filter = new.filter()?;
        let (before, after) = (tree(settings)?, tree(&new)?);
        let changed: Vec<_> = paths()
            .into_iter()
            .filter(|p| at(&before, p) != at(&after, p))
            .collect();
        if changed.iter().any(|p| p == "filter.rules") {
            let old = std::mem::replace(&mut self.filter, filter);
            if let Err(e) = self.put(source) {
                self.filter = old;
                return Err(e);
            }
            settings.filter.rules = new.filter.rules;
            tracing::warn!(
                "the filter is another one from here on; flows that there are go on as they began"
            );
        }
        let later: Vec<_> = changed
            .iter()
            .map(String::as_str)
            .filter(|p| !AT_ONCE.contains(p))
            .collect();
        if !later.is_empty() {
            tracing::warn!(
                "these settings are others with the next start: {}",
                later.join(", ")
            );
        }
        Ok(())
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
