//! All that the sensor has of what is declared in many rooms. Nothing below knows this module.

use crate::analyzer::dns::DnsRow;
use crate::analyzer::tls::SslRow;
use crate::analyzer::x509::X509Row;
use crate::conn::row::{ConnRow, TunnelRow, WeirdRow};
use crate::event::log::Column;
use crate::event::page::{MOST_EVENTS, MOST_PAGES};
use crate::event::{self, Page};
use crate::output::stats_row::StatsRow;

mod events;

pub use events::{UnknownEvent, events, listed, named, policy_bits};

/// The pages of events, in the order in which docs/events.md lists what they are from.
pub const PAGES: &[&Page] = &[
    event::core::PAGE,
    event::file::PAGE,
    event::lookup::PAGE,
    event::peer::PAGE,
    event::script::PAGE,
    event::tcp::PAGE,
    crate::analyzer::tls::events::PAGE,
    crate::conn::events::PAGE,
];

// A page's number is its own, and its events fit into a word of a set.
const _: () = {
    let mut i = 0;
    while i < PAGES.len() {
        assert!((PAGES[i].number as usize) < MOST_PAGES);
        assert!(PAGES[i].events.len() <= MOST_EVENTS);
        let mut other = 0;
        while other < i {
            assert!(
                PAGES[i].number != PAGES[other].number,
                "two pages have the same number"
            );
            other += 1;
        }
        i += 1;
    }
};

/// The logs that the sensor writes, by name: each with all columns that it can have.
pub fn logs() -> [(&'static str, &'static [Column]); 7] {
    [
        (ConnRow::PATH, ConnRow::columns_of([true])),
        (DnsRow::PATH, DnsRow::columns_of([])),
        (SslRow::PATH, SslRow::columns_of([true; 3])),
        (StatsRow::PATH, StatsRow::columns_of([])),
        (TunnelRow::PATH, TunnelRow::columns_of([])),
        (WeirdRow::PATH, WeirdRow::columns_of([])),
        (X509Row::PATH, X509Row::columns_of([])),
    ]
}

#[cfg(test)]
mod doc;
#[cfg(test)]
mod event_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::row::conn_columns;
    use crate::event::log::OWN_LOGS;

    /// Every log with its columns and their types, in order.
    const COLUMNS: &[(&str, &str)] = &[
        (
            "conn",
            "\
        ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port proto:enum \
        service:string duration:interval orig_bytes:count resp_bytes:count conn_state:string \
        local_orig:bool local_resp:bool missed_bytes:count history:string orig_pkts:count \
        orig_ip_bytes:count resp_pkts:count resp_ip_bytes:count tunnel_parents:set[string] ip_proto:count \
        vlan:int inner_vlan:int vni:count",
        ),
        (
            "dns",
            "\
        ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port proto:enum \
        trans_id:count rtt:interval query:string qclass:count qclass_name:string qtype:count \
        qtype_name:string rcode:count rcode_name:string AA:bool TC:bool RD:bool RA:bool Z:count \
        answers:vector[string] TTLs:vector[interval] rejected:bool",
        ),
        (
            "ssl",
            "\
        ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port version:string \
        cipher:string curve:string server_name:string resumed:bool last_alert:string next_protocol:string \
        established:bool ssl_history:string cert_chain_fps:vector[string] \
        client_cert_chain_fps:vector[string] subject:string issuer:string client_subject:string \
        client_issuer:string sni_matches_cert:bool validation_status:string ja3:string ja3s:string \
        ja4:string",
        ),
        (
            "stats",
            "\
        ts:time iface:string worker:count frames:count bytes:count tracked:count untracked:vector[string] \
        payload:count forwarded:count shed:count lost:count records_lost:count table_full:count \
        half_open_gone:count half_open_untold:count open_conns:count events_dropped:count rows_lost:count \
        no_room:count no_entry:count dropped:count gone:count ring_peak:count",
        ),
        (
            "tunnel",
            "\
        ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port tunnel_type:enum \
        action:enum",
        ),
        (
            "weird",
            "\
        ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port name:string \
        addl:string notice:bool peer:string source:string",
        ),
        (
            "x509",
            "\
        ts:time fingerprint:string certificate.version:count certificate.serial:string \
        certificate.subject:string certificate.issuer:string certificate.not_valid_before:time \
        certificate.not_valid_after:time certificate.key_alg:string certificate.sig_alg:string \
        certificate.key_type:string certificate.key_length:count certificate.exponent:string \
        certificate.curve:string san.dns:vector[string] san.uri:vector[string] san.email:vector[string] \
        san.ip:vector[addr] basic_constraints.ca:bool basic_constraints.path_len:count host_cert:bool \
        client_cert:bool",
        ),
    ];

    fn written(columns: &[Column]) -> String {
        let columns: Vec<_> = columns.iter().map(|c| format!("{}:{}", c.name, c.typ)).collect();
        columns.join(" ")
    }

    #[test]
    fn logs_have_the_columns_that_readers_know() {
        let have: Vec<_> = logs().map(|(path, columns)| (path, written(columns))).to_vec();
        let want: Vec<_> = COLUMNS.iter().map(|(path, c)| (*path, (*c).to_owned())).collect();
        assert_eq!(have, want);
    }

    #[test]
    fn columns_on_request_are_left_out_where_they_stand() {
        let without = |gone: &str, all: &[Column]| {
            let left = all.iter().filter(|c| !gone.split(' ').any(|g| g == c.name));
            written(&left.copied().collect::<Vec<_>>())
        };
        let [(_, conn), _, (_, ssl), ..] = logs();
        assert_eq!(written(conn_columns(false)), without("vlan inner_vlan vni", conn));
        assert_eq!(written(conn_columns(true)), written(conn));
        let subjects = "subject issuer client_subject client_issuer";
        for (with, gone) in [
            ([false, true, true], subjects),
            ([true, false, true], "validation_status"),
            ([true, true, false], "ja3 ja3s ja4"),
            ([false; 3], &format!("{subjects} validation_status ja3 ja3s ja4")),
        ] {
            assert_eq!(written(SslRow::columns_of(with)), without(gone, ssl));
        }
        assert!(std::ptr::eq(SslRow::columns_of([true; 3]), ssl));
    }

    #[test]
    fn each_log_has_a_row() {
        assert_eq!(logs().map(|l| l.0), *OWN_LOGS);
    }
}
