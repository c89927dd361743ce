//! Requests and replies matched in order, and what http.log says of each pair.
//!
//! Each thing that is read of a message passes by here once, under the name of Zeek's event for it: the event is raised if
//! somebody wants it, and the row is filled as Zeek's scripts fill it.

use std::borrow::Cow;

use super::body::base64;
use super::events::{self, tell};
use super::handle;
use super::log::HttpRow;
use super::mime::file_name;
use super::wire::Version;
use crate::analyzer::api::Ctx;
use crate::analyzer::text::of_bytes;
use crate::analyzer::websocket::{self, Handshake};
use crate::event::{ConnId, Ts};
use crate::file::Handle;
use crate::software::{Found, Kind};

/// Most pairs without a row (Zeek: HTTP::max_pending_requests); with more, all but the latest get theirs.
const MAX_PENDING: usize = 100;
/// Most bytes that are kept of them, roughly; with more, the same.
const MAX_KEPT: usize = 1 << 20;
/// Most files named in a row, for each direction (Zeek: HTTP::max_files_orig).
const MAX_FILES: usize = 15;
/// Most headers of proxies in a row.
const MAX_PROXIED: usize = 32;

/// Headers that proxies add (Zeek: HTTP::proxy_headers).
const PROXY_HEADERS: [&[u8]; 7] = [
    b"FORWARDED",
    b"X-FORWARDED-FOR",
    b"X-FORWARDED-FROM",
    b"CLIENT-IP",
    b"VIA",
    b"XROXY-CONNECTION",
    b"PROXY-CONNECTION",
];

/// Methods that are not odd (Zeek: HTTP::http_methods).
#[rustfmt::skip]
const METHODS: [&[u8]; 20] = [
    b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PROPFIND", b"PROPPATCH",
    b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"POLL", b"REPORT", b"SUBSCRIBE", b"BMOVE", b"SEARCH",
];

/// What a status line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// 0 when it is no number.
    pub code: u16,
    /// The phrase behind it; HTTP/2 has none.
    pub reason: Option<Vec<u8>>,
}

/// Says a request line.
pub fn tell_request(method: &[u8], original: &[u8], uri: &[u8], version: &str, ctx: &mut Ctx<'_>) {
    tell!(ctx, HttpRequest, method: &of_bytes(method), original_uri: &of_bytes(original),
        unescaped_uri: &of_bytes(uri), version: version);
}

/// Says a status line.
pub fn tell_reply(version: &str, code: u16, reason: &[u8], ctx: &mut Ctx<'_>) {
    tell!(ctx, HttpReply, version: version, code: code.into(), reason: &of_bytes(reason));
}

/// Says that a method is odd, if it is.
pub fn check_method(method: &[u8], ctx: &mut Ctx<'_>) {
    if !METHODS.contains(&method) {
        ctx.out.weird("unknown_HTTP_method", &of_bytes(method));
    }
}

/// Says a header.
pub fn tell_header(is_orig: bool, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
    if ctx.subs.wants(events::HttpHeader::KIND) {
        let upper = name.to_ascii_uppercase();
        tell!(ctx, HttpHeader, is_orig: is_orig, original_name: &of_bytes(name), name: &of_bytes(&upper),
            value: &of_bytes(value));
    }
    tell_software(is_orig, name, value, ctx);
}

/// Headers that name software (Zeek's policy/protocols/http/software.zeek).
fn tell_software(is_orig: bool, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let (c, out) = (ctx.c, &mut ctx.out);
    if is_orig {
        if is(b"User-Agent") {
            out.software(&Found::client(c, Kind::HttpBrowser, value));
        }
    } else if is(b"Server") {
        out.software(&Found::server(c, Kind::HttpServer, value));
    } else if is(b"X-Powered-By") {
        out.software(&Found::server(c, Kind::HttpAppServer, value));
    } else if is(b"MicrosoftSharePointTeamServices") {
        let banner = [b"SharePoint/", value].concat();
        out.software(&Found::server(c, Kind::HttpAppServer, &banner));
    }
}

/// Files of one direction, as the row names them.
#[derive(Debug, Default)]
pub struct Files {
    /// Their ids.
    pub fuids: Vec<String>,
    /// Their names, as far as they have any.
    pub names: Vec<Vec<u8>>,
    /// Their types, as far as they are known.
    pub types: Vec<&'static str>,
}

/// A request and its reply.
#[derive(Debug, Default)]
pub struct Exchange {
    /// When the first of the two was seen.
    pub ts: Ts,
    /// Which one of the connection, from 1.
    pub depth: u64,
    pub method: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
    /// Decoded.
    pub uri: Option<Vec<u8>>,
    pub referrer: Option<Vec<u8>>,
    /// Of the reply.
    pub version: Option<Cow<'static, str>>,
    pub user_agent: Option<Vec<u8>>,
    pub origin: Option<Vec<u8>>,
    /// Of request and reply.
    pub body_len: [u64; 2],
    pub status: Option<Status>,
    /// The last reply 1xx.
    pub info: Option<Status>,
    pub username: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
    pub proxied: Vec<Vec<u8>>,
    /// Of request and reply.
    pub files: [Files; 2],
    /// The request asks for a part of something.
    pub is_range: bool,
    /// The file that it is a part of, once it was made out from URL and host.
    range_file: Option<Handle>,
    /// The entity that is at work, of either direction: the name that its headers give it.
    entity: Option<Option<Vec<u8>>>,
    /// Entities so far, of request and reply.
    entities: [u64; 2],
}

/// All pairs of a connection that have no row yet.
#[derive(Debug, Default)]
pub struct Exchanges {
    /// Sorted by number.
    pending: Vec<(u64, Box<Exchange>)>,
    /// Number of the latest request.
    request: u64,
    /// Number of the request that is answered next, or is being answered.
    response: u64,
    /// The pair that was spoken of last (Zeek: c$http).
    current: u64,
    depth: u64,
    /// Bytes kept of those pending, roughly.
    kept: usize,
    /// What was said of a WebSocket since the latest request.
    websocket: Option<Box<Handshake>>,
    /// Passwords go into the log.
    pub capture_password: bool,
}

impl Exchanges {
    /// Of a new connection.
    pub fn new(capture_password: bool) -> Exchanges {
        Exchanges {
            capture_password,
            ..Exchanges::default()
        }
    }

    /// All of them, for an analyzer that goes on inside what this one has read.
    pub fn hand_on(&mut self) -> Exchanges {
        let new = Exchanges::new(self.capture_password);
        std::mem::replace(self, new)
    }

    /// The pair that was spoken of last, for another version's reader, which counts on. Those before it get their rows.
    pub fn give_up_last(&mut self, ctx: &mut Ctx<'_>) -> Option<Box<Exchange>> {
        let last = match self.pending.last() {
            Some((number, _)) if *number == self.current => self.pending.pop(),
            _ => None,
        };
        self.finish(ctx);
        last.map(|(_, x)| x)
    }

    /// How many pairs there were.
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// Whether every pair has its row.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn place(&self, number: u64) -> Result<usize, usize> {
        self.pending.binary_search_by_key(&number, |(n, _)| *n)
    }

    fn get(&mut self, number: u64) -> Option<&mut Exchange> {
        let at = self.place(number).ok()?;
        self.pending.get_mut(at).map(|(_, x)| &mut **x)
    }

    /// The pair that a direction speaks of (Zeek: set_state); a new one if it has its row already.
    fn of(&mut self, is_orig: bool, ts: Ts) -> &mut Exchange {
        let number = if is_orig { self.request } else { self.response };
        self.current = number;
        let at = match self.place(number) {
            Ok(at) => at,
            Err(at) => {
                self.depth += 1;
                let new = Exchange::new(ts, self.depth);
                self.pending.insert(at, (number, Box::new(new)));
                at
            }
        };
        &mut self.pending[at].1
    }

    /// Writes the row of a pair.
    fn log(&mut self, number: u64, ctx: &mut Ctx<'_>) {
        if let Ok(at) = self.place(number) {
            let (_, x) = self.pending.remove(at);
            self.kept = self.kept.saturating_sub(x.kept());
            ctx.out.log(&x.row(ctx.c));
        }
    }

    /// The connection is over: what has no row gets one.
    pub fn finish(&mut self, ctx: &mut Ctx<'_>) {
        for (_, x) in std::mem::take(&mut self.pending) {
            ctx.out.log(&x.row(ctx.c));
        }
        self.kept = 0;
    }

    /// A request line.
    pub fn request(
        &mut self,
        method: &[u8],
        original: &[u8],
        uri: &[u8],
        version: Version,
        ctx: &mut Ctx<'_>,
    ) {
        if ctx.subs.wants(events::HttpRequest::KIND) {
            tell_request(method, original, uri, &text_of(version), ctx);
        }
        if self.request < self.response {
            ctx.out.weird("HTTP_response_before_request", "");
            self.request = self.response;
        }
        if self.pending.len() > MAX_PENDING || self.kept > MAX_KEPT {
            ctx.out.weird("HTTP_excessive_pipelining", "");
            self.response = self.response.max(1);
            while let Some((number, _)) = self.pending.first().filter(|(n, _)| *n < self.request) {
                self.log(*number, ctx);
            }
            self.response = self.response.max(self.request);
        }
        self.websocket = None;
        self.request += 1;
        let x = self.of(true, ctx.ts);
        x.method = Some(method.to_vec());
        x.uri = Some(uri.to_vec());
        let kept = x.kept();
        self.kept += kept;
        check_method(method, ctx);
    }

    /// A status line.
    pub fn reply(&mut self, version: Version, code: u16, reason: &[u8], ctx: &mut Ctx<'_>) {
        let version = text_of(version);
        tell_reply(&version, code, reason, ctx);
        let response = self.response;
        let is_open = |x: &mut Exchange| x.status.as_ref().is_none_or(|s| is_interim(s.code));
        if !self.get(response).is_some_and(is_open) {
            self.response += 1;
        }
        let x = self.of(false, ctx.ts);
        let before = x.kept();
        let status = Status {
            code,
            reason: Some(reason.to_vec()),
        };
        x.reply(version.into(), status);
        let now = x.kept();
        self.kept = (self.kept + now).saturating_sub(before);
    }

    /// A header.
    pub fn header(&mut self, is_orig: bool, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
        tell_header(is_orig, name, value, ctx);
        if Handshake::has(name) {
            let handshake = self.websocket.get_or_insert_default();
            handshake.header(is_orig, name, value, ctx);
        }
        let capture = self.capture_password;
        let x = self.of(is_orig, ctx.ts);
        let mut more = 0;
        if is_orig {
            let before = x.kept();
            x.request_header(name, value, capture, ctx);
            more = x.kept() as isize - before as isize;
        }
        match &mut x.entity {
            Some(entity) => {
                if let Some(name) = file_name(name, value) {
                    *entity = Some(name);
                }
            }
            None => ctx.out.scripted_weird("missing_HTTP_entity"),
        }
        self.kept = self.kept.saturating_add_signed(more);
    }

    /// The connection becomes a WebSocket.
    pub fn websocket(&mut self, ctx: &mut Ctx<'_>) {
        let current = self.current;
        let handshake = self.websocket.take().unwrap_or_else(|| {
            ctx.out.weird("websocket_established_unexpected", "");
            Box::default()
        });
        let request = self.get(current).map(|x| websocket::Request {
            host: x.host.as_deref(),
            uri: x.uri.as_deref(),
            user_agent: x.user_agent.as_deref(),
        });
        handshake.established(request.unwrap_or_default(), ctx);
    }

    /// A message's headers and body begin, or those of a part.
    pub fn begin_entity(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        tell!(ctx, HttpBeginEntity, is_orig: is_orig);
        let x = self.of(is_orig, ctx.ts);
        x.entities[usize::from(!is_orig)] += 1;
        x.entity = Some(None);
    }

    /// They are over.
    pub fn end_entity(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        tell!(ctx, HttpEndEntity, is_orig: is_orig);
        let current = self.current;
        if let Some(x) = self.get(current) {
            x.entity = None;
        }
    }

    /// A message is over. The reply's ends the pair, unless it is an interim one.
    pub fn message_done(&mut self, is_orig: bool, stat: events::MessageStat<'_>, ctx: &mut Ctx<'_>) {
        tell!(ctx, HttpMessageDone, is_orig: is_orig, stat: stat);
        let x = self.of(is_orig, ctx.ts);
        x.body_len[usize::from(!is_orig)] = stat.body_length;
        let goes_on = x.status.as_ref().is_some_and(|s| is_interim(s.code));
        if !is_orig && !goes_on {
            let number = self.current;
            self.log(number, ctx);
        }
    }

    /// What a file of this direction is known by, as of now; its name; and the pair that it belongs to.
    pub fn current(&self, is_orig: bool) -> Option<Current<'_>> {
        let at = self.place(self.current).ok()?;
        let (number, x) = self.pending.get(at)?;
        Some(Current {
            number: *number,
            is_range: x.is_range && !is_orig,
            depth: x.depth,
            entity: x.entities[usize::from(!is_orig)],
            name: x.entity.as_ref().and_then(|e| e.as_deref()),
        })
    }

    /// The file of which the pair that was spoken of last asks for a part.
    pub fn range_file(&mut self, is_orig: bool, c: &ConnId) -> Option<Handle> {
        let current = self.current;
        let x = self.get(current)?;
        let file = x
            .range_file
            .unwrap_or_else(|| handle::range(is_orig, c, &x.url(c)));
        x.range_file = Some(file);
        x.range_file
    }

    /// A file was met on this connection.
    pub fn file(&mut self, is_orig: bool, number: u64, fuid: String) {
        let Some(x) = self.get(number) else { return };
        let before = x.kept();
        let name = x.entity.clone().flatten();
        x.file(is_orig, name, fuid);
        let now = x.kept();
        self.kept = (self.kept + now).saturating_sub(before);
    }

    /// The type of a file of that pair is known.
    pub fn sniffed(&mut self, is_orig: bool, number: u64, mime: &'static str) {
        if let Some(x) = self.get(number) {
            x.sniffed(is_orig, mime);
        }
    }
}

/// The pair that was spoken of last, as a file sees it.
#[derive(Debug)]
pub struct Current<'x> {
    /// Its number.
    pub number: u64,
    /// The file is a part of something that the request asked for.
    pub is_range: bool,
    /// Which pair of the connection.
    pub depth: u64,
    /// Which entity of the message.
    pub entity: u64,
    /// The name that the entity's headers give it.
    pub name: Option<&'x [u8]>,
}

/// A list that is unset when nothing is in it.
fn some<T>(list: &[T]) -> Option<&[T]> {
    Some(list).filter(|l| !l.is_empty())
}

/// Whether the reply to the request is still to come.
pub fn is_interim(code: u16) -> bool {
    (100..200).contains(&code)
}

/// A version as events and rows show it.
fn text_of((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

impl Exchange {
    /// A pair that begins now, the connection's `depth`th.
    pub fn new(ts: Ts, depth: u64) -> Exchange {
        Exchange {
            ts,
            depth,
            ..Exchange::default()
        }
    }

    /// Takes in a status line.
    pub fn reply(&mut self, version: Cow<'static, str>, status: Status) {
        self.version = Some(version);
        if is_interim(status.code) {
            self.info = Some(status.clone());
        }
        self.status = Some(status);
    }

    /// Takes in a file that was met.
    pub fn file(&mut self, is_orig: bool, name: Option<Vec<u8>>, fuid: String) {
        let files = &mut self.files[usize::from(!is_orig)];
        if files.fuids.len() >= MAX_FILES {
            return;
        }
        files.fuids.push(fuid);
        files.names.extend(name);
    }

    /// Takes in a file's type.
    pub fn sniffed(&mut self, is_orig: bool, mime: &'static str) {
        let files = &mut self.files[usize::from(!is_orig)];
        if files.types.len() < MAX_FILES {
            files.types.push(mime);
        }
    }

    /// The URL that was asked for, without the scheme unless the request has it (Zeek: HTTP::build_url).
    pub fn url(&self, c: &ConnId) -> Vec<u8> {
        let uri = self.uri.as_deref().unwrap_or(b"/<missed_request>");
        if memchr::memmem::find(uri, b"://").is_some() {
            return uri.to_vec();
        }
        let mut url = match &self.host {
            Some(host) => host.clone(),
            None if c.resp_h.is_ipv6() => format!("[{}]", c.resp_h).into_bytes(),
            None => c.resp_h.to_string().into_bytes(),
        };
        if c.resp_p != 80 {
            url.extend_from_slice(format!(":{}", c.resp_p).as_bytes());
        }
        url.extend_from_slice(uri);
        url
    }

    /// What is known of it by now.
    pub fn row<'x>(&'x self, c: &'x ConnId) -> HttpRow<'x> {
        let [orig, resp] = &self.files;
        HttpRow {
            ts: self.ts,
            c,
            trans_depth: self.depth,
            method: self.method.as_deref(),
            host: self.host.as_deref(),
            uri: self.uri.as_deref(),
            referrer: self.referrer.as_deref(),
            version: self.version.as_deref(),
            user_agent: self.user_agent.as_deref(),
            origin: self.origin.as_deref(),
            request_body_len: self.body_len[0],
            response_body_len: self.body_len[1],
            status_code: self.status.as_ref().map(|s| s.code),
            status_msg: self.status.as_ref().and_then(|s| s.reason.as_deref()),
            info_code: self.info.as_ref().map(|s| s.code),
            info_msg: self.info.as_ref().and_then(|s| s.reason.as_deref()),
            tags: Vec::new(),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            proxied: some(&self.proxied),
            orig_fuids: some(&orig.fuids),
            orig_filenames: some(&orig.names),
            orig_mime_types: some(&orig.types),
            resp_fuids: some(&resp.fuids),
            resp_filenames: some(&resp.names),
            resp_mime_types: some(&resp.types),
        }
    }

    /// Bytes that it keeps on the heap, roughly.
    pub fn kept(&self) -> usize {
        let one = |v: &Option<Vec<u8>>| v.as_ref().map_or(0, Vec::len);
        let status = |s: &Option<Status>| s.as_ref().map_or(0, |s| one(&s.reason));
        let texts = [
            &self.method,
            &self.host,
            &self.uri,
            &self.referrer,
            &self.user_agent,
            &self.origin,
            &self.username,
            &self.password,
        ];
        let lists = self.files.iter().map(|f| &f.names).chain([&self.proxied]);
        let listed: usize = lists.flatten().map(Vec::len).sum();
        texts.into_iter().map(one).sum::<usize>() + listed + status(&self.status) + status(&self.info)
    }

    /// Takes in a request's header.
    pub fn request_header(&mut self, name: &[u8], value: &[u8], capture_password: bool, ctx: &mut Ctx<'_>) {
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        let value_of = || Some(value.to_vec());
        if is(b"REFERER") {
            self.referrer = value_of();
        } else if is(b"HOST") {
            self.host = value_of();
            self.range_file = None;
        } else if is(b"RANGE") {
            self.is_range = true;
        } else if is(b"ORIGIN") {
            self.origin = value_of();
        } else if is(b"USER-AGENT") {
            self.user_agent = value_of();
        } else if PROXY_HEADERS.into_iter().any(is) {
            let proxy = [&name.to_ascii_uppercase(), b" -> ".as_slice(), value].concat();
            if self.proxied.len() < MAX_PROXIED && !self.proxied.contains(&proxy) {
                self.proxied.push(proxy);
            }
        } else if is(b"AUTHORIZATION") || is(b"PROXY-AUTHORIZATION") {
            self.authorization(value, capture_password, ctx);
        }
    }

    /// User and password of the basic scheme (RFC 7617).
    fn authorization(&mut self, value: &[u8], capture_password: bool, ctx: &mut Ctx<'_>) {
        let Some((scheme, b" ")) = value.get(..6).map(|v| v.split_at(5)) else {
            return;
        };
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return;
        }
        let text = value.get(6..).unwrap_or(&[]);
        let text = crate::analyzer::lines::skip_blank(text);
        let said = base64(text, &mut |odd| ctx.out.weird("base64_illegal_encoding", odd));
        let said = said.unwrap_or_default();
        let password = match said.iter().position(|b| *b == b':') {
            Some(at) => {
                self.username = said.get(..at).map(<[u8]>::to_vec);
                said.get(at + 1..).unwrap_or(&[]).to_vec()
            }
            None => {
                self.username = Some([b"<problem-decoding> (", value, b")"].concat());
                said
            }
        };
        self.password = capture_password.then_some(password);
    }
}
