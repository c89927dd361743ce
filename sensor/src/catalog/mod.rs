//! All that the sensor has of what is declared in many rooms. Nothing below knows this module.

use crate::analyzer::Id;
use crate::conn::row::{ConnRow, LongRow, TunnelRow, WeirdRow};
use crate::event::log::Log;
use crate::event::log_stream::{DefineError, LogStream};
use crate::event::model::{MOST_EVENTS, MOST_PAGES};
use crate::event::{self, Page};
use crate::file::FileRow;
use crate::file::pe::PeRow;
use crate::file::x509::{OcspRow, X509Row};
use crate::os::OsRow;
use crate::output::capture_loss::CaptureLossRow;
use crate::output::stats_row::StatsRow;
use crate::profile::ProfRow;
use crate::signature::SignatureRow;
use crate::software::SoftwareRow;

mod events;
mod schema;

pub use events::{NAMED_ONLY, UnknownEvent, events, listed, named, policy_bits};
pub use schema::schema;

/// The pages of no protocol.
const COMMON: [&Page; 11] = [
    event::core::PAGE,
    event::file::PAGE,
    event::lookup::PAGE,
    event::peer::PAGE,
    event::script::PAGE,
    event::tcp::PAGE,
    crate::file::events::PAGE,
    crate::file::pe::events::PAGE,
    crate::file::x509::ocsp_events::PAGE,
    crate::software::events::PAGE,
    crate::conn::events::PAGE,
];

/// How many pages there are.
const PAGE_COUNT: usize = {
    let (mut n, mut id) = (COMMON.len(), 0);
    while id < Id::ALL.len() {
        n += Id::ALL[id].spec().pages.len();
        id += 1;
    }
    n
};

/// The pages of events, in the order in which docs/events.md lists what they are from: conn.log's comes last.
pub static PAGES: [&Page; PAGE_COUNT] = {
    let last = COMMON.len() - 1;
    let mut pages = [COMMON[last]; PAGE_COUNT];
    let mut n = 0;
    while n < last {
        pages[n] = COMMON[n];
        n += 1;
    }
    let mut id = 0;
    while id < Id::ALL.len() {
        let own = Id::ALL[id].spec().pages;
        let mut at = 0;
        while at < own.len() {
            pages[n] = own[at];
            (at, n) = (at + 1, n + 1);
        }
        id += 1;
    }
    pages
};

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

/// The logs of no protocol.
const LOGS: [Log; 14] = [
    CaptureLossRow::LOG,
    ConnRow::LOG,
    LongRow::LOG,
    FileRow::LOG,
    OcspRow::LOG,
    OsRow::LOG,
    PeRow::LOG,
    ProfRow::LOG,
    SignatureRow::LOG,
    SoftwareRow::LOG,
    StatsRow::LOG,
    TunnelRow::LOG,
    WeirdRow::LOG,
    X509Row::LOG,
];

/// The logs that the sensor has rows for.
pub fn logs() -> impl Iterator<Item = Log> {
    let protocols = Id::ALL.iter().flat_map(|id| id.spec().logs);
    LOGS.iter().chain(protocols).copied()
}

/// The stream of a log that is defined while the sensor runs, with these columns, each a name and Zeek's type. The
/// sensor's own logs are none.
pub fn define_log(path: &str, columns: &[(&str, &str)]) -> Result<&'static LogStream, DefineError> {
    match logs().any(|log| log.path == path) {
        true => Err(DefineError::Taken(path.to_owned())),
        false => LogStream::define(path, columns),
    }
}

/// Takes the path of a log whose rows will have columns of another one.
pub fn name_log(path: &str) -> Result<&'static str, DefineError> {
    match logs().any(|log| log.path == path) {
        true => Err(DefineError::Taken(path.to_owned())),
        false => LogStream::name(path),
    }
}

/// Whether there is such a log: one of the sensor's own, or one that was defined.
pub fn has_log(path: &str) -> bool {
    logs().any(|log| log.path == path) || LogStream::is_defined(path)
}

#[cfg(test)]
mod doc;
#[cfg(test)]
mod event_tests;
#[cfg(test)]
pub mod held;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::tls::SslRow;
    use crate::conn::row::conn_columns;
    use crate::event::log::Column;

    fn written(columns: &[Column]) -> String {
        let columns: Vec<_> = columns.iter().map(|c| format!("{}:{}", c.name, c.typ)).collect();
        columns.join(" ")
    }

    #[test]
    fn columns_on_request_are_left_out_where_they_stand() {
        let without = |gone: &str, all: &[Column]| {
            let left = all.iter().filter(|c| !gone.split(' ').any(|g| g == c.name));
            written(&left.copied().collect::<Vec<_>>())
        };
        let (conn, ssl) = ((ConnRow::LOG.columns)(), (SslRow::LOG.columns)());
        let asked: Vec<&str> = conn[22..].iter().map(|c| c.name).collect();
        assert_eq!(
            asked[..6].join(" "),
            "vlan inner_vlan vni community_id orig_l2_addr resp_l2_addr"
        );
        assert_eq!(written(conn_columns(false)), written(&conn[..22]));
        assert_eq!(written(conn_columns(true)), written(&conn[..25]));
        let subjects = "subject issuer client_subject client_issuer";
        let offers = "server_version client_version client_ciphers ssl_client_exts ssl_server_exts ticket_lifetime_hint \
                      dh_param_size point_formats client_curves orig_alpn client_supported_versions \
                      server_supported_version psk_key_exchange_modes client_key_share_groups server_key_share_group \
                      client_comp_methods sigalgs hashalgs ech_kdf_id ech_aead_id";
        for (with, gone) in [
            ([false, true, true, true], subjects),
            ([true, false, true, true], "validation_status"),
            ([true, true, false, true], "ja3 ja3s ja4"),
            ([true, true, true, false], offers),
            (
                [false; 4],
                &format!("{subjects} validation_status ja3 ja3s ja4 {offers}"),
            ),
        ] {
            assert_eq!(written(SslRow::columns_of(with)), without(gone, ssl));
        }
        assert!(std::ptr::eq(SslRow::columns_of([true; 4]), ssl));
    }

    #[test]
    fn a_log_of_the_sensors_own_is_not_defined_anew() {
        let columns = &[("ts", "time")];
        assert_eq!(
            define_log("conn", columns),
            Err(DefineError::Taken("conn".into()))
        );
        assert!(!has_log("defined_here"));
        assert!(define_log("defined_here", columns).is_ok() && has_log("defined_here"));
    }
}
