//! Events of this protocol.

use crate::event::page::events;

events! {
    /// Events of this protocol.
    page 0 "example" of "example";

    /// The originator's greeting.
    /// `is_orig`: its sender; `name`: the name that it says.
    ExampleHello "example_hello" (c: conn, is_orig: bool, name: bytes);
}
