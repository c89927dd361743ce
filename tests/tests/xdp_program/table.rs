//! The flow table from a worker's side: many flows at once, and what is put off.

use sensor::datapath::FlowTable;
use sensor_common::policy::PAYLOAD;
use sensor_common::{FlowKey, FlowState};

use super::{flows, load, udp_frame};

/// Flows from ports 1000 on, one packet each; their keys.
fn some(kernel: &sensor::datapath::xdp::Kernel, n: u16) -> Vec<FlowKey> {
    let mut run = kernel.injector().unwrap();
    let (mut frame, mut key) = udp_frame(100);
    let old = u16::from_be_bytes([frame[36], frame[37]]);
    (0..n)
        .map(|i| {
            let port = 1000 + i;
            frame[36..38].copy_from_slice(&port.to_be_bytes());
            run.test_run(&frame, 1 + u64::from(i)).unwrap();
            for p in [&mut key.a_port, &mut key.b_port] {
                if *p == old || *p >= 1000 {
                    *p = port;
                }
            }
            key
        })
        .collect()
}

#[test]
fn many_flows_are_asked_for_and_ended_at_once() {
    let kernel = load(PAYLOAD);
    let keys = some(&kernel, 100);
    let mut table = kernel.table().unwrap().in_batches();
    assert!(table.at_once() > 8);
    let one_by_one: Vec<_> = keys.iter().map(|k| table.lookup(k).unwrap()).collect();
    assert!(one_by_one.iter().all(Option::is_some));
    let ask = |table: &mut sensor::datapath::xdp::KernelTable, end| {
        let mut states: Vec<Option<FlowState>> = Vec::new();
        table.ask(&keys, end, &mut states);
        states
    };
    assert_eq!(ask(&mut table, false), one_by_one);
    assert_eq!(flows(&table), 100);
    // Of some there is nothing.
    for k in &keys[10..20] {
        table.take(k).unwrap();
    }
    let mut rest = one_by_one;
    rest[10..20].fill(None);
    assert_eq!(ask(&mut table, true), rest);
    assert_eq!(flows(&table), 0);
    assert_eq!(ask(&mut table, true), vec![None; 100]);
    assert_eq!(table.failures(), 0);
}

#[test]
fn what_was_ordered_of_a_flow_that_ended_does_not_come_to_the_next_one() {
    let kernel = load(PAYLOAD);
    let keys = some(&kernel, 4);
    let mut table = kernel.table().unwrap().in_batches();
    let shed =
        |table: &sensor::datapath::xdp::KernelTable, k: &FlowKey| table.lookup(k).unwrap().map(|f| f.shed);
    for k in &keys {
        table.shed(k, 3);
    }
    assert_eq!(shed(&table, &keys[0]), Some(0), "it waits");
    // They end one way and the other, and others begin.
    table.remove(&keys[1]);
    table.ask(&keys[2..3], true, &mut Vec::new());
    table.ask(&keys[3..], true, &mut Vec::new());
    assert_eq!(some(&kernel, 4), keys);
    table.settle();
    let now: Vec<_> = keys.iter().map(|k| shed(&table, k)).collect();
    assert_eq!(now, [Some(3), Some(0), Some(0), Some(0)]);
}

#[test]
fn orders_take_effect_without_being_asked_for_when_there_are_many() {
    let kernel = load(PAYLOAD);
    let keys = some(&kernel, 100);
    let mut table = kernel.table().unwrap().in_batches();
    for k in &keys {
        table.shed(k, 1);
    }
    let done = keys
        .iter()
        .filter(|k| table.lookup(k).unwrap().is_some_and(|f| f.shed == 1))
        .count();
    assert!(done >= 80, "{done}");
    // Following takes place behind them.
    table.shed(&keys[0], 2);
    table.follow(&keys[1], 0, 0);
    assert_eq!(table.lookup(&keys[0]).unwrap().map(|f| f.shed), Some(3));
    // And so does skipping.
    table.shed(&keys[2], 3);
    table.skip(&keys[1], 0, 0);
    assert_eq!(table.lookup(&keys[2]).unwrap().map(|f| f.shed), Some(3));
}
