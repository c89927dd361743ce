//! How SSH is known by its first bytes.

use crate::analyzer::pattern::{Match, Rule, starts, then};

pub const RULES: &[Rule] = &[Rule::Both(version, version)];

/// `SSH-1.` or `SSH-2.`, of either side.
fn version(b: &[u8]) -> Match {
    then(
        then(starts(b, b"ssh-"), b, 4, |c| c == b'1' || c == b'2'),
        b,
        5,
        |c| c == b'.',
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn first_bytes_decide() {
        assert_eq!(version(b"SSH-2.0-x"), Yes);
        assert_eq!(version(b"SSH-3."), No);
        assert_eq!(version(b""), More);
    }
}
