//! Events of Windows executables, under Zeek's names, and the records that they carry. Numbers are as the file has them;
//! flags are a set of numbers, each a power of two.

use crate::event::page::events;
use crate::event::record;

record! {
    /// The header for DOS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DosHeader<'a> is "PE::DOSHeader" {
        /// `MZ`.
        signature: text,
        /// Bytes of the last page that are used.
        used_bytes_in_last_page: count,
        /// Pages of the file.
        file_in_pages: count,
        /// Relocations behind the header.
        num_reloc_items: count,
        /// Paragraphs of the header.
        header_in_paragraphs: count,
        /// Paragraphs of memory that are needed besides, at least.
        min_extra_paragraphs: count,
        /// The same at most.
        max_extra_paragraphs: count,
        /// Stack segment, relative.
        init_relative_ss: count,
        /// Stack pointer at the start.
        init_sp: count,
        /// What makes the sum of all words 0.
        checksum: count,
        /// Instruction pointer at the start.
        init_ip: count,
        /// Code segment at the start, relative.
        init_relative_cs: count,
        /// Place of the relocations.
        addr_of_reloc_table: count,
        /// Number of the overlay, 0: the program itself.
        overlay_num: count,
        /// Who made it.
        oem_id: count,
        /// What that one says of it.
        oem_info: count,
        /// Place of the other headers.
        addr_of_new_exe_header: count,
    }
}

record! {
    /// The header that every such file has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FileHeader<'a> is "PE::FileHeader" {
        /// The kind of processor.
        machine: count,
        /// When it was made, by its own account.
        ts: time,
        /// Place of the symbols.
        sym_table_ptr: count,
        /// How many.
        num_syms: count,
        /// Bytes of the next header.
        optional_header_size: count,
        /// Flags.
        characteristics: count_set,
    }
}

record! {
    /// The header that only what can be run has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OptionalHeader<'a> is "PE::OptionalHeader" {
        /// 0x10b: for 32 bits, 0x20b: for 64.
        magic: count,
        /// Version of the linker.
        major_linker_version: count,
        /// Its second number.
        minor_linker_version: count,
        /// Bytes of code.
        size_of_code: count,
        /// Bytes of data.
        size_of_init_data: count,
        /// Bytes of data that are not in the file.
        size_of_uninit_data: count,
        /// Where it starts.
        addr_of_entry_point: count,
        /// Where its code is.
        base_of_code: count,
        /// Where its data is; of 32 bits only.
        base_of_data: opt count,
        /// Where it would like to be.
        image_base: count,
        /// What sections begin at a multiple of, in memory.
        section_alignment: count,
        /// The same in the file.
        file_alignment: count,
        /// The Windows that it needs.
        os_version_major: count,
        /// Its second number.
        os_version_minor: count,
        /// Its own version.
        major_image_version: count,
        /// Its second number.
        minor_image_version: count,
        /// Version of what it runs in.
        major_subsys_version: count,
        /// Its second number.
        minor_subsys_version: count,
        /// Bytes of it in memory.
        size_of_image: count,
        /// Bytes of all headers.
        size_of_headers: count,
        /// Its checksum.
        checksum: count,
        /// What it runs in.
        subsystem: count,
        /// Flags.
        dll_characteristics: count_set,
        /// Bytes of each of its tables.
        table_sizes: index_vec,
    }
}

record! {
    /// A section's header.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SectionHeader<'a> is "PE::SectionHeader" {
        /// Its name.
        name: text,
        /// Bytes of it in memory.
        virtual_size: count,
        /// Where it is in memory.
        virtual_addr: count,
        /// Bytes of it in the file.
        size_of_raw_data: count,
        /// Where it is in the file.
        ptr_to_raw_data: count,
        /// Where its relocations are in the file.
        ptr_to_relocs: count,
        /// Where its line numbers are in the file.
        ptr_to_line_nums: count,
        /// Relocations.
        num_of_relocs: count,
        /// Line numbers.
        num_of_line_nums: count,
        /// Flags.
        characteristics: count_set,
    }
}

events! {
    /// Events of Windows executables.
    page 28 "pe" of "pe";

    /// The header for DOS.
    /// `f`: the file; `h`: the header.
    PeDosHeader "pe_dos_header" (f: fa_file, h: record DosHeader<'a>);

    /// The program for DOS, which stands between its header and the others.
    /// `f`: the file; `code`: its first 64 KiB.
    PeDosCode "pe_dos_code" (f: fa_file, code: bytes);

    /// The header that every such file has.
    /// `f`: the file; `h`: the header.
    PeFileHeader "pe_file_header" (f: fa_file, h: record FileHeader<'a>);

    /// The header that only what can be run has.
    /// `f`: the file; `h`: the header.
    PeOptionalHeader "pe_optional_header" (f: fa_file, h: record OptionalHeader<'a>);

    /// A section's header.
    /// `f`: the file; `h`: the header.
    PeSectionHeader "pe_section_header" (f: fa_file, h: record SectionHeader<'a>);
}
