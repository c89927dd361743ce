//! Windows executables: pe.log.

use super::super::api::Cx;
use super::super::pe::Headers;
use super::found::About;

/// The type of files that are read as executables, and Zeek's name of who does that.
pub const TYPE: &str = "application/x-dosexec";
pub const NAME: &str = "PE";

/// The file is over.
pub fn end(headers: &Headers, about: About<'_>, cx: &mut Cx<'_>) {
    if let Some(exe) = headers.read() {
        cx.out.log(&exe.row(about.started, about.fuid));
    }
}
