//! A file of signatures as words. Knows no grammar.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cmp::Cmp;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name or keyword.
    Word(String),
    /// Text in quotes, as it stands between them.
    Text(String),
    /// A number, decimal or hexadecimal.
    Number(u32),
    /// An address, with the length of its prefix if one is given.
    Addr(IpAddr, Option<u32>),
    /// An expression, and whether the case of letters matters not.
    Pattern(Vec<u8>, bool),
    /// A comparison.
    Cmp(Cmp),
    /// One of ``! [ ] { } & : , -``.
    Sign(u8),
}

/// A word and its line, or what is wrong on a line.
pub type Lexed = Result<(Token, u32), (String, u32)>;

/// Takes a file apart.
pub struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

impl<'t> Lexer<'t> {
    /// Of a file's text.
    pub fn new(text: &'t [u8]) -> Lexer<'t> {
        Lexer { text, at: 0, line: 1 }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn pass_line(&mut self) {
        let rest = self.rest();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    /// Blanks, comments, and what a line that begins with a dot says of a signature.
    fn skip(&mut self) {
        while let Some(b) = self.rest().first() {
            match b {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' | b'.' => self.pass_line(),
                _ => break,
            }
        }
    }

    fn run(&mut self, of: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let n = rest.iter().take_while(|b| of(**b)).count();
        self.at += n;
        std::str::from_utf8(rest.get(..n).unwrap_or_default()).unwrap_or_default()
    }

    fn take(&mut self, sign: &[u8]) -> bool {
        let is = self.rest().starts_with(sign);
        self.at += if is { sign.len() } else { 0 };
        is
    }

    fn word(&mut self, first: u8) -> Result<Token, String> {
        let compares = [
            (&b"<="[..], Cmp::Le),
            (b">=", Cmp::Ge),
            (b"<", Cmp::Lt),
            (b">", Cmp::Gt),
            (b"==", Cmp::Eq),
            (b"=", Cmp::Eq),
            (b"!=", Cmp::Ne),
        ];
        for (sign, cmp) in compares {
            if self.take(sign) {
                return Ok(Token::Cmp(cmp));
            }
        }
        match first {
            b'/' => self.pattern(),
            b'"' => self.quoted(),
            b'[' => Ok(self.v6().unwrap_or_else(|| {
                self.at += 1;
                Token::Sign(b'[')
            })),
            b'!' | b']' | b'{' | b'}' | b'&' | b':' | b',' | b'-' => {
                self.at += 1;
                Ok(Token::Sign(first))
            }
            b'0'..=b'9' => self.number(),
            _ if first.is_ascii_alphabetic() || first == b'_' => {
                let mut name = self.run(is_word).to_owned();
                while self.rest().starts_with(b"::") {
                    self.at += 2;
                    name = format!("{name}::{}", self.run(is_word));
                }
                Ok(Token::Word(name))
            }
            _ => Err(format!(
                "`{}` means nothing here",
                std::ascii::escape_default(first)
            )),
        }
    }

    fn number(&mut self) -> Result<Token, String> {
        if self.take(b"0x") {
            let digits = self.run(|b| b.is_ascii_hexdigit());
            let n = u32::from_str_radix(digits, 16);
            return n
                .map(Token::Number)
                .map_err(|_| format!("0x{digits} is no number of 32 bits"));
        }
        let text = self.run(|b| b.is_ascii_digit() || b == b'.');
        if text.contains('.') {
            let addr: Ipv4Addr = text
                .parse()
                .map_err(|_| format!("{text} is no address of IPv4"))?;
            return self.prefix(addr.into());
        }
        let n = text.parse();
        n.map(Token::Number)
            .map_err(|_| format!("{text} is no number of 32 bits"))
    }

    /// An address of IPv6 in brackets.
    fn v6(&mut self) -> Option<Token> {
        let inside = self.rest().get(1..)?;
        let inside = inside.get(..memchr::memchr(b']', inside)?)?;
        let addr: Ipv6Addr = std::str::from_utf8(inside).ok()?.parse().ok()?;
        self.at += inside.len() + 2;
        self.prefix(addr.into()).ok()
    }

    fn prefix(&mut self, addr: IpAddr) -> Result<Token, String> {
        let before = self.at;
        self.run(|b| b == b' ' || b == b'\t');
        if !self.take(b"/") {
            self.at = before;
            return Ok(Token::Addr(addr, None));
        }
        self.run(|b| b == b' ' || b == b'\t');
        let bits = self.run(|b| b.is_ascii_digit());
        let most = if addr.is_ipv4() { 32 } else { 128 };
        match bits.parse() {
            Ok(bits) if bits <= most => Ok(Token::Addr(addr, Some(bits))),
            _ => Err(format!("the prefix of {addr} has between 0 and {most} bits")),
        }
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut n = 0;
        loop {
            match inside.get(n) {
                None | Some(b'\n' | b'\r') => return Err("a quote without its end".into()),
                Some(b'"') => break,
                // An escaped quote does not end it.
                Some(b'\\') if inside.get(n + 1) == Some(&b'"') => n += 2,
                Some(_) => n += 1,
            }
        }
        self.at += n + 2;
        let text = String::from_utf8_lossy(inside.get(..n).unwrap_or_default());
        Ok(Token::Text(text.into_owned()))
    }

    fn pattern(&mut self) -> Result<Token, String> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut n = 0;
        loop {
            match inside.get(n) {
                None | Some(b'\n') => return Err("an expression without its end, a slash".into()),
                Some(b'/') => break,
                Some(b'\\') => n += 2,
                Some(_) => n += 1,
            }
        }
        self.at += n + 2;
        let text = inside.get(..n).unwrap_or_default().to_vec();
        let fold = self.rest().first() == Some(&b'i') && !self.rest().get(1).is_some_and(|b| is_word(*b));
        self.at += usize::from(fold);
        Ok(Token::Pattern(text, fold))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Lexed;

    fn next(&mut self) -> Option<Lexed> {
        self.skip();
        let first = *self.rest().first()?;
        let line = self.line;
        Some(match self.word(first) {
            Ok(token) => Ok((token, line)),
            Err(what) => {
                // Nothing behind it can be trusted.
                self.at = self.text.len();
                Err((what, line))
            }
        })
    }
}
