//! What commands write to standard output.

use std::io::{self, ErrorKind, Write as _};

/// Writes it. A reader that has gone has seen enough.
pub fn print(text: &[u8]) -> io::Result<()> {
    match io::stdout().lock().write_all(text) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
