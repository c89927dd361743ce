//! The row of x509.log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::Certificate;
use crate::event::Ts;
use crate::event::log::{Column, LogRow, Value};

/// One row of x509.log: a certificate and how it was used.
#[derive(Clone, Debug)]
pub struct X509Row {
    /// When it was sent.
    pub ts: Ts,
    pub cert: Arc<Certificate>,
    /// The first of its chain.
    pub host_cert: bool,
    /// Sent by a client.
    pub client_cert: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("fingerprint", "string"),
    Column::new("certificate.version", "count"),
    Column::new("certificate.serial", "string"),
    Column::new("certificate.subject", "string"),
    Column::new("certificate.issuer", "string"),
    Column::new("certificate.not_valid_before", "time"),
    Column::new("certificate.not_valid_after", "time"),
    Column::new("certificate.key_alg", "string"),
    Column::new("certificate.sig_alg", "string"),
    Column::new("certificate.key_type", "string"),
    Column::new("certificate.key_length", "count"),
    Column::new("certificate.exponent", "string"),
    Column::new("certificate.curve", "string"),
    Column::new("san.dns", "vector[string]"),
    Column::new("san.uri", "vector[string]"),
    Column::new("san.email", "vector[string]"),
    Column::new("san.ip", "vector[addr]"),
    Column::new("basic_constraints.ca", "bool"),
    Column::new("basic_constraints.path_len", "count"),
    Column::new("host_cert", "bool"),
    Column::new("client_cert", "bool"),
];

fn text(v: &str) -> Value<'_> {
    Value::Str(Cow::Borrowed(v))
}

fn opt(v: Option<&str>) -> Value<'_> {
    v.map_or(Value::Unset, text)
}

/// A kind of name that does not occur is unset, not empty.
fn names(v: &[Vec<u8>]) -> Value<'_> {
    match v {
        [] => Value::Unset,
        v => Value::List(v.iter().map(|s| Value::Wire(s.into())).collect()),
    }
}

/// Empty is not unset here: that is what addresses of no address's length leave.
fn addrs(v: Option<&[IpAddr]>) -> Value<'_> {
    v.map_or(Value::Unset, |v| {
        Value::List(v.iter().map(|a| Value::Addr(*a)).collect())
    })
}

impl LogRow for X509Row {
    fn path(&self) -> &'static str {
        "x509"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let c = &*self.cert;
        out.extend([
            Value::Time(self.ts),
            text(&c.fingerprint),
            Value::Count(c.version),
            text(&c.serial),
            text(&c.subject),
            text(&c.issuer),
            Value::Seconds(c.not_before),
            Value::Seconds(c.not_after),
            text(&c.key_alg),
            text(&c.sig_alg),
            opt(c.key_type.as_deref()),
            c.key_length.map_or(Value::Unset, Value::Count),
            opt(c.exponent.as_deref()),
            opt(c.curve.as_deref()),
            names(&c.dns),
            names(&c.uri),
            names(&c.email),
            addrs(c.ip.as_deref()),
            c.ca.map_or(Value::Unset, Value::Bool),
            c.path_len.map_or(Value::Unset, Value::Count),
            Value::Bool(self.host_cert),
            Value::Bool(self.client_cert),
        ]);
    }
}
