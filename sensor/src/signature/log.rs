//! The row of signatures.log.

use std::net::IpAddr;

use super::work::At;
use crate::event::json::addr_text;
use crate::event::{ConnId, Ts, row};

/// Longest data of a row (Zeek cuts it there).
const MAX_DATA: usize = 140;
/// Room for an address in text, and what separates it.
const MAX_ADDR: usize = 48;

row! {
    /// One row of signatures.log: a signature that matched.
    #[derive(Clone, Debug)]
    pub struct SignatureRow<'a> in "signatures" {
        /// When.
        ts: time,
        /// The connection.
        uid: opt uid,
        /// Who sent what matched.
        src_addr: opt addr,
        /// From which port.
        src_port: opt port,
        /// Who received it.
        dst_addr: opt addr,
        /// On which port.
        dst_port: opt port,
        /// What sort of notice it is: `Signatures::Sensitive_Signature`.
        note: enumeration,
        /// The signature's name.
        sig_id: opt text (&'a str),
        /// The sender and the signature's message.
        event_msg: opt wire (&'a [u8]),
        /// The bytes that completed it, the first of them.
        sub_msg: opt wire (&'a [u8]),
        /// Always unset: it is for summaries.
        sig_count: opt count,
        /// Always unset: it is for summaries.
        host_count: opt count,
    }
}

/// Who sent what matched, and who received it.
fn ends(c: &ConnId, is_orig: bool) -> ((IpAddr, u16), (IpAddr, u16)) {
    let (orig, resp) = ((c.orig_h, c.orig_p), (c.resp_h, c.resp_p));
    if is_orig { (orig, resp) } else { (resp, orig) }
}

/// Gives the row of a match to `log`.
pub fn write(ts: Ts, c: &ConnId, at: &At<'_>, msg: &str, log: impl FnOnce(&SignatureRow<'_>)) {
    let (src, dst) = ends(c, at.is_orig);
    let mut event_msg = Vec::with_capacity(msg.len() + MAX_ADDR);
    addr_text(&mut event_msg, src.0);
    event_msg.extend_from_slice(b": ");
    event_msg.extend_from_slice(msg.as_bytes());
    let mut cut = [b'.'; MAX_DATA + 3];
    log(&SignatureRow {
        ts,
        uid: Some(c.uid),
        src_addr: Some(src.0),
        src_port: Some(src.1),
        dst_addr: Some(dst.0),
        dst_port: Some(dst.1),
        note: "Signatures::Sensitive_Signature",
        sig_id: Some(&at.signature.id),
        event_msg: Some(&event_msg),
        sub_msg: Some(match at.data.first_chunk::<MAX_DATA>() {
            Some(data) if at.data.len() > MAX_DATA => {
                cut[..MAX_DATA].copy_from_slice(data);
                &cut
            }
            _ => at.data,
        }),
        sig_count: None,
        host_count: None,
    });
}
