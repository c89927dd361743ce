//! What each setting is called on the command line.

/// The option that gives a setting, by the setting's path.
const OPTIONS: &[(&str, &str)] = &[
    ("anonymize", "--anonymize"),
    ("archive.by_day", "--log-archive-days"),
    ("archive.compress", "--log-compress"),
    ("archive.dir", "--log-archive"),
    ("archive.hook", "--log-hook"),
    ("archive.keep_days", "--log-keep-days"),
    ("archive.keep_mib", "--log-keep-mib"),
    ("archive.min_free_mib", "--log-min-free-mib"),
    ("checksums", "--checksums"),
    ("conn.community_id", "--community-id"),
    ("conn.l2_columns", "--l2-columns"),
    ("conn.long", "--conn-long"),
    ("conn.tcp_stats", "--conn-tcp-stats"),
    ("conn.vlan_columns", "--vlan-columns"),
    ("control.socket", "--control"),
    ("dedup_ms", "--dedup"),
    ("events.contents", "--contents"),
    ("events.only", "--event"),
    ("events.status_interval", "--status-interval"),
    ("events.to", "--events"),
    ("files.entropy", "--file-entropy"),
    ("files.extract_dir", "--extract-files"),
    ("files.extract_limit_mib", "--extract-limit"),
    ("files.extract_on_request", "--extract-on-request"),
    ("files.extract_total_mib", "--extract-total"),
    ("files.extract_types", "--extract-types"),
    ("files.hashes", "--file-hashes"),
    ("files.timeout", "--file-timeout"),
    ("filter.rules", "--filter"),
    ("filter.sample", "--sample"),
    ("flows.entries", "--flows"),
    ("flows.half_open_share", "--half-open-share"),
    ("flows.vlan_aware", "--vlan-aware"),
    ("flows.vni_aware", "--vni-aware"),
    ("http.passwords", "--http-passwords"),
    ("interfaces.datapath", "--datapath"),
    ("interfaces.decap", "--decap"),
    ("interfaces.exit_when_gone", "--exit-when-gone"),
    ("interfaces.names", "--iface"),
    ("interfaces.netns", "--netns"),
    ("interfaces.persist", "--persist"),
    ("interfaces.persist_dir", "--persist-dir"),
    ("interfaces.rx_only", "--rx-only"),
    ("interfaces.skb_mode", "--skb-mode"),
    ("logs.capture_loss", "--capture-loss"),
    ("logs.contents_dir", "--contents-file"),
    ("logs.contents_on_request", "--contents-on-request"),
    ("logs.dir", "--log-dir"),
    ("logs.format", "--log-format"),
    ("logs.json_path", "--json-path"),
    ("logs.local_nets", "--local-nets"),
    ("logs.quiet", "--quiet"),
    ("logs.rotate", "--log-rotate"),
    ("logs.rotate_mib", "--log-rotate-size"),
    ("logs.sensor_name", "--sensor-name"),
    ("logs.sync", "--log-sync"),
    ("logs.to", "--log-to"),
    ("logs.verbose", "--verbose"),
    ("metrics.listen", "--metrics"),
    ("os.fingerprints", "--os-fingerprints"),
    ("profile.every", "--profile"),
    ("profile.expensive_every", "--profile-expensive"),
    ("profile.load_sample", "--load-sample"),
    ("reading.analyzers", "--no-analyzers"),
    ("reading.datapath", "--datapath"),
    ("reading.forward_all", "--forward-all"),
    ("reassembly.limit_kib", "--reassembly-limit"),
    ("reassembly.total_mib", "--reassembly-total"),
    ("resolver.cache", "--dns-cache"),
    ("resolver.entries", "--dns-entries"),
    ("resolver.lookups", "--dns-lookups"),
    ("resolver.servers", "--resolver"),
    ("resolver.timeout", "--dns-timeout"),
    ("resolver.ttl_max", "--dns-ttl-max"),
    ("resolver.ttl_min", "--dns-ttl-min"),
    ("rings.by", "--ring-by"),
    ("rings.history_mib", "--packet-history"),
    ("rings.mib", "--ring-mib"),
    ("rings.snaplen", "--snaplen"),
    ("rings.workers", "--workers"),
    ("scripts.failures", "--script-failures"),
    ("scripts.files", "--script"),
    ("scripts.memory_mib", "--script-memory"),
    ("scripts.steps", "--script-steps"),
    ("scripts.unsafe", "--script-unsafe"),
    ("seed", "--seed"),
    ("signatures.bytes", "--signature-bytes"),
    ("signatures.files", "--signatures"),
    ("ssh.hassh", "--ssh-hassh"),
    ("timeouts.icmp_inactivity", "--icmp-inactivity-timeout"),
    ("timeouts.tcp_attempt_delay", "--tcp-attempt-delay"),
    ("timeouts.tcp_close_delay", "--tcp-close-delay"),
    ("timeouts.tcp_inactivity", "--tcp-inactivity-timeout"),
    ("timeouts.tcp_reset_delay", "--tcp-reset-delay"),
    ("timeouts.udp_inactivity", "--udp-inactivity-timeout"),
    ("tls.ca_file", "--ca-file"),
    ("tls.fingerprints", "--tls-fingerprints"),
    ("tls.max_certs", "--tls-max-certs"),
    ("tls.max_message_kib", "--tls-max-message"),
    ("tls.offers", "--tls-offers"),
    ("tls.subjects", "--tls-subjects"),
    ("tls.validate_certs", "--validate-certs"),
];

/// The setting that an option gives; `option` is its long name, without the dashes.
pub fn of_option(option: &str) -> Option<&'static str> {
    all_of_option(option).next()
}

/// The settings that an option gives: more than one if commands give it different ones.
pub fn all_of_option(option: &str) -> impl Iterator<Item = &'static str> {
    let found = OPTIONS
        .iter()
        .filter(move |(_, o)| o.strip_prefix("--") == Some(option));
    found.map(|(path, _)| *path)
}

/// The option that gives a setting.
pub fn option_of(path: &str) -> Option<&'static str> {
    OPTIONS.iter().find(|(p, _)| *p == path).map(|(_, o)| *o)
}

/// A message about options, for who wrote settings into a file.
pub fn in_file(message: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut said = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("--") {
        let (before, option) = rest.split_at(at);
        let end = option.find(|c| !is_name(c)).unwrap_or(option.len());
        let (option, after) = option.split_at(end);
        let path = OPTIONS.iter().find(|(_, o)| *o == option).map(|(p, _)| *p);
        said.push_str(before);
        said.push_str(path.unwrap_or(option));
        rest = after;
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use super::super::file::paths;
    use super::*;

    #[test]
    fn every_setting_has_its_option() {
        let named: Vec<_> = OPTIONS.iter().map(|(path, _)| *path).collect();
        assert_eq!(named, paths());
    }

    #[test]
    fn messages_name_settings_in_a_file() {
        assert_eq!(
            in_file("--ring-mib must be in 1..=2"),
            "rings.mib must be in 1..=2"
        );
        assert_eq!(
            in_file("no --flows, no --what-else"),
            "no flows.entries, no --what-else"
        );
        assert_eq!(of_option("events"), Some("events.to"));
        assert_eq!(option_of("events.only"), Some("--event"));
    }
}
