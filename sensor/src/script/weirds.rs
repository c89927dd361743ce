//! Weirds that scripts tell of, no more often than the engine's own.

use super::out::{ScriptWeird, WeirdOf};
use crate::base::names::Names;
use crate::conn::{Logged, NetSampler, octets};
use crate::event::Ts;

/// Most names of scripts' weirds.
const MAX_NAMES: usize = 1024;
/// Longest one, bytes.
const MAX_NAME: usize = 128;

/// The names that scripts have used: they live as long as the process, like the engine's own.
static NAMES: Names = Names::new();

fn known(name: &str) -> Result<&'static str, String> {
    if let Some(known) = NAMES.get(name) {
        return Ok(known);
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_-%:.".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
        return Err(format!("{name:?} is no name of a weird"));
    }
    NAMES.keep_of(name, MAX_NAMES).ok_or_else(|| {
        format!("scripts have {MAX_NAMES} different weirds already: what differs belongs into addl")
    })
}

/// How often each was told.
#[derive(Default)]
pub struct Weirds {
    sampler: NetSampler,
    logged: Logged,
}

impl Weirds {
    /// One more at `now`. None: it was told often enough.
    pub fn one(
        &mut self,
        name: &str,
        addl: String,
        of: WeirdOf,
        now: Ts,
    ) -> Result<Option<ScriptWeird>, String> {
        let name = known(name)?;
        let ends = match of {
            WeirdOf::Conn(c) => Some((octets(c.orig_h), octets(c.resp_h))),
            WeirdOf::Hosts(src, dst) => Some((octets(src), octets(dst))),
            WeirdOf::Nobody => None,
        };
        let ends = ends.as_ref().map(|(src, dst)| (src, dst));
        if !self.sampler.permit(name, ends, now) {
            return Ok(None);
        }
        let is_logged = self.logged.permit(name, of.whose().into(), now);
        Ok(Some(ScriptWeird {
            name,
            addl,
            of,
            is_logged,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_and_again_is_told_now_and_then() {
        let mut weirds = Weirds::default();
        let all: Vec<_> = (0..2000)
            .filter_map(|n| {
                weirds
                    .one("script_odd", n.to_string(), WeirdOf::Nobody, n + 1)
                    .expect("a name")
            })
            .collect();
        assert!((25..30).contains(&all.len()), "{}", all.len());
        assert_eq!(all.iter().filter(|w| w.is_logged).count(), 1);
        for wrong in ["", "two words", &"x".repeat(200)] {
            assert!(
                weirds.one(wrong, String::new(), WeirdOf::Nobody, 1).is_err(),
                "{wrong}"
            );
        }
    }
}
