//! A log's row as others see it.

use std::borrow::Cow;

use super::anonymizer::Anonymizer;
use super::text::rewrite;
use crate::event::log::{Changed, LogRow, Value};

/// The column of signatures.log with payload as it was sent, in which addresses may stand as numbers.
const MATCHED: &str = "sub_msg";

/// A row with stand-ins for addresses.
pub fn row<'r>(row: &'r dyn LogRow, by: &'r Anonymizer) -> impl LogRow + use<'r> {
    Changed::new(row, |v, c| {
        if c.name == MATCHED {
            *v = Value::Unset;
        } else if !is_no_text(c.name, c.typ) {
            value(v, by);
        }
    })
}

fn value(v: &mut Value<'_>, by: &Anonymizer) {
    match v {
        Value::Addr(a) => *a = by.addr(*a),
        Value::Uid(u) => *u = by.uid(*u),
        Value::Str(s) => {
            if let Some(new) = text(s, by) {
                *s = Cow::Owned(new);
            }
        }
        Value::Wire(s) => {
            if let Some(new) = rewrite(s, by) {
                *s = Cow::Owned(new);
            }
        }
        Value::List(all) => all.iter_mut().for_each(|v| value(v, by)),
        _ => {}
    }
}

/// The same text with stand-ins; None: it stays.
pub fn text(s: &str, by: &Anonymizer) -> Option<String> {
    let new = rewrite(s.as_bytes(), by)?;
    // It was text, and what is put in is ASCII in the place of ASCII.
    Some(String::from_utf8(new).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Whether a field's text is one of a list that is known, or the identifier of an object, whose numbers and dots may look like
/// an address (`1.3.101.112`).
pub fn is_no_text(name: &str, typ: &str) -> bool {
    typ == "enum" || typ == "set[enum]" || name.ends_with("_alg") || name.ends_with("oid")
}
