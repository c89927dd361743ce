//! The rows of the seeds' TCP page (`Bro_TCP.events`).

macro_rules! tcp_events {
    ([$next:ident $($more:ident)*] $($rows:tt)*) => { $next! { [$($more)*] $($rows)*

    /// One direction's stream has been delivered to its end by the reassembler, once per direction.
    /// `is_orig`: the originator's direction ended.
    ConnectionEof "connection_EOF" tcp raised (c "c": connection, is_orig "is_orig": bool);

    /// A SYN or SYN-ACK was seen; every one, repeats included.
    /// `pkt`: what its headers and options say.
    ConnectionSynPacket "connection_SYN_packet" tcp raised (c "c": connection, pkt "pkt": syn_packet);

    /// The originator's SYN has had no answer for tcp_attempt_delay.
    ConnectionAttempt "connection_attempt" tcp raised (c "c": connection);

    /// The responder's SYN-ACK was seen; whether the last ACK came the history tells.
    ConnectionEstablished "connection_established" tcp raised (c "c": connection);

    /// Both sides closed with FIN and acknowledged each other's.
    ConnectionFinished "connection_finished" tcp raised (c "c": connection);

    /// The originator's first ACK after its handshake.
    ConnectionFirstAck "connection_first_ACK" tcp raised (c "c": connection);

    /// One side closed while the other had never been active.
    ConnectionHalfFinished "connection_half_finished" tcp raised (c "c": connection);

    /// A side that had been silent closed, by FIN or RST, and the other had not closed.
    ConnectionPartialClose "connection_partial_close" tcp raised (c "c": connection);

    /// The connection was still open when the input ended or the sensor was stopped.
    ConnectionPending "connection_pending" tcp raised (c "c": connection);

    /// A SYN was answered by RST.
    ConnectionRejected "connection_rejected" tcp raised (c "c": connection);

    /// An established connection was aborted by RST.
    ConnectionReset "connection_reset" tcp raised (c "c": connection);

    /// A stream's contents could not be written to its file; said once per direction.
    /// `is_orig`: the originator's file; `msg`: the system's reason.
    ContentsFileWriteFailure "contents_file_write_failure" tcp raised
        (c "c": connection, is_orig "is_orig": bool, msg "msg": text);

    /// Reassembly of a connection's streams starts.
    NewConnectionContents "new_connection_contents" tcp raised (c "c": connection);

    /// A connection is active whose handshake was not seen.
    PartialConnection "partial_connection" tcp raised (c "c": connection);

    /// A chunk of a reassembled stream, in order and never twice; only with contents delivery on.
    /// `is_orig`: its direction; `seq`: bytes from the stream's start (first payload byte 1);
    /// `contents`: the bytes.
    TcpContents "tcp_contents" tcp raised
        (c "c": connection, is_orig "is_orig": bool, seq "seq": count, contents "contents": bytes);

    /// A direction's count of packets with a bad checksum crossed a threshold (1, 10, 100, ...).
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleChecksumErrors "tcp_multiple_checksum_errors" tcp raised
        (c "c": connection, is_orig "is_orig": bool, threshold "threshold": count);

    /// A direction's count of content gaps crossed a threshold. Newer than the others, and in Zeek all the same.
    /// `is_orig`: its direction; `threshold`: gaps.
    TcpMultipleGap "tcp_multiple_gap" tcp raised
        (c "c": connection, is_orig "is_orig": bool, threshold "threshold": count);

    /// A direction's count of retransmitted packets crossed a threshold.
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleRetransmissions "tcp_multiple_retransmissions" tcp raised
        (c "c": connection, is_orig "is_orig": bool, threshold "threshold": count);

    /// A direction's count of announced zero windows crossed a threshold.
    /// `is_orig`: its direction; `threshold`: packets.
    TcpMultipleZeroWindows "tcp_multiple_zero_windows" tcp raised
        (c "c": connection, is_orig "is_orig": bool, threshold "threshold": count);

    /// An option in a TCP header; needs every packet.
    /// `is_orig`: its direction; `opt`: option kind; `optlen`: its length, bytes.
    TcpOption "tcp_option" tcp raised
        (c "c": connection, is_orig "is_orig": bool, opt "opt": count, optlen "optlen": count);

    /// A TCP packet; needs every packet.
    /// `is_orig`: its direction; `flags`: letters of S F R A P U; `seq`, `ack`: relative to the streams'
    /// starts; `len`: payload bytes by the headers; `payload`: what of it was captured.
    TcpPacket "tcp_packet" tcp raised
        (c "c": connection, is_orig "is_orig": bool, flags "flags": text, seq "seq": count, ack "ack": count,
         len "len": count, payload "payload": bytes);

    /// A packet retransmitted payload.
    /// `is_orig`: its direction; `seq`: relative sequence; `len`: payload bytes; `data_in_flight`: bytes sent
    /// and not acknowledged; `window`: the peer's last, scaled, bytes.
    TcpRexmit "tcp_rexmit" tcp raised
        (c "c": connection, is_orig "is_orig": bool, seq "seq": count, len "len": count,
         data_in_flight "data_in_flight": count, window "window": count);
    } };
}
