//! A flow table of which it is cheaper to ask for many flows at once.

use sensor_common::{FlowKey, FlowState};

use super::*;
use crate::datapath::FlowTable;
use crate::datapath::soft::Flows;

/// The soft datapath's, which then answers four at a time.
struct Batched<'f>(&'f mut Flows);

impl FlowTable for Batched<'_> {
    fn get(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.0.get(key)
    }
    fn remove(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.0.remove(key)
    }
    fn shed(&mut self, key: &FlowKey, dirs: u32) {
        self.0.shed(key, dirs);
    }
    fn follow(&mut self, key: &FlowKey, dir: u8, at: u32) -> bool {
        self.0.follow(key, dir, at)
    }
    fn skip(&mut self, key: &FlowKey, dir: u8, end: u32) -> bool {
        self.0.skip(key, dir, end)
    }
    fn at_once(&self) -> usize {
        4
    }
}

impl Lab {
    fn datagram(&mut self, port: u8) {
        let mut frame = tcp_frame(0, 1, 0, [0, 0], b"");
        frame[23] = 17;
        frame[35] = port;
        frame[38..40].copy_from_slice(&20u16.to_be_bytes());
        self.frame(&frame);
    }

    /// Time passes for the engine, with the flow table as live.
    fn wait(&mut self, time: u64) {
        self.now += time;
        self.engine.advance(self.now, &mut Batched(self.soft.flows()));
    }
}

/// Ports and packets of the rows, in their order.
fn rows(seen: &Seen) -> Vec<(String, String)> {
    let column = |r: &[(&str, String)], name| r.iter().find(|c| c.0 == name).map(|c| c.1.clone());
    let of_conn = seen.rows.iter().filter(|r| r.0 == "conn");
    of_conn
        .map(|r| {
            (
                column(&r.1, "id.orig_p").unwrap(),
                column(&r.1, "orig_pkts").unwrap(),
            )
        })
        .collect()
}

#[test]
fn ends_wait_for_each_other_and_none_is_forgotten() {
    let mut lab = Lab::new("new_connection");
    for port in 0..6 {
        lab.datagram(port);
        if port == 2 {
            lab.datagram(port);
        }
    }
    lab.wait(61 * SECOND);
    assert_eq!(rows(lab.engine.sink()).len(), 4);
    assert_eq!(lab.engine.len(), 0);
    lab.engine.settle(lab.now, &mut Batched(lab.soft.flows()));
    let all = rows(lab.engine.sink());
    assert_eq!(all.len(), 6);
    let packets: Vec<_> = all.iter().map(|r| r.1.as_str()).collect();
    assert_eq!(packets, ["1", "1", "2", "1", "1", "1"]);
    assert_eq!(rows(&lab.finish()).len(), 6);
}

/// Its packet was counted in the entry of the one that ends.
#[test]
fn a_connection_that_begins_while_another_on_its_ports_ends_has_its_own_packets() {
    let mut lab = Lab::new("new_connection");
    lab.datagram(0);
    lab.datagram(0);
    lab.wait(61 * SECOND);
    assert!(rows(lab.engine.sink()).is_empty(), "it waits for others");
    lab.datagram(0);
    assert_eq!(rows(lab.engine.sink()).len(), 1);
    lab.datagram(0);
    lab.datagram(0);
    let seen = lab.finish();
    let packets: Vec<_> = rows(&seen).into_iter().map(|r| r.1).collect();
    assert_eq!(packets, ["2", "3"]);
    let durations: Vec<_> = seen
        .rows
        .iter()
        .map(|r| r.1.iter().find(|c| c.0 == "duration").cloned())
        .collect();
    assert_eq!(
        durations[0].as_ref().unwrap().1,
        "Interval(1000000)",
        "the last packet is not its own"
    );
}

/// Advances by few timers at a time; the rows that each call made.
fn rows_by_call(lab: &mut Lab, batched: bool) -> Vec<usize> {
    let mut made = Vec::new();
    loop {
        let before = lab.engine.sink().rows.len();
        let flows = lab.soft.flows();
        let late = if batched {
            lab.engine.advance_some(lab.now, 10, &mut Batched(flows))
        } else {
            lab.engine.advance_some(lab.now, 10, flows)
        };
        made.push(lab.engine.sink().rows.len() - before);
        if !late {
            return made;
        }
    }
}

#[test]
fn those_that_expire_together_do_so_a_few_at_a_time() {
    for batched in [false, true] {
        let mut lab = Lab::new("");
        (0..100).for_each(|port| lab.datagram(port));
        lab.now += 70 * SECOND;
        let made = rows_by_call(&mut lab, batched);
        assert!(made.iter().all(|n| *n <= 10 + 4), "{made:?}");
        lab.engine.settle(lab.now, lab.soft.flows());
        assert_eq!((lab.engine.len(), lab.engine.sink().rows.len()), (0, 100));
        // All in order, as without a bound.
        let ports = rows(lab.engine.sink());
        let mut whole = Lab::new("");
        (0..100).for_each(|port| whole.datagram(port));
        whole.wait(70 * SECOND);
        whole.engine.settle(whole.now, whole.soft.flows());
        assert_eq!(ports, rows(whole.engine.sink()));
    }
}

/// An established connection is looked at in two ways, with one timer.
#[test]
fn an_established_connection_has_one_timer() {
    let mut lab = Lab::new("");
    for port in 0..100 {
        lab.client_port = CLIENT_PORT + port;
        lab.handshake();
    }
    // Attempts are over.
    lab.wait(10 * SECOND);
    assert_eq!((lab.engine.len(), lab.engine.sh.wheel.pending()), (100, 100));
    lab.wait(280 * SECOND);
    assert_eq!(lab.engine.len(), 100);
    lab.wait(20 * SECOND);
    lab.engine.settle(lab.now, lab.soft.flows());
    assert_eq!(lab.engine.len(), 0);
}

/// A SYN whose flow leaves the table just before it is asked for, when its time is up.
#[test]
fn a_half_open_connection_waits_for_the_state_of_a_flow_that_gave_way() {
    for told_in_time in [true, false] {
        let mut lab = Lab::new("new_connection");
        lab.tcp(0, tf::SYN, 0, 0, b"");
        let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let v4 = sensor_common::key::v4_mapped;
        let (key, _) = FlowKey::new(&v4(a), &v4(b), CLIENT_PORT, 80, IPPROTO_TCP, false);
        let state = lab.soft.flows().remove(&key).unwrap();
        lab.wait(6 * SECOND);
        lab.engine.settle(lab.now, &mut Batched(lab.soft.flows()));
        assert_eq!(lab.engine.len(), 0);
        assert!(rows(lab.engine.sink()).is_empty(), "its state is on its way");
        let gone = |lab: &mut Lab| {
            lab.engine
                .gone(&key, &state, false, &mut Batched(lab.soft.flows()));
        };
        if told_in_time {
            gone(&mut lab);
        }
        lab.now += 3 * SECOND;
        lab.engine.settle(lab.now, &mut Batched(lab.soft.flows()));
        // Too late: there is a row.
        gone(&mut lab);
        let seen = lab.finish();
        let packets = if told_in_time { "1" } else { "0" };
        let all: Vec<_> = rows(&seen).into_iter().map(|r| r.1).collect();
        assert_eq!(all, [packets]);
        assert_eq!(seen.conn("conn_state"), "S0");
    }
}

/// Somebody has emptied it.
struct Emptied;

impl FlowTable for Emptied {
    fn get(&mut self, _: &FlowKey) -> Option<FlowState> {
        None
    }
    fn remove(&mut self, _: &FlowKey) -> Option<FlowState> {
        None
    }
    fn shed(&mut self, _: &FlowKey, _: u32) {}
    fn follow(&mut self, _: &FlowKey, _: u8, _: u32) -> bool {
        false
    }
    fn skip(&mut self, _: &FlowKey, _: u8, _: u32) -> bool {
        false
    }
}

#[test]
fn entries_that_are_missing_at_the_end_are_counted() {
    let mut lab = Lab::new("new_connection");
    for port in 0..3 {
        lab.datagram(port);
    }
    assert_eq!(lab.engine.no_entry(), 0);
    lab.engine.finish(lab.now, &mut Emptied);
    assert_eq!(lab.engine.no_entry(), 3);
    assert_eq!(rows(lab.engine.sink()).len(), 3);
}
