//! What may happen to a stream on its way.

use std::ops::Range;

/// Pieces of a stream of `len` bytes in the order in which they come. `segments`: their lengths; after the last the first comes
/// again. `mishaps`: segment number, and what happens to it: it is lost (0), is doubled (1) or comes so many later.
pub fn order(segments: &[u16], mishaps: &[(u8, u8)], len: usize) -> Vec<Range<usize>> {
    let (mut at, mut out) = (0, Vec::new());
    for n in segments.iter().cycle() {
        if at == len {
            break;
        }
        let end = (at + *n as usize).min(len);
        out.push(at..end);
        at = end;
    }
    for (i, what) in mishaps.iter().rev() {
        let i = *i as usize;
        if i >= out.len() {
            continue;
        }
        match *what {
            0 => drop(out.remove(i)),
            1 => out.insert(i, out[i].clone()),
            later => {
                let s = out.remove(i);
                out.insert((i + later as usize).min(out.len()), s);
            }
        }
    }
    out
}
