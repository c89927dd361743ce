//! Bodies on their way to the files room: what each is known by, and what comes back of it for the row.

use super::entity::{Coding, Entity};
use super::handle::{carrier, message};
use super::work::Work;
use crate::file::{Handle, Piece};

/// Says once how large the entity's file is, if its headers say so. What is compressed has another size.
pub fn size(e: &mut Entity, w: &mut Work<'_, '_>) {
    if std::mem::replace(&mut e.size_said, true) || matches!(e.coding, Coding::Compressed(..)) {
        return;
    }
    let size = if e.offset.is_some() { e.whole } else { e.length };
    if let Some(size) = size.filter(|n| *n > 0) {
        give(e, Piece::Size(size), w);
    }
}

/// The file that the entity at work is, or is a part of.
fn made(w: &mut Work<'_, '_>) -> Option<Handle> {
    let c = w.ctx.c;
    let current = w.exchanges.current(w.is_orig)?;
    match current.is_range {
        true => w.exchanges.range_file(w.is_orig, c),
        false => Some(message(w.is_orig, c, current.depth, current.entity)),
    }
}

/// Gives a piece of the entity's file to the files room.
pub fn give(e: &mut Entity, piece: Piece<'_>, w: &mut Work<'_, '_>) {
    let c = w.ctx.c;
    let Some(handle) = e.file.or_else(|| made(w)) else {
        return;
    };
    let current = w.exchanges.current(w.is_orig);
    let number = current.as_ref().map(|x| x.number);
    let name = current.as_ref().and_then(|x| x.name);
    let carrier = carrier(handle, c, w.is_orig, name);
    let news = w.ctx.out.file(&carrier, piece);
    // Also where there is no room for it: what it is known by may be made of a long URL.
    e.file = Some(handle);
    e.is_read = news.reads;
    if news.joined
        && let (Some(number), Some(fuid)) = (number, &news.fuid)
    {
        e.exchange = Some(number);
        w.exchanges.file(w.is_orig, number, fuid.to_string());
    }
    if let (Some(mime), Some(number)) = (news.sniffed, e.exchange) {
        w.exchanges.sniffed(w.is_orig, number, mime);
    }
}
