//! Whether files of the library import each other in a circle: data flows one way, and so do imports.
//!
//! A file imports another if one of its paths leads to something that is declared there; a re-export is followed to
//! where it leads, and is none itself. Tests do not count, nor what a macro expands to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::shell;

/// A module's path, from the crate's root on.
type Module = Vec<String>;

/// What a module is known for.
struct File {
    ast: syn::File,
    /// Names that it only passes on, and the path that each leads to, as written.
    passed_on: BTreeMap<String, Module>,
}

/// Fails if there is a circle, and names it.
pub fn check() -> anyhow::Result<()> {
    let files = read(&shell::workspace().join("sensor/src"))?;
    let known: BTreeSet<Module> = files.keys().cloned().collect();
    let imports = files
        .iter()
        .map(|(m, f)| (m.clone(), imports(m, f, &files, &known)));
    let circle = circle(imports.collect());
    let named: Vec<String> = circle.iter().map(|m| m.join("::")).collect();
    ensure!(
        circle.is_empty(),
        "files of sensor/src import each other in a circle: {}",
        named.join(" -> ")
    );
    Ok(())
}

/// All files below `root`, those of tests aside.
fn read(root: &Path) -> anyhow::Result<BTreeMap<Module, File>> {
    let mut files = BTreeMap::new();
    for path in shell::sources(root)? {
        let below = path.strip_prefix(root)?.with_extension("");
        let mut module: Module = below
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        if module.iter().any(|name| name == "tests" || name == "main") {
            continue;
        }
        module.pop_if(|name| ["mod", "lib"].contains(&name.as_str()));
        let ast = syn::parse_file(&fs::read_to_string(&path)?)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let passed_on = BTreeMap::new();
        files.insert(module, File { ast, passed_on });
    }
    let known: BTreeSet<Module> = files.keys().cloned().collect();
    for (module, file) in &mut files {
        for item in &file.ast.items {
            if let Item::Use(u) = item
                && !matches!(u.vis, Visibility::Inherited)
            {
                for path in paths(&u.tree) {
                    if let (Some(name), Some(to)) = (path.last().cloned(), absolute(module, &path, &known)) {
                        file.passed_on.insert(name, to);
                    }
                }
            }
        }
    }
    Ok(files)
}

/// The paths of a `use`.
fn paths(tree: &UseTree) -> Vec<Module> {
    let below = |name: String, rest: &UseTree| {
        let all = paths(rest).into_iter();
        all.map(|rest| [vec![name.clone()], rest].concat()).collect()
    };
    match tree {
        UseTree::Path(p) => below(p.ident.to_string(), &p.tree),
        UseTree::Name(n) => vec![vec![n.ident.to_string()]],
        UseTree::Rename(r) => vec![vec![r.ident.to_string()]],
        UseTree::Glob(_) => vec![vec!["*".to_owned()]],
        UseTree::Group(g) => g.items.iter().flat_map(paths).collect(),
    }
}

/// A path in `module` from the root on, if it leads into this crate.
fn absolute(module: &Module, path: &[String], known: &BTreeSet<Module>) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => return Some(path[1..].to_vec()),
        "self" | "super" => {
            while let [first, more @ ..] = rest
                && ["self", "super"].contains(&first.as_str())
            {
                if first == "super" {
                    base.pop();
                }
                rest = more;
            }
        }
        child => {
            base.push(child.to_owned());
            if !known.contains(&base) {
                return None;
            }
            rest = &path[1..];
        }
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The file that a path from the root leads to.
fn leads_to(mut path: Module, files: &BTreeMap<Module, File>) -> Option<Module> {
    // No more than a few files pass the same name on.
    for _ in 0..8 {
        let depth = (0..=path.len()).rev().find(|n| files.contains_key(&path[..*n]))?;
        let (module, rest) = path.split_at(depth);
        let next = rest.first().and_then(|name| files[module].passed_on.get(name));
        match next {
            Some(next) if *next != path => path = next.clone(),
            _ => return Some(module.to_vec()),
        }
    }
    None
}

/// Gathers the paths of a file, tests aside.
struct Paths {
    all: Vec<Module>,
}

fn is_test(attrs: &[Attribute]) -> bool {
    let cfg_test = |a: &Attribute| {
        a.path().is_ident("cfg") && a.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
    };
    attrs.iter().any(cfg_test)
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, u: &'ast ItemUse) {
        if matches!(u.vis, Visibility::Inherited) && !is_test(&u.attrs) {
            self.all.extend(paths(&u.tree));
        }
    }

    fn visit_item_mod(&mut self, m: &'ast ItemMod) {
        if !is_test(&m.attrs) {
            visit::visit_item_mod(self, m);
        }
    }

    fn visit_path(&mut self, p: &'ast syn::Path) {
        if p.segments.len() > 1 {
            self.all
                .push(p.segments.iter().map(|s| s.ident.to_string()).collect());
        }
        visit::visit_path(self, p);
    }
}

/// The files that one imports.
fn imports(
    module: &Module,
    file: &File,
    files: &BTreeMap<Module, File>,
    known: &BTreeSet<Module>,
) -> BTreeSet<Module> {
    let mut found = Paths { all: Vec::new() };
    found.visit_file(&file.ast);
    let absolute = found.all.iter().filter_map(|p| absolute(module, p, known));
    let all = absolute.filter_map(|path| leads_to(path, files));
    all.filter(|to| to != module).collect()
}

/// Files in a circle, each importing the next and the last one the first; none if there is no circle.
fn circle(mut imports: BTreeMap<Module, BTreeSet<Module>>) -> Vec<Module> {
    // What imports nothing that is left is in no circle.
    loop {
        let left: BTreeSet<Module> = imports.keys().cloned().collect();
        let before = left.len();
        imports.retain(|_, to| to.iter().any(|m| left.contains(m)));
        if imports.len() == before {
            break;
        }
    }
    let mut walk: Vec<Module> = imports.keys().take(1).cloned().collect();
    while let Some(next) = walk
        .last()
        .and_then(|m| imports[m].iter().find(|to| imports.contains_key(*to)))
    {
        if let Some(at) = walk.iter().position(|m| m == next) {
            return walk.split_off(at);
        }
        walk.push(next.clone());
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &[&str])]) -> BTreeMap<Module, BTreeSet<Module>> {
        let module = |name: &str| vec![name.to_owned()];
        let all = |to: &[&str]| to.iter().map(|t| module(t)).collect();
        pairs.iter().map(|(m, to)| (module(m), all(to))).collect()
    }

    #[test]
    fn a_circle_is_found_behind_what_leads_to_it() {
        let line = of(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
        assert_eq!(circle(line), Vec::<Module>::new());
        let ring = of(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"]), ("d", &[])]);
        assert_eq!(circle(ring), [["b"], ["c"]]);
    }

    #[test]
    fn the_library_has_none() {
        check().expect("no circle");
    }
}
