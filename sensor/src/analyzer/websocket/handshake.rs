//! The headers that make a WebSocket of an HTTP connection (RFC 6455, section 4).

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

use super::events::WebsocketEstablished;
use super::log::WebsocketRow;
use crate::analyzer::Id;
use crate::analyzer::api::Ctx;
use crate::analyzer::text::of_bytes;

/// What the server adds to the client's key (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Most entries kept of a list.
const MAX_LISTED: usize = 64;

/// What both sides have said so far.
#[derive(Debug, Default)]
pub struct Handshake {
    client_protocols: Option<Vec<Vec<u8>>>,
    client_extensions: Option<Vec<Vec<u8>>>,
    server_extensions: Option<Vec<Vec<u8>>>,
    subprotocol: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    accept: Option<Vec<u8>>,
}

/// What the request says of itself besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Header Host.
    pub host: Option<&'a [u8]>,
    /// Decoded.
    pub uri: Option<&'a [u8]>,
    /// Header User-Agent.
    pub user_agent: Option<&'a [u8]>,
}

impl Handshake {
    /// Whether a header is one of a handshake.
    pub fn has(name: &[u8]) -> bool {
        const PREFIX: &[u8] = b"sec-websocket-";
        let prefix = name.get(..PREFIX.len());
        prefix.is_some_and(|p| p.eq_ignore_ascii_case(PREFIX))
    }

    /// Takes in such a header.
    pub fn header(&mut self, is_orig: bool, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let mut once = |place: &mut Option<Vec<u8>>, weird| {
            if place.replace(value.to_vec()).is_some() {
                ctx.out.weird(weird, "");
            }
        };
        match is_orig {
            true if is(b"sec-websocket-protocol") => add(&mut self.client_protocols, value),
            true if is(b"sec-websocket-extensions") => add(&mut self.client_extensions, value),
            true if is(b"sec-websocket-key") => once(&mut self.key, "websocket_multiple_key_headers"),
            false if is(b"sec-websocket-protocol") => {
                once(&mut self.subprotocol, "websocket_multiple_protocol_headers");
            }
            false if is(b"sec-websocket-extensions") => add(&mut self.server_extensions, value),
            false if is(b"sec-websocket-accept") => {
                once(&mut self.accept, "websocket_multiple_accept_headers");
            }
            _ => {}
        }
    }

    /// The server agreed: the row is written.
    pub fn established(&self, request: Request<'_>, ctx: &mut Ctx<'_>) {
        if ctx.subs.wants(WebsocketEstablished::KIND) {
            let aid = Id::websocket.number().into();
            ctx.out.event(ctx.ts, &WebsocketEstablished { c: ctx.c, aid });
        }
        if self.key.is_none() {
            ctx.out.weird("websocket_missing_key_header", "");
        }
        if self.accept.is_none() {
            ctx.out.weird("websocket_missing_accept_header", "");
        }
        if let (Some(key), Some(accept)) = (&self.key, &self.accept) {
            let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
            let expected = BASE64.encode(&digest);
            if expected.as_bytes() != accept {
                let addl = format!("expected={expected}, found={}", of_bytes(accept));
                ctx.out.weird("websocket_wrong_accept_header", &addl);
            }
        }
        ctx.out.log(&WebsocketRow {
            ts: ctx.ts,
            c: ctx.c,
            host: request.host,
            uri: request.uri,
            user_agent: request.user_agent,
            subprotocol: self.subprotocol.as_deref(),
            client_protocols: self.client_protocols.as_deref(),
            server_extensions: self.server_extensions.as_deref(),
            client_extensions: self.client_extensions.as_deref(),
        });
    }
}

/// Adds what a header lists, between commas with blanks around them.
fn add(list: &mut Option<Vec<Vec<u8>>>, value: &[u8]) {
    let list = list.get_or_insert_default();
    let room = MAX_LISTED.saturating_sub(list.len());
    let entries = value.split(|b| *b == b',').take(room);
    list.extend(entries.map(|e| e.trim_ascii().to_vec()));
}
