//! Times, lengths of time and addresses, as scripts have them.

use std::net::IpAddr;

use mlua::{Lua, Result};

use crate::base::time::SECOND;
use crate::event::Ts;

/// A time as a number of seconds.
pub fn seconds(ns: Ts) -> f64 {
    ns as f64 / SECOND as f64
}

/// A number of seconds in ns; what is no time is none.
pub fn nanoseconds(secs: f64) -> u64 {
    // Saturates, and makes 0 of what is no number.
    (secs * SECOND as f64).round() as u64
}

/// An address as Lua has it.
pub fn addr(lua: &Lua, a: IpAddr) -> Result<mlua::LuaString> {
    let mut text = Vec::with_capacity(40);
    crate::event::json::addr_text(&mut text, a);
    lua.create_string(text)
}
