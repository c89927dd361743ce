//! The resolver of a live run: its thread, which is confined as it reads what servers send, and lookups for the main thread.

use std::time::Duration;

use anyhow::Context as _;

use super::confine::Confinement;
use crate::resolver::local::{Local, NoAddress, look_up};
use crate::resolver::{Asker, Resolver, ResolverPlan};
use crate::settings::Settings;

/// Port of DNS servers (RFC 1035).
const DNS: u16 = 53;

/// Who looks names up.
pub struct Names {
    pub asker: Asker,
    longest: Duration,
}

impl Names {
    /// Starts the resolver's thread. Until somebody asks it opens and reads nothing.
    pub fn begin(settings: &Settings) -> anyhow::Result<(Resolver, Names)> {
        let plan = ResolverPlan::of(settings)?;
        let longest = plan.longest();
        let dir = plan.file.as_deref().and_then(|f| f.parent());
        let confinement = Confinement {
            writes: dir.map(Into::into),
            asks: match plan.servers.is_empty() {
                true => vec![DNS],
                false => plan.servers.iter().map(|s| s.port()).collect(),
            },
        };
        let confine = move || {
            // What is not there it is not let into. If it cannot be made, it cannot be written to later, which is said.
            if let Some(dir) = &confinement.writes {
                let _ = std::fs::create_dir_all(dir);
            }
            confinement.begin();
        };
        let resolver = Resolver::start(plan, confine);
        let resolver = resolver.context("cannot start the thread that looks names up")?;
        let asker = resolver.asker();
        Ok((resolver, Names { asker, longest }))
    }

    /// Looks up names among the local networks.
    pub fn look_up(&self, settings: &Settings) -> Result<Local, NoAddress> {
        look_up(&self.asker, self.longest, settings)
    }
}
