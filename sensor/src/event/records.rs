//! The records that events of no protocol carry, each with Zeek's field names in its JSON. A protocol declares its own
//! ones in its folder (`record.rs`).

use super::record;

record! {
    /// What a SYN or SYN-ACK says (Zeek's `SYN_packet`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SynPacket is "SYN_packet" {
        /// Sent by the originator.
        is_orig: bool,
        /// IP's don't-fragment bit (`DF`); false for IPv6.
        df = "DF": bool,
        /// Time to live or hop limit.
        ttl: count,
        /// IP packet's length, bytes, header included.
        size: count,
        /// Window as on the wire, bytes; a SYN's window is never scaled.
        win_size: count,
        /// Window scale option's shift, -1 without one.
        win_scale: int,
        /// Maximum segment size option, bytes, 0 without one.
        mss = "MSS": count,
        /// Selective acknowledgement permitted.
        sack_ok = "SACK_OK": bool,
        /// Timestamp option's value.
        tsval = "TSval": opt count,
        /// Timestamp option's echo.
        tsecr = "TSecr": opt count,
    }
}

record! {
    /// One endpoint's figures at the end of a TCP connection (Zeek's `endpoint_stats`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct EndpointStats is "endpoint_stats" {
        /// Packets sent.
        num_pkts: count,
        /// Packets with payload at or below the highest sequence already seen.
        num_rxmit: count,
        /// Payload bytes in those.
        num_rxmit_bytes: count,
        /// Payload packets that continue the stream where it stood.
        num_in_order: count,
        /// Payload packets beyond a hole, or filling one.
        num_oo = "num_OO": count,
        /// Packets seen again: same IP id, sequence and length.
        num_repl: count,
        /// Zeek's ENDIAN_UNKNOWN 0, LITTLE 1, BIG 2, CONFUSED 3, of the host's IP ids.
        endian_type: count,
    }
}

record! {
    /// What a file's first bytes say of it (Zeek's `fa_metadata`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FaMetadata<'a> is "fa_metadata" {
        /// Strongest match, such as `application/x-x509-user-cert`.
        mime_type: opt text,
    }
}

record! {
    /// A fingerprinted operating system (Zeek's `OS_version`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OsVersion<'a> is "OS_version" {
        /// Family, such as `Linux`.
        genre: text,
        /// Version and other detail.
        detail: text,
        /// Hops away, from the TTL.
        dist: count,
        /// How sure it is: `direct_inference`, `generic_inference` or `fuzzy_inference`.
        match_type: text,
    }
}

record! {
    /// Where a signature matched (Zeek's `signature_state`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SignatureState<'a> is "signature_state" {
        /// The signature's name.
        sig_id: text,
        /// The connection.
        conn: conn,
        /// Matched on the originator's side.
        is_orig: bool,
        /// Bytes of the first piece of payload in that direction, or of the datagram.
        payload_size: count,
    }
}
