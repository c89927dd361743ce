//! Events of DHCP, and the records that they carry (Zeek's `dhcp_message`, DHCP::Msg and DHCP::Options).

use super::wire::{Message, code, domain, mac};
use crate::base::bytes::{be16, be32};
use crate::event::page::events;
use crate::event::{ConnId, Event, record};

events! {
    /// Events of DHCP.
    page 15 "dhcp" of "dhcp";

    /// A DHCP message of either side.
    /// `is_orig`: its sender; a server that broadcasts is an originator, too. `msg`: what stands before the options; `options`:
    /// those that are there, of which Zeek's `sub_opt` (82) is not shown.
    DhcpMessage "dhcp_message" (c: conn, is_orig: bool, msg: record Msg<'a>, options: record Options<'a>);
}

record! {
    /// What stands before a message's options (RFC 2131, section 2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Msg<'a> is "DHCP::Msg" {
        /// 1 request, 2 reply.
        op: count,
        /// The type of the message (option 53): 1 DISCOVER, 2 OFFER, 3 REQUEST, 4 DECLINE, 5 ACK, 6 NAK, 7 RELEASE, 8 INFORM;
        /// 0 without any.
        m_type: count,
        /// Number of the transaction.
        xid: count,
        /// How long the client has been trying, ns.
        secs: interval,
        /// Flags; 0x8000 asks for a reply by broadcast.
        flags: count,
        /// The address that the client has.
        ciaddr: addr,
        /// The address that the server gives.
        yiaddr: addr,
        /// The server for the next step of a boot.
        siaddr: addr,
        /// The relay.
        giaddr: addr,
        /// The client's hardware address.
        chaddr: text,
        /// The server's name.
        sname: bytes,
        /// The name of a file to boot.
        file_n: bytes,
    }
}

record! {
    /// A client's identifier (option 61).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ClientId<'a> is "DHCP::ClientID" {
        /// What the identifier is: ARP's number of a hardware, or 0.
        hwtype: count,
        /// The identifier; a hardware address as text.
        hwaddr: bytes,
    }
}

record! {
    /// A client's full name (option 81).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ClientFqdn<'a> is "DHCP::ClientFQDN" {
        /// Flags (RFC 4702).
        flags: count,
        /// No longer used.
        rcode1: count,
        /// No longer used.
        rcode2: count,
        /// The name.
        domain_name: bytes,
    }
}

record! {
    /// A message's options (RFC 2132). A value is as long as its type says, whatever length stands before it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Options<'a> is "DHCP::Options" {
        /// The numbers of all options, in order.
        options: index_vec,
        /// The network's mask (1).
        subnet_mask: opt addr,
        /// Routers (3).
        routers: opt addr_vec,
        /// DNS servers (6).
        dns_servers: opt addr_vec,
        /// The client's name (12).
        host_name: opt bytes,
        /// The domain (15).
        domain_name: opt bytes,
        /// Whether the client forwards packets (19).
        forwarding: opt bool,
        /// The broadcast address (28).
        broadcast: opt addr,
        /// What vendors define (43).
        vendor: opt bytes,
        /// NetBIOS name servers (44).
        nbns: opt addr_vec,
        /// The address that the client asks for (50).
        addr_request: opt addr,
        /// For how long the address is given (51), ns.
        lease: opt interval,
        /// The server (54).
        serv_addr: opt addr,
        /// The options that the client asks for (55).
        param_list: opt index_vec,
        /// Why something is refused (56).
        message: opt bytes,
        /// The longest message that is accepted (57).
        max_msg_size: opt count,
        /// When the client renews (58), ns.
        renewal_time: opt interval,
        /// When the client asks other servers (59), ns.
        rebinding_time: opt interval,
        /// The client's vendor (60).
        vendor_class: opt bytes,
        /// The client's identifier (61).
        client_id: opt record ClientId<'a>,
        /// The user's class (77).
        user_class: opt bytes,
        /// The client's full name (81).
        client_fqdn: opt record ClientFqdn<'a>,
        /// Whether the client may take an address by itself (116).
        auto_config: opt bool,
        /// Where a proxy's settings are (252).
        auto_proxy_config: opt bytes,
        /// The distance from UTC (2), in seconds.
        time_offset: opt int,
        /// Time servers (4).
        time_servers: opt addr_vec,
        /// Name servers (5).
        name_servers: opt addr_vec,
        /// NTP servers (42).
        ntp_servers: opt addr_vec,
    }
}

/// Makes the event of a message.
pub fn with(is_orig: bool, m: &Message<'_>, c: &ConnId, raise: impl FnOnce(&dyn Event)) {
    let o = &m.options;
    let chaddr = mac(m.chaddr);
    let codes: Vec<u64> = o.codes.iter().map(|c| u64::from(*c)).collect();
    let asked = o.get(code::PARAMETERS);
    let asked: Option<Vec<u64>> = asked.map(|v| v.iter().map(|c| u64::from(*c)).collect());
    let [
        routers,
        dns_servers,
        nbns,
        time_servers,
        name_servers,
        ntp_servers,
    ] = [
        code::ROUTERS,
        code::DNS_SERVERS,
        code::NBNS,
        code::TIME_SERVERS,
        code::NAME_SERVERS,
        code::NTP_SERVERS,
    ]
    .map(|code| o.addrs(code));
    let id = o.get(code::CLIENT_ID).and_then(<[u8]>::split_first);
    let hardware = id.map(|(_, address)| mac(address)).unwrap_or_default();
    let msg = Msg {
        op: m.op.into(),
        m_type: o.message_type().into(),
        xid: m.xid.into(),
        secs: i64::from(m.secs) * 1_000_000_000,
        flags: m.flags.into(),
        ciaddr: m.ciaddr.into(),
        yiaddr: m.yiaddr.into(),
        siaddr: m.siaddr.into(),
        giaddr: m.giaddr.into(),
        chaddr: &chaddr,
        sname: m.sname,
        file_n: m.file,
    };
    let options = Options {
        options: &codes,
        subnet_mask: o.addr(code::SUBNET),
        routers: routers.as_deref(),
        dns_servers: dns_servers.as_deref(),
        host_name: o.get(code::HOST_NAME),
        domain_name: o.get(code::DOMAIN_NAME).map(domain),
        forwarding: o.byte(code::FORWARDING).map(|b| b != 0),
        broadcast: o.addr(code::BROADCAST),
        vendor: o.get(code::VENDOR),
        nbns: nbns.as_deref(),
        addr_request: o.addr(code::REQUESTED_ADDRESS),
        lease: o.seconds(code::LEASE),
        serv_addr: o.addr(code::SERVER),
        param_list: asked.as_deref(),
        message: o.get(code::MESSAGE),
        max_msg_size: o.get(code::MAX_SIZE).and_then(|v| be16(v, 0)).map(u64::from),
        renewal_time: o.seconds(code::RENEWAL),
        rebinding_time: o.seconds(code::REBINDING),
        vendor_class: o.get(code::VENDOR_CLASS),
        client_id: id.map(|(&hwtype, address)| ClientId {
            hwtype: hwtype.into(),
            hwaddr: if hwtype == 0 { address } else { hardware.as_bytes() },
        }),
        user_class: o.get(code::USER_CLASS),
        client_fqdn: o.get(code::CLIENT_FQDN).and_then(client_fqdn),
        auto_config: o.byte(code::AUTO_CONFIG).map(|b| b != 0),
        auto_proxy_config: o.get(code::PROXY).map(|v| v.strip_suffix(b"\n").unwrap_or(v)),
        time_offset: o
            .get(code::TIME_OFFSET)
            .and_then(|v| be32(v, 0))
            .map(|n| n.cast_signed().into()),
        time_servers: time_servers.as_deref(),
        name_servers: name_servers.as_deref(),
        ntp_servers: ntp_servers.as_deref(),
    };
    raise(&DhcpMessage {
        c,
        is_orig,
        msg,
        options,
    });
}

fn client_fqdn(v: &[u8]) -> Option<ClientFqdn<'_>> {
    let (&[flags, rcode1, rcode2], domain_name) = v.split_first_chunk()?;
    Some(ClientFqdn {
        flags: flags.into(),
        rcode1: rcode1.into(),
        rcode2: rcode2.into(),
        domain_name,
    })
}
