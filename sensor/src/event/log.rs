//! A log row as the engine hands it over: columns with Zeek's types, values as plain Rust.
//!
//! Knows neither files nor formats; [`crate::output::log`] turns rows into text.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::ids::{Ts, Uid};
use super::json::{self, Object};

/// A log that the sensor has rows for.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Its name without `.log`.
    pub path: &'static str,
    /// All columns that it can have, those that are there on request included.
    pub columns: fn() -> &'static [Column],
}

/// One column of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Zeek's column name, such as `id.orig_h`.
    pub name: &'static str,
    /// Zeek's type: time, string, addr, port, enum, interval, count, bool, `set[string]`, `vector[string]` and so on.
    pub typ: &'static str,
    /// A row may have no value for it.
    pub optional: bool,
    /// It is there on request only.
    pub on_request: bool,
}

impl Column {
    /// A column named `name` of Zeek type `typ` for which each row has a value.
    pub const fn new(name: &'static str, typ: &'static str) -> Column {
        Column {
            name,
            typ,
            optional: false,
            on_request: false,
        }
    }

    /// The same for rows that may have no value for it.
    pub const fn or_unset(self) -> Column {
        Column {
            optional: true,
            ..self
        }
    }
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value: `-` in TSV, absent in JSON.
    Unset,
    /// Point in time, ns since the epoch.
    Time(Ts),
    /// Point in time, whole seconds since the epoch: for those before it and beyond the year 2554.
    Seconds(i64),
    /// Point in time, ns since the epoch: for those before it that have a fraction of a second.
    Nanoseconds(i64),
    /// Length of time, ns.
    Interval(i64),
    /// Text of the sensor's own (Zeek's string and enum).
    Str(Cow<'a, str>),
    /// A connection's id.
    Uid(Uid),
    /// Text off the wire: any bytes. The format escapes them, nobody before it.
    Wire(Cow<'a, [u8]>),
    /// Unsigned number.
    Count(u64),
    /// Signed number.
    Int(i64),
    /// Floating point number.
    Double(f64),
    /// `T` or `F` in TSV.
    Bool(bool),
    /// Address, in text without zone or brackets.
    Addr(IpAddr),
    /// Port, host byte order.
    Port(u16),
    /// Set or vector; an empty one is `(empty)` in TSV and `[]` in JSON.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// The same value, its text not copied.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Str(s) => Value::Str((&**s).into()),
            Value::Wire(s) => Value::Wire((&**s).into()),
            Value::List(all) => Value::List(all.iter().map(Value::borrowed).collect()),
            Value::Unset => Value::Unset,
            Value::Uid(u) => Value::Uid(*u),
            Value::Time(t) => Value::Time(*t),
            Value::Seconds(s) => Value::Seconds(*s),
            Value::Nanoseconds(n) => Value::Nanoseconds(*n),
            Value::Interval(i) => Value::Interval(*i),
            Value::Count(n) => Value::Count(*n),
            Value::Int(n) => Value::Int(*n),
            Value::Double(d) => Value::Double(*d),
            Value::Bool(b) => Value::Bool(*b),
            Value::Addr(a) => Value::Addr(*a),
            Value::Port(p) => Value::Port(*p),
        }
    }
}

/// A row of some log.
pub trait LogRow {
    /// The log's name without `.log`: `conn`, `ssl`.
    fn path(&self) -> &'static str;
    /// The log's columns, in order; the same for every row of a path.
    fn columns(&self) -> &'static [Column];
    /// Appends one value per column to `out`.
    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>);
}

/// A row whose values are others than those of another row.
pub struct Changed<'r, F> {
    row: &'r dyn LogRow,
    change: F,
}

impl<'r, F: Fn(&mut Value<'_>, &Column)> Changed<'r, F> {
    /// The row with each value as `change` leaves it.
    pub fn new(row: &'r dyn LogRow, change: F) -> Self {
        Changed { row, change }
    }
}

impl<F: Fn(&mut Value<'_>, &Column)> LogRow for Changed<'_, F> {
    fn path(&self) -> &'static str {
        self.row.path()
    }

    fn columns(&self) -> &'static [Column] {
        self.row.columns()
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let before = out.len();
        self.row.values(out);
        for (value, column) in out[before..].iter_mut().zip(self.columns()) {
            (self.change)(value, column);
        }
    }
}

impl fmt::Debug for dyn LogRow + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut v = Vec::new();
        self.values(&mut v);
        let names = self.columns().iter().map(|c| c.name);
        f.write_str(self.path())?;
        f.debug_map().entries(names.zip(v)).finish()
    }
}

/// Writes a row as one JSON object, as Zeek's JSON logs have it; `values` is scratch space.
pub fn write_json<'a>(out: &mut Vec<u8>, row: &'a dyn LogRow, values: &mut Vec<Value<'a>>) {
    write_json_after(out, row, values, |_| {});
}

/// Writes a row as [`write_json`] does, after the fields that `first` writes.
pub fn write_json_after<'a>(
    out: &mut Vec<u8>,
    row: &'a dyn LogRow,
    values: &mut Vec<Value<'a>>,
    first: impl FnOnce(&mut Object<'_>),
) {
    values.clear();
    row.values(values);
    let mut o = Object::new(out);
    first(&mut o);
    for (col, v) in row.columns().iter().zip(values.iter()) {
        if *v != Value::Unset {
            value_json(o.key(col.name), v);
        }
    }
    o.end();
}

fn value_json(out: &mut Vec<u8>, v: &Value<'_>) {
    match v {
        Value::Unset => out.extend_from_slice(b"null"),
        Value::Time(t) => json::time(out, *t),
        Value::Seconds(s) => json::seconds(out, *s),
        Value::Nanoseconds(n) | Value::Interval(n) => json::interval(out, *n),
        Value::Str(s) => json::text(out, s),
        Value::Uid(u) => json::uid(out, *u),
        Value::Wire(s) => json::wire_text(out, s),
        Value::Count(n) => json::count(out, *n),
        Value::Int(n) => json::int(out, *n),
        Value::Double(d) => json::double(out, *d),
        Value::Bool(b) => json::bool(out, *b),
        Value::Addr(a) => json::addr(out, *a),
        Value::Port(p) => json::count(out, (*p).into()),
        Value::List(l) => json::array(out, l, value_json),
    }
}
