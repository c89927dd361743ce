//! Documents of office programs, and other documents that are not text.

use crate::file::mime::fact::{Fact, at, begins, is_digit, packed, parts};
use crate::file::mime::look::MANY;
use crate::file::mime::look::Part::{self, Either, Gap, In, Is, Run, Skip};

/// The header of the first file in a zip archive, up to its name.
const ENTRY: Part = Is(b"PK\x03\x04");
/// A second header, wherever it is.
const LATER: Part = Gap(0, MANY);
/// What does not go on with a hyphen.
const NO_HYPHEN: &[Part] = &[Run(1, 1, |b| *b != b'-')];

pub(super) static FACTS: &[Fact] = &[
    begins("application/msword", 50, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    // Office Open XML, by the directory of its second file.
    begins(
        "application/vnd.openxmlformats-officedocument",
        50,
        b"PK\x03\x04\x14\0\x06\0",
    ),
    parts(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        80,
        &[
            ENTRY,
            Skip(26),
            Either(&[b"[Content_Types].xml", b"_rels/.rels", b"word/"]),
            LATER,
            ENTRY,
            Skip(26),
            Is(b"word/"),
        ],
    ),
    parts(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        80,
        &[
            ENTRY,
            Skip(26),
            Either(&[b"[Content_Types].xml", b"_rels/.rels", b"xl/"]),
            LATER,
            ENTRY,
            Skip(26),
            Is(b"xl/"),
        ],
    ),
    parts(
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        80,
        &[
            ENTRY,
            Skip(26),
            Either(&[b"[Content_Types].xml", b"_rels/.rels", b"ppt/"]),
            LATER,
            ENTRY,
            Skip(26),
            Is(b"ppt/"),
        ],
    ),
    // OpenDocument and EPUB. A name that goes on with a hyphen is another type.
    packed("application/vnd.oasis.opendocument.text", 110, NO_HYPHEN),
    packed("application/vnd.oasis.opendocument.text-template", 120, &[]),
    packed("application/vnd.oasis.opendocument.graphics", 110, NO_HYPHEN),
    packed("application/vnd.oasis.opendocument.graphics-template", 120, &[]),
    packed("application/vnd.oasis.opendocument.presentation", 110, NO_HYPHEN),
    packed(
        "application/vnd.oasis.opendocument.presentation-template",
        120,
        &[],
    ),
    packed("application/vnd.oasis.opendocument.spreadsheet", 110, NO_HYPHEN),
    packed(
        "application/vnd.oasis.opendocument.spreadsheet-template",
        120,
        &[],
    ),
    packed("application/vnd.oasis.opendocument.chart", 110, NO_HYPHEN),
    packed("application/vnd.oasis.opendocument.chart-template", 120, &[]),
    packed("application/vnd.oasis.opendocument.formula", 110, NO_HYPHEN),
    packed("application/vnd.oasis.opendocument.formula-template", 120, &[]),
    packed("application/vnd.oasis.opendocument.image", 110, NO_HYPHEN),
    packed("application/vnd.oasis.opendocument.image-template", 120, &[]),
    packed("application/vnd.oasis.opendocument.text-web", 70, &[]),
    packed("application/vnd.oasis.opendocument.text-master", 100, &[]),
    packed("application/vnd.oasis.opendocument.database", 110, &[]),
    packed("application/epub+zip", 110, &[]),
    at("application/x-msaccess", 180, 4, b"Standard Jet DB\0"),
    at("application/x-msaccess", 180, 4, b"Standard ACE DB\0"),
    begins("application/pdf", 80, b"%PDF-"),
    begins("application/vnd.fdf", 80, b"%FDF-"),
    begins("application/postscript", 60, b"\x04%!"),
    begins("application/postscript", 50, b"%!"),
    begins("application/x-dvi", 50, b"\xf7\x02"),
    begins("text/rtf", 80, b"{\\rtf"),
    begins("application/x-scribus", 260, b"<SCRIBUSUTF8NEW Version"),
    at("application/x-gnumeric", 160, 39, b"<gmr:Workbook"),
    at("application/x-sc", 140, 38, b"Spreadsheet"),
    begins("application/x-mif", 190, b"<MakerScreenFont"),
    begins("application/x-mif", 130, b"<MakerFile"),
    begins("application/x-mif", 120, b"<BookFile"),
    begins("application/x-mif", 110, b"<MIFFile"),
    begins("application/x-mif", 90, b"<Maker"),
    begins("application/x-mif", 70, b"<MML"),
    begins("application/vnd.lotus-wordpro", 120, b"WordPro\r\xfb"),
    begins("application/vnd.lotus-wordpro", 110, b"WordPro\0"),
    parts("application/x-ms-reader", 1, &[Is(b"ITOLITLS"), Skip(4)]),
    begins("application/mshelp", 100, b"ITSF"),
    at("application/x-quark-xpress-3", 90, 2, b"MMXPR3"),
    parts(
        "application/x-ichitaro4",
        40,
        &[Is(b"DOC"), Skip(40), Is(b"\x14")],
    ),
    parts(
        "application/x-ichitaro5",
        40,
        &[Is(b"DOC"), Skip(40), Is(b"\x15")],
    ),
    parts(
        "application/x-ichitaro6",
        40,
        &[Is(b"DOC"), Skip(40), Is(b"\x16")],
    ),
    begins("application/vnd.cups-raster", 40, b"3SaR"),
    begins("application/vnd.cups-raster", 40, b"RaS3"),
    parts(
        "application/marc",
        50,
        &[Run(5, 5, is_digit), In(b"acdn"), Is(b"w")],
    ),
    begins(
        "application/x-epoc-agenda",
        70,
        b"\x50\0\0\x10\x6d\0\0\x10\x84\0\0\x10",
    ),
    begins(
        "application/x-epoc-data",
        70,
        b"\x50\0\0\x10\x6d\0\0\x10\x86\0\0\x10",
    ),
    begins(
        "application/x-epoc-jotter",
        70,
        b"\x50\0\0\x10\x6d\0\0\x10\xea\x0c\0\x10",
    ),
    begins(
        "application/x-epoc-word",
        70,
        b"\x37\0\0\x10\x6d\0\0\x10\x7f\0\0\x10",
    ),
    begins(
        "application/x-epoc-opl",
        70,
        b"\x37\0\0\x10\x6d\0\0\x10\x85\0\0\x10",
    ),
    begins(
        "application/x-epoc-sheet",
        70,
        b"\x37\0\0\x10\x6d\0\0\x10\x88\0\0\x10",
    ),
    begins("application/x-epoc-opo", 70, b"\x37\0\0\x10\x73\0\0\x10"),
    begins("application/x-epoc-app", 70, b"\x37\0\0\x10\x74\0\0\x10"),
];
