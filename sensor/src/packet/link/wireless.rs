//! IEEE 802.11 data frames, single and aggregated (A-MSDU).

use super::ethertype as et;
use super::{Next, Stop, Walk, not_ip, truncated};
use crate::base::bytes::be16;
use crate::packet::weird::Weird;

impl Walk<'_> {
    pub(super) fn ieee802_11(&mut self) -> Result<Next, Stop> {
        let mut header = 24;
        let r = self.beyond(header, Weird::Truncated80211Header)?;
        let (fc, flags) = (r[0], r[1]);
        // Management, control; data frames without data.
        if fc & 0x08 == 0 || fc & 0x40 != 0 {
            return not_ip();
        }
        if flags & 3 == 3 {
            // Four addresses.
            header += 6;
        }
        let r = self.beyond(header, Weird::Truncated80211Header)?;
        let mut aggregate = false;
        if fc & 0x80 != 0 {
            // QoS; A-MSDU present is bit 7 of its first byte.
            aggregate = r[header] & 0x80 != 0;
            if flags & 0x40 != 0 {
                // Encrypted.
                return not_ip();
            }
            header += 2;
        }
        self.beyond(header, Weird::Truncated80211Header)?;
        self.at += header;
        if aggregate {
            self.subframe()?;
        } else {
            self.wlan_llc()?;
        }
        Ok(Next::Ip)
    }

    /// One frame of an A-MSDU: 14 bytes of header, LLC and SNAP.
    pub(super) fn subframe(&mut self) -> Result<(), Stop> {
        let r = self.rest();
        let Some(len) = be16(r, 12) else {
            return truncated(Weird::Truncated80211AmsduHeader);
        };
        let len = len as usize;
        if r.len() < len + 14 {
            return truncated(Weird::Truncated80211AmsduPacket);
        }
        self.at += 14;
        let whole = self.end;
        self.end = self.at + len;
        // All but the last are padded to a multiple of four bytes, header included.
        let next = self.at + len + (14 + len).next_multiple_of(4) - (14 + len);
        if next < whole {
            self.out.more = next as u32;
        }
        self.wlan_llc()
    }

    fn wlan_llc(&mut self) -> Result<(), Stop> {
        let r = self.rest();
        if r.len() < 8 {
            return truncated(Weird::Truncated80211LlcHeader);
        }
        if r[..6] != [0xaa, 0xaa, 3, 0, 0, 0] {
            return not_ip();
        }
        let t = be16(r, 6).unwrap_or(0);
        self.at += 8;
        match t {
            et::IPV4 | et::IPV6 => Ok(()),
            _ => Err(self.other(t)),
        }
    }
}
