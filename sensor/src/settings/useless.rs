//! Settings that would do nothing beside the others are refused: who gives them expects something.

use super::{Datapath, FileSettings, LiveDatapath, Persist, ProfileSettings, RingBy, Settings};
use crate::conn::SIGNATURE_BYTES;
use crate::event::{self, Info, Subscriptions};
use crate::file::events::FileEntropy;
use crate::output::feed::FeedTarget;
use crate::output::log::LogFormat;

/// A setting that would do nothing, named by the command line's options.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    /// tcp_contents without a stream.
    #[error("--contents delivers tcp_contents events: it needs --events")]
    ContentsWithoutEvents,
    /// tcp_contents, which are not among the wanted events.
    #[error("--contents delivers tcp_contents events: --event must name them, too")]
    ContentsNotWanted,
    /// connection_status_update, which is not among the wanted events.
    #[error(
        "--status-interval raises connection_status_update events: it needs --events, and --event to name them if it is given"
    )]
    Status,
    /// Names of events without a stream.
    #[error("--event names events of the stream: it needs --events")]
    EventWithoutEvents,
    /// Authorities, but nothing to validate.
    #[error("--ca-file is for --validate-certs: it needs that option")]
    AuthoritiesForNothing,
    /// Checksums, which only userspace verifies.
    #[error("--checksums on is for `sensor read`: the kernel does not verify them")]
    ChecksumsLive,
    /// What is for the kernel's program, by a run without it.
    #[error("{0} is for --datapath xdp: --datapath packet has one worker, and no program in the kernel")]
    WithoutProgram(&'static str),
    /// No interface.
    #[error("no interface to watch: --iface names one")]
    NoInterface,
    /// A list of events without a name.
    #[error("--event names no event")]
    NoName,
    /// Only tcp_contents is wanted, but no payload for it.
    #[error("--event names nothing that will come: tcp_contents needs --contents")]
    NoContents,
    /// Only connection_status_update is wanted, but no interval for it.
    #[error("--event names nothing that will come: connection_status_update needs --status-interval")]
    NoStatus,
    /// Only file_entropy is wanted, and nobody counts.
    #[error("--event names nothing that will come: file_entropy needs --file-entropy")]
    NoEntropy,
    /// Only events of the profile are wanted, and there is none.
    #[error("--event names nothing that will come: profiling_update and load_sample need --profile")]
    NoProfile,
    /// Only OS_version_found is wanted, and nothing tells systems.
    #[error("--event names nothing that will come: OS_version_found needs --os-fingerprints")]
    NoFingerprints,
    /// Only events that signatures raise, and there are none.
    #[error("--event names nothing that will come: signatures raise it, which --signatures gives")]
    NoSignatures,
    /// How much signatures are matched with, without any.
    #[error("--signature-bytes says how much --signatures are matched with: it needs that option")]
    BytesForNothing,
    /// Only events that are not raised yet.
    #[error("--event names nothing that will come: no such event is raised yet")]
    NotRaised,
    /// Tunnels to be taken apart in the kernel by a run that does not use the kernel's program.
    #[error("--decap is for --datapath xdp: in userspace tunnels are taken apart anyway")]
    DecapInUserspace,
    /// Tunnels to be taken apart in the kernel together with checksums, which the kernel does not verify.
    #[error("--decap does not go with --checksums on: the kernel verifies none")]
    DecapWithChecksums,
    /// How a profile is made that is not.
    #[error("--profile-expensive and --load-sample say how --profile works: they need it")]
    ProfileForNothing,
    /// Files on request, without a place for them, or without a script that could ask for them.
    #[error("{0} leaves to a script what is written: it needs {1}, too")]
    RequestForNothing(&'static str, &'static str),
    /// Which files are extracted, and how much of them, without a place for them.
    #[error(
        "--extract-types, --extract-limit and --extract-total say what --extract-files writes: they need it"
    )]
    NothingExtracted,
    /// What rows in JSON say more, where there are none.
    #[error(
        "--json-path and --sensor-name are for rows in JSON: they need --log-format json (--log-to is enough for the name)"
    )]
    TagsWithoutJson,
    /// What would tell addresses that others are to stand for.
    #[error("{0} does not go with --anonymize: it tells what that hides")]
    Tells(&'static str),
    /// An event that would.
    #[error(
        "the event {0} does not go with --anonymize: it has bytes as they were sent, and addresses may be among them"
    )]
    TellingEvent(&'static str),
    /// Only anonymization_mapping is wanted, and addresses stay as they are.
    #[error("--event names nothing that will come: anonymization_mapping needs --anonymize")]
    NothingMapped,
    /// Two streams into one.
    #[error("--log-to stdout does not go with --events -: lines of two streams would be mixed")]
    TwoStreams,
    /// A choice of rings where there is only one.
    #[error("--ring-by cpu needs more than one worker")]
    OneRing,
}

impl Settings {
    /// Whether some setting would do nothing, live. `subs`: the events that are wanted.
    pub fn useless_live(&self, subs: Subscriptions) -> Result<(), Useless> {
        if self.interfaces.names.is_empty() {
            return Err(Useless::NoInterface);
        }
        if self.checksums {
            return Err(Useless::ChecksumsLive);
        }
        if self.interfaces.datapath == LiveDatapath::Packet {
            let (i, rings) = (&self.interfaces, &self.rings);
            let of_the_program = [
                (i.skb_mode, "--skb-mode"),
                (i.persist != Persist::Off, "--persist"),
                (!self.filter.rules.is_empty(), "--filter"),
                (self.filter.sample > 1, "--sample"),
                (rings.by == RingBy::Cpu, "--ring-by cpu"),
                (rings.workers.is_some_and(|n| n > 1), "--workers"),
            ];
            if let Some((_, option)) = of_the_program.into_iter().find(|(given, _)| *given) {
                return Err(Useless::WithoutProgram(option));
            }
            if !i.decap.is_empty() {
                return Err(Useless::DecapInUserspace);
            }
        }
        if self.rings.by == RingBy::Cpu && self.rings.workers == Some(1) {
            return Err(Useless::OneRing);
        }
        self.useless(subs)
    }

    /// Whether some setting would do nothing where captures are read. `subs`: the events that are wanted.
    pub fn useless_reading(&self, subs: Subscriptions) -> Result<(), Useless> {
        if !self.interfaces.decap.is_empty() {
            if self.reading.datapath == Datapath::User {
                return Err(Useless::DecapInUserspace);
            }
            if self.checksums {
                return Err(Useless::DecapWithChecksums);
            }
        }
        self.useless(subs)
    }

    fn useless(&self, subs: Subscriptions) -> Result<(), Useless> {
        self.check_anonymity(subs)?;
        if self.files.extract_dir.is_none() && self.files.limits_extraction() {
            return Err(Useless::NothingExtracted);
        }
        let profile = ProfileSettings::default();
        if self.profile.every.is_none() && self.profile != profile {
            return Err(Useless::ProfileForNothing);
        }
        let requests = [
            (
                self.logs.contents_on_request,
                "--contents-on-request",
                self.logs.contents_dir.is_some(),
                "--contents-file",
            ),
            (
                self.files.extract_on_request,
                "--extract-on-request",
                self.files.extract_dir.is_some(),
                "--extract-files",
            ),
        ];
        for (_, option, has_place, place) in requests.into_iter().filter(|(on, ..)| *on) {
            if !has_place {
                return Err(Useless::RequestForNothing(option, place));
            }
            if self.scripts.files.is_empty() {
                return Err(Useless::RequestForNothing(option, "--script"));
            }
        }
        let (stdout, events) = (FeedTarget::Stdout, self.events.to.as_deref());
        if self.logs.to.contains(&stdout) && events == Some("-") {
            return Err(Useless::TwoStreams);
        }
        let named = self.logs.sensor_name.is_some() && self.logs.to.is_empty();
        if (self.logs.json_path || named) && !self.logs.format.all().contains(&LogFormat::Json) {
            return Err(Useless::TagsWithoutJson);
        }
        if self.signatures.files.is_empty() && self.signatures.bytes != SIGNATURE_BYTES {
            return Err(Useless::BytesForNothing);
        }
        if self.events.to.is_none() && !self.events.only.is_empty() {
            return Err(Useless::EventWithoutEvents);
        }
        if self.tls.ca_file.is_some() && !self.tls.validate_certs {
            return Err(Useless::AuthoritiesForNothing);
        }
        let wants = |k| subs.wants(k);
        match (&self.events.contents, &self.events.to) {
            (Some(_), None) => return Err(Useless::ContentsWithoutEvents),
            (Some(_), Some(_)) if !wants(event::TcpContents::KIND) => return Err(Useless::ContentsNotWanted),
            _ => {}
        }
        let status = self.events.status_interval > 0.0;
        if status && !wants(event::ConnectionStatusUpdate::KIND) {
            return Err(Useless::Status);
        }
        let comes = |e: &Info| match e.kind {
            event::TcpContents::KIND => self.events.contents.is_some(),
            event::ConnectionStatusUpdate::KIND => status,
            event::AnonymizationMapping::KIND => self.anonymize.is_some(),
            FileEntropy::KIND => self.files.entropy,
            event::OsVersionFound::KIND => self.os.fingerprints.is_some(),
            event::ProfilingUpdate::KIND | event::LoadSample::KIND => self.profile.every.is_some(),
            kind if of_signatures(kind) => !self.signatures.files.is_empty(),
            _ => e.raised,
        };
        if self.events.to.is_none() || subs.iter().any(comes) {
            return Ok(());
        }
        Err(if self.events.only.iter().all(|n| n.trim().is_empty()) {
            Useless::NoName
        } else if !subs.any() {
            // It is left out already.
            Useless::NoContents
        } else if wants(event::ConnectionStatusUpdate::KIND) {
            Useless::NoStatus
        } else if wants(event::AnonymizationMapping::KIND) {
            Useless::NothingMapped
        } else if wants(FileEntropy::KIND) {
            Useless::NoEntropy
        } else if wants(event::ProfilingUpdate::KIND) || wants(event::LoadSample::KIND) {
            Useless::NoProfile
        } else if wants(event::OsVersionFound::KIND) {
            Useless::NoFingerprints
        } else if subs.iter().any(|e| of_signatures(e.kind)) {
            Useless::NoSignatures
        } else {
            Useless::NotRaised
        })
    }
}

/// Whether signatures alone raise it.
fn of_signatures(kind: event::Kind) -> bool {
    const ALL: [event::Kind; 5] = [
        event::SignatureMatch::KIND,
        event::GaobotSignatureFound::KIND,
        event::KazaaSignatureFound::KIND,
        event::NapsterSignatureFound::KIND,
        event::RootBackdoorSignatureFound::KIND,
    ];
    ALL.contains(&kind)
}

impl FileSettings {
    /// Whether something is said of files that are extracted.
    fn limits_extraction(&self) -> bool {
        let usual = FileSettings::default();
        !self.extract_types.is_empty()
            || self.extract_limit_mib != usual.extract_limit_mib
            || self.extract_total_mib != usual.extract_total_mib
    }
}
