//! Words to signatures: the language of Zeek's signatures.

use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;

use super::cmp::Cmp;
use super::header::{Layer, Net, Test, Value};
use super::lex::{Lexer, Token};
use super::pattern;
use super::rule::{Action, Condition, Context, Flow, Pattern, Problem, Raise, Requires, Rule};

type Result<T> = std::result::Result<T, (String, u32)>;

/// The signatures of a file, which `text` was read from.
pub fn parse(text: &[u8], file: PathBuf) -> std::result::Result<Vec<Rule>, Problem> {
    let mut p = Parser {
        tokens: Lexer::new(text).peekable(),
        file: Arc::new(file),
        line: 1,
    };
    p.rules().map_err(|(what, line)| Problem {
        file: p.file.as_ref().clone(),
        line,
        what,
    })
}

struct Parser<'t> {
    tokens: Peekable<Lexer<'t>>,
    file: Arc<PathBuf>,
    /// Of the word taken last.
    line: u32,
}

fn said(token: &Token) -> String {
    match token {
        Token::Word(w) => format!("`{w}`"),
        Token::Text(t) => format!("\"{t}\""),
        Token::Number(n) => n.to_string(),
        Token::Addr(a, _) => a.to_string(),
        Token::Pattern(..) => "an expression".into(),
        Token::Cmp(_) => "a comparison".into(),
        Token::Sign(s) => format!("`{}`", char::from(*s)),
    }
}

impl Parser<'_> {
    fn fail<T>(&self, what: impl Into<String>) -> Result<T> {
        Err((what.into(), self.line))
    }

    /// The next word; None: the file is over.
    fn next(&mut self) -> Result<Option<Token>> {
        match self.tokens.next() {
            None => Ok(None),
            Some(Ok((token, line))) => {
                self.line = line;
                Ok(Some(token))
            }
            Some(Err(e)) => Err(e),
        }
    }

    fn peek(&mut self) -> Option<&Token> {
        match self.tokens.peek() {
            Some(Ok((token, _))) => Some(token),
            _ => None,
        }
    }

    fn expect(&mut self, what: &str) -> Result<Token> {
        match self.next()? {
            Some(token) => Ok(token),
            None => self.fail(format!("the file ends where {what} is expected")),
        }
    }

    fn wrong<T>(&self, token: &Token, what: &str) -> Result<T> {
        self.fail(format!("{} where {what} is expected", said(token)))
    }

    fn sign(&mut self, sign: u8) -> Result<()> {
        let what = format!("`{}`", char::from(sign));
        match self.expect(&what)? {
            Token::Sign(s) if s == sign => Ok(()),
            token => self.wrong(&token, &what),
        }
    }

    fn takes(&mut self, sign: u8) -> Result<bool> {
        let is = self.peek() == Some(&Token::Sign(sign));
        if is {
            self.next()?;
        }
        Ok(is)
    }

    fn word(&mut self, what: &str) -> Result<String> {
        match self.expect(what)? {
            Token::Word(w) => Ok(w),
            token => self.wrong(&token, what),
        }
    }

    fn text(&mut self, what: &str) -> Result<String> {
        match self.expect(what)? {
            Token::Text(t) => Ok(t),
            Token::Word(w) => self.fail(format!("{w}: variables of scripts are not known here")),
            token => self.wrong(&token, what),
        }
    }

    fn number(&mut self) -> Result<u32> {
        match self.expect("a number")? {
            Token::Number(n) => Ok(n),
            Token::Word(w) => self.fail(format!("{w}: variables of scripts are not known here")),
            token => self.wrong(&token, "a number"),
        }
    }

    fn cmp(&mut self) -> Result<Cmp> {
        match self.expect("a comparison")? {
            Token::Cmp(c) => Ok(c),
            token => self.wrong(&token, "a comparison"),
        }
    }

    fn rules(&mut self) -> Result<Vec<Rule>> {
        let mut rules = Vec::new();
        while let Some(token) = self.next()? {
            match token {
                Token::Word(w) if w == "signature" => rules.push(self.rule()?),
                token => return self.wrong(&token, "`signature`"),
            }
        }
        Ok(rules)
    }

    fn rule(&mut self) -> Result<Rule> {
        let id = self.word("a signature's name")?;
        let mut rule = Rule {
            id: id.into(),
            file: self.file.clone(),
            line: self.line,
            tests: Vec::new(),
            patterns: Vec::new(),
            conditions: Vec::new(),
            requires: Vec::new(),
            actions: Vec::new(),
            active: true,
        };
        self.sign(b'{')?;
        loop {
            match self.expect("`}`")? {
                Token::Sign(b'}') => return Ok(rule),
                Token::Word(w) => self.attribute(&w, &mut rule)?,
                token => return self.wrong(&token, "a condition, an action or `}`"),
            }
        }
    }

    fn attribute(&mut self, word: &str, rule: &mut Rule) -> Result<()> {
        if let Some(context) = context(word) {
            let pattern = self.pattern(context)?;
            rule.patterns.push(pattern);
            return Ok(());
        }
        match word {
            "src-ip" | "dst-ip" => {
                let (src, cmp, nets) = (word == "src-ip", self.cmp()?, self.nets()?);
                rule.tests.push(Test::Addr { src, cmp, nets });
            }
            "src-port" | "dst-port" => {
                let (src, cmp, values) = (word == "src-port", self.cmp()?, self.values()?);
                rule.tests.push(Test::Port { src, cmp, values });
            }
            "ip-proto" => self.ip_proto(rule)?,
            "header" => {
                let test = self.header()?;
                rule.tests.push(test);
            }
            "ip-options" => {
                let options = self.options()?;
                rule.tests.push(Test::Options(options));
            }
            "payload-size" => {
                let size = Condition::Size(self.cmp()?, self.number()?);
                rule.conditions.push(size);
            }
            "same-ip" => rule.conditions.push(Condition::SameIp),
            "tcp-state" => {
                let flow = self.flow()?;
                rule.conditions.push(Condition::Tcp(flow));
            }
            "udp-state" => {
                let flow = self.flow()?;
                if flow.established {
                    return self.fail("`established` says nothing of UDP");
                }
                rule.conditions.push(Condition::Udp(flow));
            }
            "eval" => {
                let function = self.word("a function of a script")?;
                rule.conditions.push(Condition::Eval(function.into()));
            }
            "requires-signature" | "requires-reverse-signature" => {
                let negate = self.takes(b'!')?;
                let id = self.word("a signature's name")?;
                rule.requires.push(Requires {
                    id,
                    reverse: word == "requires-reverse-signature",
                    negate,
                    line: self.line,
                });
            }
            "event" => {
                let event = self.event()?;
                rule.actions.push(event);
            }
            "enable" => {
                let name: Arc<str> = self.text("an analyzer's name")?.to_ascii_uppercase().into();
                rule.actions.push(Action::Enable(name));
            }
            "file-mime" => {
                let mime = self.file_mime()?;
                rule.actions.push(mime);
            }
            "active" => {
                rule.active = match self.word("`true` or `false`")?.as_str() {
                    "true" => true,
                    "false" => false,
                    other => return self.fail(format!("`{other}` where `true` or `false` is expected")),
                }
            }
            _ => return self.fail(format!("`{word}` is neither a condition nor an action")),
        }
        Ok(())
    }

    fn ip_proto(&mut self, rule: &mut Rule) -> Result<()> {
        let cmp = self.cmp()?;
        let named = match self.peek() {
            Some(Token::Word(w)) => layer(w),
            _ => None,
        };
        let Some(layer) = named else {
            let values = self.values()?;
            rule.tests.push(Test::Proto(cmp, values));
            return Ok(());
        };
        self.next()?;
        // IP itself is behind every IP header, as in Zeek.
        if let Some(number) = layer.number() {
            let value = u32::from(number);
            let mask = u32::MAX;
            rule.tests
                .push(Test::Proto(cmp, vec![Value::Masked { value, mask }]));
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Test> {
        let what = "ip, ip6, tcp, udp, icmp or icmp6";
        let word = self.word(what)?;
        let Some(layer) = layer(&word) else {
            return self.fail(format!("`{word}` where {what} is expected"));
        };
        self.sign(b'[')?;
        let offset = self.number()? as usize;
        let size = if self.takes(b':')? { self.number()? } else { 1 };
        self.sign(b']')?;
        if !matches!(size, 1 | 2 | 4) {
            return self.fail(format!("1, 2 or 4 bytes of a header can be compared, not {size}"));
        }
        let mask = match self.takes(b'&')? {
            true => Some(self.number()?),
            false => None,
        };
        let cmp = self.cmp()?;
        let mut values = self.values()?;
        if let Some(mask) = mask {
            match values.as_mut_slice() {
                [Value::Masked { mask: m, .. }] => *m = mask,
                _ => return self.fail("behind a mask there is one value"),
            }
        }
        Ok(Test::Bytes {
            layer,
            offset,
            size: size as usize,
            cmp,
            values,
        })
    }

    fn values(&mut self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            all.push(match self.expect("a number")? {
                Token::Number(low) if self.takes(b'-')? => {
                    let high = self.number()?;
                    if low > high {
                        return self.fail(format!("no number is from {low} to {high}"));
                    }
                    Value::Range(low, high)
                }
                Token::Number(value) => Value::Masked {
                    value,
                    mask: u32::MAX,
                },
                Token::Addr(std::net::IpAddr::V4(v4), bits) => {
                    let mask = u32::MAX.checked_shl(32 - bits.unwrap_or(32)).unwrap_or(0);
                    let value = u32::from(v4) & mask;
                    Value::Masked { value, mask }
                }
                Token::Word(w) => {
                    return self.fail(format!("{w}: variables of scripts are not known here"));
                }
                token => return self.wrong(&token, "a number"),
            });
            if !self.takes(b',')? {
                return Ok(all);
            }
        }
    }

    fn nets(&mut self) -> Result<Vec<Net>> {
        let mut all = Vec::new();
        loop {
            match self.expect("an address")? {
                Token::Addr(addr, bits) => {
                    let whole = if addr.is_ipv4() { 32 } else { 128 };
                    all.extend(Net::new(addr, bits.unwrap_or(whole)));
                }
                Token::Word(w) => {
                    return self.fail(format!("{w}: variables of scripts are not known here"));
                }
                token => return self.wrong(&token, "an address, of IPv6 in brackets,"),
            }
            if !self.takes(b',')? {
                return Ok(all);
            }
        }
    }

    fn options(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            // RFC 791, section 3.1: types of options.
            all.push(match self.word("lsrr, lsrre, ssrr or rr")?.as_str() {
                "lsrr" | "lsrre" => 131,
                "ssrr" => 137,
                "rr" => 7,
                other => return self.fail(format!("`{other}` where lsrr, lsrre, ssrr or rr is expected")),
            });
            if !self.takes(b',')? {
                return Ok(all);
            }
        }
    }

    fn flow(&mut self) -> Result<Flow> {
        let mut flow = Flow::default();
        let what = "established, originator, responder or stateless";
        loop {
            match self.word(what)?.as_str() {
                "established" => flow.established = true,
                "originator" => flow.orig = true,
                "responder" => flow.resp = true,
                "stateless" => flow.stateless = true,
                other => return self.fail(format!("`{other}` where {what} is expected")),
            }
            if !self.takes(b',')? {
                return Ok(flow);
            }
        }
    }

    fn pattern(&mut self, context: Context) -> Result<Pattern> {
        let mut depth = usize::MAX;
        if self.takes(b'[')? {
            let offset = match self.takes(b':')? {
                true => 0,
                false => {
                    let n = self.number()?;
                    if !self.takes(b':')? {
                        // One number is a place.
                        depth = 1;
                    }
                    n
                }
            };
            if self.peek() != Some(&Token::Sign(b']')) {
                depth = self.number()? as usize;
            }
            if offset > 0 {
                return self
                    .fail("an expression's place cannot be said (nor is it looked at in Zeek): write .{n}");
            }
            self.sign(b']')?;
        }
        let (text, fold) = match self.expect("an expression")? {
            Token::Pattern(text, fold) => (text, fold),
            Token::Word(w) => return self.fail(format!("{w}: variables of scripts are not known here")),
            token => return self.wrong(&token, "an expression between slashes"),
        };
        let line = self.line;
        match pattern::parse(&text, fold) {
            Ok(expr) => Ok(Pattern {
                context,
                expr,
                depth,
                line,
            }),
            Err(what) => self.fail(format!("in the expression: {what}")),
        }
    }

    fn event(&mut self) -> Result<Action> {
        let raise = match self.peek() {
            Some(Token::Word(_)) => {
                let name = self.word("an event")?;
                let Some(raise) = Raise::named(&name) else {
                    let known = Raise::NAMES.map(|(n, _)| n).join(", ");
                    return self.fail(format!("signatures raise no event {name} (but {known})"));
                };
                raise
            }
            _ => Raise::Match,
        };
        if let Some(Err(e)) = self.tokens.peek() {
            return Err(e.clone());
        }
        let msg = match self.peek() {
            Some(Token::Text(_)) => self.text("a message")?,
            _ if raise == Raise::Match => return self.fail("an event needs a message in quotes"),
            _ => String::new(),
        };
        Ok(Action::Event(raise, msg.into()))
    }

    fn file_mime(&mut self) -> Result<Action> {
        let mime = self.text("a type")?;
        if mime.is_empty() {
            return self.fail("a type without a name");
        }
        let mut strength = 0;
        if self.takes(b',')? {
            let is_negative = self.takes(b'-')?;
            let Ok(n) = i32::try_from(self.number()?) else {
                return self.fail(format!("a strength is {} at most", i32::MAX));
            };
            strength = if is_negative { -n } else { n };
        }
        Ok(Action::Mime(mime.into(), strength))
    }
}

fn context(word: &str) -> Option<Context> {
    Some(match word {
        "payload" => Context::Payload,
        "http-request" | "http" => Context::HttpRequest,
        "http-request-header" => Context::HttpRequestHeader,
        "http-request-body" => Context::HttpRequestBody,
        "http-reply-header" => Context::HttpReplyHeader,
        "http-reply-body" | "http-body" => Context::HttpReplyBody,
        "ftp" => Context::Ftp,
        "finger" => Context::Finger,
        "file-magic" => Context::FileMagic,
        _ => return None,
    })
}

fn layer(word: &str) -> Option<Layer> {
    Some(match word {
        "ip" => Layer::Ip,
        "ip6" => Layer::Ip6,
        "tcp" => Layer::Tcp,
        "udp" => Layer::Udp,
        "icmp" => Layer::Icmp,
        "icmp6" => Layer::Icmp6,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
