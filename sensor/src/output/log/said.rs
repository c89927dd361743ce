//! What rows of conn.log say of packets and bytes: read out of their text when they are lost, and not before.

use super::style::LogFormat;
use crate::event::log::Column;
use crate::output::lost_traffic::Traffic;

/// The columns that say it.
const PACKETS: [&str; 2] = ["orig_pkts", "resp_pkts"];
const BYTES: [&str; 2] = ["orig_ip_bytes", "resp_ip_bytes"];

/// What rows of a log say, `lines` in this format; none, if it is not conn.log.
pub fn traffic_of(path: &str, columns: &[Column], format: LogFormat, lines: &[u8]) -> Traffic {
    if path != "conn" {
        return Traffic::default();
    }
    let line = |line: &[u8]| match format {
        LogFormat::Tsv => of_tsv(columns, line),
        LogFormat::Json => of_json(line),
    };
    lines.split(|b| *b == b'\n').filter_map(line).sum()
}

fn of_tsv(columns: &[Column], line: &[u8]) -> Option<Traffic> {
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let mut found = Traffic::default();
    for (column, value) in columns.iter().zip(line.split(|b| *b == b'\t')) {
        let value = std::str::from_utf8(value)
            .ok()
            .and_then(|v| v.parse::<u64>().ok());
        if PACKETS.contains(&column.name) {
            found.packets += value?;
        } else if BYTES.contains(&column.name) {
            found.bytes += value?;
        }
    }
    Some(found)
}

fn of_json(line: &[u8]) -> Option<Traffic> {
    let row: serde_json::Value = serde_json::from_slice(line).ok()?;
    let sum = |columns: [&str; 2]| columns.iter().filter_map(|c| row[*c].as_u64()).sum();
    Some(Traffic {
        packets: sum(PACKETS),
        bytes: sum(BYTES),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::row::conn_columns;

    #[test]
    fn rows_say_it_in_either_format() {
        let columns = conn_columns(false);
        let row = |n: u64| {
            let values = columns.iter().map(|c| match c.name {
                "orig_pkts" => n.to_string(),
                "resp_pkts" => "2".into(),
                "orig_ip_bytes" => "300".into(),
                "resp_ip_bytes" => "40".into(),
                _ => "7".into(),
            });
            values.collect::<Vec<_>>().join("\t")
        };
        let lines = format!("#fields\tts\n{}\n{}\n7\t7", row(1), row(5));
        let of = |path, format, lines: &str| traffic_of(path, columns, format, lines.as_bytes());
        let all = Traffic {
            packets: 1 + 2 + 5 + 2,
            bytes: 680,
        };
        assert_eq!(of("conn", LogFormat::Tsv, &lines), all);
        assert_eq!(of("dns", LogFormat::Tsv, &lines), Traffic::default());
        let json = r#"{"orig_pkts":3,"resp_pkts":4,"orig_ip_bytes":50,"resp_ip_bytes":6}"#;
        let said = Traffic {
            packets: 7,
            bytes: 56,
        };
        assert_eq!(of("conn", LogFormat::Json, &format!("{json}\n{{\"orig_pk")), said);
    }
}
