//! Files of fingerprints, as p0f 3 has them. What is not about TCP is passed over.

use std::path::Path;

use super::db::{Fingerprints, Label, Signature, Window};
use super::sight::{Layout, option, quirk};

/// Largest file, bytes.
const MAX_FILE: u64 = 16 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// It is too large to be one.
    #[error("{0} has more than 16 MiB: it is no file of fingerprints")]
    Large(String),
    /// A line is wrong.
    #[error("{0}:{1}: {2}")]
    Line(String, usize, String),
    /// There is nothing in it.
    #[error(
        "{0} has no signature of TCP: fingerprints are in the format of p0f 3, in [tcp:request] and [tcp:response]"
    )]
    Empty(String),
}

/// Where signatures belong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Requests,
    Answers,
    Mtu,
    Others,
}

impl Fingerprints {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Fingerprints, FingerprintError> {
        let name = path.display().to_string();
        let len = std::fs::metadata(path)
            .map_err(|e| FingerprintError::Read(name.clone(), e))?
            .len();
        if len > MAX_FILE {
            return Err(FingerprintError::Large(name));
        }
        let text = std::fs::read(path).map_err(|e| FingerprintError::Read(name.clone(), e))?;
        Fingerprints::parse(&name, &String::from_utf8_lossy(&text))
    }

    /// Reads a text; `name` is what it is called in errors.
    pub fn parse(name: &str, text: &str) -> Result<Fingerprints, FingerprintError> {
        let mut all = Fingerprints::default();
        let mut section = Section::Others;
        let mut label: Option<String> = None;
        for (n, line) in text.lines().enumerate() {
            let wrong = |what: String| FingerprintError::Line(name.to_owned(), n + 1, what);
            let line = line.trim();
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            if let Some(of) = line.strip_prefix('[') {
                section = match of.trim_end_matches(']') {
                    "tcp:request" => Section::Requests,
                    "tcp:response" => Section::Answers,
                    "mtu" => Section::Mtu,
                    _ => Section::Others,
                };
                label = None;
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| wrong("a line is `name = value`".to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            match (key, section) {
                (_, Section::Others) => {}
                ("label", Section::Mtu) => label = Some(value.to_owned()),
                ("label", _) => {
                    all.labels.push(a_label(value).map_err(wrong)?);
                    label = Some(value.to_owned());
                }
                ("sig", section) => {
                    let Some(label) = &label else {
                        return Err(wrong("a label comes before its signatures".to_owned()));
                    };
                    if section == Section::Mtu {
                        let mtu = number(value, "an MTU").map_err(wrong)?;
                        all.links.entry(mtu).or_insert_with(|| label.clone());
                        continue;
                    }
                    let (layout, sig) = signature(value, all.labels.len() as u32 - 1).map_err(wrong)?;
                    let of = &mut all.signatures[usize::from(section == Section::Answers)];
                    of.entry(layout).or_default().push(sig);
                }
                // What a tool may run on, and what else later versions may say.
                _ => {}
            }
        }
        match all.is_empty() {
            true => Err(FingerprintError::Empty(name.to_owned())),
            false => Ok(all),
        }
    }
}

fn a_label(text: &str) -> Result<Label, String> {
    let wrong = || format!("{text:?} is no label; one is `s:unix:Linux:3.11 and newer`");
    let mut parts = text.splitn(4, ':');
    let mut next = || parts.next().ok_or_else(wrong);
    let (kind, class, name, detail) = (next()?, next()?, next()?, next()?);
    let is_generic = match kind {
        "g" => true,
        "s" => false,
        _ => return Err(wrong()),
    };
    if class.is_empty() || name.is_empty() {
        return Err(wrong());
    }
    Ok(Label {
        is_generic,
        class: (class != "!").then(|| class.to_owned()),
        name: name.to_owned(),
        detail: detail.to_owned(),
    })
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no {what}"))
}

fn wild<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>, String> {
    match text {
        "*" => Ok(None),
        text => number(text, what).map(Some),
    }
}

/// ver:ittl:olen:mss:wsize,scale:olayout:quirks:pclass
fn signature(text: &str, label: u32) -> Result<(Layout, Signature), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [version, ttl, ip_options, mss, window, options, quirks, payload] = parts[..] else {
        return Err(format!(
            "{text:?} is no signature; one has eight parts, ver:ittl:olen:mss:wsize,scale:olayout:quirks:pclass"
        ));
    };
    let is_v6 = match version {
        "*" => None,
        "4" => Some(false),
        "6" => Some(true),
        _ => return Err(format!("{version:?} is no IP version; one is 4, 6 or *")),
    };
    let (ttl, any_ttl) = match (ttl.strip_suffix('-'), ttl.split_once('+')) {
        (Some(most), _) => (number::<u8>(most, "TTL")?, true),
        (None, Some((ttl, far))) => {
            let sum = number::<u8>(ttl, "TTL")?.checked_add(number::<u8>(far, "distance")?);
            (sum.ok_or_else(|| format!("{ttl}+{far} is no TTL"))?, false)
        }
        (None, None) => (number::<u8>(ttl, "TTL")?, false),
    };
    let (window, scale) = window
        .split_once(',')
        .ok_or_else(|| format!("{window:?} is no window with its scale, such as 8192,0"))?;
    let window = match window.split_at_checked(4) {
        _ if window == "*" => Window::Any,
        Some(("mss*", n)) => Window::Mss(number(n, "multiple")?),
        Some(("mtu*", n)) => Window::Mtu(number(n, "multiple")?),
        _ => match window.strip_prefix('%') {
            Some(n) => Window::Multiple(number(n, "window").and_then(|n: u16| match n {
                0 => Err("a window cannot be a multiple of 0".to_owned()),
                n => Ok(n),
            })?),
            None => Window::Is(number(window, "window")?),
        },
    };
    let (layout, padding) = layout(options)?;
    let mut bits = 0;
    for name in quirks.split(',').filter(|q| !q.is_empty()) {
        let bit = quirk::NAMES.iter().position(|known| *known == name);
        bits |= 1 << bit.ok_or_else(|| format!("{name:?} is no quirk"))?;
    }
    let of_v4 = quirk::DF | quirk::ID | quirk::NO_ID | quirk::RESERVED;
    if is_v6 == Some(true) && bits & of_v4 != 0 || is_v6 == Some(false) && bits & quirk::FLOW != 0 {
        return Err("some of the quirks are the other IP version's".to_owned());
    }
    let has_payload = match payload {
        "*" => None,
        "0" => Some(false),
        "+" => Some(true),
        _ => return Err(format!("{payload:?} says nothing of payload; 0, + and * do")),
    };
    let sig = Signature {
        is_v6,
        ttl,
        any_ttl,
        ip_options: number(ip_options, "length of IP options")?,
        mss: wild(mss, "MSS")?,
        window,
        scale: wild(scale, "window scale")?,
        padding,
        quirks: bits,
        has_payload,
        label,
    };
    Ok((layout, sig))
}

fn layout(text: &str) -> Result<(Layout, u8), String> {
    let (mut layout, mut padding) = (Layout::default(), 0);
    let mut names = text.split(',').filter(|o| !o.is_empty()).peekable();
    while let Some(name) = names.next() {
        let known = option::NAMES.iter().find(|(_, n)| *n == name);
        let kind = match (known, name.strip_prefix('?'), name.strip_prefix("eol+")) {
            (Some((kind, _)), ..) => *kind,
            (None, Some(kind), _) => number(kind, "TCP option")?,
            (None, None, Some(n)) if names.peek().is_none() => {
                padding = number(n, "padding")?;
                option::EOL
            }
            _ => return Err(format!("{name:?} is no TCP option, or not at its place")),
        };
        if !layout.push(kind) {
            return Err("there are too many TCP options".to_owned());
        }
    }
    Ok((layout, padding))
}
