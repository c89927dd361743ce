//! Standard error, written by a thread of its own: a terminal that is held (Ctrl-S) or a pipe that nobody reads keeps
//! nobody from his work, nor the sensor from its end.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Messages that may wait to be written.
const MAX_WAITING: usize = 1024;
/// How long the end waits for those to be written.
const END_PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Text(Vec<u8>),
    /// A line of a terminal that stays below all that is said; empty: none.
    Status(String),
    /// All before it is to be written; answered then.
    Flush(SyncSender<()>),
}

/// The thread's queue; there is none before [`start`].
static THREAD: OnceLock<SyncSender<Message>> = OnceLock::new();
/// Messages that found no room.
static LOST: AtomicU64 = AtomicU64::new(0);

/// From here on nobody waits for standard error.
pub fn start() -> io::Result<()> {
    let (queue, messages) = sync_channel(MAX_WAITING);
    std::thread::Builder::new()
        .name("stderr".into())
        .spawn(move || write(&messages))?;
    let _ = THREAD.set(queue);
    Ok(())
}

/// Has a terminal's line begin anew.
const CLEAR: &str = "\r\x1b[K";

fn write(messages: &Receiver<Message>) {
    let mut stderr = io::stderr();
    let mut status = String::new();
    while let Ok(message) = messages.recv() {
        // Where else could it be said that this failed?
        let _ = match message {
            Message::Text(text) if status.is_empty() => stderr.write_all(&text),
            Message::Text(text) => stderr.write_all(&[CLEAR.as_bytes(), &text, status.as_bytes()].concat()),
            Message::Status(line) => {
                status = line;
                stderr.write_all(format!("{CLEAR}{status}").as_bytes())
            }
            Message::Flush(done) => {
                let lost = LOST.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(
                        stderr,
                        "sensor: {lost} messages are left out: nobody read them in time"
                    );
                }
                done.send(()).map_err(io::Error::other)
            }
        };
    }
}

/// Says it, with what ends its lines.
pub fn text(text: impl Into<Vec<u8>>) {
    let text = text.into();
    match THREAD.get() {
        Some(queue) => {
            if queue.try_send(Message::Text(text)).is_err() {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
        None => {
            let _ = io::stderr().write_all(&text);
        }
    }
}

/// Draws a line below all that is said, instead of the one that is there; an empty one removes it. Only for a terminal.
pub fn status(line: String) {
    if let Some(queue) = THREAD.get() {
        // The next one has newer numbers.
        let _ = queue.try_send(Message::Status(line));
    }
}

/// Says a line.
macro_rules! say {
    ($($args:tt)*) => {
        $crate::messages::say::text(format!("{}\n", format_args!($($args)*)))
    };
}
pub(crate) use say;

/// Waits until all is written, for a while; before the process ends.
pub fn finish() {
    let Some(queue) = THREAD.get() else { return };
    let (done, written) = sync_channel(1);
    if queue.try_send(Message::Flush(done)).is_ok() {
        let _ = written.recv_timeout(END_PATIENCE);
    }
}
