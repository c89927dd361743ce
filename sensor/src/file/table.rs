//! The files of one worker that are under way.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::api::{Carrier, Cx, FileConfig, FileWish, Handle, News, Piece};
use super::one::File;
use super::reader::{Found, Shared};
use super::waiting::Data;
use crate::event::{self, Fuid, Ts};

/// How many places in the queue may be of files that are over, beside as many as there are files.
const SPARE_QUEUE: usize = 1000;

/// What a handle begins with that somebody has said.
const SAID: &[u8] = b"said";
/// Most handles of a file's carriers that are known as its own. What comes under others is asked for again and again.
const MOST_OTHERS: usize = 256;

/// See the module.
pub struct Files {
    cfg: FileConfig,
    seed: u64,
    open: HashMap<Handle, File, FixedState>,
    /// The handles of those whose carriers' own are others.
    others: HashMap<Handle, Handle, FixedState>,
    /// Their handles by their ids, if somebody may ask.
    by_id: Option<HashMap<Fuid, Handle, FixedState>>,
    /// When files are looked at, by time: all wait equally long.
    queue: VecDeque<(Ts, Handle)>,
    /// Bytes of memory that wait, all files together.
    held: u64,
    /// Bytes that are kept of what is in order, and of names, all files together.
    kept: u64,
    no_room: u64,
    shared: Shared,
}

impl Files {
    /// Without a file yet. `seed`: what their ids derive from.
    pub fn new(cfg: FileConfig, seed: u64) -> Files {
        // Handles are hashes already, of more than a sender chooses.
        let hasher = || FixedState::with_seed(seed);
        Files {
            seed,
            open: HashMap::with_hasher(hasher()),
            others: HashMap::with_hasher(hasher()),
            by_id: cfg.by_id.then(|| HashMap::with_hasher(hasher())),
            cfg,
            queue: VecDeque::new(),
            held: 0,
            kept: 0,
            no_room: 0,
            shared: Shared::default(),
        }
    }

    /// Files that were not looked at because there were too many.
    pub fn no_room(&self) -> u64 {
        self.no_room
    }

    /// Files that are under way.
    pub fn under_way(&self) -> usize {
        self.open.len()
    }

    /// Memory of what waits in all files, bytes.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Places in the queue.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that are kept of what is in order, and of names, all files together.
    #[cfg(test)]
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// A piece of a file, which begins with it if it is not under way.
    pub fn piece(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>, cx: &mut Cx<'_>) -> News {
        let mut handle = self.resolve(carrier.handle);
        if piece == Piece::End {
            return match self.open.remove(&handle) {
                Some(file) => self.end(file, cx),
                None => News::default(),
            };
        }
        if piece == Piece::Coming {
            return self.coming(&handle, cx.ts);
        }
        // Bytes that just go on are not asked for their connection, as in Zeek.
        let goes_on = matches!(
            piece,
            Piece::Bytes { at: None, .. } | Piece::Unseen { at: None, .. }
        );
        let (mut is_new, mut is_asked) = (false, false);
        if !self.open.contains_key(&handle) {
            is_asked = true;
            match self.begin(carrier, cx) {
                Some(begun) => (handle, is_new) = begun,
                None => return News::default(),
            }
        }
        let Some(file) = self.open.get_mut(&handle) else {
            return News::default();
        };
        file.active = file.active.max(cx.ts);
        if file.is_ignored {
            return News::default();
        }
        let (before, kept) = (file.memory(), if is_new { 0 } else { file.kept() });
        let joined = is_new || (!goes_on || is_asked) && file.join(carrier, cx);
        let crowded = self.held > self.cfg.waiting_total;
        let cfg = &self.cfg;
        if let (Some(mime), Piece::Bytes { .. }) = (carrier.mime, piece) {
            file.declare(mime, cx);
        }
        match piece {
            Piece::Bytes { at, bytes } => file.data(at, Data::Bytes(bytes), crowded, cfg, cx),
            Piece::Unseen { at, len } => file.data(at, Data::Unseen(len), crowded, cfg, cx),
            Piece::Gap { at, len } => file.gap(at, len, cx),
            Piece::Size(n) => file.size(n),
            Piece::Coming | Piece::End => {}
        }
        self.held = (self.held + file.memory()).saturating_sub(before);
        if file.kept() > kept && self.kept > cfg.kept_total {
            file.keep_less(cx);
        }
        self.kept = (self.kept + file.kept()).saturating_sub(kept);
        // Zeek does not look after a gap.
        let is_over = file.is_complete() && !matches!(piece, Piece::Gap { .. });
        let news = News {
            fuid: Some(file.fuid),
            joined,
            sniffed: file.take_sniffed(),
            reads: file.is_read(),
            certificate: None,
        };
        match is_over.then(|| self.open.remove(&handle)).flatten() {
            Some(file) => {
                let last = self.end(file, cx);
                News {
                    joined,
                    sniffed: news.sniffed.or(last.sniffed),
                    ..last
                }
            }
            None => news,
        }
    }

    /// When the next file is looked at.
    pub fn next(&self) -> Option<Ts> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// Ends the files of which nothing was heard for too long.
    pub fn expire(&mut self, cx: &mut Cx<'_>) {
        let now = cx.ts;
        while let Some((at, handle)) = self.queue.front().copied().filter(|(at, _)| *at <= now) {
            self.queue.pop_front();
            let Some(file) = self.open.get_mut(&handle).filter(|f| f.due == at) else {
                continue;
            };
            if now.saturating_sub(file.active) < self.cfg.timeout {
                file.due = now + self.cfg.timeout;
                self.queue.push_back((file.due, handle));
                continue;
            }
            self.give_up(handle, cx);
        }
    }

    /// The input is over: no file goes on. For Zeek they have timed out.
    pub fn finish(&mut self, cx: &mut Cx<'_>) {
        for (at, handle) in std::mem::take(&mut self.queue) {
            if self.open.get(&handle).is_some_and(|f| f.due == at) {
                self.give_up(handle, cx);
            }
        }
    }

    /// Nothing more will be heard of a file.
    fn give_up(&mut self, handle: Handle, cx: &mut Cx<'_>) {
        if let Some(mut file) = self.open.remove(&handle) {
            if !file.is_ignored {
                file.time_out(cx);
            }
            self.end(file, cx);
        }
    }

    /// Does what somebody wants of the file with this id. False: there is none under way.
    pub fn wish(&mut self, fuid: Fuid, wish: FileWish, cx: &mut Cx<'_>) -> bool {
        let handle = self.by_id.as_ref().and_then(|ids| ids.get(&fuid));
        let file = handle
            .and_then(|h| self.open.get_mut(h))
            .filter(|f| !f.is_ignored);
        if let Some(file) = file {
            file.wish(wish, cx);
            return true;
        }
        false
    }

    /// The handle of the file that is carried under this one.
    fn resolve(&self, handle: Handle) -> Handle {
        match self.others.is_empty() {
            true => handle,
            false => self.others.get(&handle).copied().unwrap_or(handle),
        }
    }

    /// Somebody carries more of a file. One that has timed out begins when it is known what came.
    fn coming(&mut self, handle: &Handle, now: Ts) -> News {
        let Some(file) = self.open.get_mut(handle).filter(|f| !f.is_ignored) else {
            return News::default();
        };
        file.active = file.active.max(now);
        News {
            fuid: Some(file.fuid),
            reads: file.is_read(),
            ..News::default()
        }
    }

    /// A file begins, or somebody says that it is one that is under way. Its handle, and whether it is new; None: there is no
    /// room for it.
    fn begin(&mut self, carrier: &Carrier<'_>, cx: &mut Cx<'_>) -> Option<(Handle, bool)> {
        if self.open.len() >= self.cfg.most_files {
            self.no_room += 1;
            cx.out.weird(cx.ts, "too_many_files", "", "");
            return None;
        }
        let mut handle = carrier.handle;
        let mut said = None;
        // Who says what it is has named it, too: Zeek asks nobody then.
        if carrier.mime.is_none() && cx.subs.wants(event::GetFileHandle::KIND) {
            let ev = event::GetFileHandle {
                tag: carrier.tag,
                c: carrier.c,
                is_orig: carrier.is_orig,
            };
            cx.out.event(cx.ts, &ev);
            said = cx.out.handle();
        }
        let is_ignored = said.as_ref().is_some_and(Vec::is_empty);
        if let Some(said) = said.filter(|_| !is_ignored) {
            handle = Handle::of(&[SAID, &said]);
            if let Some(file) = self.open.get_mut(&handle) {
                if file.others.len() < MOST_OTHERS {
                    file.others.push(carrier.handle);
                    self.others.insert(carrier.handle, handle);
                }
                return Some((handle, false));
            }
        }
        let named = self
            .cfg
            .secret
            .map_or(handle, |secret| Handle::of(&[&secret.0, &handle.0]));
        let fuid = Fuid::of(self.seed, named.0);
        let mut file = match is_ignored {
            true => File::ignored(fuid, carrier, cx.ts),
            false => File::new(fuid, carrier, &self.cfg, cx),
        };
        if handle != carrier.handle {
            file.others.push(carrier.handle);
            self.others.insert(carrier.handle, handle);
        }
        if let Some(ids) = &mut self.by_id {
            ids.insert(fuid, handle);
        }
        self.forget_ended();
        // Packets may come out of order of time; the queue is in order.
        file.due = (cx.ts + self.cfg.timeout).max(self.queue.back().map_or(0, |(at, _)| *at));
        self.queue.push_back((file.due, handle));
        self.open.insert(handle, file);
        Some((handle, true))
    }

    /// What is over by now does not keep the queue long, whoever is at its front.
    fn forget_ended(&mut self) {
        let open = &self.open;
        let is_due = |(at, handle): &(Ts, Handle)| open.get(handle).is_some_and(|f| f.due == *at);
        while self.queue.front().is_some_and(|next| !is_due(next)) {
            self.queue.pop_front();
        }
        if self.queue.len() > 2 * open.len() + SPARE_QUEUE {
            self.queue.retain(is_due);
        }
    }

    fn end(&mut self, mut file: File, cx: &mut Cx<'_>) -> News {
        self.held = self.held.saturating_sub(file.memory());
        self.kept = self.kept.saturating_sub(file.kept());
        for other in file.others.drain(..) {
            self.others.remove(&other);
        }
        if let Some(ids) = &mut self.by_id {
            ids.remove(&file.fuid);
        }
        if file.is_ignored {
            return News::default();
        }
        let Found { certificate, .. } = file.end(&mut self.shared, cx);
        News {
            fuid: Some(file.fuid),
            joined: false,
            sniffed: file.take_sniffed(),
            reads: false,
            certificate,
        }
    }
}
