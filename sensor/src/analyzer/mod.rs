//! Protocol analyzers: bytes of a connection in, events and log rows out. Sans-I/O.
//!
//! A protocol is a folder here and its name in the list at the end of this file. The folder's `Analyzer` implements
//! [`Protocol`], whose [`Spec`] says how it is known; the tables of ports and signatures,
//! the enum that is called without a virtual call, and what workers share, are made of the list. [`tree`] puts
//! analyzers on a connection and routes its bytes; nobody else names one.

pub mod api;
pub mod carried;
mod fields;
mod framer;
mod gather;
pub mod inner;
mod lines;
mod list;
mod node;
pub mod pattern;
mod probe;
#[cfg(test)]
mod talk;
/// What `cargo xtask new-protocol` makes a protocol of: compiled here so that it goes with the tree, and in no list.
#[cfg(test)]
#[path = "../../../xtask/templates/protocol/mod.rs"]
mod template;
mod text;
pub mod tree;
#[cfg(test)]
mod tried;

use api::{Closing, Ctx, Interest, Later, Listed, Next, Protocol, ReadsMarks, Seen, Spec, Start};
use list::{count, protocols, strung};
use pattern::{Rule, UdpRule};

// The order gives them their numbers, and to signatures that match at the same byte their turn.
protocols! {
    tls dtls dns http ssh smtp ftp ftp_data ntp syslog quic websocket
    socks gridftp
    teredo ayiya gtpv1 vxlan geneve
    snmp radius sip mysql redis mqtt modbus dnp3_tcp dnp3_udp irc irc_data finger xmpp
    dhcp
    pop3 imap
    smb dce_rpc gssapi ntlm krb krb_tcp rdp rdpeudp rfb ldap_tcp ldap_udp postgresql
}
