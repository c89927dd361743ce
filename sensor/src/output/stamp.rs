//! Times as logs and the names of their files have them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whether it has the form of [`stamp`]. Nothing else may become part of a file's name.
pub fn is_stamp(t: &str) -> bool {
    let form = b"0000-00-00-00-00-00";
    let same = |(b, f): (u8, &u8)| if *f == b'0' { b.is_ascii_digit() } else { b == *f };
    t.len() == form.len() && t.bytes().zip(form).all(same)
}

/// `2026-01-02-03-04-05`, UTC.
pub fn stamp(at: SystemTime) -> String {
    let secs = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    // Days to year, month and day: years begin in March, so that a leap day is a year's last.
    let (days, s) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let m = (5 * day + 2) / 153;
    let (d, month) = (day - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{d:02}-{:02}-{:02}-{:02}",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stamps() {
        let s = |secs| stamp(UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(s(0), "1970-01-01-00-00-00");
        assert_eq!(s(951_782_399), "2000-02-28-23-59-59");
        assert_eq!(s(951_827_696), "2000-02-29-12-34-56");
        assert_eq!(s(1_767_225_599), "2025-12-31-23-59-59");
        assert!(is_stamp("2025-12-31-23-59-59"));
        for bad in [
            "",
            "2025-12-31-23-59-5",
            "2025-12-31-23-59-5x",
            "2025/12/31-23-59-59",
        ] {
            assert!(!is_stamp(bad), "{bad}");
        }
    }
}
