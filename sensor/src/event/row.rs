//! Log rows declared once: `row!` makes the struct, the log's columns and the values from one list of fields.
//!
//! A field reads `name = "column": opt set kind (RustType)`; all but the name and the kind may be left out. The kinds
//! are the arms of `rust_type!`: what follows in parentheses is the field's own Rust type instead of the one there.
//! `opt` makes it an Option, of which None is unset. `set` and `vector` make it a list: a `Vec`, or what else has
//! `iter()`.
//!
//! `conn` is the five columns of a connection. `group (Option<G>)` is columns that are there on request only: those
//! of `G`, which `columns!` declares, when the field is Some.

use std::borrow::{Borrow, Cow};
use std::sync::OnceLock;

use super::log::{Column, Value};
use super::{ConnId, Uid};

/// Columns that come and go together, as `columns!` declares them.
pub trait Group {
    /// They themselves, in order.
    const COLUMNS: &'static [Column];

    /// Appends a value for each.
    fn values<'row>(&'row self, out: &mut Vec<Value<'row>>);
}

/// What fills the five columns of a connection.
pub trait Ends {
    /// The columns.
    const COLUMNS: &'static [Column] = CONN;

    /// Appends five values: uid, address and port of the originator, address and port of the responder.
    fn ends(&self, out: &mut Vec<Value<'_>>);
}

impl Ends for ConnId {
    fn ends(&self, out: &mut Vec<Value<'_>>) {
        out.extend([
            uid(&self.uid),
            Value::Addr(self.orig_h),
            Value::Port(self.orig_p),
            Value::Addr(self.resp_h),
            Value::Port(self.resp_p),
        ]);
    }
}

impl<T: Ends> Ends for &T {
    const COLUMNS: &'static [Column] = T::COLUMNS;

    fn ends(&self, out: &mut Vec<Value<'_>>) {
        (**self).ends(out);
    }
}

/// The columns of a connection.
pub const CONN: &[Column] = &[
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
];

/// The same where there may be none.
pub const CONN_OR_UNSET: &[Column] = &[
    CONN[0].or_unset(),
    CONN[1].or_unset(),
    CONN[2].or_unset(),
    CONN[3].or_unset(),
    CONN[4].or_unset(),
];

/// The columns of one field of a row.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// They themselves, in order.
    pub columns: &'static [Column],
    /// They are there on request only.
    pub on_request: bool,
}

impl Part {
    /// Columns that every row has.
    pub const fn always(columns: &'static [Column]) -> Part {
        Part {
            columns,
            on_request: false,
        }
    }

    /// Columns that are there on request.
    pub const fn on_request(columns: &'static [Column]) -> Part {
        Part {
            columns,
            on_request: true,
        }
    }
}

/// The columns of a row with some of its groups: the `i`th is there if `with[i]`. `made` has one place for each choice
/// of groups and keeps what was put together once.
pub fn columns_of(
    parts: &[Part],
    with: &[bool],
    made: &'static [OnceLock<Vec<Column>>],
) -> &'static [Column] {
    let choice = with.iter().rev().fold(0, |bits, on| bits << 1 | usize::from(*on));
    made[choice].get_or_init(|| {
        let mut groups = with.iter();
        let wanted = |p: &&Part| !p.on_request || groups.next() == Some(&true);
        parts
            .iter()
            .filter(wanted)
            .flat_map(|p| {
                let of_part = |c: &Column| Column {
                    on_request: p.on_request,
                    ..*c
                };
                p.columns.iter().map(of_part)
            })
            .collect()
    })
}

/// The column of a field of a group: these have one each.
pub const fn one(part: Part) -> Column {
    assert!(part.columns.len() == 1 && !part.on_request);
    part.columns[0]
}

/// Text of the sensor's own.
pub fn text<T: AsRef<str> + ?Sized>(v: &T) -> Value<'_> {
    Value::Str(Cow::Borrowed(v.as_ref()))
}

/// Bytes off the wire.
pub fn wire<T: AsRef<[u8]> + ?Sized>(v: &T) -> Value<'_> {
    Value::Wire(Cow::Borrowed(v.as_ref()))
}

/// A connection's id.
pub fn uid(v: &Uid) -> Value<'static> {
    Value::Uid(*v)
}

/// An unsigned number of any width.
pub fn count(v: &(impl Copy + Into<u64>)) -> Value<'static> {
    Value::Count((*v).into())
}

/// A signed number of any width.
pub fn int(v: &(impl Copy + Into<i64>)) -> Value<'static> {
    Value::Int((*v).into())
}

/// Nanoseconds, or a reference to them.
pub fn interval(v: impl Borrow<i64>) -> Value<'static> {
    Value::Interval(*v.borrow())
}

/// The Rust type of a field.
macro_rules! rust_type {
    ([opt $($kind:ident)+] $($own:ty)?) => { Option<$crate::event::row::rust_type!([$($kind)+] $($own)?)> };
    ([$($kind:ident)+] $own:ty) => { $own };
    ([set $kind:ident]) => { Vec<$crate::event::row::rust_type!([$kind])> };
    ([vector $kind:ident]) => { Vec<$crate::event::row::rust_type!([$kind])> };
    ([time]) => { $crate::event::Ts };
    ([seconds]) => { i64 };
    ([nanoseconds]) => { i64 };
    ([interval]) => { i64 };
    ([count]) => { u64 };
    ([int]) => { i64 };
    ([double]) => { f64 };
    ([bool]) => { bool };
    ([port]) => { u16 };
    ([addr]) => { std::net::IpAddr };
    ([text]) => { std::borrow::Cow<'static, str> };
    ([wire]) => { Vec<u8> };
    ([enumeration]) => { &'static str };
    ([uid]) => { $crate::event::Uid };
    ([conn]) => { $crate::event::ConnId };
}

/// A column of that name, whose rows have a value or may have none.
macro_rules! column {
    ($name:expr, opt $($kind:ident)+) => { $crate::event::row::column!($name, $($kind)+).or_unset() };
    ($name:expr, $($kind:ident)+) => {
        $crate::event::log::Column::new($name, $crate::event::row::column_type!($($kind)+))
    };
}

/// Zeek's type of a column.
macro_rules! column_type {
    (set $kind:ident) => {
        concat!("set[", $crate::event::row::column_type!($kind), "]")
    };
    (vector $kind:ident) => {
        concat!("vector[", $crate::event::row::column_type!($kind), "]")
    };
    (seconds) => {
        "time"
    };
    (nanoseconds) => {
        "time"
    };
    (text) => {
        "string"
    };
    (wire) => {
        "string"
    };
    (uid) => {
        "string"
    };
    (enumeration) => {
        "enum"
    };
    ($kind:ident) => {
        stringify!($kind)
    };
}

/// The columns of a field.
macro_rules! part {
    ($name:ident [conn] $($own:ty)?) => {
        $crate::event::row::Part::always(
            <$crate::event::row::rust_type!([conn] $($own)?) as $crate::event::row::Ends>::COLUMNS,
        )
    };
    ($name:ident [group] $own:ty) => {
        $crate::event::row::Part::on_request(<$own as $crate::event::row::Requested>::COLUMNS)
    };
    ($name:ident = $column:literal [$($kind:ident)+] $($own:ty)?) => {
        $crate::event::row::Part::always(&[$crate::event::row::column!($column, $($kind)+)])
    };
    ($name:ident [$($kind:ident)+] $($own:ty)?) => {
        $crate::event::row::Part::always(&[$crate::event::row::column!(stringify!($name), $($kind)+)])
    };
}

/// The value of a column whose field is `$v`, a reference.
macro_rules! value {
    ([opt $($kind:ident)+] $v:expr) => {
        match $v {
            Some(v) => $crate::event::row::value!([$($kind)+] v),
            None => $crate::event::log::Value::Unset,
        }
    };
    ([set $kind:ident] $v:expr) => {
        $crate::event::log::Value::List($v.iter().map(|v| $crate::event::row::value!([$kind] v)).collect())
    };
    ([vector $kind:ident] $v:expr) => { $crate::event::row::value!([set $kind] $v) };
    ([time] $v:expr) => { $crate::event::log::Value::Time(*$v) };
    ([seconds] $v:expr) => { $crate::event::log::Value::Seconds(*$v) };
    ([nanoseconds] $v:expr) => { $crate::event::log::Value::Nanoseconds(*$v) };
    ([double] $v:expr) => { $crate::event::log::Value::Double(*$v) };
    ([bool] $v:expr) => { $crate::event::log::Value::Bool(*$v) };
    ([port] $v:expr) => { $crate::event::log::Value::Port(*$v) };
    ([addr] $v:expr) => { $crate::event::log::Value::Addr(*$v) };
    ([enumeration] $v:expr) => { $crate::event::row::text($v) };
    ([$kind:ident] $v:expr) => { $crate::event::row::$kind($v) };
}

/// Appends the values of a field.
macro_rules! push {
    ($out:ident [conn] $v:expr) => { $crate::event::row::Ends::ends($v, $out) };
    ($out:ident [group] $v:expr) => {
        if let Some(group) = $v {
            $crate::event::row::Group::values(group, $out);
        }
    };
    ($out:ident [$($kind:ident)+] $v:expr) => { $out.push($crate::event::row::value!([$($kind)+] $v)) };
}

/// How many groups a field is.
macro_rules! groups {
    (group) => {
        1
    };
    ($($kind:ident)+) => {
        0
    };
}

/// Whether the group of a field is there: as a list of one, or of none for all other fields.
macro_rules! is_there {
    ([group] $v:expr) => {
        Some($v.is_some())
    };
    ([$($kind:ident)+] $v:expr) => {
        None::<bool>
    };
}

/// A field's type that is a group or is not there.
pub trait Requested {
    /// The group's columns.
    const COLUMNS: &'static [Column];
}

impl<G: Group> Requested for Option<G> {
    const COLUMNS: &'static [Column] = G::COLUMNS;
}

/// Declares columns that are there on request; see the top of this file.
macro_rules! columns {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(<$($life:lifetime),+>)? {
        $($(#[$doc:meta])* $field:ident $(= $column:literal)? : $($kind:ident)+ $(($own:ty))?),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name $(<$($life),+>)? {
            $($(#[$doc])* pub $field: $crate::event::row::rust_type!([$($kind)+] $($own)?),)*
        }

        impl $(<$($life),+>)? $crate::event::row::Group for $name $(<$($life),+>)? {
            const COLUMNS: &'static [$crate::event::log::Column] = &[$($crate::event::row::one(
                $crate::event::row::part!($field $(= $column)? [$($kind)+] $($own)?)
            ),)*];

            fn values<'row>(&'row self, out: &mut Vec<$crate::event::log::Value<'row>>) {
                $($crate::event::row::push!(out [$($kind)+] &self.$field);)*
            }
        }
    };
}

/// Declares a log's row; see the top of this file.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(<$($life:lifetime),+>)? in $path:literal {
        $($(#[$doc:meta])* $field:ident $(= $column:literal)? : $($kind:ident)+ $(($own:ty))?),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name $(<$($life),+>)? {
            $($(#[$doc])* pub $field: $crate::event::row::rust_type!([$($kind)+] $($own)?),)*
        }

        impl $(<$($life),+>)? $name $(<$($life),+>)? {
            /// The log's name without `.log`.
            pub const PATH: &'static str = $path;

            /// The log, for the list of all logs.
            pub const LOG: $crate::event::log::Log = $crate::event::log::Log {
                path: $path,
                columns: || Self::columns_of([true; _]),
            };

            const PARTS: &'static [$crate::event::row::Part] =
                &[$($crate::event::row::part!($field $(= $column)? [$($kind)+] $($own)?),)*];

            /// The log's columns with those of its groups that are true, in the order of their fields.
            pub fn columns_of(
                with: [bool; 0 $(+ $crate::event::row::groups!($($kind)+))*],
            ) -> &'static [$crate::event::log::Column] {
                const GROUPS: usize = 0 $(+ $crate::event::row::groups!($($kind)+))*;
                static MADE: [std::sync::OnceLock<Vec<$crate::event::log::Column>>; 1 << GROUPS] =
                    [const { std::sync::OnceLock::new() }; 1 << GROUPS];
                $crate::event::row::columns_of(Self::PARTS, &with, &MADE)
            }
        }

        impl $(<$($life),+>)? $crate::event::log::LogRow for $name $(<$($life),+>)? {
            fn path(&self) -> &'static str {
                Self::PATH
            }

            fn columns(&self) -> &'static [$crate::event::log::Column] {
                let groups = [$($crate::event::row::is_there!([$($kind)+] self.$field),)*];
                let mut there = groups.into_iter().flatten();
                Self::columns_of(std::array::from_fn(|_| there.next() == Some(true)))
            }

            fn values<'row>(&'row self, out: &mut Vec<$crate::event::log::Value<'row>>) {
                $($crate::event::row::push!(out [$($kind)+] &self.$field);)*
            }
        }
    };
}

pub(crate) use {column, column_type, columns, groups, is_there, part, push, row, rust_type, value};
