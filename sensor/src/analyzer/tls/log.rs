//! The row of ssl.log.

use std::borrow::Cow;
use std::net::IpAddr;

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
    pub server_name: Option<String>,
    pub resumed: bool,
    pub last_alert: Option<Cow<'static, str>>,
    pub next_protocol: Option<String>,
    pub established: bool,
    pub ssl_history: String,
    /// SHA-256 of each certificate's DER, lower-case hex, leaf first; unset when no side sent any.
    pub cert_chain_fps: Option<Vec<String>>,
    pub client_cert_chain_fps: Option<Vec<String>>,
    pub sni_matches_cert: Option<bool>,
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

fn text<'a>(v: Option<&'a str>) -> Value<'a> {
    v.map_or(Value::Unset, |s| Value::Str(Cow::Borrowed(s)))
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
        COLUMNS
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
            text(self.server_name.as_deref()),
            Value::Bool(self.resumed),
            text(self.last_alert.as_deref()),
            text(self.next_protocol.as_deref()),
            Value::Bool(self.established),
            text(Some(&self.ssl_history)),
            texts(self.cert_chain_fps.as_ref()),
            texts(self.client_cert_chain_fps.as_ref()),
            self.sni_matches_cert.map_or(Value::Unset, Value::Bool),
        ]);
    }
}
