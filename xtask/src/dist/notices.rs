//! The licences of the crates that are in the program: most of them are to go with it wherever it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Origin;
use crate::shell::{self, output, workspace};

/// How files with licences are called, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"];

/// Writes them into a file: each text once, with the crates that bring it.
pub fn write(origin: &Origin, path: &Path) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace())
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", &origin.host]);
    let text = output(&mut cargo).with_context(|| format!("{} failed", shell::line(&cargo)))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let linked = linked(&metadata);
    ensure!(!linked.is_empty(), "cargo metadata knows no crates of the sensor");
    // By text: who brings it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut head = String::from(
        "The program `sensor` is linked with these crates, under these licences. Their texts, as the crates have them, follow.\n\n",
    );
    for package in list(&metadata["packages"]) {
        // Our own are in LICENSE.
        if package["source"].is_null() || !linked.contains(word(&package["id"])) {
            continue;
        }
        let name = format!("{} {}", word(&package["name"]), word(&package["version"]));
        head.push_str(&format!("{name}: {}\n", word(&package["license"])));
        let manifest = Path::new(word(&package["manifest_path"]));
        for text in of_crate(manifest.parent().context("a crate without a folder")?)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut out = head;
    for (text, crates) in texts {
        let crates = Vec::from_iter(crates).join(", ");
        out.push_str(&format!("\n{}\n{crates}\n\n{text}\n", "=".repeat(100)));
    }
    fs::write(path, out).with_context(|| format!("cannot write {}", path.display()))
}

/// Ids of what the sensor depends on, other than to build or test it.
fn linked(metadata: &Value) -> BTreeSet<&str> {
    let nodes = list(&metadata["resolve"]["nodes"]);
    let id = |name: &str| {
        let packages = list(&metadata["packages"]);
        packages
            .iter()
            .find(|p| p["name"] == name && p["source"].is_null())
            .map(|p| word(&p["id"]))
    };
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = id("sensor").into_iter().collect();
    while let Some(id) = next.pop() {
        if !found.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|n| n["id"] == id);
        for dep in node.map_or(&[][..], |n| list(&n["deps"])) {
            // A kind of null is the usual one.
            if list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null()) {
                next.push(word(&dep["pkg"]));
            }
        }
    }
    found
}

/// The texts in a crate's folder.
fn of_crate(folder: &Path) -> Result<Vec<String>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.flatten().map(|e| e.path()).collect();
    paths.sort();
    let is_one = |p: &std::path::PathBuf| {
        let name = p.file_name().map(|n| n.to_string_lossy().to_uppercase());
        p.is_file() && name.is_some_and(|n| NAMES.iter().any(|begin| n.starts_with(begin)))
    };
    let texts = paths.iter().filter(|p| is_one(p)).map(fs::read);
    texts
        .map(|t| Ok(String::from_utf8_lossy(&t?).replace('\r', "").trim().to_owned()))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_builds_or_tests_is_not_in_the_program() {
        let dep = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [{"name": "sensor", "source": null, "id": "s"}],
            "resolve": {"nodes": [
                {"id": "s", "deps": [dep("a", Value::Null), dep("b", json!("build")), dep("d", json!("dev"))]},
                {"id": "a", "deps": [dep("c", Value::Null), dep("s", Value::Null)]},
                {"id": "b", "deps": [dep("x", Value::Null)]},
            ]},
        });
        assert_eq!(Vec::from_iter(linked(&metadata)), ["a", "c", "s"]);
    }
}
