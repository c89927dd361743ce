//! Bodies decoded: base64 and quoted-printable (Content-Transfer-Encoding).

/// Base64 in pieces (RFC 2045, section 6.8).
#[derive(Debug, Default)]
pub struct Base64 {
    group: [u8; 4],
    len: usize,
    padding: usize,
    after_padding: bool,
    /// Something in it was no base64.
    pub is_bad: bool,
}

impl Base64 {
    /// Decodes what came. What a weird says of the first thing that is no base64.
    pub fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<String> {
        let mut said = None;
        for b in text {
            self.padding += usize::from(*b == b'=');
            let Some(six) = six_bits(*b) else {
                if !std::mem::replace(&mut self.is_bad, true) {
                    said = Some(format!("character {b} ignored by Base64 decoding"));
                }
                continue;
            };
            if let Some(place) = self.group.get_mut(self.len) {
                *place = six;
                self.len += 1;
            }
            if self.len == 4 && self.group_done(out) && !std::mem::replace(&mut self.is_bad, true) {
                said = Some("extra base64 groups after '=' padding are ignored".into());
            }
        }
        said
    }

    /// A group is complete. Whether it comes behind the end.
    fn group_done(&mut self, out: &mut Vec<u8>) -> bool {
        self.len = 0;
        if self.after_padding {
            return true;
        }
        let [a, b, c, d] = self.group.map(u32::from);
        let bits = a << 18 | b << 12 | c << 6 | d;
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend(bytes.iter().take(3usize.saturating_sub(self.padding)));
        self.after_padding = self.padding > 0;
        self.padding = 0;
        false
    }

    /// The text is over. What a weird says of a group that is not complete, which is filled up.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Option<String> {
        let missing = (4 - self.len) % 4;
        if missing == 0 {
            return None;
        }
        let text = b"===".get(..missing).unwrap_or(&[]);
        self.push(text, out);
        Some(format!(
            "incomplete base64 group, padding with {} bits of 0",
            missing * 6
        ))
    }
}

fn six_bits(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return None,
    })
}

/// All of a short text. None: it is no base64. The weirds' words come with it.
pub fn base64(text: &[u8], odd: &mut dyn FnMut(&str)) -> Option<Vec<u8>> {
    let (mut decoder, mut out) = (Base64::default(), Vec::new());
    if let Some(said) = decoder.push(text, &mut out) {
        odd(&said);
    }
    if decoder.is_bad {
        return None;
    }
    if let Some(said) = decoder.finish(&mut out) {
        odd(&said);
    }
    Some(out)
}

/// A line of quoted-printable (RFC 2045, section 6.7), or a piece of one if not `ends`. A line's end counts unless it is
/// escaped.
pub fn quoted_printable(line: &[u8], ends: bool, out: &mut Vec<u8>, illegal: &mut dyn FnMut(&[u8])) {
    let blanks = line
        .iter()
        .rev()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let mut rest = match ends {
        true => line.get(..line.len() - blanks).unwrap_or(line),
        false => line,
    };
    let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut soft = false;
    while let [b, after @ ..] = rest {
        rest = after;
        match (b, after) {
            (b'=', []) => soft = true,
            (b'=', [x, y, more @ ..]) if hex(x).is_some() && hex(y).is_some() => {
                out.push(hex(x).unwrap_or(0) << 4 | hex(y).unwrap_or(0));
                rest = more;
            }
            (b'=', _) => {
                illegal(b"= is not followed by two hexadecimal digits in quoted-printable encoding");
                out.push(*b);
            }
            (b'!'..=b'~' | b' ' | b'\t', _) => out.push(*b),
            _ => {
                let text = format!("control characters in quoted-printable encoding: {}", *b as i8);
                illegal(text.as_bytes());
                out.push(*b);
            }
        }
    }
    if ends && !soft {
        out.extend_from_slice(b"\r\n");
    }
}

/// How many bytes at the end of a piece may be the beginning of an escaped one.
pub fn escape_begun(piece: &[u8]) -> usize {
    match piece {
        [.., b'='] => 1,
        [.., b'=', _] => 2,
        _ => 0,
    }
}
