//! The rows of ntp.log.

use std::borrow::Cow;

use super::events::{Message, StandardMessage};
use crate::event::{ConnId, Ts, row};

row! {
    /// One row of ntp.log: a message of modes 0 to 5.
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
        stratum: opt count,
        /// Longest time between messages, ns.
        poll: opt interval,
        /// Precision of the sender's clock, ns.
        precision: opt interval,
        /// Round trip to the reference clock, ns.
        root_delay: opt interval,
        /// Dispersion up to the reference clock, ns.
        root_disp: opt interval,
        /// Stratum 0 and 1: four characters off the wire; other strata: an IPv4 address as text.
        ref_id: opt wire (Cow<'a, [u8]>),
        /// When the sender's clock was last set, ns since the epoch.
        ref_time: opt nanoseconds,
        /// When the request left the client, ns since the epoch.
        org_time: opt nanoseconds,
        /// When the request reached the server, ns since the epoch.
        rec_time: opt nanoseconds,
        /// When the message left its sender, ns since the epoch.
        xmt_time: opt nanoseconds,
        /// Number of extension fields.
        num_exts: count,
    }
}

impl<'a> NtpRow<'a> {
    /// Of a message that came at `ts`; those of modes 6 and 7 have none. One of mode 0 has no more than its mode, as in Zeek 8.
    pub fn of(ts: Ts, c: &'a ConnId, m: &Message<'a>) -> Option<NtpRow<'a>> {
        let std = m.std_msg.as_ref();
        (m.mode <= 5).then(|| NtpRow {
            ts,
            c,
            version: m.version,
            mode: m.mode,
            stratum: std.map(|s| s.stratum),
            poll: std.map(|s| s.poll),
            precision: std.map(|s| s.precision),
            root_delay: std.map(|s| s.root_delay),
            root_disp: std.map(|s| s.root_disp),
            ref_id: std.and_then(reference),
            ref_time: std.map(|s| s.ref_time),
            org_time: std.map(|s| s.org_time),
            rec_time: std.map(|s| s.rec_time),
            xmt_time: std.map(|s| s.xmt_time),
            num_exts: std.map_or(0, |s| s.num_exts),
        })
    }
}

/// What a message calls its reference, in whichever of three forms.
fn reference<'a>(s: &StandardMessage<'a>) -> Option<Cow<'a, [u8]>> {
    let name = s.kiss_code.or(s.ref_id).map(Cow::Borrowed);
    name.or_else(|| s.ref_addr.map(|a| Cow::Owned(a.to_string().into_bytes())))
}
