//! Records declared once: `record!` makes the struct and shows its fields to whoever asks, by one list of fields.
//!
//! A protocol declares its records in its own folder, with Zeek's name of the type, and an event there has one as an
//! argument: `msg: record Message<'a>`. The kinds of fields are those of an event's arguments ([`super::args`]), and
//! other records. `opt` makes a field an Option; a field that is None is not shown. [`RecordVec`] is a list of records.

use std::sync::OnceLock;

use super::model::{Arg, Record, Visitor};

/// Most records of a list that are shown.
pub const MOST_IN_VEC: usize = 200;

/// A record of which there are lists.
pub trait InVec: Record {
    /// Zeek's name of the type of one.
    const ONE: &'static str;
    /// Zeek's name of the type of a list.
    const ALL: &'static str;
}

/// A list of records. Their names as fields are their places: `1`, `2` and so on, to [`MOST_IN_VEC`].
#[derive(Clone, Copy, Debug)]
pub enum RecordVec<'a, T> {
    /// As they were read.
    Made(&'a [T]),
    /// As an event shows them.
    Shown(&'a dyn Record),
}

impl<'a, T: InVec> RecordVec<'a, T> {
    /// Zeek's name of the type.
    pub const NAME: &'static str = T::ALL;

    /// Made of what a visitor is shown.
    pub fn of(record: &'a dyn Record) -> Option<Self> {
        Some(RecordVec::Shown(record))
    }
}

impl<T: InVec> Record for RecordVec<'_, T> {
    fn visit<'e>(&'e self, v: &mut dyn Visitor<'e>) {
        static PLACES: OnceLock<Vec<String>> = OnceLock::new();
        let places = PLACES.get_or_init(|| (1..=MOST_IN_VEC).map(|n| n.to_string()).collect());
        match self {
            RecordVec::Made(all) => {
                for (place, one) in places.iter().zip(*all) {
                    v.arg(place, T::ONE, Arg::Record(one));
                }
            }
            RecordVec::Shown(record) => record.visit(v),
        }
    }
}

impl<'r> dyn Record + 'r {
    /// The field with that name, if it is set.
    pub fn field<'e>(&'e self, name: &str) -> Option<Arg<'e>> {
        let mut find = Find { name, found: None };
        self.visit(&mut find);
        find.found
    }
}

/// Keeps the field with a name.
struct Find<'n, 'e> {
    name: &'n str,
    found: Option<Arg<'e>>,
}

impl<'e> Visitor<'e> for Find<'_, 'e> {
    fn arg(&mut self, name: &'static str, _: &'static str, arg: Arg<'e>) {
        if name == self.name {
            self.found = Some(arg);
        }
    }
}

/// The Rust type of a field.
macro_rules! field_type {
    (opt $($kind:tt)+) => { Option<$crate::event::args::arg_type!($($kind)+)> };
    ($($kind:tt)+) => { $crate::event::args::arg_type!($($kind)+) };
}

/// Shows a field, a reference, if it is set.
macro_rules! show {
    ($visitor:ident $name:expr, $v:expr, opt $($kind:ident)+) => {
        if let Some(v) = $v {
            $crate::event::record::show!($visitor $name, v, $($kind)+);
        }
    };
    ($visitor:ident $name:expr, $v:expr, $($kind:ident)+) => {
        $visitor.arg(
            $name,
            $crate::event::args::zeek_type!($($kind)+),
            $crate::event::args::arg!($($kind)+ *$v),
        )
    };
}

/// A field of what was found under its name, an Option.
macro_rules! found {
    ($found:expr, opt $($kind:ident)+) => {
        match $found {
            Some(found) => Some($crate::event::args::take!($($kind)+ found)),
            None => None,
        }
    };
    ($found:expr, $($kind:ident)+) => { $crate::event::args::take!($($kind)+ $found?) };
}

/// Declares a record; see the top of this file.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? is $zeek:literal {
        $($(#[$doc:meta])* $field:ident $(= $shown:literal)? : $($kind:ident)+ $(<$inner:lifetime>)?),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name $(<$life>)? {
            $($(#[$doc])* pub $field: $crate::event::record::field_type!($($kind)+ $(<$inner>)?),)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Zeek's name of the type.
            pub const NAME: &'static str = $zeek;

            /// Made of the fields of `record`; None if it lacks one or has one of another type.
            pub fn of(record: & $($life)? dyn $crate::event::Record) -> Option<Self> {
                Some($name {
                    $($field: $crate::event::record::found!(
                        record.field($crate::event::page::arg_name!($field $($shown)?)),
                        $($kind)+
                    ),)*
                })
            }
        }

        impl $(<$life>)? $crate::event::Record for $name $(<$life>)? {
            fn visit<'e>(&'e self, v: &mut dyn $crate::event::Visitor<'e>) {
                $($crate::event::record::show!(
                    v $crate::event::page::arg_name!($field $($shown)?),
                    &self.$field,
                    $($kind)+
                );)*
            }
        }
    };
}

pub(crate) use {field_type, found, record, show};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnId, Event, Proto, Uid};

    record! {
        /// A record in another one.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Inner is "Test::Inner" {
            /// A number.
            n: count,
            /// A time that may be before the epoch.
            at: nanoseconds,
        }
    }

    record! {
        /// What the event carries.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Outer<'a> is "Test::Outer" {
            /// Bytes.
            name: bytes,
            /// May be left out.
            data: opt bytes,
            /// May be left out, with all its fields.
            inner = "Inner": opt record Inner,
        }
    }

    mod page {
        use super::{Inner, Outer};

        crate::event::page::events! {
            /// In no list of pages.
            page 31 "test" of "test";

            /// Carries a record that borrows, and one that does not.
            Carried "carried" (c: conn, outer: record Outer<'a>, inner: record Inner);
        }
    }

    const INNER: Inner = Inner {
        n: 7,
        at: -1_500_000_000,
    };
    const OUTER: Outer<'static> = Outer {
        name: b"\x01\xff",
        data: None,
        inner: Some(INNER),
    };

    fn conn() -> ConnId {
        ConnId {
            uid: Uid::new(1, 1),
            orig_h: [192, 0, 2, 1].into(),
            resp_h: [192, 0, 2, 2].into(),
            orig_p: 1,
            resp_p: 2,
            proto: Proto::Udp,
            start: 0,
        }
    }

    #[test]
    fn records_come_back_out_of_an_event() {
        let c = conn();
        let carried = page::Carried {
            c: &c,
            outer: OUTER,
            inner: INNER,
        };
        let back = page::Carried::of(&carried).expect("the same kind");
        assert_eq!((back.outer, back.inner), (OUTER, INNER));
        assert_eq!(Inner::of(&OUTER), None);
        assert!(matches!((&INNER as &dyn Record).field("n"), Some(Arg::Count(7))));
        let types: Vec<_> = page::PAGE.events[0].args.iter().map(|a| a.1).collect();
        assert_eq!(types, ["connection", "Test::Outer", "Test::Inner"]);
    }

    #[test]
    fn a_field_that_is_not_set_is_not_written() {
        let c = conn();
        let carried = page::Carried {
            c: &c,
            outer: OUTER,
            inner: INNER,
        };
        let args = |ev: &dyn Event| {
            let mut out = Vec::new();
            ev.write_json(0, &mut out);
            let line = String::from_utf8(out).expect("text");
            line.split_once("\"args\":").map(|(_, args)| args.to_owned())
        };
        assert_eq!(
            args(&carried).as_deref(),
            Some(
                "{\"outer\":{\"name\":\"01ff\",\"Inner\":{\"n\":7,\"at\":-1.500000}},\
                 \"inner\":{\"n\":7,\"at\":-1.500000}}}"
            )
        );
        let about = crate::event::NewEvent {
            name: "carried",
            params: &carried,
        };
        let shown = args(&about).expect("arguments");
        assert!(shown.ends_with(
            "{\"name\":\"inner\",\"type\":\"Test::Inner\",\"value\":{\"n\":7,\"at\":-1.500000}}]}}"
        ));
    }
}
