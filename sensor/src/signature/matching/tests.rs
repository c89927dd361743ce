//! What signatures match in connections: packets are given, matches are expected.

use proptest::prelude::*;

use super::*;
use crate::signature::{Action, At, Known};

/// Notes matches as `id>` of the originator and `id<` of the responder, with their data.
#[derive(Default)]
struct Notes {
    matches: Vec<String>,
    data: Vec<Vec<u8>>,
    asked: Vec<String>,
    says: bool,
    gave_up: usize,
}

impl Host for Notes {
    fn matched(&mut self, at: At<'_>) {
        let side = if at.is_orig { '>' } else { '<' };
        self.matches.push(format!("{}{side}", at.signature.id));
        self.data.push(at.data.to_vec());
        for action in &at.signature.actions {
            if let Action::Enable(name) = action {
                self.matches.push(format!("+{name}"));
            }
        }
    }

    fn evaluate(&mut self, function: &str, at: At<'_>) -> bool {
        self.asked.push(format!(
            "{function} {} {}",
            at.payload_size,
            String::from_utf8_lossy(at.data)
        ));
        self.says
    }

    fn gave_up(&mut self) {
        self.gave_up += 1;
    }
}

const TCP: Facts = Facts {
    tcp: true,
    udp: false,
    same_ip: false,
    established: true,
};
const UDP: Facts = Facts {
    tcp: false,
    udp: true,
    same_ip: false,
    established: false,
};

fn signatures(text: &str) -> Arc<Signatures> {
    let known = Known {
        function: &|name| name == "f",
        analyzer: &|name| name == "HTTP",
    };
    Arc::new(Signatures::of_text(text.as_bytes(), &known).expect(text))
}

/// From the originator's port 1024 to 80; `s`: who sends.
fn headers(s: usize, proto: u8) -> Headers<'static> {
    let mapped = |n| std::net::Ipv4Addr::new(10, 0, 0, n).to_ipv6_mapped().octets();
    let mut h = Headers {
        src: mapped(1),
        dst: mapped(2),
        ports: [1024, 80],
        proto,
        ..Headers::default()
    };
    if s == 1 {
        (h.src, h.dst, h.ports) = (h.dst, h.src, [80, 1024]);
    }
    h
}

struct Bench {
    matching: Matching,
    notes: Notes,
}

impl Bench {
    fn new(text: &str) -> Bench {
        Bench::with(text, 1024)
    }

    fn with(text: &str, limit: u64) -> Bench {
        Bench {
            matching: Matching::new(signatures(text), limit),
            notes: Notes::default(),
        }
    }

    fn tcp(&mut self, s: usize, bytes: &[u8]) -> &mut Self {
        let Bench { matching, notes } = self;
        matching.first(1, s, &headers(s, 6), TCP, notes);
        matching.stream(1, s, bytes, true, notes);
        self
    }

    fn udp(&mut self, s: usize, bytes: &[u8]) -> &mut Self {
        let Bench { matching, notes } = self;
        matching.datagram(1, s, bytes, &headers(s, 17), UDP, notes);
        self
    }

    fn end(&mut self) -> &mut Self {
        let tcp = self.matching.conns.get(&1).is_some_and(|c| c.facts.tcp);
        self.matching.finish(1, tcp, &mut self.notes);
        self
    }

    /// What matched since it was asked last.
    fn took(&mut self) -> String {
        std::mem::take(&mut self.notes.matches).join(" ")
    }
}

const GET: &str = "signature get { ip-proto == tcp  payload /^GET /  event \"m\" }\n";

#[test]
fn an_expression_matches_over_pieces_and_once() {
    let mut b = Bench::new(GET);
    assert_eq!(b.tcp(0, b"GE").took(), "");
    assert_eq!(b.tcp(0, b"T /").took(), "get>");
    assert_eq!(b.notes.data, [b"T /"]);
    assert_eq!(b.tcp(1, b"GET /").took(), "");
    assert_eq!(b.tcp(0, b"GET /").end().took(), "");
    assert!(b.matching.conns.is_empty());
}

#[test]
fn headers_decide_for_each_direction() {
    let mut b = Bench::new("signature s { dst-port == 80  payload /./  event \"m\" }");
    assert_eq!(b.tcp(1, b"x").took(), "");
    assert_eq!(b.tcp(0, b"x").took(), "s>");
    let mut b = Bench::new("signature s { ip-proto == udp  payload /./  event \"m\" }");
    assert_eq!(b.tcp(0, b"x").end().took(), "");
    assert_eq!(b.udp(0, b"x").took(), "s>");
}

#[test]
fn what_needs_no_payload_matches_without_any() {
    let mut b = Bench::new(
        "signature any { payload /.*/  event \"m\" }\n\
         signature none { payload /^$/  event \"m\" }\n\
         signature x { payload /x?y$/  event \"m\" }",
    );
    assert_eq!(b.tcp(0, b"").took(), "any>");
    assert_eq!(b.end().took(), "none>");
    assert_eq!(b.tcp(0, b"y").end().took(), "any> x>");
}

#[test]
fn connections_without_payload_take_no_places_in_machines() {
    let mut b = Bench::new(GET);
    b.tcp(0, b"");
    let places = |b: &Bench| b.matching.conns[&1].sides[0].cursors.len();
    assert_eq!(places(&b), 0);
    assert!(b.matching.wants_payload(1, 0) && b.matching.wants_payload(1, 1));
    b.tcp(0, b"G");
    assert_eq!(places(&b), 1);
}

#[test]
fn what_is_inside_a_stream_is_matched_anew() {
    let text = [
        "signature get { dst-port == 80  payload /^GET /  event \"m\" }\n",
        "signature to { dst-port == 80  event \"m\" }\n",
        "signature end { payload /.*x$/  event \"m\" }\n",
    ];
    let mut b = Bench::new(&text.concat());
    let inner = |b: &mut Bench, s: usize, bytes: &[u8]| {
        let ends = [0, 1].map(|s| headers(s, 6));
        let Bench { matching, notes } = b;
        matching.inner(1, s, bytes, &ends, notes);
        b.took()
    };
    assert_eq!(b.tcp(0, b"GET /").took(), "to> get>");
    assert_eq!(inner(&mut b, 1, b""), "to>");
    assert_eq!(inner(&mut b, 0, b"GE"), "");
    assert_eq!(inner(&mut b, 0, b"T x"), "get>");
    assert_eq!(b.tcp(0, b"GET x").took(), "");
    // How much is matched counts anew, too.
    b.tcp(0, &[b'.'; 2000]);
    assert!(b.matching.wants_payload(1, 0));
    assert_eq!(b.end().took(), "end>");
    b.tcp(0, &[b'.'; 2000]);
    assert!(!b.matching.wants_payload(1, 0));
    inner(&mut b, 0, b".");
    assert!(b.matching.wants_payload(1, 0));
    inner(&mut b, 0, &[b'.'; 2000]);
    assert!(!b.matching.wants_payload(1, 0));
    b.matching.flip(1);
    b.end();
    assert!(b.matching.conns.is_empty());
}

#[test]
fn signatures_without_expressions_match_with_the_first_packet_or_at_the_end() {
    let mut b = Bench::new(
        "signature port { src-port == 80  event \"m\" }\nsignature size { payload-size > 2  event \"m\" }",
    );
    assert_eq!(b.tcp(1, b"ab").took(), "port<");
    assert_eq!(b.tcp(0, b"abc").took(), "");
    assert_eq!(b.end().took(), "size>");
    // A datagram is an end.
    assert_eq!(b.udp(0, b"ab").took(), "");
    assert_eq!(b.udp(0, b"abc").took(), "size>");
}

#[test]
fn each_datagram_is_matched_from_its_beginning() {
    let mut b = Bench::new("signature s { payload /ab/  event \"m\" }");
    assert_eq!(b.udp(0, b"a").udp(0, b"b").took(), "");
    assert_eq!(b.udp(0, b"ab").took(), "s>");
}

#[test]
fn what_is_required_comes_first_or_later() {
    let both = [
        GET,
        "signature ok { payload /.*200/  requires-reverse-signature get  event \"m\" }",
    ]
    .concat();
    let mut b = Bench::new(&both);
    assert_eq!(b.tcp(1, b"HTTP/1.1 200").took(), "");
    assert_eq!(b.tcp(0, b"GET /").took(), "get> ok<");
    assert_eq!(b.notes.data, [&b"GET /"[..], b"HTTP/1.1 200"]);
    let mut b = Bench::new(&both);
    assert_eq!(b.tcp(0, b"GET /").tcp(1, b"200").took(), "get> ok<");
    let chain = [
        "signature c { payload /c/  requires-signature b  event \"m\" }\n",
        "signature b { payload /c/  requires-signature a  event \"m\" }\n",
        "signature a { payload /c/  event \"m\" }\n",
    ];
    assert_eq!(Bench::new(&chain.concat()).tcp(0, b"c").took(), "a> b> c>");
}

#[test]
fn what_is_not_to_have_matched_is_known_at_the_end() {
    let text = [
        GET,
        "signature no { payload /x/  requires-reverse-signature ! get  event \"m\" }",
    ]
    .concat();
    let mut b = Bench::new(&text);
    assert_eq!(b.tcp(0, b"PUT").tcp(1, b"x").took(), "");
    assert_eq!(b.end().took(), "no<");
    assert_eq!(b.tcp(0, b"GET /").tcp(1, b"x").end().took(), "get>");
    // Nothing came from there.
    assert_eq!(b.tcp(1, b"x").end().took(), "");
}

#[test]
fn states_and_sides_are_looked_at_when_all_else_holds() {
    let mut b = Bench::new(
        "signature o { payload /x/  tcp-state established,originator  event \"m\" }\n\
         signature r { payload /x/  tcp-state responder  event \"m\" }\n\
         signature l { payload /x/  tcp-state stateless,responder  event \"m\" }\n\
         signature u { payload /x/  udp-state originator  event \"m\" }",
    );
    assert_eq!(b.tcp(0, b"x").took(), "o> l>");
    assert_eq!(b.tcp(1, b"x").took(), "r<");
    b.end();
    assert_eq!(b.udp(1, b"x").took(), "");
    assert_eq!(b.udp(0, b"x").took(), "u>");
    // Not established yet: at the end it is.
    let Bench { matching, notes } = &mut b;
    let early = Facts {
        established: false,
        ..TCP
    };
    matching.first(2, 0, &headers(0, 6), early, notes);
    matching.stream(2, 0, b"x", false, notes);
    assert_eq!(notes.matches.concat(), "l>");
    matching.finish(2, true, notes);
    assert_eq!(notes.matches.concat(), "l>o>");
}

#[test]
fn a_script_is_asked_last() {
    let asks = signatures("signature s { eval f }\nsignature t { same-ip }");
    assert_eq!(asks.functions().collect::<Vec<_>>(), ["f"]);
    let text = "signature s { eval f  payload-size == 1  payload /x/  event \"m\"  enable \"http\" }";
    let mut b = Bench::new(text);
    assert_eq!(b.tcp(0, b"xy").took(), "");
    assert!(b.notes.asked.is_empty());
    b.end();
    assert_eq!(b.tcp(0, b"x").took(), "");
    assert_eq!(b.notes.asked, ["f 1 x"]);
    b.notes.says = true;
    assert_eq!(b.end().took(), "s> +HTTP");
}

#[test]
fn contexts_begin_anew_and_count_together() {
    let mut b = Bench::new("signature s { http-request /.*a$/  http-request-body /.*b/  event \"m\" }");
    let Bench { matching, notes } = &mut b;
    assert!(matching.wants(1, 0, Context::HttpRequest, true));
    matching.first(1, 0, &headers(0, 6), TCP, notes);
    assert!(
        matching.wants(1, 0, Context::HttpRequestBody, true)
            && !matching.wants(1, 0, Context::HttpReplyBody, true)
    );
    matching.context(1, 0, (Context::HttpRequest, b"/ab"), true, true, notes);
    matching.context(1, 0, (Context::HttpRequestBody, b"x"), true, false, notes);
    matching.context(1, 0, (Context::HttpRequestBody, b"b"), false, false, notes);
    assert!(notes.matches.is_empty());
    matching.context(1, 0, (Context::HttpRequest, b"/a"), true, true, notes);
    assert_eq!(notes.matches, ["s>"]);
    assert!(!matching.wants(1, 0, Context::HttpRequest, true));
}

#[test]
fn streams_that_come_at_a_time_are_matched_by_themselves() {
    let text = [
        "signature ab { http-reply-body /^ab/  event \"m\" }\n",
        "signature end { http-reply-body /.*xy$/  event \"m\" }",
    ];
    let mut b = Bench::new(&text.concat());
    b.tcp(1, b"");
    let body = |b: &mut Bench, stream: u32, bytes: &[u8], ends: bool| {
        let Bench { matching, notes } = b;
        matching.context_of(1, 1, stream, (Context::HttpReplyBody, bytes), ends, notes);
        b.took()
    };
    assert_eq!(body(&mut b, 1, b"a", false), "");
    assert_eq!(body(&mut b, 3, b"b", false), "");
    assert_eq!(body(&mut b, 5, b"x", false), "");
    assert_eq!(body(&mut b, 1, b"b", false), "ab<");
    // The end of another one.
    assert_eq!(body(&mut b, 3, b"y", true), "");
    // A number begins anew.
    assert_eq!(body(&mut b, 3, b"x", false), "");
    assert_eq!(body(&mut b, 5, b"y", false), "");
    assert_eq!(body(&mut b, 5, b"", true), "end<");
    assert!(!b.matching.wants(1, 1, Context::HttpReplyBody, true));
    assert_eq!(body(&mut b, 3, b"", true), "");
    b.end();
    // Too many at a time.
    b.tcp(1, b"");
    for n in 0..2000 {
        assert_eq!(body(&mut b, n, b"a", false), "");
    }
    assert!(b.notes.gave_up > 0);
    assert_eq!(body(&mut b, 7, b"b", false), "ab<");
    b.end();
    for (dfa, machine) in b.matching.dfas.iter_mut().zip(&b.matching.signatures.machines) {
        assert_eq!(dfa.streams(), 1, "only the beginning is held: {machine:?}");
    }
}

#[test]
fn payload_is_matched_and_wanted_up_to_a_bound() {
    let floating = "signature s { payload /.*x/  event \"m\" }";
    let mut b = Bench::with(floating, 4);
    assert!(b.matching.wants_payload(1, 0));
    b.tcp(0, b"abcd");
    assert!(b.matching.wants_payload(1, 0) && b.matching.wants_payload(1, 1));
    assert_eq!(b.tcp(1, b"ax").took(), "s<");
    assert!(!b.matching.wants_payload(1, 0) && !b.matching.wants_payload(1, 1));
    assert_eq!(b.tcp(0, b"x").took(), "");
    let mut b = Bench::with(floating, 0);
    for _ in 0..1000 {
        b.tcp(0, b"abcdefgh");
    }
    assert!(b.matching.wants_payload(1, 0));
    assert_eq!(b.tcp(0, b"x").took(), "s>");
    assert!(!b.matching.wants_payload(1, 0));
}

#[test]
fn nothing_is_wanted_that_cannot_match() {
    let mut b = Bench::new(
        &[
            GET,
            "signature r { payload /.*x/ tcp-state responder event \"m\" }",
        ]
        .concat(),
    );
    b.tcp(0, b"G").tcp(1, b"H");
    assert!(b.matching.wants_payload(1, 0) && b.matching.wants_payload(1, 1));
    b.tcp(0, b"ET");
    assert!(b.matching.wants_payload(1, 0));
    b.tcp(0, b"x");
    assert!(!b.matching.wants_payload(1, 0) && b.matching.wants_payload(1, 1));
    let mut b = Bench::new("signature s { dst-port == 81  payload /.*x/  event \"m\" }");
    b.tcp(0, b"");
    assert!(!b.matching.wants_payload(1, 0));
    let b = Bench::new("signature s { dst-port == 81  event \"m\" }");
    assert!(!b.matching.wants_payload(1, 0));
}

#[test]
fn an_expression_has_to_be_complete_in_time() {
    let mut b = Bench::new("signature s { payload [:4] /.*x/  event \"m\" }");
    assert_eq!(b.tcp(0, b"ab").tcp(0, b"cdx").took(), "");
    b.end();
    assert_eq!(b.tcp(0, b"ab").tcp(0, b"cx").took(), "s>");
}

#[test]
fn sides_may_change_places() {
    let mut b = Bench::new(
        &[
            GET,
            "signature p { payload /.*POST/  requires-reverse-signature get  event \"m\" }",
        ]
        .concat(),
    );
    b.tcp(0, b"PO").tcp(1, b"GET /");
    b.matching.flip(1);
    b.took();
    assert_eq!(b.tcp(1, b"ST").took(), "p<");
}

#[test]
fn signatures_that_do_not_go_together_are_refused() {
    for (text, expected) in [
        (
            "signature a { }\n\nsignature a { }",
            "signatures:3: there is a signature a already, at signatures:1",
        ),
        (
            "signature a {\n requires-signature b }",
            "signatures:2: there is no signature b",
        ),
        (
            "signature a { eval g }",
            "signatures:1: eval g: no script with this function is loaded",
        ),
        (
            "signature a { payload /(.{9999}){9999}/ }",
            "signatures:1: the expression is too large: it repeats too much, or there are too many before it",
        ),
    ] {
        let known = Known {
            function: &|_| false,
            analyzer: &|_| false,
        };
        let e = Signatures::of_text(text.as_bytes(), &known).expect_err(text);
        assert_eq!(e.to_string(), expected);
    }
    let odd = signatures(
        "signature a { enable \"gopher\" }\n\
         signature b { finger /x/ }\n\
         signature c { file-mime \"x/y\"  file-magic /x/  event \"m\" }\n\
         signature d { file-mime \"x/y\"  file-magic /x/  payload /x/ }\n\
         signature e { file-magic /x/ }\n\
         signature f { file-mime \"x/y\"  payload /x/ }\n\
         signature g { file-mime \"x/y\"  file-magic /x/ }",
    );
    let said: Vec<_> = odd.warnings.iter().map(|w| w.to_string()).collect();
    assert_eq!(
        said,
        [
            "signatures:1: there is no analyzer GOPHER; a does nothing with it",
            "signatures:2: finger is not read: the signature never matches",
            "signatures:3: a signature with file-magic says a file's type: other conditions and actions are not looked at",
            "signatures:4: file-magic stands alone: with other expressions or conditions on headers the signature never \
             matches",
            "signatures:5: file-magic without file-mime: the signature does nothing",
            "signatures:6: file-mime does nothing without file-magic"
        ]
    );
}

/// All that matches in a stream cut in these places.
fn in_pieces(text: &[u8], at: &[usize]) -> Vec<String> {
    let mut b = Bench::with(
        "signature a { payload /^GET .{0,9}x/  event \"m\" }\n\
         signature b { payload /.*[a-f]{3}y/  payload /.*x/  event \"m\" }\n\
         signature c { payload /.*y$/  requires-signature b  event \"m\" }\n\
         signature d { payload /.*\\n/  requires-signature ! a  event \"m\" }\n\
         signature e { payload [:9] /(.*\\n)?ab/i  event \"m\" }",
        0,
    );
    for w in at.windows(2) {
        b.tcp(0, &text[w[0]..w[1]]);
    }
    b.end();
    let mut all = std::mem::take(&mut b.notes.matches);
    all.sort();
    all
}

proptest! {
    /// However a stream is cut, the same signatures match.
    #[test]
    fn pieces_do_not_matter(
        text in "(GET )?[abxyAB\n]{0,40}",
        cuts in proptest::collection::vec(0usize..45, 0..6),
    ) {
        let text = text.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|c| *c.min(&text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        prop_assert_eq!(in_pieces(text, &at), in_pieces(text, &[0, text.len()]));
    }

    /// Whatever is in a file, it is signatures or an error.
    #[test]
    fn any_text_is_taken(text in "(signature s \\{ |payload |/[a-z.*+?{}()0-9,]{0,12}/|header ip\\[|[ -~\n]){0,30}") {
        let known = Known { function: &|_| true, analyzer: &|_| true };
        let _ = Signatures::of_text(text.as_bytes(), &known);
    }
}
