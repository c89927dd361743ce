//! Files that scripts write, and what they print.

use std::io::Write as _;
use std::rc::Rc;

use mlua::{Error, Lua, MultiValue, Result, Table, UserData, UserDataMethods, Value};

use super::super::files::{FileRotation, OpenFile};
use super::super::out::OwnEvent;
use super::super::state::State;
use super::super::units::nanoseconds;
use super::glue::set;

/// A file as scripts have it.
struct ScriptFile(Rc<OpenFile>);

impl UserData for ScriptFile {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("write", |lua, f, all: MultiValue| {
            write(lua, f, &joined(lua, all, "")?)
        });
        methods.add_method("print", |lua, f, all: MultiValue| print_to(lua, f, all));
        methods.add_method("close", |lua, f, ()| {
            State::of(lua)?.close(f.0.name());
            Ok(())
        });
        methods.add_method("rotate", |lua, f, ()| {
            f.0.rotate(State::of(lua)?.now());
            Ok(())
        });
    }

    fn add_fields<F: mlua::UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("name", |_, f| Ok(f.0.name().to_owned()));
    }
}

fn write(lua: &Lua, f: &ScriptFile, text: &[u8]) -> Result<()> {
    if !State::of(lua)?.may_wait("a file")? {
        return Ok(());
    }
    if f.0.write(text) {
        let state = State::of(lua)?;
        let name = f.0.name().to_owned();
        state.event(OwnEvent::RotateSize { f: name })?;
        f.0.rotate(state.now());
    }
    Ok(())
}

/// Adds a line to a file.
fn print_to(lua: &Lua, f: &ScriptFile, all: MultiValue) -> Result<()> {
    let mut line = joined(lua, all, "\t")?;
    let s = String::from_utf8_lossy(&line).into_owned();
    line.push(b'\n');
    write(lua, f, &line)?;
    if State::of(lua)?.is_at_once() {
        return Ok(());
    }
    let f = f.0.name().to_owned();
    State::of(lua)?.event(OwnEvent::Print { f, s })
}

fn joined(lua: &Lua, all: MultiValue, between: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for (n, value) in all.into_iter().enumerate() {
        if n > 0 {
            text.extend_from_slice(between.as_bytes());
        }
        match lua.coerce_string(value.clone())? {
            Some(s) => text.extend_from_slice(&s.as_bytes()),
            None => text.extend_from_slice(value.to_string()?.as_bytes()),
        }
    }
    Ok(text)
}

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    set(
        lua,
        to,
        "open",
        |_, state, (name, how): (String, Option<Table>)| {
            let mut rotation = FileRotation::default();
            if let Some(how) = how {
                let every: Option<f64> = how.get("rotate_interval")?;
                let bytes: Option<u64> = how.get("rotate_size")?;
                rotation.every = every.map_or(0, nanoseconds);
                rotation.bytes = bytes.unwrap_or(0);
            }
            let file = state.open(&name, rotation).map_err(Error::runtime)?;
            state.event(OwnEvent::FileOpened { f: name })?;
            Ok(ScriptFile(file))
        },
    )?;
    set(lua, to, "print", |lua, state, mut all: MultiValue| {
        if let Some(Value::UserData(u)) = all.front()
            && u.is::<ScriptFile>()
        {
            let file = u.clone();
            all.pop_front();
            return print_to(lua, &*file.borrow::<ScriptFile>()?, all);
        }
        if !state.may_wait("print")? {
            return Ok(());
        }
        let mut line = joined(lua, all, "\t")?;
        let s = String::from_utf8_lossy(&line).into_owned();
        line.push(b'\n');
        // Who does not read has had enough.
        let _ = match state.prints_to_stderr() {
            true => std::io::stderr().lock().write_all(&line),
            false => std::io::stdout().lock().write_all(&line),
        };
        state.event(OwnEvent::Print {
            f: "stdout".into(),
            s,
        })
    })
}
