//! The row of ssl.log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use crate::event::Ts;
use crate::event::log::{Column, LogRow, Value};

/// One row of ssl.log; fields are its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct SslRow {
    pub ts: Ts,
    pub uid: String,
    /// `id.orig_h`, `id.orig_p`.
    pub orig: (IpAddr, u16),
    /// `id.resp_h`, `id.resp_p`.
    pub resp: (IpAddr, u16),
    pub version: Option<Cow<'static, str>>,
    pub cipher: Option<Cow<'static, str>>,
    pub curve: Option<Cow<'static, str>>,
    /// As its bytes are, and so the protocol.
    pub server_name: Option<Vec<u8>>,
    pub resumed: bool,
    pub last_alert: Option<Cow<'static, str>>,
    pub next_protocol: Option<Vec<u8>>,
    pub established: bool,
    pub ssl_history: String,
    /// SHA-256 of each certificate's DER, lower-case hex, leaf first; unset when no side sent any.
    pub cert_chain_fps: Option<Vec<String>>,
    pub client_cert_chain_fps: Option<Vec<String>>,
    pub sni_matches_cert: Option<bool>,
    /// `subject`, `issuer`, `client_subject`, `client_issuer`, if there are such columns.
    pub subjects: Option<Certs>,
    /// `ja3`, `ja3s`, `ja4`, if there are such columns.
    pub fingerprints: Option<Fingerprints>,
    /// `validation_status`, if there is such a column.
    pub validation_status: Option<Option<Cow<'static, str>>>,
}

/// Subject and issuer of the server's certificate and of the client's.
pub type Certs = [Option<(String, String)>; 2];

/// Hashes of both hellos.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    pub ja3: Option<String>,
    pub ja3s: Option<String>,
    pub ja4: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
    Column::new("version", "string"),
    Column::new("cipher", "string"),
    Column::new("curve", "string"),
    Column::new("server_name", "string"),
    Column::new("resumed", "bool"),
    Column::new("last_alert", "string"),
    Column::new("next_protocol", "string"),
    Column::new("established", "bool"),
    Column::new("ssl_history", "string"),
    Column::new("cert_chain_fps", "vector[string]"),
    Column::new("client_cert_chain_fps", "vector[string]"),
    Column::new("sni_matches_cert", "bool"),
];

/// Where Zeek has the columns of [`SUBJECTS`]: before `sni_matches_cert`.
const BEFORE_SUBJECTS: usize = COLUMNS.len() - 1;
const SUBJECTS: &[Column] = &[
    Column::new("subject", "string"),
    Column::new("issuer", "string"),
    Column::new("client_subject", "string"),
    Column::new("client_issuer", "string"),
];
const VALIDATION: Column = Column::new("validation_status", "string");
const FINGERPRINTS: &[Column] = &[
    Column::new("ja3", "string"),
    Column::new("ja3s", "string"),
    Column::new("ja4", "string"),
];

/// The columns for a choice of those on request. Made once: one sensor has one choice.
fn columns(subjects: bool, validation: bool, fingerprints: bool) -> &'static [Column] {
    static SETS: [OnceLock<Vec<Column>>; 8] = [const { OnceLock::new() }; 8];
    let set = usize::from(subjects) | usize::from(validation) << 1 | usize::from(fingerprints) << 2;
    SETS[set].get_or_init(|| {
        let (before, after) = COLUMNS.split_at(BEFORE_SUBJECTS);
        let mut all = before.to_vec();
        all.extend(SUBJECTS.iter().filter(|_| subjects));
        all.extend(after);
        all.extend([VALIDATION].iter().filter(|_| validation));
        all.extend(FINGERPRINTS.iter().filter(|_| fingerprints));
        all
    })
}

fn text<'a>(v: Option<&'a str>) -> Value<'a> {
    v.map_or(Value::Unset, |s| Value::Str(Cow::Borrowed(s)))
}

fn wire<'a>(v: Option<&'a [u8]>) -> Value<'a> {
    v.map_or(Value::Unset, |s| Value::Wire(Cow::Borrowed(s)))
}

fn texts(v: Option<&Vec<String>>) -> Value<'_> {
    v.map_or(Value::Unset, |l| {
        Value::List(l.iter().map(|s| text(Some(s))).collect())
    })
}

impl LogRow for SslRow {
    fn path(&self) -> &'static str {
        "ssl"
    }

    fn columns(&self) -> &'static [Column] {
        columns(
            self.subjects.is_some(),
            self.validation_status.is_some(),
            self.fingerprints.is_some(),
        )
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([
            Value::Time(self.ts),
            text(Some(&self.uid)),
            Value::Addr(self.orig.0),
            Value::Port(self.orig.1),
            Value::Addr(self.resp.0),
            Value::Port(self.resp.1),
            text(self.version.as_deref()),
            text(self.cipher.as_deref()),
            text(self.curve.as_deref()),
            wire(self.server_name.as_deref()),
            Value::Bool(self.resumed),
            text(self.last_alert.as_deref()),
            wire(self.next_protocol.as_deref()),
            Value::Bool(self.established),
            text(Some(&self.ssl_history)),
            texts(self.cert_chain_fps.as_ref()),
            texts(self.client_cert_chain_fps.as_ref()),
        ]);
        for names in self.subjects.iter().flatten() {
            let names = names.as_ref();
            out.push(text(names.map(|n| n.0.as_str())));
            out.push(text(names.map(|n| n.1.as_str())));
        }
        out.push(self.sni_matches_cert.map_or(Value::Unset, Value::Bool));
        out.extend(self.validation_status.iter().map(|s| text(s.as_deref())));
        if let Some(f) = &self.fingerprints {
            out.extend([&f.ja3, &f.ja3s, &f.ja4].map(|h| text(h.as_deref())));
        }
    }
}
