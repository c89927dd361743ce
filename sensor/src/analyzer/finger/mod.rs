//! Finger (RFC 1288): sure at a request that names somebody, or at a line of the answer that is longer than ten characters.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Finger;

/// Longest line, bytes (Zeek: Finger::max_line_length).
const MAX_LINE: usize = 1024;
/// Most blanks before a request, for which Zeek has no bound.
const MAX_BLANKS: usize = 1024;
/// Lines of an answer that are longer than this tell, characters.
const SHORT: usize = 10;

/// One connection's state.
#[derive(Debug, Default)]
pub struct Finger {
    /// The line under way of each direction, orig first.
    lines: [Vec<u8>; 2],
    /// Nothing more is read of a direction.
    over: [bool; 2],
}

impl Protocol for Finger {
    const SPEC: Spec = Spec {
        tcp_ports: &[79],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_FINGER", "finger"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Finger {
        Finger::default()
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        for b in bytes {
            if self.over[usize::from(!is_orig)] {
                break;
            }
            match is_orig {
                true => self.of_request(*b, ctx),
                false => self.of_answer(*b, ctx),
            }
        }
        Next::More
    }

    /// A request may end so; a line of an answer may not.
    fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) -> Next {
        let dir = usize::from(!is_orig);
        match is_orig {
            _ if self.over[dir] => {}
            true => self.of_request(b'\n', ctx),
            false if self.lines[dir].is_empty() => {}
            false => self.fail(dir, ctx),
        }
        Next::More
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
        self.over.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        match self.over[usize::from(!is_orig)] {
            true => Interest::Nothing,
            false => seen.until_late(),
        }
    }
}

impl Finger {
    fn fail(&mut self, dir: usize, ctx: &mut Ctx<'_>) {
        self.over[dir] = true;
        ctx.violation("Finger line that does not end");
    }

    /// `/W` perhaps, and who is asked for.
    fn of_request(&mut self, b: u8, ctx: &mut Ctx<'_>) {
        let line = &mut self.lines[0];
        if !matches!(b, b'\r' | b'\n') {
            line.push(b);
            if line.len() > MAX_BLANKS + MAX_LINE {
                self.fail(0, ctx);
            }
            return;
        }
        let rest = blanks(line);
        let is_long = rest.starts_with(b"/W");
        let asked = blanks(rest.strip_prefix(b"/W").unwrap_or(rest));
        let is_named = !matches!(asked.trim_ascii().first(), None | Some(b'@'));
        if asked.len() > MAX_LINE {
            return self.fail(0, ctx);
        }
        if is_named || is_long {
            ctx.confirm();
        }
        self.over[0] = true;
    }

    fn of_answer(&mut self, b: u8, ctx: &mut Ctx<'_>) {
        let line = &mut self.lines[1];
        let after_cr = line.last() == Some(&b'\r');
        if b == b'\n' {
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            if String::from_utf8_lossy(text).chars().count() > SHORT {
                ctx.confirm();
            }
            return line.clear();
        }
        line.push(b);
        // A CR alone ends no line.
        if after_cr || (b != b'\r' && line.len() > MAX_LINE) {
            self.fail(1, ctx);
        }
    }
}

fn blanks(b: &[u8]) -> &[u8] {
    let n = b.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    b.get(n..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use crate::analyzer::talk::{tcp, tcp_ended, tcp_pieces};

    #[test]
    fn who_is_asked_for_tells() {
        for (request, tells) in [
            (&b"julien\r\n"[..], true),
            (b" /W \r\n", true),
            (b"/W a@b\r\n", true),
            (b"@b\r\n", false),
            (b"\r\n", false),
            (b"julien", false),
            (&[b'a'; 1025], false),
        ] {
            for size in [1, 3000] {
                let talk = tcp_pieces(79, &[(true, request)], size);
                assert_eq!(talk.services == "finger", tells, "{}", request.escape_ascii());
            }
        }
        assert_eq!(tcp_ended(79, &[(true, b"julien")]).services, "finger");
        let long = [&[b'a'; 1025][..], b"\n"].concat();
        assert_eq!(
            tcp(79, &[(true, &long)]).said,
            ["-finger: Finger line that does not end"]
        );
        assert_eq!(tcp(79, &[(true, &[b'a'; 3000])]).said.len(), 1);
    }

    #[test]
    fn a_longer_line_of_the_answer_tells() {
        for (answer, tells) in [
            (&b"0123456789\r\n"[..], false),
            (b"\r\n01234567890\n", true),
            (b"01234567890", false),
            (b"01234567890\rx", false),
            (&[b'a'; 1025], false),
        ] {
            let talk = tcp(79, &[(true, b"\r\n"), (false, answer)]);
            assert_eq!(talk.services == "finger", tells, "{}", answer.escape_ascii());
        }
        let talk: [(bool, &[u8]); 2] = [(true, b"julien\r\n"), (false, b"01234567890\r\nx")];
        assert_eq!(tcp(79, &talk).services, "finger");
        assert_eq!(tcp_ended(79, &talk).services, "", "a line that is not whole");
    }
}
