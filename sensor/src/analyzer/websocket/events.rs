//! Events of WebSocket, under Zeek's names.

use crate::event::page::events;

events! {
    /// Events of WebSocket, under Zeek's names.
    page 11 "websocket" of "websocket";

    /// The connection becomes a WebSocket.
    /// `aid`: number of its analyzer on the connection.
    WebsocketEstablished "websocket_established" (c: conn, aid: count);

    /// A frame begins.
    /// `is_orig`: the originator sends it; `fin`: it is the last one of its message; `rsv`: the three reserved bits;
    /// `opcode`: 0 in a message, else its kind (RFC 6455, section 11.8); `payload_len`: bytes of its payload.
    WebsocketFrame "websocket_frame" (
        c: conn, is_orig: bool, fin: bool, rsv: count, opcode: count, payload_len: count
    );

    /// A piece of a frame's payload, unmasked.
    /// `is_orig`: the originator sends it; `data`: 8192 bytes, or what is left of the frame.
    WebsocketFrameData "websocket_frame_data" (c: conn, is_orig: bool, data: bytes);

    /// A message is over.
    /// `is_orig`: the originator sends it; `opcode`: that of its first frame.
    WebsocketMessage "websocket_message" (c: conn, is_orig: bool, opcode: count);

    /// A side closes the WebSocket.
    /// `is_orig`: it is the originator; `status`: why, 0 if it does not say; `reason`: the same in its words.
    WebsocketClose "websocket_close" (c: conn, is_orig: bool, status: count, reason: text);
}
