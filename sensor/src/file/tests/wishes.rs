//! What those who are told of files want of them, and say of what tells files apart.

use super::*;
use crate::file::ExtractConfig;
use crate::file::api::FileWish;

/// SHA-1 is not shown by rows here, MD5 is.
const MD5: FileWish = FileWish::Digests(Hashes {
    md5: true,
    sha1: false,
    sha256: false,
});
/// Of `hello, world`.
const HELLO: &str = "md5=e4d7f1b4ed2e42d15898f4b27b019da4";

fn asked() -> Bench {
    let extract = ExtractConfig::new(Vec::new(), 10_000, 10_000).on_request();
    Bench::new(FileConfig {
        extract: Some(Arc::new(extract)),
        by_id: true,
        ..FileConfig::default()
    })
}

impl Bench {
    /// At the next event of this name these are wanted.
    fn want(&mut self, event: &'static str, wishes: &[FileWish]) {
        self.told.wishes.push((event, wishes.to_vec()));
    }

    /// What is wanted later of the file `a`.
    fn later(&mut self, wish: FileWish) -> bool {
        let fuid = self.a(Piece::Coming).fuid.expect("a file");
        self.with(|files, cx| files.wish(fuid, wish, cx))
    }

    fn last(&mut self) -> String {
        self.a(Piece::End);
        self.told().pop().expect("a row")
    }
}

#[test]
fn what_is_wanted_when_a_file_begins_or_its_type_is_known_is_of_all_of_it() {
    for event in ["file_new", "file_over_new_connection", "file_sniff"] {
        let mut b = asked();
        b.want(event, &[MD5, MD5, FileWish::Extract(None)]);
        b.a(next(b"hello, "));
        b.a(next(b"world"));
        let row = b.last();
        assert!(row.contains(HELLO) && row.contains(" EXTRACT "), "{event}: {row}");
        assert_eq!(b.told.disk[0].bytes, b"hello, world", "{event}");
    }
}

#[test]
fn what_is_wanted_later_is_of_what_is_still_to_come() {
    // Its beginning is still at hand.
    let mut b = asked();
    b.a(next(b"hello, "));
    assert!(b.later(MD5));
    b.a(next(b"world"));
    let row = b.last();
    assert!(row.contains(HELLO), "{row}");

    let mut b = asked();
    b.a(next(&[b'x'; 8000]));
    assert!(b.later(MD5) && b.later(FileWish::Entropy) && b.later(FileWish::Extract(Some(8010))));
    b.a(next(&[b'y'; 100]));
    let row = b.last();
    assert!(!row.contains("md5") && !row.contains("ENTROPY"), "{row}");
    let written = &b.told.disk[0].bytes;
    assert!(written.len() == 8010 && written.starts_with(b"...") && written.ends_with(b"..yyyyyyyyyy"));
    assert!(row.contains("extracted_cutoff"), "{row}");
    // It is over.
    assert!(!b.with(|files, cx| files.wish(crate::event::Fuid::of(7, [0; 16]), MD5, cx)));
}

#[test]
fn what_is_made_of_all_files_is_not_made_twice() {
    let hashes = Hashes {
        md5: true,
        ..Hashes::default()
    };
    let mut b = Bench::new(FileConfig {
        hashes,
        by_id: true,
        ..FileConfig::default()
    });
    let both = Hashes { sha1: true, ..hashes };
    b.want("file_new", &[FileWish::Digests(both)]);
    b.a(next(b"hello, world"));
    let row = b.last();
    assert!(row.contains(HELLO), "{row}");
}

#[test]
fn a_file_that_is_stopped_is_counted_and_not_read() {
    let mut b = asked();
    b.want("file_new", &[MD5, FileWish::Extract(None), FileWish::Stop]);
    assert!(!b.a(next(b"hello, world")).reads);
    let row = b.last();
    assert_eq!(row, "files.log EXTRACT seen_bytes=12");
    assert!(b.told.disk.is_empty());
}

#[test]
fn files_with_the_same_handle_are_one() {
    let mut b = asked();
    b.told.handles = vec![b"one".to_vec(), b"one".to_vec()];
    let (x, y) = (Handle::of(&[b"x"]), Handle::of(&[b"y"]));
    let first = b.piece(1, x, next(b"hello, ")).fuid;
    let more = b.piece(2, y, next(b"world"));
    assert!(first.is_some() && more.fuid == first && more.joined);
    assert!(!b.piece(2, y, next(b"!")).joined);
    b.piece(1, x, Piece::End);
    let told = b.told();
    let of = |name: &str| told.iter().filter(|t| t.starts_with(name)).count();
    assert_eq!(
        (of("file_new"), of("file_over_new_connection")),
        (1, 2),
        "{told:#?}"
    );
    // A row for each connection.
    assert_eq!(of("files.log mime_type=text/plain seen_bytes=13"), 2, "{told:#?}");
    // Both are forgotten with it.
    assert_eq!(b.files.under_way(), 0);
    b.piece(2, y, next(b"another"));
    assert!(b.told().contains(&"file_new".to_owned()));
}

#[test]
fn a_file_with_an_empty_handle_is_not_looked_at() {
    let mut b = asked();
    b.told.handles = vec![Vec::new()];
    for _ in 0..3 {
        assert_eq!(b.a(next(b"hello")), News::default());
    }
    assert_eq!(b.a(Piece::Coming), News::default());
    b.now += 10 * MINUTE;
    b.with(Files::expire);
    assert_eq!(b.told(), ["get_file_handle"]);
    assert_eq!(b.files.under_way(), 0);
}

#[test]
fn with_a_secret_nobody_guesses_an_id() {
    let fuid = |secret: Option<[u8; 32]>| {
        let mut b = Bench::new(FileConfig {
            secret: secret.map(crate::base::secret::Secret),
            ..FileConfig::default()
        });
        b.a(next(b"x")).fuid
    };
    let of = |n| fuid(Some([n; 32]));
    assert!(of(1).is_some() && of(1) == of(1));
    assert!(of(1) != of(2) && of(1) != fuid(None));
}
