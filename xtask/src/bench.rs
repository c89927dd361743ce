//! Benchmarks.

/// Runs them; `args` are what stood after `bench`.
pub fn run(args: Vec<String>) -> anyhow::Result<()> {
    let _ = args;
    anyhow::bail!("not there yet")
}
