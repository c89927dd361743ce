//! SYNs as real systems send them, and as nobody does.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::matching::How;
use super::*;
use crate::base::known::Known;
use crate::base::time::SECOND;
use crate::event::ConnId;

const BUILTIN: &str = include_str!("../../../fingerprints/os.fp");

fn builtin() -> Arc<Fingerprints> {
    Arc::new(Fingerprints::parse("os.fp", BUILTIN).expect("the sensor's own are in order"))
}

/// A SYN, or with `ack` a SYN-ACK.
struct Syn {
    ttl: u8,
    df: bool,
    id: u16,
    window: u16,
    options: Vec<u8>,
    ack: bool,
}

const NOP: &[u8] = &[1];
const SOK: &[u8] = &[4, 2];
const EOL: &[u8] = &[0, 0];

fn mss(n: u16) -> Vec<u8> {
    [&[2, 4][..], &n.to_be_bytes()].concat()
}

fn ws(n: u8) -> Vec<u8> {
    vec![3, 3, n]
}

fn ts(n: u32) -> Vec<u8> {
    [&[8, 10][..], &n.to_be_bytes(), &[0; 4]].concat()
}

fn linux(scale: u8) -> Vec<u8> {
    [&mss(1460)[..], SOK, &ts(7), NOP, &ws(scale)].concat()
}

fn windows(scale: u8) -> Vec<u8> {
    [&mss(1460)[..], NOP, &ws(scale), NOP, NOP, SOK].concat()
}

fn macos(scale: u8) -> Vec<u8> {
    [&mss(1460)[..], NOP, &ws(scale), NOP, NOP, &ts(7), SOK, EOL].concat()
}

impl Syn {
    fn of(ttl: u8, id: u16, window: u16, options: Vec<u8>) -> Syn {
        Syn {
            ttl,
            df: true,
            id,
            window,
            options,
            ack: false,
        }
    }

    /// From its IP header on.
    fn bytes(&self) -> Vec<u8> {
        let mut ip = vec![0x45, 0];
        ip.extend((40 + self.options.len() as u16).to_be_bytes());
        ip.extend(self.id.to_be_bytes());
        ip.extend([if self.df { 0x40 } else { 0 }, 0, self.ttl, 6, 0, 0]);
        ip.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        ip.extend([0x80, 0, 0, 80, 1, 2, 3, 4, 0, 0, 0, u8::from(self.ack)]);
        let header = (20 + self.options.len()) / 4;
        ip.extend([(header as u8) << 4, if self.ack { 0x12 } else { 2 }]);
        ip.extend(self.window.to_be_bytes());
        ip.extend([0; 4]);
        ip.extend(&self.options);
        ip
    }

    fn sight(&self) -> Sight {
        Sight::of(&self.bytes(), 20, false).expect("a SYN")
    }

    /// Genre, detail, how, and hops.
    fn named(&self) -> Option<(String, String, How, u8)> {
        let all = builtin();
        let found = all.find(&self.sight())?;
        let label = all.label(found.label).expect("a label");
        Some((
            label.name.clone(),
            label.detail.clone(),
            found.how,
            found.distance,
        ))
    }
}

/// What these send was seen in public captures (of Zeek's tests, by name), in which the host says what it runs on in HTTP's User-Agent
/// or SSH's banner; FreeBSD's is that of its own test suite (freebsd-net/tcp-testsuite).
#[test]
fn systems_are_named_by_what_they_send() {
    // ESP32 in "Low-power WiFi" (T. von Eicken, 2018): win 5744, options [mss 1436]; it does not show the TTL.
    let lwip = |ttl| Syn {
        df: false,
        ..Syn::of(ttl, 5, 5744, mss(1436))
    };
    let of = Syn::of;
    for (syn, genre, detail, far) in [
        // wikipedia.trace: Ubuntu/10.04
        (of(64, 9, 5840, linux(7)), "Linux", "2.6", 0),
        // bro.org.pcap: Linux i686, Firefox 24
        (of(64, 9, 14600, linux(7)), "Linux", "3.0 to 3.10", 0),
        // ocsp-request-only.pcap: Fedora, Firefox 38; further away
        (of(55, 9, 29200, linux(7)), "Linux", "3.11 to 4.18", 9),
        // broker-websocket.pcap: Python 3.10
        (of(64, 9, 64240, linux(7)), "Linux", "4.19 and newer", 0),
        // pipelined-requests.trace: Windows NT 5.1
        (
            of(128, 9, 65535, [&mss(1460)[..], NOP, NOP, SOK].concat()),
            "Windows",
            "XP",
            0,
        ),
        // byteranges.trace: Windows NT 6.1
        (of(128, 9, 8192, windows(2)), "Windows", "Vista to 8", 0),
        // no_crlf.pcap: Windows NT 10.0
        (of(128, 9, 65535, windows(8)), "Windows", "10 and newer", 0),
        (of(113, 9, 64240, windows(8)), "Windows", "10 and newer", 15),
        // flash-version.trace: Intel Mac OS X of 2009
        (of(64, 9, 65535, macos(1)), "macOS", "10.6 and older", 0),
        // ssh traces: Mac OS X 10.12; hrr.pcap: of 2018, without an id
        (of(64, 9, 65535, macos(5)), "macOS", "10.7 and newer, iOS", 0),
        (of(64, 0, 65535, macos(6)), "macOS", "10.7 and newer, iOS", 0),
        (
            of(64, 9, 65535, [&mss(1460)[..], NOP, &ws(6), SOK, &ts(7)].concat()),
            "FreeBSD",
            "",
            0,
        ),
        // qi_internet_SYNACK_curl_jsonip.pcap: curl of OpenBSD 5.5
        (
            of(
                64,
                9,
                16384,
                [&mss(1460)[..], NOP, NOP, SOK, NOP, &ws(0), NOP, NOP, &ts(7)].concat(),
            ),
            "OpenBSD",
            "",
            0,
        ),
        (
            lwip(255),
            "lwIP",
            "embedded devices, such as ESP8266 and ESP32",
            0,
        ),
        (lwip(64), "lwIP", "embedded devices, such as ESP8266 and ESP32", 0),
    ] {
        let named = syn.named();
        let want = (genre.to_owned(), detail.to_owned(), How::Direct, far);
        assert_eq!(named, Some(want), "{}", syn.sight());
    }
}

#[test]
fn what_paths_change_makes_it_less_sure_and_what_they_do_not_unknown() {
    let mut syn = Syn::of(64, 9, 29200, linux(7));
    syn.df = false;
    let how = |s: &Syn| s.named().map(|(.., how, _)| how);
    assert_eq!(how(&syn), Some(How::Fuzzy));
    syn.df = true;
    // Nobody knows this window.
    syn.window = 12345;
    assert_eq!(how(&syn), Some(How::Generic));
    // Generic signatures hold in whole or not at all.
    syn.df = false;
    assert_eq!(how(&syn), None);
    // No Linux puts its options like that.
    syn.options = [&mss(1460)[..], &ws(7), SOK, NOP, &ts(1)].concat();
    assert_eq!(how(&syn), None);
}

#[test]
fn nonsense_has_no_name() {
    let all = builtin();
    // As packet generators make them.
    let mut plain = Syn::of(64, 1, 8192, Vec::new());
    plain.df = false;
    assert_eq!(plain.named(), None);
    let mut state = 7_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let mut named = 0;
    for _ in 0..20_000 {
        let options: Vec<u8> = (0..random() % 11 * 4).map(|_| random()).collect();
        let mut syn = Syn::of(random(), u16::from(random()), u16::from(random()) << 8, options);
        syn.df = random() & 1 == 0;
        let bytes = syn.bytes();
        if let Some(sight) = Sight::of(&bytes, 20, false) {
            assert!(!sight.to_string().is_empty());
            named += usize::from(all.find(&sight).is_some());
        }
        // Cut off anywhere.
        let cut = usize::from(random()) % bytes.len();
        assert_eq!(Sight::of(&bytes[..cut], 20, false), None);
    }
    assert_eq!(named, 0);
}

#[test]
fn a_tool_is_none_of_a_system() {
    let mut syn = Syn::of(50, 9, 1024, mss(1460));
    syn.df = false;
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut hosts = Hosts::new(builtin(), Known::default());
    let sight = syn.sight();
    let found = hosts.see(host, host, &sight, SECOND).expect("a tool");
    assert_eq!(found.version(), None);
    let c = ConnId::sample(80);
    let row = found.row(&c, host, true, SECOND).expect("a row");
    assert_eq!((row.genre, row.class), ("Nmap", None));
}

#[test]
fn a_host_is_told_once_and_once_more_when_it_is_known_how_long_it_is_up() {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut hosts = Hosts::new(builtin(), Known::default());
    // 100 Hz, and an hour up.
    let hour = 360_000;
    let mut seen = Vec::new();
    for n in 0..5_u32 {
        let options = [&mss(1460)[..], SOK, &ts(hour + 100 * n), NOP, &ws(7)].concat();
        let sight = Syn::of(64, 9, 64240, options).sight();
        let now = SECOND * u64::from(10 + n);
        let found = hosts.see(host, host, &sight, now);
        seen.push(found.map(|f| {
            (
                f.is_new,
                f.row(&ConnId::sample(80), host, true, now).and_then(|r| r.uptime),
            )
        }));
    }
    let up = 3601 * SECOND as i64;
    assert_eq!(
        seen,
        [Some((true, None)), Some((false, Some(up))), None, None, None]
    );
}

#[test]
fn a_file_that_is_wrong_is_named_with_its_line() {
    for (text, what) in [
        ("", "no signature"),
        (
            "[tcp:request]\nsig = *:64:0:*:*,*:mss::0",
            "x.fp:2: a label comes before",
        ),
        ("[tcp:request]\nlabel = Linux", "x.fp:2: \"Linux\" is no label"),
        (
            "[tcp:request]\nlabel = s:unix:a:b\nsig = *:64:0:*:*,*:mss:0",
            "x.fp:3: ",
        ),
        (
            "[tcp:request]\nlabel = s:unix:a:b\nsig = *:64:0:*:*,*:msx::0",
            "\"msx\" is no TCP option",
        ),
        (
            "[tcp:request]\nlabel = s:unix:a:b\nsig = *:64:0:*:%0,*:mss::0",
            "multiple of 0",
        ),
        (
            "[tcp:request]\nlabel = s:unix:a:b\nsig = 6:64:0:*:*,*:mss:df:0",
            "other IP version",
        ),
        (
            "[tcp:request]\nlabel = s:unix:a:b\nsig = *:300:0:*:*,*:mss::0",
            "\"300\" is no TTL",
        ),
        ("[tcp:request]\nnonsense", "x.fp:2: a line is"),
    ] {
        let e = Fingerprints::parse("x.fp", text).expect_err(text);
        assert!(e.to_string().contains(what), "{e}");
    }
    // As p0f's own file goes on, which has more in it than TCP.
    let text = "classes = win\n[http:request]\nua_os = Linux\nsig = *:Host:::\n[tcp:response]\nlabel = s:!:x:y\nsys = @unix\nsig = 4:60+4:0:*:mss*4,0:mss,eol+1:id+,ts1-:*";
    assert_eq!(Fingerprints::parse("x.fp", text).expect("in order").len(), 1);
}
