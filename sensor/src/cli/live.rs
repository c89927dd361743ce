//! `sensor run`.
use super::Failure;
use super::args::Run;

pub fn run(_a: &Run) -> Result<(), Failure> {
    Ok(())
}
