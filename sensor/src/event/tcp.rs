//! Events of TCP, from the seeds' TCP page (`Bro_TCP.events`).

use super::SynPacket;
use super::page::events;

events! {
    /// Events of TCP, from the seeds' TCP page (`Bro_TCP.events`).
    page 1 "tcp" of "tcp";

    /// One direction's stream has been delivered to its end by the reassembler, once per direction.
    /// `is_orig`: the originator's direction ended.
    ConnectionEof "connection_EOF" (c: conn, is_orig: bool);

    /// A SYN or SYN-ACK was seen; every one, repeats included.
    /// `pkt`: what its headers and options say.
    ConnectionSynPacket "connection_SYN_packet" (c: conn, pkt: record SynPacket);

    /// The originator's SYN has had no answer for tcp_attempt_delay.
    ConnectionAttempt "connection_attempt" (c: conn);

    /// The responder's SYN-ACK was seen; whether the last ACK came the history tells.
    ConnectionEstablished "connection_established" (c: conn);

    /// Both sides closed with FIN and acknowledged each other's.
    ConnectionFinished "connection_finished" (c: conn);

    /// The originator's first ACK after its handshake.
    ConnectionFirstAck "connection_first_ACK" (c: conn);

    /// One side closed while the other had never been active.
    ConnectionHalfFinished "connection_half_finished" (c: conn);

    /// A side that had been silent closed, by FIN or RST, and the other had not closed.
    ConnectionPartialClose "connection_partial_close" (c: conn);

    /// The connection was still open when the input ended or the sensor was stopped.
    ConnectionPending "connection_pending" (c: conn);

    /// A SYN was answered by RST.
    ConnectionRejected "connection_rejected" (c: conn);

    /// An established connection was aborted by RST.
    ConnectionReset "connection_reset" (c: conn);

    /// A stream's contents could not be written to its file; said once per direction.
    /// `is_orig`: the originator's file; `msg`: the system's reason.
    ContentsFileWriteFailure "contents_file_write_failure" (c: conn, is_orig: bool, msg: text);

    /// Reassembly of a connection's streams starts.
    NewConnectionContents "new_connection_contents" (c: conn);

    /// A connection is active whose handshake was not seen.
    PartialConnection "partial_connection" (c: conn);

    /// A chunk of a reassembled stream, in order and never twice; only with contents delivery on.
    /// `is_orig`: its direction; `seq`: bytes from the stream's start (first payload byte 1);
    /// `contents`: the bytes.
    // Payload, which is the default; named here so that a change of the default cannot lose it.
    TcpContents "tcp_contents" (c: conn, is_orig: bool, seq: count, contents: bytes) needs PAYLOAD;

    /// A direction's count of packets with a bad checksum crossed a threshold (1, 10, 100, ...).
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleChecksumErrors "tcp_multiple_checksum_errors" (c: conn, is_orig: bool, threshold: count);

    /// A direction's count of content gaps crossed a threshold. Newer than the others, and in Zeek all the same.
    /// `is_orig`: its direction; `threshold`: gaps.
    TcpMultipleGap "tcp_multiple_gap" (c: conn, is_orig: bool, threshold: count);

    /// A direction's count of retransmitted packets crossed a threshold.
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleRetransmissions "tcp_multiple_retransmissions" (c: conn, is_orig: bool, threshold: count);

    /// A direction's count of announced zero windows crossed a threshold.
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleZeroWindows "tcp_multiple_zero_windows" (c: conn, is_orig: bool, threshold: count);

    /// An option in a TCP header; needs every packet.
    /// `is_orig`: its direction; `opt`: option kind; `optlen`: its length, bytes.
    // Options are on every packet, not only on the handshake's.
    TcpOption "tcp_option" (c: conn, is_orig: bool, opt: count, optlen: count) needs ALL_PACKETS;

    /// A TCP packet; needs every packet.
    /// `is_orig`: its direction; `flags`: letters of S F R A P U; `seq`, `ack`: relative to the streams'
    /// starts; `len`: payload bytes by the headers; `payload`: what of it was captured.
    // Bare ACKs and repeats count as packets too.
    TcpPacket "tcp_packet" (
        c: conn, is_orig: bool, flags: text, seq: count, ack: count, len: count, payload: bytes
    ) needs ALL_PACKETS;

    /// A packet retransmitted payload.
    /// `is_orig`: its direction; `seq`: relative sequence; `len`: payload bytes; `data_in_flight`: bytes sent
    /// and not acknowledged; `window`: the peer's last, scaled, bytes.
    TcpRexmit "tcp_rexmit" (
        c: conn, is_orig: bool, seq: count, len: count, data_in_flight: count, window: count
    );
}
