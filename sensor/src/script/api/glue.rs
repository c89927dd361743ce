//! From functions of Rust to those of scripts.

use mlua::{Function, Lua, Result, Table};

use super::super::state::State;

/// What the functions share.
pub fn state(lua: &Lua) -> Result<State> {
    let state = lua.app_data_ref::<State>().map(|s| s.clone());
    state.ok_or_else(|| wrong("no state"))
}

/// A function that is given the state.
fn with_state<A, R>(lua: &Lua, f: impl Fn(&Lua, &State, A) -> Result<R> + 'static) -> Result<Function>
where
    A: mlua::FromLuaMulti,
    R: mlua::IntoLuaMulti,
{
    lua.create_function(move |lua, args: A| f(lua, &state(lua)?, args))
}

/// An error of a function for scripts.
pub fn wrong(why: impl ToString) -> mlua::Error {
    mlua::Error::runtime(why.to_string())
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
