//! The functions that scripts have beside Lua's own. docs/scripting.md describes them.

mod files;
mod glue;
mod logs;
mod names;
mod orders;
mod text;
mod time;

use mlua::{Lua, Result};

use super::state::State;

/// What is written in Lua itself.
const PRELUDE: &str = include_str!("prelude.lua");

/// Gives the interpreter the functions.
pub fn install(lua: &Lua, state: &State) -> Result<()> {
    lua.set_app_data(state.clone());
    let globals = lua.globals();
    time::install(lua, &globals)?;
    files::install(lua, &globals)?;
    logs::install(lua, &globals)?;
    names::install(lua, &globals)?;
    orders::install(lua, &globals)?;
    text::install(lua, &globals)?;
    lua.load(PRELUDE).set_name("=prelude").exec()
}
