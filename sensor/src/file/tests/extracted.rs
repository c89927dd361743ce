//! Files that are extracted: what is given to be written, and what the row says of it.

use super::*;
use crate::file::ExtractConfig;

/// Files of these types are extracted, each up to `limit` bytes, `total` in all.
fn extracting(types: &[&str], limit: u64, total: u64) -> Bench {
    let types = types.iter().map(|t| t.parse().unwrap()).collect();
    Bench::new(FileConfig {
        extract: Some(Arc::new(ExtractConfig::new(types, limit, total))),
        hashes: Hashes {
            md5: true,
            ..Hashes::default()
        },
        ..FileConfig::default()
    })
}

impl Bench {
    /// What was written to the latest file that was extracted, a dot for each byte of a hole.
    fn written(&self) -> &str {
        let last = self.told.disk.last().expect("a file");
        assert!(last.is_over, "it was closed");
        std::str::from_utf8(&last.bytes).expect("text")
    }

    /// The latest row.
    fn row(&mut self) -> String {
        self.told().pop().expect("a row")
    }

    /// The file `a` of this type, in whole.
    fn typed(&mut self, mime: &'static str, bytes: &[u8]) {
        let c = conn(1);
        let mut carrier = carrier(Handle::of(&[b"a"]), &c);
        carrier.mime = Some(mime);
        self.with(|files, cx| files.piece(&carrier, next(bytes), cx));
        self.a(Piece::End);
    }
}

#[test]
fn a_file_is_written_as_it_comes() {
    let mut b = extracting(&[], 100, 1000);
    b.now = 5 * SECOND + 1_234_567;
    let fuid = b.a(at(4, b"of a ")).fuid.unwrap();
    assert!(b.told.disk.is_empty(), "its beginning is not known");
    b.a(at(0, b"all "));
    b.a(next(b"file"));
    b.a(Piece::End);
    assert_eq!(b.written(), "all of a file");
    assert_eq!(b.told.disk[0].name, format!("extract-5.001234-HTTP-{fuid}"));
    let row = b.row();
    assert!(row.contains(" EXTRACT ") && row.contains(" md5="), "{row}");
    assert!(row.ends_with(" extracted"), "{row}");
    // A long one is written before it is over.
    let mut b = extracting(&[], 10_000, 10_000);
    b.a(next(&[b'x'; 5000]));
    assert_eq!(b.told.disk[0].bytes.len(), 5000);
    assert!(b.a(next(&[b'y'; 1000])).reads);
    assert_eq!(b.told.disk[0].bytes.len(), 6000);
}

#[test]
fn what_is_missing_is_a_hole() {
    let mut b = extracting(&[], 100, 1000);
    b.a(next(b"ab"));
    b.a(Piece::Gap { at: None, len: 3 });
    b.a(next(b"cd"));
    b.a(Piece::Unseen { at: None, len: 2 });
    b.a(at(12, b"ef"));
    b.a(Piece::End);
    assert_eq!(b.written(), "ab...cd.....ef");
    let row = b.row();
    assert!(row.ends_with(" extracted") && !row.contains("md5"), "{row}");
    // Nobody will know what this one is.
    b.a(Piece::Gap { at: None, len: 2 });
    b.a(next(b"x"));
    b.a(Piece::End);
    assert_eq!(b.written(), "..x");
    assert_eq!(b.told.disk.len(), 2);
    // Nothing of this one came.
    b.a(Piece::Gap { at: None, len: 2 });
    b.a(Piece::End);
    assert!(b.row().ends_with(" missing_bytes=2"));
    assert_eq!(b.told.disk.len(), 2);
}

#[test]
fn a_file_is_cut_off_at_the_limit() {
    let mut b = extracting(&[], 5000, 100_000);
    b.a(next(&[b'x'; 4999]));
    assert!(b.a(next(b"x")).reads, "that much may be");
    b.a(Piece::End);
    assert_eq!(b.written().len(), 5000);
    assert!(!b.row().contains("extracted_cutoff"));
    b.a(next(&[b'x'; 4999]));
    b.a(next(b"xx"));
    assert_eq!(b.written().len(), 5000);
    b.a(next(b"xx"));
    b.a(Piece::End);
    let row = b.row();
    assert!(row.contains("extracted_cutoff extracted_size=5000"), "{row}");
    assert!(row.contains("md5="), "others read on: {row}");
    // A hole counts, as in Zeek.
    b.a(next(b"x"));
    b.a(Piece::Gap { at: None, len: 4999 });
    assert!(b.a(next(&[])).reads);
    assert!(!b.a(next(b"x")).reads);
    b.a(Piece::End);
    assert!(b.row().ends_with("extracted_cutoff extracted_size=1"));
}

#[test]
fn all_files_together_have_a_limit() {
    let mut b = extracting(&[], 100, 10);
    for _ in 0..2 {
        b.a(next(b"abcdef"));
        b.a(Piece::End);
    }
    assert_eq!(b.written(), "abcd");
    assert!(b.row().contains("extracted_cutoff extracted_size=4"));
    b.a(next(b"abcdef"));
    b.a(Piece::End);
    assert_eq!(b.told.disk.len(), 2);
    assert!(b.row().ends_with(" extracted extracted_cutoff"));
}

#[test]
fn what_is_refused_is_cut_off_and_not_counted() {
    let mut b = extracting(&[], 100, 10);
    b.told.room = 7;
    b.a(next(b"abcdef"));
    b.a(Piece::End);
    b.a(next(b"ghi"));
    b.a(Piece::End);
    assert!(b.row().ends_with(" extracted extracted_cutoff"));
    b.told.room = 7;
    b.a(next(b"jklm"));
    b.a(Piece::End);
    assert_eq!(b.written(), "jklm");
    // Who writes knows that only two of them were written.
    let mut b = extracting(&[], 100, 10);
    b.told.fails_at = Some(2);
    b.a(next(b"nop"));
    b.a(Piece::End);
    assert!(b.row().contains("extracted_cutoff extracted_size=2"));
}

#[test]
fn only_files_of_types_that_are_named_are_written() {
    let mut b = extracting(&["image/*", "application/pdf"], 100, 1000);
    for (mime, wanted) in [
        ("image/png", true),
        ("application/pdf", true),
        ("text/plain", false),
    ] {
        let before = b.told.disk.len();
        b.typed(mime, b"bytes");
        assert_eq!(b.told.disk.len() - before, usize::from(wanted), "{mime}");
        assert_eq!(b.row().contains("EXTRACT"), wanted);
    }
    // Of unknown type.
    b.a(next(b"bytes"));
    b.a(Piece::End);
    assert!(!b.row().contains("EXTRACT"));
}
