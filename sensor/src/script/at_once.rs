//! Handlers that are called at once in a live run: by the worker that raises the event, in an interpreter of its own.
//!
//! All other handlers hear of events later, in one interpreter (see [`crate::live`]), and what they want comes too late for a
//! file that came in one packet. A worker's interpreter knows nothing of the others; its calls are short, and there is nothing
//! that they could wait for. It belongs to its thread, which no interpreter can leave.

use std::cell::{Cell, RefCell};

use super::host::{Host, ScriptError};
use super::state::Plan;
use crate::event::Subscriptions;

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// What scripts have for workers, as far as their text says.
#[derive(Clone, Debug)]
pub struct AtOnce {
    plan: Plan,
    wants: Subscriptions,
}

impl AtOnce {
    /// The events that have such handlers.
    pub fn wants(&self) -> Subscriptions {
        self.wants
    }

    /// Gives this thread its interpreter.
    pub fn begin(&self) -> Result<(), ScriptError> {
        let host = Host::load(&self.plan)?;
        HOST.with_borrow_mut(|h| *h = Some(host));
        Ok(())
    }
}

/// Has this thread's interpreter do something; None: it has none.
pub fn with<R>(work: impl FnOnce(&mut Host) -> R) -> Option<R> {
    HOST.with_borrow_mut(|h| h.as_mut().map(work))
}

/// Scripts that were loaded to see what they have.
pub struct Probe {
    plan: Plan,
    host: Host,
    asked: Cell<bool>,
}

impl Probe {
    /// Loads them. `plan`: for [`Role::AtOnce`](super::Role::AtOnce).
    pub fn load(plan: Plan) -> Result<Probe, ScriptError> {
        Ok(Probe {
            host: Host::load(&plan)?,
            plan,
            asked: Cell::new(false),
        })
    }

    /// The events that have such handlers.
    pub fn wants(&self) -> Subscriptions {
        self.host.wants()
    }

    /// Whether there is a function of this name for a signature to ask (`eval`).
    pub fn has_function(&self, name: &str) -> bool {
        self.asked.set(true);
        self.host.has_function(name)
    }

    /// What is to be called at once; None: nothing.
    pub fn at_once(self) -> Option<AtOnce> {
        let wants = self.wants();
        let is_any = wants.any() || self.asked.get();
        is_any.then_some(AtOnce {
            plan: self.plan,
            wants,
        })
    }
}
