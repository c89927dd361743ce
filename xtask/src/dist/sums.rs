//! The digests of what is handed out, as `sha256sum -c` reads them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::shell;

const NAME: &str = "SHA256SUMS";

/// Writes them for every file in the folder, which gets a file of its own with them.
pub fn write(folder: &Path) -> Result<()> {
    let mut files = shell::files(folder)?;
    files.sort();
    let mut text = String::new();
    for file in files {
        let name = file.strip_prefix(folder)?.display();
        let digest = Sha256::digest(fs::read(&file)?);
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        text.push_str(&format!("{hex}  {name}\n"));
    }
    fs::write(folder.join(NAME), text).with_context(|| format!("cannot write {NAME}"))
}
