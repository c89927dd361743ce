//! A TCP connection between two programs, written by the input and read by one analyzer or by all that a connection gets,
//! with the rooms behind them: files and their readers, software.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use sensor::analyzer::WorkerShared;
use sensor::analyzer::api::{Call, Interest, Next, Out, Protocol, Solo, Spec};
use sensor::analyzer::tree::Tree;
use sensor::base::known::Known;
use sensor::event::log::{LogRow, Value, write_json};
use sensor::event::{ConnId, Event, Proto, Subscriptions, Ts};
use sensor::file::api::{Part, Target};
use sensor::file::{self, Carrier, ExtractConfig, FileConfig, Files, Hashes, News, Piece};
use sensor::software::{self, Found, Inventory};

use crate::analyzers::conn;
use crate::memory::Spent;

/// Begins a mark in an input: a byte that says what follows it.
const MARK: [u8; 2] = [0xfd, 0xfc];
/// Most bytes that are sent, whatever is repeated.
const MOST_SENT: usize = 128 << 10;
const SECOND: u64 = 1_000_000_000;

/// What happens on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Sent(bool, &'a [u8]),
    Lost(bool, u64),
    End(bool),
    Turned,
}

/// Reads an input: bytes are the originator's until a mark says something else.
/// - `>` and `<`: what follows comes from the originator, from the responder. `|`: in a packet of its own.
/// - `~` and a byte: so many bytes are lost, times eleven. `$`: the direction ends. `!`: the sides change places.
/// - `*` and a byte: what came since the mark before comes again, so often.
pub fn steps(mut data: &[u8]) -> Vec<Step<'_>> {
    let (mut steps, mut is_orig, mut sent) = (Vec::new(), true, 0);
    let mut last: &[u8] = &[];
    loop {
        let end = data.windows(MARK.len()).position(|w| w == MARK);
        let (bytes, rest) = data.split_at(end.unwrap_or(data.len()));
        let mut send = |bytes: &'_ [u8]| {
            sent += bytes.len();
            !bytes.is_empty() && sent <= MOST_SENT
        };
        if send(bytes) {
            steps.push(Step::Sent(is_orig, bytes));
            last = bytes;
        }
        let [_, _, what, rest @ ..] = rest else {
            return steps;
        };
        data = rest;
        match what {
            b'>' => is_orig = true,
            b'<' => is_orig = false,
            b'$' => steps.push(Step::End(is_orig)),
            b'!' => steps.push(Step::Turned),
            b'~' | b'*' => {
                let [n, rest @ ..] = data else { return steps };
                data = rest;
                match what {
                    b'~' => steps.push(Step::Lost(is_orig, u64::from(*n) * 11)),
                    _ => steps.extend((0..*n).filter(|_| send(last)).map(|_| Step::Sent(is_orig, last))),
                }
            }
            _ => {}
        }
    }
}

/// How a connection is read.
#[derive(Clone, Copy)]
struct Reading {
    port: u16,
    events: bool,
    /// All files have digests and are extracted: somebody reads them.
    files: bool,
    partial: bool,
    /// Bytes come in parts of this size, and those that nobody needs are not at hand.
    size: Option<usize>,
    /// Nothing is noted: memory is counted.
    mute: bool,
}

/// Parts so long are wholes.
const PARTS: usize = 1 << 20;

/// Who reads it.
trait Reader {
    fn bytes(&mut self, is_orig: bool, bytes: &[u8], call: &mut Call<'_>);
    fn unseen(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>);
    fn gap(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>);
    fn eof(&mut self, is_orig: bool, call: &mut Call<'_>);
    fn flip(&mut self);
    fn close(&mut self, call: &mut Call<'_>);
    fn interest(&self, is_orig: bool) -> Interest;
}

/// All analyzers that it gets.
struct All<'s>(Tree, &'s WorkerShared);

impl Reader for All<'_> {
    fn bytes(&mut self, is_orig: bool, bytes: &[u8], call: &mut Call<'_>) {
        self.0.stream(is_orig, bytes, self.1, call);
        assert!(self.0.services().count() <= 6);
    }
    fn unseen(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>) {
        self.0.unseen(is_orig, len, self.1, call);
    }
    fn gap(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>) {
        self.0.gap(is_orig, len, self.1, call);
    }
    fn eof(&mut self, is_orig: bool, call: &mut Call<'_>) {
        self.0.eof(is_orig, call);
    }
    fn flip(&mut self) {
        self.0.flip();
    }
    fn close(&mut self, call: &mut Call<'_>) {
        self.0.close(call);
    }
    fn interest(&self, is_orig: bool) -> Interest {
        self.0.interest(is_orig)
    }
}

/// One analyzer, until it hands the connection over.
struct One<P> {
    solo: Solo<P>,
    is_over: bool,
}

impl<P: Protocol> One<P> {
    fn with(
        &mut self,
        call: &mut Call<'_>,
        work: impl FnOnce(&mut P, &mut sensor::analyzer::api::Ctx<'_>) -> Next,
    ) {
        if !self.is_over {
            let call = Call {
                out: call.out,
                ..*call
            };
            self.is_over = self.solo.with(call, work) != Next::More;
        }
    }
}

impl<P: Protocol> Reader for One<P> {
    fn bytes(&mut self, is_orig: bool, bytes: &[u8], call: &mut Call<'_>) {
        self.with(call, |p, ctx| p.data(is_orig, bytes, ctx));
    }
    fn unseen(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>) {
        self.with(call, |p, ctx| p.unseen(is_orig, len, ctx));
    }
    fn gap(&mut self, is_orig: bool, len: u64, call: &mut Call<'_>) {
        self.with(call, |p, ctx| p.gap(is_orig, len, ctx));
    }
    fn eof(&mut self, is_orig: bool, call: &mut Call<'_>) {
        self.with(call, |p, ctx| p.eof(is_orig, ctx));
    }
    fn flip(&mut self) {
        self.solo.analyzer.flip();
    }
    fn close(&mut self, call: &mut Call<'_>) {
        self.solo.close(Call {
            out: call.out,
            ..*call
        });
        assert!(self.solo.analyzer.is_settled());
    }
    fn interest(&self, is_orig: bool) -> Interest {
        self.solo.interest(is_orig)
    }
}

/// What was said, as lines.
#[derive(Default)]
struct Notes {
    mute: bool,
    said: Vec<String>,
    rows: Vec<String>,
    /// Bodies' data of both directions, by event: it comes in pieces as its bytes came.
    data: HashMap<(&'static str, bool), String>,
    /// Where each extracted file stands.
    written: HashMap<String, u64>,
    began: usize,
    ended: usize,
    /// More of a file came than its size says: it is over with the piece that has all of it, and the rest begins anew.
    is_beyond: bool,
    text: Vec<u8>,
}

impl Notes {
    fn note_event(&mut self, ts: Ts, ev: &dyn Event) {
        let name = ev.info().name;
        self.began += usize::from(name == "file_new");
        self.ended += usize::from(name == "file_state_remove");
        if self.mute {
            return;
        }
        self.text.clear();
        ev.write_json(ts, &mut self.text);
        let line = std::str::from_utf8(&self.text).expect("JSON is UTF-8");
        // They have what else came in a packet.
        if name.contains("protocol_data")
            || name.starts_with("ssh_encrypted_packet")
            || name.starts_with("ssh_auth_")
        {
            return;
        }
        if let Some((head, data)) = line.split_once("\"data\":\"") {
            let key = (name, head.contains("\"is_orig\":true"));
            return self
                .data
                .entry(key)
                .or_default()
                .push_str(data.trim_end_matches(['"', '}']));
        }
        let line = without(line, "\"seen_bytes\":");
        self.said.push(line.into_owned());
    }

    fn note_row(&mut self, row: &dyn LogRow) {
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        if self.mute {
            return;
        }
        let count = |name: &str| match row.columns().iter().zip(&values).find(|(c, _)| c.name == name) {
            Some((_, Value::Count(n))) => Some(*n),
            _ => None,
        };
        let total = count("total_bytes").unwrap_or(u64::MAX);
        self.is_beyond |= row.path() == "files" && count("seen_bytes") > Some(total);
        self.text.clear();
        write_json(&mut self.text, row, &mut Vec::new());
        let line = std::str::from_utf8(&self.text).expect("JSON is UTF-8");
        // SSH tells success by the sizes of packets.
        let line = match row.path() {
            "ssh" => line.split(",\"auth_").next().unwrap_or(line),
            _ => line,
        };
        self.rows.push(format!("{} {line}", row.path()));
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if !self.mute {
            self.said.push(line());
        }
    }
}

/// A line without the number behind a key: how much of a file came depends on the pieces.
fn without<'l>(line: &'l str, key: &str) -> Cow<'l, str> {
    match line.split_once(key) {
        Some((head, rest)) => [head, rest.trim_start_matches(|c: char| c.is_ascii_digit())]
            .concat()
            .into(),
        None => line.into(),
    }
}

impl file::api::Out for Notes {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.note_event(ts, ev);
    }
    fn log(&mut self, row: &dyn LogRow) {
        self.note_row(row);
    }
    fn weird(&mut self, _: Ts, name: &'static str, fuid: &str, addl: &str) {
        self.say(|| format!("weird {name} {fuid} {addl}"));
    }
    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        match part {
            Part::Bytes { at, bytes } => {
                let stands = self.written.entry(target.name().to_owned()).or_default();
                assert!(at >= *stands, "bytes of a file twice: {at} after {stands}");
                *stands = at + bytes.len() as u64;
            }
            // Its handle may be used again.
            Part::End => {
                let end = self.written.remove(target.name()).expect("it began");
                self.say(|| format!("extracted {} {end}", target.name()));
            }
        }
        true
    }
}

impl software::Out for Notes {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.note_event(ts, ev);
    }
    fn log(&mut self, row: &dyn LogRow) {
        self.note_row(row);
    }
}

/// What stands behind the analyzers.
struct Rooms {
    now: Ts,
    subs: Subscriptions,
    is_local: file::api::IsLocal,
    files: Files,
    inventory: Inventory,
    notes: Notes,
    /// There was a violation.
    failed: bool,
}

impl Rooms {
    fn with_files<R>(&mut self, work: impl FnOnce(&mut Files, &mut file::api::Cx<'_>) -> R) -> R {
        let mut cx = file::api::Cx {
            ts: self.now,
            subs: &self.subs,
            is_local: &self.is_local,
            magic: None,
            out: &mut self.notes,
        };
        work(&mut self.files, &mut cx)
    }
}

impl Out for Rooms {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        assert!(self.subs.wants(ev.kind()), "{} was not asked for", ev.info().name);
        self.notes.note_event(ts, ev);
    }
    fn log(&mut self, row: &dyn LogRow) {
        self.notes.note_row(row);
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.notes.say(|| format!("confirm {:?}", spec.tag));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.failed = true;
        self.notes.say(|| format!("violation {:?} {reason}", spec.tag));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        // It has what else came in a packet.
        if !name.starts_with("protocol_data_with_") {
            self.notes.say(|| format!("weird {name} {addl}"));
        }
    }
    fn gave_up(&mut self) {
        self.notes.say(|| "gave up".into());
    }
    fn file(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>) -> News {
        self.with_files(|files, cx| files.piece(carrier, piece, cx))
    }
    fn software(&mut self, found: &Found<'_>) {
        let mut cx = software::Cx {
            ts: self.now,
            subs: &self.subs,
            is_local: &|_: IpAddr| true,
            out: &mut self.notes,
        };
        self.inventory.found(found, &mut cx);
    }
    fn is_local(&self, addr: IpAddr) -> bool {
        addr.is_ipv4()
    }
}

impl Reading {
    fn rooms(&self) -> Rooms {
        let cfg = match self.files {
            true => FileConfig {
                hashes: Hashes {
                    md5: true,
                    sha1: true,
                    sha256: true,
                },
                extract: Some(Arc::new(ExtractConfig::new(Vec::new(), 1 << 20, 8 << 20))),
                ..FileConfig::default()
            },
            false => FileConfig::default(),
        };
        Rooms {
            now: 1_700_000_000 * SECOND,
            subs: match self.events {
                true => Subscriptions::ALL,
                false => Subscriptions::NONE,
            },
            is_local: Arc::new(|a: IpAddr| a.is_ipv4()),
            files: Files::new(cfg, 1),
            inventory: Inventory::new(Known::default()),
            notes: Notes {
                mute: self.mute,
                ..Notes::default()
            },
            failed: false,
        }
    }

    /// The whole connection.
    fn read(&self, reader: &mut dyn Reader, talk: &[(Step<'_>, Cow<'_, [u8]>)]) -> Notes {
        let c = conn(Proto::Tcp, self.port);
        let mut rooms = self.rooms();
        let subs = rooms.subs;
        let spent = Spent::begin();
        let mut sent = 0;
        for (step, bytes) in talk {
            rooms.now += SECOND / 100;
            sent += bytes.len();
            match *step {
                // As a tree takes it off.
                _ if self.size.is_some() && rooms.failed => break,
                Step::Sent(is_orig, _) => self.feed(reader, is_orig, bytes, &c, &mut rooms),
                Step::Lost(is_orig, n) => reader.gap(is_orig, n, &mut call(&c, &subs, &mut rooms)),
                Step::End(is_orig) => reader.eof(is_orig, &mut call(&c, &subs, &mut rooms)),
                // In the middle of a conversation it makes no sense of any.
                Step::Turned if self.size.is_some() && sent > 0 => {}
                Step::Turned => reader.flip(),
            }
            if self.mute {
                spent.check(sent);
            }
        }
        rooms.now = 1_700_000_000 * SECOND + SECOND * 100;
        reader.close(&mut call(&c, &subs, &mut rooms));
        rooms.with_files(|files, cx| files.finish(cx));
        assert_eq!(rooms.files.held(), 0);
        assert_eq!(rooms.notes.began, rooms.notes.ended, "files that began and ended");
        rooms.notes
    }

    fn feed(&self, reader: &mut dyn Reader, is_orig: bool, mut bytes: &[u8], c: &ConnId, rooms: &mut Rooms) {
        let subs = rooms.subs;
        while !bytes.is_empty() {
            let skipped = match (self.size, reader.interest(is_orig)) {
                (Some(PARTS..) | None, _) => 0,
                (_, Interest::Skip(n)) => bytes.len().min(usize::try_from(n).unwrap_or(usize::MAX)),
                _ => 0,
            };
            let n = match skipped {
                0 => bytes.len().min(self.size.unwrap_or(usize::MAX)),
                n => n,
            };
            let (part, rest) = bytes.split_at(n);
            bytes = rest;
            let call = &mut call(c, &subs, rooms);
            match skipped {
                0 => reader.bytes(is_orig, part, call),
                n => reader.unseen(is_orig, n as u64, call),
            }
        }
    }
}

fn call<'c>(c: &'c ConnId, subs: &'c Subscriptions, rooms: &'c mut Rooms) -> Call<'c> {
    Call {
        ts: rooms.now,
        c,
        subs,
        out: rooms,
    }
}

/// What becomes of the bytes of a step, whose number it is told.
pub type Wrap = for<'b> fn(n: usize, is_orig: bool, bytes: &'b [u8]) -> Cow<'b, [u8]>;

/// They are sent as they are.
pub fn bare(_: usize, _: bool, bytes: &[u8]) -> Cow<'_, [u8]> {
    bytes.into()
}

/// Reads an input as a connection to `port`: settings, the size of parts, steps. `wrapped`: what is sent ahead of it, and
/// how it is sent then, if the settings say so.
///
/// Without parts, all analyzers read it; then time and memory are bounded by what was sent. With parts, only `P` does, and
/// what comes out depends neither on how the streams are cut, nor on bytes that nobody reads; nor do the rows depend on who
/// wants events. Every file that begins ends.
pub fn check<P: Protocol>(port: u16, data: &[u8], wrapped: Option<(&[Step<'_>], Wrap)>) {
    let [settings, size, data @ ..] = data else {
        return;
    };
    let set = |bit: u8| settings & bit != 0;
    let (opening, wrap) = match wrapped.filter(|_| set(1)) {
        Some(wrapped) => wrapped,
        None => (&[][..], bare as Wrap),
    };
    let steps = steps(data);
    let wrap = |(n, step): (usize, &_)| match *step {
        Step::Sent(is_orig, bytes) => (*step, wrap(n, is_orig, bytes)),
        _ => (*step, Cow::default()),
    };
    let opening = opening.iter().map(|step| match *step {
        Step::Sent(_, bytes) => (*step, Cow::Borrowed(bytes)),
        _ => (*step, Cow::default()),
    });
    let talk: Vec<_> = opening.chain(steps.iter().enumerate().map(wrap)).collect();
    let reading = Reading {
        port,
        events: !set(2),
        files: set(4),
        partial: set(8),
        size: None,
        mute: set(16),
    };
    if *size == 0 {
        let shared = WorkerShared::default();
        let mut tree = Tree::new(true, 40000, port, &shared);
        tree.set_partial(reading.partial);
        reading.read(&mut All(tree, &shared), &talk);
        return;
    }
    let start = sensor::analyzer::api::Start::default();
    let one = || One {
        solo: Solo::new(P::new(&start, &P::Shared::default())),
        is_over: false,
    };
    let whole = Reading {
        size: Some(PARTS),
        mute: false,
        ..reading
    };
    let parts = Reading {
        size: Some(usize::from(*size)),
        events: whole.events && !set(32),
        ..whole
    };
    let is_alike = whole.events == parts.events;
    let (whole, parts) = (whole.read(&mut one(), &talk), parts.read(&mut one(), &talk));
    whole.compare(&parts, is_alike);
}

impl Notes {
    /// Whether something was met that depends on the pieces, as in Zeek: what came out of a compressed body by the time when
    /// it showed to be none, a CR at the end of a piece of a mail's chunk, what SOCKS takes for a message of which it knows
    /// nothing, and which side's nonsense ends SOCKS.
    fn is_cut_off(&self) -> bool {
        let names = [
            "inflate_failed",
            "exceeded_http_decompression_ratio",
            "smtp_bdat_line_cr_only",
            "socks5_unsupported_authentication",
        ];
        let is_one = |line: &String| {
            line.strip_prefix("weird ")
                .is_some_and(|l| names.iter().any(|n| l.starts_with(n)))
        };
        let ends_socks = |line: &String| line.starts_with("violation SOCKS ");
        self.is_beyond || self.said.iter().any(|l| is_one(l) || ends_socks(l))
    }

    fn compare(&self, other: &Notes, events: bool) {
        if self.is_cut_off() || other.is_cut_off() {
            return;
        }
        let differs = |a: &[String], b: &[String]| {
            let at = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at));
            if let Some(at) = at {
                panic!("whole: {:#?}\nin parts: {:#?}", a.get(at), b.get(at));
            }
        };
        if events {
            differs(&self.said, &other.said);
            assert_eq!(self.data, other.data);
        }
        differs(&self.rows, &other.rows);
        assert!(self.written.is_empty() && other.written.is_empty());
    }
}
