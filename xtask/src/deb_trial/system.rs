//! Commands of the system that the package is installed on.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

fn output(program: &str, args: &[&str]) -> Result<Output> {
    let mut c = Command::new(program);
    c.args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // dpkg's scripts want more than a user has.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    c.output().with_context(|| format!("cannot run {program}"))
}

fn text(out: &Output) -> String {
    let all = [&out.stdout[..], &out.stderr[..]].concat();
    String::from_utf8_lossy(&all).trim().to_owned()
}

/// What a command says that is to end well.
pub fn says(program: &str, args: &[&str]) -> Result<String> {
    let out = output(program, args)?;
    ensure!(
        out.status.success(),
        "{program} {}: {}\n{}",
        args.join(" "),
        out.status,
        text(&out)
    );
    Ok(text(&out))
}

/// For a command that is to fail.
pub fn fails(program: &str, args: &[&str]) -> Result<()> {
    let out = output(program, args)?;
    ensure!(
        !out.status.success(),
        "{program} {} did not fail: {}",
        args.join(" "),
        text(&out)
    );
    Ok(())
}

/// What a command says on standard output, however it ends.
pub fn said(program: &str, args: &[&str]) -> String {
    let out = output(program, args).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    out.unwrap_or_default()
}

/// Has systemd do something; why it could not is in the journal, which is part of the error.
pub fn systemctl(args: &[&str]) -> Result<()> {
    let done = says("systemctl", args);
    done.map(drop).with_context(|| {
        let journal = said(
            "journalctl",
            &["-u", "sensor", "-o", "cat", "--no-pager", "-n", "30"],
        );
        format!("the journal of the service:\n{journal}")
    })
}
