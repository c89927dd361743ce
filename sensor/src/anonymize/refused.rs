//! Events that would tell addresses all the same: with payload as it was sent, or with packets' headers.

use crate::analyzer::{http, tls, websocket};
use crate::event::{self, Info, Kind};
use crate::file::pe;

/// Events with bytes as they were sent, in which addresses may stand as numbers.
const WITH_PAYLOAD: [Kind; 10] = [
    event::PacketContents::KIND,
    event::RexmitInconsistency::KIND,
    event::SignatureMatch::KIND,
    event::TcpContents::KIND,
    event::TcpPacket::KIND,
    http::events::HttpEntityData::KIND,
    pe::events::PeDosCode::KIND,
    tls::events::SslHeartbeat::KIND,
    tls::events::SslStapledOcsp::KIND,
    websocket::events::WebsocketFrameData::KIND,
];

/// Types of arguments that are such bytes: headers, and certificates.
const TYPES: [&str; 3] = ["pkt_hdr", "raw_pkt_hdr", "x509_opaque_vector"];

/// Whether the event tells addresses whatever is done about it.
pub fn tells_addresses(event: &Info) -> bool {
    WITH_PAYLOAD.contains(&event.kind) || event.args.iter().any(|(_, typ)| TYPES.contains(typ))
}
