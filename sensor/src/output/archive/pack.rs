//! A log is packed so that a crash leaves either the whole log or the whole packed one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::output::archived::Packed;
use crate::output::log_dir::MODE;

/// What the name of a file ends with that is not whole.
pub const PARTIAL: &str = ".partial";
/// Bytes read at a time.
const CHUNK_BYTES: usize = 128 << 10;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How far packing got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// The packed log is in its place, and the other one is gone.
    All,
    /// Nothing has changed.
    GivenUp,
}

/// Packs `log` to `goal`, which is not there, and removes it. Asks from time to time whether to `go_on`.
pub fn pack(log: &Path, goal: &Path, packed: Packed, go_on: impl FnMut() -> bool) -> io::Result<Wrote> {
    let partial = partial(goal);
    let written = write(log, &partial, packed, go_on).and_then(|wrote| {
        if wrote == Wrote::All {
            fs::rename(&partial, goal)?;
            // The name has to be as durable as what it names, before the other one goes.
            let dir = goal.parent().unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()?;
        }
        Ok(wrote)
    });
    match written {
        Ok(Wrote::All) => fs::remove_file(log)?,
        _ => drop(fs::remove_file(&partial)),
    }
    written
}

/// What a packed log is called before it is whole.
pub fn partial(goal: &Path) -> PathBuf {
    let mut name = OsString::from(goal);
    name.push(PARTIAL);
    name.into()
}

fn write(log: &Path, to: &Path, packed: Packed, mut go_on: impl FnMut() -> bool) -> io::Result<Wrote> {
    let mut from = File::open(log)?;
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(true).mode(MODE);
    let mut packer = Packer::new(how.custom_flags(libc::O_NOFOLLOW).open(to)?, packed)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if !go_on() {
            return Ok(Wrote::GivenUp);
        }
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => packer.write_all(chunk.get(..n).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let file = packer.finish()?;
    // It is as old as what is in it.
    file.set_modified(from.metadata()?.modified()?)?;
    file.sync_all()?;
    Ok(Wrote::All)
}

enum Packer {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Packer {
    fn new(file: File, packed: Packed) -> io::Result<Packer> {
        Ok(match packed {
            Packed::None => Packer::Plain(file),
            Packed::Gzip => Packer::Gzip(GzEncoder::new(file, Compression::default())),
            Packed::Zstd => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Packer::Plain(w) => w.write_all(bytes),
            Packer::Gzip(w) => w.write_all(bytes),
            Packer::Zstd(w) => w.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<File> {
        match self {
            Packer::Plain(w) => Ok(w),
            Packer::Gzip(w) => w.finish(),
            Packer::Zstd(w) => w.finish(),
        }
    }
}

/// Whether two logs are the same, each packed or not as its name says. One that is damaged is no other's copy.
pub fn same_text(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (unpack(one)?, unpack(other)?);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        let read = chunk(&mut one, &mut a).and_then(|()| chunk(&mut other, &mut b));
        if read.is_err() || a != b {
            return Ok(false);
        }
        if a.is_empty() {
            return Ok(true);
        }
    }
}

/// Reads as much as a chunk holds, or all there is.
fn chunk(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    from.take(CHUNK_BYTES as u64).read_to_end(into).map(drop)
}

/// The text of a log.
pub fn unpack(log: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(log)?);
    let is = |packed: Packed| log.to_string_lossy().ends_with(packed.ending());
    Ok(if is(Packed::Gzip) {
        Box::new(MultiGzDecoder::new(file))
    } else if is(Packed::Zstd) {
        Box::new(zstd::Decoder::with_buffer(file)?)
    } else {
        Box::new(file)
    })
}
