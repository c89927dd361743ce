//! Where the messages of the log go: to standard error, and to those that become events.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};

use crate::messages::reporter::Reporter;
use crate::messages::say;

/// Standard error, for which nobody waits.
pub struct Terminal;

impl<'w> MakeWriter<'w> for Terminal {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        Terminal
    }
}

impl Write for Terminal {
    /// A message is written at once.
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        say::text(message);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands messages to the reporter.
pub struct ToReporter(pub Reporter);

impl<S: Subscriber> Layer<S> for ToReporter {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        if !self.0.takes(*meta.level()) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let location = match (meta.file(), meta.line()) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => String::new(),
        };
        self.0.push(*meta.level(), text.0, location);
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
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::event::Subscriptions;
    use crate::messages::reporter;

    fn drained(r: &Reporter) -> Vec<String> {
        let mut lines = Vec::new();
        r.drain(5_000_000, |ev| {
            let mut line = Vec::new();
            crate::event::seen::note(ev);
            ev.write_json(5_000_000, &mut line);
            lines.push(String::from_utf8(line).expect("text"));
        });
        lines
    }

    #[test]
    fn messages_become_events() {
        let r = Reporter::default();
        let subscriber = tracing_subscriber::registry().with(ToReporter(r.clone()));
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
                line.contains(msg) && line.contains("\"t\":0.005000") && line.contains("log.rs:"),
                "{line}"
            );
        }
        assert!(drained(&r).is_empty());
    }

    #[test]
    fn a_flood_of_messages_is_bounded() {
        let r = Reporter::default();
        r.listen(Subscriptions::ALL);
        let subscriber = tracing_subscriber::registry().with(ToReporter(r.clone()));
        tracing::subscriber::with_default(subscriber, || {
            for i in 0..2 * reporter::MOST {
                tracing::warn!("message {i}");
            }
        });
        let lines = drained(&r);
        assert_eq!(lines.len(), reporter::MOST);
        assert!(lines[0].contains(&format!("message {}", reporter::MOST)));
    }
}
