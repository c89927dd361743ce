//! The row of dhcp.log.

use std::borrow::Cow;

use crate::event::{Ts, Uid, row};

row! {
    /// One row of dhcp.log: the messages of one transaction.
    #[derive(Clone, Debug, PartialEq)]
    pub struct DhcpRow in "dhcp" {
        /// When the first message came.
        ts: time,
        /// The connections that carried messages, at most ten.
        uids: set uid,
        /// The client: by the address that its last message came from, else that which it was given.
        client_addr: opt addr,
        /// The server that gave the address.
        server_addr: opt addr,
        /// The client's hardware address.
        mac: opt text (String),
        /// The client's name, as it says (option 12).
        host_name: opt wire,
        /// Its full name, as it says (option 81).
        client_fqdn: opt wire,
        /// The domain that the server gives (option 15).
        domain: opt wire,
        /// The address that the client asks for.
        requested_addr: opt addr,
        /// The address that the server gives.
        assigned_addr: opt addr,
        /// For how long it is given, ns.
        lease_time: opt interval,
        /// The client's text (option 56): why it declines an address.
        client_message: opt wire,
        /// The server's text (option 56): why it refuses one.
        server_message: opt wire,
        /// The types of all messages, in the order in which they came.
        msg_types: vector text (Vec<Cow<'static, str>>),
        /// From the first message to the last, ns.
        duration: interval,
    }
}

impl DhcpRow {
    /// Of a transaction whose first message came at `ts` on this connection.
    pub fn new(ts: Ts, uid: Uid) -> DhcpRow {
        DhcpRow {
            ts,
            uids: vec![uid],
            client_addr: None,
            server_addr: None,
            mac: None,
            host_name: None,
            client_fqdn: None,
            domain: None,
            requested_addr: None,
            assigned_addr: None,
            lease_time: None,
            client_message: None,
            server_message: None,
            msg_types: Vec::new(),
            duration: 0,
        }
    }
}

/// Names of message types, by number from 1 (RFC 2132, 3203, 4388, 6926 and 7724).
const TYPES: [&str; 18] = [
    "DISCOVER",
    "OFFER",
    "REQUEST",
    "DECLINE",
    "ACK",
    "NAK",
    "RELEASE",
    "INFORM",
    "FORCERENEW",
    "LEASEQUERY",
    "LEASEUNASSIGNED",
    "LEASEUNKNOWN",
    "LEASEACTIVE",
    "BULKLEASEQUERY",
    "LEASEQUERYDONE",
    "ACTIVELEASEQUERY",
    "LEASEQUERYSTATUS",
    "TLS",
];

/// The name of a message type.
pub fn type_name(n: u8) -> Cow<'static, str> {
    let known = usize::from(n).checked_sub(1).and_then(|at| TYPES.get(at));
    known.map_or_else(
        || format!("unknown-message-type-{n}").into(),
        |name| (*name).into(),
    )
}
