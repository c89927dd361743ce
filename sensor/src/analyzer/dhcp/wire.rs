//! DHCP messages, from bytes to fields (RFC 2131, 2132). Reads what Zeek reads, and says what is unsound in the words of Zeek's
//! parser.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::bytes::{be16, be32, ipv4};
use crate::event::json::hex_colons;

/// What stands before the options (RFC 2131, section 3).
pub const COOKIE: u32 = 0x6382_5363;
/// Where it stands.
pub const COOKIE_AT: usize = 236;

/// Numbers of options.
pub mod code {
    pub const SUBNET: u8 = 1;
    pub const TIME_OFFSET: u8 = 2;
    pub const ROUTERS: u8 = 3;
    pub const TIME_SERVERS: u8 = 4;
    pub const NAME_SERVERS: u8 = 5;
    pub const DNS_SERVERS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const FORWARDING: u8 = 19;
    pub const BROADCAST: u8 = 28;
    pub const NTP_SERVERS: u8 = 42;
    pub const VENDOR: u8 = 43;
    pub const NBNS: u8 = 44;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL: u8 = 58;
    pub const REBINDING: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const USER_CLASS: u8 = 77;
    pub const CLIENT_FQDN: u8 = 81;
    pub const RELAY: u8 = 82;
    pub const AUTO_CONFIG: u8 = 116;
    pub const PROXY: u8 = 252;
    pub const PAD: u8 = 0;
    pub const END: u8 = 255;
}

/// A message.
#[derive(Debug)]
pub struct Message<'m> {
    /// 1 request, 2 reply.
    pub op: u8,
    /// Number of the transaction.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    pub flags: u16,
    /// The address that the client has.
    pub ciaddr: Ipv4Addr,
    /// The address that the server gives.
    pub yiaddr: Ipv4Addr,
    /// The server for the next step of a boot.
    pub siaddr: Ipv4Addr,
    /// The relay.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address, 16 bytes.
    pub chaddr: &'m [u8],
    /// The server's name, without the zeros behind it.
    pub sname: &'m [u8],
    /// The name of a file to boot, likewise.
    pub file: &'m [u8],
    /// [`COOKIE`], if it is DHCP.
    pub cookie: u32,
    pub options: Options<'m>,
}

/// What a message's options are.
#[derive(Debug)]
pub struct Options<'m> {
    /// Their numbers, in order; without the one that ends them.
    pub codes: Vec<u8>,
    /// The last value of each number.
    last: Box<[Option<&'m [u8]>; 256]>,
}

impl<'m> Options<'m> {
    /// The value of an option. It is as long as its type says, whatever length stands before it.
    pub fn get(&self, code: u8) -> Option<&'m [u8]> {
        self.last[usize::from(code)]
    }

    /// The first byte of the value.
    pub fn byte(&self, code: u8) -> Option<u8> {
        self.get(code)?.first().copied()
    }

    /// An address.
    pub fn addr(&self, code: u8) -> Option<IpAddr> {
        Some(ipv4(self.get(code)?, 0)?.into())
    }

    /// Addresses, one after the other.
    pub fn addrs(&self, code: u8) -> Option<Vec<IpAddr>> {
        let (all, _) = self.get(code)?.as_chunks::<4>();
        Some(all.iter().map(|a| IpAddr::from(*a)).collect())
    }

    /// Seconds, as ns.
    pub fn seconds(&self, code: u8) -> Option<i64> {
        Some(i64::from(be32(self.get(code)?, 0)?) * 1_000_000_000)
    }

    /// The type of the message; 0 without any.
    pub fn message_type(&self) -> u8 {
        self.byte(code::MESSAGE_TYPE).unwrap_or(0)
    }
}

/// Reads a datagram. The error is a violation's reason.
pub fn read(b: &[u8]) -> Result<Message<'_>, String> {
    for (field, end) in [
        ("giaddr", 28),
        ("chaddr", 44),
        ("sname", 108),
        ("file_n", 236),
        ("cookie", 240),
    ] {
        has(b, end, &format_args!("DHCP_Message:{field}"))?;
    }
    let number = |at| be32(b, at).unwrap_or(0);
    let short = |at| be16(b, at).unwrap_or(0);
    let part = |from: usize, to: usize| b.get(from..to).unwrap_or(&[]);
    let address = |at| Ipv4Addr::from(number(at));
    Ok(Message {
        op: b.first().copied().unwrap_or(0),
        xid: number(4),
        secs: short(8),
        flags: short(10),
        ciaddr: address(12),
        yiaddr: address(16),
        siaddr: address(20),
        giaddr: address(24),
        chaddr: part(28, 44),
        sname: domain(part(44, 108)),
        file: domain(part(108, COOKIE_AT)),
        cookie: number(COOKIE_AT),
        options: options(part(240, b.len()))?,
    })
}

fn options(mut rest: &[u8]) -> Result<Options<'_>, String> {
    let mut all = Options {
        codes: Vec::new(),
        last: Box::new([None; 256]),
    };
    // The first type counts, of all else the last.
    let mut message_type = None;
    loop {
        has(rest, 1, &"Option:code")?;
        let (&code, behind) = rest.split_first().unwrap_or((&code::END, &[]));
        rest = behind;
        match code {
            code::END => break,
            code::PAD => {}
            _ => {
                has(rest, 1, &"OptionValueWrapper:length")?;
                let (&len, behind) = rest.split_first().unwrap_or((&0, &[]));
                let (value, behind) = behind.split_at(value_len(code, len, behind)?);
                rest = behind;
                if code == code::MESSAGE_TYPE {
                    message_type.get_or_insert(value);
                }
                all.last[usize::from(code)] = Some(value);
            }
        }
        all.codes.push(code);
    }
    all.last[usize::from(code::MESSAGE_TYPE)] = message_type;
    Ok(all)
}

/// How long the value of an option is, which `b` begins with: as its type says, else as the length says that stands before it.
fn value_len(code: u8, len: u8, b: &[u8]) -> Result<usize, String> {
    let (field, n) = match code {
        code::SUBNET => ("subnet", 4),
        code::TIME_OFFSET => ("time_offset", 4),
        code::ROUTERS => ("router_list", addresses(len)),
        code::TIME_SERVERS => ("timeserver_list", addresses(len)),
        code::NAME_SERVERS => ("nameserver_list", addresses(len)),
        code::DNS_SERVERS => ("dns_server_list", addresses(len)),
        code::NTP_SERVERS => ("ntpserver_list", addresses(len)),
        code::NBNS => ("nbns", addresses(len)),
        code::FORWARDING => ("forwarding", 1),
        code::BROADCAST => ("broadcast_address", 4),
        code::REQUESTED_ADDRESS => ("addr_request", 4),
        code::LEASE => ("lease", 4),
        code::MESSAGE_TYPE => ("msg_type", 1),
        code::SERVER => ("serv_addr", 4),
        code::MAX_SIZE => ("max_msg_size", 2),
        code::RENEWAL => ("renewal_time", 4),
        code::REBINDING => ("rebinding_time", 4),
        code::AUTO_CONFIG => ("auto_config", 1),
        code::CLIENT_ID => return named(b, len, 1, "Client_Identifier:hwaddr"),
        code::CLIENT_FQDN => return named(b, len, 3, "Client_FQDN:domain_name"),
        code::RELAY => return relayed(b, len),
        _ => ("other", len.into()),
    };
    has(b, n, &format_args!("OptionValue:{field}")).map(|()| n)
}

/// A list of addresses has no part of one.
fn addresses(len: u8) -> usize {
    usize::from(len / 4) * 4
}

/// An option that begins with so many bytes, at least.
fn named(b: &[u8], len: u8, head: usize, field: &str) -> Result<usize, String> {
    let len = usize::from(len);
    has(b, head, &field)?;
    if len < head {
        return Err(format!("invalid length string: {field}: -{}", head - len));
    }
    has(b, len, &field).map(|()| len)
}

/// What a relay says of where the client is (RFC 3046): options in an option, which must fit.
fn relayed(b: &[u8], len: u8) -> Result<usize, String> {
    let len = usize::from(len);
    has(b, len, &"OptionValue:relay_agent_inf")?;
    let mut rest = b.get(..len).unwrap_or(&[]);
    while !rest.is_empty() {
        has(rest, 2, &"Relay_Agent_SubOption:length")?;
        let end = 2 + usize::from(rest.get(1).copied().unwrap_or(0));
        has(rest, end, &"Relay_Agent_SubOption:value")?;
        rest = rest.get(end..).unwrap_or(&[]);
    }
    Ok(len)
}

/// Whether there are `n` bytes up to the end of `field`.
fn has(b: &[u8], n: usize, field: &dyn std::fmt::Display) -> Result<(), String> {
    match b.len() >= n {
        true => Ok(()),
        false => Err(format!("out_of_bound: {field}: {n} > {}", b.len())),
    }
}

/// A name without the zeros behind it. One of a single character is none to Zeek.
pub fn domain(b: &[u8]) -> &[u8] {
    match b.iter().rposition(|c| *c != 0) {
        Some(last) if last > 0 => b.get(..=last).unwrap_or(b),
        _ => &[],
    }
}

/// A hardware address as text: the first six bytes, or eight if the last two of them are not zeros; nothing if there are less.
pub fn mac(b: &[u8]) -> String {
    let shown = match b {
        [_, _, _, _, _, _] | [_, _, _, _, _, _, 0, 0, ..] => 6,
        [_, _, _, _, _, _, _, _, ..] => 8,
        _ => 0,
    };
    hex_colons(b.get(..shown).unwrap_or(&[]))
}
