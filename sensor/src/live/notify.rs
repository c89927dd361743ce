//! What the service manager is told of a run, where there is one (sd_notify(3)): systemd starts what depends on the
//! sensor when it watches, shows its status, and starts it anew when it no longer says that it is alive.

use sd_notify::NotifyState;

/// The service manager, or nobody.
pub struct Manager {
    /// It wants to hear that the sensor is alive.
    watchdog: bool,
}

impl Manager {
    /// The one that the environment names.
    pub fn of_environment() -> Manager {
        Manager {
            watchdog: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// The sensor watches.
    pub fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Its workers take their turns.
    pub fn alive(&self) {
        if self.watchdog {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The run ends, which may take the outputs' time.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody waits for the answer: a manager that does not hear ends the sensor by its own rules.
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("the service manager was not told: {e}");
    }
}
