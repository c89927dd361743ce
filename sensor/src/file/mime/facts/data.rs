//! Data of programs: databases, registries, captures, keys, models, updates.

use crate::file::mime::fact::{Fact, at, begins, parts};
use crate::file::mime::look::Part::{Gap, In, Is, Run, Skip};

pub(super) static FACTS: &[Fact] = &[
    begins(
        "application/x-ms-shortcut",
        49,
        b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46",
    ),
    begins("application/vnd.ms-pol", 49, b"PReg"),
    begins("application/vnd.ms-reg", 49, b"REGEDIT4"),
    // The text's first line in UTF-16.
    begins(
        "application/vnd.ms-reg",
        49,
        b"\xff\xfeW\0i\0n\0d\0o\0w\0s\0 \0R\0e\0g\0i\0s\0t\0r\0y\0 \0E\0d\0i\0t\0o\0r\0 \0V\0e\0r\0s\0i\0o\0n\0 \0\
          5\0.\x000\x000",
    ),
    begins("application/vnd.ms-regf", 49, b"regf"),
    parts(
        "application/vnd.ms-outlook",
        49,
        &[
            Is(b"!BDN"),
            Skip(6),
            In(b"\x0e\x0f\x15\x17"),
            In(b"\0\x01\x02"),
        ],
    ),
    begins("application/vnd.ms-tnef", 100, b"\x78\x9f\x3e\x22"),
    begins("application/vnd.apple-afpinfo", 0, b"AFP"),
    begins("application/bplist", 100, b"bplist"),
    // Behind what wraps it: the identifier of SHA-1 in a request's, of a basic response in a response's.
    parts(
        "application/ocsp-request",
        71,
        &[Gap(11, 19), Is(b"\x06\x05\x2b\x0e\x03\x02\x1a")],
    ),
    parts(
        "application/ocsp-response",
        71,
        &[Gap(11, 19), Is(b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01")],
    ),
    begins("application/vnd.tcpdump.pcap", 70, b"\xa1\xb2\xc3\xd4"),
    begins("application/vnd.tcpdump.pcap", 70, b"\xd4\xc3\xb2\xa1"),
    parts(
        "application/vnd.tcpdump.pcap",
        100,
        &[Is(b"\n\r\r\n"), Skip(4), Is(b"\x1a\x2b\x3c\x4d")],
    ),
    parts(
        "application/vnd.tcpdump.pcap",
        100,
        &[Is(b"\n\r\r\n"), Skip(4), Is(b"\x4d\x3c\x2b\x1a")],
    ),
    begins("application/sla", 10, b"solid "),
    begins(
        "application/skp",
        100,
        b"\xff\xfe\xff\x0eS\0k\0e\0t\0c\0h\0U\0p\0 \0M\0o\0d\0e\0l\0",
    ),
    begins("application/x-kaspavdb", 100, b"KLZF"),
    begins("application/x-kaspavupdate", 100, b"KLD2"),
    begins("application/x-game-mpq", 100, b"MPQ\x1a"),
    begins("application/x-blizgame", 100, b"BLTE"),
    begins("application/map-tile", 100, b"VMP4"),
    begins("application/msqm", 100, b"MSQM"),
    begins("application/x-vim-tmp", 100, b"b0VIM"),
    parts("application/x-tokyocabinet-hash", 40, &[Is(b"ToKyO CaBiNeT\n"), Skip(18), Is(b"\0")]),
    parts("application/x-tokyocabinet-btree", 40, &[Is(b"ToKyO CaBiNeT\n"), Skip(18), Is(b"\x01")]),
    parts("application/x-tokyocabinet-fixed", 40, &[Is(b"ToKyO CaBiNeT\n"), Skip(18), Is(b"\x02")]),
    parts("application/x-tokyocabinet-table", 40, &[Is(b"ToKyO CaBiNeT\n"), Skip(18), Is(b"\x03")]),
    parts(
        "application/vnd.fdo.journal",
        80,
        &[
            Is(b"LPKSHHRH"),
            Skip(8),
            In(b"\0\x01\x02\x03"),
            Skip(7),
            Run(48, 48, |b| *b != 0),
        ],
    ),
    begins("application/x-hdf", 110, b"\x89HDF\r\n\x1a\n"),
    begins("application/x-hdf", 70, b"\x0e\x03\x13\x01"),
    begins("application/x-dbm", 70, b"\x61\x15\x06\0"),
    begins("application/x-dbm", 70, b"\0\x06\x15\x61"),
    begins("application/x-gdbm", 70, b"GDBM"),
    begins("application/x-gdbm", 70, b"\xce\x9a\x57\x13"),
    begins("application/x-gdbm", 70, b"\x13\x57\x9a\xce"),
    begins("application/x-bittorrent", 140, b"d8:announce"),
    // Keys as they are, and as text.
    begins("application/x-pgp-keyring", 50, b"\x99\0"),
    begins("application/x-pgp-keyring", 50, b"\x95\x01"),
    begins("application/x-pgp-keyring", 50, b"\x95\0"),
    begins("application/x-gnupg-keyring", 50, b"\x99\x01"),
    begins("text/PGP", 50, b"\xa6\0"),
    begins("text/PGP", 50, b"\x85\x02"),
    at("application/pgp-keys", 330, 2, b"---BEGIN PGP PUBLIC KEY BLOCK-"),
    begins("application/pgp-signature", 280, b"-----BEGIN PGP SIGNATURE-"),
    begins("application/pgp", 260, b"-----BEGIN PGP MESSAGE-"),
    begins("application/x-pem", 0, b"-----BEGIN CERTIFICATE-----"),
];
