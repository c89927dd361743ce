//! The rows of the seeds' core page (`event.bif`): what is not tied to one protocol.

macro_rules! core_events {
    ([$next:ident $($more:ident)*] $($rows:tt)*) => { $next! { [$($more)*] $($rows)*

    /// A host's operating system was told from its packets.
    /// `host`: the host; `os`: the system.
    OsVersionFound "OS_version_found" core not_yet (c "c": connection, host "host": addr, os "OS": os_version);

    /// An address was replaced by another one (deprecated in the seeds).
    /// `orig`: the real one; `mapped`: its stand-in.
    AnonymizationMapping "anonymization_mapping" core not_yet (orig "orig": addr, mapped "mapped": addr);

    /// The sensor ends: input read to its end, or stopped by a signal.
    BroDone "bro_done" core raised ();

    /// The sensor starts; no packet has been seen yet.
    BroInit "bro_init" core raised ();

    /// A policy script was loaded.
    /// `path`: the script's full path; `level`: how deep it is nested, 0 at the top.
    BroScriptLoaded "bro_script_loaded" core not_yet (path "path": text, level "level": count);

    /// A TCP connection's state goes away; figures of both endpoints.
    /// `os`: the originator's; `rs`: the responder's.
    ConnStats "conn_stats" core raised (c "c": connection, os "os": endpoint_stats, rs "rs": endpoint_stats);

    /// Something unexpected within one connection.
    /// `name`: which weird it is; `addl`: more about it, may be empty.
    ConnWeird "conn_weird" core raised (name "name": text, c "c": connection, addl "addl": text);

    /// A connection was handed in by another process.
    /// `tag`: what it said of it.
    ConnectionExternal "connection_external" core not_yet (c "c": connection, tag "tag": text);

    /// A direction of an IPv6 connection uses another flow label than before.
    /// `is_orig`: its direction; `old_label`, `new_label`: 20-bit labels.
    ConnectionFlowLabelChanged "connection_flow_label_changed" core raised
        (c "c": connection, is_orig "is_orig": bool, old_label "old_label": count, new_label "new_label": count);

    /// A new connection has the addresses and ports of one still being tracked.
    ConnectionReused "connection_reused" core raised (c "c": connection);

    /// A connection's state is about to be removed; once for every connection, UDP and ICMP included.
    ConnectionStateRemove "connection_state_remove" core raised (c "c": connection);

    /// A connection is still there after another status interval.
    ConnectionStatusUpdate "connection_status_update" core raised (c "c": connection);

    /// A TCP connection expired with one side closed or never active.
    ConnectionTimeout "connection_timeout" core raised (c "c": connection);

    /// A piece of a TCP stream was acknowledged but never seen.
    /// `is_orig`: its direction; `seq`: where the gap starts, relative; `length`: bytes.
    ContentGap "content_gap" core raised
        (c "c": connection, is_orig "is_orig": bool, seq "seq": count, length "length": count);

    /// A lookup of the sensor's own gave other addresses than before.
    /// `dm`: the answer; `old_addrs`: those gone; `new_addrs`: those new.
    DnsMappingAltered "dns_mapping_altered" core not_yet
        (dm "dm": dns_mapping, old_addrs "old_addrs": addr_set, new_addrs "new_addrs": addr_set);

    /// A lookup of the sensor's own gave no name where it had.
    /// `dm`: the earlier answer.
    DnsMappingLostName "dns_mapping_lost_name" core not_yet (dm "dm": dns_mapping);

    /// A lookup of the sensor's own gave a name where it had not.
    /// `dm`: the earlier answer.
    DnsMappingNewName "dns_mapping_new_name" core not_yet (dm "dm": dns_mapping);

    /// A lookup of the sensor's own was not answered where it had been.
    /// `dm`: the earlier answer.
    DnsMappingUnverified "dns_mapping_unverified" core not_yet (dm "dm": dns_mapping);

    /// A lookup of the sensor's own gave what it gave before.
    /// `dm`: the answer.
    DnsMappingValid "dns_mapping_valid" core not_yet (dm "dm": dns_mapping);

    /// A packet whose payload is encrypted by IPsec ESP.
    /// `p`: its headers.
    EspPacket "esp_packet" core raised (p "p": pkt_hdr);

    /// The events queued so far are about to be handed out.
    EventQueueFlushPoint "event_queue_flush_point" core raised ();

    /// A piece of a file is missing.
    /// `f`: the file; `offset`: where, bytes from its start; `len`: bytes.
    FileGap "file_gap" core not_yet (f "f": fa_file, offset "offset": count, len "len": count);

    /// Analysis of a file begins.
    /// `f`: the file.
    FileNew "file_new" core raised (f "f": fa_file);

    /// A script opened a file.
    /// `f`: its name.
    FileOpened "file_opened" core not_yet (f "f": file);

    /// A file is seen on another connection than the one it began on.
    /// `f`: the file; `is_orig`: the originator sends it.
    FileOverNewConnection "file_over_new_connection" core raised
        (f "f": fa_file, c "c": connection, is_orig "is_orig": bool);

    /// A file's reassembly ran out of space and skipped a piece.
    /// `f`: the file; `offset`: where, bytes from its start; `skipped`: bytes.
    FileReassemblyOverflow "file_reassembly_overflow" core not_yet
        (f "f": fa_file, offset "offset": count, skipped "skipped": count);

    /// A file's beginning has been looked at.
    /// `f`: the file; `meta`: what it seems to be, all unset when unknown.
    FileSniff "file_sniff" core raised (f "f": fa_file, meta "meta": fa_metadata);

    /// Analysis of a file ends.
    /// `f`: the file.
    FileStateRemove "file_state_remove" core raised (f "f": fa_file);

    /// Nothing was heard of a file for too long.
    /// `f`: the file.
    FileTimeout "file_timeout" core not_yet (f "f": fa_file);

    /// All state asked for was sent to a peer.
    /// `p`: the peer.
    FinishedSendState "finished_send_state" core not_yet (p "p": event_peer);

    /// Something unexpected between two hosts, outside any connection.
    /// `name`: which weird it is; `src`, `dst`: the hosts.
    FlowWeird "flow_weird" core raised (name "name": text, src "src": addr, dst "dst": addr);

    /// A Gaobot worm's signature matched (deprecated in the seeds).
    GaobotSignatureFound "gaobot_signature_found" core not_yet (c "c": connection);

    /// File analysis asks which file some data belongs to.
    /// `tag`: the analyzer with the data; `is_orig`: its direction.
    GetFileHandle "get_file_handle" core not_yet (tag "tag": tag, c "c": connection, is_orig "is_orig": bool);

    /// An IPv6 packet with extension headers.
    /// `p`: its headers.
    Ipv6ExtHeaders "ipv6_ext_headers" core raised (c "c": connection, p "p": pkt_hdr);

    /// A Kazaa signature matched (deprecated in the seeds).
    KazaaSignatureFound "kazaa_signature_found" core not_yet (c "c": connection);

    /// A sample of where the time goes.
    /// `samples`: the functions met; `cpu`: time spent since the last; `dmem`: change of memory, bytes.
    LoadSample "load_sample" core not_yet (samples "samples": load_sample, cpu "CPU": interval, dmem "dmem": int);

    /// A packet with a Mobile IPv6 mobility header (RFC 6275).
    /// `p`: its headers.
    MobileIpv6Message "mobile_ipv6_message" core raised (p "p": pkt_hdr);

    /// A Napster signature matched (deprecated in the seeds).
    NapsterSignatureFound "napster_signature_found" core not_yet (c "c": connection);

    /// Something unexpected tied to neither a connection nor a pair of hosts.
    /// `name`: which weird it is.
    NetWeird "net_weird" core raised (name "name": text);

    /// A connection's first packet, of any transport.
    NewConnection "new_connection" core raised (c "c": connection);

    /// Any other event is raised.
    /// `name`: its name; `params`: its arguments.
    NewEvent "new_event" core raised (name "name": text, params "params": call_args);

    /// A packet of a connection; needs every packet.
    /// `p`: its headers.
    NewPacket "new_packet" core raised (c "c": connection, p "p": pkt_hdr);

    /// A packet with transport payload; needs every packet.
    /// `contents`: the payload as captured.
    PacketContents "packet_contents" core raised (c "c": connection, contents "contents": bytes);

    /// A script prints (deprecated in the seeds).
    /// `f`: where to; `s`: the text.
    PrintHook "print_hook" core not_yet (f "f": file, s "s": text);

    /// The internal profile was written.
    /// `f`: the profile's file; `expensive`: the costly part is in it.
    ProfilingUpdate "profiling_update" core not_yet (f "f": file, expensive "expensive": bool);

    /// An analyzer is sure that a connection speaks its protocol.
    /// `atype`: the analyzer; `aid`: its number, unique in the run.
    ProtocolConfirmation "protocol_confirmation" core raised
        (c "c": connection, atype "atype": tag, aid "aid": count);

    /// An analyzer met what its protocol does not allow.
    /// `atype`: the analyzer; `aid`: its number; `reason`: what is wrong.
    ProtocolViolation "protocol_violation" core raised
        (c "c": connection, atype "atype": tag, aid "aid": count, reason "reason": text);

    /// A frame with a valid link-layer header, IP or not; needs every frame.
    /// `p`: its headers.
    RawPacket "raw_packet" core raised (p "p": raw_pkt_hdr);

    /// A peer sent a capture filter.
    /// `p`: the peer; `filter`: the filter's text.
    RemoteCaptureFilter "remote_capture_filter" core not_yet (p "p": event_peer, filter "filter": text);

    /// The connection to a peer was closed.
    /// `p`: the peer.
    RemoteConnectionClosed "remote_connection_closed" core not_yet (p "p": event_peer);

    /// The connection to a peer failed.
    /// `p`: the peer; `reason`: why.
    RemoteConnectionError "remote_connection_error" core not_yet (p "p": event_peer, reason "reason": text);

    /// A connection to a peer is up.
    /// `p`: the peer.
    RemoteConnectionEstablished "remote_connection_established" core not_yet (p "p": event_peer);

    /// The first exchange with a peer is done.
    /// `p`: the peer.
    RemoteConnectionHandshakeDone "remote_connection_handshake_done" core not_yet (p "p": event_peer);

    /// A peer asked for an event.
    /// `p`: the peer; `name`: the event.
    RemoteEventRegistered "remote_event_registered" core not_yet (p "p": event_peer, name "name": text);

    /// A message of the part that talks to peers.
    /// `level`: info or error; `src`: which process; `msg`: the text.
    RemoteLog "remote_log" core not_yet (level "level": count, src "src": count, msg "msg": text);

    /// A message about one peer.
    /// `p`: the peer; `level`: info or error; `src`: which process; `msg`: the text.
    RemoteLogPeer "remote_log_peer" core not_yet
        (p "p": event_peer, level "level": count, src "src": count, msg "msg": text);

    /// A peer answered a ping.
    /// `p`: the peer; `seq`: the ping's number; `d1`: whole round trip; `d2`: of it the network;
    /// `d3`: of it the peer's own work.
    RemotePong "remote_pong" core not_yet
        (p "p": event_peer, seq "seq": count, d1 "d1": interval, d2 "d2": interval, d3 "d3": interval);

    /// A peer's change of a variable was repeated here.
    /// `id`: the variable; `v`: its value as text.
    RemoteStateAccessPerformed "remote_state_access_performed" core not_yet (id "id": text, v "v": any);

    /// A variable held another value than a peer thought.
    /// `operation`: what was done; `id`: the variable; `expected_old`, `real_old`: the values.
    RemoteStateInconsistency "remote_state_inconsistency" core not_yet
        (operation "operation": text, id "id": text, expected_old "expected_old": text, real_old "real_old": text);

    /// The sensor reports an error.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterError "reporter_error" core raised (t "t": time, msg "msg": text, location "location": text);

    /// The sensor reports something worth knowing.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterInfo "reporter_info" core raised (t "t": time, msg "msg": text, location "location": text);

    /// The sensor warns.
    /// `t`: when; `msg`: the text; `location`: where, may be empty.
    ReporterWarning "reporter_warning" core raised (t "t": time, msg "msg": text, location "location": text);

    /// A retransmission says something else than the first time.
    /// `t1`: the first content; `t2`: the new one; `tcp_flags`: letters of S F R A P, may be empty.
    RexmitInconsistency "rexmit_inconsistency" core raised
        (c "c": connection, t1 "t1": bytes, t2 "t2": bytes, tcp_flags "tcp_flags": text);

    /// A root backdoor's signature matched (deprecated in the seeds).
    RootBackdoorSignatureFound "root_backdoor_signature_found" core not_yet (c "c": connection);

    /// A file's rotation time has come (deprecated in the seeds).
    /// `f`: its name.
    RotateInterval "rotate_interval" core not_yet (f "f": file);

    /// A file reached its rotation size (deprecated in the seeds).
    /// `f`: its name.
    RotateSize "rotate_size" core not_yet (f "f": file);

    /// A connection came that an analyzer had been waiting for.
    /// `a`: the analyzer.
    ScheduledAnalyzerApplied "scheduled_analyzer_applied" core raised (c "c": connection, a "a": tag);

    /// A signature matched.
    /// `state`: which and where; `msg`: its message; `data`: the last bytes of the match.
    SignatureMatch "signature_match" core not_yet (state "state": signature_state, msg "msg": text, data "data": bytes);

    /// Software named itself in a way that could not be taken apart.
    /// `host`: where it runs; `descr`: what it said.
    SoftwareParseError "software_parse_error" core not_yet (c "c": connection, host "host": addr, descr "descr": text);

    /// Software named itself.
    /// `host`: where it runs; `str`: what it said.
    SoftwareUnparsedVersionFound "software_unparsed_version_found" core not_yet
        (c "c": connection, host "host": addr, str "str": text);

    /// Software named itself, with a version that could be read.
    /// `host`: where it runs; `s`: name and version; `descr`: what it said.
    SoftwareVersionFound "software_version_found" core not_yet
        (c "c": connection, host "host": addr, s "s": software, descr "descr": text);

    /// A connection's encapsulation is not what it was.
    /// `e`: the new one, outermost layer first.
    TunnelChanged "tunnel_changed" core raised (c "c": connection, e "e": encap);

    /// A UDP session of a protocol the sensor knows is over.
    UdpSessionDone "udp_session_done" core raised (u "u": connection);
    } };
}
