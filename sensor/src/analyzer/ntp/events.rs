//! Events of NTP, and the records that they carry (Zeek's `ntp_message` and its records).

use crate::event::page::events;
use crate::event::record;

events! {
    /// Events of NTP.
    page 8 "ntp" of "ntp";

    /// An NTP message of either side.
    /// `is_orig`: its sender; `msg`: its `version` and `mode`, then by mode `std_msg` (1 to 5, time), `control_msg` (6) or
    /// `mode7_msg` (7, requests of ntpd's own); none of them in mode 0.
    NtpMessage "ntp_message" (c: conn, is_orig: bool, msg: record Message<'a>);
}

record! {
    /// A message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Message<'a> is "NTP::Message" {
        /// NTP's version, from the message: 1 to 4 in practice.
        version: count,
        /// Mode (RFC 5905, figure 10): 1 symmetric active, 2 symmetric passive, 3 client, 4 server, 5 broadcast, 6
        /// control, 7 private.
        mode: count,
        /// What modes 1 to 5 say.
        std_msg: opt record StandardMessage<'a>,
        /// What mode 6 says.
        control_msg: opt record ControlMessage<'a>,
        /// What mode 7 says.
        mode7_msg: opt record Mode7Message<'a>,
    }
}

record! {
    /// A message about time (RFC 5905, 7.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct StandardMessage<'a> is "NTP::StandardMessage" {
        /// Distance from a reference clock: 0 unknown, 1 has one.
        stratum: count,
        /// Longest time between messages, ns.
        poll: interval,
        /// Precision of the sender's clock, ns.
        precision: interval,
        /// Round trip to the reference clock, ns.
        root_delay: interval,
        /// Dispersion up to the reference clock, ns.
        root_disp: interval,
        /// Stratum 0: four characters that say why.
        kiss_code: opt bytes,
        /// Stratum 1: four characters that name the reference clock.
        ref_id: opt bytes,
        /// Other strata: IPv4 address of the server that the sender follows; four bytes of a hash if it has IPv6.
        ref_addr: opt addr,
        /// When the sender's clock was last set, ns since the epoch.
        ref_time: nanoseconds,
        /// When the request left the client, ns since the epoch.
        org_time: nanoseconds,
        /// When the request reached the server, ns since the epoch.
        rec_time: nanoseconds,
        /// When this message left its sender, ns since the epoch.
        xmt_time: nanoseconds,
        /// Number of the key, if the message is authenticated.
        key_id: opt count,
        /// Digest made with the key, 16 or 20 bytes.
        digest: opt bytes,
        /// Number of extension fields.
        num_exts: count,
    }
}

record! {
    /// A control message (RFC 1119).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ControlMessage<'a> is "NTP::ControlMessage" {
        /// Operation.
        op_code: count,
        /// It is a response.
        resp_bit: bool,
        /// It says that there was an error.
        err_bit: bool,
        /// More messages follow.
        more_bit: bool,
        /// Number that request and response share.
        sequence: count,
        /// Status word.
        status: count,
        /// Number of the association that it is about.
        association_id: count,
        /// What is sent with it, if anything.
        data: opt bytes,
        /// Number of the key, if the message is authenticated.
        key_id: opt count,
        /// Checksum made with the key, 8 bytes.
        crypto_checksum: opt bytes,
    }
}

record! {
    /// A request of ntpd's own, or a response to one (ntpd's ntp_request.h).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Mode7Message<'a> is "NTP::Mode7Message" {
        /// What is asked for.
        req_code: count,
        /// The message is authenticated.
        auth_bit: bool,
        /// Place among the messages of a response.
        sequence: count,
        /// Number of the program that the request is for.
        implementation: count,
        /// Error code of a response.
        err: count,
        /// What is sent with it, if anything.
        data: opt bytes,
    }
}
