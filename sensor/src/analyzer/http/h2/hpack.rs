//! HPACK (RFC 7541): header blocks of HTTP/2 back into headers.
//!
//! Crates that do this build a table of Huffman codes for each string, or have a licence that does not fit: a sender of
//! many short strings would keep a processor busy.

use std::collections::VecDeque;

/// Most memory of a table of headers, bytes as section 4.1 counts them. A sender may ask for more than that of its peer;
/// then its blocks are not read.
const MAX_TABLE: usize = 64 << 10;
/// What an entry counts beside its name and value (section 4.1).
const ENTRY_OVERHEAD: usize = 32;
/// Most headers of one block.
const MAX_HEADERS: usize = 1000;
/// Most bytes of all headers of one block, decoded: a byte of it may stand for a whole entry of the table.
const MAX_DECODED: usize = 1 << 20;
/// So much may come out of any blocks of a direction, bytes.
const FREE_OUTPUT: u64 = 4 << 20;
/// Beyond that, most bytes that may come out for each that went in: cookies of 8 KB, sent anew by a byte in each small
/// request, come to some 300.
const MAX_RATIO: u64 = 500;
/// What a block counts beside its bytes: a frame's header.
const BLOCK_OVERHEAD: u64 = 9;

/// What is wrong with a block. Those after it cannot be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It makes no sense.
    Malformed,
    /// It goes beyond a limit of ours.
    TooLarge,
}

/// One direction's table of headers.
#[derive(Debug)]
pub struct Table {
    /// The latest first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    max_size: usize,
    /// Bytes of blocks so far, and of the headers that they were.
    input: u64,
    output: u64,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            entries: VecDeque::new(),
            size: 0,
            max_size: 4096,
            input: 0,
            output: 0,
        }
    }
}

impl Table {
    /// Reads a block; `each` is called with every header's name and value.
    pub fn decode(&mut self, mut block: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Error> {
        self.input = self
            .input
            .saturating_add(block.len() as u64)
            .saturating_add(BLOCK_OVERHEAD);
        let most = FREE_OUTPUT.max(self.input.saturating_mul(MAX_RATIO));
        let (mut headers, mut decoded) = (0, 0);
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while let Some(&first) = block.first() {
            let (prefix, keep) = match first {
                0x80.. => (7, false),
                0x40.. => (6, true),
                0x20.. => {
                    self.resize(integer(&mut block, 5)?)?;
                    continue;
                }
                _ => (4, false),
            };
            let index = integer(&mut block, prefix)?;
            name.clear();
            value.clear();
            if prefix == 7 {
                let (n, v) = self.get(index)?;
                name.extend_from_slice(n);
                value.extend_from_slice(v);
            } else {
                match index {
                    0 => string(&mut block, &mut name)?,
                    _ => name.extend_from_slice(self.get(index)?.0),
                }
                string(&mut block, &mut value)?;
            }
            headers += 1;
            let len = name.len() + value.len();
            decoded += len;
            self.output = self.output.saturating_add(len as u64);
            if headers > MAX_HEADERS || decoded > MAX_DECODED || self.output > most {
                return Err(Error::TooLarge);
            }
            each(&name, &value);
            if keep {
                self.add(&name, &value);
            }
        }
        Ok(())
    }

    /// The entry with an index (section 2.3.3).
    fn get(&self, index: usize) -> Result<(&[u8], &[u8]), Error> {
        let at = index.checked_sub(1).ok_or(Error::Malformed)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(at - STATIC.len()).ok_or(Error::Malformed)?;
        Ok((&entry.0, &entry.1))
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size <= self.max_size {
            self.size += size;
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    fn resize(&mut self, max_size: usize) -> Result<(), Error> {
        if max_size > MAX_TABLE {
            return Err(Error::TooLarge);
        }
        self.max_size = max_size;
        self.evict(max_size);
        Ok(())
    }

    /// Drops the oldest entries until no more than `most` bytes are taken.
    fn evict(&mut self, most: usize) {
        while self.size > most
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

/// Takes an integer whose first byte has it in the lower `prefix` bits (section 5.1).
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, Error> {
    let (&first, mut rest) = block.split_first().ok_or(Error::Malformed)?;
    let mask = (1usize << prefix) - 1;
    let mut n = usize::from(first) & mask;
    if n == mask {
        let mut shift = 0;
        loop {
            let (&b, after) = rest.split_first().ok_or(Error::Malformed)?;
            rest = after;
            // No number here is that large.
            if shift > 28 {
                return Err(Error::Malformed);
            }
            n += usize::from(b & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(n)
}

/// Takes a string (section 5.2), appends it to `out`.
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let is_huffman = block.first().is_some_and(|b| b & 0x80 != 0);
    let len = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(len).ok_or(Error::Malformed)?;
    *block = rest;
    match is_huffman {
        true => HUFFMAN.decode(text, out),
        false => {
            out.extend_from_slice(text);
            Ok(())
        }
    }
}

/// Symbols by their codes. The codes are canonical: those of one length follow one another in the order of their
/// symbols, and those of the next length follow them.
struct Huffman {
    /// For each length, bits: its first code, where its symbols begin, and how many it has.
    lengths: [(u32, u16, u16); LONGEST + 1],
    symbols: [u16; 257],
}

/// Length of the longest code, bits.
const LONGEST: usize = 30;
/// The symbol that ends nothing: it must not be sent.
const END: u16 = 256;

static HUFFMAN: Huffman = Huffman::new();

impl Huffman {
    const fn new() -> Huffman {
        let mut h = Huffman {
            lengths: [(0, 0, 0); LONGEST + 1],
            symbols: [0; 257],
        };
        let (mut len, mut code, mut n) = (1, 0u32, 0);
        while len <= LONGEST {
            code <<= 1;
            let (first, from) = (code, n);
            let mut symbol = 0;
            while symbol < CODE_LENGTHS.len() {
                if CODE_LENGTHS[symbol] as usize == len {
                    h.symbols[n] = symbol as u16;
                    n += 1;
                    code += 1;
                }
                symbol += 1;
            }
            h.lengths[len] = (first, from as u16, (n - from) as u16);
            len += 1;
        }
        h
    }

    fn decode(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let (mut code, mut len) = (0u32, 0);
        for byte in text {
            for bit in (0..8).rev() {
                code = code << 1 | u32::from(byte >> bit & 1);
                len += 1;
                let (first, from, count) = *self.lengths.get(len).ok_or(Error::Malformed)?;
                let at = code.wrapping_sub(first);
                if at >= u32::from(count) {
                    continue;
                }
                match self.symbols.get(from as usize + at as usize) {
                    Some(&symbol) if symbol != END => out.push(symbol as u8),
                    _ => return Err(Error::Malformed),
                }
                (code, len) = (0, 0);
            }
        }
        // What is left over is the beginning of the symbol that ends nothing: ones.
        match len < 8 && code == (1 << len) - 1 {
            true => Ok(()),
            false => Err(Error::Malformed),
        }
    }
}

/// How long the symbols' codes are, bits (appendix B).
#[rustfmt::skip]
const CODE_LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The headers with indices from 1 on (appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(table: &mut Table, hex: &str) -> Result<Vec<String>, Error> {
        let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let block: Vec<u8> = digits
            .chunks(2)
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect();
        let mut out = Vec::new();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        table.decode(&block, &mut |n, v| out.push(format!("{}: {}", text(n), text(v))))?;
        Ok(out)
    }

    #[test]
    fn the_rfcs_examples_are_read() {
        // Appendix C.4: three requests on one connection, with Huffman codes.
        let mut t = Table::default();
        let first = [
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
        ];
        assert_eq!(
            decode(&mut t, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff").unwrap(),
            first
        );
        let second = [&first[..], &["cache-control: no-cache"]].concat();
        assert_eq!(decode(&mut t, "8286 84be 5886 a8eb 1064 9cbf").unwrap(), second);
        let third = [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ];
        assert_eq!(
            decode(
                &mut t,
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"
            )
            .unwrap(),
            third
        );
        assert_eq!((t.size, t.entries.len()), (164, 3));
        // Appendix C.6.1: a response; a table of 256 bytes keeps the last of it.
        let mut t = Table::default();
        t.resize(256).unwrap();
        let got = decode(
            &mut t,
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d \
             29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        );
        assert_eq!(got.unwrap()[2], "date: Mon, 21 Oct 2013 20:13:21 GMT");
        assert_eq!((t.size, t.entries.len()), (222, 4));
    }

    #[test]
    fn hostile_blocks_are_refused() {
        let fails = |hex: &str| decode(&mut Table::default(), hex).unwrap_err();
        // Index 0, an index beyond the table, a string beyond the block, an endless number.
        for bad in [
            "80",
            "be",
            "0085",
            "40",
            "ffffffffffffffffff01",
            "00818000",
            "0082ffff00",
        ] {
            assert_eq!(fails(bad), Error::Malformed, "{bad}");
        }
        // A larger table than there is room for.
        assert_eq!(fails("3fe1ffff03"), Error::TooLarge);
        // Four thousand bytes, a byte each.
        let mut t = Table::default();
        let long = format!("4001{}7fa11e{}", "61", "62".repeat(4000));
        let _ = decode(&mut t, &long);
        assert_eq!(decode(&mut t, &"be".repeat(5000)), Err(Error::TooLarge));
        // The same in many small blocks.
        let mut t = Table::default();
        decode(&mut t, &long).unwrap();
        let fails = (0..10_000).any(|_| decode(&mut t, &"be".repeat(100)) == Err(Error::TooLarge));
        assert!(fails);
        // One in each request, as of cookies, is usual.
        let mut t = Table::default();
        decode(&mut t, &long).unwrap();
        for _ in 0..10_000 {
            decode(&mut t, "be82848687").unwrap();
        }
    }
}
