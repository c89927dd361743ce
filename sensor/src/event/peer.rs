//! Events of other sensors, from the seeds' core page (`event.bif`).

use super::page::events;

events! {
    /// Events of other sensors, from the seeds' core page (`event.bif`).
    page 4 "peer" of "core";

    /// All state asked for was sent to a peer.
    /// `p`: the peer.
    FinishedSendState "finished_send_state" (p: event_peer) not_yet;

    /// A peer sent a capture filter.
    /// `p`: the peer; `filter`: the filter's text.
    RemoteCaptureFilter "remote_capture_filter" (p: event_peer, filter: text) not_yet;

    /// The connection to a peer was closed.
    /// `p`: the peer.
    RemoteConnectionClosed "remote_connection_closed" (p: event_peer) not_yet;

    /// The connection to a peer failed.
    /// `p`: the peer; `reason`: why.
    RemoteConnectionError "remote_connection_error" (p: event_peer, reason: text) not_yet;

    /// A connection to a peer is up.
    /// `p`: the peer.
    RemoteConnectionEstablished "remote_connection_established" (p: event_peer) not_yet;

    /// The first exchange with a peer is done.
    /// `p`: the peer.
    RemoteConnectionHandshakeDone "remote_connection_handshake_done" (p: event_peer) not_yet;

    /// A peer asked for an event.
    /// `p`: the peer; `name`: the event.
    RemoteEventRegistered "remote_event_registered" (p: event_peer, name: text) not_yet;

    /// A message of the part that talks to peers.
    /// `level`: info or error; `src`: which process; `msg`: the text.
    RemoteLog "remote_log" (level: count, src: count, msg: text) not_yet;

    /// A message about one peer.
    /// `p`: the peer; `level`: info or error; `src`: which process; `msg`: the text.
    RemoteLogPeer "remote_log_peer" (p: event_peer, level: count, src: count, msg: text) not_yet;

    /// A peer answered a ping.
    /// `p`: the peer; `seq`: the ping's number; `d1`: whole round trip; `d2`: of it the network;
    /// `d3`: of it the peer's own work.
    RemotePong "remote_pong" (p: event_peer, seq: count, d1: interval, d2: interval, d3: interval) not_yet;

    /// A peer's change of a variable was repeated here.
    /// `id`: the variable; `v`: its value as text.
    RemoteStateAccessPerformed "remote_state_access_performed" (id: text, v: any) not_yet;

    /// A variable held another value than a peer thought.
    /// `operation`: what was done; `id`: the variable; `expected_old`, `real_old`: the values.
    RemoteStateInconsistency "remote_state_inconsistency" (
        operation: text, id: text, expected_old: text, real_old: text
    ) not_yet;
}
