//! What is written: mail, news, cards, settings, patches, and XML that says what it is farther on.

use crate::file::mime::fact::{Fact, at, begins, parts};
use crate::file::mime::look::MANY;
use crate::file::mime::look::Part::{self, Either, Gap, In, Is, Maybe, Run, Skip, Word};

/// Whatever comes before the rest.
const LATER: Part = Gap(0, MANY);
/// Where an XML document says its version.
const VERSION: Part = Is(b"<?xml version=\"");
/// What stands before a version's end.
const NUMBER: Part = Run(1, 1, |b| *b != 0);
/// Where a file of settings of a setup program begins.
const SETUP: Part = Is(b"`");
/// How it goes on.
const SETUP_LINE: Part = Either(&[b"\r\n", b";", b"[", b"\xff\xfe"]);

pub(super) static FACTS: &[Fact] = &[
    begins("message/rfc822", 170, b"Relay-Version:"),
    parts("message/rfc822", 160, &[Word(b"delivered-to:")]),
    parts("message/rfc822", 150, &[Word(b"return-path:")]),
    begins("message/rfc822", 130, b"Forward to"),
    begins("message/rfc822", 120, b"N#! rnews"),
    begins("message/rfc822", 110, b"#! rnews"),
    begins("message/rfc822", 100, b"Pipe to"),
    begins("message/rfc822", 80, b"From:"),
    begins("message/news", 100, b"Article"),
    begins("message/news", 80, b"Path:"),
    begins("message/news", 80, b"Xref:"),
    at(
        "application/mac-binhex40",
        320,
        11,
        b"must be converted with BinHex",
    ),
    parts(
        "application/pkcs7-signature",
        100,
        &[
            Is(b"MIME-Version:"),
            LATER,
            Is(b"protocol=\"application/pkcs7-signature\""),
        ],
    ),
    begins("text/calendar", 180, b"BEGIN:VCALENDAR"),
    begins("text/x-vcard", 140, b"BEGIN:VCARD"),
    begins("text/x-xmcd", 90, b"# xmcd"),
    begins("text/x-po", 37, b"msgid "),
    begins("application/x-kdelnk", 220, b"[KDE Desktop Entry]"),
    begins("application/x-kdelnk", 200, b"# KDE Config File"),
    parts(
        "text/x-diff",
        55,
        &[
            LATER,
            Is(b"--- "),
            LATER,
            Is(b"\n"),
            LATER,
            Is(b"+++ "),
            LATER,
            Is(b"\n"),
            LATER,
            Is(b"@@"),
        ],
    ),
    parts(
        "model/vrml",
        190,
        &[Is(b"#VRML"), Maybe(b" "), Is(b"V1.0"), Maybe(b" "), Is(b"ascii")],
    ),
    parts(
        "model/vrml",
        180,
        &[Is(b"#VRML"), Maybe(b" "), Is(b"V2.0"), Maybe(b" "), Is(b"utf8")],
    ),
    parts(
        "application/x-freeplane",
        260,
        &[Is(b"<map"), Maybe(b" "), Is(b"version=\"freeplane")],
    ),
    parts(
        "application/x-freemind",
        150,
        &[Is(b"<map"), Maybe(b" "), Is(b"version")],
    ),
    parts(
        "model/x3d",
        43,
        &[VERSION, Gap(5, MANY), Is(b"<!DOCTYPE"), Maybe(b" "), Is(b"X3D")],
    ),
    parts(
        "application/xml-sitemap",
        37,
        &[VERSION, NUMBER, Gap(3, MANY), Is(b"<urlset")],
    ),
    parts("image/svg+xml", 38, &[VERSION, NUMBER, Gap(3, MANY), Is(b"<svg")]),
    parts(
        "application/x-gnucash",
        37,
        &[VERSION, NUMBER, Gap(3, MANY), Is(b"<gnc-v2")],
    ),
    // Where the address has its dots, Zeek takes any byte.
    parts(
        "application/vnd.google-earth.kml+xml",
        61,
        &[
            Is(b"<?xml"),
            Gap(15, MANY),
            Is(b" xmlns="),
            In(b"'\""),
            Is(b"http://earth"),
            Skip(1),
            Is(b"google"),
            Skip(1),
            Is(b"com/kml"),
        ],
    ),
    parts(
        "application/vnd.google-earth.kml+xml",
        60,
        &[
            Is(b"<?xml"),
            Gap(15, MANY),
            Is(b" xmlns="),
            In(b"'\""),
            Is(b"http://www"),
            Skip(1),
            Is(b"opengis"),
            Skip(1),
            Is(b"net/kml"),
        ],
    ),
    parts(
        "application/x-setupscript",
        110,
        &[
            SETUP,
            SETUP_LINE,
            LATER,
            Is(b"["),
            Word(b"\0v\0e\0r\0s\0i\0o\0n\0]"),
        ],
    ),
    // Zeek's signature lacks a bracket, so a letter is one out of these.
    parts(
        "application/x-setupscript",
        110,
        &[
            SETUP,
            SETUP_LINE,
            LATER,
            Is(b"["),
            Word(b"\0s\0t\0r\0"),
            In(b"Ii)(\0[Nn"),
            Word(b"\0g\0s\0]"),
        ],
    ),
    parts(
        "application/x-setupscript",
        100,
        &[
            SETUP,
            SETUP_LINE,
            LATER,
            Is(b"["),
            LATER,
            Is(b"["),
            Word(b"version"),
        ],
    ),
];
