//! The chain of IPv6's extension headers (RFC 8200, 4), in bounds. What a header says is for others.

use sensor_common::proto::{AH, DSTOPTS, ESP, FRAGMENT, HOPOPTS, MOBILITY, ROUTING};

/// Length of IPv6's own header, bytes.
pub const IPV6_HEADER: usize = 40;

/// An extension header as it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtHeader<'a> {
    /// Its protocol number.
    pub id: u8,
    /// Where it starts, bytes from the IP header.
    pub at: usize,
    /// The protocol number that its first byte names. ESP's first byte is no such number.
    pub next: u8,
    /// Its bytes, as many as its length field says; None if the packet ends before.
    pub bytes: Option<&'a [u8]>,
}

/// Walks the chain of extension headers. It ends at a header of another type, or one whose length field is cut off.
///
/// It goes on after every header whose length it can read. The caller must stop where it may not read on: after a fragment
/// header, a mobility header, or a header that is cut off.
#[derive(Clone, Debug)]
pub struct ExtHeaders<'a> {
    packet: &'a [u8],
    id: u8,
    at: usize,
}

impl<'a> ExtHeaders<'a> {
    /// The extension headers of the IPv6 packet `packet`, whose IPv6 header names `first` as the next header.
    pub fn new(packet: &'a [u8], first: u8) -> Self {
        ExtHeaders {
            packet,
            id: first,
            at: IPV6_HEADER,
        }
    }

    /// Protocol number of the header that comes next, and where it starts, bytes from the IP header. At the end of the
    /// chain this is the transport's, or the extension header that was cut.
    pub fn place(&self) -> (u8, usize) {
        (self.id, self.at)
    }
}

impl<'a> Iterator for ExtHeaders<'a> {
    type Item = ExtHeader<'a>;

    fn next(&mut self) -> Option<ExtHeader<'a>> {
        let (id, at) = self.place();
        let len = match id {
            FRAGMENT | ESP => 8,
            // AH counts in units of four bytes less two (RFC 4302, 2.2), the others in units of eight less one.
            AH => 8 + 4 * *self.packet.get(at + 1)? as usize,
            HOPOPTS | ROUTING | DSTOPTS | MOBILITY => 8 + 8 * *self.packet.get(at + 1)? as usize,
            _ => return None,
        };
        let next = *self.packet.get(at)?;
        (self.id, self.at) = (next, at + len);
        let bytes = self.packet.get(at..at + len);
        Some(ExtHeader { id, at, next, bytes })
    }
}

/// Whether a protocol number is an extension header's.
pub fn is_extension(id: u8) -> bool {
    matches!(id, HOPOPTS | ROUTING | FRAGMENT | ESP | AH | DSTOPTS | MOBILITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_goes_by_each_headers_length() {
        let mut packet = vec![0; 40];
        packet.extend([AH, 1]);
        packet.resize(56, 0);
        packet.extend([FRAGMENT, 1]);
        packet.resize(68, 0);
        packet.extend([6, 255, 0, 0, 0, 0, 0, 0, 1, 2]);
        let mut headers = ExtHeaders::new(&packet, HOPOPTS);
        let met: Vec<_> = headers.by_ref().map(|h| (h.id, h.at, h.next)).collect();
        assert_eq!(met, [(HOPOPTS, 40, AH), (AH, 56, FRAGMENT), (FRAGMENT, 68, 6)]);
        assert_eq!(headers.place(), (6, 76));
    }

    #[test]
    fn a_cut_header_has_no_bytes_and_the_chain_ends_without_a_length() {
        let mut packet = vec![0; 40];
        packet.extend([60, 1, 0, 0, 0, 0, 0, 0]);
        let mut headers = ExtHeaders::new(&packet, HOPOPTS);
        assert!(headers.next().is_some_and(|h| h.bytes.is_none()));
        assert_eq!((headers.next(), headers.place()), (None, (60, 56)));
        assert_eq!(ExtHeaders::new(&packet[..41], HOPOPTS).next(), None);
        // A fragment header's length is known without reading it.
        assert!(ExtHeaders::new(&packet[..41], FRAGMENT).next().is_some());
    }
}
