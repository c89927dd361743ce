//! The first bytes of a connection that another engine may come to announce: it reads the records of the control connection
//! when it gets a processor, and this one may be faster.

use std::sync::Arc;

use crate::base::time::MILLISECOND;
use crate::event::Ts;

/// Most bytes kept of a connection: what a gigabit brings in four milliseconds.
const MOST_BYTES: usize = 512 << 10;
/// How long after its first bytes a connection that goes on is still waited for, ns.
const PATIENCE: Ts = 100 * MILLISECOND;
/// Most connections of an engine at a time; of further ones nothing is kept.
const MOST: usize = 32;

/// How many there are.
#[derive(Debug, Default)]
pub struct Places(Arc<()>);

/// All that a connection has carried so far, in one direction only.
#[derive(Debug)]
pub struct Late {
    pub is_orig: bool,
    pub bytes: Vec<u8>,
    since: Ts,
    /// Held while this is.
    _place: Arc<()>,
}

impl Places {
    /// One for a connection whose first bytes come now.
    pub fn take(&self, is_orig: bool, now: Ts) -> Option<Late> {
        // One of the hands is this one.
        (Arc::strong_count(&self.0) <= MOST).then(|| Late {
            is_orig,
            bytes: Vec::new(),
            since: now,
            _place: self.0.clone(),
        })
    }
}

impl Late {
    /// With these bytes behind what there is; `None` if it is no longer to be waited for.
    pub fn and(mut self, is_orig: bool, bytes: &[u8], now: Ts) -> Option<Late> {
        let room = MOST_BYTES.saturating_sub(self.bytes.len());
        if is_orig != self.is_orig || bytes.len() > room || now > self.since.saturating_add(PATIENCE) {
            return None;
        }
        self.bytes.extend_from_slice(bytes);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let places = Places::default();
        let all: Vec<_> = (0..MOST).map_while(|_| places.take(true, 0)).collect();
        assert_eq!(all.len(), MOST);
        assert!(places.take(true, 0).is_none());
        drop(all);
        let kept = || places.take(true, 5).and_then(|l| l.and(true, b"abc", 5));
        assert_eq!(kept().map(|l| l.bytes), Some(b"abc".to_vec()));
        assert!(
            kept().and_then(|l| l.and(false, b"d", 6)).is_none(),
            "two directions"
        );
        assert!(
            kept()
                .and_then(|l| l.and(true, &[0; MOST_BYTES - 2], 6))
                .is_none()
        );
        assert!(
            kept()
                .and_then(|l| l.and(true, &[0; MOST_BYTES - 3], 6))
                .is_some()
        );
        assert!(kept().and_then(|l| l.and(true, b"d", 6 + PATIENCE)).is_none());
    }
}
