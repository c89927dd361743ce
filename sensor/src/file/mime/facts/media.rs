//! Sound, images, moving images and fonts.

use crate::file::mime::fact::{Fact, at, begins, is_digit, parts};
use crate::file::mime::look::MANY;
use crate::file::mime::look::Part::{self, Either, Gap, In, Is, Run, Skip};

/// Where a file of JPEG 2000 begins.
const JPEG_2000: Part = Is(b"\0\0\0\x0cjP  \r\n\x87\n");
/// Where a file of Matroska begins.
const EBML: Part = Is(b"\x1a\x45\xdf\xa3");
/// Whatever comes before the rest.
const ANYWHERE: Part = Gap(0, MANY);
/// A number in decimal digits.
const NUMBER: Part = Run(1, 50, is_digit);
/// A decimal digit.
const DIGIT: Part = Run(1, 1, is_digit);

pub(super) static FACTS: &[Fact] = &[
    // Sound
    begins("audio/mpeg", 20, b"ID3"),
    parts(
        "audio/mpeg",
        20,
        &[Is(b"\xff"), In(b"\xe2\xe3\xf2\xf3\xf6\xf7\xfa\xfb\xfc\xfd")],
    ),
    at("audio/m4a", 70, 4, b"ftypm4a"),
    at("audio/mp4", 60, 4, b"ftypM4A"),
    begins("audio/x-wav", 190, b"RF64\xff\xff\xff\xffWAVEds64"),
    parts("audio/x-wav", 70, &[Is(b"RIFF"), Skip(4), Is(b"WAVE")]),
    parts(
        "audio/x-w64",
        190,
        &[
            Is(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"),
            Skip(8),
            Is(b"wave\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a"),
        ],
    ),
    begins("audio/x-mod", 190, b"Extended Module:"),
    begins("audio/x-mod", 20, b"MAS_UTrack_V00/0"),
    at("audio/x-mod", 110, 21, b"!SCREAM!"),
    at("audio/x-mod", 110, 21, b"BMOD2STM"),
    begins("audio/x-mod", 70, b"IMPM"),
    begins("audio/x-hx-aac-adif", 70, b"ADIF"),
    parts("audio/x-hx-aac-adts", 50, &[Is(b"\xff"), In(b"\xf0\xf1\xf8\xf9")]),
    parts("audio/x-mp4a-latm", 50, &[Is(b"\x56"), Run(1, 1, |b| *b >= 0xe0)]),
    begins("audio/x-ape", 70, b"MAC "),
    parts(
        "audio/x-aiff",
        70,
        &[Is(b"FORM"), Skip(4), Either(&[b"AIFF", b"AIFC", b"8SVX"])],
    ),
    begins("audio/x-flac", 70, b"fLaC"),
    begins("audio/x-pn-realaudio", 70, b".ra\xfd"),
    begins("audio/midi", 70, b"MThd"),
    parts(
        "audio/x-dec-basic",
        70,
        &[
            Is(b".sd\0"),
            Skip(8),
            In(b"\x01\x02\x03\x04\x05\x06\x07\x17"),
            Is(b"\0\0\0"),
        ],
    ),
    parts(
        "audio/basic",
        70,
        &[
            Is(b".snd"),
            Skip(8),
            Is(b"\0\0\0"),
            In(b"\x01\x02\x03\x04\x05\x06\x07"),
        ],
    ),
    parts("audio/x-adpcm", 70, &[Is(b".snd"), Skip(8), Is(b"\0\0\0\x17")]),
    begins("audio/x-musepack", 60, b"MP+"),
    begins("audio/vnd.dolby.dd-raw", 50, b"\x0b\x77"),
    begins("application/ogg", 70, b"OggS"),
    begins("application/vnd.rn-realmedia", 100, b".RMF\0\0\0"),
    // Images
    parts("image/tiff", 70, &[Is(b"MM\0"), In(b"\x2a\x2b")]),
    parts("image/tiff", 70, &[Is(b"II"), In(b"\x2a\x2b"), Is(b"\0")]),
    begins("image/gif", 70, b"GIF8"),
    begins("image/jpeg", 52, b"\xff\xd8"),
    parts(
        "image/x-ms-bmp",
        50,
        &[Is(b"BM"), Skip(12), In(b"\x0c\x28\x40\x6c\x7c\x80"), Is(b"\0")],
    ),
    begins("image/x-icon", 70, b"\0\0\x01\0"),
    begins("image/x-cursor", 70, b"\0\0\x02\0"),
    begins("image/vnd.adobe.photoshop", 70, b"8BPS"),
    begins("image/png", 110, b"\x89PNG"),
    at("image/jp2", 60, 4, b"ftypjp2"),
    parts("image/jp2", 70, &[JPEG_2000, Skip(8), Is(b"jp2 ")]),
    parts("image/jpx", 70, &[JPEG_2000, Skip(8), Is(b"jpx ")]),
    parts("image/jpm", 70, &[JPEG_2000, Skip(8), Is(b"jpm ")]),
    at("image/jp2", 50, 4, b"jP"),
    begins("image/x-xcursor", 70, b"Xcur"),
    begins("image/x-niff", 70, b"IIN1"),
    begins("image/x-exr", 70, b"\x76\x2f\x31\x01"),
    begins("image/x-dpx", 70, b"SDPX"),
    begins("image/x-cpi", 70, b"CPC\xb2"),
    begins("image/x-olympus-orf", 70, b"IIRO"),
    begins("image/x-olympus-orf", 70, b"IIRS"),
    begins("image/x-olympus-orf", 70, b"MMOR"),
    begins("image/x-x3f", 70, b"FOVb"),
    begins("image/x-paintnet", 70, b"PDN3"),
    parts(
        "image/x-coreldraw",
        70,
        &[Is(b"RIFF"), Skip(4), Is(b"CDR"), In(b"A6")],
    ),
    begins("image/x-portable-pixmap", 50, b"P7"),
    netpbm(
        "image/x-portable-greymap",
        &[Is(b"P5"), Skip(1), NUMBER, Is(b"  "), DIGIT],
    ),
    netpbm(
        "image/x-portable-pixmap",
        &[Is(b"P6"), Skip(1), NUMBER, Is(b"  "), DIGIT],
    ),
    netpbm(
        "image/x-portable-bitmap",
        &[Is(b"P4"), Skip(1), NUMBER, Is(b"  "), DIGIT],
    ),
    netpbm(
        "image/x-portable-bitmap",
        &[ANYWHERE, Is(b"P1"), NUMBER, Is(b"  "), DIGIT],
    ),
    netpbm(
        "image/x-portable-greymap",
        &[ANYWHERE, Is(b"P2"), NUMBER, Is(b"  "), DIGIT],
    ),
    netpbm(
        "image/x-portable-pixmap",
        &[ANYWHERE, Is(b"P3"), NUMBER, Is(b"  "), DIGIT],
    ),
    parts(
        "image/vnd.djvu",
        70,
        &[
            Is(b"AT&TFORM"),
            Skip(4),
            Either(&[b"DJVM", b"DJVU", b"DJVI", b"THUM"]),
        ],
    ),
    begins("image/vnd.dwg", 90, b"AC1."),
    begins("image/vnd.dwg", 90, b"AC2."),
    begins("image/vnd.dwg", 90, b"AC10"),
    begins("image/x-xcf", 110, b"gimp xcf"),
    begins("image/x-polar-monitor-bitmap", 160, b"[BitmapInfo2]"),
    begins("image/x-award-bmp", 20, b"AWBM"),
    begins("image/x-award-bioslogo", 50, b"\x11\x06"),
    begins("image/x-award-bioslogo", 50, b"\x11\x09"),
    parts("image/webp", 70, &[Is(b"RIFF"), Skip(4), Is(b"WEBP")]),
    begins("image/x-canon-crw", 170, b"II\x1a\0\0\0HEAPCCDR"),
    begins("image/x-canon-cr2", 130, b"II\x2a\0\x10\0\0\0CR"),
    at("image/x-quicktime", 70, 4, b"idsc"),
    begins("image/x-lss16", 70, b"\x3d\xf3\x13\x14"),
    begins("image/x-epoc-mbm", 70, b"\x37\0\0\x10\x42\0\0\x10"),
    begins("image/x-epoc-sketch", 70, b"\x37\0\0\x10\x6d\0\0\x10\x7d\0\0\x10"),
    begins("application/x-ms-dds", 100, b"DDS"),
    at("application/dicom", 70, 128, b"DICM"),
    // Moving images
    begins("video/x-flv", 60, b"FLV"),
    at("video/x-fli", 50, 4, b"\x11\xaf"),
    at("video/x-flc", 50, 4, b"\x12\xaf"),
    parts("video/mj2", 70, &[JPEG_2000, Skip(8), Is(b"mjp2")]),
    begins("video/x-mng", 70, b"\x8aMNG"),
    begins("video/x-jng", 70, b"\x8bJNG"),
    parts(
        "video/mpeg",
        50,
        &[Is(b"\0\0\x01"), Run(1, 1, |b| matches!(b, 0xb0..=0xbb))],
    ),
    begins("video/mpv", 71, b"\0\0\x01\xb3"),
    parts(
        "video/h264",
        41,
        &[Is(b"\0\0\0\x01"), In(b"\x07\x27\x47\x67\x87\xa7\xc7\xe7")],
    ),
    parts(
        "video/webm",
        70,
        &[EBML, ANYWHERE, Is(b"B\x82"), Skip(1), Is(b"webm")],
    ),
    parts(
        "video/x-matroska",
        110,
        &[EBML, ANYWHERE, Is(b"B\x82"), Skip(1), Is(b"matroska")],
    ),
    // Four packets, each of 188 bytes.
    parts(
        "video/mp2t",
        40,
        &[
            Is(b"G"),
            Skip(187),
            Is(b"G"),
            Skip(187),
            Is(b"G"),
            Skip(187),
            Is(b"G"),
            Skip(187),
        ],
    ),
    begins("video/x-sgi-movie", 70, b"MOVI"),
    at("video/quicktime", 70, 4, b"mdat"),
    at("video/quicktime", 70, 4, b"moov"),
    at("video/quicktime", 50, 4, b"ftypqt"),
    at("video/mp4", 70, 4, b"ftypisom"),
    at("video/mp4", 70, 4, b"ftypmp41"),
    at("video/mp4", 70, 4, b"ftypmp42"),
    at("video/mp4", 60, 4, b"ftypM4V"),
    parts(
        "video/3gpp",
        60,
        &[
            Skip(4),
            Is(b"ftyp"),
            Either(&[b"3ge", b"3gg", b"3gp", b"3gs", b"3g2", b"avc1", b"mmp4"]),
        ],
    ),
    begins("video/x-ms-asf", 70, b"\x30\x26\xb2\x75"),
    parts("video/x-msvideo", 70, &[Is(b"RIFF"), Skip(4), Is(b"AVI ")]),
    at("application/x-quicktime-player", 70, 4, b"pckg"),
    // Fonts
    begins("application/font-woff2", 70, b"wOF2"),
    begins("application/font-woff", 70, b"wOFF"),
    begins("application/x-font-ttf", 80, b"\0\x01\0\0\0"),
    at("application/vnd.ms-fontobject", 50, 34, b"LP"),
    parts(
        "application/x-font-sfn",
        70,
        &[
            Either(&[b"\x04\0\0\0", b"\0\0\0\x04"]),
            Skip(100),
            Either(&[b"\x04\0\0\0", b"\0\0\0\x04"]),
        ],
    ),
    begins("application/vnd.ms-opentype", 70, b"OTTO"),
    begins("application/vnd.font-fontforge-sfd", 160, b"SplineFontDB:"),
];

/// An image of Netpbm: how wide it is, and how high, stand in decimal digits.
const fn netpbm(name: &'static str, look: &'static [Part]) -> Fact {
    parts(name, 42, look)
}
