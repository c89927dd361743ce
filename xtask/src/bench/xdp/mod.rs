//! `cargo xtask bench xdp`: what the kernel's program takes of a packet, by BPF_PROG_TEST_RUN, over one flow and over
//! more of them than any cache holds. Beside it stands a program that does the least there is to do for counting flows
//! (`sensor-ebpf/src/floor.rs`).

mod frames;
mod object;
mod report;
mod walk;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::bench::bpf;
use crate::shell;
use frames::{FIRST, FIRST_NEW, Frame, ISN, Shape};
use object::{HALF_OPEN_PART, Loaded, Object};
use report::Row;
use walk::{Route, Walk};

/// The flow table's size, unless more flows are asked for: the sensor's default.
const TABLE: u32 = 262_144;
/// Packets of a measurement; where they carry TCP's payload it is a whole number of rounds, so that afterwards all flows
/// stand at the same place.
const PACKETS: u32 = 200_000;
/// New flows of a measurement.
const NEW_FLOWS: u32 = 20_000;
/// Flows that are opened at a time: while they are half-open they are to have room.
const OPENED: u32 = 50_000;
/// Records that fit into a ring with room to spare, all going to one.
const RECORDS: u32 = 7_000;

/// Which programs, and over how many flows.
#[derive(Args)]
pub struct Options {
    /// Flows in the table
    #[arg(long, value_delimiter = ',', default_value = "1,10000,1000000",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    flows: Vec<u32>,
    /// Measurements of each; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Another BPF object, or another build of the sensor with its object, to compare with
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Compare with the same object with `--dedup`
    #[arg(long, conflicts_with = "against")]
    dedup: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Forwarded,
}

enum What {
    Ack,
    Payload(usize),
    NewFlow,
}

/// One kind of packet.
struct Case {
    name: &'static str,
    shape: Shape,
    what: What,
    fate: Fate,
}

const fn case(name: &'static str, shape: Shape, what: What, fate: Fate) -> Case {
    Case {
        name,
        shape,
        what,
        fate,
    }
}

/// In the order in which the same flows can have them: once they are shed, they stay so.
const TCP4: [Case; 7] = [
    case("TCP ACK", Shape::Tcp4, What::Ack, Fate::Kept),
    case("... with a VLAN tag", Shape::TaggedTcp4, What::Ack, Fate::Kept),
    case(
        "TCP, 64 bytes, forwarded",
        Shape::Tcp4,
        What::Payload(64),
        Fate::Forwarded,
    ),
    case(
        "TCP, 1460 bytes, forwarded",
        Shape::Tcp4,
        What::Payload(1460),
        Fate::Forwarded,
    ),
    case("TCP, 64 bytes, shed", Shape::Tcp4, What::Payload(64), Fate::Kept),
    case(
        "TCP, 1460 bytes, shed",
        Shape::Tcp4,
        What::Payload(1460),
        Fate::Kept,
    ),
    case("TCP SYN, a new flow", Shape::Tcp4, What::NewFlow, Fate::Forwarded),
];
const TCP6: [Case; 1] = [case("TCP ACK over IPv6", Shape::Tcp6, What::Ack, Fate::Kept)];
const UDP4: [Case; 2] = [
    case(
        "UDP, 64 bytes, forwarded",
        Shape::Udp4,
        What::Payload(64),
        Fate::Forwarded,
    ),
    case("UDP, 64 bytes, shed", Shape::Udp4, What::Payload(64), Fate::Kept),
];

/// Loads the objects and measures.
pub fn run(o: &Options) -> Result<()> {
    if !sensor_tests::is_root() {
        return shell::again_as_root();
    }
    let own = std::env::var_os(crate::OBJECT_ENV)
        .map_or_else(|| shell::workspace().join(crate::ebpf::OBJECT), PathBuf::from);
    let mut objects = vec![Object::read("sensor", &own)?];
    if let Some(other) = &o.against {
        objects.push(Object::read("the other", other)?);
    }
    if o.dedup {
        objects.push(objects[0].with_dedup());
    }
    for object in &objects {
        report::loading(&object.name, &object.load(TABLE)?.watch);
    }
    let passing = bpf::load(&bpf::PASSING).context("cannot load an empty program")?;
    report::head(&objects);
    let mut idle = Vec::new();
    for &flows in &o.flows {
        for cases in [&TCP4[..], &TCP6, &UDP4] {
            family(&objects, &passing, cases, flows, o.runs, |row| {
                report::row(&row);
                idle.extend(row.idle);
            })?;
        }
    }
    report::end(idle);
    Ok(())
}

/// An object in the kernel, and the client's next sequence number in all its flows.
struct Subject {
    loaded: Loaded,
    seq: u32,
}

/// Measures kinds of packets that the same flows can have.
fn family(
    objects: &[Object],
    passing: &OwnedFd,
    cases: &[Case],
    flows: u32,
    runs: u32,
    mut done: impl FnMut(Row),
) -> Result<()> {
    // The new flows stay half-open, and none is to give way.
    let new = runs * NEW_FLOWS;
    let table = TABLE.max(flows + flows / 16 + new).max(new * HALF_OPEN_PART);
    let mut subjects = Vec::new();
    for object in objects {
        let subject = Subject {
            loaded: object.load(table)?,
            seq: ISN + 1,
        };
        open(&subject.loaded, cases[0].shape, flows)?;
        subjects.push(subject);
    }
    let mut shed = false;
    for case in cases {
        if case.fate == Fate::Kept && matches!(case.what, What::Payload(_)) && !shed {
            shed = true;
            for s in &subjects {
                s.loaded.shed_all()?;
            }
        }
        done(measure(&mut subjects, passing, case, flows, runs)?);
    }
    Ok(())
}

/// Makes the flows. Of the records that they cause some may be lost, which is no matter.
fn open(loaded: &Loaded, shape: Shape, flows: u32) -> Result<()> {
    for from in (0..flows).step_by(OPENED as usize) {
        let n = OPENED.min(flows - from);
        let route = Route::over(FIRST + from, n, 0);
        for mut frame in shape.opening() {
            frame.before(&route);
            let walk = Walk::new(loaded.rx.as_fd(), &route, &frame)?;
            for step in (0..n).step_by(RECORDS as usize) {
                walk.run(&mut frame, RECORDS.min(n - step))?;
                loaded.drain();
            }
        }
    }
    Ok(())
}

/// One program on its way over the flows.
struct Turn {
    walk: Walk,
    frame: Frame,
    ns: Vec<f64>,
}

impl Turn {
    fn new(program: BorrowedFd<'_>, route: &Route, frame: &Frame) -> Result<Self> {
        Ok(Turn {
            walk: Walk::new(program, route, frame)?,
            frame: frame.clone(),
            ns: Vec::new(),
        })
    }
}

/// Measures the empty program, the floor and each subject by turns.
fn measure(subjects: &mut [Subject], passing: &OwnedFd, case: &Case, flows: u32, runs: u32) -> Result<Row> {
    let (route, packets) = match case.what {
        What::Ack => (Route::over(FIRST, flows, 0), PACKETS.next_multiple_of(flows)),
        What::Payload(len) => {
            let advance = if case.shape == Shape::Udp4 { 0 } else { len as u32 };
            (
                Route::over(FIRST, flows, advance),
                PACKETS.next_multiple_of(flows),
            )
        }
        What::NewFlow => {
            let route = Route {
                first: FIRST_NEW,
                flows: (runs + 1) * NEW_FLOWS,
                step: 1,
                advance: 0,
            };
            (route, NEW_FLOWS)
        }
    };
    let frame = |seq: u32| {
        let mut f = match case.what {
            What::Ack => case.shape.ack(seq),
            What::Payload(len) => case.shape.payload(seq, len),
            What::NewFlow => case.shape.opening().swap_remove(0),
        };
        f.before(&route);
        f
    };
    let any = frame(ISN + 1);
    let mut idle = Turn::new(passing.as_fd(), &route, &any)?;
    // Of what is not in the table the floor finds nothing.
    let known = !matches!(case.what, What::NewFlow);
    let floor = subjects[0].loaded.floor.as_ref().filter(|_| known);
    let mut floor = floor.map(|f| Turn::new(f.as_fd(), &route, &any)).transpose()?;
    let mut turns = Vec::new();
    for s in &*subjects {
        let mut turn = Turn::new(s.loaded.rx.as_fd(), &route, &frame(s.seq))?;
        // What a flow does for the first time is forwarded.
        if known {
            turn.walk.run(&mut turn.frame, flows)?;
        }
        s.loaded.drain();
        turns.push(turn);
    }
    for _ in 0..runs {
        for turn in [Some(&mut idle), floor.as_mut()].into_iter().flatten() {
            turn.ns.push(turn.walk.run(&mut turn.frame, packets)?);
        }
        for (turn, s) in turns.iter_mut().zip(&*subjects) {
            let ns = go(turn, &s.loaded, packets, case.fate).context(case.name)?;
            turn.ns.push(ns);
        }
    }
    for (turn, s) in turns.iter().zip(subjects) {
        if let What::Payload(len) = case.what
            && case.shape != Shape::Udp4
        {
            s.seq = turn.frame.place().1.wrapping_add(len as u32);
        }
    }
    Ok(Row {
        name: case.name,
        flows,
        idle: idle.ns,
        floor: floor.map(|f| f.ns),
        subjects: turns.into_iter().map(|t| t.ns).collect(),
    })
}

/// Runs so many packets; ns for each. What has another fate than expected is an error: then something else was
/// measured.
fn go(turn: &mut Turn, loaded: &Loaded, packets: u32, fate: Fate) -> Result<f64> {
    let at_once = match fate {
        Fate::Kept => packets,
        Fate::Forwarded => RECORDS,
    };
    let (mut done, mut ns, mut bytes) = (0, 0.0, 0);
    while done < packets {
        let n = at_once.min(packets - done);
        ns += turn.walk.run(&mut turn.frame, n)? * n as f64;
        bytes += loaded.drain();
        done += n;
    }
    match fate {
        Fate::Kept => ensure!(bytes == 0, "forwarded, but ought to be kept"),
        // All records are of one size.
        Fate::Forwarded => ensure!(
            bytes > 0 && bytes % packets as u64 == 0,
            "not all were forwarded: {bytes} bytes of records for {packets} packets"
        ),
    }
    Ok(ns / packets as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of packet has the fate that is measured; `go` fails otherwise.
    #[test]
    fn every_case_can_be_measured() {
        if !sensor_tests::root_or_say_so("every_case_can_be_measured") {
            return;
        }
        let path = shell::workspace().join(crate::ebpf::OBJECT);
        let objects = [Object::read("sensor", &path).expect("the committed object")];
        let passing = bpf::load(&bpf::PASSING).expect("root may load a program");
        for cases in [&TCP4[..], &TCP6, &UDP4] {
            let mut rows = Vec::new();
            family(&objects, &passing, cases, 10, 1, |r| rows.push(r)).expect("measured");
            assert_eq!(rows.len(), cases.len());
            for r in rows {
                let measured = r.subjects[0][0] > 0.0 && r.idle.len() == 1;
                assert!(
                    measured && r.floor.is_some() == (r.name != TCP4[6].name),
                    "{}",
                    r.name
                );
            }
        }
    }
}
