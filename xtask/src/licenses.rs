//! Every dependency's licence is one that `deny.toml` allows.
//!
//! cargo-deny knows more, but it is not everywhere; the list in its file is held without it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::shell;

/// The workspaces, each with dependencies of its own.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "fuzz/Cargo.toml", "sensor-ebpf/Cargo.toml"];
const CONFIG: &str = "deny.toml";

/// Fails with the names of those dependencies whose licence is not allowed.
pub fn check() -> Result<()> {
    shell::step("licences of all dependencies against deny.toml");
    let config = fs::read_to_string(shell::workspace().join(CONFIG)).context(CONFIG)?;
    let allowed = allowed(&config);
    let mut refused = Vec::new();
    for manifest in MANIFESTS {
        let mut cargo = shell::cargo();
        cargo.current_dir(shell::workspace()).args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--manifest-path",
            manifest,
        ]);
        refused.extend(refused_in(&metadata(&mut cargo)?, &allowed));
    }
    ensure!(
        refused.is_empty(),
        "licences that {CONFIG} does not allow: {}",
        refused.join(", ")
    );
    Ok(())
}

fn metadata(cargo: &mut Command) -> Result<Value> {
    let text = shell::output(cargo).with_context(|| format!("{} failed", shell::line(cargo)))?;
    Ok(serde_json::from_str(&text)?)
}

fn refused_in(metadata: &Value, allowed: &[&str]) -> Vec<String> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    packages
        .iter()
        .filter_map(|p| {
            let license = p["license"].as_str().unwrap_or("none");
            (!is_allowed(license, allowed))
                .then(|| format!("{} ({license})", p["name"].as_str().unwrap_or("?")))
        })
        .collect()
}

/// The strings of the list `allow` in cargo-deny's file.
fn allowed(config: &str) -> Vec<&str> {
    let list = config.split_once("\nallow = [").map_or("", |(_, l)| l);
    let list = list.split_once(']').map_or("", |(l, _)| l);
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether a licence expression (SPDX, or its old form with a slash for OR) can be met with the allowed
/// licences alone.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// Terms with OR between them. Each is read to its end, whatever came before it.
fn any(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

/// Factors with AND between them, which binds tighter.
fn all(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

/// A licence, perhaps with an exception, or an expression in brackets.
fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any(words, allowed);
        return words.next_if_eq(&")").is_some() && met;
    }
    let met = words.next().is_some_and(|w| allowed.contains(&w));
    // The list has no licences with exceptions, so one with an exception is not on it.
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
        return false;
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for good in [
            "MIT",
            "Apache-2.0/MIT",
            "GPL-3.0-only OR MIT",
            "(MIT OR GPL-3.0-only) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "none",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "GPL-3.0-only AND (MIT OR Apache-2.0)",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn the_list_is_found() {
        assert_eq!(
            allowed("x = 1\nallow = [\n  \"A\",\n  \"B-1\",\n]\n[y]"),
            ["A", "B-1"]
        );
    }
}
