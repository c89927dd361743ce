//! What a connection that another one announced carries, for who announced it: FTP's control connection names the file of its
//! data connection.

use std::sync::{Mutex, PoisonError};

use crate::event::Fuid;

/// The last file that announced connections have carried. They may be another worker's.
#[derive(Debug, Default)]
pub struct Carried(Mutex<LastFile>);

/// A file, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFile {
    /// Its id.
    pub fuid: Option<Fuid>,
    /// Its type, by a look at its beginning.
    pub mime: Option<&'static str>,
}

impl Carried {
    /// A file begins.
    pub fn begins(&self, fuid: Fuid) {
        self.with(|last| last.fuid = Some(fuid));
    }

    /// A file's type is known.
    pub fn is_of(&self, mime: &'static str) {
        self.with(|last| last.mime = Some(mime));
    }

    /// What was told since the last time.
    pub fn take(&self) -> LastFile {
        self.with(std::mem::take)
    }

    fn with<R>(&self, work: impl FnOnce(&mut LastFile) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
