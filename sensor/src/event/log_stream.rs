//! Log streams that are defined while the sensor runs, as a script does it.
//!
//! A stream is kept for as long as the process runs, so that its rows can name path and columns like all others do.
//! Who defines the same one again gets the one that is there.

use std::sync::{Mutex, PoisonError};

use super::log::{Column, LogRow, Value};
use crate::base::names::keep;

/// Longest path, bytes: a file's name has room for it with `.log` and a time after it.
const MAX_PATH: usize = 64;

/// Zeek's types of one value.
const TYPES: [&str; 10] = [
    "time", "interval", "count", "int", "double", "bool", "port", "addr", "string", "enum",
];

/// Why a stream cannot be defined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefineError {
    /// The path names the log's file, so it is made of lower-case letters, digits and `_` alone.
    #[error("a log's path is 1 to {MAX_PATH} characters of a-z, 0-9 and _, not {0:?}")]
    Path(String),
    /// It has no column at all.
    #[error("{0}.log has no columns")]
    Empty(String),
    /// A column's name is made of letters, digits, `_` and `.` alone.
    #[error("a column's name is made of letters, digits, _ and ., not {0:?}")]
    Name(String),
    /// Two columns have the same name.
    #[error("column {0} is there twice")]
    Duplicate(String),
    /// No such type.
    #[error("column {column} has an unknown type {typ:?}")]
    Type {
        /// The column.
        column: String,
        /// What was to be its type.
        typ: String,
    },
    /// The log is one of the sensor's own, or a stream with other columns.
    #[error("{0}.log is there already and has other columns")]
    Taken(String),
}

/// Why values are not a row of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// There are more values than columns, or fewer.
    #[error("{path}.log has {columns} columns, the row {values} values")]
    Length {
        /// The log.
        path: &'static str,
        /// How many columns it has.
        columns: usize,
        /// How many values there are.
        values: usize,
    },
    /// A value is not of its column's type.
    #[error("column {name} of {path}.log has the type {typ}, its value has not")]
    Type {
        /// The log.
        path: &'static str,
        /// The column.
        name: &'static str,
        /// The column's type.
        typ: &'static str,
    },
}

/// A log that was defined while the sensor runs.
#[derive(Debug, PartialEq, Eq)]
pub struct LogStream {
    path: &'static str,
    columns: &'static [Column],
}

static DEFINED: Mutex<Vec<&'static LogStream>> = Mutex::new(Vec::new());
/// Paths of logs whose columns are not known before their first row.
static NAMED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

impl LogStream {
    /// The stream of the log `path` with these columns, each a name and Zeek's type. Not for the paths of the sensor's
    /// own logs, of which nothing is known here.
    pub(crate) fn define(path: &str, columns: &[(&str, &str)]) -> Result<&'static LogStream, DefineError> {
        check(path, columns)?;
        let mut defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = defined.iter().find(|s| s.path == path) {
            let is = stream.columns.iter().map(|c| (c.name, c.typ));
            return match is.eq(columns.iter().copied()) {
                true => Ok(stream),
                false => Err(DefineError::Taken(path.to_owned())),
            };
        }
        if NAMED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&path)
        {
            return Err(DefineError::Taken(path.to_owned()));
        }
        let columns: Vec<Column> = columns
            .iter()
            .map(|(n, t)| Column::new(keep(n), keep(t)).or_unset())
            .collect();
        let stream: &'static LogStream = Box::leak(Box::new(LogStream {
            path: keep(path),
            columns: columns.leak(),
        }));
        defined.push(stream);
        Ok(stream)
    }

    /// Takes the path of a log whose rows will have columns of another log. Not for the paths of the sensor's own logs, of which
    /// nothing is known here.
    pub(crate) fn name(path: &str) -> Result<&'static str, DefineError> {
        if !is_path(path) {
            return Err(DefineError::Path(path.to_owned()));
        }
        if LogStream::is_defined(path) {
            return Err(DefineError::Taken(path.to_owned()));
        }
        let kept = keep(path);
        NAMED.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        Ok(kept)
    }

    /// Whether a log with this path was defined.
    pub fn is_defined(path: &str) -> bool {
        let is_named = |named: &Mutex<Vec<&'static str>>| {
            let named = named.lock().unwrap_or_else(PoisonError::into_inner);
            named.contains(&path)
        };
        if is_named(&NAMED) {
            return true;
        }
        let defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
        defined.iter().any(|s| s.path == path)
    }

    /// The log's name without `.log`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The log's columns, in order.
    pub fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// A row of it: a value for each column, of the column's type or unset.
    pub fn row<'a>(&'static self, values: Vec<Value<'a>>) -> Result<StreamRow<'a>, RowError> {
        let path = self.path;
        if values.len() != self.columns.len() {
            let (columns, values) = (self.columns.len(), values.len());
            return Err(RowError::Length {
                path,
                columns,
                values,
            });
        }
        match self.columns.iter().zip(&values).find(|(c, v)| !fits(c.typ, v)) {
            Some((Column { name, typ, .. }, _)) => Err(RowError::Type { path, name, typ }),
            None => Ok(StreamRow { stream: self, values }),
        }
    }
}

/// Whether a log may have this path.
fn is_path(path: &str) -> bool {
    let is = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=MAX_PATH).contains(&path.len()) && path.bytes().all(is)
}

/// What a stream is refused for, other streams aside.
fn check(path: &str, columns: &[(&str, &str)]) -> Result<(), DefineError> {
    let of = |text: &str, is: fn(u8) -> bool| !text.is_empty() && text.bytes().all(is);
    if !is_path(path) {
        return Err(DefineError::Path(path.to_owned()));
    }
    if columns.is_empty() {
        return Err(DefineError::Empty(path.to_owned()));
    }
    for (i, (name, typ)) in columns.iter().enumerate() {
        if !of(name, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
            return Err(DefineError::Name((*name).to_owned()));
        }
        if columns[..i].iter().any(|c| c.0 == *name) {
            return Err(DefineError::Duplicate((*name).to_owned()));
        }
        let one = element(typ).unwrap_or(typ);
        if !TYPES.contains(&one) {
            return Err(DefineError::Type {
                column: (*name).to_owned(),
                typ: (*typ).to_owned(),
            });
        }
    }
    Ok(())
}

/// The type of a set's or a vector's elements.
fn element(typ: &str) -> Option<&str> {
    let list = typ.strip_prefix("set[").or_else(|| typ.strip_prefix("vector["));
    list?.strip_suffix(']')
}

/// Whether a column of this type may have the value.
fn fits(typ: &str, v: &Value<'_>) -> bool {
    match v {
        Value::Unset => true,
        Value::Time(_) | Value::Seconds(_) | Value::Nanoseconds(_) => typ == "time",
        Value::Interval(_) => typ == "interval",
        Value::Str(_) => typ == "string" || typ == "enum",
        Value::Wire(_) | Value::Uid(_) => typ == "string",
        Value::Count(_) => typ == "count",
        Value::Int(_) => typ == "int",
        Value::Double(_) => typ == "double",
        Value::Bool(_) => typ == "bool",
        Value::Addr(_) => typ == "addr",
        Value::Port(_) => typ == "port",
        Value::List(all) => element(typ).is_some_and(|one| all.iter().all(|v| fits(one, v))),
    }
}

/// A row of a [`LogStream`].
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRow<'a> {
    stream: &'static LogStream,
    values: Vec<Value<'a>>,
}

impl LogRow for StreamRow<'_> {
    fn path(&self) -> &'static str {
        self.stream.path
    }

    fn columns(&self) -> &'static [Column] {
        self.stream.columns
    }

    fn values<'row>(&'row self, out: &mut Vec<Value<'row>>) {
        out.extend(self.values.iter().map(Value::borrowed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::log::{LogFormat, LogTags, write_row};

    const COLUMNS: &[(&str, &str)] = &[
        ("ts", "time"),
        ("id.orig_h", "addr"),
        ("kind", "enum"),
        ("names", "set[string]"),
        ("n", "count"),
    ];

    fn written(format: LogFormat, row: &dyn LogRow) -> String {
        let mut out = Vec::new();
        write_row(format, &LogTags::default(), row, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn rows_are_written_like_those_of_any_log() {
        let stream = LogStream::define("found", COLUMNS).expect("a stream");
        let row = stream.row(vec![
            Value::Time(1_500_000_000),
            Value::Addr([192, 0, 2, 1].into()),
            Value::Str("Found::HOST".into()),
            Value::List(vec![Value::Str("a,b".into()), Value::Wire(b"\xff".into())]),
            Value::Unset,
        ]);
        let row = row.expect("a row");
        assert_eq!(
            written(LogFormat::Tsv, &row),
            "1.500000\t192.0.2.1\tFound::HOST\ta\\x2cb,\\xff\t-\n"
        );
        assert_eq!(
            written(LogFormat::Json, &row),
            "{\"ts\":1.500000,\"id.orig_h\":\"192.0.2.1\",\"kind\":\"Found::HOST\",\"names\":[\"a,b\",\"\\\\xff\"]}\n"
        );
    }

    #[test]
    fn the_same_stream_is_the_one_that_is_there() {
        let first = LogStream::define("again", COLUMNS).expect("a stream");
        let second = LogStream::define("again", COLUMNS).expect("the same");
        assert!(std::ptr::eq(first, second));
        let other = LogStream::define("again", &COLUMNS[1..]);
        assert_eq!(other, Err(DefineError::Taken("again".into())));
    }

    #[test]
    fn what_cannot_be_a_log_is_refused() {
        for path in ["", "../conn", "a/b", "A", "a.b", "a\0", &"a".repeat(MAX_PATH + 1)] {
            assert_eq!(
                LogStream::define(path, COLUMNS),
                Err(DefineError::Path(path.to_owned()))
            );
        }
        let columns = |columns: &[(&str, &str)]| LogStream::define("refused", columns);
        assert_eq!(columns(&[]), Err(DefineError::Empty("refused".into())));
        assert_eq!(
            columns(&[("a\tb", "count")]),
            Err(DefineError::Name("a\tb".into()))
        );
        assert_eq!(
            columns(&[("a", "count"), ("a", "string")]),
            Err(DefineError::Duplicate("a".into()))
        );
        for typ in ["text", "set[count", "set[set[count]]", "vector[]", ""] {
            let refused = DefineError::Type {
                column: "a".into(),
                typ: typ.into(),
            };
            assert_eq!(columns(&[("a", typ)]), Err(refused));
        }
    }

    #[test]
    fn values_have_their_columns_types() {
        let stream = LogStream::define("typed", &[("n", "count"), ("l", "vector[addr]")]).expect("a stream");
        let list = |v: Value<'static>| vec![Value::Count(1), Value::List(vec![v])];
        assert!(stream.row(list(Value::Addr([192, 0, 2, 1].into()))).is_ok());
        assert!(stream.row(vec![Value::Unset, Value::Unset]).is_ok());
        let refused = |values| stream.row(values).expect_err("refused").to_string();
        assert_eq!(
            refused(vec![Value::Count(1)]),
            "typed.log has 2 columns, the row 1 values"
        );
        assert_eq!(
            refused(list(Value::Count(1))),
            "column l of typed.log has the type vector[addr], its value has not"
        );
        assert_eq!(
            refused(vec![Value::Int(1), Value::Unset]),
            "column n of typed.log has the type count, its value has not"
        );
    }
}
