//! How often a weird is told: all of the first few, then one in many (Zeek: Weird::sampling_*). And
//! how often weird.log has it: mostly once in a while.

use std::collections::HashMap;
use std::net::IpAddr;

use super::row::Whose;
use crate::base::time::SECOND;
use crate::event::{Proto, Ts};

const THRESHOLD: u64 = 25;
const RATE: u64 = 1000;
const DURATION: Ts = 600 * SECOND;
/// Names kept per connection; what is beyond is told like the last one.
const MAX_NAMES: usize = 32;

/// Counts of weirds by name.
#[derive(Default)]
pub struct Sampler(Vec<(&'static str, u64, Ts)>);

impl Sampler {
    /// Whether this one is to be told.
    pub fn permit(&mut self, name: &'static str, now: Ts) -> bool {
        let i = match self.0.iter().position(|e| e.0 == name) {
            Some(i) => i,
            None if self.0.len() < MAX_NAMES => {
                self.0.push((name, 0, 0));
                self.0.len() - 1
            }
            None => MAX_NAMES - 1,
        };
        let (_, count, since) = &mut self.0[i];
        *count += 1;
        if *count <= THRESHOLD {
            return true;
        }
        if *count == THRESHOLD + 1 {
            *since = now;
        } else if now > *since + DURATION {
            (*since, *count) = (0, 1);
            return true;
        }
        (*count - THRESHOLD).is_multiple_of(RATE)
    }
}

/// Pairs of hosts whose weirds are counted; with more, counting starts over. Whoever forges addresses gets
/// each weird told, as with Zeek, but no memory.
const MAX_PAIRS: usize = 1 << 16;

/// Sender and receiver.
type Pair = ([u8; 16], [u8; 16]);

/// Counts of the weirds that belong to no connection: by name, or by name and pair of hosts. Unlike a
/// connection's, they are forgotten a while after the first one.
#[derive(Default)]
pub struct NetSampler {
    net: Counts,
    flows: HashMap<Pair, Counts>,
}

impl NetSampler {
    /// Whether this one is to be told.
    pub fn permit(&mut self, name: &'static str, ends: Option<(&[u8; 16], &[u8; 16])>, now: Ts) -> bool {
        let Some((src, dst)) = ends else {
            return self.net.permit(name, now);
        };
        let pair = (*src, *dst);
        if self.flows.len() >= MAX_PAIRS && !self.flows.contains_key(&pair) {
            self.flows.clear();
        }
        self.flows.entry(pair).or_default().permit(name, now)
    }
}

/// By name. There are some hundred names at most, and few that one pair of hosts makes.
#[derive(Default)]
struct Counts {
    since: Ts,
    names: Vec<(&'static str, u64)>,
}

impl Counts {
    fn permit(&mut self, name: &'static str, now: Ts) -> bool {
        if self.names.is_empty() || now >= self.since.saturating_add(DURATION) {
            self.since = now;
            self.names.clear();
        }
        let count = match self.names.iter_mut().find(|e| e.0 == name) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.names.push((name, 1));
                1
            }
        };
        count <= THRESHOLD || (count - THRESHOLD).is_multiple_of(RATE)
    }
}

/// What weird.log does not repeat of a connection or a pair of hosts for so long, ns (Zeek:
/// Weird::weird_ignore).
const QUIET: Ts = DURATION;
/// What it has only once of a host or a connection, for so long, ns (Zeek: Weird::did_log).
const QUIET_ONCE: Ts = 24 * 3600 * SECOND;
/// Oddities that it was told of and remembers; with more it starts over.
const MAX_LOGGED: usize = 1 << 16;

/// Too common to be logged (Zeek: ACTION_IGNORE).
const UNLOGGED: &[&str] = &[
    "FIN_after_reset",
    "spontaneous_FIN",
    "spontaneous_RST",
    "unsolicited_SYN_response",
];
/// Logged once for each originator or sender (Zeek: ACTION_LOG_PER_ORIG, ACTION_NOTICE_PER_ORIG).
const PER_ORIG: &[&str] = &[
    "DNS_label_forward_compress_offset",
    "DNS_label_len_gt_name_len",
    "DNS_label_len_gt_pkt",
    "DNS_label_too_long",
    "FIN_storm",
    "SSH_max_packet_length_exceeded",
    "SSH_max_string_length_exceeded",
    "SYN_after_partial",
    "SYN_with_data",
    "UDP_datagram_length_mismatch",
    "bad_ICMP_checksum",
    "bad_IP_checksum",
    "bad_TCP_checksum",
    "bad_UDP_checksum",
    "connection_originator_SYN_ack",
    "excessively_small_fragment",
    "fragment_inconsistency",
    "fragment_overlap",
    "fragment_size_inconsistency",
];
/// Logged once for each connection (Zeek: ACTION_LOG_PER_CONN).
const PER_CONN: &[&str] = &["simultaneous_open"];

/// The analyzer that meets a weird, as weird.log's `source` has it; none where Zeek's core or a script does, or
/// where several analyzers do. `name` without `_in_tunnel`, `tcp`: it is a TCP connection's.
pub fn source(name: &str, tcp: bool) -> &'static str {
    match name.strip_suffix("_in_tunnel").unwrap_or(name) {
        "SYN_inside_connection"
        | "HTTP_excessive_pipelining"
        | "HTTP_response_before_request"
        | "base64_illegal_encoding"
        | "unknown_HTTP_method"
        | "SYN_seq_jump"
        | "possible_split_routing"
        | "window_recision"
        | "tunnel_max_changes_per_connection_exceeded"
        | "SSL_many_server_names"
        | "SSL_max_ssl_history_length_reached"
        | "SSH_cannot_determine_version"
        | "SSH_version_mismatch"
        | "ssl_early_application_data"
        | "x509_cert_parse_error" => "",
        "bad_UDP_checksum" | "UDP_datagram_length_mismatch" => "UDP",
        "bad_ICMP_checksum" => "ICMP",
        "truncated_IP"
        | "unknown_ip_version"
        | "ip_hdr_len_zero"
        | "truncated_IP_len"
        | "invalid_IP_header_size"
        | "IPv4_min_header_size"
        | "bad_IP_checksum"
        | "bad_MH_checksum"
        | "incompletely_captured_fragment"
        | "mobility_piggyback"
        | "ipv6_no_next" => "IP",
        "exceeded_tunnel_max_depth"
        | "invalid_inner_IP_version"
        | "truncated_inner_IP"
        | "inner_IP_payload_length_mismatch" => "IPTUNNEL",
        "truncated_GRE"
        | "unknown_gre_version"
        | "egre_protocol_type"
        | "gre_routing"
        | "unknown_gre_flags"
        | "non_ip_packet_in_encap" => "GRE",
        "vxlan_empty_packet" => "VXLAN",
        "geneve_empty_packet" | "geneve_invalid_version" => "GENEVE",
        "ayiya_empty_packet" => "AYIYA",
        "tunnel_depth" => "GTPV1",
        "truncated_ethernet_frame" | "truncated_link_header_cfp" | "undefined_ether_type" => "ETHERNET",
        "truncated_VLAN_header" | "truncated_vlan_frame" | "undefined_vlan_protocol" => "VLAN",
        "truncated_pppoe_header" | "pppoe_extra_data_after_payload" | "pppoe_truncated_payload" => "PPPOE",
        "truncated_link_header" => "MPLS",
        "truncated_PBB_header" => "PBB",
        "truncated_vntag_header" => "VNTAG",
        "truncated_llc_header" => "LLC",
        "truncated_snap_llc_header" | "truncated_snap_header" => "SNAP",
        "truncated_Linux_SLL_header" => "LINUXSLL",
        "truncated_Linux_SLL2_header" => "LINUXSLL2",
        "null_analyzer_failed" => "NULL",
        "truncated_ppp_header" | "truncated_ppp_hdlc_header" => "PPP",
        "truncated_ppp_serial_header" => "PPPSERIAL",
        "FDDI_analyzer_failed" => "FDDI",
        "truncated_radiotap_header" => "IEEE802_11_RADIO",
        n if n.contains("nflog") => "NFLOG",
        n if n.contains("802_11") => "IEEE802_11",
        n if n.starts_with("SSH") || n.starts_with("ssh") => "SSH",
        "contentline_size_exceeded" | "line_terminated_with_single_CR" | "line_terminated_without_CRLF" => {
            "CONTENTLINE"
        }
        "inflate_failed" => "ZIP",
        "bad_HTTP_request"
        | "brotli_failed"
        | "bad_HTTP_request_with_version"
        | "double_%_in_URI"
        | "empty_http_request"
        | "exceeded_http_decompression_memory"
        | "exceeded_http_decompression_ratio"
        | "exceeded_mime_max_depth"
        | "exceeded_mime_max_header_bytes"
        | "illegal_%_at_end_of_URI"
        | "invalid_http_09_request_method"
        | "lowercase_HTTP_keyword"
        | "missing_HTTP_uri"
        | "partial_escape_at_end_of_URI"
        | "protocol_data_with_HTTP_CONNECT_reply"
        | "protocol_data_with_HTTP_upgrade_reply"
        | "unescaped_%_in_URI"
        | "unexpected_multiple_HTTP_requests" => "HTTP",
        "smtp_bdat_remaining_at_end_data" => "SMTP",
        n if n.starts_with("smtp_bdat_") => "SMTP_BDAT",
        n if n.starts_with("smtp_") => "SMTP",
        n if n.starts_with("HTTP_") || n.starts_with("http_") => "HTTP",
        n if n.starts_with("DNS") || n.starts_with("EDNS") => "DNS",
        n if n.starts_with("SSL") || n.starts_with("ssl") || n.starts_with("tls") => {
            ["DTLS", "SSL"][tcp as usize]
        }
        "too_many_analyzer_violations" | "zero_length_certificate" => ["DTLS", "SSL"][tcp as usize],
        _ if tcp => "TCP",
        _ => "",
    }
}

/// Whose weird is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// Originator and responder.
    Conn((IpAddr, u16), (IpAddr, u16), Proto),
    /// Sender and receiver.
    Hosts(IpAddr, IpAddr),
    Orig(IpAddr),
    Nobody,
}

impl From<Whose<'_>> for Of {
    fn from(whose: Whose<'_>) -> Of {
        match whose {
            Whose::Conn(c) => Of::Conn((c.orig_h, c.orig_p), (c.resp_h, c.resp_p), c.proto),
            Whose::Hosts(src, dst) => Of::Hosts(src, dst),
            Whose::Nobody => Of::Nobody,
        }
    }
}

impl Of {
    fn orig(self) -> Of {
        match self {
            Of::Conn((orig, _), ..) | Of::Hosts(orig, _) | Of::Orig(orig) => Of::Orig(orig),
            Of::Nobody => Of::Nobody,
        }
    }
}

/// What weird.log has: until when each weird is not to be repeated.
#[derive(Default)]
pub struct Logged(HashMap<(&'static str, Of), Ts>);

impl Logged {
    /// Whether this one is to be logged.
    pub fn permit(&mut self, name: &'static str, of: Of, now: Ts) -> bool {
        if UNLOGGED.contains(&name) {
            return false;
        }
        let orig = PER_ORIG.contains(&name).then(|| of.orig());
        let known = |of: &Of| self.0.get(&(name, *of)).is_some_and(|until| now < *until);
        if known(&of) || orig.as_ref().is_some_and(known) {
            return false;
        }
        if self.0.len() + 2 > MAX_LOGGED {
            self.0.clear();
        }
        let quiet = if PER_CONN.contains(&name) {
            QUIET_ONCE
        } else {
            QUIET
        };
        self.0.insert((name, of), now.saturating_add(quiet));
        if let Some(orig) = orig {
            self.0.insert((name, orig), now.saturating_add(QUIET_ONCE));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(n).into()
    }

    #[test]
    fn most_weirds_are_some_analyzers() {
        let cases = [
            ("data_before_established", true, "TCP"),
            ("window_recision", true, ""),
            ("DNS_unknown_opcode", false, "DNS"),
            ("SSH_max_packet_length_exceeded", true, "SSH"),
            ("SSH_version_mismatch", true, ""),
            ("ssh_unknown_kex_algorithm", true, "SSH"),
            ("smtp_bdat_remaining_at_end_data", true, "SMTP"),
            ("smtp_bdat_line_lf_only", true, "SMTP_BDAT"),
            ("bad_UDP_checksum", false, "UDP"),
            ("zero_length_certificate", false, "DTLS"),
            ("truncated_GRE_in_tunnel", false, "GRE"),
            ("fragment_overlap", false, ""),
        ];
        for (name, tcp, from) in cases {
            assert_eq!(source(name, tcp), from, "{name}");
        }
    }

    #[test]
    fn the_log_repeats_itself_after_ten_minutes() {
        let mut l = Logged::default();
        let (a, b) = (Of::Hosts(host(1), host(2)), Of::Hosts(host(1), host(3)));
        assert!(l.permit("x", a, 5) && !l.permit("x", a, 6) && !l.permit("x", a, 4 + QUIET));
        assert!(l.permit("y", a, 6) && l.permit("x", b, 6) && l.permit("x", Of::Nobody, 6));
        assert!(l.permit("x", a, 5 + QUIET));
    }

    #[test]
    fn some_are_logged_once_for_an_originator_or_never() {
        let mut l = Logged::default();
        let conn = |port| Of::Conn((host(1), port), (host(2), 53), Proto::Udp);
        assert!(l.permit("bad_UDP_checksum", conn(1), 5));
        assert!(!l.permit("bad_UDP_checksum", conn(2), 5 + QUIET));
        assert!(l.permit("bad_UDP_checksum", conn(2), 5 + QUIET_ONCE));
        assert!(l.permit("simultaneous_open", conn(1), 5));
        assert!(
            l.permit("simultaneous_open", conn(2), 5) && !l.permit("simultaneous_open", conn(1), 5 + QUIET)
        );
        assert!(!l.permit("spontaneous_RST", conn(1), 5));
    }

    #[test]
    fn the_logs_memory_is_bounded() {
        let mut l = Logged::default();
        for n in 0..2 * MAX_LOGGED as u32 {
            assert!(l.permit("SYN_with_data", Of::Hosts(host(n), host(0)), 5));
        }
        assert!(l.0.len() <= MAX_LOGGED);
    }

    #[test]
    fn tells_the_first_then_samples() {
        let mut s = Sampler::default();
        let told = (0..2100).filter(|_| s.permit("x", 5)).count();
        assert_eq!(told, 25 + 2);
        assert!(s.permit("y", 5));
        assert!(s.permit("x", 6 + DURATION));
    }

    #[test]
    fn weirds_of_no_connection_are_sampled_by_name_and_pair() {
        let mut s = NetSampler::default();
        let ends = |n: u32| {
            let mut a = [0; 16];
            a[..4].copy_from_slice(&n.to_le_bytes());
            (a, [1; 16])
        };
        let told = |s: &mut NetSampler, n, times| {
            let (a, b) = ends(n);
            (0..times).filter(|_| s.permit("x", Some((&a, &b)), 5)).count()
        };
        assert_eq!(told(&mut s, 0, 2100), 25 + 2);
        assert_eq!(told(&mut s, 1, 30), 25);
        assert_eq!((0..30).filter(|_| s.permit("x", None, 5)).count(), 25);
        assert!(s.permit("y", None, 5) && !s.permit("x", None, 4 + DURATION));
        assert!(s.permit("x", None, 5 + DURATION));
        // Forged addresses do not fill memory.
        for n in 0..2 * MAX_PAIRS as u32 {
            told(&mut s, n, 1);
        }
        assert!(s.flows.len() <= MAX_PAIRS);
    }
}
