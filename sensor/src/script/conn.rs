//! A connection as scripts have it.

use mlua::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods};

use super::state::State;
use super::units::{addr, nanoseconds, seconds};
use crate::conn::{Order, Wish};
use crate::event::ConnId;

/// A connection. Its fields are made when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ScriptConn(pub ConnId);

impl ScriptConn {
    fn order(&self, lua: &Lua, what: Wish) -> mlua::Result<()> {
        State::of(lua)?.order(Order::Conn(self.0, what))
    }
}

impl UserData for ScriptConn {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("uid", |_, c| Ok(c.0.uid.to_string()));
        fields.add_field_method_get("orig_h", |lua, c| addr(lua, c.0.orig_h));
        fields.add_field_method_get("resp_h", |lua, c| addr(lua, c.0.resp_h));
        fields.add_field_method_get("orig_p", |_, c| Ok(c.0.orig_p));
        fields.add_field_method_get("resp_p", |_, c| Ok(c.0.resp_p));
        fields.add_field_method_get("proto", |_, c| Ok(c.0.proto.as_str()));
        fields.add_field_method_get("start_time", |_, c| Ok(seconds(c.0.start)));
        // As Zeek's scripts write it: c.id.orig_h.
        fields.add_field_method_get("id", |_, c| Ok(*c));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("shed", |lua, c, ()| c.order(lua, Wish::Shed));
        methods.add_method("contents", |lua, c, side: Option<String>| {
            let sides = match side.as_deref() {
                Some("orig") => 1,
                Some("resp") => 2,
                None | Some("both") => 3,
                Some(_) => return Err(mlua::Error::runtime("contents: orig, resp or both")),
            };
            match State::of(lua)?.places().contents {
                true => c.order(lua, Wish::Contents(sides)),
                false => Err(mlua::Error::runtime("contents: it needs --contents-file")),
            }
        });
        methods.add_method("set_inactivity", |lua, c, secs: f64| {
            c.order(lua, Wish::Inactivity(nanoseconds(secs)))
        });
        methods.add_meta_method(MetaMethod::Eq, |_, c, other: mlua::UserDataRef<ScriptConn>| {
            Ok(c.0.uid == other.0.uid)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, c, ()| {
            let ConnId {
                uid,
                orig_h,
                orig_p,
                resp_h,
                resp_p,
                proto,
                ..
            } = c.0;
            Ok(format!(
                "{uid} {orig_h}:{orig_p} > {resp_h}:{resp_p}/{}",
                proto.as_str()
            ))
        });
    }
}
