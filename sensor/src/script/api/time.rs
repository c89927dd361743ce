//! Time and timers. Time is the network's: in captures that of the packets.

use mlua::{Error, Function, Lua, Result, Table};

use super::super::state::Timer;
use super::super::units::{nanoseconds, seconds};
use super::glue::set;

/// Shortest time between two calls of `every`, seconds.
const SHORTEST: f64 = 0.001;

pub fn install(lua: &Lua, to: &Table) -> Result<()> {
    set(lua, to, "now", |_, state, ()| Ok(seconds(state.now())))?;
    set(lua, to, "schedule", |_, state, (after, f): (f64, Function)| {
        state.schedule(nanoseconds(after), Timer { f, every: 0 })
    })?;
    set(lua, to, "every", |_, state, (every, f): (f64, Function)| {
        if every.is_nan() || every < SHORTEST {
            return Err(Error::runtime(
                "every: a number of seconds is wanted, 0.001 or more",
            ));
        }
        let every = nanoseconds(every);
        state.schedule(every, Timer { f, every })
    })?;
    set(
        lua,
        to,
        "out_of_steps",
        |_, state, ()| Ok(state.is_out_of_steps()),
    )?;
    set(lua, to, "cancel", |_, state, n: u64| Ok(state.cancel(n)))
}
