//! What a guest boots into: this machine's own files, read-only, under a layer in memory that takes what is
//! written. So the tree, what was built in it and all programs are there, and nothing of it can change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::shell::run;

/// Modules that are needed before there are files: those of PCI, 9P over it, and the layer.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// Names of the folders that the guest mounts.
pub const ROOT_TAG: &str = "root";
pub const MODULES_TAG: &str = "modules";
pub const SHARE_TAG: &str = "share";
/// Where the guest has the folder that it shares with us, for writing too.
pub const SHARE: &str = "/run/guest";
/// In the share: what to run, and the status that it ended with.
const SCRIPT: &str = "script";
const STATUS: &str = "status";

/// What the guest's first process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// The script itself, with nothing else around it.
    Script,
    /// This machine's systemd, which starts what every system needs, and the script as a service.
    Systemd,
}

impl Init {
    /// What the first file system does last.
    fn hand_over(self) -> String {
        match self {
            Init::Script => format!("exec switch_root /root /bin/sh {SHARE}/{SCRIPT}"),
            // Only up to sysinit.target: this machine's own services have no business in the guest. What is in /tmp is
            // needed there, which that one service would empty.
            Init::Systemd => format!(
                "mkdir -p /root/run/systemd/system
cat >/root/run/systemd/system/{SERVICE} <<END
[Unit]
Requires=sysinit.target
After=sysinit.target
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/sh {SHARE}/{SCRIPT}
END
ln -s /dev/null /root/run/systemd/system/systemd-tmpfiles-setup.service
[ -s /root/etc/machine-id ] || echo {MACHINE_ID} >/root/etc/machine-id
: >/root/etc/fstab
exec switch_root /root /lib/systemd/systemd --unit={SERVICE} --show-status=no"
            ),
        }
    }

    /// What the script begins with.
    fn mounts(self) -> &'static str {
        match self {
            Init::Script => {
                "mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
"
            }
            Init::Systemd => "",
        }
    }
}

/// The script as a service of systemd.
const SERVICE: &str = "guest.service";
/// Where this machine has none, systemd would take it for one that was never set up.
const MACHINE_ID: &str = "00000000000000000000000000005e50";

/// Makes the first file system that `kernel` boots with: `FOLDER/initramfs`.
pub fn initramfs(kernel: &Kernel, init: Init, folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    let _ = fs::remove_dir_all(&tree);
    for sub in ["bin", "dev", "proc", "sys", "layer", "host", "root", "modules"] {
        fs::create_dir_all(tree.join(sub))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).context("no /bin/busybox (package busybox-static)")?;
    let mut files: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        for file in kernel.with_dependencies(module)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    for (i, file) in files.iter().enumerate() {
        plain(file, &tree.join(format!("modules/{i:02}.ko")))?;
    }
    let first = tree.join("init");
    fs::write(&first, first_script(init))?;
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755))?;
    let image = folder.join("initramfs");
    let mut pack = Command::new("/bin/busybox");
    pack.arg("sh")
        .arg("-c")
        .arg("cd \"$1\" && busybox find . | busybox cpio -o -H newc 2>/dev/null >\"$2\"");
    run(pack.arg("pack").args([&tree, &image]))?;
    Ok(image)
}

/// A module as the kernel takes it from a program that cannot decompress.
fn plain(from: &Path, to: &Path) -> Result<()> {
    let with = match from.extension().and_then(|e| e.to_str()) {
        Some("ko") => "cat",
        Some("xz") => "xzcat",
        Some("zst") => "zstdcat",
        Some("gz") => "zcat",
        _ => bail!("a module of an unknown kind: {}", from.display()),
    };
    let to = fs::File::create(to)?;
    run(Command::new(with).arg(from).stdout(to))
}

/// Mounts everything and goes over to it.
fn first_script(init: Init) -> String {
    let mount = |tag: &str, at: &str, options: &str| {
        format!("mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,{options} {tag} {at}")
    };
    let root = mount(ROOT_TAG, "/host", "ro,cache=loose");
    let modules = mount(MODULES_TAG, "/root/lib/modules", "ro,cache=loose");
    let share = mount(SHARE_TAG, &format!("/root{SHARE}"), "rw,cache=none");
    format!(
        "#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for m in /modules/*.ko; do insmod $m; done
{root}
mount -t tmpfs -o size=80% tmpfs /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /root
mkdir -p /root/lib/modules
{modules}
mount -t tmpfs tmpfs /root/run
mkdir /root{SHARE}
{share}
umount /proc
mount --move /dev /root/dev
{}
",
        init.hand_over()
    )
}

/// A command and what it finds around it.
#[derive(Clone, Copy, Debug)]
pub struct Job<'j> {
    pub command: &'j [String],
    /// The directory to run it in, and its environment.
    pub dir: &'j Path,
    pub env: &'j [(String, String)],
    pub init: Init,
}

/// Writes what is to be run into the share. `tty` is the guest's device for the output.
pub fn prepare(share: &Path, job: &Job<'_>, tty: &str) -> Result<()> {
    let _ = fs::remove_file(share.join(STATUS));
    let mut env = String::new();
    for (name, value) in job.env {
        env.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    let command: Vec<_> = job.command.iter().map(|w| quoted(w)).collect();
    let script = format!(
        "{mounts}stty -F {tty} raw -echo
exec </dev/null >{tty} 2>&1
hostname guest
# Their device files come with the modules.
modprobe -q -a tun fuse
ip link set lo up
{env}cd {dir} && {command}
echo $? >{SHARE}/{STATUS}.part
mv {SHARE}/{STATUS}.part {SHARE}/{STATUS}
# The machine is set not to restart.
echo b >/proc/sysrq-trigger
sleep 60
",
        mounts = job.init.mounts(),
        dir = quoted(&job.dir.display().to_string()),
        command = command.join(" "),
    );
    fs::write(share.join(SCRIPT), script).context("cannot write the guest's script")
}

/// The status that the command ended with; None: it did not come to its end.
pub fn status(share: &Path) -> Option<i32> {
    fs::read_to_string(share.join(STATUS)).ok()?.trim().parse().ok()
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        let word = "it's $HOME \"and\" more";
        let out = Command::new("sh")
            .arg("-c")
            .arg(format!("printf %s {}", quoted(word)))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), word);
    }
}
