//! Files written out as they come. What is written, and how much of it, is decided here; who writes is told by
//! [`Out::extract`](super::super::api::Out::extract).

use std::sync::Arc;

use super::super::api::{Cx, Part, Target};
use super::super::wanted::ExtractConfig;
use super::found::{Extracted, Found};
use crate::base::time::{SECOND, Ts};
use crate::event::Fuid;

/// Zeek's name of who extracts files.
pub const NAME: &str = "EXTRACT";

/// The name of the file that a file's bytes are written to (Zeek: FileExtract::on_add). Nothing of it is a sender's choice.
pub fn name(started: Ts, source: &str, fuid: Fuid) -> String {
    let (s, us) = (started / SECOND, started % SECOND / 1000);
    format!("extract-{s}.{us:06}-{source}-{fuid}")
}

/// A file being written.
#[derive(Debug)]
pub struct Extract {
    cfg: Arc<ExtractConfig>,
    target: Arc<Target>,
    /// Most bytes that are written.
    limit: u64,
    /// Where the next bytes belong.
    at: u64,
    /// Where the last bytes that were taken end.
    end: u64,
    is_cut: bool,
}

impl Extract {
    /// One that is written to a file of this name; `limit`: no more than so many bytes.
    pub fn new(cfg: Arc<ExtractConfig>, name: String, limit: Option<u64>) -> Extract {
        Extract {
            limit: cfg.limit().min(limit.unwrap_or(u64::MAX)),
            cfg,
            target: Arc::new(Target::new(name)),
            at: 0,
            end: 0,
            is_cut: false,
        }
    }

    /// Whether more is written.
    pub fn reads(&self) -> bool {
        !self.is_cut
    }

    pub fn bytes(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        if self.is_cut || bytes.is_empty() {
            return;
        }
        let len = bytes.len() as u64;
        let may = self.cfg.take(len.min(self.limit.saturating_sub(self.at)));
        if may > 0 {
            let bytes = bytes.get(..may as usize).unwrap_or(bytes);
            let part = Part::Bytes { at: self.at, bytes };
            if !cx.out.extract(&self.target, part) {
                self.cfg.give_back(may);
                return self.cut_off(cx);
            }
            self.at += may;
            self.end = self.at;
        }
        if may < len {
            self.cut_off(cx);
        }
    }

    /// So many bytes are not at hand: a hole in the file.
    pub fn gap(&mut self, len: u64, cx: &mut Cx<'_>) {
        self.at = self.at.saturating_add(len);
        if self.at > self.limit {
            self.cut_off(cx);
        }
    }

    /// Whether there is a file.
    pub fn has_written(&self) -> bool {
        self.end > 0
    }

    /// No more of it is written.
    pub fn cut_off(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.close(cx);
        }
    }

    fn close(&self, cx: &mut Cx<'_>) {
        // Of what nothing was taken nobody knows.
        if self.end > 0 {
            cx.out.extract(&self.target, Part::End);
        }
    }

    /// The file is over.
    pub fn end(self, found: &mut Found, cx: &mut Cx<'_>) {
        if !self.is_cut {
            self.close(cx);
        }
        let failed = self.target.failed_at();
        let is_cut = self.is_cut || failed.is_some();
        // Of what had no byte at hand there is no file.
        if is_cut || self.end > 0 {
            found.extracted = Some(Extracted {
                name: self.target.name().to_owned(),
                cut_off: is_cut.then(|| failed.map_or(self.end, |at| at.min(self.end))),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_time_to_the_microsecond() {
        let fuid = Fuid::of(1, [0; 16]);
        let want = format!("extract-1700000000.000045-FTP_DATA-{fuid}");
        assert_eq!(name(1_700_000_000 * SECOND + 45_999, "FTP_DATA", fuid), want);
    }
}
