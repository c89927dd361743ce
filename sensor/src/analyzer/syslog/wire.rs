//! A syslog message, from bytes to its priority and text.

/// What Zeek calls facility and severity of a message that says none.
pub const UNSPECIFIED: u64 = 999;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'m> {
    /// The number in angle brackets before the text, if there are any.
    pub priority: Option<u64>,
    /// All behind it, with timestamp, host and whatever ends it.
    pub text: &'m [u8],
}

impl Message<'_> {
    /// Who speaks: the seven bits above the severity.
    pub fn facility(&self) -> u64 {
        self.priority.map_or(UNSPECIFIED, |p| p >> 3 & 0x7f)
    }

    /// How bad it is: three bits.
    pub fn severity(&self) -> u64 {
        self.priority.map_or(UNSPECIFIED, |p| p & 7)
    }
}

/// Reads a datagram. What begins with a bracket must have a priority; the error is a violation's reason.
pub fn read(msg: &[u8]) -> Result<Message<'_>, &'static str> {
    let Some(inside) = msg.strip_prefix(b"<") else {
        return Ok(Message {
            priority: None,
            text: msg,
        });
    };
    let digits = inside.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = inside.split_at(digits);
    if number.is_empty() {
        return Err("syslog priority without digits");
    }
    let text = rest.strip_prefix(b">").ok_or("syslog priority without an end")?;
    let number = number
        .iter()
        .try_fold(0u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')));
    let priority = Some(number.ok_or("syslog priority too large")?);
    Ok(Message { priority, text })
}
