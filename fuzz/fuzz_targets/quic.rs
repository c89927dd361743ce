//! QUIC's datagrams of both directions. Payloads of Initial packets are protected here, or nothing would ever be read of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::api::{Protocol, Solo, Start};
use sensor::analyzer::quic::Analyzer;
use sensor::analyzer::quic::keys::Keys;
use sensor::analyzer::quic::names::family;
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

const VERSIONS: [u32; 8] = [
    1,
    0x6b33_43cf,
    0xff00_001d,
    0xff00_0020,
    0xff00_0022,
    0xff00_0017,
    0xff00_0016,
    0xface_b002,
];
const ID: &[u8] = b"connection";

/// An Initial packet with this payload.
fn initial(keys: &[Keys; 2], version: u32, is_client: bool, number: u64, payload: &[u8]) -> Option<Vec<u8>> {
    let kind = if version == 0x6b33_43cf { 0xd0 } else { 0xc0 };
    let mut packet = vec![kind | 3];
    packet.extend(version.to_be_bytes());
    packet.push(ID.len() as u8);
    packet.extend(ID);
    packet.extend([0, 0]);
    let len = 4 + payload.len() + 16;
    packet.extend((len as u32 | 0x8000_0000).to_be_bytes());
    let at = packet.len();
    packet.extend((number as u32).to_be_bytes());
    packet.extend(payload);
    keys[usize::from(!is_client)].seal(packet, at, number)
}

fuzz_target!(|data: &[u8]| {
    let Some((&settings, data)) = data.split_first() else {
        return;
    };
    let version = VERSIONS[usize::from(settings & 7)];
    let Some(keys) = family(version).and_then(|f| Keys::pair(f, ID)) else {
        return;
    };
    let port = if settings & 8 == 0 { 443 } else { 8443 };
    let subs = Subscriptions::ALL;
    let c = conn(Proto::Udp, port);
    let mut out = Said::default();
    let start = Start {
        ports: [40000, port],
        strangers: 0,
    };
    let mut quic = Solo::new(Analyzer::new(&start, &Default::default()));
    let (mut asked, mut given) = (0usize, 0u64);
    let mut datagram = Vec::new();
    for (what, piece) in pieces(data) {
        let is_orig = what & 1 == 0;
        given += 1;
        match what & 6 {
            // Protected, and more may come in the same datagram.
            0 | 2 => datagram.extend(initial(&keys, version, is_orig, given, piece).unwrap_or_default()),
            4 => datagram.extend(piece),
            _ => quic.analyzer.flip(),
        }
        if what & 2 == 0 {
            asked += datagram.len();
            quic.with(call(&c, &subs, &mut out), |a, ctx| {
                a.datagram(is_orig, &datagram, ctx)
            });
            datagram.clear();
            if quic.take_turned() {
                quic.analyzer.flip();
            }
        }
        let _ = quic.interest(is_orig);
    }
    quic.close(call(&c, &subs, &mut out));
    // Each byte is told some times over, in hex.
    assert!(
        out.text.len() < 100_000 + 100 * asked,
        "{} of {asked}",
        out.text.len()
    );
});
