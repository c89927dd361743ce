//! The event stream: a JSON line an event, to a file or standard output.
//!
//! Lines are made on the engine's thread into a buffer; full buffers go to a thread that writes them. Where several
//! threads have events, each has a front of its own. In
//! live mode a reader that cannot keep up never holds up the engine: what does not fit is dropped,
//! counted, and said in the stream. Offline nothing is lost: the engine waits.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::{Event, Handler, Subscriptions, Ts, json};

/// Bytes gathered before a buffer is handed over.
const BATCH: usize = 64 * 1024;

/// Buffers between the two threads: 4 MiB of lines, unless single lines are huge.
const QUEUE: usize = 64;

/// How long the end of a live stream waits for its reader.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks at whether the reader has read.
const NAP: Duration = Duration::from_millis(5);

/// What happens when the reader is slower than the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The engine waits (offline).
    Wait,
    /// Events are dropped, counted and reported in the stream (live).
    Drop,
}

/// The same for a single buffer.
#[derive(Clone, Copy)]
enum Patience {
    Wait,
    Drop,
    WaitUntil(Instant),
}

impl From<WhenFull> for Patience {
    fn from(w: WhenFull) -> Patience {
        match w {
            WhenFull::Wait => Patience::Wait,
            WhenFull::Drop => Patience::Drop,
        }
    }
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Nobody reads any more.
    #[error("the reader of the event stream is gone")]
    ReaderGone,
    /// Live, at the end: somebody has the stream open and does not read.
    #[error("the reader of the event stream does not read; its last events are lost")]
    ReaderStuck,
    /// The file takes no more.
    #[error("cannot write the event stream: {0}")]
    Write(#[source] io::Error),
}

/// How much went into a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events handed to the writing thread.
    pub written: u64,
    /// Events dropped because the reader was too slow.
    pub dropped: u64,
}

/// Writes the events somebody asked for.
#[derive(Debug)]
pub struct EventStream {
    subs: Subscriptions,
    when_full: WhenFull,
    /// Set at the end of a live stream: until then there is time to wait.
    patient: Option<Instant>,
    buf: Vec<u8>,
    /// Events in `buf`.
    pending: u64,
    /// Events dropped and not yet said in the stream or in `buf`.
    unsaid: u64,
    /// Of the events dropped, those that `buf` itself says.
    saying: u64,
    totals: Totals,
    /// Dropped by all fronts of the stream.
    dropped: Arc<AtomicU64>,
    last: Ts,
    queue: Option<SyncSender<ToWrite>>,
    /// Written buffers on their way back.
    empty: Receiver<Vec<u8>>,
    back: SyncSender<Vec<u8>>,
    ended: Arc<AtomicBool>,
    /// The stream's own front has it.
    writer: Option<JoinHandle<io::Result<()>>>,
}

/// A buffer to be written, and where it goes when it is.
type ToWrite = (Vec<u8>, SyncSender<Vec<u8>>);

/// Live, a front whose buffers find no room goes on gathering up to so many bytes before it drops them: handed over
/// every few milliseconds, buffers are small, and a short pause of the reader fills the queue with little.
const MOST_GATHERED: usize = 1 << 20;

impl EventStream {
    /// A stream of the kinds in `subs` to `target`, `-` for standard output.
    pub fn open(target: &str, subs: Subscriptions, when_full: WhenFull) -> io::Result<EventStream> {
        if target == "-" {
            // Not the locked, line-buffered handle: buffers here are large already.
            EventStream::new(io::stdout(), subs, when_full)
        } else {
            EventStream::new(File::create(target)?, subs, when_full)
        }
    }

    /// A stream into `out`.
    pub fn new(
        out: impl Write + Send + 'static,
        subs: Subscriptions,
        when_full: WhenFull,
    ) -> io::Result<EventStream> {
        let (queue, full) = sync_channel(QUEUE);
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let writer = std::thread::Builder::new().name("events".into()).spawn(move || {
            let result = write_all(out, &full);
            // Whatever was the reason, nothing is written from here on.
            flag.store(true, Ordering::Relaxed);
            result
        })?;
        let mut stream = EventStream::front(subs, when_full, queue, Arc::default(), ended);
        stream.writer = Some(writer);
        Ok(stream)
    }

    fn front(
        subs: Subscriptions,
        when_full: WhenFull,
        queue: SyncSender<ToWrite>,
        dropped: Arc<AtomicU64>,
        ended: Arc<AtomicBool>,
    ) -> EventStream {
        let (back, empty) = sync_channel(QUEUE);
        EventStream {
            subs,
            when_full,
            patient: None,
            buf: Vec::with_capacity(BATCH * 2),
            pending: 0,
            unsaid: 0,
            saying: 0,
            totals: Totals::default(),
            dropped,
            last: 0,
            queue: Some(queue),
            empty,
            back,
            ended,
            writer: None,
        }
    }

    /// Another front of the stream, for another thread: its lines are its own until they are handed over. To be
    /// finished before this one.
    pub fn another(&self) -> Option<EventStream> {
        let queue = self.queue.clone()?;
        Some(EventStream::front(
            self.subs,
            self.when_full,
            queue,
            self.dropped.clone(),
            self.ended.clone(),
        ))
    }

    /// Events that all fronts have dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether nothing more can be written; [`EventStream::finish`] says why.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Hands over what has been gathered; to be called now and then, so that rare events come out too.
    pub fn flush(&mut self) {
        if !self.buf.is_empty() {
            self.hand_over(self.patience());
        }
    }

    /// From here on what finds no room waits for it, until `deadline`.
    pub fn be_patient(&mut self, deadline: Instant) {
        self.patient = Some(deadline);
    }

    fn patience(&self) -> Patience {
        self.patient.map_or(self.when_full.into(), Patience::WaitUntil)
    }

    /// Writes what is left, waiting for the reader (live not for long), and ends the stream.
    pub fn finish(mut self) -> Result<Totals, StreamError> {
        let deadline = (self.when_full == WhenFull::Drop).then(|| Instant::now() + LAST_PATIENCE);
        let last = match deadline {
            Some(at) => Patience::WaitUntil(at),
            None => Patience::Wait,
        };
        if !self.buf.is_empty() {
            self.hand_over(last);
        }
        if self.unsaid > 0 {
            self.say_dropped();
            self.hand_over(last);
        }
        self.queue = None;
        if let (Some(deadline), Some(writer)) = (deadline, &self.writer) {
            while !writer.is_finished() {
                if Instant::now() >= deadline {
                    // The thread sits in a write; it ends with the process.
                    return Err(StreamError::ReaderStuck);
                }
                std::thread::sleep(NAP);
            }
        }
        let result = match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread failed")),
            None => Ok(()),
        };
        match result {
            Ok(()) => Ok(self.totals),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(StreamError::ReaderGone),
            Err(e) => Err(StreamError::Write(e)),
        }
    }

    /// Begins the buffer with how many events are missing before it.
    fn say_dropped(&mut self) {
        let out = &mut self.buf;
        out.extend_from_slice(b"{\"event\":\"events_dropped\",\"ts\":");
        json::time(out, self.last);
        out.extend_from_slice(b",\"args\":{\"count\":");
        json::count(out, self.unsaid);
        out.extend_from_slice(b"}}\n");
        self.saying = std::mem::take(&mut self.unsaid);
    }

    fn hand_over(&mut self, when_full: Patience) {
        let Some(queue) = &self.queue else { return };
        let fresh = self.empty.try_recv().unwrap_or_default();
        let full = (std::mem::replace(&mut self.buf, fresh), self.back.clone());
        let events = std::mem::take(&mut self.pending);
        let said = std::mem::take(&mut self.saying);
        let refused = match when_full {
            Patience::Wait => queue.send(full).err().map(|e| e.0),
            Patience::Drop => refused(queue.try_send(full)),
            Patience::WaitUntil(deadline) => {
                let mut left = refused(queue.try_send(full));
                while !self.ended.load(Ordering::Relaxed) && Instant::now() < deadline {
                    let Some(b) = left.take() else { break };
                    std::thread::sleep(NAP);
                    left = refused(queue.try_send(b));
                }
                left
            }
        };
        match refused {
            None => self.totals.written += events,
            Some((b, _))
                if matches!(when_full, Patience::Drop) && b.len() < MOST_GATHERED && !self.ended() =>
            {
                self.buf = b;
                (self.pending, self.saying) = (events, said);
            }
            Some((mut b, _)) => {
                b.clear();
                self.buf = b;
                self.totals.dropped += events;
                self.dropped.fetch_add(events, Ordering::Relaxed);
                // The line that said how many were missing went with the buffer.
                self.unsaid += said + events;
            }
        }
    }
}

/// The buffer that found no room.
fn refused(sent: Result<(), TrySendError<ToWrite>>) -> Option<ToWrite> {
    match sent {
        Ok(()) => None,
        Err(TrySendError::Full(b) | TrySendError::Disconnected(b)) => Some(b),
    }
}

impl Handler for EventStream {
    fn wants(&self) -> Subscriptions {
        self.subs
    }

    fn event(&mut self, ts: Ts, ev: &Event<'_>) {
        if !self.subs.wants(ev.kind()) || self.ended() {
            return;
        }
        self.last = ts;
        if self.unsaid > 0 && self.buf.is_empty() {
            self.say_dropped();
        }
        ev.write_json(ts, &mut self.buf);
        self.buf.push(b'\n');
        self.pending += 1;
        if self.buf.len() >= BATCH {
            self.hand_over(self.patience());
        }
    }
}

/// The writing thread: ends when the stream is finished or a write fails.
fn write_all(mut out: impl Write, full: &Receiver<ToWrite>) -> io::Result<()> {
    while let Ok((mut buf, back)) = full.recv() {
        out.write_all(&buf)?;
        out.flush()?;
        buf.clear();
        // A single huge line must not keep its memory for good.
        if buf.capacity() <= BATCH * 4 {
            let _ = back.try_send(buf);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
