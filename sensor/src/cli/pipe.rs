//! Captures that come through a pipe, perhaps slowly: a thread reads, so that who takes what it read never waits for long,
//! and a clock says how far network time has gone on meanwhile.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::stop::Stop;
use crate::event::Ts;
use crate::packet::capture::{Capture, CaptureError};

/// Longest wait until the reader gets the time to do other things, however much or little comes.
const PAUSE_EVERY: Duration = Duration::from_millis(200);
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks between the two threads.
const MAX_QUEUED_CHUNKS: usize = 16;

/// Opens a capture; `-` is standard input. What may keep a reader waiting is read by a thread of its own, ends when the
/// process is to stop, and sets `clock`.
pub fn open(path: &Path, stop: &Stop, clock: &mut Option<PipeClock>) -> Result<Capture, CaptureError> {
    let name = path.display().to_string();
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source| CaptureError::Open { path, source }
    };
    let (name, input): (&str, Box<dyn FnOnce() -> io::Result<File> + Send>) = if name == "-" {
        let name = "standard input";
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed(name))?;
        let input = File::from(input);
        if input.metadata().is_ok_and(|m| m.is_file()) {
            return Capture::from_reader(name, Box::new(input));
        }
        (name, Box::new(move || Ok(input)))
    } else {
        let kind = path.metadata().map_err(failed(&name))?;
        if kind.is_file() || kind.is_dir() {
            return Capture::open(path);
        }
        let path = path.to_owned();
        // A named pipe that nobody writes to yet waits here.
        (&name, Box::new(move || File::open(path)))
    };
    let (pipe, its_clock) = Pipe::start(input, stop.clone()).map_err(failed(name))?;
    *clock = Some(its_clock);
    Capture::from_reader(name, Box::new(pipe))
}

/// A buffer, the number of bytes read into it, and when that was (ns since [`Pipe::start`]); or the error of the read.
type Chunk = io::Result<(Vec<u8>, usize, u64)>;

/// The reading end. It returns [`io::ErrorKind::WouldBlock`] at least every [`PAUSE_EVERY`].
struct Pipe {
    chunks: Receiver<Chunk>,
    /// Returns used chunks to the thread.
    empty: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    end: usize,
    next_tick: Instant,
    arrived: Arc<AtomicU64>,
    stop: Stop,
}

impl Pipe {
    fn start(
        input: impl FnOnce() -> io::Result<File> + Send + 'static,
        stop: Stop,
    ) -> io::Result<(Pipe, PipeClock)> {
        let start = Instant::now();
        let (full, chunks) = sync_channel(MAX_QUEUED_CHUNKS);
        let (empty, back) = sync_channel(MAX_QUEUED_CHUNKS);
        std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || read_all(input, start, &full, &back))?;
        let arrived = Arc::<AtomicU64>::default();
        let pipe = Pipe {
            chunks,
            empty,
            chunk: Vec::new(),
            at: 0,
            end: 0,
            next_tick: start + PAUSE_EVERY,
            arrived: arrived.clone(),
            stop,
        };
        Ok((pipe, PipeClock::new(start, arrived)))
    }
}

/// The thread that may wait. It ends with the process if the pipe does not.
fn read_all(
    input: impl FnOnce() -> io::Result<File>,
    start: Instant,
    full: &SyncSender<Chunk>,
    back: &Receiver<Vec<u8>>,
) {
    let mut input = match input() {
        Ok(input) => input,
        Err(e) => return drop(full.send(Err(e))),
    };
    loop {
        let mut bytes = back.try_recv().unwrap_or_default();
        bytes.resize(CHUNK_BYTES, 0);
        let chunk = match input.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => Ok((bytes, n, start.elapsed().as_nanos() as u64)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let over = chunk.is_err();
        if full.send(chunk).is_err() || over {
            return;
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, mut into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(rest) = self.chunk.get(self.at..self.end).filter(|r| !r.is_empty()) {
                let n = into.write(rest)?;
                self.at += n;
                return Ok(n);
            }
            if self.stop.signal().is_some() {
                return Ok(0);
            }
            let now = Instant::now();
            if now >= self.next_tick {
                self.next_tick = now + PAUSE_EVERY;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match self.chunks.recv_timeout(self.next_tick - now) {
                Ok(chunk) => {
                    let (bytes, n, at) = chunk?;
                    let _ = self.empty.try_send(std::mem::replace(&mut self.chunk, bytes));
                    (self.at, self.end) = (0, n);
                    self.arrived.store(at, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

/// Network time while nothing comes. It goes on with the wall clock, behind it by the longest delay of a packet so far,
/// because the pipe's writer may gather packets before it writes them. So a packet on its way is later than this time.
pub struct PipeClock {
    start: Instant,
    /// When the latest bytes came, nanoseconds since `start`.
    arrived: Arc<AtomicU64>,
    /// Longest time from a packet's time stamp to its arrival, ns. The two clocks have different starts, so only differences
    /// mean something.
    delay: Option<i64>,
}

impl PipeClock {
    fn new(start: Instant, arrived: Arc<AtomicU64>) -> PipeClock {
        PipeClock {
            start,
            arrived,
            delay: None,
        }
    }

    /// A packet has come.
    pub fn packet(&mut self, ts: Ts) {
        let delay = self.arrived.load(Ordering::Relaxed).wrapping_sub(ts) as i64;
        self.delay = Some(self.delay.map_or(delay, |d| d.max(delay)));
    }

    /// Network time, once a packet has come.
    pub fn now(&self) -> Option<Ts> {
        let wall = self.start.elapsed().as_nanos() as i64;
        let now = wall.checked_sub(self.delay?)?;
        u64::try_from(now).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_behind_by_the_longest_delay() {
        let start = Instant::now() - Duration::from_secs(100);
        let arrived = Arc::<AtomicU64>::default();
        let mut clock = PipeClock::new(start, arrived.clone());
        assert_eq!(clock.now(), None);
        use crate::base::time::SECOND;
        // Two that came together, of which the first had waited for three seconds.
        arrived.store(90 * SECOND, Ordering::Relaxed);
        clock.packet(1_000 * SECOND);
        clock.packet(1_003 * SECOND);
        // One that had not.
        arrived.store(95 * SECOND, Ordering::Relaxed);
        clock.packet(1_008 * SECOND);
        let now = clock.now().expect("a packet has come");
        assert!((1_010 * SECOND..1_011 * SECOND).contains(&now), "{now}");
    }
}
