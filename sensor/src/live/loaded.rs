//! Files that were loaded at the start, signatures and scripts: whether others lie in their place by now.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::settings::Settings;

/// A file's digest; None: it cannot be read.
type Digest = Option<[u8; 32]>;

/// What was in the files at the start.
pub struct Loaded(Vec<(PathBuf, Digest)>);

impl Loaded {
    /// The files that the settings name.
    pub fn new(settings: &Settings) -> Loaded {
        let files = settings.signatures.files.iter().chain(&settings.scripts.files);
        Loaded(files.map(|f| (f.clone(), digest(f))).collect())
    }

    /// Says which of them are others.
    pub fn said(&self) -> Option<String> {
        let is_other = |(file, before): &&(PathBuf, Digest)| digest(file) != *before;
        let others: Vec<_> = self.0.iter().filter(is_other).collect();
        let names: Vec<_> = others.iter().map(|(f, _)| f.display().to_string()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "what was loaded from these files holds until the next start: {}",
                names.join(", ")
            )
        })
    }
}

fn digest(file: &Path) -> Digest {
    let mut hash = Sha256::new();
    let read = File::open(file).and_then(|mut f| io::copy(&mut f, &mut hash));
    read.ok().map(|_| hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_changed_are_named() {
        let dir = std::env::temp_dir().join(format!("sensor-loaded-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let (sig, script) = (dir.join("a.sig"), dir.join("b.lua"));
        std::fs::write(&sig, "one").expect("a file");
        let mut settings = Settings::default();
        settings.signatures.files.push(sig.clone());
        settings.scripts.files.push(script.clone());
        let loaded = Loaded::new(&settings);
        assert_eq!(loaded.said(), None);
        std::fs::write(&sig, "two").expect("a file");
        let said = loaded.said().expect("a change");
        assert!(said.ends_with(&format!(": {}", sig.display())), "{said}");
        std::fs::write(&sig, "one").expect("a file");
        std::fs::write(&script, "").expect("a file");
        assert!(loaded.said().expect("a change").ends_with("b.lua"));
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
