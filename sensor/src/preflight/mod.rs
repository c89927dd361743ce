//! What a run on interfaces would meet: asked before one is begun, without attaching, loading or making anything.
//!
//! Each group of questions has a file: facts are gathered (`look`), and a pure function says what they mean (`items`). [`check`]
//! puts the groups together. `item` (an answer) · `machine` (the kernel) · `rights` · `packet` (instead of these) · `interface` · `watched` (which
//! interfaces) · `memory` · `log_dir`.

mod interface;
mod item;
mod log_dir;
mod machine;
mod memory;
mod packet;
mod rights;
mod watched;

pub use item::{Item, Level, Report};

use crate::settings::{LiveDatapath, Settings};

/// Looks at all that a run with these settings needs.
pub fn check(settings: &Settings) -> Report {
    let mut items = match settings.interfaces.datapath {
        LiveDatapath::Xdp => {
            let mut items = machine::items(&machine::look());
            items.extend(rights::items(&rights::look()));
            items
        }
        LiveDatapath::Packet => packet::items(packet::look()),
    };
    items.extend(settings_items(settings));
    items.extend(watched::items(&settings.interfaces));
    items.extend(memory::items(&memory::look(settings)));
    items.extend(log_dir::items(
        &settings.logs.dir,
        &log_dir::look(&settings.logs.dir),
    ));
    Report { items }
}

/// Whether a run can have these settings at all.
fn settings_items(settings: &Settings) -> Vec<Item> {
    let wrong = |e: String| vec![Item::fail("settings", e, "sensor run --help".to_owned())];
    let subs = match settings.subscriptions() {
        Ok(subs) => subs,
        Err(e) => return wrong(e.to_string()),
    };
    if let Err(e) = settings.useless_live(subs) {
        return wrong(e.to_string());
    }
    // Whether its names can be looked up is seen when it begins.
    match settings.with_local_names(|_| Vec::new()).engine(0) {
        Ok(_) => vec![Item::ok("settings", "the settings go together".to_owned())],
        Err(e) => wrong(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_go_together_fail() {
        let mut s = Settings::default();
        let items = settings_items(&s);
        assert_eq!(items[0].level, Level::Fail);
        assert!(items[0].says.contains("no interface to watch"), "{items:?}");
        s.interfaces.names = vec!["tap0".to_owned()];
        assert_eq!(settings_items(&s)[0].level, Level::Ok);
        s.events.only = vec!["new_connection".to_owned()];
        assert_eq!(settings_items(&s)[0].level, Level::Fail);
    }
}
