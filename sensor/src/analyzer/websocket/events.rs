//! Events of WebSocket, under Zeek's names.

use crate::event::page::events;

events! {
    /// Events of WebSocket, under Zeek's names.
    page 11 "websocket" of "websocket";

    /// The connection becomes a WebSocket.
    /// `aid`: number of its analyzer on the connection.
    WebsocketEstablished "websocket_established" (c: conn, aid: count);
}
