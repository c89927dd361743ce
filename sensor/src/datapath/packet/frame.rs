//! A frame of a packet socket, made into those of the wire.

use super::ring::Raw;
use super::segments;

/// Where a VLAN tag stands: behind the two addresses.
const TAG_AT: usize = 12;

/// Makes frames whole: keeps memory for that.
#[derive(Default)]
pub struct Frames {
    tagged: Vec<u8>,
    piece: Vec<u8>,
}

impl Frames {
    /// Gives `each` the frames of the wire that `raw` stands for, with their length there.
    pub fn of(&mut self, raw: &Raw<'_>, mut each: impl FnMut(&[u8], u32)) {
        let mut data = raw.data;
        let mut wire_len = raw.wire_len;
        if let Some((tpid, tci)) = raw.vlan
            && let (Some(addresses), Some(rest)) = (data.get(..TAG_AT), data.get(TAG_AT..))
        {
            self.tagged.clear();
            self.tagged.extend_from_slice(addresses);
            self.tagged.extend(tpid.to_be_bytes());
            self.tagged.extend(tci.to_be_bytes());
            self.tagged.extend_from_slice(rest);
            data = &self.tagged;
            wire_len += 4;
        }
        // Of a frame that is not all there it is not known how many there are.
        let is_whole = data.len() as u32 == wire_len;
        let is_cut = is_whole
            && raw
                .segment
                .is_some_and(|size| segments::cut(data, size, &mut self.piece, |f| each(f, f.len() as u32)));
        if !is_cut {
            each(data, wire_len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_put_back() {
        let data: Vec<u8> = (0..20).collect();
        let raw = Raw {
            ns: 0,
            data: &data,
            wire_len: 20,
            vlan: Some((0x88a8, 0x2007)),
            segment: None,
        };
        let mut all = Vec::new();
        Frames::default().of(&raw, |f, len| all.push((f.to_vec(), len)));
        let mut expected = data.clone();
        expected.splice(12..12, [0x88, 0xa8, 0x20, 0x07]);
        assert_eq!(all, [(expected, 24)]);
        // Too short to have had one.
        let short = Raw {
            data: &data[..11],
            wire_len: 11,
            ..raw
        };
        all.clear();
        Frames::default().of(&short, |f, len| all.push((f.to_vec(), len)));
        assert_eq!(all, [(data[..11].to_vec(), 11)]);
    }
}
