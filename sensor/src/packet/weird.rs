//! Weirds: what Zeek reports of a packet that is not as it should be, under Zeek's names.

/// Makes the enum, its names and the list of all from one table.
macro_rules! weirds {
    ($($variant:ident $name:literal)*) => {
        /// One weird. The names are Zeek's, as they appear in weird.log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Weird {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant
            ),*
        }

        impl Weird {
            /// All of them, in the order of the enum.
            pub const ALL: &'static [Weird] = &[$(Weird::$variant),*];

            /// Zeek's name.
            pub const fn name(self) -> &'static str {
                match self { $(Weird::$variant => $name),* }
            }

            /// Zeek's name for it in a packet that came out of a tunnel.
            pub const fn name_in_tunnel(self) -> &'static str {
                match self { $(Weird::$variant => concat!($name, "_in_tunnel")),* }
            }
        }
    };
}

weirds! {
    // Link layers.
    TruncatedEthernetFrame "truncated_ethernet_frame"
    TruncatedLinkHeaderCfp "truncated_link_header_cfp"
    UndefinedEtherType "undefined_ether_type"
    TruncatedVlanHeader "truncated_VLAN_header"
    TruncatedVlanFrame "truncated_vlan_frame"
    UndefinedVlanProtocol "undefined_vlan_protocol"
    TruncatedLinkHeader "truncated_link_header"
    TruncatedPppoeHeader "truncated_pppoe_header"
    PppoeExtraData "pppoe_extra_data_after_payload"
    PppoeTruncatedPayload "pppoe_truncated_payload"
    TruncatedPbbHeader "truncated_PBB_header"
    TruncatedVntagHeader "truncated_vntag_header"
    TruncatedLlcHeader "truncated_llc_header"
    TruncatedSnapLlcHeader "truncated_snap_llc_header"
    TruncatedSnapHeader "truncated_snap_header"
    TruncatedSllHeader "truncated_Linux_SLL_header"
    TruncatedSll2Header "truncated_Linux_SLL2_header"
    NullFailed "null_analyzer_failed"
    TruncatedPppHeader "truncated_ppp_header"
    TruncatedPppHdlcHeader "truncated_ppp_hdlc_header"
    TruncatedPppSerialHeader "truncated_ppp_serial_header"
    TruncatedNflogHeader "truncated_nflog_header"
    UnknownNflogVersion "unknown_nflog_version"
    NflogNoPayload "nflog_no_pcap_payload"
    NflogBadTlvLen "nflog_bad_tlv_len"
    FddiFailed "FDDI_analyzer_failed"
    TruncatedRadiotapHeader "truncated_radiotap_header"
    Truncated80211Header "truncated_802_11_header"
    Truncated80211LlcHeader "truncated_802_11_llc_header"
    Truncated80211AmsduHeader "truncated_802_11_amsdu_header"
    Truncated80211AmsduPacket "truncated_802_11_amsdu_packet"
    MaxDepthExceeded "max_packet_analyzer_depth_exceeded"
    // IP.
    EmptyPcapHeader "empty_pcap_header"
    TruncatedIp "truncated_IP"
    UnknownIpVersion "unknown_ip_version"
    IpHdrLenZero "ip_hdr_len_zero"
    TruncatedIpLen "truncated_IP_len"
    InvalidIpHeaderSize "invalid_IP_header_size"
    Ipv4MinHeaderSize "IPv4_min_header_size"
    InternallyTruncatedHeader "internally_truncated_header"
    TruncatedHeader "truncated_header"
    Ipv6NoNext "ipv6_no_next"
    MultipleRoutingHeaders "multiple_routing_headers"
    OddRouting0Len "odd_routing0_len"
    Routing0Hdr "routing0_hdr"
    BadRouting2Len "bad_routing2_len"
    UnknownRoutingType "unknown_routing_type"
    BadIpv6DestOptLen "bad_ipv6_dest_opt_len"
    MultipleHomeAddrOpts "multiple_home_addr_opts"
    BadHomeAddrLen "bad_home_addr_len"
    MobilityPiggyback "mobility_piggyback"
    BadIpChecksum "bad_IP_checksum"
    BadMhChecksum "bad_MH_checksum"
    // Transport.
    BadTcpHeaderLen "bad_TCP_header_len"
    BadTcpChecksum "bad_TCP_checksum"
    BadUdpChecksum "bad_UDP_checksum"
    BadIcmpChecksum "bad_ICMP_checksum"
    // Fragments.
    IncompletelyCapturedFragment "incompletely_captured_fragment"
    FragmentWithDf "fragment_with_DF"
    FragmentOverlap "fragment_overlap"
    FragmentInconsistency "fragment_inconsistency"
    FragmentSizeInconsistency "fragment_size_inconsistency"
    FragmentProtocolInconsistency "fragment_protocol_inconsistency"
    ExcessivelySmallFragment "excessively_small_fragment"
    ExcessivelyLargeFragment "excessively_large_fragment"
    // Tunnels.
    ExceededTunnelMaxDepth "exceeded_tunnel_max_depth"
    InvalidInnerIpVersion "invalid_inner_IP_version"
    TruncatedInnerIp "truncated_inner_IP"
    InnerIpLengthMismatch "inner_IP_payload_length_mismatch"
    TruncatedGre "truncated_GRE"
    UnknownGreVersion "unknown_gre_version"
    EgreProtocolType "egre_protocol_type"
    GreRouting "gre_routing"
    UnknownGreFlags "unknown_gre_flags"
    NonIpInEncap "non_ip_packet_in_encap"
    VxlanEmpty "vxlan_empty_packet"
    GeneveInvalidVersion "geneve_invalid_version"
    GeneveEmpty "geneve_empty_packet"
    AyiyaEmpty "ayiya_empty_packet"
    TunnelDepth "tunnel_depth"
}

impl Weird {
    /// Whether weird.log's `addl` has the number that was pushed with it.
    pub const fn tells_number(self) -> bool {
        matches!(self, Weird::UnknownRoutingType)
    }
}

/// The weirds of one packet, at most six, in the order in which they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weirds {
    list: [Option<(Weird, u8)>; 6],
    len: u8,
}

impl Weirds {
    /// Adds one. A seventh and later ones are dropped.
    pub fn push(&mut self, w: Weird) {
        self.push_with(w, 0);
    }

    /// Adds one with the number that goes into weird.log's `addl`: see [`Weird::tells_number`].
    pub fn push_with(&mut self, w: Weird, number: u8) {
        if let Some(slot) = self.list.get_mut(self.len as usize) {
            *slot = Some((w, number));
            self.len += 1;
        }
    }

    /// Whether there is none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Weird> + '_ {
        self.with_numbers().map(|(w, _)| w)
    }

    /// All of them with their numbers.
    pub fn with_numbers(&self) -> impl Iterator<Item = (Weird, u8)> + '_ {
        self.list.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Weird::ALL.iter().map(|w| w.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Weird::ALL.len());
    }

    #[test]
    fn a_full_list_drops() {
        let mut w = Weirds::default();
        assert!(w.is_empty());
        for _ in 0..10 {
            w.push(Weird::TruncatedIp);
        }
        assert_eq!(w.iter().count(), 6);
    }
}
