//! SOCKS's messages. Which one comes depends on those before it, of both sides ([`Stage`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Methods of authentication (RFC 1928, section 3): none, a password (RFC 1929), and that the proxy accepts none.
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 255;
/// Of the exchange of a password.
const PASSWORD_VERSION: u8 = 1;
/// Highest number of a command: CONNECT, BIND, UDP ASSOCIATE.
const MAX_COMMAND: u8 = 3;
/// Version 4a: with an address up to this, a name follows.
const LAST_OF_4A: u32 = 0xff;

/// How far the two sides are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The proxy has chosen a method.
    has_method: bool,
    method: u8,
    /// The method's own messages come.
    in_login: bool,
    /// The client has asked in version 4: the reply has another version.
    is_v4: bool,
    /// The client has said something that is not answered yet.
    awaits: bool,
}

impl Stage {
    /// Whether what the client sends waits for the proxy's answer.
    pub fn waits(&self) -> bool {
        self.awaits
    }

    /// A message came.
    pub fn next(&mut self, is_orig: bool, message: &Message<'_>) {
        // Behind a request nothing of SOCKS follows, and where a message ends that is not known is not known.
        let is_open = matches!(
            message,
            Message::Request { .. } | Message::Login(Login::Unknown { .. })
        );
        self.awaits = is_orig && !is_open;
        match *message {
            Message::Negotiation(Negotiation::Method(method)) => {
                self.has_method = true;
                self.method = method;
                self.in_login = !matches!(method, NO_AUTHENTICATION | NO_METHOD);
            }
            Message::Login(_) if !is_orig => self.in_login = false,
            Message::Request { version: 4, .. } => self.is_v4 = true,
            _ => {}
        }
    }
}

/// Where a connection is to go, or comes from: an address, a name or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    pub host: Option<IpAddr>,
    pub name: Option<&'a [u8]>,
}

/// Something that a side has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Negotiation(Negotiation),
    Login(Login<'a>),
    Request {
        version: u8,
        command: u8,
        address: Address<'a>,
        port: u16,
        /// In version 4.
        user: &'a [u8],
    },
    Reply {
        version: u8,
        code: u8,
        address: Address<'a>,
        port: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// The client's methods.
    Offer,
    /// The proxy's choice.
    Method(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login<'a> {
    Password {
        user: &'a [u8],
        password: &'a [u8],
    },
    Answer(u8),
    /// Of a method or a version that is not known: all that came is taken for it.
    Unknown {
        weird: &'static str,
        addl: String,
    },
}

/// What became of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// They are a part of a message.
    More,
    /// A message, and its length.
    Message(Message<'a>, usize),
    /// They are none.
    Violation(String),
}

/// Reads the message that a side's bytes, which are not empty, begin with.
pub fn read<'a>(stage: &Stage, is_orig: bool, bytes: &'a [u8]) -> Read<'a> {
    let mut b = Bytes { all: bytes, at: 0 };
    let message = match (stage.in_login, is_orig) {
        (true, _) => login(stage, is_orig, &mut b),
        (false, true) => from_client(stage, &mut b),
        (false, false) => from_proxy(stage, &mut b),
    };
    match message {
        Ok(message) => Read::Message(message, b.at),
        Err(Stop::More) => Read::More,
        Err(Stop::Violation(reason)) => Read::Violation(reason),
    }
}

enum Stop {
    More,
    Violation(String),
}

fn violation<T>(reason: String) -> Result<T, Stop> {
    Err(Stop::Violation(reason))
}

fn from_client<'a>(stage: &Stage, b: &mut Bytes<'a>) -> Result<Message<'a>, Stop> {
    match b.u8()? {
        4 => request_of_4(b),
        5 if stage.has_method => request_of_5(b),
        5 => {
            let methods = b.u8()?;
            b.take(methods.into())?;
            Ok(Message::Negotiation(Negotiation::Offer))
        }
        version => unknown_version(version),
    }
}

fn from_proxy<'a>(stage: &Stage, b: &mut Bytes<'a>) -> Result<Message<'a>, Stop> {
    match b.u8()? {
        // The version of version 4's replies.
        0 if stage.is_v4 => {
            let code = b.u8()?;
            let port = b.u16()?;
            let host = Some(Ipv4Addr::from(b.u32()?).into());
            Ok(Message::Reply {
                version: 4,
                code,
                address: Address { host, name: None },
                port,
            })
        }
        5 if stage.has_method => {
            let code = b.u8()?;
            let _reserved = b.u8()?;
            let (address, port) = address_of_5(b)?;
            Ok(Message::Reply {
                version: 5,
                code,
                address,
                port,
            })
        }
        5 => Ok(Message::Negotiation(Negotiation::Method(b.u8()?))),
        version => unknown_version(version),
    }
}

fn unknown_version<T>(version: u8) -> Result<T, Stop> {
    violation(format!("unsupported/unknown SOCKS version {version}"))
}

fn request_of_4<'a>(b: &mut Bytes<'a>) -> Result<Message<'a>, Stop> {
    let command = b.u8()?;
    let port = b.u16()?;
    let address = b.u32()?;
    let user = b.until_nul()?;
    let name = if address <= LAST_OF_4A {
        Some(b.until_nul()?)
    } else {
        None
    };
    Ok(Message::Request {
        version: 4,
        command,
        address: Address {
            host: Some(Ipv4Addr::from(address).into()),
            name,
        },
        port,
        user,
    })
}

fn request_of_5<'a>(b: &mut Bytes<'a>) -> Result<Message<'a>, Stop> {
    let command = b.u8()?;
    let reserved = b.u8()?;
    if reserved != 0 {
        return violation(format!("invalid value in reserved field: {reserved}"));
    }
    if !(1..=MAX_COMMAND).contains(&command) {
        return violation(format!("undefined value in command field: {command}"));
    }
    let (address, port) = address_of_5(b)?;
    Ok(Message::Request {
        version: 5,
        command,
        address,
        port,
        user: b"",
    })
}

/// RFC 1928, section 5; and the port behind it.
fn address_of_5<'a>(b: &mut Bytes<'a>) -> Result<(Address<'a>, u16), Stop> {
    let mut address = Address::default();
    match b.u8()? {
        1 => address.host = Some(Ipv4Addr::from(b.u32()?).into()),
        3 => {
            let len = b.u8()?;
            address.name = Some(b.take(len.into())?);
        }
        4 => {
            let octets = b.take(16)?.try_into().map_err(|_| Stop::More)?;
            address.host = Some(Ipv6Addr::from_octets(octets).into());
        }
        kind => return violation(format!("invalid SOCKSv5 addr type: {kind}")),
    }
    Ok((address, b.u16()?))
}

fn login<'a>(stage: &Stage, is_orig: bool, b: &mut Bytes<'a>) -> Result<Message<'a>, Stop> {
    let method = stage.method;
    if method != PASSWORD {
        b.rest();
        return Ok(Message::Login(Login::Unknown {
            weird: "socks5_unsupported_authentication_method",
            addl: method.to_string(),
        }));
    }
    let version = b.u8()?;
    if version != PASSWORD_VERSION {
        b.rest();
        return Ok(Message::Login(Login::Unknown {
            weird: "socks5_unsupported_authentication",
            addl: format!("method {method}, version {version}"),
        }));
    }
    Ok(Message::Login(if is_orig {
        let len = b.u8()?;
        let user = b.take(len.into())?;
        let len = b.u8()?;
        let password = b.take(len.into())?;
        Login::Password { user, password }
    } else {
        Login::Answer(b.u8()?)
    }))
}

struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let taken = self.all.get(self.at..self.at + n).ok_or(Stop::More)?;
        self.at += n;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1)?.first().copied().ok_or(Stop::More)
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// Without the NUL.
    fn until_nul(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.all.get(self.at..).unwrap_or(&[]);
        let len = rest.iter().position(|b| *b == 0).ok_or(Stop::More)?;
        self.at += len + 1;
        Ok(rest.get(..len).unwrap_or(&[]))
    }

    fn rest(&mut self) {
        self.at = self.all.len();
    }
}
