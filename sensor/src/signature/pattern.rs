//! Zeek's regular expressions, which are flex's: text to a tree. Knows no automaton.
//!
//! They speak of bytes. `.` is any byte, a line's end as well, and `^` and `$` are the beginning and the end of all that
//! an expression is matched with.

/// Most parentheses in one another.
const MAX_DEPTH: usize = 100;
/// Highest number of repetitions.
const MAX_REPEAT: u32 = 10_000;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every byte.
    pub const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    /// This byte alone.
    pub fn of(byte: u8) -> ByteSet {
        let mut set = ByteSet::default();
        set.add(byte);
        set
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether the byte is in it.
    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    fn inverse(self) -> ByteSet {
        ByteSet(self.0.map(|w| !w))
    }

    /// Adds a letter in both cases, or a byte that is none.
    fn add_cased(&mut self, byte: u8, fold: bool) {
        self.add(byte);
        if fold {
            self.add(byte.to_ascii_lowercase());
            self.add(byte.to_ascii_uppercase());
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Nothing at all.
    Empty,
    /// One byte of the set.
    Byte(ByteSet),
    /// The beginning.
    Begin,
    /// The end.
    End,
    /// One after the other.
    Then(Vec<Expr>),
    /// One of them.
    Either(Vec<Expr>),
    /// So often; None: without bound.
    Repeat(Box<Expr>, u32, Option<u32>),
}

/// Parses what stands between the slashes; `fold`: the case of letters does not matter (`/…/i`).
pub fn parse(text: &[u8], fold: bool) -> Result<Expr, String> {
    let mut p = Parser {
        text,
        at: 0,
        fold,
        depth: 0,
    };
    let expr = p.alternatives()?;
    match p.peek() {
        None => Ok(expr),
        Some(b) => Err(format!("`{}` without its counterpart", shown(b))),
    }
}

fn shown(byte: u8) -> String {
    std::ascii::escape_default(byte).to_string()
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    fold: bool,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, word: &[u8]) -> bool {
        let is = self.text.get(self.at..).is_some_and(|t| t.starts_with(word));
        self.at += if is { word.len() } else { 0 };
        is
    }

    fn alternatives(&mut self) -> Result<Expr, String> {
        let mut all = vec![self.series()?];
        while self.take(b"|") {
            all.push(self.series()?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Expr::Either(all),
        })
    }

    fn series(&mut self) -> Result<Expr, String> {
        let mut all = Vec::new();
        while let Some(b) = self.peek().filter(|b| !matches!(b, b'|' | b')')) {
            let one = self.single(b)?;
            let one = self.repeated(one)?;
            match one {
                Expr::Then(more) => all.extend(more),
                one => all.push(one),
            }
        }
        Ok(match all.len() {
            0 => Expr::Empty,
            1 => all.remove(0),
            _ => Expr::Then(all),
        })
    }

    fn repeated(&mut self, mut one: Expr) -> Result<Expr, String> {
        loop {
            let (least, most) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                    self.at += 1;
                    let (least, most) = self.bounds()?;
                    // The last one takes the brace.
                    one = Expr::Repeat(Box::new(one), least, most);
                    continue;
                }
                _ => return Ok(one),
            };
            self.at += 1;
            one = Expr::Repeat(Box::new(one), least, most);
        }
    }

    /// What stands between braces, and the closing one.
    fn bounds(&mut self) -> Result<(u32, Option<u32>), String> {
        let least = self.number()?;
        let most = match self.next() {
            Some(b'}') => return Ok((least, Some(least))),
            Some(b',') if self.take(b"}") => return Ok((least, None)),
            Some(b',') => self.number()?,
            _ => return Err("repetitions are written {n}, {n,} or {n,m}".into()),
        };
        if !self.take(b"}") {
            return Err("repetitions are written {n}, {n,} or {n,m}".into());
        }
        if least > most {
            return Err(format!("no number is at least {least} and at most {most}"));
        }
        Ok((least, Some(most)))
    }

    fn number(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..).unwrap_or_default();
        let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(digits.get(..n).unwrap_or_default()).unwrap_or_default();
        self.at += n;
        match text.parse::<u32>() {
            Ok(n) if n <= MAX_REPEAT => Ok(n),
            _ if text.is_empty() => Err("repetitions are written {n}, {n,} or {n,m}".into()),
            _ => Err(format!(
                "{text} repetitions are too many: {MAX_REPEAT} are allowed"
            )),
        }
    }

    fn single(&mut self, b: u8) -> Result<Expr, String> {
        self.at += 1;
        Ok(match b {
            b'^' => Expr::Begin,
            b'$' => Expr::End,
            b'.' => Expr::Byte(ByteSet::ALL),
            b'"' => self.quoted()?,
            b'[' => Expr::Byte(self.class()?),
            b'(' => self.group()?,
            b'\\' => Expr::Byte(ByteSet::of(self.escape()?)),
            b'*' | b'+' | b'?' => return Err(format!("there is nothing for `{}` to repeat", shown(b))),
            b'{' => return Err("names of expressions in braces are not known".into()),
            b'}' => return Err("`}` without its counterpart".into()),
            b'\n' | b'\r' => return Err("a line's end; write \\n or \\r".into()),
            _ => {
                let mut set = ByteSet::default();
                set.add_cased(b, self.fold && b.is_ascii_alphabetic());
                Expr::Byte(set)
            }
        })
    }

    fn group(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} parentheses in one another"));
        }
        let fold = self.fold;
        // `.` is any byte anyway.
        let single_line = self.take(b"?s:");
        if !single_line && self.take(b"?i:") {
            self.fold = true;
        }
        let expr = self.alternatives()?;
        self.fold = fold;
        self.depth -= 1;
        match self.take(b")") {
            true => Ok(expr),
            false => Err("`(` without its counterpart".into()),
        }
    }

    /// Text in quotes is taken as it is, its case included.
    fn quoted(&mut self) -> Result<Expr, String> {
        let mut all = Vec::new();
        loop {
            match self.next() {
                None | Some(b'\n') => return Err("a quote without its end".into()),
                Some(b'"') => {
                    return Ok(if all.is_empty() {
                        Expr::Empty
                    } else {
                        Expr::Then(all)
                    });
                }
                Some(b'\\') => all.push(Expr::Byte(ByteSet::of(self.escape()?))),
                Some(b) => all.push(Expr::Byte(ByteSet::of(b))),
            }
        }
    }

    /// A class of bytes, behind its opening bracket.
    fn class(&mut self) -> Result<ByteSet, String> {
        let mut set = ByteSet::default();
        let inverse = self.take(b"^");
        let mut first = true;
        loop {
            let low = match self.next() {
                None | Some(b'\n') => return Err("`[` without its counterpart".into()),
                Some(b']') if !first => break,
                Some(b'[') if self.peek() == Some(b':') && self.named_class(&mut set)? => {
                    first = false;
                    continue;
                }
                Some(b'\\') => self.escape()?,
                Some(b) => b,
            };
            first = false;
            let is_range =
                self.peek() == Some(b'-') && self.text.get(self.at + 1).is_some_and(|b| *b != b']');
            if !is_range {
                set.add_cased(low, self.fold && low.is_ascii_alphabetic());
                continue;
            }
            self.at += 1;
            let high = match self.next() {
                Some(b'\\') => self.escape()?,
                Some(b) => b,
                None => return Err("`[` without its counterpart".into()),
            };
            if low > high {
                return Err(format!("no byte is from {} to {}", shown(low), shown(high)));
            }
            for byte in low..=high {
                set.add_cased(byte, self.fold && byte.is_ascii_alphabetic());
            }
        }
        Ok(if inverse { set.inverse() } else { set })
    }

    /// A class like `[:alpha:]`, behind the bracket. False: there is none, and nothing was taken.
    fn named_class(&mut self, set: &mut ByteSet) -> Result<bool, String> {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let n = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if n == 0 || rest.get(n..n + 2) != Some(b":]") {
            return Ok(false);
        }
        let name = String::from_utf8_lossy(rest.get(..n).unwrap_or_default()).to_ascii_lowercase();
        let fold = self.fold;
        let is: fn(&u8) -> bool = match name.as_str() {
            "alnum" => u8::is_ascii_alphanumeric,
            "alpha" => u8::is_ascii_alphabetic,
            "blank" => |b| matches!(b, b' ' | b'\t'),
            "cntrl" => u8::is_ascii_control,
            "digit" => u8::is_ascii_digit,
            "graph" => u8::is_ascii_graphic,
            "print" => |b| matches!(b, b' '..=b'~'),
            "punct" => u8::is_ascii_punctuation,
            "space" => |b| matches!(b, b' ' | b'\t'..=b'\r'),
            "xdigit" => u8::is_ascii_hexdigit,
            "lower" | "upper" if fold => u8::is_ascii_alphabetic,
            "lower" => u8::is_ascii_lowercase,
            "upper" => u8::is_ascii_uppercase,
            _ => return Err(format!("there is no class [:{name}:]")),
        };
        (0..=u8::MAX).filter(is).for_each(|b| set.add(b));
        self.at += 1 + n + 2;
        Ok(true)
    }

    /// The byte that an escape means, behind its backslash.
    fn escape(&mut self) -> Result<u8, String> {
        let digits = |p: &mut Self, radix: u32, most: usize| {
            let mut n = 0u32;
            for _ in 0..most {
                let Some(d) = p.peek().and_then(|b| char::from(b).to_digit(radix)) else {
                    break;
                };
                (n, p.at) = (n * radix + d, p.at + 1);
            }
            n as u8
        };
        Ok(match self.next() {
            None | Some(b'\n') => return Err("a backslash with nothing behind it".into()),
            Some(b'a') => 0x07,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(b'0'..=b'7') => {
                self.at -= 1;
                digits(self, 8, 3)
            }
            Some(b'x') => match self.peek() {
                Some(b) if b.is_ascii_hexdigit() => digits(self, 16, 2),
                _ => return Err("\\x needs hexadecimal digits".into()),
            },
            Some(b) => b,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &[u8]) -> Expr {
        let mut set = ByteSet::default();
        of.iter().for_each(|b| set.add(*b));
        Expr::Byte(set)
    }

    #[test]
    fn expressions_are_flexs() {
        let byte = |b: u8| Expr::Byte(ByteSet::of(b));
        for (text, expected) in [
            ("", Expr::Empty),
            ("a", byte(b'a')),
            (".", Expr::Byte(ByteSet::ALL)),
            (
                r"\x41\101\n\/",
                Expr::Then(vec![byte(b'A'), byte(b'A'), byte(b'\n'), byte(b'/')]),
            ),
            (r#""a.""#, Expr::Then(vec![byte(b'a'), byte(b'.')])),
            (r#""""#, Expr::Empty),
            ("[a-c]", set(b"abc")),
            ("[]a]", set(b"]a")),
            ("[a-]", set(b"a-")),
            ("[[:digit:]x]", set(b"0123456789x")),
            (r"[\x00-\x02]", set(&[0, 1, 2])),
            ("^a$", Expr::Then(vec![Expr::Begin, byte(b'a'), Expr::End])),
            ("a{2}", Expr::Repeat(Box::new(byte(b'a')), 2, Some(2))),
            ("a{2,}", Expr::Repeat(Box::new(byte(b'a')), 2, None)),
            ("a{2,3}", Expr::Repeat(Box::new(byte(b'a')), 2, Some(3))),
            ("a|b", Expr::Either(vec![byte(b'a'), byte(b'b')])),
            ("(?i:a)b", Expr::Then(vec![set(b"aA"), byte(b'b')])),
            ("(?i:\"a\")", byte(b'a')),
        ] {
            let expected = match expected {
                Expr::Then(v) if v.len() == 1 => v.into_iter().next().expect("one"),
                e => e,
            };
            let got = match parse(text.as_bytes(), false).expect(text) {
                Expr::Then(v) if v.len() == 1 => v.into_iter().next().expect("one"),
                e => e,
            };
            assert_eq!(got, expected, "{text}");
        }
        assert_eq!(parse(b"a", true), Ok(set(b"aA")));
        assert_eq!(parse(b"[b-c]", true), Ok(set(b"bcBC")));
        let Ok(Expr::Byte(not)) = parse(b"[^a]", false) else {
            panic!("a class")
        };
        assert!(!not.has(b'a') && not.has(b'\n') && not.has(0xff));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("(a", "`(` without"),
            ("a)", "`)` without"),
            ("[a", "`[` without"),
            ("*a", "nothing for `*`"),
            ("a{3,2}", "at least 3"),
            ("a{99999}", "too many"),
            ("a{2", "written"),
            ("{name}", "names of expressions"),
            (r#""a"#, "quote"),
            ("a\\", "backslash"),
            (r"\xg", "hexadecimal"),
            ("[[:word:]]", "[:word:]"),
            ("[c-a]", "from c to a"),
            ("a\nb", "line's end"),
        ] {
            let e = parse(text.as_bytes(), false).expect_err(text);
            assert!(e.contains(part), "{text:?}: {e}");
        }
        let deep = ["(".repeat(101), ")".repeat(101)].concat();
        assert!(parse(deep.as_bytes(), false).is_err());
    }
}
