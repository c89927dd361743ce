//! Example over TCP: the originator's first line tells. An event and a row of example.log for each connection.

pub mod events;
mod log;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::pattern::Rule;
use crate::event::AnalyzerTag;
use events::ExampleHello;
pub use log::ExampleRow;

/// One connection's state.
#[derive(Debug, Default)]
pub struct Analyzer {
    /// The originator's first line, as far as it came: at most [`wire::MAX_LINE`] bytes.
    line: Vec<u8>,
}

impl Protocol for Analyzer {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[ExampleRow::LOG],
        rules: &[Rule::Orig(wire::signature)],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_EXAMPLE", "example"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Analyzer {
        Analyzer::default()
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if !is_orig {
            return Next::More;
        }
        let room = wire::MAX_LINE - self.line.len();
        self.line.extend(bytes.iter().take(room));
        match wire::greeting(&self.line) {
            Ok(None) => Next::More,
            Ok(Some(name)) => {
                ctx.confirm();
                if ctx.subs.wants(ExampleHello::KIND) {
                    let c = ctx.c;
                    ctx.out.event(ctx.ts, &ExampleHello { c, is_orig, name });
                }
                let (ts, c) = (ctx.ts, ctx.c);
                ctx.out.log(&ExampleRow { ts, c, name });
                Next::Stop
            }
            Err(reason) => {
                ctx.violation(reason);
                Next::Stop
            }
        }
    }

    /// The originator's first line tells, and nothing else.
    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        match is_orig {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }
}
