//! What scripts may want of files, and what they have to say of what they saw.

use std::net::IpAddr;

use mlua::{Error, Lua, LuaString, Result, Table, UserDataRef, Value};

use super::super::conn::ScriptConn;
use super::super::out::WeirdOf;
use super::super::state::State;
use super::glue::set;
use crate::conn::Order;
use crate::event::Fuid;
use crate::file::Hashes;
use crate::file::api::FileWish;

/// Longest text that tells a file from others, bytes.
const MAX_HANDLE: usize = 64 << 10;

/// The id of a file that a script names: by its record, or by the id.
fn fuid(of: &Value) -> Result<Fuid> {
    let id: LuaString = match of {
        Value::Table(f) => f.get("id")?,
        Value::String(id) => id.clone(),
        other => {
            return Err(Error::runtime(format!(
                "a file or its id is wanted, not {}",
                other.type_name()
            )));
        }
    };
    let id = id.to_string_lossy();
    id.parse()
        .map_err(|_| Error::runtime(format!("{id:?} is no file's id")))
}

fn analyze(state: &State, f: &Value, what: &str, how: Option<Table>) -> Result<()> {
    let none = Hashes::default();
    let wish = match what {
        "md5" => FileWish::Digests(Hashes { md5: true, ..none }),
        "sha1" => FileWish::Digests(Hashes { sha1: true, ..none }),
        "sha256" => FileWish::Digests(Hashes { sha256: true, ..none }),
        "entropy" => FileWish::Entropy,
        "extract" if !state.places().extracted => {
            return Err(Error::runtime("file.analyze: extract needs --extract-files"));
        }
        "extract" => FileWish::Extract(how.map(|how| how.get("limit")).transpose()?.flatten()),
        _ => {
            return Err(Error::runtime(format!(
                "file.analyze: {what:?} is none of md5, sha1, sha256, entropy and extract"
            )));
        }
    };
    state.order(Order::File(fuid(f)?, wish))
}

fn weird(state: &State, name: &str, how: Option<Table>) -> Result<()> {
    let (mut of, mut addl) = (WeirdOf::Nobody, String::new());
    if let Some(how) = how {
        if let Some(text) = how.get::<Option<LuaString>>("addl")? {
            addl = text.to_string_lossy();
        }
        let addr = |name: &str| -> Result<Option<IpAddr>> {
            let text: Option<String> = how.get(name)?;
            let parsed = text.map(|t| {
                t.parse()
                    .map_err(|_| Error::runtime(format!("{t:?} is no address")))
            });
            parsed.transpose()
        };
        of = match (
            how.get::<Option<UserDataRef<ScriptConn>>>("c")?,
            addr("src")?,
            addr("dst")?,
        ) {
            (Some(c), ..) => WeirdOf::Conn(c.0),
            (None, Some(src), Some(dst)) => WeirdOf::Hosts(src, dst),
            (None, None, None) => WeirdOf::Nobody,
            _ => return Err(Error::runtime("weird: src and dst go together")),
        };
    }
    state.weird(name, addl, of)
}

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    let file = lua.create_table()?;
    set(
        lua,
        &file,
        "analyze",
        |_, state, (f, what, how): (Value, String, Option<Table>)| analyze(state, &f, &what, how),
    )?;
    set(lua, &file, "stop", |_, state, f: Value| {
        state.order(Order::File(fuid(&f)?, FileWish::Stop))
    })?;
    to.set("file", file)?;
    set(lua, to, "set_file_handle", |_, state, handle: LuaString| {
        if handle.as_bytes().len() > MAX_HANDLE {
            return Err(Error::runtime("set_file_handle: the text is too long"));
        }
        state.handle(handle.as_bytes().to_vec())
    })?;
    set(
        lua,
        to,
        "weird",
        |_, state, (name, how): (String, Option<Table>)| weird(state, &name, how),
    )
}
