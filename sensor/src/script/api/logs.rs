//! Logs that scripts define, and their rows.

use mlua::{Error, Lua, Result, Table, UserData, UserDataMethods, Value};

use super::super::filters::{Filters, LogFilter};
use super::super::state::State;
use super::super::values::{column, name_and_type};
use super::glue::set;
use crate::catalog::define_log;
use crate::event::log_stream::LogStream;

/// Most logs that scripts define.
const MAX_STREAMS: usize = 256;

/// A log as scripts have it.
#[derive(Clone, Copy)]
struct ScriptLog(&'static LogStream);

impl UserData for ScriptLog {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("write", |lua, log, row: Table| {
            write(&State::of(lua)?, log.0, &row)
        });
    }
}

fn write(state: &State, log: &'static LogStream, row: &Table) -> Result<()> {
    let mut values = Vec::with_capacity(log.columns().len());
    for c in log.columns() {
        let value: Value = row.raw_get(c.name)?;
        let value = match value {
            // A row without a time is of now.
            Value::Nil if c.name == "ts" && c.typ == "time" => crate::event::Value::Time(state.now()),
            value => column(c.typ, value)
                .map_err(|e| Error::runtime(format!("column {} of {}.log: {e}", c.name, log.path())))?,
        };
        values.push(value);
    }
    state.row(log.row(values).map_err(Error::runtime)?)
}

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    let log = lua.create_table()?;
    let defined = lua.create_table()?;
    set(lua, &log, "stream", move |_, _, of: Table| {
        let path: String = of.get("path")?;
        let columns: Table = of.get("columns")?;
        if defined.raw_len() >= MAX_STREAMS {
            return Err(Error::runtime(format!("{MAX_STREAMS} logs are defined already")));
        }
        let mut list: Vec<(String, String)> = Vec::new();
        for entry in columns.sequence_values::<Value>() {
            // "name: type", or {"name", "type"}.
            list.push(match entry? {
                Value::String(s) => {
                    let s = s.to_str()?.to_owned();
                    let (name, typ) = name_and_type(&s)?;
                    (name.to_owned(), typ.to_owned())
                }
                Value::Table(t) => (t.get(1)?, t.get(2)?),
                other => {
                    return Err(Error::runtime(format!(
                        "a column is \"name: type\", not {}",
                        other.type_name()
                    )));
                }
            });
        }
        let list: Vec<_> = list.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let stream = define_log(&path, &list).map_err(Error::runtime)?;
        defined.raw_push(path)?;
        Ok(ScriptLog(stream))
    })?;
    set(
        lua,
        &log,
        "write",
        |_, state, (log, row): (mlua::UserDataRef<ScriptLog>, Table)| write(state, log.0, &row),
    )?;
    set(lua, &log, "filter", |lua, state, (path, how): (String, Table)| {
        if state.script().is_none() {
            return Err(Error::runtime("filters are named while scripts are loaded"));
        }
        if state.is_at_once() {
            // Rows are looked at by the other interpreter.
            return Ok(());
        }
        let filters = lua.app_data_ref::<Filters>().map(|f| f.clone());
        let filters = filters.ok_or_else(|| Error::runtime("no filters"))?;
        filters.0.borrow_mut().push(LogFilter::new(&path, &how)?);
        Ok(())
    })?;
    to.set("log", log)
}
