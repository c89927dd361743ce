//! The events of software, and what they carry.

use crate::event::page::events;
use crate::event::record;

record! {
    /// A version's numbers, as far as it has them, and what follows them (Zeek's old `software_version`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SoftwareVersion<'a> is "software_version" {
        /// The first number.
        major: opt count,
        /// The second one.
        minor: opt count,
        /// The third one.
        minor2: opt count,
        /// The fourth one.
        minor3: opt count,
        /// What follows, such as `beta42`.
        addl: opt text,
    }
}

record! {
    /// A piece of software and its version (Zeek's old `software`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Software<'a> is "software" {
        /// Its name.
        name: text,
        /// Its version.
        version: record SoftwareVersion<'a>,
    }
}

events! {
    /// The events of software, each raised whenever a banner is found: only software.log does not repeat itself.
    page 30 "software" of "core";

    /// Software named itself in a way that gives no name or no version.
    /// `host`: where it runs; `descr`: what it said.
    SoftwareParseError "software_parse_error" (c: conn, host: addr, descr: text);

    /// Software named itself.
    /// `host`: where it runs; `str`: what it said.
    SoftwareUnparsedVersionFound "software_unparsed_version_found" (c: conn, host: addr, str: text);

    /// Software named itself, with a version that could be read.
    /// `host`: where it runs; `s`: name and version; `descr`: what it said.
    SoftwareVersionFound "software_version_found" (c: conn, host: addr, s: record Software<'a>, descr: text);
}
