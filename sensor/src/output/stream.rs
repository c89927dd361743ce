//! The event stream: a JSON line an event, to a file or standard output.
//!
//! Lines are made on the engine's thread into a buffer; full buffers go to a thread that writes them. Where several
//! threads have events, each has a front of its own. In
//! live mode a reader that cannot keep up never holds up the engine: what does not fit is dropped,
//! counted, and said in the stream. Offline nothing is lost: the engine waits.
#![allow(unsafe_code, reason = "fcntl is a system call")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::patience::{Limit, Patience, Progress};
use super::rotation::Rotation;
use crate::event::{Event, Handler, Kind, Subscriptions, Ts, json};
use crate::profile::place::{Part, begin_thread};

mod named;

use named::{Asked, Named, Out, Plain};

/// Bytes gathered before a buffer is handed over.
const BATCH_BYTES: usize = 64 * 1024;

/// Buffers between the two threads: 4 MiB of lines, unless single lines are huge.
const MAX_QUEUED: usize = 64;

/// How long the end of a live stream waits for its reader.
const READER_LIMIT: Limit = Limit {
    stuck: Duration::from_secs(3),
    slow: Duration::from_secs(8),
};

/// Time between two looks at whether the reader has read.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What happens when the reader is slower than the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The engine waits (offline).
    Wait,
    /// Events are dropped, counted and reported in the stream (live).
    Drop,
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The reader has closed its end.
    #[error("the reader of the event stream is gone")]
    ReaderGone,
    /// At the end of a live run the reader has the stream open and does not read.
    #[error("the reader of the event stream does not read; its last {0} events are lost")]
    ReaderStuck(u64),
    /// Writing failed.
    #[error("cannot write the event stream: {0}")]
    Write(#[source] io::Error),
}

/// How many events went into a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
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
    patience: Patience,
    buf: Vec<u8>,
    /// Events in `buf`.
    pending: u64,
    /// Events dropped that are not yet reported in the stream or in `buf`.
    unsaid: u64,
    /// Dropped events that `buf` itself reports.
    saying: u64,
    totals: StreamTotals,
    /// How many of which kind came, if that is counted, since this was last told to the others.
    kinds: Option<Kinds>,
    ledger: Arc<Ledger>,
    last: Ts,
    queue: Option<SyncSender<ToWrite>>,
    /// Written buffers on their way back.
    empty: Receiver<Vec<u8>>,
    back: SyncSender<Vec<u8>>,
    /// The stream's own front has it.
    writer: Option<JoinHandle<io::Result<()>>>,
}

/// What all fronts of a stream share with its writing thread.
#[derive(Debug, Default)]
struct Ledger {
    /// Events that the queue took, those that were written, and those that were dropped.
    handed: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    /// Events of each kind that came, by [`Kind::place`], if they are counted.
    kinds: OnceLock<Vec<AtomicU64>>,
    /// Nothing more can be written.
    ended: AtomicBool,
    asked: Arc<Asked>,
    progress: Progress,
}

/// How many events of which kind one thread has had.
#[derive(Debug)]
struct Kinds {
    /// By [`Kind::place`].
    counts: Box<[u64]>,
    /// Those of which there are any.
    met: Vec<usize>,
}

impl Kinds {
    fn new() -> Self {
        Kinds {
            counts: vec![0; Kind::PLACES].into(),
            met: Vec::new(),
        }
    }

    fn add(&mut self, kind: Kind) {
        let at = kind.place();
        if let Some(n) = self.counts.get_mut(at) {
            if *n == 0 {
                self.met.push(at);
            }
            *n += 1;
        }
    }

    fn tell(&mut self, all: &[AtomicU64]) {
        for at in self.met.drain(..) {
            if let (Some(n), Some(sum)) = (self.counts.get_mut(at), all.get(at)) {
                sum.fetch_add(std::mem::take(n), Ordering::Relaxed);
            }
        }
    }
}

/// A buffer to write, the number of its events, and the channel that returns it when it is written.
type ToWrite = (Vec<u8>, u64, SyncSender<Vec<u8>>);

/// Bytes that a live stream gathers, while the queue is full, before it drops events. Buffers handed over every few
/// milliseconds are small, so a short pause of the reader fills the queue with few bytes.
const MAX_GATHERED_BYTES: usize = 1 << 20;

impl EventStream {
    /// A stream of the kinds in `subs` to `target`, `-` for standard output. A file is begun anew. A pipe that nobody
    /// reads is no error and not waited for: events wait in the queue until somebody does. `rotation`: when a file is rotated.
    pub fn open(
        target: &str,
        subs: Subscriptions,
        rotation: Rotation,
        when_full: WhenFull,
        patience: Patience,
    ) -> io::Result<EventStream> {
        let ledger = Arc::<Ledger>::default();
        let path = PathBuf::from(target);
        if target == "-" {
            // Not the locked, line-buffered handle: buffers here are large already.
            return Self::start(|| Ok(Plain(io::stdout())), subs, when_full, patience, ledger);
        }
        let is_pipe = fs::metadata(&path).is_ok_and(|m| m.file_type().is_fifo());
        if !is_pipe {
            let file = Named::begin(path, rotation, ledger.asked.clone())?;
            return Self::start(|| Ok(file), subs, when_full, patience, ledger);
        }
        match open_read_pipe(&path) {
            Ok(pipe) => Self::start(|| Ok(Plain(pipe)), subs, when_full, patience, ledger),
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {
                match when_full {
                    WhenFull::Wait => tracing::warn!("nobody reads {target}: waiting for somebody who does"),
                    WhenFull::Drop => tracing::warn!(
                        "nobody reads {target}: events wait, and are lost and counted when too many do"
                    ),
                }
                // Opening waits for a reader, perhaps for ever.
                let open = move || OpenOptions::new().write(true).open(&path).map(Plain);
                Self::start(open, subs, when_full, patience, ledger)
            }
            Err(e) => Err(e),
        }
    }

    /// A stream into `out`.
    pub fn new(
        out: impl Write + Send + 'static,
        subs: Subscriptions,
        when_full: WhenFull,
    ) -> io::Result<EventStream> {
        EventStream::start(
            || Ok(Plain(out)),
            subs,
            when_full,
            Patience::default(),
            Arc::default(),
        )
    }

    /// A stream into what `open` opens, on the stream's own thread.
    fn start<O: Out>(
        open: impl FnOnce() -> io::Result<O> + Send + 'static,
        subs: Subscriptions,
        when_full: WhenFull,
        patience: Patience,
        ledger: Arc<Ledger>,
    ) -> io::Result<EventStream> {
        let (queue, full) = sync_channel(MAX_QUEUED);
        let of_thread = ledger.clone();
        let writer = std::thread::Builder::new().name("events".into()).spawn(move || {
            begin_thread("events", Part::Events);
            let result = open().and_then(|out| write_all(out, &full, &of_thread));
            // Whatever was the reason, nothing is written from here on.
            of_thread.ended.store(true, Ordering::Relaxed);
            result
        })?;
        let mut stream = EventStream::front(subs, when_full, patience, queue, ledger);
        stream.writer = Some(writer);
        Ok(stream)
    }

    fn front(
        subs: Subscriptions,
        when_full: WhenFull,
        patience: Patience,
        queue: SyncSender<ToWrite>,
        ledger: Arc<Ledger>,
    ) -> EventStream {
        let (back, empty) = sync_channel(MAX_QUEUED);
        EventStream {
            subs,
            when_full,
            patience,
            buf: Vec::with_capacity(BATCH_BYTES * 2),
            pending: 0,
            unsaid: 0,
            saying: 0,
            totals: StreamTotals::default(),
            kinds: ledger.kinds.get().map(|_| Kinds::new()),
            ledger,
            last: 0,
            queue: Some(queue),
            empty,
            back,
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
            self.patience.clone(),
            queue,
            self.ledger.clone(),
        ))
    }

    /// Counts events by their kinds from here on, also for fronts that are made later.
    pub fn count_kinds(&mut self) {
        let all = || (0..Kind::PLACES).map(|_| AtomicU64::new(0)).collect();
        self.ledger.kinds.get_or_init(all);
        self.kinds = Some(Kinds::new());
    }

    /// How many events of which kinds there were, if they are counted: those that were written, and those for which there was
    /// no room.
    pub fn kinds(&self) -> Vec<(Kind, u64)> {
        let all = self.ledger.kinds.get().map_or(&[][..], Vec::as_slice);
        let met = all
            .iter()
            .enumerate()
            .map(|(at, n)| (at, n.load(Ordering::Relaxed)));
        met.filter(|(_, n)| *n > 0)
            .map(|(at, n)| (Kind::at(at), n))
            .collect()
    }

    /// Events that wait to be written.
    pub fn queued(&self) -> u64 {
        let written = self.ledger.written.load(Ordering::Relaxed);
        self.ledger.handed.load(Ordering::Relaxed).saturating_sub(written)
    }

    /// Events that all fronts have dropped so far.
    pub fn dropped(&self) -> u64 {
        self.ledger.dropped.load(Ordering::Relaxed)
    }

    /// Has the file opened anew before anything more is written, if the stream goes to one: it was perhaps moved away.
    pub fn reopen(&self) {
        self.ledger.asked.reopen.store(true, Ordering::Relaxed);
    }

    /// Has the file rotated, if the stream goes to one and that has events.
    pub fn rotate(&self) {
        self.ledger.asked.rotate.store(true, Ordering::Relaxed);
    }

    /// When the file is rotated is something else from now on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.ledger.asked.rotation.put(rotation);
    }

    /// Whether nothing more can be written; [`EventStream::finish`] says why.
    pub fn ended(&self) -> bool {
        self.ledger.ended.load(Ordering::Relaxed)
    }

    /// Counts so far.
    pub fn totals(&self) -> StreamTotals {
        self.totals
    }

    /// Hands over what has been gathered; to be called now and then, so that rare events come out too.
    pub fn flush(&mut self) {
        if !self.buf.is_empty() {
            self.hand_over();
        }
    }

    /// Writes what is left, waiting for the reader (live not for long), and ends the stream.
    pub fn finish(mut self) -> Result<StreamTotals, StreamError> {
        if self.when_full == WhenFull::Drop {
            self.patience.begin();
        }
        if !self.buf.is_empty() {
            self.hand_over();
        }
        if self.unsaid > 0 {
            self.say_dropped();
            self.hand_over();
        }
        self.queue = None;
        if let (WhenFull::Drop, Some(writer)) = (self.when_full, &self.writer) {
            while !writer.is_finished() {
                if !self.patience.lasts(&self.ledger.progress, READER_LIMIT) {
                    // The thread sits in a write; it ends with the process.
                    let written = self.ledger.written.load(Ordering::Relaxed);
                    let handed = self.ledger.handed.load(Ordering::Relaxed);
                    return Err(StreamError::ReaderStuck(handed.saturating_sub(written)));
                }
                std::thread::sleep(LOOK_EVERY);
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

    /// Begins the buffer with the number of events that are missing before it.
    fn say_dropped(&mut self) {
        let out = &mut self.buf;
        out.extend_from_slice(b"{\"event\":\"events_dropped\",\"ts\":");
        json::time(out, self.last);
        out.extend_from_slice(b",\"args\":{\"count\":");
        json::count(out, self.unsaid);
        out.extend_from_slice(b"}}\n");
        self.saying = std::mem::take(&mut self.unsaid);
    }

    fn hand_over(&mut self) {
        if let (Some(kinds), Some(all)) = (&mut self.kinds, self.ledger.kinds.get()) {
            kinds.tell(all);
        }
        let Some(queue) = &self.queue else { return };
        let fresh = self.empty.try_recv().unwrap_or_default();
        let events = std::mem::take(&mut self.pending);
        let full = (std::mem::replace(&mut self.buf, fresh), events, self.back.clone());
        let said = std::mem::take(&mut self.saying);
        let refused = match self.when_full {
            WhenFull::Wait => queue.send(full).err().map(|e| e.0),
            WhenFull::Drop => {
                let mut left = refused(queue.try_send(full));
                while !self.ended() && self.patience.lasts(&self.ledger.progress, READER_LIMIT) {
                    let Some(b) = left.take() else { break };
                    std::thread::sleep(LOOK_EVERY);
                    left = refused(queue.try_send(b));
                }
                left
            }
        };
        match refused {
            None => {
                self.totals.written += events;
                self.ledger.handed.fetch_add(events, Ordering::Relaxed);
            }
            Some((b, ..))
                if self.when_full == WhenFull::Drop
                    && !self.patience.began()
                    && b.len() < MAX_GATHERED_BYTES
                    && !self.ended() =>
            {
                self.buf = b;
                (self.pending, self.saying) = (events, said);
            }
            Some((mut b, ..)) => {
                b.clear();
                self.buf = b;
                self.totals.dropped += events;
                self.ledger.dropped.fetch_add(events, Ordering::Relaxed);
                // The line that said how many were missing went with the buffer.
                self.unsaid += said + events;
            }
        }
    }
}

/// The buffer of a message that found no room in the queue.
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

    fn event(&mut self, ts: Ts, ev: &dyn Event) {
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
        if let Some(kinds) = &mut self.kinds {
            kinds.add(ev.kind());
        }
        if self.buf.len() >= BATCH_BYTES {
            self.hand_over();
        }
    }
}

/// Opens a pipe to write to; ENXIO: nobody has it open to read.
fn open_read_pipe(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    let pipe = how.write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    // From here on a full pipe waits for its reader.
    // SAFETY: a system call on a descriptor that is open.
    match unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, 0) } {
        0 => Ok(pipe),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The writing thread: ends when the stream is finished or a write fails.
fn write_all(mut out: impl Out, full: &Receiver<ToWrite>, ledger: &Ledger) -> io::Result<()> {
    loop {
        let next = match out.wait() {
            Some(wait) => full.recv_timeout(wait),
            None => full.recv().map_err(Into::into),
        };
        let (mut buf, events, back) = match next {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) => {
                out.keep_up();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        out.keep_up();
        out.lines(&buf)?;
        ledger.written.fetch_add(events, Ordering::Relaxed);
        ledger.progress.made();
        buf.clear();
        // A single huge line must not keep its memory for good.
        if buf.capacity() <= BATCH_BYTES * 4 {
            let _ = back.try_send(buf);
        }
    }
}

#[cfg(test)]
mod tests;
