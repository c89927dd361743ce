//! Archives, packages and compressed data.

use crate::file::mime::fact::{Fact, at, begins, is_digit, parts};
use crate::file::mime::look::Part::{Either, Gap, In, Is, Run, Skip};

pub(super) static FACTS: &[Fact] = &[
    // A name, then numbers in octal digits, each as wide as the header has it, and what kind of entry it is.
    parts(
        "application/x-tar",
        100,
        &[
            Run(100, 100, |b| matches!(b, 0 | 0x20..=0x7e)),
            Run(7, 7, is_padded),
            Is(b"\0"),
            Run(7, 7, is_padded),
            Is(b"\0"),
            Run(7, 7, is_padded),
            Is(b"\0"),
            Run(11, 11, is_padded),
            Is(b"\0"),
            Run(11, 11, is_padded),
            Is(b"\0"),
            Run(7, 7, |b| *b == 0 || is_padded(b)),
            In(b" \0"),
            In(b"01234567\0"),
        ],
    ),
    parts("application/zip", 10, &[Is(b"PK\x03\x04"), Skip(2)]),
    begins("application/zip", 10, b"PK\x07\x08PK\x03\x04"),
    parts(
        "application/zip",
        340,
        &[
            Is(b"MZ"),
            Skip(28),
            Either(&[b"Copyright 1989-1990 PKWARE Inc.", b"PKLITE Copr."]),
        ],
    ),
    begins("application/x-rar", 70, b"Rar!"),
    begins("application/x-gzip", 100, b"\x1f\x8b"),
    begins("application/vnd.ms-cab-compressed", 110, b"MSCF\0\0\0\0"),
    // Beginnings of zlib streams: an image of a disk has no header, its end has it.
    begins("application/x-dmg", 100, b"x\x01s\rbb`"),
    begins("application/x-dmg", 100, b"x\xdac`\x18\x05"),
    begins("application/x-dmg", 100, b"x\x01c`\x18\x05"),
    begins("application/x-dmg", 100, b"x\xdas\r"),
    parts(
        "application/x-dmg",
        100,
        &[
            Is(b"x"),
            In(b"\x01\xda"),
            Is(b"\xed"),
            In(b"\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9"),
        ],
    ),
    begins("application/x-xar", 100, b"xar!"),
    begins("application/x-rpm", 70, b"drpm"),
    begins("application/x-rpm", 70, b"\xed\xab\xee\xdb"),
    begins("application/x-debian-package", 171, b"!<arch>\ndebian"),
    begins("application/x-stuffit", 70, b"SIT!"),
    begins("application/x-stuffit", 70, b"StuffIt"),
    begins("application/x-archive", 70, b"<ar>"),
    begins("application/x-archive", 70, b"<arch>"),
    begins("application/x-archive", 70, b"!<ar>"),
    begins("application/x-archive", 70, b"!<arch>"),
    parts(
        "application/x-arc",
        70,
        &[
            Run(2, 2, u8::is_ascii),
            In(b"\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x14\x48"),
            Is(b"\x1a"),
        ],
    ),
    begins("application/x-eet", 70, b"\x1e\xe7\xff\0"),
    at("application/x-zoo", 70, 20, b"\xdc\xa7\xc4\xfd"),
    begins("application/x-lz4", 70, b"\x02\x21\x4c\x18"),
    begins("application/x-lz4", 70, b"\x04\x22\x4d\x18"),
    begins("application/x-lrzip", 1, b"LRZI"),
    begins("application/x-lzip", 70, b"LZIP"),
    parts(
        "application/x-lzh",
        80,
        &[Skip(2), Is(b"-lh"), In(b" abcdex0123456789"), Is(b"-")],
    ),
    parts(
        "application/x-lzh",
        80,
        &[Skip(2), Is(b"-lz"), In(b"s2345678"), Is(b"-")],
    ),
    parts(
        "application/x-lzh",
        80,
        &[Skip(2), Is(b"-pm"), In(b"s012"), Is(b"-")],
    ),
    at("application/x-lzh", 80, 2, b"-pc1-"),
    parts(
        "application/x-lha",
        120,
        &[Is(b"MZ"), Skip(34), Either(&[b"LHa's SFX", b"LHA's SFX"])],
    ),
    begins("application/warc", 50, b"WARC/"),
    begins("application/x-7z-compressed", 50, b"7z\xbc\xaf\x27\x1c"),
    begins("application/x-xz", 90, b"\xfd7zXZ\0"),
    begins("application/x-arj", 50, b"\x60\xea"),
    begins("application/x-cpio", 50, b"\x71\xc7"),
    begins("application/x-cpio", 50, b"\xc7\x71"),
    begins("application/x-compress", 50, b"\x1f\x9d"),
    begins("application/x-lzma", 71, b"\x5d\0\0"),
    at("application/x-ace", 100, 7, b"**ACE**"),
    begins("application/x-bzip2", 60, b"BZh"),
    parts(
        "application/java-archive",
        100,
        &[
            Is(b"PK\x03\x04"),
            Gap(1, 200),
            Is(b"\x14\0"),
            Skip(2),
            Is(b"META-INF/MANIFEST.MF"),
        ],
    ),
    parts(
        "application/vnd.google-earth.kmz",
        100,
        &[Is(b"PK\x03\x04\x14"), Skip(25), Is(b"doc.kml")],
    ),
    parts(
        "application/x-java-pack200",
        1,
        &[Is(b"\xca\xfe\xd0\x0d"), Skip(1)],
    ),
    begins("application/x-ia-arc", 140, b"filedesc://"),
    begins("application/x-svr4-package", 230, b"# PaCkAgE DaTaStReAm"),
    begins("application/bsdiff", 100, b"BSDIFF"),
    begins("application/bindiff", 100, b"DIFF"),
    begins("application/mssql-bak", 100, b"MSSQLBAK"),
    begins("application/mtf", 100, b"TAPE"),
    at("application/vnd.symbian.install", 70, 8, b"\x19\x04\0\x10"),
    begins("x-epoc/x-sisx-app", 70, b"\x7a\x1a\x20\x10"),
];

/// A digit, or a blank in its place.
fn is_padded(b: &u8) -> bool {
    *b == b' ' || is_digit(b)
}
