//! An answer of the preflight check: how it stands, a sentence, and what mends it.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be, or not to be found out.
    Ok,
    /// The sensor runs, and sees or manages less than it could.
    Warn,
    /// The sensor does not run.
    Fail,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is of: `kernel`, an interface's name ...
    pub of: String,
    /// How it stands.
    pub level: Level,
    /// What was found, in a sentence.
    pub says: String,
    /// The command that mends it, if there is one.
    pub mend: Option<String>,
}

impl Item {
    /// All is well.
    pub fn ok(of: &str, says: String) -> Self {
        Item {
            of: of.to_owned(),
            level: Level::Ok,
            says,
            mend: None,
        }
    }

    /// It could be better, by the command `mend`.
    pub fn warn(of: &str, says: String, mend: String) -> Self {
        Item {
            level: Level::Warn,
            mend: Some(mend),
            ..Self::ok(of, says)
        }
    }

    /// It has to be mended, by the command `mend`.
    pub fn fail(of: &str, says: String, mend: String) -> Self {
        Item {
            level: Level::Fail,
            mend: Some(mend),
            ..Self::ok(of, says)
        }
    }
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the groups.
    pub items: Vec<Item>,
}

impl Report {
    /// Whether the sensor would not run.
    pub fn fails(&self) -> bool {
        self.items.iter().any(|i| i.level == Level::Fail)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |level| self.items.iter().filter(|i| i.level == level).count();
        for i in &self.items {
            let level = match i.level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "fail",
            };
            // A name of an interface or a path is anybody's choice.
            let line = format!("{level}  {}: {}", i.of, i.says).replace(char::is_control, "?");
            f.write_str(&line)?;
            f.write_char('\n')?;
            if let Some(mend) = &i.mend {
                writeln!(f, "      # {}", mend.replace(char::is_control, "?"))?;
            }
        }
        writeln!(
            f,
            "{} ok, {} warn, {} fail",
            count(Level::Ok),
            count(Level::Warn),
            count(Level::Fail)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_line_each() {
        let report = Report {
            items: vec![
                Item::ok("kernel", "Linux 6.1".to_owned()),
                Item::fail("t\n0", "down".to_owned(), "ip link set t0 up".to_owned()),
            ],
        };
        assert!(report.fails());
        let text = report.to_string();
        assert_eq!(
            text,
            "ok    kernel: Linux 6.1\nfail  t?0: down\n      # ip link set t0 up\n1 ok, 0 warn, 1 fail\n"
        );
    }
}
