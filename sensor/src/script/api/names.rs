//! Names and addresses, as DNS has them.

use mlua::{Function, Lua, LuaString, Result, Table};

use super::super::lookups::Lookups;

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    let lookup = lua.create_function(|lua, (what, f): (LuaString, Function)| {
        Ok(Lookups::of(lua)?.ask(&what.as_bytes(), f))
    })?;
    to.set("lookup", lookup)
}
