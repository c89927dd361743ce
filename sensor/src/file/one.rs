//! One file: its bytes put in order, its beginning looked at, its readers, its events.

use super::api::{Carrier, Cx, FileConfig, FileWish, Handle};
use super::events::FileEntropy;
use super::log::{Entropy, FileRow};
use super::mime;
use super::reader::{About, CERT, Found, Readers, Shared, extract_name};
use super::waiting::{Data, Waiting};
use crate::event::{
    ConnId, FaFile, FaMetadata, FileGap, FileNew, FileOverNewConnection, FileReassemblyOverflow, FileSniff,
    FileStateRemove, FileTimeout, Fuid, Kind, Subscriptions, Ts,
};

/// Most connections that a file's rows name.
const MOST_CONNS: usize = 256;

/// Names so long are kept whatever room there is, bytes.
const SHORT_NAME: usize = 255;

/// A file under way.
#[derive(Debug)]
pub struct File {
    pub fuid: Fuid,
    source: &'static str,
    depth: u64,
    is_orig: bool,
    started: Ts,
    /// When it was last heard of.
    pub active: Ts,
    /// When it is looked at next whether it has been silent for too long.
    pub due: Ts,
    conns: Vec<ConnId>,
    name: Option<Vec<u8>>,
    mime: Option<&'static str>,
    /// How far it was given to its readers, gaps included, bytes.
    at: u64,
    seen: u64,
    missing: u64,
    overflow: u64,
    total: Option<u64>,
    /// Its beginning, until it was looked at.
    head: Option<Vec<u8>>,
    /// There once pieces came out of order.
    waiting: Option<Waiting>,
    readers: Readers,
    /// Zeek's names of all that read it.
    analyzers: Vec<&'static str>,
    pub timed_out: bool,
    /// files.log has the column `entropy`.
    logs_entropy: bool,
    /// Its type was found, and nobody was told yet.
    sniffed: Option<&'static str>,
    /// Who said what tells it from others said that it is not to be looked at: nobody is told of it.
    pub is_ignored: bool,
    /// Its carriers' own handles, where others say what tells it from others.
    pub others: Vec<Handle>,
}

/// Raises an event of a file, if somebody wants it.
macro_rules! raise {
    ($file:expr, $cx:expr, $kind:ident $(, $field:ident : $value:expr)*) => {
        if $cx.subs.wants($kind::KIND) {
            let id = $file.fuid.to_string();
            let f = $file.shown(&id);
            $cx.out.event($cx.ts, &$kind { f: &f $(, $field: $value)* });
        }
    };
}

impl File {
    /// A file whose first piece comes; `new` and the first connection are told.
    pub fn new(fuid: Fuid, carrier: &Carrier<'_>, cfg: &FileConfig, cx: &mut Cx<'_>) -> File {
        let mut file = File::untold(fuid, carrier, Readers::new(cfg), cx.ts);
        file.logs_entropy = cfg.entropy;
        raise!(file, cx, FileNew);
        file.heed(FileNew::KIND, false, cx);
        file.tell_connection(carrier, cx);
        file
    }

    /// One that is not to be looked at.
    pub fn ignored(fuid: Fuid, carrier: &Carrier<'_>, now: Ts) -> File {
        File {
            head: None,
            is_ignored: true,
            ..File::untold(fuid, carrier, Readers::default(), now)
        }
    }

    fn untold(fuid: Fuid, carrier: &Carrier<'_>, readers: Readers, now: Ts) -> File {
        File {
            analyzers: readers.names(),
            fuid,
            source: carrier.source,
            depth: carrier.depth,
            is_orig: carrier.is_orig,
            started: now,
            active: now,
            due: 0,
            conns: vec![*carrier.c],
            name: carrier.name.map(<[u8]>::to_vec),
            mime: None,
            at: 0,
            seen: 0,
            missing: 0,
            overflow: 0,
            total: None,
            head: Some(Vec::new()),
            waiting: None,
            readers,
            timed_out: false,
            logs_entropy: false,
            sniffed: None,
            is_ignored: false,
            others: Vec::new(),
        }
    }

    /// Does what those want who were told of an event of this kind. `looks`: its beginning is being looked at, and is given to
    /// new readers afterwards.
    fn heed(&mut self, kind: Kind, looks: bool, cx: &mut Cx<'_>) {
        if cx.subs.wants(kind) {
            for wish in cx.out.wishes(self.fuid) {
                self.obey(wish, looks, cx);
            }
        }
    }

    /// Does what somebody wants of it. Not to be called while it is given bytes.
    pub fn wish(&mut self, wish: FileWish, cx: &mut Cx<'_>) {
        self.obey(wish, false, cx);
    }

    fn obey(&mut self, wish: FileWish, looks: bool, cx: &mut Cx<'_>) {
        let before = self.readers.len();
        let has_head = self.head.as_ref().is_some_and(|h| h.len() as u64 == self.at);
        let is_whole = looks || has_head || self.at == 0;
        let name = || extract_name(self.started, self.source, self.fuid);
        match wish {
            FileWish::Digests(hashes) if is_whole => self.readers.add_digests(hashes),
            FileWish::Entropy if is_whole => {
                self.logs_entropy = true;
                self.readers.add_entropy();
            }
            // Of a part of a file neither says anything.
            FileWish::Digests(_) | FileWish::Entropy => {}
            FileWish::Extract(limit) => self.readers.add_extract(limit, name),
            FileWish::Stop => {
                self.head = None;
                return self.readers.stop(cx);
            }
        }
        for name in self.readers.names_from(before) {
            if !self.analyzers.contains(&name) {
                self.analyzers.push(name);
            }
        }
        match &self.head {
            _ if looks => {}
            Some(head) if has_head => self.readers.catch_up(before, head, cx),
            _ => self.readers.missed(before, self.at, cx),
        }
    }

    /// It is carried by this connection, too. Whether that is new.
    pub fn join(&mut self, carrier: &Carrier<'_>, cx: &mut Cx<'_>) -> bool {
        if self.conns.iter().any(|c| c.uid == carrier.c.uid) || self.conns.len() >= MOST_CONNS {
            return false;
        }
        self.conns.push(*carrier.c);
        if let Some(name) = carrier.name {
            self.name = Some(name.to_vec());
        }
        self.tell_connection(carrier, cx);
        true
    }

    fn tell_connection(&mut self, carrier: &Carrier<'_>, cx: &mut Cx<'_>) {
        raise!(self, cx, FileOverNewConnection, c: carrier.c, is_orig: carrier.is_orig);
        self.heed(FileOverNewConnection::KIND, false, cx);
    }

    /// Its type is known without a look, if none was taken yet.
    pub fn declare(&mut self, mime: &'static str, cx: &mut Cx<'_>) {
        if self.head.as_ref().is_some_and(Vec::is_empty) {
            self.head = None;
            self.found(Some(mime), cx);
        }
    }

    /// Its type, told once.
    pub fn take_sniffed(&mut self) -> Option<&'static str> {
        self.sniffed.take()
    }

    /// Whether somebody reads its further bytes.
    pub fn is_read(&self) -> bool {
        self.head.is_some() || self.readers.is_reading()
    }

    /// Memory of what waits, bytes.
    pub fn memory(&self) -> u64 {
        self.waiting.as_ref().map_or(0, Waiting::memory)
    }

    /// Bytes that are kept of what is in order, and of its name.
    pub fn kept(&self) -> u64 {
        let len = |kept: &Option<Vec<u8>>| kept.as_ref().map_or(0, |b| b.len() as u64);
        self.readers.kept() + len(&self.head) + len(&self.name)
    }

    /// There is no room for that: its beginning is looked at as far as it came, nobody reads what has to be read together, and
    /// a long name is forgotten.
    pub fn keep_less(&mut self, cx: &mut Cx<'_>) {
        if self.head.as_ref().is_some_and(|head| !head.is_empty()) {
            self.look(cx);
        }
        self.readers.keep_nothing();
        self.name.take_if(|name| name.len() > SHORT_NAME);
    }

    /// Whether all of it has come.
    pub fn is_complete(&self) -> bool {
        self.total.is_some_and(|n| self.at >= n)
    }

    /// Its full size.
    pub fn size(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Bytes at an offset, or the next ones. `crowded`: all files together have too much that waits.
    pub fn data(
        &mut self,
        at: Option<u64>,
        mut data: Data<'_>,
        crowded: bool,
        cfg: &FileConfig,
        cx: &mut Cx<'_>,
    ) {
        let at = at.unwrap_or(self.at);
        if at.checked_add(data.len()).is_none() {
            let addl = format!("offset={at:x} len={:x}", data.len());
            cx.out
                .weird(cx.ts, "file_offset_overflow", &self.fuid.to_string(), &addl);
            data = data.first(u64::MAX - at);
        }
        if self.waiting.as_ref().map_or(0, Waiting::counted) > cfg.waiting_limit {
            self.overflow(cx);
        }
        let all_read = self.readers.may_read_all();
        match at.checked_sub(self.at) {
            Some(1..) => self.waiting.get_or_insert_default().insert(at, data, all_read),
            _ => {
                let known = self.at - at;
                if known > 0 {
                    // It is out of order, too.
                    self.waiting.get_or_insert_default();
                }
                self.next(data.skip(known), cx);
            }
        }
        self.drain(cx);
        if crowded && self.memory() > 0 {
            self.overflow(cx);
        }
    }

    /// There is no room for what waits.
    fn overflow(&mut self, cx: &mut Cx<'_>) {
        let (from, missing) = (self.at, self.missing);
        self.flush(cx);
        let skipped = self.missing - missing;
        self.overflow += skipped;
        raise!(self, cx, FileReassemblyOverflow, offset: from, skipped: skipped);
    }

    /// Bytes that begin where it stands. They may reach into some that wait.
    fn next(&mut self, data: Data<'_>, cx: &mut Cx<'_>) {
        let all_read = self.readers.may_read_all();
        match &mut self.waiting {
            Some(w) if w.first().is_some_and(|at| at - self.at < data.len()) => {
                w.insert(self.at, data, all_read);
            }
            _ => self.deliver(data, cx),
        }
    }

    /// Delivers what waited and has its turn now.
    fn drain(&mut self, cx: &mut Cx<'_>) {
        while let Some(block) = self.waiting.as_mut().and_then(|w| w.take(self.at)) {
            self.deliver(block.data(), cx);
        }
    }

    /// Gives up the holes before all that waits.
    fn flush(&mut self, cx: &mut Cx<'_>) {
        if let Some(top) = self.waiting.as_ref().and_then(Waiting::top) {
            self.give_up_to(top, cx);
        }
    }

    /// Gives up the holes below `end`.
    fn give_up_to(&mut self, end: u64, cx: &mut Cx<'_>) {
        while self.at < end {
            let next = self.waiting.as_ref().and_then(Waiting::first);
            let until = next.map_or(end, |n| n.min(end));
            if until > self.at {
                self.lose(self.at, until - self.at, cx);
            }
            self.drain(cx);
        }
    }

    /// `len` bytes never came, at an offset or where it stands.
    pub fn gap(&mut self, at: Option<u64>, len: u64, cx: &mut Cx<'_>) {
        let at = at.unwrap_or(self.at);
        match self.waiting {
            Some(_) => self.give_up_to(at.saturating_add(len), cx),
            None => self.lose(at, len, cx),
        }
    }

    fn lose(&mut self, at: u64, len: u64, cx: &mut Cx<'_>) {
        self.look(cx);
        self.readers.gap(len, cx);
        raise!(self, cx, FileGap, offset: at, len: len);
        self.at = self.at.saturating_add(len);
        self.missing = self.missing.saturating_add(len);
    }

    /// The next bytes.
    fn deliver(&mut self, data: Data<'_>, cx: &mut Cx<'_>) {
        match data {
            Data::Bytes(bytes) => self.deliver_bytes(bytes, cx),
            Data::Unseen(len) => {
                self.look(cx);
                self.readers.gap(len, cx);
            }
        }
        self.at = self.at.saturating_add(data.len());
        self.seen = self.seen.saturating_add(data.len());
    }

    fn deliver_bytes(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        self.readers.bytes(bytes, cx);
        self.tell_read(cx);
        let Some(head) = &mut self.head else {
            return;
        };
        if head.is_empty() && bytes.len() >= mime::LOOKED_AT {
            return self.look_at(bytes, cx);
        }
        if !head.is_empty() {
            // It grows once, however many pieces it comes in.
            head.reserve_exact(mime::LOOKED_AT.max(head.len() + bytes.len()) - head.len());
        }
        head.extend_from_slice(bytes);
        if head.len() >= mime::LOOKED_AT {
            self.look(cx);
        }
    }

    /// Looks at its beginning, as much as there is, if that was not done yet.
    fn look(&mut self, cx: &mut Cx<'_>) {
        match self.head.take() {
            Some(head) if !head.is_empty() => self.look_at(&head, cx),
            // It begins with a gap: what it is nobody will know.
            Some(_) => self.add_readers(cx.subs),
            None => {}
        }
    }

    fn look_at(&mut self, head: &[u8], cx: &mut Cx<'_>) {
        self.head = None;
        let looked_at = head.get(..mime::LOOKED_AT).unwrap_or(head);
        let new = self.readers.len();
        self.found(mime::of(looked_at), cx);
        self.readers.catch_up(new, head, cx);
        self.tell_read(cx);
    }

    /// Its readers tell what they have read of it.
    fn tell_read(&mut self, cx: &mut Cx<'_>) {
        if self.readers.has_news(cx) {
            let mut readers = std::mem::take(&mut self.readers);
            let id = self.fuid.to_string();
            readers.tell(&self.shown(&id), cx);
            self.readers = readers;
        }
    }

    /// Its type is found out, or nothing was.
    fn found(&mut self, mime: Option<&'static str>, cx: &mut Cx<'_>) {
        raise!(self, cx, FileSniff, meta: FaMetadata { mime_type: mime });
        if let Some(mime) = mime {
            (self.mime, self.sniffed) = (Some(mime), Some(mime));
        }
        self.heed(FileSniff::KIND, true, cx);
        self.add_readers(cx.subs);
    }

    /// Adds those that read files of its type, as far as that is known.
    fn add_readers(&mut self, subs: &Subscriptions) {
        let name = || extract_name(self.started, self.source, self.fuid);
        let new = self.readers.add_for(self.mime, name, subs);
        self.analyzers.extend(new);
    }

    /// It is over: what still waits is delivered, readers finish, the rows are written. What readers found is returned.
    pub fn end(&mut self, shared: &mut Shared, cx: &mut Cx<'_>) -> Found {
        self.flush(cx);
        self.look(cx);
        let fuid = self.fuid.to_string();
        let mut readers = std::mem::take(&mut self.readers);
        let about = About {
            fuid: &fuid,
            f: &self.shown(&fuid),
            started: self.started,
            mime: self.mime,
            is_orig: self.is_orig,
        };
        let found = readers.end(about, shared, cx);
        if let Some(ent) = found.entropy {
            raise!(self, cx, FileEntropy, ent: ent);
        }
        raise!(self, cx, FileStateRemove);
        if !self.analyzers.contains(&CERT) {
            self.log(&fuid, &found, cx);
        }
        found
    }

    /// A row for each connection that carried it.
    fn log(&self, fuid: &str, found: &Found, cx: &mut Cx<'_>) {
        for c in &self.conns {
            cx.out.log(&FileRow {
                ts: self.started,
                fuid: fuid.to_owned(),
                c,
                source: self.source,
                depth: self.depth,
                analyzers: self.analyzers.clone(),
                mime_type: self.mime,
                filename: self.name.as_deref(),
                duration: self.active.saturating_sub(self.started) as i64,
                local_orig: (cx.is_local)(if self.is_orig { c.orig_h } else { c.resp_h }),
                is_orig: self.is_orig,
                seen_bytes: self.seen,
                total_bytes: self.total,
                missing_bytes: self.missing,
                overflow_bytes: self.overflow,
                timedout: self.timed_out,
                parent_fuid: None,
                md5: found.md5.clone(),
                sha1: found.sha1.clone(),
                sha256: found.sha256.clone(),
                extracted: found.extracted.as_ref().map(|e| e.name.clone()),
                extracted_cutoff: found.extracted.as_ref().map(|e| e.cut_off.is_some()),
                extracted_size: found.extracted.as_ref().and_then(|e| e.cut_off),
                entropy: self.logs_entropy.then(|| Entropy {
                    entropy: found.entropy.map(|ent| ent.entropy),
                }),
            });
        }
    }

    /// Nothing was heard of it for too long.
    pub fn time_out(&mut self, cx: &mut Cx<'_>) {
        self.timed_out = true;
        raise!(self, cx, FileTimeout);
    }

    /// As events show it.
    fn shown<'f>(&'f self, id: &'f str) -> FaFile<'f> {
        FaFile {
            id,
            parent_id: None,
            source: self.source,
            conn: self.conns.last(),
            is_orig: Some(self.is_orig),
            seen_bytes: self.seen,
            total_bytes: self.total,
            missing_bytes: self.missing,
            overflow_bytes: self.overflow,
        }
    }
}
