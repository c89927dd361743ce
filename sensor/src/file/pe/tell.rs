//! What a file's headers say, told as events as soon as each is whole.

use super::events::{
    DosHeader, FileHeader, OptionalHeader, PeDosCode, PeDosHeader, PeFileHeader, PeOptionalHeader,
    PeSectionHeader, SectionHeader,
};
use super::headers::{
    FILE_HEADER, Headers, SECTION_HEADER, Told, optional, section_name, u16_at, u32_at, u64_at,
};
use crate::base::time::SECOND;
use crate::event::{FaFile, Subscriptions};
use crate::file::api::Cx;

/// Whether somebody wants any of it.
pub fn is_wanted(subs: &Subscriptions) -> bool {
    [
        PeDosHeader::KIND,
        PeDosCode::KIND,
        PeFileHeader::KIND,
        PeOptionalHeader::KIND,
        PeSectionHeader::KIND,
    ]
    .iter()
    .any(|kind| subs.wants(*kind))
}

/// Raises the events of what is whole and was not told yet.
pub fn tell(headers: &mut Headers, f: &FaFile<'_>, cx: &mut Cx<'_>) {
    while let Some(told) = step(headers, f, cx) {
        headers.told = told;
    }
    if headers.is_done {
        headers.told = Told::All;
    }
}

/// The next thing, if it is whole. How far it is told then.
fn step(headers: &Headers, f: &FaFile<'_>, cx: &mut Cx<'_>) -> Option<Told> {
    let kept = headers.kept.as_slice();
    match headers.told {
        Told::Nothing => {
            headers.before?;
            let h = dos_header(&headers.dos)?;
            cx.raise(&PeDosHeader { f, h });
            Some(Told::DosHeader)
        }
        Told::DosHeader => {
            headers.before.filter(|n| *n == 0)?;
            let code = &headers.code[..];
            cx.raise(&PeDosCode { f, code });
            Some(Told::DosCode)
        }
        Told::DosCode => {
            let head = kept.get(..FILE_HEADER)?;
            if !head.starts_with(b"PE\0\0") {
                return Some(Told::All);
            }
            tell_file_header(head, f, cx);
            Some(Told::FileHeader)
        }
        Told::FileHeader => {
            let size = usize::from(u16_at(kept, 20)?);
            let header = kept.get(FILE_HEADER..FILE_HEADER + size)?;
            // What has none is an object, whose sections follow.
            if size > 0 && tell_optional(header, f, cx).is_none() {
                return Some(Told::All);
            }
            Some(Told::Sections(0))
        }
        Told::Sections(n) => {
            if n >= usize::from(u16_at(kept, 6)?) {
                return Some(Told::All);
            }
            let from = FILE_HEADER + usize::from(u16_at(kept, 20)?) + n * SECTION_HEADER;
            tell_section(kept.get(from..from + SECTION_HEADER)?, f, cx)?;
            Some(Told::Sections(n + 1))
        }
        Told::All => None,
    }
}

/// The flags of some bits, each as its own number.
fn flags(bits: u32) -> Vec<u64> {
    let each = (0..u32::BITS).map(|n| 1u64 << n);
    each.filter(|flag| u64::from(bits) & flag != 0).collect()
}

fn dos_header(h: &[u8]) -> Option<DosHeader<'_>> {
    let word = |at| u16_at(h, at).map(u64::from);
    Some(DosHeader {
        signature: std::str::from_utf8(h.get(..2)?).ok()?,
        used_bytes_in_last_page: word(2)?,
        file_in_pages: word(4)?,
        num_reloc_items: word(6)?,
        header_in_paragraphs: word(8)?,
        min_extra_paragraphs: word(10)?,
        max_extra_paragraphs: word(12)?,
        init_relative_ss: word(14)?,
        init_sp: word(16)?,
        checksum: word(18)?,
        init_ip: word(20)?,
        init_relative_cs: word(22)?,
        addr_of_reloc_table: word(24)?,
        overlay_num: word(26)?,
        oem_id: word(36)?,
        oem_info: word(38)?,
        addr_of_new_exe_header: u32_at(h, 60)?.into(),
    })
}

fn tell_file_header(head: &[u8], f: &FaFile<'_>, cx: &mut Cx<'_>) -> Option<()> {
    let (word, long) = (|at| u16_at(head, at), |at| u32_at(head, at));
    let h = FileHeader {
        machine: word(4)?.into(),
        ts: u64::from(long(8)?) * SECOND,
        sym_table_ptr: long(12)?.into(),
        num_syms: long(16)?.into(),
        optional_header_size: word(20)?.into(),
        characteristics: &flags(word(22)?.into()),
    };
    cx.raise(&PeFileHeader { f, h });
    Some(())
}

/// None: it is none, and what is behind it nobody knows.
fn tell_optional(h: &[u8], f: &FaFile<'_>, cx: &mut Cx<'_>) -> Option<()> {
    optional(h)?;
    let byte = |at: usize| h.get(at).map(|b| u64::from(*b));
    let (word, long) = (
        |at| u16_at(h, at).map(u64::from),
        |at| u32_at(h, at).map(u64::from),
    );
    let is_64bit = word(0)? == 0x20b;
    let tables_at = if is_64bit { 112 } else { 96 };
    let tables = h.get(tables_at..)?.chunks_exact(8);
    let number = usize::try_from(long(tables_at - 4)?).ok()?;
    let sizes = tables.take(number).filter_map(|t| u32_at(t, 4).map(u64::from));
    let sizes: Vec<u64> = sizes.collect();
    let h = OptionalHeader {
        magic: word(0)?,
        major_linker_version: byte(2)?,
        minor_linker_version: byte(3)?,
        size_of_code: long(4)?,
        size_of_init_data: long(8)?,
        size_of_uninit_data: long(12)?,
        addr_of_entry_point: long(16)?,
        base_of_code: long(20)?,
        base_of_data: long(24).filter(|_| !is_64bit),
        image_base: if is_64bit { u64_at(h, 24)? } else { long(28)? },
        section_alignment: long(32)?,
        file_alignment: long(36)?,
        os_version_major: word(40)?,
        os_version_minor: word(42)?,
        major_image_version: word(44)?,
        minor_image_version: word(46)?,
        major_subsys_version: word(48)?,
        minor_subsys_version: word(50)?,
        size_of_image: long(56)?,
        size_of_headers: long(60)?,
        checksum: long(64)?,
        subsystem: word(68)?,
        dll_characteristics: &flags(u16_at(h, 70)?.into()),
        table_sizes: &sizes,
    };
    cx.raise(&PeOptionalHeader { f, h });
    Some(())
}

fn tell_section(header: &[u8], f: &FaFile<'_>, cx: &mut Cx<'_>) -> Option<()> {
    let name = section_name(header);
    let name = match String::from_utf8(name) {
        Ok(name) => name,
        Err(bad) => bad.as_bytes().escape_ascii().to_string(),
    };
    let (word, long) = (|at| u16_at(header, at).map(u64::from), |at| u32_at(header, at));
    let number = |at| long(at).map(u64::from);
    let h = SectionHeader {
        name: &name,
        virtual_size: number(8)?,
        virtual_addr: number(12)?,
        size_of_raw_data: number(16)?,
        ptr_to_raw_data: number(20)?,
        ptr_to_relocs: number(24)?,
        ptr_to_line_nums: number(28)?,
        num_of_relocs: word(32)?,
        num_of_line_nums: word(34)?,
        characteristics: &flags(long(36)?),
    };
    cx.raise(&PeSectionHeader { f, h });
    Some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::headers::tests::executable;
    use super::*;
    use crate::event::log::LogRow;
    use crate::event::{Event, Ts, seen};
    use crate::file::api::{IsLocal, Out};

    /// Events' names and arguments without the file.
    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Out for Heard {
        fn event(&mut self, ts: Ts, ev: &dyn Event) {
            seen::note(ev);
            let mut line = Vec::new();
            ev.write_json(ts, &mut line);
            let line = String::from_utf8(line).unwrap();
            let (_, args) = line.split_once("},").unwrap();
            let args = args.strip_suffix("}}").unwrap();
            self.0.push(format!("{} {args}", ev.info().name));
        }
        fn log(&mut self, _: &dyn LogRow) {}
        fn weird(&mut self, _: Ts, _: &'static str, _: &str, _: &str) {}
    }

    /// What is told of a file that comes in pieces of that size.
    fn heard(bytes: &[u8], piece: usize, subs: Subscriptions) -> Vec<String> {
        let (mut out, mut headers) = (Heard::default(), Headers::default());
        let is_local: IsLocal = Arc::new(|_| false);
        let mut cx = Cx {
            ts: 0,
            subs: &subs,
            is_local: &is_local,
            magic: None,
            out: &mut out,
        };
        let f = FaFile {
            id: "F",
            parent_id: None,
            source: "HTTP",
            conn: None,
            is_orig: None,
            seen_bytes: 0,
            total_bytes: None,
            missing_bytes: 0,
            overflow_bytes: 0,
        };
        for part in bytes.chunks(piece) {
            headers.bytes(part, is_wanted(&subs));
            tell(&mut headers, &f, &mut cx);
        }
        out.0
    }

    #[test]
    fn headers_are_told_one_by_one() {
        let file = executable(4, &[b".text\0\0\0", b"longname"]);
        let told = heard(&file, usize::MAX, Subscriptions::ALL);
        let expected = [
            r#"pe_dos_header "h":{"signature":"MZ","used_bytes_in_last_page":0,"file_in_pages":0,"num_reloc_items":0,"header_in_paragraphs":0,"min_extra_paragraphs":0,"max_extra_paragraphs":0,"init_relative_ss":0,"init_sp":0,"checksum":0,"init_ip":0,"init_relative_cs":0,"addr_of_reloc_table":0,"overlay_num":0,"oem_id":0,"oem_info":0,"addr_of_new_exe_header":68}"#,
            r#"pe_dos_code "code":"00000000""#,
            r#"pe_file_header "h":{"machine":332,"ts":1402852568.000000,"sym_table_ptr":0,"num_syms":0,"optional_header_size":224,"characteristics":[2,256]}"#,
            r#"pe_optional_header "h":{"magic":267,"major_linker_version":0,"minor_linker_version":0,"size_of_code":0,"size_of_init_data":0,"size_of_uninit_data":0,"addr_of_entry_point":0,"base_of_code":0,"base_of_data":0,"image_base":0,"section_alignment":0,"file_alignment":0,"os_version_major":4,"os_version_minor":0,"major_image_version":0,"minor_image_version":0,"major_subsys_version":0,"minor_subsys_version":0,"size_of_image":0,"size_of_headers":0,"checksum":0,"subsystem":2,"dll_characteristics":[64,256],"table_sizes":[1,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0]}"#,
            r#"pe_section_header "h":{"name":".text","virtual_size":0,"virtual_addr":0,"size_of_raw_data":0,"ptr_to_raw_data":0,"ptr_to_relocs":0,"ptr_to_line_nums":0,"num_of_relocs":0,"num_of_line_nums":0,"characteristics":[]}"#,
        ];
        assert_eq!(told[..5], expected);
        assert!(told[5].contains("longname") && told.len() == 6);
        let whole = [&file[..], &[0xcc; 500]].concat();
        for piece in [1, 7, 64, 163, usize::MAX] {
            assert_eq!(heard(&whole, piece, Subscriptions::ALL), told);
        }
        let some = Subscriptions::NONE.with(PeFileHeader::KIND);
        assert_eq!(heard(&whole, 50, some), told[2..3]);
        assert!(heard(&whole, 50, Subscriptions::NONE).is_empty());
    }

    #[test]
    fn what_is_damaged_is_told_as_far_as_it_makes_sense() {
        let file = executable(4, &[b".text\0\0\0"]);
        let whole = heard(&file, usize::MAX, Subscriptions::ALL);
        for n in 0..file.len() {
            let told = heard(&file[..n], usize::MAX, Subscriptions::ALL);
            assert_eq!(told, whole[..told.len()], "{n} bytes of it");
            let mut bad = file.clone();
            bad[n] ^= 0xff;
            // Whatever it is, it is read to its end.
            heard(&bad, 9, Subscriptions::ALL);
        }
    }
}
