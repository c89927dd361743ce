//! What is known of a connection for its rows of quic.log, and how each packet changes it (Zeek: base/protocols/quic).

use super::log::QuicRow;
use super::names;
use super::wire::Long;
use crate::analyzer::api::Ctx;
use crate::analyzer::text;
use crate::analyzer::tls::Heard;
use crate::event::Ts;
use crate::event::json::hex;

/// Longest history, letters; what comes after is not written (Zeek's `QUIC::max_history_length`).
const MAX_HISTORY: usize = 100;

/// The state behind one row. A connection may have several, one after another.
#[derive(Debug)]
pub struct Session {
    ts: Ts,
    version: u32,
    client_initial_dcid: Option<String>,
    client_scid: Option<String>,
    server_scid: Option<String>,
    server_name: Option<Vec<u8>>,
    client_protocol: Option<Vec<u8>>,
    history: String,
}

impl Session {
    pub fn new(ts: Ts, version: u32) -> Session {
        Session {
            ts,
            version,
            client_initial_dcid: None,
            client_scid: None,
            server_scid: None,
            server_name: None,
            client_protocol: None,
            history: String::new(),
        }
    }

    /// A packet that names both sides' connection ids.
    pub fn ids(&mut self, is_orig: bool, long: &Long<'_>) {
        if !is_orig {
            self.server_scid = Some(hex(long.scid));
            return;
        }
        if !long.dcid.is_empty() {
            self.client_initial_dcid.get_or_insert_with(|| hex(long.dcid));
        }
        self.client_scid = Some(hex(long.scid));
    }

    /// A client's hello.
    pub fn hello(&mut self, heard: &Heard, ctx: &mut Ctx<'_>) {
        if let Some(name) = &heard.server_name {
            self.server_name = Some(name.clone());
        }
        let Some(first) = heard.protocols.first() else {
            return;
        };
        self.client_protocol = Some(first.clone());
        if heard.protocols.len() > 1 {
            let list = heard.protocols.join(&b", "[..]);
            ctx.out
                .weird("QUIC_many_protocols", &format!("[{}]", text::of_bytes(&list)));
        }
    }

    /// What was the client's is the server's.
    pub fn flip(&mut self) {
        std::mem::swap(&mut self.client_scid, &mut self.server_scid);
        let other = |letter: char| match letter.is_ascii_uppercase() {
            true => letter.to_ascii_lowercase(),
            false => letter.to_ascii_uppercase(),
        };
        self.history = self.history.chars().map(other).collect();
    }

    /// Adds a letter, upper case for the client's.
    pub fn letter(&mut self, is_orig: bool, letter: char, ctx: &mut Ctx<'_>) {
        if self.history.len() >= MAX_HISTORY {
            return;
        }
        self.history.push(match is_orig {
            true => letter,
            false => letter.to_ascii_lowercase(),
        });
        if self.history.len() == MAX_HISTORY {
            ctx.out.weird("QUIC_max_history_length_reached", "");
        }
    }

    /// The row as things stand.
    pub fn row(self, ctx: &Ctx<'_>) -> QuicRow {
        QuicRow {
            ts: self.ts,
            c: *ctx.c,
            version: names::version(self.version),
            client_initial_dcid: self.client_initial_dcid,
            client_scid: self.client_scid,
            server_scid: self.server_scid,
            server_name: self.server_name,
            client_protocol: self.client_protocol,
            history: self.history,
        }
    }
}
