//! What lies in the archive.

use std::fs;
use std::path::{Path, PathBuf};

use crate::output::archived::is_day;

/// A directory and the folders of days in it.
pub fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    for_each_name(dir, |name| {
        let at = dir.join(name);
        if is_day(name) && fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir()) {
            all.push(at);
        }
    });
    all
}

/// The names in a directory. What cannot be read has none.
pub fn for_each_name(dir: &Path, mut each: impl FnMut(&str)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str() {
            each(name);
        }
    }
}
