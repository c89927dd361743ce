//! The rows of ntp.log, ntp_control.log and ntp_private.log.

use std::borrow::Cow;

use super::events::{ControlMessage, Message, Mode7Message, StandardMessage};
use crate::event::{ConnId, LogRow, Ts, row};

row! {
    /// One row of ntp.log: a message of modes 1 to 5.
    #[derive(Clone, Debug, PartialEq)]
    pub struct NtpRow<'a> in "ntp" {
        /// When the message came.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// NTP's version.
        version: count,
        /// Mode (RFC 5905, figure 10).
        mode: count,
        /// Distance from a reference clock.
        stratum: count,
        /// Longest time between messages, ns.
        poll: interval,
        /// Precision of the sender's clock, ns.
        precision: interval,
        /// Round trip to the reference clock, ns.
        root_delay: interval,
        /// Dispersion up to the reference clock, ns.
        root_disp: interval,
        /// Stratum 0 and 1: four characters off the wire; other strata: an IPv4 address as text.
        ref_id: opt wire (Cow<'a, [u8]>),
        /// When the sender's clock was last set, ns since the epoch.
        ref_time: nanoseconds,
        /// When the request left the client, ns since the epoch.
        org_time: nanoseconds,
        /// When the request reached the server, ns since the epoch.
        rec_time: nanoseconds,
        /// When the message left its sender, ns since the epoch.
        xmt_time: nanoseconds,
        /// Number of extension fields.
        num_exts: count,
    }
}

row! {
    /// One row of ntp_control.log: a message of mode 6 (RFC 1119).
    #[derive(Clone, Debug, PartialEq)]
    pub struct NtpControlRow<'a> in "ntp_control" {
        /// When the message came.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// NTP's version.
        version: count,
        /// Always 6.
        mode: count,
        /// Operation.
        op_code: count,
        /// Number that request and response share.
        sequence: count,
        /// Status word.
        status: count,
        /// Number of the association that it is about.
        association_id: count,
        /// It is a response.
        resp_bit: bool,
        /// It says that there was an error.
        err_bit: bool,
        /// More messages follow.
        more_bit: bool,
        /// What is sent with it.
        data: opt wire (&'a [u8]),
        /// Number of the key, if the message is authenticated.
        key_id: opt count,
        /// Checksum made with the key, 8 bytes.
        crypto_checksum: opt wire (&'a [u8]),
    }
}

row! {
    /// One row of ntp_private.log: a message of mode 7, ntpd's own.
    #[derive(Clone, Debug, PartialEq)]
    pub struct NtpPrivateRow<'a> in "ntp_private" {
        /// When the message came.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// NTP's version.
        version: count,
        /// Always 7.
        mode: count,
        /// What is asked for.
        req_code: count,
        /// Place among the messages of a response.
        sequence: count,
        /// Number of the program that the request is for.
        implementation: count,
        /// The message is authenticated.
        auth_bit: bool,
        /// Error code of a response.
        err: count,
        /// What is sent with it.
        data: opt wire (&'a [u8]),
    }
}

/// Hands on the row of a message that came at `ts`; one of mode 0 has none.
pub fn rows(ts: Ts, c: &ConnId, m: &Message<'_>, log: impl FnOnce(&dyn LogRow)) {
    match (&m.std_msg, &m.control_msg, &m.mode7_msg) {
        (Some(std), _, _) => log(&standard(ts, c, m, std)),
        (_, Some(control), _) => log(&control_row(ts, c, m, control)),
        (_, _, Some(mode7)) => log(&private(ts, c, m, mode7)),
        (None, None, None) => {}
    }
}

fn standard<'a>(ts: Ts, c: &'a ConnId, m: &Message<'_>, s: &StandardMessage<'a>) -> NtpRow<'a> {
    NtpRow {
        ts,
        c,
        version: m.version,
        mode: m.mode,
        stratum: s.stratum,
        poll: s.poll,
        precision: s.precision,
        root_delay: s.root_delay,
        root_disp: s.root_disp,
        ref_id: reference(s),
        ref_time: s.ref_time,
        org_time: s.org_time,
        rec_time: s.rec_time,
        xmt_time: s.xmt_time,
        num_exts: s.num_exts,
    }
}

fn control_row<'a>(ts: Ts, c: &'a ConnId, m: &Message<'_>, s: &ControlMessage<'a>) -> NtpControlRow<'a> {
    NtpControlRow {
        ts,
        c,
        version: m.version,
        mode: m.mode,
        op_code: s.op_code,
        sequence: s.sequence,
        status: s.status,
        association_id: s.association_id,
        resp_bit: s.resp_bit,
        err_bit: s.err_bit,
        more_bit: s.more_bit,
        data: s.data,
        key_id: s.key_id,
        crypto_checksum: s.crypto_checksum,
    }
}

fn private<'a>(ts: Ts, c: &'a ConnId, m: &Message<'_>, s: &Mode7Message<'a>) -> NtpPrivateRow<'a> {
    NtpPrivateRow {
        ts,
        c,
        version: m.version,
        mode: m.mode,
        req_code: s.req_code,
        sequence: s.sequence,
        implementation: s.implementation,
        auth_bit: s.auth_bit,
        err: s.err,
        data: s.data,
    }
}

/// What a message calls its reference, in whichever of three forms.
fn reference<'a>(s: &StandardMessage<'a>) -> Option<Cow<'a, [u8]>> {
    let name = s.kiss_code.or(s.ref_id).map(Cow::Borrowed);
    name.or_else(|| s.ref_addr.map(|a| Cow::Owned(a.to_string().into_bytes())))
}
