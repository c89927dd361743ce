//! Events of packets and connections of any protocol, from the seeds' core page (`event.bif`).

use super::page::events;
use super::{EndpointStats, OsVersion, SignatureState};

events! {
    /// Events of packets and connections of any protocol, from the seeds' core page (`event.bif`).
    page 0 "core" of "core";

    /// A host's operating system was told from its packets.
    /// `host`: the host; `os`: the system.
    OsVersionFound "OS_version_found" (c: conn, host: addr, os = "OS": record OsVersion<'a>);

    /// An address is replaced by another one from here on (`--anonymize`; deprecated in the seeds). It tells what the other events
    /// hide, so patterns do not match it: who wants it names it. Raised once for each address, as long as that is remembered.
    /// `orig`: the real one; `mapped`: its stand-in.
    AnonymizationMapping "anonymization_mapping" (orig: addr, mapped: addr);

    /// A TCP connection's state goes away; figures of both endpoints.
    /// `os`: the originator's; `rs`: the responder's.
    ConnStats "conn_stats" (c: conn, os: record EndpointStats, rs: record EndpointStats);

    /// Something unexpected within one connection.
    /// `name`: which weird it is; `addl`: more about it, may be empty.
    ConnWeird "conn_weird" (name: text, c: conn, addl: text);

    /// A connection was handed in by another process.
    /// `tag`: what it said of it.
    ConnectionExternal "connection_external" (c: conn, tag: text) not_yet;

    /// A direction of an IPv6 connection uses another flow label than before.
    /// `is_orig`: its direction; `old_label`, `new_label`: 20-bit labels.
    // A flow label may change on a bare ACK.
    ConnectionFlowLabelChanged "connection_flow_label_changed" (
        c: conn, is_orig: bool, old_label: count, new_label: count
    ) needs ALL_PACKETS;

    /// A new connection has the addresses and ports of one still being tracked.
    ConnectionReused "connection_reused" (c: conn);

    /// A connection's state is about to be removed; once for every connection, UDP and ICMP included.
    ConnectionStateRemove "connection_state_remove" (c: conn);

    /// A connection is still there after another status interval.
    ConnectionStatusUpdate "connection_status_update" (c: conn);

    /// A TCP connection expired with one side closed or never active.
    ConnectionTimeout "connection_timeout" (c: conn);

    /// A piece of a TCP stream was acknowledged but never seen.
    /// `is_orig`: its direction; `seq`: where the gap starts, relative; `length`: bytes.
    // Payload, which is the default; named here so that a change of the default cannot lose it.
    ContentGap "content_gap" (c: conn, is_orig: bool, seq: count, length: count) needs PAYLOAD;

    /// A packet whose payload is encrypted by IPsec ESP.
    /// `p`: its headers.
    EspPacket "esp_packet" (p: pkt_hdr);

    /// Something unexpected between two hosts, outside any connection.
    /// `name`: which weird it is; `src`, `dst`: the hosts.
    FlowWeird "flow_weird" (name: text, src: addr, dst: addr);

    /// A Gaobot worm's signature matched (deprecated in the seeds).
    GaobotSignatureFound "gaobot_signature_found" (c: conn);

    /// An IPv6 packet with extension headers.
    /// `p`: its headers.
    // Extension headers may be on any packet.
    Ipv6ExtHeaders "ipv6_ext_headers" (c: conn, p: pkt_hdr) needs ALL_PACKETS;

    /// A Kazaa signature matched (deprecated in the seeds).
    KazaaSignatureFound "kazaa_signature_found" (c: conn);

    /// A packet with a Mobile IPv6 mobility header (RFC 6275).
    /// `p`: its headers.
    MobileIpv6Message "mobile_ipv6_message" (p: pkt_hdr);

    /// A Napster signature matched (deprecated in the seeds).
    NapsterSignatureFound "napster_signature_found" (c: conn);

    /// Something unexpected tied to neither a connection nor a pair of hosts.
    /// `name`: which weird it is.
    NetWeird "net_weird" (name: text);

    /// A connection's first packet, of any transport.
    NewConnection "new_connection" (c: conn);

    /// A packet of a connection; needs every packet.
    /// `p`: its headers.
    // Bare ACKs and repeats count as packets too.
    NewPacket "new_packet" (c: conn, p: pkt_hdr) needs ALL_PACKETS;

    /// A packet with transport payload; needs every packet.
    /// `contents`: the payload as captured.
    // Shedding a bulk flow's payload would leave packets out.
    PacketContents "packet_contents" (c: conn, contents: bytes) needs ALL_PACKETS;

    /// An analyzer is sure that a connection speaks its protocol.
    /// `atype`: the analyzer; `aid`: its number, unique in the run.
    ProtocolConfirmation "protocol_confirmation" (c: conn, atype: tag, aid: count);

    /// An analyzer met what its protocol does not allow.
    /// `atype`: the analyzer; `aid`: its number; `reason`: what is wrong.
    ProtocolViolation "protocol_violation" (c: conn, atype: tag, aid: count, reason: text);

    /// A frame with a valid link-layer header, IP or not; needs every frame.
    /// `p`: its headers.
    // Frames that are not IP as well.
    RawPacket "raw_packet" (p: raw_pkt_hdr) needs ALL_PACKETS | ALL_FRAMES;

    /// A retransmission says something else than the first time.
    /// `t1`: the first content; `t2`: the new one; `tcp_flags`: letters of S F R A P, may be empty.
    // Payload, which is the default; named here so that a change of the default cannot lose it.
    RexmitInconsistency "rexmit_inconsistency" (c: conn, t1: bytes, t2: bytes, tcp_flags: text) needs PAYLOAD;

    /// A root backdoor's signature matched (deprecated in the seeds).
    RootBackdoorSignatureFound "root_backdoor_signature_found" (c: conn);

    /// A connection came that an analyzer had been waiting for.
    /// `a`: the analyzer.
    ScheduledAnalyzerApplied "scheduled_analyzer_applied" (c: conn, a: tag);

    /// A signature matched.
    /// `state`: which and where; `msg`: its message; `data`: the last bytes of the match.
    SignatureMatch "signature_match" (state: record SignatureState<'a>, msg: text, data: bytes);

    /// A connection's encapsulation is not what it was.
    /// `e`: the new one, outermost layer first.
    TunnelChanged "tunnel_changed" (c: conn, e: encap);

    /// A UDP session of a protocol the sensor knows is over.
    UdpSessionDone "udp_session_done" (u: conn);
}
