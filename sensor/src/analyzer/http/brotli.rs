//! Brotli (RFC 7932) in pieces. Its window is what the stream asks for, 16 MiB at most, and grows as it is filled; all of
//! its memory is counted.

use std::fmt;

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::memory::{MOST, Memory, Share};

/// Most that is taken of a worker's memory before Brotli gets none, bytes: what is in gzip always has the other half.
pub const MOST_BROTLI: usize = MOST / 2;

/// Some of the decoder's memory.
#[derive(Debug)]
pub struct Cell<T> {
    items: Vec<T>,
    _share: Option<Share>,
}

impl<T> Default for Cell<T> {
    fn default() -> Cell<T> {
        Cell {
            items: Vec::new(),
            _share: None,
        }
    }
}

impl<T> SliceWrapper<T> for Cell<T> {
    fn slice(&self) -> &[T] {
        &self.items
    }
}

impl<T> SliceWrapperMut<T> for Cell<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

/// Gives the decoder memory, or none: an empty cell, with which it fails.
struct Counted(Memory);

impl<T: Clone + Default> Allocator<T> for Counted {
    type AllocatedMemory = Cell<T>;

    fn alloc_cell(&mut self, len: usize) -> Cell<T> {
        let bytes = len.checked_mul(size_of::<T>());
        let share = bytes.and_then(|bytes| self.0.take(bytes, MOST_BROTLI));
        share.map_or_else(Cell::default, |share| Cell {
            items: vec![T::default(); len],
            _share: Some(share),
        })
    }

    fn free_cell(&mut self, _: Cell<T>) {}
}

type Decoder = BrotliState<Counted, Counted, Counted>;

/// A stream under way.
pub struct Brotli {
    decoder: Box<Decoder>,
    /// The memory of the decoder itself.
    _share: Share,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All that came is read.
    Read,
    /// The buffer is full.
    Full,
    /// The stream is over.
    End,
    /// It is none.
    Bad,
    /// There is no memory for the rest of it.
    NoMemory,
}

impl Brotli {
    /// A stream that begins. None: there is no memory for it.
    pub fn new(memory: &Memory) -> Option<Brotli> {
        let share = memory.take(size_of::<Decoder>(), MOST_BROTLI)?;
        let counted = || Counted(memory.clone());
        // Strict: without the windows of up to 1 GiB that the RFC does not have.
        let decoder = Decoder::new_strict(counted(), counted(), counted());
        Some(Brotli {
            decoder: Box::new(decoder),
            _share: share,
        })
    }

    /// Reads from `bytes` until it has to stop, and how much of `buffer` it has filled.
    pub fn step(&mut self, bytes: &mut &[u8], buffer: &mut [u8]) -> (Step, usize) {
        let (mut left, mut taken) = (bytes.len(), 0);
        let (mut room, mut made, mut total) = (buffer.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            bytes,
            &mut room,
            &mut made,
            buffer,
            &mut total,
            &mut self.decoder,
        );
        *bytes = bytes.get(taken..).unwrap_or(&[]);
        let step = match result {
            BrotliResult::NeedsMoreInput => Step::Read,
            BrotliResult::NeedsMoreOutput => Step::Full,
            BrotliResult::ResultSuccess => Step::End,
            // The decoder's errors of memory (BROTLI_DECODER_ERROR_ALLOC_).
            BrotliResult::ResultFailure => match self.decoder.error_code as i32 {
                -30..=-21 => Step::NoMemory,
                _ => Step::Bad,
            },
        };
        (step, made)
    }
}

impl fmt::Debug for Brotli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brotli").finish_non_exhaustive()
    }
}
