//! Settings out of what was given on the command line.

use super::args::{Common, Read, Run, Switch};
use crate::settings::{
    ArchiveSettings, ConnSettings, ControlSettings, EventSettings, FileSettings, FilterSettings,
    FlowSettings, HttpSettings, InterfaceSettings, LogSettings, MetricsSettings, OsSettings, ProfileSettings,
    ReadSettings, ReassemblySettings, ResolverSettings, RingSettings, ScriptSettings, Settings,
    SignatureSettings, SshSettings, TimeoutSettings, TlsSettings,
};

impl From<&Run> for Settings {
    fn from(a: &Run) -> Settings {
        let common = Settings::from(&a.common);
        Settings {
            interfaces: InterfaceSettings {
                names: a.iface.clone(),
                netns: a.netns.clone(),
                datapath: a.datapath,
                rx_only: a.rx_only,
                exit_when_gone: a.exit_when_gone,
                skb_mode: a.skb_mode,
                decap: a.decap.clone(),
                persist: a.persist,
                persist_dir: a.persist_dir.clone(),
            },
            rings: RingSettings {
                workers: a.workers,
                by: a.ring_by,
                mib: a.ring_mib,
                snaplen: a.snaplen,
                history_mib: a.packet_history,
            },
            flows: FlowSettings {
                entries: a.flows,
                half_open_share: a.half_open_share,
                ..common.flows
            },
            archive: ArchiveSettings {
                keep_days: a.log_keep_days,
                keep_mib: a.log_keep_mib,
                min_free_mib: a.log_min_free_mib,
                hook: a.log_hook.clone(),
                ..common.archive
            },
            logs: LogSettings {
                quiet: a.quiet,
                rotate: a.log_rotate,
                rotate_mib: a.log_rotate_size,
                sync: a.log_sync,
                ..common.logs
            },
            metrics: MetricsSettings {
                listen: a.metrics.clone(),
            },
            control: ControlSettings {
                socket: a.control.clone(),
            },
            ..common
        }
    }
}

impl From<&Read> for Settings {
    fn from(a: &Read) -> Settings {
        let common = Settings::from(&a.common);
        Settings {
            interfaces: InterfaceSettings {
                decap: a.decap.clone(),
                ..common.interfaces
            },
            logs: LogSettings {
                quiet: a.quiet,
                ..common.logs
            },
            reading: ReadSettings {
                datapath: a.datapath,
                forward_all: a.forward_all,
                analyzers: !a.no_analyzers,
            },
            ..common
        }
    }
}

impl From<&Common> for Settings {
    fn from(c: &Common) -> Settings {
        Settings {
            flows: FlowSettings {
                vlan_aware: c.vlan_aware == Switch::On,
                vni_aware: c.vni_aware,
                ..FlowSettings::default()
            },
            anonymize: c.anonymize.clone(),
            logs: LogSettings {
                dir: c.log_dir.clone(),
                format: c.log_format,
                json_path: c.json_path,
                sensor_name: c.sensor_name.clone(),
                to: c.log_to.clone(),
                capture_loss: c.capture_loss,
                contents_dir: c.contents_file.clone(),
                contents_on_request: c.contents_on_request,
                local_nets: c.local_nets.clone(),
                verbose: c.verbose,
                ..LogSettings::default()
            },
            filter: FilterSettings {
                rules: c.filter.clone(),
                sample: c.sample,
            },
            archive: ArchiveSettings {
                dir: c.log_archive.clone(),
                by_day: c.log_archive_days,
                compress: c.log_compress,
                ..ArchiveSettings::default()
            },
            events: EventSettings {
                to: c.events.clone(),
                only: c.event.clone(),
                contents: c.contents.clone(),
                status_interval: c.status_interval,
            },
            scripts: ScriptSettings {
                files: c.script.clone(),
                is_unsafe: c.script_unsafe,
                memory_mib: c.script_memory,
                steps: c.script_steps,
                failures: c.script_failures,
            },
            resolver: ResolverSettings {
                servers: c.resolver.clone(),
                timeout: c.dns_timeout,
                cache: c.dns_cache.clone(),
                entries: c.dns_entries,
                lookups: c.dns_lookups,
                ttl_min: c.dns_ttl_min,
                ttl_max: c.dns_ttl_max,
            },
            files: FileSettings {
                hashes: c.file_hashes.clone(),
                entropy: c.file_entropy,
                extract_dir: c.extract_files.clone(),
                extract_on_request: c.extract_on_request,
                extract_types: c.extract_types.clone(),
                extract_limit_mib: c.extract_limit,
                extract_total_mib: c.extract_total,
                timeout: c.file_timeout,
            },
            profile: ProfileSettings {
                every: c.profile,
                expensive_every: c.profile_expensive,
                load_sample: c.load_sample,
            },
            os: OsSettings {
                fingerprints: c.os_fingerprints.clone(),
            },
            signatures: SignatureSettings {
                files: c.signatures.clone(),
                bytes: c.signature_bytes,
            },
            conn: ConnSettings {
                community_id: c.community_id,
                l2_columns: c.l2_columns,
                vlan_columns: c.vlan_columns,
                tcp_stats: c.conn_tcp_stats,
                long: c.conn_long.clone(),
            },
            tls: TlsSettings {
                fingerprints: c.tls_fingerprints,
                offers: c.tls_offers,
                subjects: c.tls_subjects,
                validate_certs: c.validate_certs,
                ca_file: c.ca_file.clone(),
                max_message_kib: c.tls_max_message,
                max_certs: c.tls_max_certs,
            },
            http: HttpSettings {
                passwords: c.http_passwords,
            },
            ssh: SshSettings { hassh: c.ssh_hassh },
            timeouts: TimeoutSettings {
                tcp_inactivity: c.tcp_inactivity_timeout,
                udp_inactivity: c.udp_inactivity_timeout,
                icmp_inactivity: c.icmp_inactivity_timeout,
                tcp_attempt_delay: c.tcp_attempt_delay,
                tcp_close_delay: c.tcp_close_delay,
                tcp_reset_delay: c.tcp_reset_delay,
            },
            reassembly: ReassemblySettings {
                limit_kib: c.reassembly_limit,
                total_mib: c.reassembly_total,
            },
            seed: c.seed,
            checksums: c.checksums == Switch::On,
            dedup_ms: c.dedup,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::super::args::{Command, parse_from};
    use super::*;
    use crate::output::archived::Packed;
    use crate::settings::{Datapath, Decap, Digest, LiveDatapath, Persist, RingBy, Useless};

    fn parsed(command: &str) -> Command {
        let line = ["sensor"].into_iter().chain(command.split(' '));
        parse_from(line).expect("a command").0.command
    }

    fn settings(command: &str) -> Settings {
        match parsed(command) {
            Command::Read(a) => (&a).into(),
            Command::Run(a) => (&a).into(),
            _ => panic!("no settings"),
        }
    }

    #[test]
    fn without_options_settings_are_the_defaults() {
        assert_eq!(settings("read x"), Settings::default());
        let mut expected = Settings::default();
        expected.interfaces.names = vec!["x".into()];
        assert_eq!(settings("run --iface x"), expected);
    }

    #[test]
    fn options_reach_their_settings() {
        let s = settings(
            "run --iface x,y --netns blue --datapath packet --rx-only --exit-when-gone --skb-mode --decap vxlan,gre --persist --persist-dir p --workers 3 --ring-by flow \
             --ring-mib 7 --packet-history 6 --control s --snaplen 96 --flows 5 --half-open-share 9 --vlan-aware on --vni-aware --log-dir d \
             --log-format json,tsv --json-path --sensor-name n --log-to stdout --log-to unix:/x --log-rotate 30m --log-rotate-size 15 --log-sync rotate --log-archive a --log-archive-days --log-compress zstd \
             --capture-loss 19 --log-keep-days 16 --log-keep-mib 17 --log-min-free-mib 18 --log-hook h --contents-file c --contents-on-request --local-nets 10.0.0.0/8 --metrics 127.0.0.1:9477 -qvv --events e --event a,b --contents both:80 --script s.lua --script t.lua --script-unsafe --script-memory 51 --script-steps 520000 --script-failures 53 \
             --resolver 192.0.2.53 --resolver [::1]:5353 --dns-timeout 54 --dns-cache q --dns-entries 55 --dns-lookups 56 --dns-ttl-min 57 --dns-ttl-max 58 \
             --status-interval 2 --os-fingerprints o --profile 61 --profile-expensive 62 --load-sample 63 --file-hashes md5,sha256 --file-entropy --extract-files x --extract-on-request --extract-types image/*,application/pdf \
             --extract-limit 13 --extract-total 14 --file-timeout 27 --signatures s.sig --signatures t.sig --signature-bytes 51 --community-id --l2-columns --vlan-columns \
             --conn-tcp-stats --conn-long 600,3600 --tls-fingerprints --tls-offers --tls-subjects --validate-certs --ca-file f --tls-max-message 11 \
             --tls-max-certs 12 --http-passwords --ssh-hassh --tcp-inactivity-timeout 21 --udp-inactivity-timeout 22 --icmp-inactivity-timeout 23 \
             --tcp-attempt-delay 24 --tcp-close-delay 25 --tcp-reset-delay 26 --reassembly-limit 31 \
             --reassembly-total 32 --dedup=33 --filter tcp --filter ignore,udp --sample 43 --anonymize k --seed 41 --checksums on",
        );
        let expected = serde_json::json!({
            "interfaces": {"names": ["x", "y"], "netns": "blue", "datapath": "packet", "rx_only": true, "exit_when_gone": true, "skb_mode": true,
                           "decap": ["vxlan", "gre"], "persist": "keep", "persist_dir": "p"},
            "rings": {"workers": 3, "by": "flow", "mib": 7, "snaplen": 96, "history_mib": 6},
            "filter": {"rules": ["tcp", "ignore,udp"], "sample": 43},
            "flows": {"entries": 5, "half_open_share": 9, "vlan_aware": true, "vni_aware": true},
            "logs": {"dir": "d", "format": "tsv,json", "json_path": true, "sensor_name": "n", "to": ["stdout", "unix:/x"], "rotate": "30m", "rotate_mib": 15, "sync": "rotate", "capture_loss": 19.0, "contents_dir": "c", "contents_on_request": true, "local_nets": "10.0.0.0/8", "quiet": true, "verbose": 2},
            "archive": {"dir": "a", "by_day": true, "compress": "zstd", "keep_days": 16, "keep_mib": 17, "min_free_mib": 18, "hook": "h"},
            "control": {"socket": "s"},
            "metrics": {"listen": "127.0.0.1:9477"},
            "events": {"to": "e", "only": ["a", "b"], "contents": "both:80", "status_interval": 2.0},
            "scripts": {"files": ["s.lua", "t.lua"], "unsafe": true, "memory_mib": 51, "steps": 520_000, "failures": 53},
            "profile": {"every": 61.0, "expensive_every": 62, "load_sample": 63},
            "resolver": {"servers": ["192.0.2.53", "[::1]:5353"], "timeout": 54.0, "cache": "q", "entries": 55, "lookups": 56,
                         "ttl_min": 57, "ttl_max": 58},
            "os": {"fingerprints": "o"},
            "files": {"hashes": ["md5", "sha256"], "entropy": true, "extract_dir": "x", "extract_on_request": true, "extract_types": ["image/*", "application/pdf"],
                      "extract_limit_mib": 13, "extract_total_mib": 14, "timeout": 27.0},
            "signatures": {"files": ["s.sig", "t.sig"], "bytes": 51},
            "conn": {"community_id": true, "l2_columns": true, "vlan_columns": true, "tcp_stats": true,
                     "long": [600.0, 3600.0]},
            "tls": {"fingerprints": true, "offers": true, "subjects": true, "validate_certs": true, "ca_file": "f",
                    "max_message_kib": 11, "max_certs": 12},
            "http": {"passwords": true},
            "ssh": {"hassh": true},
            "timeouts": {"tcp_inactivity": 21.0, "udp_inactivity": 22.0, "icmp_inactivity": 23.0,
                         "tcp_attempt_delay": 24.0, "tcp_close_delay": 25.0, "tcp_reset_delay": 26.0},
            "reassembly": {"limit_kib": 31, "total_mib": 32},
            "reading": {"datapath": "user", "forward_all": false, "analyzers": true},
            "anonymize": "k",
            "seed": 41,
            "checksums": true,
            "dedup_ms": 33,
        });
        assert_eq!(serde_json::to_value(s).expect("JSON"), expected);
        assert!(settings("read x -q").logs.quiet && !settings("read x").logs.quiet);
        assert_eq!(settings("read x --dedup").dedup_ms, 10);
        let s = settings("read x --datapath xdp --decap ipip --forward-all --no-analyzers");
        assert_eq!(s.interfaces.decap, [Decap::Ipip]);
        let expected = ReadSettings {
            datapath: Datapath::Xdp,
            forward_all: true,
            analyzers: false,
        };
        assert_eq!(s.reading, expected);
    }

    /// A value is called the same in a file of settings as on the command line.
    fn called_the_same<T: ValueEnum + serde::Serialize>() {
        for value in T::value_variants() {
            let named = value.to_possible_value().expect("a name");
            let written = serde_json::to_value(value).expect("JSON");
            assert_eq!(written, named.get_name());
        }
    }

    #[test]
    fn values_have_one_name() {
        called_the_same::<Datapath>();
        called_the_same::<LiveDatapath>();
        called_the_same::<Decap>();
        called_the_same::<Digest>();
        called_the_same::<RingBy>();
        called_the_same::<Packed>();
        called_the_same::<Persist>();
    }

    fn check(command: &str) -> Result<(), Useless> {
        let s = settings(command);
        let subs = s.subscriptions().expect("events");
        match parsed(command) {
            Command::Run(_) => s.useless_live(subs),
            _ => s.useless_reading(subs),
        }
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        for (command, expected) in [
            ("read x --events - --event load_sample", Useless::NoProfile),
            ("read x --load-sample 7", Useless::ProfileForNothing),
            (
                "read x --events - --event OS_version_found",
                Useless::NoFingerprints,
            ),
            ("read x --contents both", Useless::ContentsWithoutEvents),
            (
                "read x --contents-on-request --script s.lua",
                Useless::RequestForNothing("--contents-on-request", "--contents-file"),
            ),
            (
                "read x --contents-on-request --contents-file d",
                Useless::RequestForNothing("--contents-on-request", "--script"),
            ),
            (
                "read x --extract-on-request --script s.lua",
                Useless::RequestForNothing("--extract-on-request", "--extract-files"),
            ),
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
            ("read x --events - --event file_entropy", Useless::NoEntropy),
            ("read x --events - --event signature_match", Useless::NoSignatures),
            ("read x --signature-bytes 0", Useless::BytesForNothing),
            (
                "read x --events - --event connection_external",
                Useless::NotRaised,
            ),
            ("read x --decap vxlan", Useless::DecapInUserspace),
            (
                "read x --datapath xdp --decap gre --checksums on",
                Useless::DecapWithChecksums,
            ),
            ("read x --extract-types image/*", Useless::NothingExtracted),
            ("run --iface x --extract-limit 1", Useless::NothingExtracted),
            ("read x --json-path", Useless::TagsWithoutJson),
            ("run --iface x --sensor-name n", Useless::TagsWithoutJson),
            ("run --iface x --log-to stdout --events -", Useless::TwoStreams),
            ("run --iface x --ring-by cpu --workers 1", Useless::OneRing),
            (
                "run --iface x --datapath packet --skb-mode",
                Useless::WithoutProgram("--skb-mode"),
            ),
            (
                "run --iface x --datapath packet --workers 2",
                Useless::WithoutProgram("--workers"),
            ),
            (
                "run --iface x --datapath packet --decap gre",
                Useless::DecapInUserspace,
            ),
            ("read x --event ssl_*", Useless::EventWithoutEvents),
            ("read x --ca-file f", Useless::AuthoritiesForNothing),
        ] {
            assert_eq!(check(command), Err(expected), "{command}");
        }
    }

    #[test]
    fn what_is_for_live_runs_is_refused_with_a_reason() {
        for option in [
            "log-rotate 1h",
            "log-rotate-size 1",
            "log-keep-days 1",
            "log-keep-mib 1",
            "log-min-free-mib 1",
            "log-hook true",
            "log-sync rotate",
        ] {
            let line = format!("sensor read x --{option}");
            let e = parse_from(line.split(' ')).expect_err(option).to_string();
            assert!(e.contains("it is for `sensor run`"), "{e}");
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
            "read x --dedup",
            "read x --datapath xdp --dedup",
            "run --iface x --dedup=5",
            "run --iface x --datapath packet --dedup",
            "read x --file-hashes md5 --file-timeout 5",
            "read x --file-entropy --events - --event file_entropy",
            "read x --signatures s --signature-bytes 0 --events - --event signature_match",
            "read x --extract-files d --extract-types image/* --extract-limit 1",
            "read x --log-format tsv,json --sensor-name n",
            "run --iface x --sensor-name n --log-to unix:/x",
            "run --iface x --ring-by cpu",
            "run --iface x --datapath packet --workers 1",
            "run --iface x --events - --event new_connection",
        ] {
            assert_eq!(check(command), Ok(()), "{command}");
        }
    }
}
