//! PostgreSQL's messages, read as far as Zeek takes broken ones for another protocol.

use crate::analyzer::fields::Fields;

/// The code of a request for TLS, in place of a version.
const TLS_REQUEST: u32 = 80_877_103;

/// How long a message is that begins so, with its type; 0 if that is not known yet.
pub fn len(begun: &[u8]) -> u64 {
    let mut f = Fields::new(begun);
    f.skip(1)
        .and_then(|()| f.be32())
        .map_or(0, |n| 1 + u64::from(n).max(4))
}

/// How long the client's first message is that begins so; 0 if that is not known yet.
pub fn startup_len(begun: &[u8]) -> u64 {
    Fields::new(begun).be32().map_or(0, |n| u64::from(n).max(8))
}

/// A request for TLS.
pub fn is_tls_request(message: &[u8]) -> bool {
    let mut f = Fields::new(message);
    f.be32() == Some(8) && f.be32() == Some(TLS_REQUEST)
}

/// Whether what has begun so may be the client's first message.
pub fn may_begin(begun: &[u8]) -> bool {
    let mut f = Fields::new(begun);
    let (Some(length), Some(version)) = (f.be32(), f.be32()) else {
        return true;
    };
    length >= 8 && (version >> 16 == 3 || is_tls_request(begun))
}

/// The length that a message states, if it can be one.
pub fn length(message: &[u8]) -> Option<u32> {
    let mut f = Fields::new(message);
    f.skip(1)?;
    f.be32().filter(|n| *n >= 4)
}

/// A startup message.
pub fn startup(message: &[u8]) -> Option<()> {
    let mut f = Fields::new(message);
    let length = f.be32().filter(|n| *n >= 9)?;
    if f.be16()? != 3 {
        return None;
    }
    f.skip(2)?;
    let mut parameters = f.within(u64::from(length) - 9)?.rest();
    while !parameters.is_empty() {
        parameters = pair(parameters, true)?;
    }
    (f.u8()? == 0).then_some(())
}

/// A name and a value, each with a zero behind it; what follows them.
fn pair(bytes: &[u8], has_value: bool) -> Option<&[u8]> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/');
    let is_value = |b: &u8| matches!(b, 0x20..=0x7e);
    let name = bytes.iter().take_while(|b| is_name(b)).count();
    let rest = bytes.get(name..)?.strip_prefix(&[0]).filter(|_| name > 0)?;
    let value = rest.iter().take_while(|b| is_value(b)).count();
    rest.get(value..)?
        .strip_prefix(&[0])
        .filter(|_| value > 0 || !has_value)
}

/// A message of the client.
pub fn from_client(message: &[u8]) -> Option<()> {
    length(message)?;
    let (kind, body) = (message.first()?, message.get(5..)?);
    match kind {
        b'X' => body.is_empty(),
        // One query, to its end.
        b'Q' => body.iter().position(|b| *b == 0) == body.len().checked_sub(1),
        _ => true,
    }
    .then_some(())
}

/// A message of the server.
pub fn from_server(message: &[u8]) -> Option<()> {
    length(message)?;
    let (kind, body) = (message.first()?, message.get(5..)?);
    match kind {
        b'K' => body.len() == 8,
        b'E' | b'N' => fields(body),
        b'R' => {
            let kind = Fields::new(body).be32()?;
            kind <= 12 && (kind != 0 || body.len() == 4)
        }
        b'S' => pair(body, false)?.is_empty(),
        b'D' => body.len() >= 2,
        b'Z' => matches!(body, [b'I' | b'T' | b'E']),
        _ => true,
    }
    .then_some(())
}

/// Fields of a code and a text each, and a zero behind them.
fn fields(mut body: &[u8]) -> bool {
    loop {
        match body {
            [0] => return true,
            [0, ..] | [] => return false,
            [_, rest @ ..] => {
                let Some(end) = rest.iter().position(|b| *b == 0) else {
                    return false;
                };
                body = rest.get(end + 1..).unwrap_or(&[]);
            }
        }
    }
}
