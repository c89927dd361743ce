//! Programs, what they are compiled to, and what interpreters run.

use crate::file::mime::fact::{Fact, at, begins, parts, test};
use crate::file::mime::look::Part::{self, Either, Gap, In, Is, Maybe, Run, Skip, Word};
use crate::file::mime::look::{MANY, is_blank};

/// Where a file of the Executable and Linkable Format begins; the byte behind the next one is 1 when numbers have their
/// lowest byte first, and 2 when they have it last.
const ELF: Part = Is(b"\x7fELF");
/// How wide addresses are: 32 or 64 bits.
const BITS: Part = In(b"\x01\x02");
/// Blanks and ends of lines, if there are any.
const BLANKS: Part = Run(0, MANY, is_blank);
/// Spaces, if there are any.
const SPACES: Part = Run(0, MANY, |b| *b == b' ');

/// Where a script begins in markup.
const TAG: Part = Word(b"<script");
/// What keeps an attribute away from the tag.
const GAP: Part = Run(1, MANY, is_gap);
/// What an attribute's value may stand in.
const QUOTE: Part = Maybe(b"'\"");

pub(super) static FACTS: &[Fact] = &[
    begins("application/x-dosexec", 51, b"MZ"),
    at("application/x-dosexec", 190, 369, b"MICROSOFT PIFEX\0"),
    elf(
        "application/x-object",
        &[ELF, BITS, Is(b"\x01"), Skip(10), Is(b"\x01\0")],
    ),
    elf(
        "application/x-object",
        &[ELF, BITS, Is(b"\x02"), Skip(10), Is(b"\0\x01")],
    ),
    elf(
        "application/x-executable",
        &[ELF, BITS, Is(b"\x01"), Skip(10), Is(b"\x02\0")],
    ),
    elf(
        "application/x-executable",
        &[ELF, BITS, Is(b"\x02"), Skip(10), Is(b"\0\x02")],
    ),
    elf(
        "application/x-sharedlib",
        &[ELF, BITS, Is(b"\x01"), Skip(10), Is(b"\x03\0")],
    ),
    elf(
        "application/x-sharedlib",
        &[ELF, BITS, Is(b"\x02"), Skip(10), Is(b"\0\x03")],
    ),
    elf(
        "application/x-coredump",
        &[ELF, BITS, Is(b"\x01"), Skip(10), Is(b"\x04\0")],
    ),
    elf(
        "application/x-coredump",
        &[ELF, BITS, Is(b"\x02"), Skip(10), Is(b"\0\x04")],
    ),
    begins("application/x-mach-o-executable", 100, b"\xce\xfa\xed\xfe"),
    begins("application/x-mach-o-executable", 100, b"\xcf\xfa\xed\xfe"),
    // As many architectures as there may be; a class of Java has its version there, which is larger.
    parts(
        "application/x-mach-o-executable",
        100,
        &[
            Is(b"\xca\xfe\xba\xbe"),
            Skip(2),
            Is(b"\0"),
            Run(1, 1, |b| matches!(b, 1..=20)),
        ],
    ),
    parts(
        "application/x-java-applet",
        71,
        &[
            Is(b"\xca\xfe\xba\xbe"),
            Skip(3),
            Run(1, 1, |b| matches!(b, 45..=52)),
        ],
    ),
    parts(
        "application/x-elc",
        10,
        &[Is(b";ELC"), Run(1, 1, |b| !matches!(b, 0x20..=0x7f))],
    ),
    test("application/x-python-bytecode", 80, is_bytecode),
    begins("application/x-shockwave-flash", 60, b"FWS"),
    begins("application/x-shockwave-flash", 60, b"CWS"),
    begins("application/x-shockwave-flash", 60, b"ZWS"),
    begins("application/chrome-ext", 100, b"Cr24"),
    begins("application/chrome-ext-upd", 70, b"CrOD"),
    begins("application/x-java-jnlp-file", 100, b"<jnlp "),
    begins("application/x-java-keystore", 70, b"\xfe\xed\xfe\xed"),
    begins("application/x-java-jce-keystore", 70, b"\xce\xce\xce\xce"),
    begins("application/x-windows-minidump", 50, b"MDMP"),
    // JavaScript in markup, and how scripts often begin.
    script(&[BLANKS, TAG, GAP, Word(b"type="), QUOTE, Word(b"text/javascript")]),
    script(&[BLANKS, TAG, GAP, Word(b"type="), QUOTE, Word(b"javascript")]),
    script(&[
        BLANKS,
        TAG,
        GAP,
        Word(b"language="),
        QUOTE,
        Word(b"text/javascript"),
    ]),
    script(&[BLANKS, TAG, GAP, Word(b"language="), QUOTE, Word(b"javascript")]),
    script(&[BLANKS, Is(b"for (;;);")]),
    // Zeek's signature means a blank before the parenthesis, but says these characters.
    script(&[BLANKS, Is(b"document.write"), Maybe(b":blank"), Is(b"(")]),
    script(&[BLANKS, Is(b"document.writeln"), Maybe(b":blank"), Is(b"(")]),
    script(&[
        Is(b"(function()"),
        Run(0, MANY, |b| *b == b'\n' || is_gap(b)),
        Is(b"{"),
    ]),
    script(&[BLANKS, Is(b"<script>"), BLANKS, Either(&[b"var ", b"function "])]),
    parts("text/x-php", 40, &[Gap(0, MANY), Is(b"<?php")]),
    parts(
        "text/x-msdos-batch",
        110,
        &[Is(b"@"), SPACES, Word(b"echo "), SPACES, Word(b"off")],
    ),
    parts("text/x-msdos-batch", 60, &[Word(b"@rem")]),
    parts("text/x-msdos-batch", 70, &[Word(b"@set ")]),
    begins("text/x-m4", 40, b"dnl "),
    at("application/x-shar", 280, 10, b"# This is a shell archive"),
];

/// A file of the Executable and Linkable Format.
const fn elf(name: &'static str, look: &'static [Part]) -> Fact {
    parts(name, 50, look)
}

/// A script in JavaScript.
const fn script(look: &'static [Part]) -> Fact {
    parts("application/javascript", 60, look)
}

/// A space or a tab.
fn is_gap(b: &u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// Compiled Python: a number that grows with the compiler, lowest byte first, and the end of a line.
fn is_bytecode(b: &[u8]) -> bool {
    let Some(&[low, high, b'\r', b'\n']) = b.first_chunk() else {
        return false;
    };
    let version = u16::from_le_bytes([low, high]);
    is_python_3(version) || is_python_2(version) || matches!(version, 20121 | 50428)
}

/// The numbers of Python 2.
#[rustfmt::skip]
fn is_python_2(version: u16) -> bool {
    matches!(
        version,
        50823 | 60714 | 60717 | 62011 | 62021 | 62041 | 62051 | 62061 | 62071 | 62081 |
        62091..=62092 | 62101 | 62111 | 62121 | 62131 | 62151 | 62161 | 62171 | 62181 | 62191 |
        62201 | 62211
    )
}

/// The numbers of Python 3, up to 3.14.
#[rustfmt::skip]
fn is_python_3(version: u16) -> bool {
    matches!(
        version,
        3000 | 3010 | 3020 | 3030 | 3040 | 3050 | 3060..=3061 | 3071 | 3081 | 3091 | 3101 | 3103 |
        3111 | 3131 | 3141 | 3151 | 3160 | 3170 | 3180 | 3190 | 3200 | 3220 | 3230 | 3250 | 3270 |
        3276 | 3280 | 3290 | 3300 | 3310 | 3320 | 3330 | 3340 | 3350..=3351 | 3360..=3361 |
        3370..=3373 | 3375..=3379 | 3390..=3394 | 3400..=3401 | 3410..=3413 | 3420..=3425 |
        3430..=3439 | 3450..=3495 | 3500..=3531 | 3550..=3571 | 3600..=3609
    )
}
