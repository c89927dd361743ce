//! What a connection that another one announced carries, for who announced it: FTP's control connection names the file of its
//! data connection. And what is known of the file before it comes.

use std::sync::{Mutex, PoisonError};

use crate::event::Fuid;

/// The last file that announced connections have carried. They may be another worker's.
#[derive(Debug, Default)]
pub struct Carried {
    last: Mutex<LastFile>,
    /// The file's name, if who announced it told it.
    name: Option<Box<[u8]>>,
}

/// A file, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFile {
    /// Its id.
    pub fuid: Option<Fuid>,
    /// Its type, by a look at its beginning.
    pub mime: Option<&'static str>,
}

impl Carried {
    /// A file of this name is to come.
    pub fn named(name: &[u8]) -> Carried {
        Carried {
            last: Mutex::default(),
            name: Some(name.into()),
        }
    }

    /// The name that the file was announced with.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

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
        work(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
