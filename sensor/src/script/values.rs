//! Values of arguments as Lua has them, and Lua's as columns have them.
//!
//! Times and intervals are numbers of seconds, addresses are text, bytes off the wire are strings as they are.

use mlua::{Lua, MultiValue, Result, Value as LuaValue};
use serde_json::{Map, Number, Value as Json};

use super::conn::ScriptConn;
use super::lookups::Looked;
use super::units::{addr, nanoseconds, seconds};
use super::wire::{Item, Reader};
use crate::base::time::SECOND;
use crate::event::Value;
use crate::resolver::Found;

/// Deepest list in a list.
const MAX_DEPTH: usize = 16;

/// The next item as Lua's value; None: there is none.
pub fn next(lua: &Lua, from: &mut Reader<'_>) -> Result<Option<LuaValue>> {
    let item = from.item();
    Ok(Some(match item {
        Item::End => return Ok(None),
        Item::Nil => LuaValue::Nil,
        Item::Count(n) => count(n),
        Item::Int(n) => LuaValue::Integer(n),
        Item::Double(d) => LuaValue::Number(d),
        Item::Bool(b) => LuaValue::Boolean(b),
        Item::Time(t) => LuaValue::Number(seconds(t)),
        Item::Interval(i) => LuaValue::Number(i as f64 / SECOND as f64),
        Item::Addr(a) => LuaValue::String(addr(lua, a)?),
        Item::Text(t) => LuaValue::String(lua.create_string(t)?),
        Item::Conn(c) => LuaValue::UserData(lua.create_userdata(ScriptConn(*c))?),
        Item::List => {
            let list = lua.create_table()?;
            while let Some(v) = next(lua, from)? {
                list.raw_push(v)?;
            }
            LuaValue::Table(list)
        }
        Item::Record => {
            let record = lua.create_table()?;
            while let Some(name) = next(lua, from)? {
                let value = next(lua, from)?.unwrap_or(LuaValue::Nil);
                record.raw_set(name, value)?;
            }
            LuaValue::Table(record)
        }
        Item::Json(text) => match serde_json::from_slice(text) {
            Ok(json) => of_json(lua, &json)?,
            Err(_) => LuaValue::Nil,
        },
    }))
}

/// What a script is told of a lookup: addresses, a name, or nil and why.
pub fn looked(lua: &Lua, looked: Looked) -> Result<MultiValue> {
    let mut args = MultiValue::new();
    match looked {
        Looked::Found(Found::Addrs(addrs)) => {
            let list = lua.create_table()?;
            for a in addrs {
                list.raw_push(addr(lua, a)?)?;
            }
            args.push_back(LuaValue::Table(list));
        }
        Looked::Found(Found::Name(name)) => args.push_back(LuaValue::String(lua.create_string(name)?)),
        Looked::None(why) => {
            args.push_back(LuaValue::Nil);
            args.push_back(LuaValue::String(lua.create_string(why)?));
        }
    }
    Ok(args)
}

/// A column's value as Lua has it.
pub fn of_value(lua: &Lua, v: &Value<'_>) -> Result<LuaValue> {
    Ok(match v {
        Value::Unset => LuaValue::Nil,
        Value::Time(t) => LuaValue::Number(seconds(*t)),
        Value::Seconds(n) | Value::Int(n) => LuaValue::Integer(*n),
        Value::Nanoseconds(n) | Value::Interval(n) => LuaValue::Number(*n as f64 / SECOND as f64),
        Value::Str(s) => LuaValue::String(lua.create_string(s.as_bytes())?),
        Value::Uid(u) => LuaValue::String(lua.create_string(u.to_string())?),
        Value::Wire(s) => LuaValue::String(lua.create_string(s)?),
        Value::Count(n) => count(*n),
        Value::Double(d) => LuaValue::Number(*d),
        Value::Bool(b) => LuaValue::Boolean(*b),
        Value::Addr(a) => LuaValue::String(addr(lua, *a)?),
        Value::Port(p) => LuaValue::Integer((*p).into()),
        Value::List(all) => {
            let list = lua.create_table()?;
            for v in all {
                list.raw_push(of_value(lua, v)?)?;
            }
            LuaValue::Table(list)
        }
    })
}

/// A count, which Lua's integers may not have room for.
fn count(n: u64) -> LuaValue {
    i64::try_from(n).map_or(LuaValue::Number(n as f64), LuaValue::Integer)
}

/// An item as a column of this type has it.
pub fn typed(typ: &str, item: Item<'_>, from: &mut Reader<'_>) -> Value<'static> {
    match item {
        Item::Count(n) if typ == "port" => Value::Port(n as u16),
        Item::Count(n) => Value::Count(n),
        Item::Int(n) if typ == "time" => Value::Seconds(n),
        Item::Int(n) => Value::Int(n),
        Item::Double(d) => Value::Double(d),
        Item::Bool(b) => Value::Bool(b),
        Item::Time(t) => Value::Time(t),
        Item::Interval(n) if typ == "time" => Value::Nanoseconds(n),
        Item::Interval(n) => Value::Interval(n),
        Item::Addr(a) => Value::Addr(a),
        Item::Text(t) => match String::from_utf8(t.to_vec()) {
            Ok(text) => Value::Str(text.into()),
            Err(e) => Value::Wire(e.into_bytes().into()),
        },
        Item::List => {
            let of = typ
                .split_once('[')
                .and_then(|(_, t)| t.strip_suffix(']'))
                .unwrap_or(typ);
            let mut list = Vec::new();
            loop {
                match from.item() {
                    Item::End => return Value::List(list),
                    item => list.push(typed(of, item, from)),
                }
            }
        }
        Item::Nil | Item::Conn(_) | Item::Record | Item::Json(_) | Item::End => Value::Unset,
    }
}

/// JSON as Lua has it.
pub fn of_json(lua: &Lua, json: &Json) -> Result<LuaValue> {
    Ok(match json {
        Json::Null => LuaValue::Nil,
        Json::Bool(b) => LuaValue::Boolean(*b),
        Json::Number(n) => match n.as_i64() {
            Some(n) => LuaValue::Integer(n),
            None => LuaValue::Number(n.as_f64().unwrap_or_default()),
        },
        Json::String(s) => LuaValue::String(lua.create_string(s)?),
        Json::Array(all) => {
            let list = lua.create_table()?;
            for v in all {
                list.raw_push(of_json(lua, v)?)?;
            }
            LuaValue::Table(list)
        }
        Json::Object(all) => {
            let record = lua.create_table()?;
            for (k, v) in all {
                record.raw_set(k.as_str(), of_json(lua, v)?)?;
            }
            LuaValue::Table(record)
        }
    })
}

/// Lua's value as JSON: a table with a first element is a list, any other one an object.
pub fn to_json(v: &LuaValue, depth: usize) -> Result<Json> {
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime("tables are too deep for JSON"));
    }
    Ok(match v {
        LuaValue::Nil => Json::Null,
        LuaValue::Boolean(b) => Json::Bool(*b),
        LuaValue::Integer(n) => Json::Number((*n).into()),
        LuaValue::Number(n) => Number::from_f64(*n).map_or(Json::Null, Json::Number),
        LuaValue::String(s) => Json::String(s.to_string_lossy().clone()),
        LuaValue::Table(t) if t.raw_len() > 0 => {
            let items = t.sequence_values::<LuaValue>();
            Json::Array(items.map(|i| to_json(&i?, depth + 1)).collect::<Result<_>>()?)
        }
        LuaValue::Table(t) => {
            let mut map = Map::new();
            for pair in t.pairs::<LuaValue, LuaValue>() {
                let (key, value) = pair?;
                map.insert(key.to_string()?, to_json(&value, depth + 1)?);
            }
            Json::Object(map)
        }
        other => Json::String(other.to_string()?),
    })
}

/// A column as scripts name it: `name: type`.
pub fn name_and_type(text: &str) -> Result<(&str, &str)> {
    let (name, typ) = text
        .split_once(':')
        .ok_or_else(|| mlua::Error::runtime(format!("{text:?}: a column is \"name: type\"")))?;
    Ok((name.trim(), typ.trim()))
}

/// Lua's value as a column of this type has it.
pub fn column(typ: &str, v: LuaValue) -> std::result::Result<Value<'static>, String> {
    let is_list = |t: &str| t.starts_with("set[") || t.starts_with("vector[");
    if v.is_nil() {
        return Ok(Value::Unset);
    }
    if is_list(typ) {
        let of = typ
            .split_once('[')
            .and_then(|(_, t)| t.strip_suffix(']'))
            .unwrap_or(typ);
        let LuaValue::Table(list) = v else {
            return Err(format!("a list is wanted for {typ}, not {}", v.type_name()));
        };
        let items = list.sequence_values::<LuaValue>();
        let items = items.map(|i| column(of, i.map_err(|e| e.to_string())?));
        return Ok(Value::List(items.collect::<std::result::Result<_, _>>()?));
    }
    let wanted = || format!("a number is wanted for {typ}, not {}", v.type_name());
    let number = || match v {
        LuaValue::Integer(n) => Ok(n as f64),
        LuaValue::Number(n) => Ok(n),
        _ => Err(wanted()),
    };
    let whole = || match v {
        LuaValue::Integer(n) => Ok(n),
        LuaValue::Number(n) => Ok(n as i64),
        _ => Err(wanted()),
    };
    let text = || match &v {
        LuaValue::String(s) => Ok(s.as_bytes().to_vec()),
        other => other
            .to_string()
            .map(String::into_bytes)
            .map_err(|e| e.to_string()),
    };
    Ok(match typ {
        "time" => Value::Time(nanoseconds(number()?)),
        "interval" => Value::Interval((number()? * SECOND as f64).round() as i64),
        "count" => Value::Count(whole()?.max(0) as u64),
        "int" => Value::Int(whole()?),
        "double" => Value::Double(number()?),
        "port" => Value::Port(u16::try_from(whole()?).map_err(|_| "no port has this number")?),
        "bool" => Value::Bool(v.as_boolean().ok_or("true or false is wanted for bool")?),
        "addr" => {
            let text = String::from_utf8(text()?).unwrap_or_default();
            let addr = text.parse().map_err(|_| format!("{text:?} is no address"))?;
            Value::Addr(addr)
        }
        _ => match String::from_utf8(text()?) {
            Ok(text) => Value::Str(text.into()),
            Err(e) if typ == "string" => Value::Wire(e.into_bytes().into()),
            Err(e) => Value::Str(String::from_utf8_lossy(e.as_bytes()).into_owned().into()),
        },
    })
}
