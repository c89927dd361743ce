//! The testbed behind `cargo xtask run`.

/// Runs it; `args` are what stood after `run`.
pub fn run(args: Vec<String>) -> anyhow::Result<()> {
    let _ = args;
    anyhow::bail!("not there yet")
}
