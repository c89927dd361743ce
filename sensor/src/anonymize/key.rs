//! The key, and what is made of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::base::secret::Secret;

/// Bytes of a key.
const BYTES: usize = 32;
/// Longest file that can be one: 64 digits, and the end of a line.
const MOST: u64 = 2 * BYTES as u64 + 2;
/// Rights of others than the owner.
const OF_OTHERS: u32 = 0o077;

/// A key that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key {path} of --anonymize: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no key.
    #[error(
        "{path} is no key for --anonymize: it has to be 32 bytes, or 64 hexadecimal digits; `head -c 32 /dev/urandom > FILE` makes one",
        path = path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error(
        "the key {path} of --anonymize is open to others than its owner, who could undo what it does: `chmod 600` closes it",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
    },
}

/// What decides which address becomes which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(Secret<BYTES>);

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: [u8; BYTES]) -> Key {
        Key(Secret(bytes))
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Key, KeyError> {
        let failed = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        // A pipe is nobody's but those who have it open.
        if meta.is_file() && meta.mode() & OF_OTHERS != 0 {
            return Err(KeyError::Open {
                path: path.to_owned(),
            });
        }
        let mut text = Vec::new();
        file.take(MOST + 1).read_to_end(&mut text).map_err(failed)?;
        Key::of(&text).ok_or_else(|| KeyError::Length {
            path: path.to_owned(),
        })
    }

    /// The key that a file has.
    fn of(text: &[u8]) -> Option<Key> {
        if let Ok(bytes) = text.try_into() {
            return Some(Key::new(bytes));
        }
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let digits = line.strip_suffix(b"\r").unwrap_or(line);
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?;
        Some(Key::new(bytes.try_into().ok()?))
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8; BYTES] {
        &self.0.0
    }

    /// Bytes that follow from the key, others for each `label` and `more`, and tell nothing of it.
    pub(super) fn derived(&self, label: &str, more: &[u8]) -> [u8; BYTES] {
        let hash = |parts: &[&[u8]]| -> [u8; BYTES] {
            let mut hash = Sha256::new();
            parts.iter().for_each(|p| hash.update(p));
            hash.finalize().into()
        };
        // HMAC (RFC 2104): the key is shorter than a block of 64 bytes.
        let padded = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(self.bytes()).for_each(|(b, k)| *b ^= k);
            block
        };
        let inner = hash(&[&padded(0x36), label.as_bytes(), &[0], more]);
        hash(&[&padded(0x5c), &inner])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn bytes_and_digits_are_keys() {
        let bytes = [0xab; 32];
        let digits = "aB".repeat(32);
        assert_eq!(Key::of(&bytes), Some(Key::new(bytes)));
        for text in [digits.clone(), format!("{digits}\n"), format!("{digits}\r\n")] {
            assert_eq!(Key::of(text.as_bytes()), Some(Key::new(bytes)));
        }
        for no in [
            "",
            "x",
            &digits[1..],
            &format!("{digits}a"),
            &"g".repeat(64),
            &"a".repeat(33),
        ] {
            assert_eq!(Key::of(no.as_bytes()), None, "{no}");
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_none() {
        let path = std::env::temp_dir().join(format!("sensor-key-{}", std::process::id()));
        std::fs::write(&path, [7; 32]).expect("a file");
        let with = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("rights");
            Key::read(&path)
        };
        assert_eq!(with(0o600).expect("a key"), Key::new([7; 32]));
        for mode in [0o640, 0o604, 0o660] {
            let refused = with(mode).expect_err("refused").to_string();
            assert!(refused.contains("chmod 600") && refused.contains(&path.display().to_string()));
        }
        std::fs::write(&path, [7; 100]).expect("a file");
        assert!(matches!(with(0o600), Err(KeyError::Length { .. })));
        std::fs::remove_file(&path).expect("gone");
        assert!(matches!(Key::read(&path), Err(KeyError::Read { .. })));
    }

    #[test]
    fn what_is_derived_is_hmac_and_the_key_is_in_no_message() {
        let key = Key::new([0x0b; 32]);
        // HMAC-SHA256 by Python: hmac.new(b"\x0b"*32, b"label\0more", "sha256").
        assert_eq!(
            data_encoding::HEXLOWER.encode(&key.derived("label", b"more")),
            HMAC
        );
        assert_ne!(key.derived("a", b"b"), key.derived("b", b"b"));
        assert!(!format!("{key:?}").contains("11"));
    }

    const HMAC: &str = "e6e695d72f581f2b4c45f15fbfc8c0dd566b24b6eb02cae1d47eee30be51d306";
}
