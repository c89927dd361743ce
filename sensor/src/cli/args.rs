//! The command line: its options, their help, and the values that it takes. What they default to stands in
//! [`crate::settings`]; fill.rs puts what was given there.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::PossibleValue;
use clap::{
    ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

use crate::datapath::xdp::Kernel;
use crate::file::MimePattern;
use crate::output::archived::Packed;
use crate::output::feed::FeedTarget;
use crate::output::log::{LogFormats, LogSync};
use crate::output::rotation::Every;
use crate::settings::file::USUAL_FILE;
use crate::settings::names;
use crate::settings::{
    ArchiveSettings, ControlSettings, Datapath, Decap, Digest, DnsServer, EventSettings, FileSettings,
    FilterSettings, FlowSettings, InterfaceSettings, Listen, LiveDatapath, LogSettings, Persist,
    ProfileSettings, ReadSettings, ReassemblySettings, ResolverSettings, RingBy, RingSettings,
    ScriptSettings, Settings, SignatureSettings, TimeoutSettings, TlsSettings, WantedContents, bounds,
};

/// A network sensor: the kernel counts, userspace understands.
#[derive(Parser, Debug)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const RUN_EXAMPLES: &str = "\
Examples:
  sensor check --iface tap0                              what would hinder a run here
  sensor run --iface tap0 --rx-only --log-dir /var/log/sensor
  sensor run --iface eth0 --quiet --events - --event 'ssl_*'
  sensor run --config /etc/sensor/sensor.toml";

const READ_EXAMPLES: &str = "\
Examples:
  sensor read day.pcap.gz --log-dir logs
  sensor read *.pcap --log-format json --community-id
  tcpdump -w - -U | sensor read - --events - --event net_weird";

const PCAP_EXAMPLES: &str = "\
Examples:
  sensor pcap CtPZjS20MLrsMUOJi2 --write conn.pcap
  sensor pcap CtPZjS20MLrsMUOJi2 --past | tcpdump -n -r -
  sensor pcap CtPZjS20MLrsMUOJi2 | wireshark -k -i -";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Watch interfaces, until SIGINT or SIGTERM.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Read captures.
    #[command(after_help = READ_EXAMPLES)]
    Read(Read),
    /// List the events that there are.
    Events,
    /// Write what the rows of the logs are in JSON, as a JSON Schema, to standard output.
    LogSchema,
    /// Say whether `sensor run` would work with the same options, what would hinder it, and what mends that; status 1 if it
    /// would not.
    Check(Check),
    /// End what a run with --persist left in the kernel: its connections get their rows, in the logs that the same options say,
    /// and nothing stays attached.
    Detach(Box<Run>),
    /// Have a running sensor read its settings again, as SIGHUP does; says what holds from then on, and what needs a restart.
    Reload(Where),
    /// Have a running sensor rotate its logs.
    Rotate(Where),
    /// Write the packets of a connection that a running sensor sees, and those of it that it keeps (--packet-history), to a file
    /// that Wireshark opens, until the connection is over. They are the packets that came to userspace: of payload that nobody
    /// reads there are the headers.
    #[command(after_help = PCAP_EXAMPLES)]
    Pcap(Pcap),
    /// Look at scripts.
    #[command(subcommand)]
    Script(ScriptCommand),
    /// Look at a file of settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write a manual page of this command and its subcommands into a directory.
    Man {
        /// The directory, such as /usr/share/man/man1.
        dir: PathBuf,
    },
    /// Write a shell's completions to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand, Debug)]
pub enum ScriptCommand {
    /// Say what is wrong in a script, with the line, or which events it handles; status 2 if anything is wrong.
    Check {
        /// The script.
        file: PathBuf,
    },
    /// Give a script the events of captures: what it prints is printed, and the rows that it writes are shown as JSON. No log is
    /// written. Status 1 if one of its handlers fails.
    Test {
        /// The script.
        file: PathBuf,
        /// The captures.
        #[arg(required = true, value_name = "PCAP")]
        captures: Vec<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Say what is wrong in a file of settings, with the lines; status 2 if anything is.
    Check {
        /// The file.
        #[arg(default_value = USUAL_FILE)]
        file: PathBuf,
    },
    /// Write the settings that `sensor run` would have with these options, and where each of them was set.
    Print(Box<Run>),
}

/// Takes a command line apart. What was given of it is asked of the matches.
///
/// An option that says yes can also say no, as it may have to over a file: `--quiet=false`.
pub fn parse_from<T: Into<OsString>>(
    line: impl IntoIterator<Item = T>,
) -> Result<(Cli, ArgMatches), clap::Error> {
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    let command = match line.get(1).is_some_and(|first| first == "--version") {
        true => Cli::command().long_version(VERSION.as_str()),
        false => Cli::command(),
    };
    let matches = whole(command).try_get_matches_from(line)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// What `--version` says; `-V` says the first line.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = Kernel::object_hash().unwrap_or_else(|e| e.to_string());
    format!(
        "{}\ncommit {}\nBPF object {hash}",
        env!("CARGO_PKG_VERSION"),
        Kernel::COMMIT
    )
});

/// Heading of the options that give the settings of a section.
fn heading(section: &str) -> &'static str {
    match section {
        "interfaces" => "Interfaces",
        "rings" => "Workers and rings",
        "flows" => "Flow table",
        "filter" => "Filter",
        "logs" => "Logs",
        "archive" => "Old logs",
        "metrics" => "Numbers",
        "control" => "Orders",
        "events" => "Events",
        "conn" => "conn.log",
        "scripts" => "Scripts",
        "resolver" => "The sensor's own lookups of names",
        "files" => "Files that traffic carries",
        "signatures" => "Signatures",
        "tls" => "TLS",
        "http" | "ssh" => "HTTP and SSH",
        "timeouts" => "Timeouts",
        "reassembly" => "Reassembly",
        "reading" => "Captures",
        _ => "Options",
    }
}

/// The command as it is taken apart and shown: with its options under the headings of their settings, and with options that
/// take `=false`.
pub fn whole(command: clap::Command) -> clap::Command {
    let reads = command.get_name() == "read";
    let command = command.mut_args(|arg| {
        let path = arg.get_long().and_then(|long| {
            let mut paths = names::all_of_option(long);
            if reads { paths.last() } else { paths.next() }
        });
        let arg = match path.and_then(|path| path.split_once('.')) {
            Some((section, _)) => arg.help_heading(heading(section)),
            None => arg,
        };
        if !matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg;
        }
        arg.action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_parser(clap::value_parser!(bool))
            .value_name("BOOL")
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
    });
    command.mut_subcommands(whole)
}

#[derive(Args, Debug)]
pub struct Run {
    /// Interfaces to watch; may be given several times. `*` in a name stands for any text, `?` for any character: what such a
    /// pattern matches is watched when it comes, and no longer when it goes. `any`: all that are up, but for the loopback. What
    /// would be seen twice, as on a bond and its members, is watched once.
    #[arg(long, short = 'i', value_delimiter = ',', value_name = "IF,IF")]
    pub iface: Vec<String>,
    /// The network namespace that the interfaces are in, by its name (`ip netns`) or path (/proc/PID/ns/net). Logs,
    /// lookups and --metrics stay where the sensor is.
    #[arg(long, value_name = "NETNS")]
    pub netns: Option<String>,
    /// Watch only what is received (taps, mirror ports).
    #[arg(long)]
    pub rx_only: bool,
    /// End when an interface disappears, with status 1, and do not wait for it to come back.
    #[arg(long)]
    pub exit_when_gone: bool,
    /// What takes the frames: where there can be no program in the kernel, a packet socket, which copies every packet.
    #[arg(long, value_enum, default_value_t = InterfaceSettings::default().datapath)]
    pub datapath: LiveDatapath,
    /// Do not try native XDP.
    #[arg(long)]
    pub skb_mode: bool,
    /// Let the kernel go on counting when the sensor ends, however it ends: the next one takes over flows and connections, and
    /// no packet goes uncounted. With `replace` what an earlier run left that does not fit (other --flows, --workers …) is ended
    /// first, with rows for what was open. `sensor detach` ends it.
    #[arg(long, value_enum, default_value_t = Persist::Off, num_args = 0..=1, require_equals = true, default_missing_value = "keep", value_name = "HOW")]
    pub persist: Persist,
    /// Where in the BPF file system is what --persist keeps; another sensor has another directory.
    #[arg(long, default_value = InterfaceSettings::PERSIST_DIR, value_name = "DIR")]
    pub persist_dir: PathBuf,
    /// Worker threads, each with a ring [default: cores, at most 8].
    #[arg(long, value_parser = clap::value_parser!(u32).range(bounds::WORKERS))]
    pub workers: Option<u32>,
    /// What chooses a flow's ring: its hash, or the CPU on which it begins, so that CPUs don't share rings. For `cpu` each
    /// interface must bring both directions of a flow to one CPU, and flows to all of them; `auto` is `cpu` where all
    /// interfaces are --rx-only and known to do that.
    #[arg(long, value_enum, default_value_t = RingSettings::default().by)]
    pub ring_by: RingBy,
    /// Entries of the flow table.
    #[arg(long, default_value_t = FlowSettings::default().entries, value_parser = clap::value_parser!(u32).range(bounds::FLOWS))]
    pub flows: u32,
    /// How much of it TCP flows may take that have seen nothing but SYN and RST, percent; beyond, the oldest give way. 100:
    /// none does.
    #[arg(long, default_value_t = FlowSettings::default().half_open_share, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(bounds::HALF_OPEN_SHARE))]
    pub half_open_share: u32,
    /// Most bytes of a frame to look at, from its start; 0 = all.
    #[arg(long, default_value_t = RingSettings::default().snaplen)]
    pub snaplen: u32,
    /// Size of each ring, MiB.
    #[arg(long, default_value_t = RingSettings::default().mib, value_parser = clap::value_parser!(u32).range(bounds::RING_MIB))]
    pub ring_mib: u32,
    /// Let each worker keep so much of the packets that came to it last, for who asks for those of a connection that is
    /// perhaps over by then (`sensor pcap`); 0 = none. Each packet is copied once more for that.
    #[arg(long, default_value_t = RingSettings::default().history_mib, value_name = "MIB", value_parser = clap::value_parser!(u32).range(bounds::PACKET_HISTORY))]
    pub packet_history: u32,
    /// Take packets out of these tunnels in the kernel, not in userspace: for mirrored traffic.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TUNNEL,TUNNEL")]
    pub decap: Vec<Decap>,
    /// Numbers for Prometheus at /metrics, whether all is well at /healthz and /readyz, by HTTP without a password:
    /// ADDRESS:PORT, such as 127.0.0.1:9477, or unix:/PATH.
    #[arg(long, value_name = "WHERE")]
    pub metrics: Option<Listen>,
    /// Take orders at this socket, which is for the sensor's user alone: those of `sensor reload`, `rotate` and `pcap`. `none`: take
    /// none.
    #[arg(long, default_value = ControlSettings::SOCKET, value_name = "PATH")]
    pub control: PathBuf,
    /// Rotate the logs at each turn of this interval of the wall clock, such as 30m, 1h or 1d: `1h` is at whole hours. A log
    /// without rows goes on.
    #[arg(long, value_name = "INTERVAL")]
    pub log_rotate: Option<Every>,
    /// Rotate a log that is so large; 0 = none.
    #[arg(long, default_value_t = LogSettings::default().rotate_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::LOG_ROTATE_SIZE))]
    pub log_rotate_size: u64,
    /// Delete old logs that were opened more than so many days ago; 0 = none. Old logs are those with a time in their names.
    #[arg(long, default_value_t = ArchiveSettings::default().keep_days, value_name = "N", value_parser = clap::value_parser!(u64).range(bounds::LOG_KEEP_DAYS))]
    pub log_keep_days: u64,
    /// Keep no more than so much of old logs, and delete the oldest; 0 = all.
    #[arg(long, default_value_t = ArchiveSettings::default().keep_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::LOG_KEEP_MIB))]
    pub log_keep_mib: u64,
    /// Keep so much of the logs' disks free: delete the oldest of the old logs when there is less; 0 = never.
    #[arg(long, default_value_t = ArchiveSettings::default().min_free_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::LOG_KEEP_MIB))]
    pub log_min_free_mib: u64,
    /// Run this command of the shell for each log that was rotated, when it is in its place: with its path, its name and the
    /// times at which it was opened and closed as arguments.
    #[arg(long, value_name = "COMMAND")]
    pub log_hook: Option<String>,
    /// When what is in logs is made to outlive a machine that fails (fsync): `never`, as soon as the system sees fit, at each
    /// `rotate` and at the end, or also so often, such as 30s.
    #[arg(long, default_value_t = LogSettings::default().sync, value_name = "WHEN")]
    pub log_sync: LogSync,
    /// No rows and no status line on the terminal; where captures are read no progress and no summary.
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Which running sensor.
#[derive(Args, Debug)]
pub struct Where {
    /// The socket at which it takes orders [default: as the file of settings says, or else /run/sensor/control.sock].
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Its settings; without this /etc/sensor/sensor.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Pcap {
    /// The connection's id, as in the column uid.
    pub uid: String,
    /// The file; `-` or nothing: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Only those that were kept, and none of those to come.
    #[arg(long)]
    pub past: bool,
    #[command(flatten)]
    pub at: Where,
}

#[derive(Args, Debug)]
pub struct Check {
    /// The answers as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Args, Debug)]
pub struct Read {
    /// pcap or pcapng files, either also gzip'ed; `-` is standard input.
    #[arg(required = true, value_name = "PCAP")]
    pub files: Vec<PathBuf>,
    /// Where frames are parsed and counted.
    #[arg(long, value_enum, default_value_t = ReadSettings::default().datapath)]
    pub datapath: Datapath,
    /// Take packets out of these tunnels in the kernel; with `--datapath xdp`, and not with `--checksums on`.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TUNNEL,TUNNEL")]
    pub decap: Vec<Decap>,
    /// Forward every packet to the engine, not only those that teach it something.
    #[arg(long, hide = true)]
    pub forward_all: bool,
    /// Look into no payload: no services, no TLS.
    #[arg(long, hide = true)]
    pub no_analyzers: bool,
    /// No progress and no summary on the terminal.
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub not_reading: NotReading,
    #[command(flatten)]
    pub common: Common,
}

/// Options of `sensor run` that are refused with a reason where captures are read.
#[derive(Args, Debug)]
pub struct NotReading {
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_rotate: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_rotate_size: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_keep_days: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_keep_mib: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_min_free_mib: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_hook: Option<String>,
    #[arg(long, hide = true, value_parser = not_reading)]
    pub log_sync: Option<String>,
}

fn not_reading(_: &str) -> Result<String, String> {
    Err("it is for `sensor run`: logs of captures are neither rotated nor kept for a time".into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Args, Debug)]
pub struct Common {
    /// Settings in a file; options win over it. `sensor run` reads /etc/sensor/sensor.toml if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the logs go. Those of an earlier run are renamed; another sensor that writes there is an error.
    #[arg(long, default_value = LogSettings::DIR, value_name = "DIR")]
    pub log_dir: PathBuf,
    /// How logs are written: `tsv` (Zeek's values with tabs), `json`, or both, `tsv,json`: then JSON goes to conn.json and so on.
    #[arg(long, default_value_t = LogSettings::default().format, value_name = "FORMAT")]
    pub log_format: LogFormats,
    /// Rows in JSON begin with the name of their log, `_path`.
    #[arg(long)]
    pub json_path: bool,
    /// Rows in JSON have this name of the sensor, `_system_name`.
    #[arg(long, value_name = "NAME")]
    pub sensor_name: Option<String>,
    /// Where the rows of all logs go besides the files, as JSON lines that begin with the log's name, `_path`: stdout,
    /// unix:PATH (a socket), syslog:PATH, syslog:HOST or syslog:HOST:PORT (UDP), syslog-tcp:HOST:PORT. May be given several times.
    #[arg(long, value_name = "TARGET")]
    pub log_to: Vec<FeedTarget>,
    /// Where old logs go, such as those that were rotated; another sensor with the same archive is an error [default: they
    /// stay where the logs are].
    #[arg(long, value_name = "DIR")]
    pub log_archive: Option<PathBuf>,
    /// Give each day a folder for its old logs.
    #[arg(long)]
    pub log_archive_days: bool,
    /// How old logs are packed.
    #[arg(long, value_enum, default_value_t = ArchiveSettings::default().compress)]
    pub log_compress: Packed,
    /// Say so often in capture_loss.log how much of what receivers acknowledged was never seen; 0 = never [default: 900 for
    /// `sensor run`, never for `sensor read`].
    #[arg(long, value_name = "SECONDS")]
    pub capture_loss: Option<f64>,
    /// What becomes of flows, as the first rule that matches says: `ignore EXPRESSION`, `count EXPRESSION` (exact rows, and
    /// nothing is read of what they carry), `watch EXPRESSION`; or an expression alone, of which all else is ignored. Expressions
    /// are those of tcpdump: `net 10.0.0.0/8 and not tcp port 22`. May be given several times.
    #[arg(long, value_name = "RULE")]
    pub filter: Vec<String>,
    /// Watch one of so many flows, chosen by a hash of its ends.
    #[arg(long, default_value_t = FilterSettings::default().sample, value_name = "N", value_parser = clap::value_parser!(u32).range(bounds::SAMPLE))]
    pub sample: u32,
    /// The event stream as JSON lines; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub events: Option<String>,
    /// Only these events; `*` in a name stands for any text, `?` for any character. `sensor events` lists them.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub event: Vec<String>,
    /// Deliver reassembled payload as tcp_contents: orig, resp or both, optionally `:PORT,PORT`.
    #[arg(long, value_name = "WHOSE")]
    pub contents: Option<WantedContents>,
    /// A script in Lua, whose handlers are given events; may be given several times. docs/scripting.md says what scripts can do.
    #[arg(long, value_name = "FILE")]
    pub script: Vec<PathBuf>,
    /// Let scripts use Lua's io and os, and files anywhere. Without this they have those in the folder `scripts` of the logs'.
    #[arg(long)]
    pub script_unsafe: bool,
    /// Memory of all scripts together; what would take more fails.
    #[arg(long, default_value_t = ScriptSettings::default().memory_mib, value_name = "MIB", value_parser = clap::value_parser!(u32).range(bounds::SCRIPT_MEMORY))]
    pub script_memory: u32,
    /// Instructions that a call of a script's handler may take before it fails.
    #[arg(long, default_value_t = ScriptSettings::default().steps, value_name = "N", value_parser = clap::value_parser!(u64).range(bounds::SCRIPT_STEPS))]
    pub script_steps: u64,
    /// Failures of a script's handler after which it is not called any more.
    #[arg(long, default_value_t = ScriptSettings::default().failures, value_name = "N", value_parser = clap::value_parser!(u32).range(bounds::SCRIPT_FAILURES))]
    pub script_failures: u32,
    /// A DNS server that scripts' lookups and names among --local-nets ask, ADDRESS or ADDRESS:PORT; may be given several times.
    /// Without this those of /etc/resolv.conf are asked.
    #[arg(long, value_name = "ADDRESS")]
    pub resolver: Vec<DnsServer>,
    /// How long its answer is waited for.
    #[arg(long, default_value_t = ResolverSettings::default().timeout, value_name = "SECONDS")]
    pub dns_timeout: f64,
    /// The file that has what names were, with which later answers are compared (dns_mapping_altered …), over restarts; `none`:
    /// there is no file. Without this it is resolver/dns_cache in the service's state directory or that of the logs.
    #[arg(long, value_name = "FILE")]
    pub dns_cache: Option<PathBuf>,
    /// Names and addresses that are known at most; beyond, the oldest are forgotten.
    #[arg(long, default_value_t = ResolverSettings::default().entries, value_name = "N", value_parser = clap::value_parser!(u32).range(bounds::DNS_ENTRIES))]
    pub dns_entries: u32,
    /// Lookups at a time; others wait.
    #[arg(long, default_value_t = ResolverSettings::default().lookups, value_name = "N", value_parser = clap::value_parser!(u32).range(bounds::DNS_LOOKUPS))]
    pub dns_lookups: u32,
    /// Shortest time for which an answer holds, whatever it says itself, and for which nobody is asked again who did not answer.
    #[arg(long, default_value_t = ResolverSettings::default().ttl_min, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(bounds::DNS_TTL))]
    pub dns_ttl_min: u32,
    /// Longest time for which an answer holds.
    #[arg(long, default_value_t = ResolverSettings::default().ttl_max, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(bounds::DNS_TTL))]
    pub dns_ttl_max: u32,
    /// Write each direction of each TCP connection to a file in this directory.
    #[arg(long, value_name = "DIR")]
    pub contents_file: Option<PathBuf>,
    /// Only of the connections for which a script calls c:contents().
    #[arg(long)]
    pub contents_on_request: bool,
    /// Signatures in Zeek's language to match, for signatures.log and the event signature_match. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub signatures: Vec<PathBuf>,
    /// How much of a connection's payload signatures are matched with, both directions together, bytes; 0 = all of it. What is
    /// found in HTTP and FTP is always matched.
    #[arg(long, default_value_t = SignatureSettings::default().bytes, value_name = "BYTES")]
    pub signature_bytes: u64,
    /// Tell in prof.log where the sensor's own time goes: rows at this interval.
    #[arg(long, value_name = "SECONDS")]
    pub profile: Option<f64>,
    /// Every so many rounds prof.log has more: analyzers, handlers of scripts, the kernel's maps. At the end it always has.
    #[arg(long, default_value_t = ProfileSettings::default().expensive_every, value_name = "N", value_parser = clap::value_parser!(u64).range(bounds::PROFILE_EXPENSIVE))]
    pub profile_expensive: u64,
    /// With --profile, raise load_sample for one of so many packets.
    #[arg(long, default_value_t = ProfileSettings::default().load_sample, value_name = "PACKETS", value_parser = clap::value_parser!(u32).range(bounds::LOAD_SAMPLE))]
    pub load_sample: u32,
    /// Tell hosts' operating systems by their SYNs, for os.log and the event OS_version_found: a file of signatures in the format of
    /// p0f 3, or `builtin` for some that the sensor has.
    #[arg(long, value_name = "FILE")]
    pub os_fingerprints: Option<PathBuf>,
    /// Digests of the files that traffic carries, for files.log.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DIGEST,DIGEST")]
    pub file_hashes: Vec<Digest>,
    /// How random the bytes of the files that traffic carries are, as a column of files.log and the event file_entropy.
    #[arg(long)]
    pub file_entropy: bool,
    /// Write the files that traffic carries to this directory; files.log has their names.
    #[arg(long, value_name = "DIR")]
    pub extract_files: Option<PathBuf>,
    /// Only the files for which a script calls file.analyze(f, "extract").
    #[arg(long)]
    pub extract_on_request: bool,
    /// Only files of these types, such as application/pdf; image/* are all images.
    #[arg(long, value_delimiter = ',', value_name = "MIME,MIME")]
    pub extract_types: Vec<MimePattern>,
    /// Of each file no more than so much, from its beginning.
    #[arg(long, default_value_t = FileSettings::default().extract_limit_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::EXTRACT_LIMIT))]
    pub extract_limit: u64,
    /// No more than so much in all, in this run.
    #[arg(long, default_value_t = FileSettings::default().extract_total_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::EXTRACT_TOTAL))]
    pub extract_total: u64,
    /// Silence after which a file is over.
    #[arg(long, default_value_t = FileSettings::default().timeout, value_name = "SECONDS")]
    pub file_timeout: f64,
    /// Verify checksums.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub checksums: Switch,
    /// Take a packet that comes again, within 10 ms or so many, once: where several taps or mirror ports gave the same traffic.
    /// Its IP id, ports, payload and all else that routers leave alone are the same.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "10", default_value_t = Settings::default().dedup_ms, hide_default_value = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(bounds::DEDUP))]
    pub dedup: u64,
    /// Replace addresses by others, wherever they stand, before anything is written or told: those with a common prefix have one
    /// of the same length afterwards. FILE is the key, which decides which address becomes which: 32 bytes, or 64 hexadecimal
    /// digits (`head -c 32 /dev/urandom > FILE; chmod 600 FILE`). Payload, extracted files and Community IDs are refused.
    #[arg(long, value_name = "FILE")]
    pub anonymize: Option<PathBuf>,
    /// Unique ids and all else that is random derive from this.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The same ends in two VLANs are two connections; conn.log has the VLANs. Taps may tag the two directions of a
    /// connection differently, which then are two, too.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub vlan_aware: Switch,
    /// The same ends in two virtual networks of VXLAN or Geneve are two connections; conn.log has their numbers.
    #[arg(long)]
    pub vni_aware: bool,
    /// Networks that are local, instead of the private ones; also hosts by their full names, with a dot, which are looked up at the
    /// start and with `sensor reload`.
    #[arg(long, value_name = "NET,NET")]
    pub local_nets: Option<String>,
    /// Raise connection_status_update so often; 0 = never.
    #[arg(long, value_name = "SECONDS", default_value_t = EventSettings::default().status_interval)]
    pub status_interval: f64,
    /// Silence after which an established TCP connection is over, seconds.
    #[arg(long, default_value_t = TimeoutSettings::default().tcp_inactivity, value_name = "SECONDS")]
    pub tcp_inactivity_timeout: f64,
    /// Silence after which a UDP connection is over.
    #[arg(long, default_value_t = TimeoutSettings::default().udp_inactivity, value_name = "SECONDS")]
    pub udp_inactivity_timeout: f64,
    /// Silence after which a connection of ICMP or another protocol is over.
    #[arg(long, default_value_t = TimeoutSettings::default().icmp_inactivity, value_name = "SECONDS")]
    pub icmp_inactivity_timeout: f64,
    /// Memory that segments waiting for a hole may take per direction of a connection; beyond it the hole becomes a gap.
    #[arg(long, default_value_t = ReassemblySettings::default().limit_kib, value_name = "KIB", value_parser = clap::value_parser!(u64).range(bounds::REASSEMBLY_LIMIT))]
    pub reassembly_limit: u64,
    /// The same for all connections together.
    #[arg(long, default_value_t = ReassemblySettings::default().total_mib, value_name = "MIB", value_parser = clap::value_parser!(u64).range(bounds::REASSEMBLY_TOTAL))]
    pub reassembly_total: u64,
    /// How long a SYN may go unanswered.
    #[arg(long, default_value_t = TimeoutSettings::default().tcp_attempt_delay, value_name = "SECONDS")]
    pub tcp_attempt_delay: f64,
    /// How long a closed connection lingers.
    #[arg(long, default_value_t = TimeoutSettings::default().tcp_close_delay, value_name = "SECONDS")]
    pub tcp_close_delay: f64,
    /// How long a connection lingers that was reset.
    #[arg(long, default_value_t = TimeoutSettings::default().tcp_reset_delay, value_name = "SECONDS")]
    pub tcp_reset_delay: f64,
    /// The Community ID as a column of conn.log.
    #[arg(long)]
    pub community_id: bool,
    /// Link-layer addresses as columns of conn.log, as of the first packet.
    #[arg(long)]
    pub l2_columns: bool,
    /// VLANs as columns of conn.log, as of the first packet; they part no connections, as --vlan-aware does.
    #[arg(long)]
    pub vlan_columns: bool,
    /// Round-trip times of the handshake, retransmissions, packets out of order and zero windows as columns of conn.log.
    #[arg(long)]
    pub conn_tcp_stats: bool,
    /// When a connection has been open for so long, a row of conn_long.log says how far it has come; conn.log has it when
    /// it is over.
    #[arg(long, value_delimiter = ',', value_name = "SECONDS,SECONDS")]
    pub conn_long: Vec<f64>,
    /// JA3, JA3S and JA4 of the hellos as columns of ssl.log.
    #[arg(long)]
    pub tls_fingerprints: bool,
    /// What hellos offer and choose as columns of ssl.log: ciphers, extensions, groups, versions and more.
    #[arg(long)]
    pub tls_offers: bool,
    /// Subjects and issuers of certificates as columns of ssl.log too.
    #[arg(long)]
    pub tls_subjects: bool,
    /// Say in ssl.log's validation_status whether a server's certificate leads to a trusted authority.
    #[arg(long)]
    pub validate_certs: bool,
    /// Authorities to trust, as PEM, instead of Mozilla's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Longest TLS handshake message to read, KiB; certificates may be eight times as long.
    #[arg(long, default_value_t = TlsSettings::default().max_message_kib, value_name = "KIB", value_parser = clap::value_parser!(u32).range(bounds::TLS_MAX_MESSAGE))]
    pub tls_max_message: u32,
    /// Most certificates to read of one message.
    #[arg(long, default_value_t = TlsSettings::default().max_certs, value_name = "N", value_parser = clap::value_parser!(u32).range(bounds::TLS_MAX_CERTS))]
    pub tls_max_certs: u32,
    /// Write the passwords into http.log that clients send to authenticate themselves (basic scheme).
    #[arg(long)]
    pub http_passwords: bool,
    /// hassh of client and server as columns of ssh.log.
    #[arg(long)]
    pub ssh_hassh: bool,
    /// More to say about what happens; twice for details.
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How the values of an option are called on the command line, and what its help says of them.
macro_rules! values {
    ($($option:ty { $($value:ident $name:literal $(= $help:literal)?),+ })+) => {$(
        impl ValueEnum for $option {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$value),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$value => PossibleValue::new($name)$(.help($help))?),+
                })
            }
        }
    )+};
}

values! {
    Datapath { User "user" = "The program's double in userspace", Xdp "xdp" = "The program in the kernel" }
    LiveDatapath { Xdp "xdp" = "A program in the kernel", Packet "packet" = "A packet socket, and the program's double in userspace" }
    Decap { Vxlan "vxlan", Geneve "geneve", Gre "gre", Ipip "ipip" = "IPv4 and IPv6 in IP" }
    Digest { Md5 "md5", Sha1 "sha1", Sha256 "sha256" }
    RingBy { Cpu "cpu", Flow "flow", Auto "auto" }
    Packed { None "none", Gzip "gzip", Zstd "zstd" }
    Persist {
        Off "off" = "It ends with the sensor",
        Keep "keep" = "It goes on",
        Replace "replace" = "It goes on, and what is left that does not fit is ended first"
    }
}
