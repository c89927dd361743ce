//! Events declared once, a page of them for each room that raises some: `events!` makes a type of each event.
//!
//! A page reads `page 1 "tcp" of "tcp"` (its number, its name and the group under which docs/events.md lists it), then
//! its events, each `Type "zeek's name" (argument: kind, argument = "Zeek's name": kind, ...)`. The kinds are those of
//! [`super::args`]; `record Name<'a>` is a record that a room declares by itself ([`super::Record`]). Behind the
//! arguments an event may say `needs` and which policy bits, joined by `|`, it takes beyond the default forwarding; or
//! `not_yet`, if the sensor does not raise it: then nobody can make one.

use super::model::{Arg, Event, Visitor};

/// The name of the connection among the arguments; `c` where only a file says which connection it is.
pub const fn conn_key(args: &[(&'static str, &'static str)]) -> &'static str {
    let mut i = 0;
    while i < args.len() {
        if let b"connection" = args[i].1.as_bytes() {
            return args[i].0;
        }
        i += 1;
    }
    "c"
}

/// Fills a field that no event has: an event that is not raised cannot be made.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

/// Most arguments of an event.
pub const MOST_ARGS: usize = 10;

/// Collects an event's arguments.
#[derive(Default)]
pub struct Args<'e> {
    all: [Option<Arg<'e>>; MOST_ARGS],
    len: usize,
}

impl<'e> Args<'e> {
    /// Those of `ev`, in order.
    pub fn of(ev: &'e (dyn Event + 'e)) -> impl Iterator<Item = Arg<'e>> {
        let mut args = Args::default();
        ev.visit(&mut args);
        args.all.into_iter().flatten()
    }
}

impl<'e> Visitor<'e> for Args<'e> {
    fn arg(&mut self, _: &'static str, _: &'static str, arg: Arg<'e>) {
        if let Some(place) = self.all.get_mut(self.len) {
            *place = Some(arg);
            self.len += 1;
        }
    }
}

/// The name of an argument.
macro_rules! arg_name {
    ($arg:ident $shown:literal) => {
        $shown
    };
    ($arg:ident) => {
        stringify!($arg)
    };
}

/// Whether the sensor raises an event with this mark.
macro_rules! is_raised {
    (not_yet) => {
        false
    };
    ($(needs)?) => {
        true
    };
}

/// Declares one event's type, with a lifetime if an argument is borrowed: the kinds in brackets are still to be looked
/// at, and the lines are the kinds that borrow nothing.
macro_rules! event {
    ([] $($event:tt)*) => { $crate::event::page::event! { @type [] [] $($event)* } };
    ([count $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([int $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([double $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([bool $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([time $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([nanoseconds $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([interval $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([addr $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([tag $($more:ident)*] $($event:tt)*) => { $crate::event::page::event! { [$($more)*] $($event)* } };
    ([$borrowed:ident $($more:ident)*] $($event:tt)*) => {
        $crate::event::page::event! { @type ['a] ['e] $($event)* }
    };
    // Nobody can make it.
    (@type [$($a:lifetime)?] [$($e:lifetime)?] $(#[doc = $doc:literal])* $name:ident
        ($($arg:ident $(= $shown:literal)? : $($kind:ident)+ $(<$life:lifetime>)?),*) not_yet
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<$($a)?> {
            $(#[allow(missing_docs)] pub $arg: $crate::event::args::arg_type!($($kind)+ $(<$life>)?),)*
            _never: $crate::event::page::Never,
        }

        impl<$($a)?> $name<$($a)?> {
            /// Never anything: the event is not raised.
            pub fn of(_: &dyn $crate::event::Event) -> Option<Self> {
                None
            }
        }

        $crate::event::page::event! { @event [$($a)?] $name ($($arg $(= $shown)? : $($kind)+ $(<$life>)?),*) }
    };
    (@type [$($a:lifetime)?] [$($e:lifetime)?] $(#[doc = $doc:literal])* $name:ident
        ($($arg:ident $(= $shown:literal)? : $($kind:ident)+ $(<$life:lifetime>)?),*) $(needs)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<$($a)?> {
            $(#[allow(missing_docs)] pub $arg: $crate::event::args::arg_type!($($kind)+ $(<$life>)?),)*
        }

        impl<$($a)?> $name<$($a)?> {
            /// The event `ev`, if it is one of this kind.
            pub fn of<'e>(ev: &'e (dyn $crate::event::Event + 'e)) -> Option<$name<$($e)?>> {
                if ev.kind() != Self::KIND {
                    return None;
                }
                let mut _args = $crate::event::page::Args::of(ev);
                Some($name { $($arg: $crate::event::args::take!($($kind)+ _args.next()?),)* })
            }
        }

        $crate::event::page::event! { @event [$($a)?] $name ($($arg $(= $shown)? : $($kind)+ $(<$life>)?),*) }
    };
    (@event [$($a:lifetime)?] $name:ident ($($arg:ident $(= $shown:literal)? : $($kind:ident)+ $(<$life:lifetime>)?),*)) => {
        impl<$($a)?> $name<$($a)?> {
            /// Which event it is.
            pub const KIND: $crate::event::Kind = Self::INFO.kind;

            const INFO: &'static $crate::event::Info = &PAGE.events[Index::$name as usize];
        }

        impl<$($a)?> $crate::event::Event for $name<$($a)?> {
            fn info(&self) -> &'static $crate::event::Info {
                Self::INFO
            }

            fn kind(&self) -> $crate::event::Kind {
                Self::KIND
            }

            fn conn(&self) -> Option<&$crate::event::ConnId> {
                None$(.or($crate::event::args::conn_of!($($kind)+ self.$arg)))*
            }

            fn visit<'e>(&'e self, _v: &mut dyn $crate::event::Visitor<'e>) {
                $(_v.arg(
                    $crate::event::page::arg_name!($arg $($shown)?),
                    $crate::event::args::zeek_type!($($kind)+),
                    $crate::event::args::arg!($($kind)+ self.$arg),
                );)*
            }
        }
    };
}

/// Declares a page; see the top of this file.
macro_rules! events {
    ($(#[doc = $about:literal])* page $number:literal $page:literal of $group:literal;
        $($(#[doc = $doc:literal])* $name:ident $zeek:literal
            ($($arg:ident $(= $shown:literal)? : $($kind:ident)+ $(<$life:lifetime>)?),* $(,)?) $($mark:ident $($bits:ident)|*)?;)*
    ) => {
        $(#[doc = $about])*
        pub const PAGE: &$crate::event::Page = &$crate::event::Page {
            number: $number,
            name: $page,
            group: $group,
            events: &[$({
                const ARGS: &[(&str, &str)] = &[$((
                    $crate::event::page::arg_name!($arg $($shown)?),
                    $crate::event::args::zeek_type!($($kind)+),
                ),)*];
                assert!(ARGS.len() <= $crate::event::page::MOST_ARGS);
                $crate::event::Info {
                    kind: $crate::event::Kind::new($number, Index::$name as u8),
                    name: $zeek,
                    args: ARGS,
                    doc: &[$($doc,)*],
                    raised: $crate::event::page::is_raised!($($mark)?),
                    needs: 0 $($(| sensor_common::policy::$bits)*)?,
                    conn_key: $crate::event::page::conn_key(ARGS),
                }
            },)*],
        };

        /// The events' places on the page.
        #[allow(clippy::enum_variant_names)]
        enum Index { $($name,)* }

        $($crate::event::page::event! {
            [$($($kind)+)*] $(#[doc = $doc])* $name ($($arg $(= $shown)? : $($kind)+ $(<$life>)?),*) $($mark)?
        })*
    };
}

pub(crate) use {arg_name, event, events, is_raised};
