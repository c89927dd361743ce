//! Signals that end `sensor read` in order: the first one asks for it, a second one ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// Whether to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// From here on SIGINT and SIGTERM ask for it.
    pub fn listen() -> io::Result<Stop> {
        let stop = Stop::default();
        let asked = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let number = tokio::select! {
                            _ = interrupt.recv() => libc::SIGINT,
                            _ = terminate.recv() => libc::SIGTERM,
                        };
                        if asked.0.swap(number as u8, Ordering::Relaxed) != 0 {
                            // Who asks twice does not want to wait for what is not written yet.
                            std::process::exit(128 + number);
                        }
                    }
                });
            })?;
        Ok(stop)
    }

    /// The signal that asked for it.
    #[inline]
    pub fn signal(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            n => Some(n),
        }
    }
}
