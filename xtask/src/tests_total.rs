//! The tests' output, passed on as it is, and the total over all test programs after it.
//!
//! Each test program ends with a line of its own (libtest's `test result: ...`); cargo adds nothing up.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Sums over the test programs that came to their end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    programs: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Adds a line of output, if it is the one that a test program ends with.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        self.programs += 1;
        // "ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s"
        let counts = counts.split_once(". ").map_or("", |(_, c)| c);
        for part in counts.split("; ") {
            let Some((n, name)) = part.split_once(' ') else {
                continue;
            };
            let Ok(n) = n.parse::<u64>() else { continue };
            match name {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" => self.ignored += n,
                _ => {}
            }
        }
    }
}

/// Runs `cargo test`, as [`shell::run`] does, and prints the total last, also when it fails.
pub fn run(cmd: &mut Command) -> Result<()> {
    shell::step(&shell::line(cmd));
    let mut child = cmd
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {cmd:?}"))?;
    let mut total = Total::default();
    if let Some(out) = child.stdout.take() {
        pass_on(out, &mut std::io::stdout(), &mut total)?;
    }
    let status = child.wait()?;
    let Total {
        programs,
        passed,
        failed,
        ignored,
    } = total;
    println!("total of {programs} test programs: {passed} passed; {failed} failed; {ignored} ignored");
    if !status.success() {
        bail!("{cmd:?}: {status}");
    }
    Ok(())
}

/// Copies all of `from` as it comes, not line by line: who watches sees a test's name while the test runs.
fn pass_on(mut from: impl Read, to: &mut impl Write, total: &mut Total) -> Result<()> {
    let mut chunk = [0; 8192];
    let mut line = Vec::new();
    loop {
        let n = from.read(&mut chunk)?;
        if n == 0 {
            break;
        }
        to.write_all(&chunk[..n])?;
        to.flush()?;
        for &byte in &chunk[..n] {
            if byte == b'\n' {
                total.add(&String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
    total.add(&String::from_utf8_lossy(&line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_add_up_and_the_output_is_as_it_was() {
        let text = "running 3 tests\ntest a ... ok\n\n\
            test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s\n\
            test result: nothing\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let (mut out, mut total) = (Vec::new(), Total::default());
        pass_on(text.as_bytes(), &mut out, &mut total).expect("no I/O error in memory");
        assert_eq!(out, text.as_bytes());
        let expected = Total {
            programs: 3,
            passed: 13,
            failed: 2,
            ignored: 1,
        };
        assert_eq!(total, expected);
    }
}
