//! Bodies in Brotli, made with the reference encoder (python3-brotli 1.0.9).

use super::super::brotli::MOST_BROTLI;
use super::super::unpack::INFLATER;
use super::*;

/// Of [`text`], at quality 11 with a window of 4 MiB.
const BEST: &[u8] = b"\x1b_\"\xf8\x8d\x94n\xde\xaa\x06a\t\xa3Sex\xa5\xcfa\xe5@\t\x10\xbbH\xa0\x01\x10";
/// The same at quality 5 with a window of 64 KiB.
const MIDDLE: &[u8] = b"\xe2K\x04\x80\x80C\x8e\xf4\xf3T\x82\xc0\x0e\x95>\x87\x95SAq7H\xa0\x010";
/// The same at quality 1 with a window of 16 MiB.
const FAST: &[u8] =
    b"\x8f/\x11\x00\x80\xaa\xaa\xaa\xea\xfft%\xb8\xf3\xf5\xc2\x07>\xdc\xe8\xc0\xe0\x90c\xce\xa5\x1d3\
    \x8c\x13\x97`c\xcc\xb1\xc5\xaa\xe2np\x19\xc5\x8f\xbbg\x00,\x03";

/// Sent in two pieces, with words of the dictionary; a window of 256 KiB.
const PIECES: &[u8] = b"\x03\x12\x00\x00\x04\x1cr\xa4\x9f\x07\x9cyZ\xc1\x06\x1c8\x14\x0e4\xf8\x04g\nn*\t\xb1\xf4\xf0\
    \x16r\x97\xee\x9c\x8a\xdcN\x18\xd1\x02\x00@`\x03\x8e4\xa0\x07\xd9t\x98\x07\x87\x9c\x1e\x18Z\x94e\xd5\x98\xa5y\xfd;\
    \xed\x86\xb4\xda\x0er\xc5Fc\x10";
const HTML: &str = "<html><body>The first of the pieces, and the second one of this time.</body></html>";

/// 6 MiB of zeros.
const SMALL_BOMB: &[u8] = b"\x9f\xff\xff_\xf8'\x00\xe2\xb1@ \xf7\xfe\x0b";
/// 40 MiB of zeros in blocks of 16 MiB, which is the window, too.
const LARGE_BOMB: &[u8] =
    b"\xcf\xff\xff\x7f\x00$\x00\xe2\xb1@r\xef\xff\xf9\xff\xff\x0f\x80\x04@\x1c\x16\x80\xee\xfd\
    \x7f\xfe\xff\xff\x01\x90\x00\x88\xc3\x02\xd0\xbd\xff\x03";
/// 40 MB of zeros with a window of 64 MiB (`brotli --large_window=26`), as much as came in the first 32 bytes.
const LARGE_WINDOW: &[u8] =
    b"\x11\x1a\xff\xff\xff\xe1\x9f\x00\x88\xc7\x02\x01\xb9\xf7\xff\xfc\xff\xff\x87\x7f\x02\x20\
    \x0e\x0b\x00\xe8\xde\xff\xe7\x7f\x96\x18";

fn text() -> Vec<u8> {
    b"a text, a text, a text".repeat(400)
}

/// A reply with this body in Brotli.
fn packed(body: &[u8]) -> Vec<u8> {
    reply(
        &format!("Content-Encoding: br\r\nContent-Length: {}\r\n", body.len()),
        body,
    )
}

/// What becomes of two such replies and another one, and of the memory that there is.
fn replies(body: &[u8]) -> Heard {
    let memory = Memory::default();
    let mut run = Run::with_memory(Subscriptions::NONE, memory.clone());
    for sent in [&packed(body)[..], &packed(body), b"HTTP/1.1 204 n\r\n\r\n"] {
        run.give(Orig(GET));
        run.give(Resp(sent));
        assert_eq!(memory.taken(), 0);
    }
    run.end()
}

#[test]
fn brotli_is_decompressed_however_it_is_cut() {
    for (body, want) in [
        (BEST, &text()[..]),
        (MIDDLE, &text()),
        (FAST, &text()),
        (PIECES, HTML.as_bytes()),
    ] {
        let h = talk(&[Orig(GET), Resp(&packed(body))]);
        assert_eq!(h.files[0].bytes, want);
        assert!(h.files[0].over && h.files[0].said.is_empty() && h.weirds().is_empty());
        let lengths = super::pairs::column(&h.rows[0], &["response_body_len"]);
        assert_eq!(lengths, want.len().to_string());
        let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        let headers = "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n";
        let h = hear(&[Orig(GET), Resp(&reply(headers, &chunked))]);
        assert_eq!(h.files[0].bytes, want);
    }
    // What follows the compressed data is not looked at.
    let h = replies(&[PIECES, b"trailing"].concat());
    assert_eq!(
        (h.contents(), h.weirds().len()),
        (vec![HTML.into(), HTML.into()], 0)
    );
}

#[test]
fn damaged_brotli_is_odd_and_the_rest_goes_on() {
    let h = replies(b"\x11\x22 no brotli");
    assert_eq!((h.weirds(), h.files.len()), (vec!["brotli_failed"; 2], 0));
    assert_eq!(h.rows.len(), 3);
    for n in 0..PIECES.len() {
        for flip in [1, 0x10, 0xff] {
            let mut bad = PIECES.to_vec();
            bad[n] ^= flip;
            let h = replies(&bad);
            assert_eq!(h.rows.len(), 3);
            assert!(
                h.weirds().iter().all(|w| *w == "brotli_failed"),
                "{:?}",
                h.weirds()
            );
        }
        // One that ends too early has what came by then.
        let h = replies(&PIECES[..n]);
        assert!(h.files.iter().all(|f| HTML.as_bytes().starts_with(&f.bytes)));
        assert_eq!((h.rows.len(), h.weirds().len()), (3, 0));
    }
}

#[test]
fn a_bomb_in_brotli_is_not_blown_up() {
    for bomb in [SMALL_BOMB, LARGE_BOMB] {
        let h = replies(bomb);
        assert_eq!(h.weirds(), ["exceeded_http_decompression_ratio"; 2]);
        assert!(h.files.iter().all(|f| f.bytes.len() <= 4 << 20));
        assert_eq!(h.rows.len(), 3);
    }
}

#[test]
fn windows_beyond_those_of_the_rfc_are_refused() {
    let h = replies(LARGE_WINDOW);
    assert_eq!((h.weirds(), h.files.len()), (vec!["brotli_failed"; 2], 0));
}

#[test]
fn windows_of_brotli_count_for_the_memory_of_all_bodies() {
    let memory = Memory::default();
    // A window of 16 MiB, and a block as long that is not compressed (RFC 7932, section 9): that much is expected.
    let block: u32 = 15 | 2 << 5 | 0xff_ffff << 7 | 1 << 31;
    let body = [&block.to_le_bytes()[..], b"abc"].concat();
    let begun = reply("Content-Encoding: br\r\nContent-Length: 9999\r\n", &body);
    let begin = |run: &mut Run| {
        run.give(Orig(GET));
        run.give(Resp(&begun));
    };
    let mut first = Run::with_memory(Subscriptions::NONE, memory.clone());
    begin(&mut first);
    let one = memory.taken();
    assert!(one > 16 << 20, "{one}");
    assert_eq!(first.heard.contents(), ["abc"]);
    // A second window of that size has no room any more.
    let mut second = Run::with_memory(Subscriptions::NONE, memory.clone());
    begin(&mut second);
    assert_eq!(second.heard.weirds(), ["exceeded_http_decompression_memory"]);
    assert_eq!(memory.taken(), one);
    // Smaller ones have, until nothing is left for Brotli.
    let mut third = Run::with_memory(Subscriptions::NONE, memory.clone());
    third.give(Orig(GET));
    third.give(Resp(&packed(PIECES)));
    assert_eq!(third.heard.contents(), [HTML]);
    let other = memory.take(MOST_BROTLI - one, MOST_BROTLI).unwrap();
    third.give(Orig(GET));
    third.give(Resp(&packed(PIECES)));
    assert_eq!(third.heard.contents()[1], PIECES.escape_ascii().to_string());
    assert_eq!(third.heard.weirds(), ["exceeded_http_decompression_memory"]);
    // What is in gzip is read all the same.
    let body = gzip(b"text");
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", body.len());
    third.give(Orig(GET));
    third.give(Resp(&reply(&headers, &body[..body.len() - 1])));
    assert_eq!(memory.taken(), MOST_BROTLI + INFLATER);
    drop((first.end(), second.end(), third.end(), other));
    assert_eq!(memory.taken(), 0);
}
