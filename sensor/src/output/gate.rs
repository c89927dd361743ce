//! A writer for tests that takes nothing until it is told to.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};

/// Whether the gate is open, and what has gone through it.
type Passed = (bool, Vec<u8>);

/// A writer that takes nothing until the gate opens.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<Passed>, Condvar)>);

impl Gate {
    /// Lets through what waits, and all that comes.
    pub fn open(&self) {
        self.0.0.lock().expect("lock").0 = true;
        self.0.1.notify_all();
    }
    /// What has gone through.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().expect("lock").1.clone()).expect("text")
    }
}

impl Write for Gate {
    fn write(&mut self, b: &[u8]) -> io::Result<usize> {
        let mut g = self.0.0.lock().expect("lock");
        while !g.0 {
            g = self.0.1.wait(g).expect("lock");
        }
        g.1.extend_from_slice(b);
        Ok(b.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
