//! Columns of conn.log that are there on request, and what has to be noted of a connection for them.

use std::collections::HashMap;

use data_encoding::BASE64;
use sensor_common::packet::tcp_flags as tf;
use sensor_common::{DirState, FlowKey, FlowState};
use sha1::{Digest as _, Sha1};

use super::ends::proto;
use super::entry::{Conn, Tcp};
use super::row::{L2Addrs, TcpStats};
use crate::event::json::hex_colons;
use crate::event::{EndpointStats, Proto, Ts};
use crate::packet::{LinkType, link};

/// Which of these columns somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnColumns {
    /// [`super::row::Community`].
    pub community_id: bool,
    /// [`L2Addrs`].
    pub l2: bool,
    /// VLANs, as of the first packet.
    pub vlan: bool,
    /// [`TcpStats`].
    pub tcp_stats: bool,
}

impl ConnColumns {
    /// Whether the first packet's frame is looked at.
    fn first_frame(self) -> bool {
        self.l2 || self.vlan
    }
}

/// What is noted of open connections, by the connection's number. Empty unless somebody wants it.
pub type Notes = HashMap<u32, Note>;

/// What is noted of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Addresses of the first packet's sender and receiver, and which side sent it.
    l2: Option<(Macs, usize)>,
    /// The first packet's.
    pub vlans: Vlans,
    /// When the originator first acknowledged something; 0 if it did not.
    first_ack: Ts,
    /// Of how many of the times that make a row of conn_long.log it has had it.
    pub long_rows: usize,
}

/// Notes what the first packet of a connection shows: side `s` sent `frame`, whose IP header is at `l3`.
pub fn note_frame(notes: &mut Notes, wanted: ConnColumns, n: u32, s: usize, frame: &[u8], l3: usize) {
    if !wanted.first_frame() {
        return;
    }
    if let Some((l2, vlans)) = ethernet(frame, l3) {
        let note = notes.entry(n).or_default();
        (note.l2, note.vlans) = (Some((l2, s)), vlans);
    }
}

/// Notes when the originator first acknowledged something.
pub fn note_ack(notes: &mut Notes, wanted: ConnColumns, n: u32, ts: Ts) {
    if wanted.tcp_stats {
        notes.entry(n).or_default().first_ack = ts;
    }
}

/// Link-layer addresses of sender and receiver.
type Macs = [[u8; 6]; 2];

/// Outer and inner VLAN ids.
type Vlans = (Option<u16>, Option<u16>);

/// The addresses of sender and receiver, and VLAN ids, if the frame is one of Ethernet: of other link layers an IP header
/// is elsewhere.
fn ethernet(frame: &[u8], l3: usize) -> Option<(Macs, Vlans)> {
    let address = |at: usize| frame.get(at..)?.first_chunk::<6>().copied();
    let link = link::parse(LinkType::ETHERNET, frame).ok()?;
    (link.l3 as usize == l3).then_some(())?;
    Some(([address(6)?, address(0)?], (link.vlan, link.inner_vlan)))
}

impl Note {
    /// The columns of link-layer addresses.
    pub fn l2_addrs(&self) -> L2Addrs {
        match &self.l2 {
            None => L2Addrs::default(),
            Some(([from, to], s)) => {
                let (orig, resp) = if *s == 0 { (from, to) } else { (to, from) };
                L2Addrs {
                    orig_l2_addr: Some(hex_colons(orig)),
                    resp_l2_addr: Some(hex_colons(resp)),
                }
            }
        }
    }

    /// The columns of TCP's numbers; `flow`: the flow's final state, `stats`: what conn_stats says of it.
    pub fn tcp_stats(
        &self,
        conn: &Conn,
        tcp: &Tcp,
        flow: &FlowState,
        stats: &[EndpointStats; 2],
    ) -> TcpStats {
        let base = conn.extra.as_ref().map(|e| e.base).unwrap_or_default();
        let [orig, resp] = [0, 1].map(|s| (flow.dir[conn.dir(s)], base.dir[conn.dir(s)]));
        // Of a connection whose start was not seen, or not in this entry, nothing is known.
        let first = |(now, before): &(DirState, DirState), flags: u8| {
            let flags = u32::from(flags);
            let is_first = tcp.first_packet_seen != 0
                && before.pkts == 0
                && now.flags & flags == flags
                && now.first != 0;
            is_first.then_some(now.first)
        };
        let (syn, syn_ack) = (first(&orig, tf::SYN), first(&resp, tf::SYN | tf::ACK));
        let between = |from: Option<u64>, to: Option<u64>| {
            let ns = to?.checked_sub(from?)?;
            i64::try_from(ns).ok()
        };
        let ack = Some(self.first_ack).filter(|ts| *ts != 0);
        let zero_windows = |(now, before): &(DirState, DirState)| {
            Some(now.zero_windows.saturating_sub(before.zero_windows).into())
        };
        TcpStats {
            orig_rtt: between(syn_ack, ack),
            resp_rtt: between(syn, syn_ack),
            orig_rexmit_pkts: Some(stats[0].num_rxmit),
            orig_rexmit_bytes: Some(stats[0].num_rxmit_bytes),
            orig_out_of_order: Some(stats[0].num_oo),
            orig_zero_windows: zero_windows(&orig),
            resp_rexmit_pkts: Some(stats[1].num_rxmit),
            resp_rexmit_bytes: Some(stats[1].num_rxmit_bytes),
            resp_out_of_order: Some(stats[1].num_oo),
            resp_zero_windows: zero_windows(&resp),
        }
    }
}

/// The Community ID of a flow, version 1: the SHA-1 of its five-tuple, the smaller end first.
pub fn community_id(key: &FlowKey, seed: u16) -> String {
    let mut ends = [(&key.a, key.a_port), (&key.b, key.b_port)];
    // What has no counterpart keeps its direction.
    if !key.one_way() && ends[1] < ends[0] {
        ends.swap(0, 1);
    }
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    for (address, _) in ends {
        hash.update(if key.is_v4() { &address[12..] } else { &address[..] });
    }
    hash.update([key.proto, 0]);
    if proto(key.proto) != Proto::Unknown {
        for (_, port) in ends {
            hash.update(port.to_be_bytes());
        }
    }
    format!("1:{}", BASE64.encode(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::octets;

    fn key(src: &str, sport: u16, dst: &str, dport: u16, proto: u8) -> FlowKey {
        let octets = |a: &str| octets(a.parse().expect("an address"));
        let v6 = src.contains(':');
        let one_way =
            matches!(proto, 1 | 58) && sensor_common::key::icmp_ports(v6, sport as u8, dport as u8).2;
        FlowKey::new(&octets(src), &octets(dst), sport, dport, proto, one_way).0
    }

    /// Values that the specification's authors publish, and Zeek has.
    #[test]
    fn community_ids_are_those_of_other_tools() {
        for (src, sport, dst, dport, proto, seed, expected) in [
            (
                "1.2.3.4",
                1122,
                "5.6.7.8",
                3344,
                6,
                0,
                "1:wCb3OG7yAFWelaUydu0D+125CLM=",
            ),
            (
                "5.6.7.8",
                3344,
                "1.2.3.4",
                1122,
                6,
                0,
                "1:wCb3OG7yAFWelaUydu0D+125CLM=",
            ),
            (
                "1.2.3.4",
                1122,
                "5.6.7.8",
                3344,
                17,
                0,
                "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=",
            ),
            ("1.2.3.4", 8, "5.6.7.8", 0, 1, 0, "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="),
            (
                "1.2.3.4",
                1122,
                "5.6.7.8",
                3344,
                6,
                1,
                "1:HhA1B+6CoLbiKPEs5nhNYN4XWfk=",
            ),
            (
                "1.2.3.4",
                0,
                "5.6.7.8",
                0,
                10,
                0,
                "1:7bYuQ7nyGBIQn7uDcQ5WraAnhWI=",
            ),
            (
                "128.232.110.120",
                34855,
                "66.35.250.204",
                80,
                6,
                0,
                "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            ),
            (
                "192.168.0.1",
                0,
                "192.168.0.89",
                8,
                1,
                0,
                "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=",
            ),
            (
                "fe80:1:203:405:607:809:a0b:c0d",
                128,
                "fe80:1011:1213:1415:1617:1819:1a1b:1c1d",
                129,
                58,
                0,
                "1:0bf7hyMJUwt3fMED7z8LIfRpBeo=",
            ),
            (
                "3ffe:507:0:1:200:86ff:fe05:80da",
                1,
                "3ffe:501:4819::42",
                4,
                58,
                0,
                "1:jwuBy9UWZK1KUFqJV5cHdVpfrlY=",
            ),
            (
                "2001:470:e5bf:dead:4957:2174:e82c:4887",
                63943,
                "2607:f8b0:400c:c03::1a",
                25,
                6,
                0,
                "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            ),
        ] {
            let key = key(src, sport, dst, dport, proto);
            assert_eq!(community_id(&key, seed), expected, "{src} {dst}");
        }
    }

    #[test]
    fn only_ethernet_shows_addresses() {
        let mut frame = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0xfe, 8, 0, 0x45];
        // The rest of the IP header.
        frame.extend([0; 19]);
        let (from, to) = ([2, 2, 2, 2, 2, 0xfe], [1; 6]);
        assert_eq!(ethernet(&frame, 14), Some(([from, to], (None, None))));
        assert_eq!(ethernet(&frame, 16), None);
        assert_eq!(ethernet(&frame[..13], 14), None);
        frame.splice(12..14, [0x88, 0xa8, 0x20, 7, 0x81, 0, 0, 9, 8, 0]);
        assert_eq!(ethernet(&frame, 22), Some(([from, to], (Some(7), Some(9)))));
        let note = Note {
            l2: Some(([from, to], 1)),
            ..Note::default()
        };
        assert_eq!(note.l2_addrs().resp_l2_addr.as_deref(), Some("02:02:02:02:02:fe"));
    }
}
