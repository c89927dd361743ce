//! A file of signatures, and behind its first NUL a stream for them: two lengths of pieces, then its bytes.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sensor::file::mime::Magic;
use sensor::signature::header::Headers;
use sensor::signature::{At, Context, Facts, FileMagic, Host, Known, Matching, Signatures};

/// What a stream is matched as.
#[derive(Clone, Copy)]
enum As {
    Payload,
    /// What is inside another stream.
    Inner,
    Context(Context),
}

#[derive(Default)]
struct Matched(Vec<(String, bool)>);

impl Host for Matched {
    fn matched(&mut self, at: At<'_>) {
        self.0.push((at.signature.id.to_string(), at.is_orig));
    }
    fn evaluate(&mut self, _: &str, _: At<'_>) -> bool {
        true
    }
    fn gave_up(&mut self) {}
}

/// All that matches in a stream, in pieces of so many bytes.
fn matches(signatures: &Arc<Signatures>, stream: &[u8], piece: usize, what: As) -> Vec<(String, bool)> {
    let mut matching = Matching::new(signatures.clone(), 0);
    let mut matched = Matched::default();
    let facts = Facts {
        tcp: true,
        established: true,
        ..Facts::default()
    };
    let headers = Headers {
        proto: 6,
        ports: [1024, 80],
        ..Headers::default()
    };
    matching.first(0, 0, &headers, facts, &mut matched);
    for (i, bytes) in stream.chunks(piece).enumerate() {
        match what {
            As::Payload => matching.stream(0, 0, bytes, true, &mut matched),
            As::Inner => matching.inner(0, 0, bytes, &[headers; 2], &mut matched),
            As::Context(context) => matching.context(0, 0, (context, bytes), i == 0, false, &mut matched),
        }
    }
    matching.finish(0, true, &mut matched);
    matched.0.sort();
    matched.0
}

fuzz_target!(|data: &[u8]| {
    let (text, stream) = match data.iter().position(|b| *b == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let known = Known {
        function: &|_| true,
        analyzer: &|_| true,
    };
    // The first payload's size depends on how the stream is cut, and a script may be asked for its bytes.
    let Ok(signatures) = Signatures::of_text(text, &known) else {
        return;
    };
    let by_pieces = text.windows(12).any(|w| w == b"payload-size");
    let signatures = Arc::new(signatures);
    let [a, b, stream @ ..] = stream else { return };
    for what in [As::Payload, As::Inner, As::Context(Context::HttpRequestBody)] {
        let one = matches(&signatures, stream, usize::from(*a) + 1, what);
        let other = matches(&signatures, stream, usize::from(*b) + 1, what);
        assert!(by_pieces || one == other, "{one:?} {other:?}");
    }
    // A file's type does not depend on the files before it.
    let Some(mut magic) = FileMagic::new(signatures.clone()) else {
        return;
    };
    let first = magic.guess(stream);
    let parts: Vec<_> = stream
        .chunks(usize::from(*a) + 1)
        .map(|part| magic.guess(part))
        .collect();
    assert!(parts.len() != 1 || parts[0] == first);
    assert_eq!(magic.guess(stream), first);
});
