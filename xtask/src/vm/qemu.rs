//! The virtual machine.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::guest::{self, Job, MODULES_TAG, ROOT_TAG, SHARE_TAG};
use super::kernel::Kernel;
use crate::shell::target_dir;

const QEMU: &str = "qemu-system-x86_64";
/// The guest's second serial port, which is our standard output; the first one is the kernel's.
const TTY: &str = "/dev/ttyS1";
/// For KVM to show that it works.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a kernel to say its first word on the console, where KVM runs it.
const BOOT_PATIENCE: Duration = Duration::from_secs(30);
/// What the test image writes to the device that ends the machine, and the status that qemu makes of it.
const CODE: u8 = 0x10;
const CODE_STATUS: i32 = (CODE as i32) << 1 | 1;

/// The machine to make.
pub struct Machine<'m> {
    pub kernel: &'m Kernel,
    pub cpus: u32,
    pub memory_mib: u32,
    pub timeout: Duration,
}

/// How a guest's instructions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Emulation,
}

impl Accelerator {
    /// KVM where it works. Where it opens and does not (a machine that is a guest itself), a machine whose
    /// first sector ends it does not end.
    pub fn find() -> Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        *FOUND.get_or_init(|| match kvm_works() {
            Ok(true) => Accelerator::Kvm,
            Ok(false) => Accelerator::Emulation,
            Err(e) => {
                eprintln!("KVM was not tried: {e:#}");
                Accelerator::Emulation
            }
        })
    }

    fn args(self) -> [&'static str; 4] {
        match self {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // With a thread for each processor QEMU 7.2 runs old copies of code that the kernel has patched.
            Accelerator::Emulation => ["-accel", "tcg,thread=single", "-cpu", "max"],
        }
    }
}

fn kvm_works() -> Result<bool> {
    if fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(false);
    }
    let image = target_dir().join("vm/kvm.img");
    fs::create_dir_all(target_dir().join("vm"))?;
    // mov al, CODE; out 0xf4, al; jmp $
    let mut sector = vec![0xb0, CODE, 0xe6, 0xf4, 0xeb, 0xfe];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    fs::write(&image, sector)?;
    let mut c = Command::new(QEMU);
    c.args(Accelerator::Kvm.args());
    c.args(["-nodefaults", "-no-user-config", "-display", "none", "-m", "16"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .arg("-drive")
        .arg(format!("file={},format=raw,snapshot=on", image.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(
        wait(&mut c.spawn().context("cannot run qemu")?, PATIENCE)?.and_then(|s| s.code())
            == Some(CODE_STATUS),
    )
}

/// Waits at most so long; None: it took longer and was ended.
fn wait(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    wait_while(child, patience, || true)
}

/// The same, and no longer than `goes_on` is true.
fn wait_while(
    child: &mut Child,
    patience: Duration,
    goes_on: impl Fn() -> bool,
) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline || !goes_on() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Machine<'_> {
    /// Runs a command in the guest, its output going to ours (each line with the kernel's name before it if `named`);
    /// the status that it ended with. `folder` is a folder of this run's own, in which `share` is the guest's to write
    /// to.
    pub fn run(&self, job: &Job<'_>, folder: &Path, named: bool) -> Result<i32> {
        let share = folder.join("share");
        fs::create_dir_all(&share)?;
        let initramfs = guest::initramfs(self.kernel, job.init, folder)?;
        guest::prepare(&share, job, TTY)?;
        let console = folder.join("console");
        let accelerator = Accelerator::find();
        let mut ended = self.start(accelerator, &initramfs, &share, &console, named)?;
        if accelerator == Accelerator::Kvm && ended.is_none() && is_silent(&console) {
            // Where this machine is a guest itself, KVM may run the probe and fail in a kernel.
            eprintln!("KVM does not start Linux {}: it is emulated", self.kernel.release);
            ended = self.start(Accelerator::Emulation, &initramfs, &share, &console, named)?;
        }
        if let Some(status) = guest::status(&share) {
            return Ok(status);
        }
        let said = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
        let lines: Vec<_> = said.lines().collect();
        for line in &lines[lines.len().saturating_sub(40)..] {
            eprintln!("{line}");
        }
        match ended {
            None => bail!(
                "the guest took more than {} s and was ended",
                self.timeout.as_secs()
            ),
            Some(status) => bail!(
                "the guest ended ({status}) before the command did; its kernel's last words are above, all of them in {}",
                console.display()
            ),
        }
    }

    /// Runs the machine to its end; None: it took too long, or its kernel said nothing under KVM, and it was ended.
    fn start(
        &self,
        accelerator: Accelerator,
        initramfs: &Path,
        share: &Path,
        console: &Path,
        named: bool,
    ) -> Result<Option<ExitStatus>> {
        let mut c = Command::new(QEMU);
        c.args(accelerator.args());
        c.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(["-smp", &self.cpus.to_string(), "-m", &self.memory_mib.to_string()])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", "console=ttyS0 panic=-1 oops=panic mitigations=off"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"]);
        for (tag, path, how) in [
            (ROOT_TAG, Path::new("/"), "readonly=on"),
            (MODULES_TAG, &self.kernel.modules, "readonly=on"),
            (SHARE_TAG, share, "readonly=off"),
        ] {
            c.arg("-virtfs").arg(format!(
                "local,path={},mount_tag={tag},security_model=none,multidevs=remap,{how}",
                path.display().to_string().replace(',', ",,")
            ));
        }
        std::io::stdout().flush()?;
        c.stdin(Stdio::null());
        if named {
            c.stdout(Stdio::piped());
        }
        let mut child = c
            .spawn()
            .with_context(|| format!("cannot run {QEMU} (package qemu-system-x86)"))?;
        let output = child.stdout.take();
        let begun = Instant::now();
        let boots = || {
            accelerator == Accelerator::Emulation || begun.elapsed() < BOOT_PATIENCE || !is_silent(console)
        };
        std::thread::scope(|s| {
            s.spawn(|| {
                for line in output.into_iter().flat_map(|o| BufReader::new(o).lines()) {
                    println!("{}: {}", self.kernel.release, line.unwrap_or_default());
                }
            });
            wait_while(&mut child, self.timeout, boots)
        })
    }
}

/// Whether the kernel has said nothing yet.
fn is_silent(console: &Path) -> bool {
    fs::metadata(console).map_or(true, |m| m.len() == 0)
}
