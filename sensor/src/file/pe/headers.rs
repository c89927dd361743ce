//! The headers of a Windows executable as they come, and what they say as pe.log shows it.

use std::borrow::Cow;

use super::log::PeRow;

/// Length of the header for DOS, bytes.
const DOS_HEADER: usize = 64;
/// Where in it the place of the other headers stands.
const NEW_HEADER_AT: usize = 60;
/// Largest program for DOS between the two that is passed over, bytes (as in Zeek).
const MAX_DOS_CODE: u32 = 4 << 20;
/// Signature and file header, bytes.
pub(super) const FILE_HEADER: usize = 24;
/// A section's header, bytes.
pub(super) const SECTION_HEADER: usize = 40;
/// Most bytes of headers that are kept.
const MAX_KEPT: usize = 64 << 10;

/// How far a file's headers were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// Not at all.
    #[default]
    Nothing,
    DosHeader,
    DosCode,
    FileHeader,
    /// The optional header, and so many sections.
    Sections(usize),
    /// There is nothing more to tell.
    All,
}

/// A file's headers as they come. What is not needed of it is passed over.
#[derive(Debug, Default)]
pub struct Headers {
    /// The header for DOS; then, from its place on, the others.
    pub(super) kept: Vec<u8>,
    /// Bytes to pass over before the others; known once the first is whole.
    pub(super) before: Option<u64>,
    pub(super) is_done: bool,
    /// The header for DOS and its program, if somebody wants events.
    pub(super) dos: Vec<u8>,
    pub(super) code: Vec<u8>,
    pub(super) told: Told,
}

/// What they say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Executable {
    machine: u16,
    compile_ts: u32,
    is_exe: bool,
    is_64bit: bool,
    optional: Option<Optional>,
    sections: Vec<Vec<u8>>,
}

/// What the header says that only an executable has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Optional {
    os: (u16, u16),
    subsystem: u16,
    dll: u16,
    /// Whether there is a table of exports, imports, certificates and for debuggers.
    tables: [bool; 4],
}

impl Headers {
    /// Whether there is something more to read.
    pub fn reads(&self) -> bool {
        !self.is_done
    }

    /// Whether there may be something to tell.
    pub fn has_news(&self) -> bool {
        self.told != Told::All
    }

    /// The next bytes of the file are not at hand.
    pub fn stop(&mut self) {
        self.is_done = true;
    }

    /// Bytes that are kept.
    pub fn kept(&self) -> u64 {
        (self.kept.len() + self.dos.len() + self.code.len()) as u64
    }

    /// The next bytes of the file. `told`: they will be told, all of them.
    pub fn bytes(&mut self, mut bytes: &[u8], told: bool) {
        while !self.is_done && !bytes.is_empty() {
            bytes = match self.before {
                None => self.dos_header(bytes, told),
                Some(n @ 1..) => {
                    let passed = bytes.len().min(usize::try_from(n).unwrap_or(usize::MAX));
                    self.before = Some(n - passed as u64);
                    let (code, rest) = bytes.split_at(passed);
                    if told {
                        let room = MAX_KEPT.saturating_sub(self.code.len());
                        self.code.extend_from_slice(code.get(..room).unwrap_or(code));
                    }
                    rest
                }
                Some(0) => {
                    let room = self.needed().saturating_sub(self.kept.len());
                    let (part, rest) = bytes.split_at(room.min(bytes.len()));
                    self.kept.extend_from_slice(part);
                    // With the file header it is known how much there is.
                    self.is_done = self.kept.len() >= self.needed();
                    rest
                }
            };
        }
    }

    /// Takes what there is of the first header; what is behind it.
    fn dos_header<'b>(&mut self, bytes: &'b [u8], told: bool) -> &'b [u8] {
        let (part, rest) = bytes.split_at(bytes.len().min(DOS_HEADER - self.kept.len()));
        self.kept.extend_from_slice(part);
        if let Some(place) = self
            .kept
            .get(NEW_HEADER_AT..DOS_HEADER)
            .and_then(|_| u32_at(&self.kept, NEW_HEADER_AT))
        {
            match place.checked_sub(DOS_HEADER as u32) {
                Some(n) if n < MAX_DOS_CODE => self.before = Some(n.into()),
                _ => self.is_done = true,
            }
            if told {
                self.dos = self.kept.clone();
            }
            self.kept.clear();
        }
        rest
    }

    /// Bytes of the headers behind the first, as far as that is known.
    fn needed(&self) -> usize {
        let of = |at| usize::from(u16_at(&self.kept, at).unwrap_or(0));
        let needed = match self.kept.len() >= FILE_HEADER {
            true => FILE_HEADER + of(20) + SECTION_HEADER * of(6),
            false => FILE_HEADER,
        };
        needed.min(MAX_KEPT)
    }

    /// What they said. None: it is no such file, or it ended too soon.
    pub fn read(&self) -> Option<Executable> {
        let h = self.before.filter(|n| *n == 0).map(|_| self.kept.as_slice())?;
        h.strip_prefix(b"PE\0\0")?;
        let (machine, count) = (u16_at(h, 4)?, u16_at(h, 6)?);
        let (compile_ts, size, flags) = (u32_at(h, 8)?, u16_at(h, 20)?, u16_at(h, 22)?);
        let mut exe = Executable {
            machine,
            compile_ts,
            is_exe: size > 0,
            is_64bit: flags & 0x100 == 0,
            ..Executable::default()
        };
        let Some((header, sections)) = h.get(FILE_HEADER..)?.split_at_checked(size.into()) else {
            return Some(exe);
        };
        if exe.is_exe {
            exe.optional = optional(header);
            // Zeek's names them if it could read that far.
            if exe.optional.is_some() {
                let headers = sections.chunks_exact(SECTION_HEADER).take(count.into());
                exe.sections = headers.map(section_name).collect();
            }
        }
        Some(exe)
    }
}

pub(super) fn section_name(header: &[u8]) -> Vec<u8> {
    let name = header.get(..8).unwrap_or(&[]);
    name.iter().take_while(|b| **b != 0).copied().collect()
}

pub(super) fn optional(h: &[u8]) -> Option<Optional> {
    // Where the tables' number stands: behind sizes of 32 or of 64 bits.
    let number_at = match u16_at(h, 0)? {
        0x10b => 92,
        0x20b => 108,
        _ => return None,
    };
    let number = usize::try_from(u32_at(h, number_at)?).ok()?;
    let tables = h.get(number_at + 4..)?.get(..number.checked_mul(8)?)?;
    let has = |n: usize| u32_at(tables, n * 8 + 4).is_some_and(|size| size > 0);
    Some(Optional {
        os: (u16_at(h, 40)?, u16_at(h, 42)?),
        subsystem: u16_at(h, 68)?,
        dll: u16_at(h, 70)?,
        tables: [has(0), has(1), has(4), has(6)],
    })
}

impl Executable {
    /// The row of pe.log.
    pub fn row<'a>(&'a self, ts: u64, id: &'a str) -> PeRow<'a> {
        let optional = self.optional.as_ref();
        let dll = |bit: u16| optional.is_some_and(|o| o.dll & bit != 0);
        let table = |n: usize| optional.map(|o| o.tables[n]);
        PeRow {
            ts,
            id,
            machine: Some(machine(self.machine)),
            compile_ts: Some(self.compile_ts.into()),
            os: optional.map(|o| os(o.os)),
            subsystem: optional.map(|o| subsystem(o.subsystem)),
            is_exe: self.is_exe,
            is_64bit: self.is_64bit,
            uses_aslr: dll(0x40),
            uses_dep: dll(0x100),
            uses_code_integrity: dll(0x80),
            uses_seh: !dll(0x400),
            has_import_table: table(1),
            has_export_table: table(0),
            has_cert_table: table(2),
            has_debug_data: table(3),
            section_names: Some(self.sections.as_slice()).filter(|s| !s.is_empty()),
        }
    }
}

/// Microsoft's names of processors, without `IMAGE_FILE_MACHINE_`.
fn machine(n: u16) -> Cow<'static, str> {
    Cow::Borrowed(match n {
        0 => "UNKNOWN",
        0x14c => "I386",
        0x166 => "R4000",
        0x169 => "WCEMIPSV2",
        0x1a2 => "SH3",
        0x1a3 => "SH3DSP",
        0x1a6 => "SH4",
        0x1a8 => "SH5",
        0x1c0 => "ARM",
        0x1c2 => "THUMB",
        0x1c4 => "ARMNT",
        0x1d3 => "AM33",
        0x1f0 => "POWERPC",
        0x1f1 => "POWERPCFP",
        0x200 => "IA64",
        0x266 => "MIPS16",
        0x366 => "MIPSFPU",
        0x466 => "MIPSFPU16",
        0xebc => "EBC",
        0x8664 => "AMD64",
        0x9041 => "M32R",
        0xaa64 => "ARM64",
        _ => return Cow::Owned(format!("unknown-{n}")),
    })
}

/// Microsoft's names of what a program runs in, without `IMAGE_SUBSYSTEM_`.
fn subsystem(n: u16) -> Cow<'static, str> {
    Cow::Borrowed(match n {
        0 => "UNKNOWN",
        1 => "NATIVE",
        2 => "WINDOWS_GUI",
        3 => "WINDOWS_CUI",
        7 => "POSIX_CUI",
        9 => "WINDOWS_CE_GUI",
        10 => "EFI_APPLICATION",
        11 => "EFI_BOOT_SERVICE_DRIVER",
        12 => "EFI_RUNTIME_DRIVER",
        13 => "EFI_ROM",
        14 => "XBOX",
        _ => return Cow::Owned(format!("unknown-{n}")),
    })
}

/// The Windows with a version's numbers, as Zeek calls it.
fn os((major, minor): (u16, u16)) -> Cow<'static, str> {
    Cow::Borrowed(match (major, minor) {
        (10, 0) => "Windows 10",
        (6, 4) => "Windows 10 Technical Preview",
        (6, 3) => "Windows 8.1 or Server 2012 R2",
        (6, 2) => "Windows 8 or Server 2012",
        (6, 1) => "Windows 7 or Server 2008 R2",
        (6, 0) => "Windows Vista or Server 2008",
        (5, 2) => "Windows XP x64 or Server 2003",
        (5, 1) => "Windows XP",
        (5, 0) => "Windows 2000",
        (4, 90) => "Windows Me",
        (4, 10) => "Windows 98",
        (4, 0) => "Windows 95 or NT 4.0",
        (3, 51) => "Windows NT 3.51",
        (3, 50) => "Windows NT 3.5",
        (3, 2) => "Windows 3.2",
        (3, 11) => "Windows for Workgroups 3.11",
        (3, 10) => "Windows 3.1 or NT 3.1",
        (3, 0) => "Windows 3.0",
        (2, 11) => "Windows 2.11",
        (2, 10) => "Windows 2.10",
        (2, 0) => "Windows 2.0",
        (1, 4) => "Windows 1.04",
        (1, 3) => "Windows 1.03",
        (1, 1) => "Windows 1.01",
        (1, 0) => "Windows 1.0",
        _ => return Cow::Owned(format!("unknown-{major}.{minor}")),
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An executable of 32 bits with these sections, behind a program for DOS of `stub` bytes.
    pub fn executable(stub: usize, sections: &[&[u8; 8]]) -> Vec<u8> {
        let mut dos = vec![0; DOS_HEADER + stub];
        dos[..2].copy_from_slice(b"MZ");
        dos[60..64].copy_from_slice(&((DOS_HEADER + stub) as u32).to_le_bytes());
        let mut file = b"PE\0\0\x4c\x01".to_vec();
        file.extend((sections.len() as u16).to_le_bytes());
        file.extend(1_402_852_568u32.to_le_bytes());
        file.extend([0; 8]);
        file.extend(224u16.to_le_bytes());
        file.extend(0x102u16.to_le_bytes());
        let mut optional = [0; 224];
        optional[..2].copy_from_slice(&0x10bu16.to_le_bytes());
        optional[40] = 4;
        optional[68] = 2;
        optional[70..72].copy_from_slice(&0x140u16.to_le_bytes());
        optional[92] = 16;
        // Exports and certificates.
        optional[100] = 1;
        optional[132] = 1;
        let mut headers = Vec::new();
        for name in sections {
            headers.extend(*name);
            headers.extend([0; 32]);
        }
        [dos, file, optional.to_vec(), headers].concat()
    }

    fn read(bytes: &[u8], piece: usize) -> (Option<Executable>, bool) {
        let mut h = Headers::default();
        bytes.chunks(piece).for_each(|part| h.bytes(part, false));
        (h.read(), h.reads())
    }

    #[test]
    fn headers_are_read_however_they_are_cut() {
        let file = executable(100, &[b".text\0\0\0", b"longname"]);
        let whole = [&file[..], &[0xcc; 5000]].concat();
        let (exe, reads) = read(&whole, usize::MAX);
        let exe = exe.unwrap();
        assert!(!reads, "the rest of the file is of no interest");
        for piece in [1, 7, 64, 163] {
            assert_eq!(read(&whole, piece).0.as_ref(), Some(&exe));
        }
        let row = exe.row(0, "F");
        assert_eq!(row.machine.as_deref(), Some("I386"));
        assert_eq!(row.compile_ts, Some(1_402_852_568));
        assert_eq!(row.os.as_deref(), Some("Windows 95 or NT 4.0"));
        assert_eq!(row.subsystem.as_deref(), Some("WINDOWS_GUI"));
        assert!(row.is_exe && !row.is_64bit && row.uses_aslr && row.uses_dep && row.uses_seh);
        let tables = [
            row.has_export_table,
            row.has_import_table,
            row.has_cert_table,
            row.has_debug_data,
        ];
        assert_eq!(tables, [Some(true), Some(false), Some(true), Some(false)]);
        assert_eq!(row.section_names.unwrap(), [&b".text"[..], b"longname"]);
    }

    #[test]
    fn what_is_damaged_says_what_it_can() {
        let file = executable(0, &[b".text\0\0\0"]);
        for n in 0..file.len() {
            let (exe, _) = read(&file[..n], usize::MAX);
            assert_eq!(exe.is_some(), n >= DOS_HEADER + FILE_HEADER, "{n} bytes of it");
            let mut bad = file.clone();
            bad[n] ^= 0xff;
            // Whatever it is, it is read to its end.
            let _ = read(&bad, usize::MAX);
        }
        // A place of the headers that is none; very many sections.
        let mut far = file.clone();
        far[60..64].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&far, usize::MAX), (None, false));
        let mut many = file;
        many[DOS_HEADER + 6..DOS_HEADER + 8].copy_from_slice(&u16::MAX.to_le_bytes());
        many.resize(1 << 22, 0);
        let mut h = Headers::default();
        h.bytes(&many, true);
        assert!(h.kept.len() <= MAX_KEPT && h.read().is_some());
    }
}
