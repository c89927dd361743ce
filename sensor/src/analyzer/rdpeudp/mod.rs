//! RDP over UDP (MS-RDPEUDP and MS-RDPEUDP2), as far as its handshake: sure when the server has answered.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = RdpeUdp;

/// Flags of a datagram (MS-RDPEUDP, section 2.2.2.1).
mod flag {
    pub(super) const SYN: u16 = 0x0001;
    pub(super) const ACK: u16 = 0x0004;
    pub(super) const DATA: u16 = 0x0008;
    pub(super) const ACK_OF_ACKS: u16 = 0x0100;
    pub(super) const CORRELATION_ID: u16 = 0x0800;
    pub(super) const SYNEX: u16 = 0x1000;
}

/// The version that brings MS-RDPEUDP2 (MS-RDPEUDP, section 2.2.2.9).
const VERSION_3: u16 = 0x0101;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Syn,
    SynAck,
    Open,
}

/// One flow's state.
#[derive(Debug)]
pub struct RdpeUdp {
    state: State,
    /// By side, orig first.
    versions: [u16; 2],
}

/// A datagram of the handshake.
struct Handshake {
    acknowledged: u32,
    flags: u16,
    version: u16,
}

impl Protocol for RdpeUdp {
    const SPEC: Spec = Spec {
        udp_ports: &[3389],
        udp_rules: &[begins],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_RDPEUDP", "rdpeudp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> RdpeUdp {
        RdpeUdp {
            state: State::Syn,
            versions: [0; 2],
        }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if self.read(is_orig, bytes, ctx).is_none() {
            ctx.violation("no RDPEUDP datagram");
        }
        Next::More
    }

    fn flip(&mut self) {
        self.versions.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl RdpeUdp {
    fn read(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        let mut f = Fields::new(bytes);
        match self.state {
            State::Syn => {
                let syn = handshake(&mut f)?;
                if is_orig && syn.flags & flag::SYN != 0 && syn.acknowledged == u32::MAX {
                    self.versions[0] = syn.version;
                    self.state = State::SynAck;
                }
            }
            State::SynAck => {
                let syn = handshake(&mut f)?;
                if !is_orig && syn.flags & (flag::SYN | flag::ACK) != 0 {
                    self.versions[1] = syn.version;
                    self.state = State::Open;
                    ctx.confirm();
                }
            }
            State::Open if self.versions == [VERSION_3; 2] => f.skip(3)?,
            State::Open => {
                f.skip(6)?;
                let flags = f.be16()?;
                // An acknowledgement vector, padded from its own beginning on.
                let acknowledged = f.be16()?;
                f.skip(acknowledged.into())?;
                let vector = usize::from(acknowledged) + 2;
                f.skip((vector.next_multiple_of(4) - vector) as u64)?;
                if flags & flag::ACK_OF_ACKS != 0 {
                    f.skip(4)?;
                }
                if flags & flag::DATA != 0 {
                    f.skip(8)?;
                }
            }
        }
        Some(())
    }
}

/// SYN or SYN and ACK (MS-RDPEUDP, sections 2.2.5.1 and 2.2.5.2). Zeek takes none without a version.
fn handshake(f: &mut Fields<'_>) -> Option<Handshake> {
    let acknowledged = f.be32()?;
    f.skip(2)?;
    let flags = f.be16()?;
    f.skip(8)?;
    if flags & flag::CORRELATION_ID != 0 {
        f.skip(32)?;
    }
    if flags & flag::SYNEX == 0 {
        return None;
    }
    f.skip(2)?;
    let version = f.be16()?;
    if version == VERSION_3 {
        f.skip(32)?;
    }
    Some(Handshake {
        acknowledged,
        flags,
        version,
    })
}

/// A SYN, which is padded to what the path is to carry.
fn begins(bytes: &[u8]) -> bool {
    let fits = |b: &u8| *b != b'\n';
    (1132..=1232).contains(&bytes.len())
        && bytes.starts_with(&[0xff; 4])
        && bytes.get(4..7).is_some_and(|b| b.iter().all(fits))
        && bytes.get(7) == Some(&1)
}
