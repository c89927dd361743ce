//! What the sensor itself has to say, as events: every message of level info and above that goes to standard
//! error (or would, with -v) also becomes reporter_info, reporter_warning or reporter_error.
//!
//! Messages are made anywhere, on any thread; they wait here until whoever owns the event stream comes by.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::event::{self, Event, Subscriptions, Ts};

/// Most messages that wait; the oldest go first.
const MOST: usize = 256;

/// Messages waiting to become events.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Somebody wants reporter events.
    wanted: AtomicBool,
    waiting: AtomicBool,
    queue: Mutex<VecDeque<Message>>,
}

/// A message and where in the sources it was made.
#[derive(Debug)]
struct Message {
    level: Level,
    text: String,
    location: String,
}

impl Reporter {
    /// Keeps messages from here on, if `subs` has any of the reporter events.
    pub fn listen(&self, subs: Subscriptions) {
        let kinds = [
            event::ReporterInfo::KIND,
            event::ReporterWarning::KIND,
            event::ReporterError::KIND,
        ];
        let wanted = kinds.iter().any(|k| subs.wants(*k));
        self.0.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Hands out what waits, as events at network time `ts`.
    pub fn drain(&self, ts: Ts, mut out: impl FnMut(&dyn Event)) {
        // Asked for every packet: a swap would wait for all writes before it.
        if !self.0.waiting.load(Ordering::Relaxed) || !self.0.waiting.swap(false, Ordering::Relaxed) {
            return;
        }
        // Not handed out under the lock: an output may have something to say, too.
        let messages = std::mem::take(&mut *self.queue());
        for m in messages {
            let (t, msg, location) = (ts, m.text.as_str(), m.location.as_str());
            match m.level {
                Level::ERROR => out(&event::ReporterError { t, msg, location }),
                Level::WARN => out(&event::ReporterWarning { t, msg, location }),
                _ => out(&event::ReporterInfo { t, msg, location }),
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Message>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Reporter {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        // Greater is more verbose.
        if *meta.level() > Level::INFO || !self.0.wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let location = match (meta.file(), meta.line()) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => String::new(),
        };
        let mut queue = self.queue();
        if queue.len() >= MOST {
            queue.pop_front();
        }
        queue.push_back(Message {
            level: *meta.level(),
            text: text.0,
            location,
        });
        self.0.waiting.store(true, Ordering::Relaxed);
    }
}

/// A message's text: the message itself, then its other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::prelude::*;

    fn drained(r: &Reporter) -> Vec<String> {
        let mut lines = Vec::new();
        r.drain(5_000_000, |ev| {
            let mut line = Vec::new();
            ev.write_json(5_000_000, &mut line);
            lines.push(String::from_utf8(line).expect("text"));
        });
        lines
    }

    #[test]
    fn messages_become_events() {
        let r = Reporter::default();
        let subscriber = tracing_subscriber::registry().with(r.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("nobody listens yet");
            r.listen("reporter_warning".parse().expect("known"));
            tracing::info!("attached to {}", "eth1");
            tracing::warn!(lost = 3, "going on without");
            tracing::error!("cannot \"write\"");
            tracing::debug!("details");
        });
        let lines = drained(&r);
        let parts = [
            ("reporter_info", "\"msg\":\"attached to eth1\""),
            ("reporter_warning", "\"msg\":\"going on without lost=3\""),
            ("reporter_error", "\"msg\":\"cannot \\\"write\\\"\""),
        ];
        assert_eq!(lines.len(), parts.len(), "{lines:?}");
        for (line, (name, msg)) in lines.iter().zip(parts) {
            assert!(line.contains(&format!("\"event\":\"{name}\"")), "{line}");
            assert!(
                line.contains(msg) && line.contains("\"t\":0.005000") && line.contains("reporter.rs:"),
                "{line}"
            );
        }
        assert!(drained(&r).is_empty());
    }

    #[test]
    fn a_flood_of_messages_is_bounded() {
        let r = Reporter::default();
        r.listen(Subscriptions::ALL);
        let subscriber = tracing_subscriber::registry().with(r.clone());
        tracing::subscriber::with_default(subscriber, || {
            for i in 0..2 * MOST {
                tracing::warn!("message {i}");
            }
        });
        let lines = drained(&r);
        assert_eq!(lines.len(), MOST);
        assert!(lines[0].contains(&format!("message {MOST}")));
    }
}
