//! Names of hosts among the local networks: looked up when a run begins, and when its settings are read again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::ask::{Asker, Got, Question};
use super::mapping::Change;
use super::query::Query;
use crate::settings::Settings;

/// A name has no address that could be local.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--local-nets: {name} {why}")]
pub struct NoAddress {
    name: String,
    why: &'static str,
}

/// What came of names among local networks.
#[derive(Debug)]
pub struct Local {
    /// The settings with addresses in place of names.
    pub settings: Settings,
    /// What that changed of what was known.
    pub changes: Vec<Change>,
}

/// Looks the names among the local networks up, all at once, and waits for the answers: so long at most. Where no server answers, what
/// was known before holds, which is said.
pub fn look_up(asker: &Asker, longest: Duration, settings: &Settings) -> Result<Local, NoAddress> {
    let names = settings.local_names();
    let (to, answers) = channel();
    let (mut addrs, mut changes) = (BTreeMap::<&str, Vec<IpAddr>>::new(), Vec::new());
    for (ticket, name) in (0..).zip(&names) {
        let to = to.clone();
        let query = Query::of(name);
        let asked = query.is_some_and(|query| asker.ask(Question { query, ticket, to }));
        if !asked {
            return Err(no_address(name, "is one name too many"));
        }
    }
    let until = Instant::now() + longest;
    for _ in &names {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(answer) = answers.recv_timeout(left) else {
            break;
        };
        let Some(name) = usize::try_from(answer.ticket).ok().and_then(|n| names.get(n)) else {
            continue;
        };
        changes.extend(answer.change);
        match answer.got {
            Got::Found(found) => addrs.insert(name, found.as_addrs().to_vec()),
            Got::Empty => return Err(no_address(name, "has no address, as DNS says")),
            Got::Unanswered(Some(before)) => {
                let before = before.as_addrs().to_vec();
                tracing::warn!(
                    "--local-nets: no DNS server answers for {name}: it is taken to have the addresses that it had: {}",
                    text(&before)
                );
                addrs.insert(name, before)
            }
            Got::Unanswered(None) | Got::NotAsked => return Err(unanswered(name)),
        };
    }
    if let Some(name) = names.iter().find(|n| !addrs.contains_key(**n)) {
        return Err(unanswered(name));
    }
    let settings = settings.with_local_names(|name| addrs.get(name).cloned().unwrap_or_default());
    Ok(Local { settings, changes })
}

fn no_address(name: &str, why: &'static str) -> NoAddress {
    NoAddress {
        name: name.to_owned(),
        why,
    }
}

fn unanswered(name: &str) -> NoAddress {
    no_address(
        name,
        "is not known: no DNS server answers; see --resolver, or name its addresses",
    )
}

fn text(addrs: &[IpAddr]) -> String {
    let all: Vec<_> = addrs.iter().map(IpAddr::to_string).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::ask::Answer;
    use super::super::mapping::Found;
    use super::*;

    /// Who answers at once.
    fn asker(got: impl Fn(&str) -> Got + Send + Sync + 'static) -> Asker {
        Asker::new(move |q| {
            let got = got(&q.query.to_string());
            let (ticket, change) = (q.ticket, None);
            q.to.send(Answer { ticket, got, change }).is_ok()
        })
    }

    fn looked_up(nets: &str, got: impl Fn(&str) -> Got + Send + Sync + 'static) -> Result<String, String> {
        let mut settings = Settings::default();
        settings.logs.local_nets = Some(nets.to_owned());
        let local = look_up(&asker(got), Duration::ZERO, &settings).map_err(|e| e.to_string())?;
        // They are networks.
        local.settings.is_local().map_err(|e| e.to_string())?;
        Ok(local.settings.logs.local_nets.unwrap_or_default())
    }

    #[test]
    fn names_become_addresses_or_say_why_not() {
        let addrs = |text: &str| Found::addrs(vec![text.parse().expect("an address")]).expect("one");
        let found = move |name: &str| match name {
            "a.example" => Got::Found(addrs("192.0.2.1")),
            "b.example" => Got::Unanswered(Some(addrs("2001:db8::1"))),
            "c.example" => Got::Empty,
            _ => Got::Unanswered(None),
        };
        let ok = looked_up("10.0.0.0/8, A.example, b.example,a.example", found);
        assert_eq!(ok.as_deref(), Ok("10.0.0.0/8,192.0.2.1,2001:db8::1,192.0.2.1"));
        let no = looked_up("a.example,c.example", found);
        let why = "--local-nets: c.example has no address, as DNS says";
        assert_eq!(no, Err(why.to_owned()));
        let no = looked_up("a.example,d.example", found).expect_err("no address");
        assert!(no.starts_with("--local-nets: d.example is not known: "), "{no}");
    }
}
