//! From functions of Rust to those of scripts.

use mlua::{Function, Lua, Result, Table};

use super::super::state::State;

/// A function that is given the state.
fn with_state<A, R>(lua: &Lua, f: impl Fn(&Lua, &State, A) -> Result<R> + 'static) -> Result<Function>
where
    A: mlua::FromLuaMulti,
    R: mlua::IntoLuaMulti,
{
    lua.create_function(move |lua, args: A| f(lua, &State::of(lua)?, args))
}

/// Sets a function that is given the state.
pub fn set<A, R>(
    lua: &Lua,
    to: &Table,
    name: &str,
    f: impl Fn(&Lua, &State, A) -> Result<R> + 'static,
) -> Result<()>
where
    A: mlua::FromLuaMulti,
    R: mlua::IntoLuaMulti,
{
    to.set(name, with_state(lua, f)?)
}
