//! What can change while the sensor runs: the settings are read again, and those that take effect at once do.

use std::ffi::CString;

use anyhow::Context as _;

use crate::datapath::xdp::Kernel;
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
    pub fn begin(settings: &Settings, kernel: &mut Kernel) -> anyhow::Result<Rules> {
        let filter = settings.filter()?;
        let mut rules = Rules {
            ifindexes: numbers(&filter),
            filter,
        };
        if !rules.filter.is_empty() {
            rules.put(kernel)?;
        }
        Ok(rules)
    }

    fn put(&mut self, kernel: &mut Kernel) -> anyhow::Result<()> {
        self.ifindexes = numbers(&self.filter);
        Ok(kernel.set_filter(&self.filter.tables(ifindex))?)
    }

    /// Interfaces may have come and gone that rules speak of.
    pub fn look(&mut self, kernel: &mut Kernel) {
        if numbers(&self.filter) != self.ifindexes
            && let Err(e) = self.put(kernel)
        {
            tracing::warn!("{e:#}");
        }
    }

    /// Reads the settings again; what takes effect at once does, and the rest is named.
    pub fn reload(&mut self, again: Again<'_>, settings: &mut Settings, kernel: &mut Kernel) {
        match self.changed(again, settings, kernel) {
            Ok(()) => {}
            Err(e) => tracing::warn!("the settings stay as they are: {e:#}"),
        }
    }

    fn changed(
        &mut self,
        again: Again<'_>,
        settings: &mut Settings,
        kernel: &mut Kernel,
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
            if let Err(e) = self.put(kernel) {
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

/// An interface's number; 0: there is none of the name.
#[allow(unsafe_code, reason = "if_nametoindex takes a pointer")]
fn ifindex(name: &str) -> u32 {
    let Ok(name) = CString::new(name) else { return 0 };
    // SAFETY: a terminated string that outlives the call.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}
