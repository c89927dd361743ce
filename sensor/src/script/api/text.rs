//! Hashes, JSON, networks: what scripts would else write by themselves.

use std::net::IpAddr;

use md5::Md5;
use mlua::{Error, Lua, Result, Table, UserData, UserDataMethods, UserDataRef, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::conn::ScriptConn;
use super::super::values::{of_json, to_json};
use super::glue::set;
use crate::analyzer::tls::{Hello, Transport};
use crate::conn::{community_id, key_of};
use crate::event::json::hex;
use crate::output::local_nets::LocalNets;

/// Networks.
struct Nets(LocalNets);

impl UserData for Nets {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        // What traffic carries need not be text.
        methods.add_method("has", |_, nets, addr: mlua::LuaString| {
            let addr: Option<IpAddr> = addr.to_str().ok().and_then(|a| a.parse().ok());
            Ok(addr.is_some_and(|a| nets.0.is_local(a)))
        });
    }
}

fn digest<D: Digest>(text: &mlua::LuaString) -> String {
    hex(&D::digest(text.as_bytes()))
}

/// The JA4 of a hello whose parts are given.
fn ja4(hello: &Table) -> Result<String> {
    let list =
        |name: &str| -> Result<Vec<u16>> { Ok(hello.get::<Option<Vec<u16>>>(name)?.unwrap_or_default()) };
    let alpn: Option<mlua::LuaString> = hello.get("alpn")?;
    let hello = Hello {
        version: hello.get("version")?,
        ciphers: list("ciphers")?,
        extensions: list("extensions")?,
        signatures: list("signature_algorithms")?,
        versions: list("supported_versions")?,
        alpn: alpn.map_or_else(Vec::new, |a| a.as_bytes().to_vec()),
        ..Hello::default()
    };
    Ok(hello.ja4(Transport::Stream))
}

/// Shannon's entropy of a text's bytes, bits a byte.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for b in text {
        counts[usize::from(*b)] += 1;
    }
    let all = text.len() as f64;
    let bits = |n: &u32| f64::from(*n) / all * (f64::from(*n) / all).log2();
    -counts.iter().filter(|n| **n > 0).map(bits).sum::<f64>()
}

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    set(lua, to, "md5", |_, _, s: mlua::LuaString| Ok(digest::<Md5>(&s)))?;
    set(lua, to, "sha1", |_, _, s: mlua::LuaString| Ok(digest::<Sha1>(&s)))?;
    set(lua, to, "sha256", |_, _, s: mlua::LuaString| {
        Ok(digest::<Sha256>(&s))
    })?;
    set(lua, to, "entropy", |_, _, s: mlua::LuaString| {
        Ok(entropy(&s.as_bytes()))
    })?;
    set(lua, to, "ja4", |_, _, hello: Table| ja4(&hello))?;
    set(lua, to, "community_id", |_, _, c: UserDataRef<ScriptConn>| {
        Ok(key_of(&c.0).map(|key| community_id(&key, 0)))
    })?;
    set(lua, to, "subnet", |_, _, nets: String| {
        Ok(Nets(nets.parse().map_err(Error::runtime)?))
    })?;
    set(lua, to, "json", |_, _, v: Value| Ok(to_json(&v, 0)?.to_string()))?;
    set(lua, to, "from_json", |lua, _, s: mlua::LuaString| {
        let json = serde_json::from_slice(&s.as_bytes()).map_err(Error::runtime)?;
        of_json(lua, &json)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_in_bits() {
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9);
        assert!(entropy(b"aaaa").abs() < 1e-9);
        assert!(entropy(&(0..=255).collect::<Vec<u8>>()) > 7.99);
        assert!(entropy(b"").abs() < 1e-9);
    }
}
