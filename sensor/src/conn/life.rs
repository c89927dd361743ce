//! A connection's life: its beginning, each packet, its timers and its end.

use sensor_common::flow::why;
use sensor_common::packet::tcp_flags as tf;
use sensor_common::record::Totals;
use sensor_common::{FlowKey, FlowState, Packet, RecordHeader};

use super::analysis::udp_specs;
use super::asked::{self, community_id};
use super::ends::{is_broadcast, proto};
use super::entry::{Tcp, letter};
use super::events::ConnLogConn;
use super::ports::{likely_tcp, likely_udp};
use super::row::{Community, ConnRow, LongRow, Networks};
use super::segment::{Segment, was_shed};
use super::shared::{Core, Run, raise};
use super::sink::Sink;
use super::stream::PLAUSIBLE;
use super::timer::Kind;
use crate::base::time::{MILLISECOND, SECOND};
use crate::datapath::FlowTable;
use crate::datapath::soft::InnerPacket;
use crate::event::{self, EndpointStats, PktHdr, Proto};
use crate::packet::payload;
use crate::tcp::endpoint::State;

impl<S: Sink> Run<'_, S> {
    /// The connection is new; `p` is its first packet.
    pub fn begin(&mut self, p: &Packet) {
        let t = self.sh.cfg.timeouts;
        let (src, dst) = if p.dir == 0 {
            (p.key.a_port, p.key.b_port)
        } else {
            (p.key.b_port, p.key.a_port)
        };
        let receiver = if p.dir == 0 { &p.key.b } else { &p.key.a };
        let flip = match proto(p.key.proto) {
            Proto::Tcp if p.flags & (tf::SYN | tf::ACK) != tf::SYN && likely_tcp(src) => {
                // Both may be servers: the lower port is the likelier one, but a SYN-ACK may be a scan.
                !likely_tcp(dst) || (p.flags & tf::SYN == 0 && src < dst)
            }
            Proto::Udp => likely_udp(src) && !likely_udp(dst),
            _ => false,
        };
        if flip && !is_broadcast(receiver) {
            self.flip_conn();
        }
        match proto(p.key.proto) {
            Proto::Tcp => {
                raise!(self, NewConnectionContents);
                self.arm(Kind::Expire, self.ts + t.tcp_syn_timeout);
                self.set_inactivity(t.udp_inactivity);
            }
            Proto::Udp => {
                self.set_inactivity(t.udp_inactivity);
                if udp_specs(self.conn.resp_port()).any(|spec| spec.short_session) {
                    self.arm(Kind::Session, self.ts + t.dns_session);
                }
            }
            _ => self.set_inactivity(t.icmp_inactivity),
        }
        if t.status_interval > 0 {
            self.arm(Kind::Status, self.ts + t.status_interval);
        }
        self.arm_long(0);
        if p.tunnel != 0 {
            self.enter(p.tunnel);
        }
        raise!(self, NewConnection);
        if !self.sh.cfg.expected.is_empty()
            && let Some(tag) = self.sh.cfg.expected.find(&self.id(), self.ts)
        {
            self.app_expected(tag);
        }
    }

    /// Originator and responder change places.
    pub fn flip_conn(&mut self) {
        self.conn.orig_dir ^= 1;
        if let Some(e) = &mut self.conn.extra {
            e.labels.swap(0, 1);
            e.bad_checksums.swap(0, 1);
        }
        self.app_flip();
        let n = self.conn.n;
        if let Some(signatures) = &mut self.sh.signatures {
            signatures.flip(n);
        }
        self.conn.add_history(0, '^');
    }

    /// A packet of the connection, its first or a later one; the packet in it, if it is a tunnel.
    pub fn packet(
        &mut self,
        mut tcp: Option<&mut Tcp>,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
        first: bool,
    ) -> Option<InnerPacket> {
        let p = &rec.pkt;
        let mut inner = None;
        if let Some(tcp) = &mut tcp {
            if p.flags & tf::SYN != 0 {
                self.end_shedding();
                flows.forget(&p.key);
            }
            self.catch_up_record(tcp, rec);
        }
        self.packet_events(p, frame, true);
        let seg = Segment::new(rec, frame);
        self.note_twice(&seg);
        let s = self.conn.dir(p.dir as usize);
        if first {
            let (n, columns) = (self.conn.n, self.sh.cfg.columns);
            asked::note_frame(&mut self.sh.notes, columns, n, s, frame, p.l3.into());
        }
        match &mut tcp {
            Some(tcp) => {
                // Whatever becomes of its payload, which may be old.
                if rec.why & why::UNSHED != 0 {
                    self.app_unfollowed(s == 0, rec);
                }
                self.tcp_packet(tcp, s, &seg);
                self.note(tcp, rec);
            }
            None => {
                self.conn.last = self.conn.last.max(self.ts);
                if proto(p.key.proto) == Proto::Udp {
                    self.udp_length(&seg);
                    self.conn.check_history(s, letter::DATA, 'D');
                    inner = self.tunnelled(rec, seg.frame, first);
                    self.signatures_packet(s, &seg);
                    if !seg.payload.is_empty() {
                        self.app_datagram(s == 0, seg.payload);
                    } else if rec.why & why::RECORDS != 0 {
                        self.app_marks(s == 0, 0, &seg);
                    }
                } else {
                    self.signatures_packet(s, &seg);
                }
            }
        }
        let truncated = tcp.as_ref().is_some_and(|t| t.truncated);
        if !truncated && (!seg.payload.is_empty() || p.payload_len > 0 && rec.why & why::RECORDS != 0) {
            self.shed_unwanted(tcp.as_deref(), p, flows);
        }
        inner
    }

    /// A UDP header that contradicts the IP header about the length.
    fn udp_length(&mut self, seg: &Segment<'_>) {
        let p = &seg.rec.pkt;
        let header = seg.frame.get(p.l4 as usize..).and_then(|h| h.first_chunk::<8>());
        let Some([_, _, _, _, hi, lo, _, _]) = header else {
            return;
        };
        let said = u16::from_be_bytes([*hi, *lo]) as u32;
        let is = match p.ip_len {
            // Left to the network card: what was captured counts, and that did not come along.
            0 if was_shed(seg) => return,
            0 => seg.frame.len() as u32 - p.l4 as u32,
            n => n.saturating_sub((p.l4 - p.l3.min(p.l4)) as u32),
        };
        // One buffer for several datagrams has one header.
        if said != is && p.segs == 1 {
            self.weird("UDP_datagram_length_mismatch", &format!("{said} != {is}"));
        }
    }

    /// Events of the packet as such, of its payload if `contents`.
    pub fn packet_events(&mut self, p: &Packet, frame: &[u8], contents: bool) {
        const PER_PACKET: [event::Kind; 4] = [
            event::NewPacket::KIND,
            event::PacketContents::KIND,
            event::Ipv6ExtHeaders::KIND,
            event::ConnectionFlowLabelChanged::KIND,
        ];
        if !PER_PACKET.iter().any(|k| self.sh.subs.wants(*k)) {
            return;
        }
        let ip = frame.get(p.l3 as usize..).unwrap_or_default();
        let v6 = ip.first().is_some_and(|b| b >> 4 == 6);
        if v6 {
            self.flow_label(p, ip);
        }
        let has_exts = v6 && (p.l4 as usize) > p.l3 as usize + 40;
        if has_exts {
            raise!(self, Ipv6ExtHeaders, p: PktHdr::new(ip));
        }
        raise!(self, NewPacket, p: PktHdr::new(ip));
        let body = payload(p, frame);
        if contents && !body.is_empty() {
            raise!(self, PacketContents, contents: body);
        }
    }

    fn flow_label(&mut self, p: &Packet, ip: &[u8]) {
        let Some(&[_, a, b, c]) = ip.first_chunk::<4>() else {
            return;
        };
        let label = (a as u32 & 0x0f) << 16 | (b as u32) << 8 | c as u32;
        let s = self.conn.dir(p.dir as usize);
        let old = self.conn.extra().labels[s].replace(label);
        if let Some(old) = old
            && old != label
        {
            raise!(self, ConnectionFlowLabelChanged, is_orig: s == 0, old_label: old as u64,
                new_label: label as u64);
        }
    }

    /// A packet of this connection had a wrong checksum.
    pub fn bad_checksum(&mut self, tcp: Option<&mut Tcp>, p: &Packet, weird: &str) {
        let is_tcp = tcp.is_some();
        let s = self.conn.dir(p.dir as usize);
        let mark = match weird {
            "bad_TCP_checksum" => tcp.and_then(|t| t.ep[s].rare().bad_checksums.count()),
            "bad_UDP_checksum" => self.conn.extra().bad_checksums[s].count(),
            _ => None,
        };
        if let Some(n) = mark {
            self.conn.add_history(s, 'C');
            if n > 1 && is_tcp {
                raise!(self, TcpMultipleChecksumErrors, is_orig: s == 0, threshold: n);
            }
        }
    }

    /// A timer has come up.
    /// `flow` gives the flow's state.
    pub fn on_timer(
        &mut self,
        tcp: Option<&mut Tcp>,
        kind: Kind,
        mut flow: impl FnMut(&FlowKey) -> Option<FlowState>,
    ) {
        let t = self.sh.cfg.timeouts;
        let now = self.ts;
        match kind {
            Kind::Inactivity => {
                let timeout = self.sh.silence(self.conn) as u64 * MILLISECOND;
                let last = self.last_time(flow(&self.conn.key).as_ref());
                if last + timeout <= now {
                    raise!(self, ConnectionTimeout);
                    self.remove = true;
                } else {
                    self.look_for_silence(last + timeout);
                }
            }
            Kind::Delete => {
                raise!(self, ConnectionTimeout);
                self.remove = true;
            }
            Kind::Status => {
                raise!(self, ConnectionStatusUpdate);
                self.arm(Kind::Status, now + t.status_interval);
            }
            Kind::Long => {
                let state = flow(&self.conn.key).filter(|f| f.start == self.conn.flow_start());
                self.look_how_long(tcp.as_deref(), state);
            }
            Kind::Session => {
                let last = self.last_time(flow(&self.conn.key).as_ref());
                if self.app_is_off(last) {
                    // What is another protocol may be silent as long as any UDP.
                    return;
                }
                let silent = now.saturating_sub(last) + SECOND >= t.dns_session;
                if silent || self.sh.terminating {
                    raise!(self, ConnectionTimeout);
                    self.remove = true;
                } else {
                    self.arm(Kind::Session, now + t.dns_session);
                }
            }
            Kind::Expire => {
                self.conn.expires = false;
                if let Some(tcp) = tcp.as_deref().filter(|_| self.skips())
                    && let Some(flow) = flow(&self.conn.key).filter(|f| f.start == self.conn.flow_start())
                {
                    self.hear_skipped(tcp, &flow);
                }
                self.expire(tcp.as_deref(), flow);
                if !self.remove {
                    self.look_for_silence(self.conn.inactive_at);
                }
            }
            Kind::Attempt | Kind::PartialClose | Kind::Reset => {
                if let Some(tcp) = tcp {
                    self.tcp_timer(tcp, kind);
                }
            }
        }
    }

    fn tcp_timer(&mut self, tcp: &mut Tcp, kind: Kind) {
        if !tcp.inactive {
            let (o, r) = (tcp.ep[0].state, tcp.ep[1].state);
            match kind {
                Kind::Attempt => {
                    if matches!(o, State::SynSent | State::SynAckSent) && r == State::Inactive {
                        raise!(self, ConnectionAttempt);
                        tcp.inactive = true;
                        self.remove = true;
                    }
                }
                Kind::PartialClose => {
                    let open = !tcp.ep[0].did_close || !tcp.ep[1].did_close;
                    let both = o != State::Inactive && r != State::Inactive;
                    if both && open && o != State::Reset && r != State::Reset {
                        raise!(self, ConnectionPartialClose);
                        self.remove = true;
                    }
                }
                _ => {
                    if !(tcp.ep[0].did_close && tcp.ep[1].did_close) {
                        self.connection_reset(tcp);
                    }
                    self.remove = true;
                }
            }
        }
    }

    /// Looks whether a connection is over that did not close in full (Zeek: ExpireTimer).
    fn expire(&mut self, tcp: Option<&Tcp>, flow: impl FnOnce(&FlowKey) -> Option<FlowState>) {
        let t = self.sh.cfg.timeouts;
        let Some(tcp) = tcp else { return };
        if tcp.inactive {
            return;
        }
        let (o, r) = (&tcp.ep[0], &tcp.ep[1]);
        let nothing = o.state == State::Inactive && r.state == State::Inactive;
        let half_closed = o.did_close || r.did_close;
        if nothing || half_closed {
            let any = |s: State| o.state == s || r.state == s;
            let over = (o.did_close && r.did_close) || any(State::Reset) || any(State::Inactive);
            let last = self.last_time(flow(&self.conn.key).as_ref());
            if last + t.tcp_connection_linger < self.ts && (nothing || over) {
                raise!(self, ConnectionTimeout);
                self.remove = true;
                return;
            }
        }
        self.arm(Kind::Expire, self.ts + t.tcp_session_timer);
    }

    /// The connection is out of the table: its last events and its row. `flow`: its final state.
    pub fn finish(&mut self, mut tcp: Option<&mut Tcp>, flow: Option<&FlowState>) {
        let last = self.last_time(flow);
        if let Some(tcp) = &mut tcp {
            if let Some(flow) = flow {
                self.catch_up_flow(tcp, flow);
            }
            self.give_up_all(tcp);
        }
        let tcp = tcp.as_deref();
        if let (true, Some(tcp)) = (self.sh.terminating, tcp) {
            let both_closed = tcp.ep[0].did_close && tcp.ep[1].did_close;
            if !tcp.inactive && !both_closed {
                raise!(self, ConnectionPending);
            }
        }
        self.app_end();
        self.signatures_end(tcp);
        self.end_files(tcp);
        self.release(tcp);
        let none = FlowState::default();
        let flow = flow.unwrap_or(&none);
        let totals = [self.conn.totals(flow, 0), self.conn.totals(flow, 1)];
        if let Some(tcp) = tcp
            && self.sh.subs.wants(event::ConnStats::KIND)
        {
            let [os, rs] = [0, 1].map(|s| self.stats(tcp, flow, &totals, s));
            raise!(self, ConnStats, os: os, rs: rs);
        }
        if tcp.is_some() {
            self.sh.sight.ended(&totals);
        }
        raise!(self, ConnectionStateRemove);
        self.leave();
        self.log(tcp, last, &totals, flow, false);
    }

    /// When the connection may have its next row of conn_long.log; of so many times it has had it.
    fn arm_long(&mut self, done: usize) {
        if let Some(long) = self.sh.cfg.long.get(done) {
            let at = self.conn.start.saturating_add(*long);
            self.arm(Kind::Long, at);
        }
    }

    /// Writes the row of a connection that has lasted so long, from its first to its last packet. One that is silent is
    /// looked at again.
    fn look_how_long(&mut self, tcp: Option<&Tcp>, flow: Option<FlowState>) {
        let last = self.last_time(flow.as_ref());
        let lasted = last.saturating_sub(self.conn.start);
        let done = self.sh.notes.get(&self.conn.n).map_or(0, |note| note.long_rows);
        let Some(long) = self.sh.cfg.long.get(done).copied() else {
            return;
        };
        if lasted < long {
            return self.arm(Kind::Long, self.ts + (long / 8).max(SECOND));
        }
        if let Some(flow) = flow {
            let totals = [0, 1].map(|s| self.conn.totals(&flow, s));
            self.log(tcp, last, &totals, &flow, true);
        }
        let done = self.sh.cfg.long.partition_point(|long| *long <= lasted);
        let n = self.conn.n;
        self.sh.notes.entry(n).or_default().long_rows = done;
        self.arm_long(done);
    }

    fn stats(&self, tcp: &Tcp, flow: &FlowState, totals: &[Totals; 2], s: usize) -> EndpointStats {
        let dir = self.conn.dir(s);
        let d = &flow.dir[dir];
        let base = self
            .conn
            .extra
            .as_ref()
            .map(|e| e.base.dir[dir])
            .unwrap_or_default();
        let rexmit = (d.rexmit_pkts - base.rexmit_pkts.min(d.rexmit_pkts)) as u64;
        let data = d.data_pkts - base.data_pkts.min(d.data_pkts);
        let rare = tcp.ep[s].rare.as_ref();
        let out_of_order = rare.map_or(0, |r| r.out_of_order as u64);
        let ahead = rare.map_or(0, |r| r.ahead as u64);
        EndpointStats {
            num_pkts: totals[s].pkts,
            num_rxmit: rexmit,
            num_rxmit_bytes: d.rexmit_bytes - base.rexmit_bytes.min(d.rexmit_bytes),
            num_in_order: data.saturating_sub(rexmit + ahead),
            num_oo: out_of_order,
            num_repl: rare.map_or(0, |r| r.replicas as u64),
            endian_type: 0,
        }
    }

    /// Writes the connection's row: of conn.log, or of conn_long.log while it is open.
    fn log(&mut self, tcp: Option<&Tcp>, last: u64, totals: &[Totals; 2], flow: &FlowState, is_open: bool) {
        let id = self.id();
        let service = self.service();
        let asked = tcp.filter(|_| self.sh.cfg.columns.tcp_stats);
        let asked = asked.map(|tcp| (tcp, [0, 1].map(|s| self.stats(tcp, flow, totals, s))));
        let Core { ts, conn, sh, .. } = &mut self.core;
        let conn = &**conn;
        let size = |s: usize| match tcp {
            Some(t) if is_open => t.ep[s].size(&t.ep[s ^ 1]) + unheard(t, flow, conn.dir(s)),
            Some(t) => t.ep[s].size(&t.ep[s ^ 1]),
            // Of what is neither UDP nor ICMP, only packets are counted.
            None if id.proto == Proto::Unknown => 0,
            None => totals[s].payload,
        };
        let encap = conn.extra.as_ref().and_then(|e| e.encap.as_ref());
        let in_vni = encap.is_some_and(|stack| stack.has_vni());
        // Without a time between first and last packet Zeek says nothing of what was sent in it.
        let duration = Some(last.saturating_sub(conn.start) as i64).filter(|ns| *ns > 0);
        let history = conn.history();
        let tunnels = conn.extra.as_ref().map(|e| &*e.tunnel_parents);
        let columns = sh.cfg.columns;
        let note = match is_open {
            true => sh.notes.get(&conn.n).copied(),
            false => sh.notes.remove(&conn.n),
        };
        let note = note.unwrap_or_default();
        let networks = Networks::of(conn.key.realm, sh.cfg.realms, in_vni);
        let row = ConnRow {
            ts: id.start,
            c: &id,
            proto: id.proto.as_str(),
            service: Some(service).filter(|s| !s.is_empty()),
            duration,
            orig_bytes: duration.map(|_| size(0)),
            resp_bytes: duration.map(|_| size(1)),
            conn_state: conn.conn_state(tcp, [totals[0].pkts > 0, totals[1].pkts > 0]),
            local_orig: (sh.cfg.is_local)(id.orig_h),
            local_resp: (sh.cfg.is_local)(id.resp_h),
            missed_bytes: conn.extra.as_ref().map_or(0, |e| e.missed_bytes),
            history: Some(&*history).filter(|h| !h.is_empty()),
            orig_pkts: totals[0].pkts,
            orig_ip_bytes: totals[0].bytes,
            resp_pkts: totals[1].pkts,
            resp_ip_bytes: totals[1].bytes,
            tunnel_parents: tunnels.filter(|uids| !uids.is_empty()),
            ip_proto: conn.key.proto,
            networks: networks.or_else(|| columns.vlan.then(|| Networks::of_vlans(note.vlans))),
            community: columns.community_id.then(|| Community {
                community_id: Some(community_id(&conn.key, 0)),
            }),
            l2: columns.l2.then(|| note.l2_addrs()),
            tcp_stats: columns.tcp_stats.then(|| {
                let said = asked.as_ref();
                said.map(|(tcp, stats)| note.tcp_stats(conn, tcp, flow, stats))
                    .unwrap_or_default()
            }),
        };
        if is_open {
            return sh.outlet.sink.log(&LongRow(row));
        }
        if sh.subs.wants(ConnLogConn::KIND) {
            sh.emit(*ts, &ConnLogConn { rec: &row });
        }
        sh.outlet.sink.log(&row);
    }
}

/// Bytes that a direction of an open connection has sent in order since its last record.
fn unheard(tcp: &Tcp, flow: &FlowState, dir: usize) -> u64 {
    let moved = tcp.known_next.to(dir, flow.dir[dir].next);
    // What is less lies before the record that was taken last.
    if moved <= PLAUSIBLE { moved } else { 0 }
}
