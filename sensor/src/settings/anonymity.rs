//! What goes with `--anonymize`, and what would undo it.

use super::{Settings, Useless};
use crate::anonymize::{Anonymizer, Key, KeyError, tells_addresses};
use crate::catalog::{UnknownEvent, named};
use crate::event::Subscriptions;

impl Settings {
    /// What gives addresses their stand-ins; None: they stay.
    pub fn anonymizer(&self) -> Result<Option<Anonymizer>, KeyError> {
        let key = self.anonymize.as_deref().map(Key::read).transpose()?;
        Ok(key.as_ref().map(Anonymizer::new))
    }

    /// The events that the stream wants. Where addresses are replaced, those that tell them all the same are wanted only by who
    /// names them, and refused later.
    pub fn subscriptions(&self) -> Result<Subscriptions, UnknownEvent> {
        let subs = self.events.subscriptions()?;
        if self.anonymize.is_none() {
            return Ok(subs);
        }
        let list = self.events.only.join(",");
        let is_named = |kind| {
            let mut names = list.split(',').filter_map(|n| named(n.trim()));
            names.any(|e| e.kind == kind)
        };
        let left_out = subs.iter().filter(|e| tells_addresses(e) && !is_named(e.kind));
        Ok(left_out.fold(subs, |subs, e| subs.without(e.kind)))
    }

    /// Whether something tells what `--anonymize` hides. `subs`: the events that somebody wants.
    pub fn check_anonymity(&self, subs: Subscriptions) -> Result<(), Useless> {
        if self.anonymize.is_none() {
            return Ok(());
        }
        let telling = [
            (self.events.contents.is_some(), "--contents"),
            (self.logs.contents_dir.is_some(), "--contents-file"),
            (self.files.extract_dir.is_some(), "--extract-files"),
            (self.conn.community_id, "--community-id"),
            (self.conn.l2_columns, "--l2-columns"),
            (self.rings.history_mib > 0, "--packet-history"),
        ];
        if let Some((_, option)) = telling.into_iter().find(|(given, _)| *given) {
            return Err(Useless::Tells(option));
        }
        match subs.iter().find(|e| tells_addresses(e)) {
            Some(event) => Err(Useless::TellingEvent(event.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    fn with(change: impl FnOnce(&mut Settings)) -> Result<(), Useless> {
        let mut s = Settings {
            anonymize: Some("key".into()),
            ..Settings::default()
        };
        s.events.to = Some("-".into());
        change(&mut s);
        let subs = s.subscriptions().expect("events");
        s.useless_reading(subs)
    }

    #[test]
    fn what_tells_addresses_is_refused() {
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(
            with(|s| s.conn.community_id = true),
            Err(Useless::Tells("--community-id"))
        );
        assert_eq!(
            with(|s| s.conn.l2_columns = true),
            Err(Useless::Tells("--l2-columns"))
        );
        assert_eq!(
            with(|s| s.rings.history_mib = 1),
            Err(Useless::Tells("--packet-history"))
        );
        assert_eq!(
            with(|s| s.logs.contents_dir = Some("c".into())),
            Err(Useless::Tells("--contents-file"))
        );
        assert_eq!(
            with(|s| s.files.extract_dir = Some("x".into())),
            Err(Useless::Tells("--extract-files"))
        );
        assert_eq!(
            with(|s| s.events.contents = Some("both:80".parse().expect("ports"))),
            Err(Useless::Tells("--contents"))
        );
        for name in [
            "new_packet",
            "raw_packet",
            "packet_contents",
            "http_entity_data",
            "ocsp_response_bytes",
        ] {
            let refused = with(|s| s.events.only = vec!["new_connection".into(), format!("http_*, {name}")]);
            assert_eq!(refused, Err(Useless::TellingEvent(name)));
        }
    }

    #[test]
    fn patterns_leave_out_what_would_tell_addresses() {
        let mut s = Settings {
            anonymize: Some("key".into()),
            ..Settings::default()
        };
        s.events.to = Some("-".into());
        for only in [vec![], vec!["*".to_owned()]] {
            s.events.only = only;
            let subs = s.subscriptions().expect("events");
            assert!(subs.wants(event::NewConnection::KIND));
            assert!(!subs.wants(event::NewPacket::KIND));
            assert!(!subs.wants(event::TcpPacket::KIND));
            assert!(!subs.wants(event::AnonymizationMapping::KIND));
            s.anonymize = None;
            assert!(s.subscriptions().expect("events").wants(event::NewPacket::KIND));
            s.anonymize = Some("key".into());
        }
        s.events.only = vec!["anonymization_mapping".into()];
        let subs = s.subscriptions().expect("events");
        assert!(subs.wants(event::AnonymizationMapping::KIND));
        assert_eq!(s.useless_reading(subs), Ok(()));
        s.anonymize = None;
        assert_eq!(s.useless_reading(subs), Err(Useless::NothingMapped));
    }
}
