//! Kernels for guests: Debian's packages, downloaded and unpacked but never installed, or files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{output, run, target_dir};

/// Suites that have kernels. One that the mirror no longer has is passed over.
const SUITES: [&str; 5] = [
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
    "sid",
];
/// Their security updates, for which a mirror has an address of its own.
const SECURITY: [&str; 2] = ["bookworm-security", "trixie-security"];
/// Debian's keys, also in Ubuntu's package of that name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Of the kernel for servers and desktops; the others lack devices.
const FLAVOUR: &str = "-amd64";

/// A kernel's image and its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub image: PathBuf,
    /// What `uname -r` says in it.
    pub release: String,
    /// Has `RELEASE/modules.dep` and the modules.
    pub modules: PathBuf,
}

impl Kernel {
    /// The kernel that `spec` asks for: a version's beginning (`6.1`), a suite (`sid`), `newest`, or the path of
    /// a .deb, of a folder in which one was unpacked, or of an image whose modules are in /lib/modules.
    /// `refresh` looks for a newer one than is at hand already.
    pub fn find(spec: &str, refresh: bool) -> Result<Self> {
        let path = Path::new(spec);
        if path.is_dir() {
            return unpacked(path);
        }
        if path.is_file() {
            return if spec.ends_with(".deb") {
                of_packages(&[path.to_owned()])
            } else {
                of_image(path)
            };
        }
        ensure!(!spec.contains('/'), "no such kernel: {spec}");
        let named = named(spec);
        if !refresh && let Ok(kernel) = unpacked(&named) {
            return Ok(kernel);
        }
        let packages = download(spec)?;
        let kernel = of_packages(&packages)?;
        // The name leads to what it meant last.
        let _ = fs::remove_file(&named);
        if let Some(folder) = packages.first().and_then(|p| p.file_stem()) {
            std::os::unix::fs::symlink(folder, &named)
                .with_context(|| format!("cannot make {}", named.display()))?;
        }
        Ok(kernel)
    }

    /// A module's file and those of the modules that it needs, in the order in which they are loaded; nothing
    /// for what is built in.
    pub fn with_dependencies(&self, module: &str) -> Result<Vec<PathBuf>> {
        let folder = self.modules.join(&self.release);
        let is_it = |path: &str| {
            let file = path.rsplit('/').next().unwrap_or(path);
            file.split('.')
                .next()
                .is_some_and(|n| n.replace('-', "_") == module)
        };
        let read = |name: &str| {
            fs::read_to_string(folder.join(name))
                .with_context(|| format!("no {name} in {}", folder.display()))
        };
        if let Some(line) = read("modules.dep")?
            .lines()
            .find(|l| l.split_once(':').is_some_and(|(m, _)| is_it(m)))
        {
            let files = line.split([':', ' ']).filter(|f| !f.is_empty());
            let mut files: Vec<_> = files.map(|f| folder.join(f)).collect();
            files.reverse();
            return Ok(files);
        }
        ensure!(
            read("modules.builtin")?.lines().any(is_it),
            "the kernel {} has no module {module}",
            self.release
        );
        Ok(Vec::new())
    }
}

fn kernels() -> PathBuf {
    target_dir().join("vm/kernels")
}

fn named(spec: &str) -> PathBuf {
    kernels().join(format!("of-{spec}"))
}

/// The kernel in its packages, of which the first one names it.
fn of_packages(debs: &[PathBuf]) -> Result<Kernel> {
    let stem = debs.first().and_then(|d| d.file_stem()).context("no package")?;
    let folder = kernels().join(stem);
    if let Ok(kernel) = unpacked(&folder) {
        return Ok(kernel);
    }
    let partial = kernels().join(format!("{}.partial", stem.to_string_lossy()));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    for deb in debs {
        run(Command::new("dpkg-deb").arg("-x").args([deb, &partial]))?;
    }
    let kernel = unpacked(&partial)?;
    let base = partial.join(if partial.join("lib/modules").is_dir() {
        ""
    } else {
        "usr"
    });
    run(Command::new("/sbin/depmod")
        .arg("-b")
        .arg(base)
        .arg(&kernel.release))?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&partial, &folder)?;
    unpacked(&folder)
}

/// The kernel in a folder in which its packages were unpacked.
fn unpacked(folder: &Path) -> Result<Kernel> {
    for modules in ["lib/modules", "usr/lib/modules"].map(|m| folder.join(m)) {
        for entry in fs::read_dir(&modules).into_iter().flatten().flatten() {
            let release = entry.file_name().to_string_lossy().into_owned();
            let images = [
                folder.join(format!("boot/vmlinuz-{release}")),
                entry.path().join("vmlinuz"),
            ];
            if let Some(image) = images.into_iter().find(|i| i.exists()) {
                return Ok(Kernel {
                    image,
                    release,
                    modules: fs::canonicalize(modules)?,
                });
            }
        }
    }
    bail!("no kernel and modules in {}", folder.display())
}

/// A kernel's image; its modules are where they are installed, if it has any.
fn of_image(image: &Path) -> Result<Kernel> {
    let release = release_in(&fs::read(image)?)
        .with_context(|| format!("{} is no kernel that can be booted (bzImage)", image.display()))?;
    let modules = PathBuf::from("/lib/modules");
    ensure!(
        modules.join(&release).is_dir(),
        "{}: no modules in /lib/modules/{release}",
        image.display()
    );
    Ok(Kernel {
        image: image.to_owned(),
        release,
        modules,
    })
}

/// The release in a bzImage (the kernel's Documentation/arch/x86/boot.rst).
fn release_in(image: &[u8]) -> Option<String> {
    const MAGIC: usize = 0x202;
    const VERSION: usize = 0x20e;
    const SECTOR: usize = 0x200;
    if image.get(MAGIC..MAGIC + 4)? != b"HdrS" {
        return None;
    }
    let at = u16::from_le_bytes([*image.get(VERSION)?, *image.get(VERSION + 1)?]) as usize;
    let text = image.get(at + SECTOR..)?;
    let end = text.iter().position(|b| b.is_ascii_whitespace() || *b == 0)?;
    String::from_utf8(text[..end].to_vec()).ok()
}

/// Downloads the packages of the kernel that `spec` asks for; the image's is the first one.
fn download(spec: &str) -> Result<Vec<PathBuf>> {
    let apt = Apt::new()?;
    let image = apt.choose(spec)?;
    println!("kernel: {} {}", image.name, image.version);
    let folder = target_dir().join("vm/packages");
    fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for name in std::iter::once(&image.name).chain(&image.parts) {
        run(apt
            .command("apt-get")
            .args(["-qq", "download"])
            .arg(format!("{name}={}", image.version))
            .current_dir(&folder))?;
        let begins = format!("{name}_{}_", image.version.replace(':', "%3a"));
        let is_it = |p: &PathBuf| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(&begins))
        };
        let file = fs::read_dir(&folder)?.flatten().map(|e| e.path()).find(is_it);
        files.push(file.with_context(|| format!("apt-get downloaded no {begins}"))?);
    }
    Ok(files)
}

/// The package of a kernel's image.
struct Package {
    name: String,
    version: String,
    /// Other packages of this version that newer kernels are divided into.
    parts: Vec<String>,
}

impl Package {
    /// Of what `apt-cache show` prints.
    fn shown(stanza: &str) -> Option<Self> {
        let depends = field(stanza, "Depends").unwrap_or_default();
        let parts = depends.split(", ").filter(|d| {
            ["linux-base-", "linux-binary-", "linux-modules-"]
                .iter()
                .any(|p| d.starts_with(p))
        });
        Some(Package {
            name: field(stanza, "Package")?,
            version: field(stanza, "Version")?,
            parts: parts
                .filter_map(|d| Some(d.split_whitespace().next()?.to_owned()))
                .collect(),
        })
    }
}

/// apt with lists of its own: the machine's own configuration says from where, and stays as it is.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// With lists just fetched.
    fn new() -> Result<Self> {
        let folder = target_dir().join("vm/apt");
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(sub))?;
        }
        let apt = Apt { folder };
        fs::write(apt.folder.join("sources.list"), sources()?)?;
        // A suite that is no longer there fails alone.
        if let Err(e) = run(apt.command("apt-get").args(["-qq", "update"])) {
            eprintln!("not all lists of Debian's packages could be had: {e:#}");
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut c = Command::new(program);
        let at = |sub: &str| self.folder.join(sub).display().to_string();
        for option in [
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            // Fetched as ourselves: apt's own user may not write to our folder.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            c.args(["-o", &option]);
        }
        c
    }

    /// The newest package that `spec` asks for.
    fn choose(&self, spec: &str) -> Result<Package> {
        let names = if SUITES.contains(&spec) {
            let meta = output(self.command("apt-cache").args([
                "show",
                "--no-all-versions",
                "-t",
                spec,
                "linux-image-amd64",
            ]));
            let depends = field(&meta.unwrap_or_default(), "Depends").unwrap_or_default();
            let mut names = depends.split(", ").filter_map(|d| d.split_whitespace().next());
            Vec::from_iter(names.find(|n| is_kernel(n, "linux-image-")).map(str::to_owned))
        } else {
            let prefix = match spec {
                "newest" => "linux-image-".to_owned(),
                version => format!("linux-image-{version}"),
            };
            let all = output(self.command("apt-cache").args(["pkgnames", &prefix])).unwrap_or_default();
            all.lines()
                .filter(|n| is_kernel(n, &prefix))
                .map(str::to_owned)
                .collect()
        };
        let mut best: Option<Package> = None;
        let shown = output(
            self.command("apt-cache")
                .args(["show", "--no-all-versions"])
                .args(&names),
        );
        for stanza in shown.unwrap_or_default().split("\n\n") {
            let Some(package) = Package::shown(stanza) else {
                continue;
            };
            if best.as_ref().is_none_or(|b| newer(&package.version, &b.version)) {
                best = Some(package);
            }
        }
        best.with_context(|| format!("Debian has no kernel {spec} (or give the path of a .deb)"))
    }
}

/// Whether a package is a kernel of the flavour that we want, and its version begins as `prefix` has it.
fn is_kernel(name: &str, prefix: &str) -> bool {
    let Some(rest) = name.strip_prefix(prefix) else {
        return false;
    };
    let ends_there = !rest.starts_with(|c: char| c.is_ascii_digit()) || prefix.ends_with('-');
    ends_there
        && name["linux-image-".len()..].starts_with(|c: char| c.is_ascii_digit())
        && name.ends_with(FLAVOUR)
        && !name.contains("-cloud-")
        && !name.contains("-rt-")
}

/// A field of what `apt-cache show` prints.
fn field(shown: &str, name: &str) -> Option<String> {
    shown
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

/// Whether `a` comes behind `b` in Debian's order of versions.
fn newer(a: &str, b: &str) -> bool {
    Command::new("dpkg")
        .args(["--compare-versions", a, "gt", b])
        .status()
        .is_ok_and(|s| s.success())
}

/// The list of sources: the mirrors that the machine uses, with the suites that have kernels.
fn sources() -> Result<String> {
    let listed = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE) $(ORIGIN)",
        "Created-By: Packages",
    ]))
    .context("please give the path of a kernel: there is no apt-get to fetch one")?;
    let mirror = |security: bool| {
        listed.lines().find_map(|l| {
            let mut words = l.split(' ');
            let (site, suite) = (words.next()?, words.next()?);
            let debian = words.next() == Some("Debian");
            (debian && suite.contains("security") == security).then(|| site.to_owned())
        })
    };
    let site = mirror(false).context(
        "apt knows no mirror of Debian (after `apt-get update`); give the path of a kernel's .deb",
    )?;
    ensure!(
        Path::new(KEYRING).exists(),
        "please install debian-archive-keyring, or give the path of a kernel's .deb"
    );
    let mut text = String::new();
    let mut add = |site: &str, suites: &[&str]| {
        for suite in suites {
            text.push_str(&format!(
                "deb [arch=amd64 signed-by={KEYRING}] {site} {suite} main\n"
            ));
        }
    };
    add(&site, &SUITES);
    if let Some(site) = mirror(true) {
        add(&site, &SECURITY);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_whole_number_of_its_parts() {
        let chosen = |name: &str, spec: &str| is_kernel(name, &format!("linux-image-{spec}"));
        assert!(chosen("linux-image-6.1.0-56-amd64", "6.1"));
        assert!(!chosen("linux-image-6.12.118+deb13-amd64", "6.1"));
        assert!(chosen("linux-image-6.12.118+deb13-amd64", "6.12"));
        assert!(chosen("linux-image-6.12.118+deb13-amd64", ""));
        for other in [
            "6.1.0-56-cloud-amd64",
            "6.1.0-56-rt-amd64",
            "6.1.0-56-amd64-unsigned",
            "6.1-amd64-dbg",
        ] {
            assert!(!chosen(&format!("linux-image-{other}"), "6.1"), "{other}");
        }
        assert!(!chosen("linux-image-amd64", ""));
    }
}
