//! Whether a client is authenticated, by the lengths of what the server sends encrypted (Zeek's rules).
//!
//! All messages of an authentication are padded to the same blocks, so that only how much one is longer than another
//! is known: the server's answer to the first request (SERVICE_ACCEPT, 24 bytes) is 16 bytes longer than success (8). What
//! comes behind the first is the list of methods that is sent at each failure; a length like it is another failure.

/// How much longer SERVICE_ACCEPT is than USERAUTH_SUCCESS, bytes.
const ACCEPT_BEYOND_SUCCESS: i64 = 16;
/// What is so much longer than SERVICE_ACCEPT, bytes, may be a banner. One is passed over.
const BANNER: i64 = 256;
/// Encrypted bytes of both directions among which an authentication is looked for. Where it is not recognised, the session
/// behind it would be read to its end.
pub const WITHIN: u64 = 1 << 20;

/// What an answer of the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not so.
    Failure,
    /// The client is authenticated.
    Success {
        /// At once, by the method `none`.
        none: bool,
    },
}

/// What has been seen of one authentication.
#[derive(Debug, Default)]
pub struct Auth {
    /// Bytes so far.
    seen: u64,
    /// The client has sent something encrypted.
    client_spoke: bool,
    skipped_banner: bool,
    /// Length of the packet with SERVICE_ACCEPT.
    accept: Option<i64>,
    /// Length of the packet with the first failure.
    failure: Option<i64>,
    decided: bool,
}

impl Auth {
    /// Nothing more will be said.
    pub fn is_over(&self) -> bool {
        self.decided || self.seen > WITHIN
    }

    /// A packet has brought `len` encrypted bytes.
    pub fn packet(&mut self, is_orig: bool, len: usize) -> Option<Answer> {
        if self.is_over() {
            return None;
        }
        self.seen += len as u64;
        if is_orig {
            self.client_spoke = true;
            return None;
        }
        // What the server sends first belongs to the key exchange.
        if !self.client_spoke {
            return None;
        }
        self.answer(i64::try_from(len).unwrap_or(i64::MAX))
    }

    fn answer(&mut self, len: i64) -> Option<Answer> {
        let Some(accept) = self.accept else {
            self.accept = Some(len);
            return None;
        };
        let is_success = accept - len == ACCEPT_BEYOND_SUCCESS;
        match self.failure {
            Some(failure) if len == failure => Some(Answer::Failure),
            failure if is_success => {
                self.decided = true;
                let none = failure.is_none();
                Some(Answer::Success { none })
            }
            Some(_) => None,
            None if !self.skipped_banner && len - accept > BANNER => {
                self.skipped_banner = true;
                None
            }
            None => {
                self.failure = Some(len);
                None
            }
        }
    }
}
