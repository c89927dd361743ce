//! A file begins so, and is of this type.

use super::{Guess, LOOKED_AT};
use std::time::{Duration, Instant};

fn of(head: &[u8]) -> Option<&'static str> {
    super::of(head).map(Guess::name)
}

/// Beginnings, each with its type.
fn check(rows: &[(&[u8], &'static str)]) {
    for (head, name) in rows {
        assert_eq!(of(head), Some(*name), "{}", head.escape_ascii());
    }
}

/// `parts` one behind the other.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn nothing_and_noise_are_unknown() {
    assert_eq!(of(b""), None);
    assert_eq!(of(b"\0"), None);
    assert_eq!(of(b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a"), None);
    // Too short to be text.
    assert_eq!(of(b"Not found"), None);
    assert_eq!(of(b"{}"), None);
}

#[test]
fn text_is_ten_bytes_that_are_printed() {
    check(&[
        (b"Not found.", "text/plain"),
        (b"Not found\n", "text/plain"),
        (b"\t\r\n\x0b\x0c     ", "text/plain"),
        (b"\xef\xbb\xbfNot found.", "text/plain"),
        (b"\xff\xfeNot found.", "text/plain"),
        (b"\xfe\xffNot found.", "text/plain"),
        (b"\xff\xfe\0\0Not found.", "text/plain"),
        (b"\0\0\xfe\xffNot found.", "text/plain"),
        (b"Ten bytes..\xff\xff\xff", "text/plain"),
    ]);
    assert_eq!(of(b"\xef\xbb\xbfNot found"), None);
    assert_eq!(of(b"caf\xc3\xa9 au lait"), None);
    assert_eq!(of(b"\xff\xfeN\0o\0t\0 \0f\0o\0u\0n\0d\0"), None);
}

#[test]
fn html_is_known_by_its_first_tag() {
    check(&[
        (b"<!DOCTYPE html>\n<html>", "text/html"),
        (b"<!doctype  HTML PUBLIC \"-//W3C//DTD", "text/html"),
        (b"\r\n\t <HTML><head>", "text/html"),
        (b"<head><title>", "text/html"),
        (b"<Title>Moved</title>", "text/html"),
        (b"<body bgcolor=white>", "text/html"),
        (b"<meta  http-equiv=refresh>", "text/html"),
        (b"<!-- saved --> <!-- twice -->\n<html>", "text/html"),
        (
            b"<?xml version=\"1.0\"?>\n<!-- a > b --><html xmlns=",
            "text/html",
        ),
        (b"<!-- a --><?xml version=\"1.0\"?><html>", "text/html"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "text/html"),
        (b"\xff\xfe \n<html>", "text/html"),
        // Each end of a comment may be the one.
        (b"<!-- --> text --><html>", "text/html"),
        (b"<?xml a?> text ?><html>", "text/html"),
    ]);
    check(&[
        (b"<!DOCTYPE\thtml>", "text/plain"),
        (b"<p>A page without its tags</p>", "text/plain"),
        (b"text before <html>", "text/plain"),
        (b"<!--> <html> a comment", "text/plain"),
        (b"<!-- <html> no end of it", "text/plain"),
        (b"<? xml?> <html>", "text/plain"),
    ]);
}

#[test]
fn xml_is_known_by_its_declaration_and_may_be_more() {
    check(&[
        (b"<?xml version=\"1.0\"?><a/>", "application/xml"),
        (b"\xff\xfe<\0?\0x\0m\0l\0 \0v\0", "application/xml"),
        (b"\xfe\xff\0<\0?\0x\0m\0l\0 \0v", "application/xml"),
        (b" <!-- first --> <?xml ?>", "application/xml"),
        (b"<?xml version=\"1.0\"?><rss version=", "text/rss"),
        (b"<RSS version=\"2.0\" xmlns:atom=\"x\">", "text/atom"),
        (b"<rss version=\"2.0\"><a xmlns:atom=\"x\">", "text/rss"),
        (b"<feed xmlns=\"http://www.w3.org/2005/Atom\">", "text/atom"),
        (b"<feed a='b' xmlns=http://www.w3.org/2005/Atom", "text/atom"),
        (b"<?xml ?><soap:Envelope xmlns=", "application/soap+xml"),
        (b"<?xml ?><SOAP-ENV:Envelope xmlns=", "application/soap+xml"),
        (b"<?xml ?><methodResponse><params>", "application/xml-rpc"),
        (b"<cross-domain-policy>", "text/x-cross-domain-policy"),
        (
            b"<!DOCTYPE cross-domain-policy SYSTEM",
            "text/x-cross-domain-policy",
        ),
        (b"\xef\xbb\xbf<cross-domain-policy>", "text/plain"),
        (
            b"<manifest\n xmlns=\"http://ns.adobe.com/f4m/1.0\">",
            "application/f4m",
        ),
        (b"<!-- a --><CFSET a=1>", "magnus-internal/cold-fusion"),
        (b"<?xml version=\"1.0\"?>\n<svg width=", "image/svg+xml"),
        (b"<?xml version=\"1.0\"?>\n<urlset>", "application/xml-sitemap"),
        (b"<?xml version=\"1.0\"?><!DOCTYPE X3D>", "model/x3d"),
        (
            b"<?xml version=\"1.0\"?><kml xmlns=\"http://www.opengis.net/kml/2.2\">",
            "application/vnd.google-earth.kml+xml",
        ),
    ]);
}

#[test]
fn json_has_a_member_or_elements() {
    check(&[
        (b"{\"a\":1}", "text/json"),
        (b"\xef\xbb\xbf\r\n{ \"a b\" : \"c\" }", "text/json"),
        (b"{ name_1 : [", "text/json"),
        (b"{a:{", "text/json"),
        (b"{\"a\":false}", "text/json"),
        (b"[1,", "text/json"),
        (b"[1.5 , 2]", "text/json"),
        (b"[\"a\", \"b\"]", "text/json"),
        (b"[true,", "text/json"),
        (b"[{", "text/json"),
        (b"[[", "text/json"),
    ]);
    check(&[
        (b"{\"a\": null}", "text/plain"),
        (b"{\"a\": -1  }", "text/plain"),
        (b"{\"\": 1    }", "text/plain"),
        (b"[\"only one\"]", "text/plain"),
        (b"[1., 2., 3.]", "text/plain"),
    ]);
}

#[test]
fn settings_begin_with_a_section() {
    check(&[
        (b"[main]\na=b", "text/ini"),
        (b"\xef\xbb\xbf\r\n[a]b] \t\r\n", "text/ini"),
        (b"\xff\xfe[\0a\0]\0\r\0\n\0", "text/ini"),
        // It is an array too, and that is weaker.
        (b"[[a]]\n", "text/ini"),
        (b"[main] a=b\n[x]\n", "text/plain"),
        (b"[a section without an end]", "text/plain"),
    ]);
    assert_eq!(of(b"[]\n"), None);
}

#[test]
fn scripts_name_their_interpreter() {
    check(&[
        (b"#!/bin/sh\n", "text/x-shellscript"),
        (b"#! /usr/bin/env bash\n", "text/x-shellscript"),
        (b"#!/usr/bin/perl -w\n", "text/x-perl"),
        (b"#!/usr/bin/env \t python3\n", "text/x-python"),
        (b"#!/usr/local/bin/ruby\n", "text/x-ruby"),
        (b"#!/usr/bin/gawk -f\n", "text/x-awk"),
        (b"#!/usr/bin/wish\n", "text/x-tcl"),
        (b"#!/usr/bin/lua5.4\n", "text/x-lua"),
        (b"#!/usr/bin/php\n", "text/x-php"),
        (b"#!/usr/bin/env nodejs\n", "application/javascript"),
        // The directory stands too far behind.
        (b"#!/a/directory/far/away/bin/sh\n", "text/plain"),
        (b"#!\n/bin/sh and more", "text/plain"),
        (b"#!/usr/bin/envperl", "text/plain"),
        (b"<script type=\"text/javascript\">", "application/javascript"),
        (b"\n<SCRIPT  language=JavaScript>", "application/javascript"),
        (b"<script>\nvar a", "application/javascript"),
        (b"for (;;);{\"a\":1}", "application/javascript"),
        (b"document.write('a')", "application/javascript"),
        (b" document.writeln('a')", "application/javascript"),
        (b"(function() \n{", "application/javascript"),
        (b"(function(a) {return", "text/plain"),
        (b"var a = function() {};", "text/plain"),
        (b"<p>a page</p>\n<?php echo 1;", "text/x-php"),
        (b"@ECHO  off\r\n", "text/x-msdos-batch"),
        (b"@ Echo OFF\r\n", "text/x-msdos-batch"),
        (b"@rem a", "text/x-msdos-batch"),
        (b"dnl Process this", "text/x-m4"),
    ]);
}

#[test]
fn mail_news_and_other_writing() {
    check(&[
        (b"Return-Path: <a@b.c>", "message/rfc822"),
        (b"DELIVERED-TO: a", "message/rfc822"),
        (b"From: a", "message/rfc822"),
        (b"Path: a!b", "message/news"),
        (b"BEGIN:VCALENDAR\r\n", "text/calendar"),
        (b"BEGIN:VCARD\r\n", "text/x-vcard"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", "application/pgp-keys"),
        (b"-----BEGIN PGP MESSAGE-----", "application/pgp"),
        (b"-----BEGIN CERTIFICATE-----", "application/x-pem"),
        (b"a\n--- a\n+++ b\n@@ -1 +1 @@\n", "text/x-diff"),
        (b"msgid \"a\"", "text/x-po"),
        (b"`;[a] [Version]", "application/x-setupscript"),
        (b"d8:announce35:", "application/x-bittorrent"),
    ]);
}

#[test]
fn images() {
    check(&[
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"\0\0\x01\0\x01\0", "image/x-icon"),
        (b"BM............(\0", "image/x-ms-bmp"),
        (b"8BPS", "image/vnd.adobe.photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "image/jp2"),
        (b"AT&TFORM....DJVU", "image/vnd.djvu"),
        (b"P6\n640  480", "image/x-portable-pixmap"),
        (b"II*\0\x10\0\0\0CR", "image/x-canon-cr2"),
    ]);
}

#[test]
fn sound_moving_images_and_fonts() {
    check(&[
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS\0", "application/ogg"),
        (b"fLaC\0", "audio/x-flac"),
        (b"RIFF....WAVEfmt ", "audio/x-wav"),
        (b"MThd\0", "audio/midi"),
        (b".snd\0\0\0\x18\0\0\0\0\0\0\0\x01", "audio/basic"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x20ftyp3gp4", "video/3gpp"),
        (b"FLV\x01", "video/x-flv"),
        (b"RIFF....AVI LIST", "video/x-msvideo"),
        (b"\0\0\x01\xba\x44", "video/mpeg"),
        (b"\0\0\x01\xb3\x44", "video/mpv"),
        (b"\0\0\0\x01\x67", "video/h264"),
        (b"\x1a\x45\xdf\xa3.....B\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3.....B\x82\x88matroska", "video/x-matroska"),
        (b"wOFF", "application/font-woff"),
        (b"wOF2", "application/font-woff2"),
        (b"OTTO", "application/vnd.ms-opentype"),
        (b"\0\x01\0\0\0\x0f", "application/x-font-ttf"),
    ]);
    let packet = join(&[b"G", &[0x80; 187]]);
    assert_eq!(of(&packet.repeat(4)), Some("video/mp2t"));
    assert_eq!(of(&packet.repeat(3)), None);
}

#[test]
fn archives() {
    check(&[
        (b"PK\x03\x04\x0a\0", "application/zip"),
        (b"PK\x03\x04\x14\0\x08\0", "application/zip"),
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"BZh9", "application/x-bzip2"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07", "application/x-rar"),
        (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
        (b"!<arch>\ndebian-binary", "application/x-debian-package"),
        (b"!<arch>\nother", "application/x-archive"),
        (b"..-lh5-", "application/x-lzh"),
        (b"\xed\xab\xee\xdb", "application/x-rpm"),
    ]);
    assert_eq!(of(b"PK\x03\x04\x0a"), None);
    let field = |n: usize| join(&[&vec![b'0'; n - 1], b"\0"]);
    let head = join(&[
        b"name",
        &[0; 96],
        &field(8).repeat(3),
        &field(12).repeat(2),
        &field(8),
        b"0",
    ]);
    assert_eq!(of(&head), Some("application/x-tar"));
}

/// The first header of a zip archive, with 26 bytes between what tells it and the name.
fn entry(name: &[u8]) -> Vec<u8> {
    join(&[b"PK\x03\x04\x14\0\x08\0", &[0; 22], name])
}

#[test]
fn archives_that_are_documents_or_programs() {
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let text = "application/vnd.oasis.opendocument.text";
    let packed = |name: &[u8]| join(&[b"PK\x03\x04", &[0; 22], b"\x08\0\0\0mimetype", name]);
    let rows: [(Vec<u8>, &str); 7] = [
        (
            join(&[&entry(b"[Content_Types].xml"), &[7; 300], &entry(b"word/a.xml")]),
            word,
        ),
        (join(&[&entry(b"word/a.xml"), &entry(b"word/b.xml")]), word),
        (
            b"PK\x03\x04\x14\0\x06\0".to_vec(),
            "application/vnd.openxmlformats-officedocument",
        ),
        (packed(b"application/vnd.oasis.opendocument.textPK"), text),
        (
            packed(b"application/vnd.oasis.opendocument.text-template"),
            "application/vnd.oasis.opendocument.text-template",
        ),
        (packed(b"application/epub+zip"), "application/epub+zip"),
        (
            join(&[&entry(b"META-INF/"), b"PK\x03\x04\x14\0..META-INF/MANIFEST.MF"]),
            "application/java-archive",
        ),
    ];
    for (head, name) in &rows {
        assert_eq!(of(head), Some(*name), "{}", head.escape_ascii());
    }
}

#[test]
fn programs() {
    check(&[
        (b"MZ\x90\0", "application/x-dosexec"),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0",
            "application/x-executable",
        ),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0",
            "application/x-sharedlib",
        ),
        (
            b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0\0\x01",
            "application/x-object",
        ),
        (b"\xcf\xfa\xed\xfe", "application/x-mach-o-executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "application/x-mach-o-executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "application/x-java-applet"),
        (b"CWS\x0a", "application/x-shockwave-flash"),
        (b"\x03\xf3\r\n", "application/x-python-bytecode"),
        (b"\x6f\x0d\r\n", "application/x-python-bytecode"),
        (b"\xcb\x0d\r\n", "application/x-python-bytecode"),
    ]);
}

#[test]
fn documents_and_data() {
    check(&[
        (b"%PDF-1.7", "application/pdf"),
        (b"%!PS-Adobe", "application/postscript"),
        (b"{\\rtf1", "text/rtf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
        (b"\0\x01\0\0Standard Jet DB\0", "application/x-msaccess"),
        (b"bplist00", "application/bplist"),
        (b"Cr24", "application/chrome-ext"),
        (b"\xd4\xc3\xb2\xa1", "application/vnd.tcpdump.pcap"),
        (b"regf", "application/vnd.ms-regf"),
    ]);
    check(&[
        (
            b"0Z0X0V0T0R0P0N0\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\0",
            "application/ocsp-request",
        ),
        (
            b"0\x82\x01\xd3\x0a\x01\0\xa0\x82\x01\xcc0\x82\x01\xc8\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01",
            "application/ocsp-response",
        ),
    ]);
}

#[test]
fn what_stands_later_is_not_looked_at() {
    let text = vec![b'a'; LOOKED_AT - 4];
    assert_eq!(of(&join(&[&text, b"<?ph", b"p"])), Some("text/plain"));
    assert_eq!(of(&join(&[&text[1..], b"<?php"])), Some("text/x-php"));
}

#[test]
fn hostile_bytes_take_bounded_time() {
    let long = |begin: &[u8], more: &[u8]| {
        let mut b = begin.to_vec();
        while b.len() < LOOKED_AT {
            b.extend_from_slice(more);
        }
        b
    };
    let heads = [
        long(b"", b"<"),
        long(b"", b" "),
        long(b"", b"["),
        long(b"", b"{\"a\":"),
        long(b"", b"P1"),
        long(b"", b"P11111111111111111111111111111111111111111111111111"),
        long(b"", b"--- \n+++ \n"),
        long(b"<!-- ", b"--> <!-- "),
        long(b"<!-- ", b"--><!doctype   "),
        long(b"<!-- ", b"--><rss xmlns:ato "),
        long(b"<!-- ", b"--><feed xmlns=\"http://www"),
        long(b"<?xml ", b"?><!-- -->"),
        long(b"`;[", b"["),
        long(b"#!/bin/bin/bin/env", b" "),
        long(&entry(b"word/"), b"PK\x03\x04"),
        long(b"\x1a\x45\xdf\xa3", b"B\x82"),
    ];
    let began = Instant::now();
    for head in &heads {
        of(head);
    }
    assert!(began.elapsed() < Duration::from_secs(1));
}
