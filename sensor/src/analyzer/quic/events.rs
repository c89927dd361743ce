//! Events of QUIC, under Zeek's names.

use crate::event::page::events;

events! {
    /// Events of QUIC.
    page 17 "quic" of "quic";

    /// An Initial packet, whether or not it could be read.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire; `dcid`, `scid`: destination and source connection id.
    InitialPacket "QUIC::initial_packet" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes);
    /// A Handshake packet; its content is encrypted.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire; `dcid`, `scid`: destination and source connection id.
    HandshakePacket "QUIC::handshake_packet" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes);
    /// A packet of a client that sends data before the handshake is over; its content is encrypted.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire; `dcid`, `scid`: destination and source connection id.
    ZeroRttPacket "QUIC::zero_rtt_packet" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes);
    /// A server asks the client to begin anew, with a token.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire; `dcid`, `scid`: destination and source connection id;
    /// `retry_token`: what the client is to send back; `integrity_tag`: a check sum over the packet.
    RetryPacket "QUIC::retry_packet" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes, retry_token: bytes, integrity_tag: bytes);
    /// A side closes the connection in an Initial packet. Most do so where nobody can read it.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire; `dcid`, `scid`: destination and source connection id;
    /// `error_code`: why (RFC 9000, section 20); `reason_phrase`: the same for people.
    ConnectionCloseFrame "QUIC::connection_close_frame" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes, error_code: count, reason_phrase: text);
    /// A packet of a version that is not read, or one that negotiates the version.
    /// `is_orig`: its sender; `version`: QUIC's, as on the wire, 0 in a negotiation; `dcid`, `scid`: destination and source
    /// connection id.
    UnhandledVersion "QUIC::unhandled_version" (c: conn, is_orig: bool, version: count, dcid: bytes, scid: bytes);
}
