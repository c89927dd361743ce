//! Names and addresses, as DNS has them.

use mlua::{Function, Lua, LuaString, Result, Table};

use super::super::lookups::Lookups;
use super::glue::set;

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    set(
        lua,
        to,
        "lookup",
        |lua, state, (what, f): (LuaString, Function)| match state.may_wait("a lookup")? {
            true => Ok(Lookups::of(lua)?.ask(&what.as_bytes(), f)),
            false => Ok(true),
        },
    )
}
