//! DCE/RPC over TCP (C706, MS-RPCE) and over the pipes of SMB: sure when a PDU was read whole. The authentication tokens at
//! their ends are GSS-API's or NTLM's.

mod pdu;
#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use super::framer::{Framer, Message};
use super::gssapi::Gssapi;
use super::inner::Inner;
use super::ntlm::Ntlm;
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;
use pdu::{HEADER_LEN, Header};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = DceRpc;

/// Bytes kept of a PDU. Peers agree on some 4 or 5 KiB; of a longer one the token is not read.
const MAX_PDU: usize = 16 * 1024;
/// Calls of a direction whose fragments are put together at a time (Zeek's `DCE_RPC::max_cmd_reassembly`).
const MAX_CALLS: usize = 20;
/// Bytes of fragments of a call (Zeek's `DCE_RPC::max_frag_data`).
const MAX_FRAGMENTS: usize = 30_000;
/// Bytes of a connection after which nothing is looked for any more: authentication comes at its beginning.
const MAX_READ: u64 = 64 * 1024;

/// Providers of authentication (MS-RPCE, section 2.2.1.1.7).
mod auth {
    pub(super) const SPNEGO: u8 = 0x09;
    pub(super) const NTLM: u8 = 0x0a;
    pub(super) const TLS: u8 = 0x0e;
    pub(super) const KERBEROS: u8 = 0x10;
    pub(super) const NETLOGON: u8 = 0x44;
}

/// One connection's, or one pipe's, state.
#[derive(Debug)]
pub struct DceRpc {
    /// By direction, orig first.
    sides: [Side; 2],
    gssapi: Option<Box<Inner<Gssapi>>>,
    ntlm: Inner<Ntlm>,
    /// Bytes read.
    read: u64,
}

#[derive(Debug)]
struct Side {
    framer: Framer,
    /// Calls of which not all fragments came, and bytes of those that did.
    calls: Vec<(u32, usize)>,
}

impl Protocol for DceRpc {
    const SPEC: Spec = Spec {
        tcp_ports: &[135],
        rules: &[Rule::Orig(first_bytes), Rule::Resp(first_bytes)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DCE_RPC", "dce_rpc"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> DceRpc {
        DceRpc {
            sides: [const {
                Side {
                    framer: Framer::new(MAX_PDU),
                    calls: Vec::new(),
                }
            }; 2],
            gssapi: None,
            ntlm: Inner::new(Ntlm),
            read: 0,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.read += bytes.len() as u64;
        let dir = usize::from(!is_orig);
        // Out of the way while its messages are read.
        let mut framer = std::mem::replace(&mut self.sides[dir].framer, Framer::new(MAX_PDU));
        let mut next = Next::More;
        while let Some(message) = framer.next(&mut bytes, pdu::len) {
            match self.pdu(is_orig, message, ctx) {
                Some(true) => {}
                // What came with it is still read.
                Some(false) => next = Next::Stop,
                None => {
                    // What came with it is lost, too.
                    ctx.violation_spared("no DCE/RPC PDU");
                    framer.clear();
                    break;
                }
            }
        }
        self.sides[dir].framer = framer;
        next
    }

    /// Where a PDU begins behind a gap nobody knows.
    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::Stop
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match self.read > MAX_READ || (!seen.confirmed && seen.is_late()) {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl DceRpc {
    /// Reads a PDU. `None`: it is none. False: it was the last one to be read.
    fn pdu(&mut self, is_orig: bool, message: Message<'_>, ctx: &mut Ctx<'_>) -> Option<bool> {
        let mut f = Fields::new(message.bytes);
        let header = Header::read(&mut f)?;
        let with_auth = match header.auth_len {
            0 => 0,
            n => usize::from(n) + 8,
        };
        let body = usize::from(header.frag_len).checked_sub(HEADER_LEN + with_auth)?;
        if message.is_cut {
            // Nothing is known of its body and its token.
            let goes_on = self.fragment(is_orig, header, None, body, ctx)?;
            ctx.confirm();
            return Some(goes_on);
        }
        let frag = f.take(body)?;
        if header.auth_len > 0 {
            let provider = f.u8()?;
            f.skip(7)?;
            let token = f.take(header.auth_len)?;
            self.token(is_orig, provider, token, ctx);
        }
        let goes_on = self.fragment(is_orig, header, Some(frag), body, ctx)?;
        ctx.confirm();
        Some(goes_on)
    }

    fn token(&mut self, is_orig: bool, provider: u8, token: &[u8], ctx: &mut Ctx<'_>) {
        let weird = match provider {
            auth::SPNEGO => {
                let fresh = || Box::new(Inner::new(Gssapi::new(&Start::default(), &())));
                self.gssapi.get_or_insert_with(fresh).data(is_orig, token, ctx);
                return;
            }
            auth::NTLM => {
                self.ntlm.data(is_orig, token, ctx);
                return;
            }
            // Zeek's analyzer of it reads datagrams, and is given a stream.
            auth::KERBEROS => return,
            auth::TLS => "tls_dce_rpc_auth_type",
            auth::NETLOGON => "netlogon_dce_rpc_auth_type",
            _ => "unknown_dce_rpc_auth_type",
        };
        ctx.out.weird_from(weird, &provider.to_string(), "DCE_RPC");
    }

    /// A fragment of a body. `None`: the body is none. False: the limits are reached.
    fn fragment(
        &mut self,
        is_orig: bool,
        header: Header,
        frag: Option<&[u8]>,
        len: usize,
        ctx: &mut Ctx<'_>,
    ) -> Option<bool> {
        let calls = &mut self.sides[usize::from(!is_orig)].calls;
        let known = calls.iter().position(|(call, _)| *call == header.call);
        let mut weird = |name| {
            ctx.out.weird_from(name, "", "DCE_RPC");
            Some(false)
        };
        match known {
            Some(_) if header.is_first() => weird("multiple_first_fragments_in_dce_rpc_reassembly"),
            None if header.is_first() && header.is_last() => {
                frag.is_none_or(|frag| header.takes(frag)).then_some(true)
            }
            None if header.is_first() => {
                let too_many = calls.len() >= MAX_CALLS;
                if !too_many {
                    calls.push((header.call, len));
                }
                if too_many {
                    weird("too_many_dce_rpc_msgs_in_reassembly");
                }
                if len > MAX_FRAGMENTS {
                    return weird("too_much_dce_rpc_fragment_data");
                }
                Some(!too_many)
            }
            // Its first fragment was not seen.
            None => Some(true),
            Some(at) => {
                let (_, all) = calls.get_mut(at)?;
                *all += len;
                let all = *all;
                let too_much = all > MAX_FRAGMENTS;
                if too_much {
                    weird("too_much_dce_rpc_fragment_data");
                }
                if header.is_last() {
                    calls.swap_remove(at);
                    header.takes_fragments(all).then_some(!too_much)
                } else {
                    Some(!too_much)
                }
            }
        }
    }
}

/// Version 5, a minor version and a type, of either side.
fn first_bytes(b: &[u8]) -> Match {
    match b {
        [] | [5] | [5, 0 | 1] => Match::More,
        [5, 0 | 1, 0..=0x13, ..] => Match::Yes,
        _ => Match::No,
    }
}
