//! `cargo xtask vm`: commands on other kernels, in a virtual machine that has this machine's files.

mod deb;
mod guest;
mod kernel;
mod qemu;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use crate::OBJECT_ENV;
use crate::setup;
use crate::shell::{self, target_dir, workspace};
use crate::testbed::LOGS_ENV;
use guest::{Init, Job};
use kernel::Kernel;
use qemu::{Accelerator, Machine};

#[derive(Args)]
pub struct Options {
    /// A version of Debian's kernels (6.1, 6.12 ...), a suite (bookworm, trixie, sid ...), `newest`, or a path: a
    /// .deb, a folder in which one was unpacked, an image. May be given several times
    #[arg(long, default_value = "6.1")]
    kernel: Vec<String>,
    /// Look for a newer package than the one that was downloaded before
    #[arg(long)]
    refresh: bool,
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// The guest's memory, MiB
    #[arg(long, default_value_t = 4096)]
    memory: u32,
    /// Seconds after which a guest is ended
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
    #[command(subcommand)]
    job: Option<GuestJob>,
    /// What to run there; without it, what `test` does
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Subcommand)]
enum GuestJob {
    /// `cargo xtask run` there
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The live tests and the testbed there
    Test {
        /// Test programs to run (xdp_program, live ...), `testbed` among them; all of them without
        programs: Vec<String>,
    },
    /// Install, upgrade and remove the Debian package there, under systemd
    Deb {
        /// The package, instead of the one that `cargo xtask dist` has made
        file: Option<PathBuf>,
    },
}

/// A name among the test programs: the testbed.
const TESTBED: &str = "testbed";

/// Runs it on each of the kernels; an error names those on which it failed.
pub fn run(options: &Options) -> Result<()> {
    run_with(options, &kernels(options)?, None)
}

/// As [`run`], on these kernels; `object` is loaded instead of the one in the tree.
fn run_with(options: &Options, kernels: &[Kernel], object: Option<&Path>) -> Result<()> {
    let mut env = environment();
    if let Some(object) = object {
        env.push((OBJECT_ENV.into(), object.display().to_string()));
    }
    let mut init = Init::Script;
    let command = match &options.job {
        None if !options.command.is_empty() => options.command.clone(),
        None => tests(&[], &mut env)?,
        Some(GuestJob::Test { programs }) => tests(programs, &mut env)?,
        Some(GuestJob::Run { args }) => testbed(args, &mut env)?,
        Some(GuestJob::Deb { file }) => {
            init = Init::Systemd;
            deb::command(file.as_deref())?
        }
    };
    println!(
        "guests run by {}",
        match Accelerator::find() {
            Accelerator::Kvm => "KVM",
            Accelerator::Emulation => "emulation: some twenty times slower than this machine",
        }
    );
    let dir = std::env::current_dir()?;
    let on = |kernel: &Kernel| {
        let started = Instant::now();
        let job = Job {
            command: &command,
            dir: &dir,
            env: &env,
            init,
        };
        let ended = on(kernel, options, &job, kernels.len() > 1);
        let secs = started.elapsed().as_secs();
        match &ended {
            Ok(()) => println!("== Linux {}: good, {secs} s", kernel.release),
            Err(e) => println!("== Linux {}: {e:#}, {secs} s", kernel.release),
        }
        ended.is_err()
    };
    // Each guest takes a processor.
    let at_once = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut failed = Vec::new();
    for some in kernels.chunks(at_once) {
        std::thread::scope(|s| {
            let running: Vec<_> = some.iter().map(|k| (k, s.spawn(|| on(k)))).collect();
            for (kernel, guest) in running {
                if guest.join().unwrap_or(true) {
                    failed.push(kernel.release.as_str());
                }
            }
        });
    }
    ensure!(failed.is_empty(), "it failed on Linux {}", failed.join(", "));
    Ok(())
}

/// What continuous integration does on other kernels than its own: the program's tests, the kernel's devices and the
/// testbed, with `object`. False: there is no virtual machine or no kernel to be had.
pub fn ci(object: &Path) -> Result<bool> {
    let options = Options {
        kernel: ["6.1", "6.12"].map(str::to_owned).to_vec(),
        refresh: false,
        cpus: 2,
        memory: 3072,
        timeout: 1500,
        job: Some(GuestJob::Test {
            programs: ["xdp_program", "devices", "process", TESTBED]
                .map(str::to_owned)
                .to_vec(),
        }),
        command: Vec::new(),
    };
    match kernels(&options) {
        Ok(kernels) => run_with(&options, &kernels, Some(object)).map(|()| true),
        Err(e) => {
            eprintln!("{e:#}");
            Ok(false)
        }
    }
}

/// The kernels that are asked for, and what running them takes.
fn kernels(options: &Options) -> Result<Vec<Kernel>> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "guests are x86-64 machines, and so must this one be"
    );
    setup::guests()?;
    let found = options.kernel.iter().map(|k| Kernel::find(k, options.refresh));
    found.collect()
}

/// Does the job on one kernel.
fn on(kernel: &Kernel, options: &Options, job: &Job<'_>, named: bool) -> Result<()> {
    let folder = target_dir()
        .join("vm/run")
        .join(format!("{}-{}", std::process::id(), kernel.release));
    fs::create_dir_all(&folder)?;
    let machine = Machine {
        kernel,
        cpus: options.cpus,
        memory_mib: options.memory,
        timeout: Duration::from_secs(options.timeout),
    };
    println!("== Linux {}", kernel.release);
    let status = machine.run(job, &folder, named)?;
    let logs = folder.join("share/logs");
    if logs.is_dir() {
        let kept = target_dir().join("vm/logs").join(&kernel.release);
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(target_dir().join("vm/logs"))?;
        fs::rename(&logs, &kept)?;
        println!("logs, as we have them: {}", kept.display());
    }
    ensure!(status == 0, "the command ended with status {status}");
    let _ = fs::remove_dir_all(&folder);
    Ok(())
}

/// What the guest's commands find in their environment: what ours do that matters there.
fn environment() -> Vec<(String, String)> {
    let kept = |name: &str| {
        let ours = ["PATH", "HOME", "CARGO", "TMPDIR"].contains(&name);
        ours || ["SENSOR_", "CARGO_", "RUSTUP_", "RUST_"]
            .iter()
            .any(|p| name.starts_with(p))
    };
    std::env::vars().filter(|(name, _)| kept(name)).collect()
}

/// Builds the sensor, which is then what all jobs use.
fn sensor(env: &mut Vec<(String, String)>) -> Result<()> {
    if std::env::var_os("SENSOR_BIN").is_none() {
        let path = shell::sensor()?;
        env.push(("SENSOR_BIN".into(), path.display().to_string()));
    }
    Ok(())
}

/// The testbed, by this very program.
fn testbed(args: &[String], env: &mut Vec<(String, String)>) -> Result<Vec<String>> {
    sensor(env)?;
    env.push((LOGS_ENV.into(), format!("{}/logs", guest::SHARE)));
    let me = std::env::current_exe()?.display().to_string();
    Ok([me, "run".to_owned()]
        .into_iter()
        .chain(args.iter().cloned())
        .collect())
}

/// The live tests and the testbed, one after the other; fails if one of them does. `only` names test programs.
fn tests(only: &[String], env: &mut Vec<(String, String)>) -> Result<Vec<String>> {
    let mut script = String::from("failed=\n");
    let mut add = |name: &str, command: String| {
        script.push_str(&format!(
            "echo '-- {name}'; ({command}) || failed=\"$failed {name}\"\n"
        ));
    };
    let dir = workspace().join("tests");
    for (name, path) in test_programs(only)? {
        add(&name, format!("cd '{}' && '{}'", dir.display(), path.display()));
    }
    if only.is_empty() || only.iter().any(|n| n == TESTBED) {
        let words = testbed(&[], env)?;
        add(TESTBED, format!("'{}'", words.join("' '")));
    } else {
        sensor(env)?;
    }
    script.push_str("[ -z \"$failed\" ] || { echo \"failed:$failed\"; exit 1; }");
    // Debian's kernels have all the devices that tests want.
    env.push(("SENSOR_TEST_ALL".into(), "1".into()));
    // A gigabyte takes an emulated machine too long.
    if Accelerator::find() == Accelerator::Emulation && std::env::var_os("SENSOR_TEST_BYTES").is_none() {
        env.push(("SENSOR_TEST_BYTES".into(), "50000000".into()));
    }
    Ok(vec!["/bin/sh".into(), "-c".into(), script])
}

/// The live tests' programs, built here: name and path. Each is linked with all of the sensor, so no others are built
/// than those that are wanted.
fn test_programs(only: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let mut c: Command = shell::cargo();
    c.current_dir(workspace())
        .args(["test", "--release", "--no-run", "-p", "sensor-tests"])
        .arg("--message-format=json-render-diagnostics");
    if only.is_empty() {
        c.arg("--tests");
    }
    let wanted: Vec<_> = only.iter().filter(|n| *n != TESTBED).collect();
    for name in &wanted {
        c.args(["--test", name]);
    }
    if wanted.is_empty() && !only.is_empty() {
        return Ok(Vec::new());
    }
    shell::built(&mut c)
}
