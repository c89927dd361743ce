//! From the declared rows (`core`, `tcp`, `ssl`) to the types: [`Event`], [`EventKind`], their names, arguments and JSON.
//!
//! A row reads `Variant "name" group mark (field "argument": kind, ...);`. The kinds are the arms of
//! `rust_type!` below; what a kind looks like in JSON is the function of the same name in [`super::args`].

use super::*;

/// The Rust type of an argument's kind.
macro_rules! rust_type {
    (connection) => { &'a ConnId };
    (count) => { u64 };
    (int) => { i64 };
    (bool) => { bool };
    (time) => { Ts };
    (interval) => { i64 };
    (addr) => { IpAddr };
    (text) => { &'a str };
    (bytes) => { &'a [u8] };
    (index_vec) => { &'a [u64] };
    (string_vec) => { &'a [&'a [u8]] };
    (addr_set) => { &'a [IpAddr] };
    (tag) => { AnalyzerTag };
    (syn_packet) => { SynPacket };
    (endpoint_stats) => { EndpointStats };
    (fa_file) => { &'a FaFile<'a> };
    (fa_metadata) => { FaMetadata<'a> };
    (file) => { &'a str };
    (any) => { &'a str };
    (pkt_hdr) => { PktHdr<'a> };
    (raw_pkt_hdr) => { RawPktHdr<'a> };
    (os_version) => { OsVersion<'a> };
    (dns_mapping) => { &'a DnsMapping<'a> };
    (event_peer) => { &'a EventPeer<'a> };
    (signature_state) => { SignatureState<'a> };
    (software) => { Software<'a> };
    (load_sample) => { &'a [&'a str] };
    (encap) => { &'a [Encap<'a>] };
    (call_args) => { &'a Event<'a> };
    (log_row) => { &'a dyn LogRow };
}

/// An argument's type as the seeds write it.
macro_rules! zeek_type {
    (text) => {
        "string"
    };
    (bytes) => {
        "string"
    };
    (tag) => {
        "Analyzer::Tag"
    };
    (syn_packet) => {
        "SYN_packet"
    };
    (os_version) => {
        "OS_version"
    };
    (load_sample) => {
        "load_sample_info"
    };
    (encap) => {
        "EncapsulatingConnVector"
    };
    (call_args) => {
        "call_argument_vector"
    };
    (log_row) => {
        "Conn::Info"
    };
    ($k:ident) => {
        stringify!($k)
    };
}

/// The connection an argument names, if that is its kind.
macro_rules! conn_of {
    (connection $v:ident) => {
        Some(*$v)
    };
    (fa_file $v:ident) => {
        $v.conn
    };
    ($k:ident $v:ident) => {
        None
    };
}

/// An argument's field in `args`; a connection is not one of them but the event's own `c`.
macro_rules! write_arg {
    ($o:ident, connection, $name:literal, $v:ident) => {};
    ($o:ident, $k:ident, $name:literal, $v:ident) => {
        args::$k($o.key($name), $v)
    };
}

/// The same for the parameters of `new_event`, connections included.
macro_rules! write_param {
    ($out:ident, $k:ident, $v:ident) => {
        args::$k($out, $v)
    };
}

macro_rules! is_raised {
    (raised) => {
        true
    };
    (not_yet) => {
        false
    };
}

macro_rules! declare {
    ([] $($(#[doc = $doc:literal])* $var:ident $name:literal $group:ident $mark:ident
        ($($f:ident $arg:literal : $k:ident),*);)*) => {
        /// An event with its arguments. Borrows what it can: making one allocates nothing.
        #[derive(Clone, Copy, Debug)]
        pub enum Event<'a> {
            $($(#[doc = $doc])* $var { $(#[allow(missing_docs)] $f: rust_type!($k),)* },)*
        }

        /// An event without its arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum EventKind { $($(#[doc = $doc])* $var,)* }

        impl EventKind {
            /// Every kind, in the table's order.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$var,)*];

            /// The event's name, exactly as in the table.
            pub fn name(self) -> &'static str {
                match self { $(EventKind::$var => $name,)* }
            }

            /// The page of the table it is on: core, tcp, ssl or conn.
            pub fn group(self) -> &'static str {
                match self { $(EventKind::$var => stringify!($group),)* }
            }

            /// Its arguments, each name with Zeek's type.
            pub fn args(self) -> &'static [(&'static str, &'static str)] {
                match self { $(EventKind::$var => &[$(($arg, zeek_type!($k)),)*],)* }
            }

            /// Whether the sensor raises it.
            pub fn raised(self) -> bool {
                match self { $(EventKind::$var => is_raised!($mark),)* }
            }

            /// Its documentation, a line per line.
            pub fn doc(self) -> &'static [&'static str] {
                match self { $(EventKind::$var => &[$($doc,)*],)* }
            }
        }

        impl<'a> Event<'a> {
            /// Which event it is.
            pub fn kind(&self) -> EventKind {
                match self { $(Event::$var { .. } => EventKind::$var,)* }
            }

            /// The connection it is about, if any.
            pub fn conn(&self) -> Option<&'a ConnId> {
                #[allow(unused_variables)]
                match self { $(Event::$var { $($f),* } => None$(.or(conn_of!($k $f)))*,)* }
            }

            /// Writes the `args` object.
            pub fn write_args(&self, out: &mut Vec<u8>) {
                let mut o = json::Object::new(out);
                #[allow(unused_variables)]
                match self { $(Event::$var { $($f),* } => { $(write_arg!(o, $k, $arg, $f);)* })* }
                o.end();
            }

            /// Writes the arguments as `new_event` shows them: an array of name, type and value.
            pub fn write_params(&self, out: &mut Vec<u8>) {
                out.push(b'[');
                let mut first = true;
                match self { $(Event::$var { $($f),* } => { $(
                    args::param(out, &mut first, $arg, zeek_type!($k), |out| write_param!(out, $k, $f));
                )* })* }
                let _ = &mut first;
                out.push(b']');
            }
        }
    };
}

core_events! { [tcp_events ssl_events declare] }
