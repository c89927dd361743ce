//! Builds, runs and tests the project: `cargo xtask --help`.

mod bench;
mod circles;
mod deb_trial;
mod dist;
mod ebpf;
mod events;
mod format;
mod licenses;
mod new_protocol;
mod setup;
mod shell;
mod testbed;
mod tests_total;
mod vm;

use std::path::Path;

use clap::{Parser, Subcommand};

/// Names a BPF object for the sensor to load instead of its own.
const OBJECT_ENV: &str = "SENSOR_BPF_OBJECT";

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and tests the project")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing for rebuilding the eBPF object
    Setup,
    /// Rebuild the eBPF object
    BuildEbpf {
        /// Change nothing; fail when the committed object is not what the sources make
        #[arg(long)]
        check: bool,
    },
    /// Run every test, as root or through sudo
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the sensor in a testbed, or on an interface
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the live tests, the testbed or a command on another kernel, in a virtual machine
    Vm(vm::Options),
    /// Make what is handed out: a Debian package, an archive, their list of materials and digests
    Dist(dist::Options),
    /// What `vm deb` runs in its guest
    #[command(hide = true)]
    DebTrial(deb_trial::Options),
    /// Measure throughput, TLS handshakes and memory per connection
    Bench(bench::Options),
    /// Make the folder of a new protocol, an example to begin with
    NewProtocol {
        /// The protocol's word: its folder's name, its log's, and conn.log's `service`
        name: String,
    },
    /// Format every source
    Fmt,
    /// Check formats, lints, licences and documentation of every workspace
    Lint,
    /// What continuous integration runs
    Ci,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Setup => {
            let toolchain = setup::run_setup()?;
            println!("ready: {}", toolchain.version());
            Ok(())
        }
        Command::BuildEbpf { check: false } => ebpf::rebuild(),
        Command::BuildEbpf { check: true } => ebpf::check().map(drop),
        Command::Test { args } => test(None, &args),
        Command::Run { args } => testbed::run(args),
        Command::Vm(o) => vm::run(&o),
        Command::DebTrial(o) => deb_trial::run(&o),
        Command::Dist(o) => dist::run(&o),
        Command::Bench(o) => bench::run(&o),
        Command::NewProtocol { name } => new_protocol::run(&name),
        Command::Fmt => format::run(false),
        Command::Lint => lint(),
        Command::Ci => ci(),
    }
}

/// Runs all tests as root: the test programs alone go through sudo, so that what cargo builds stays
/// the user's. `object` is loaded instead of the one in the tree.
fn test(object: Option<&Path>, args: &[String]) -> anyhow::Result<()> {
    let mut cmd = shell::cargo();
    cmd.current_dir(shell::workspace())
        .args(["test", "--workspace"])
        .args(args);
    // Part of the tests cannot have seen all events.
    let lists = args.is_empty().then(events::lists).transpose()?;
    if let Some(dir) = &lists {
        cmd.env(events::SEEN_ENV, dir);
    }
    if !shell::is_root() {
        cmd.env("SENSOR_TESTS_AS_ROOT", "1");
        cmd.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "sudo -E");
        cmd.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "sudo -E");
    }
    if let Some(object) = object {
        cmd.env(OBJECT_ENV, object);
    }
    tests_total::run(&mut cmd)?;
    lists.map_or(Ok(()), |dir| events::all_seen(&dir))
}

/// Formats and lints of everything that cargo can check without the toolchain for eBPF.
fn lint() -> anyhow::Result<()> {
    let cargo = |args: &[&str]| shell::run(shell::cargo().current_dir(shell::workspace()).args(args));
    format::run(true)?;
    licenses::check()?;
    circles::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    lint_fuzz_targets()?;
    lint_docs()
}

/// Links in comments go where they say, also between private items.
fn lint_docs() -> anyhow::Result<()> {
    let mut cmd = shell::cargo();
    cmd.args(["doc", "--no-deps", "--workspace", "--document-private-items"])
        .current_dir(shell::workspace())
        .env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut cmd)
}

/// The fuzz targets are a workspace of their own, and fall behind unless somebody looks. They are checked, not built:
/// stable Rust and a C++ compiler do build and link them, but that is more than three minutes of processor time.
fn lint_fuzz_targets() -> anyhow::Result<()> {
    let mut cmd = shell::cargo();
    cmd.args(["clippy", "--manifest-path", "fuzz/Cargo.toml"])
        .args(["--all-targets", "--", "-D", "warnings"])
        .current_dir(shell::workspace())
        .env("CARGO_TARGET_DIR", shell::workspace().join("target"))
        // Nothing is linked, so libFuzzer itself, in C++, need not be built.
        .env("CUSTOM_LIBFUZZER_PATH", "/nonexistent/libfuzzer.a");
    shell::run(&mut cmd)
}

/// Everything that must hold before a change goes in.
fn ci() -> anyhow::Result<()> {
    lint()?;
    let object = ebpf::check()?;
    test(Some(&object), &[])?;
    if !vm::ci(&object)? {
        eprintln!("!! NOT TESTED ON OTHER KERNELS: no virtual machine, or no kernel for one (see above)");
    }
    Ok(())
}
