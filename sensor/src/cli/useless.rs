//! Options that would do nothing beside the others are refused: who gives them expects something.

use super::args::{Common, Datapath, Read, RingBy, Run, Switch};
use crate::event::{self, Info, Subscriptions};

/// Why the command would not do what it is asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    #[error("--contents delivers tcp_contents events: it needs --events")]
    ContentsWithoutEvents,
    #[error("--contents delivers tcp_contents events: --event must name them, too")]
    ContentsNotWanted,
    #[error(
        "--status-interval raises connection_status_update events: it needs --events, and --event to name them if it is given"
    )]
    Status,
    #[error("--event names no event")]
    NoName,
    #[error("--event names nothing that will come: tcp_contents needs --contents")]
    NoContents,
    #[error("--event names nothing that will come: connection_status_update needs --status-interval")]
    NoStatus,
    #[error("--event names nothing that will come: no such event is raised yet")]
    NotRaised,
    #[error("--decap is for --datapath xdp: in userspace tunnels are taken apart anyway")]
    DecapInUserspace,
    #[error("--decap does not go with --checksums on: the kernel verifies none")]
    DecapWithChecksums,
    #[error("--ring-by cpu needs more than one worker")]
    OneRing,
}

impl Common {
    /// `subs`: what `--event` leaves.
    fn useless(&self, subs: Subscriptions) -> Result<(), Useless> {
        let wants = |k| subs.wants(k);
        match (&self.contents, &self.events) {
            (Some(_), None) => return Err(Useless::ContentsWithoutEvents),
            (Some(_), Some(_)) if !wants(event::TcpContents::KIND) => return Err(Useless::ContentsNotWanted),
            _ => {}
        }
        let status = self.status_interval > 0.0;
        if status && !wants(event::ConnectionStatusUpdate::KIND) {
            return Err(Useless::Status);
        }
        let comes = |e: &Info| match e.kind {
            event::TcpContents::KIND => self.contents.is_some(),
            event::ConnectionStatusUpdate::KIND => status,
            _ => e.raised,
        };
        if self.events.is_none() || subs.iter().any(comes) {
            return Ok(());
        }
        Err(if self.event.iter().all(|n| n.trim().is_empty()) {
            Useless::NoName
        } else if !subs.any() {
            // It is left out already.
            Useless::NoContents
        } else if wants(event::ConnectionStatusUpdate::KIND) {
            Useless::NoStatus
        } else {
            Useless::NotRaised
        })
    }
}

impl Read {
    /// Whether some option would do nothing.
    pub fn useless(&self, subs: Subscriptions) -> Result<(), Useless> {
        if !self.decap.is_empty() {
            if self.datapath == Datapath::User {
                return Err(Useless::DecapInUserspace);
            }
            if self.common.checksums == Switch::On {
                return Err(Useless::DecapWithChecksums);
            }
        }
        self.common.useless(subs)
    }
}

impl Run {
    /// Whether some option would do nothing.
    pub fn useless(&self, subs: Subscriptions) -> Result<(), Useless> {
        if self.ring_by == RingBy::Cpu && self.workers == Some(1) {
            return Err(Useless::OneRing);
        }
        self.common.useless(subs)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::super::sinks::subscriptions;
    use super::*;

    fn check(command: &str) -> Result<(), Useless> {
        let cli = Cli::parse_from(["sensor"].into_iter().chain(command.split(' ')));
        match &cli.command {
            Command::Read(a) => a.useless(subscriptions(&a.common).expect("events")),
            Command::Run(a) => a.useless(subscriptions(&a.common).expect("events")),
            Command::Events => Ok(()),
        }
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        for (command, expected) in [
            ("read x --contents both", Useless::ContentsWithoutEvents),
            (
                "read x --contents both --events - --event ssl_*",
                Useless::ContentsNotWanted,
            ),
            ("run --iface x --contents orig", Useless::ContentsWithoutEvents),
            ("read x --status-interval 5", Useless::Status),
            (
                "run --iface x --status-interval 5 --events - --event net_weird",
                Useless::Status,
            ),
            ("read x --events - --event ,", Useless::NoName),
            ("read x --events - --event tcp_contents", Useless::NoContents),
            ("read x --events - --event tcp_cont*", Useless::NoContents),
            (
                "read x --events - --event connection_status_update",
                Useless::NoStatus,
            ),
            ("read x --events - --event OS_version_found", Useless::NotRaised),
            ("read x --decap vxlan", Useless::DecapInUserspace),
            (
                "read x --datapath xdp --decap gre --checksums on",
                Useless::DecapWithChecksums,
            ),
            ("run --iface x --ring-by cpu --workers 1", Useless::OneRing),
        ] {
            assert_eq!(check(command), Err(expected), "{command}");
        }
    }

    #[test]
    fn what_does_something_is_not() {
        for command in [
            "read x",
            "read x --events -",
            "read x --events - --contents both",
            "read x --events - --contents both --event tcp_*",
            "read x --events - --status-interval 1",
            "read x --events - --event tcp_contents,bro_done",
            "read x --datapath xdp --decap gre",
            "run --iface x --ring-by cpu",
            "run --iface x --events - --event new_connection",
        ] {
            assert_eq!(check(command), Ok(()), "{command}");
        }
    }
}
