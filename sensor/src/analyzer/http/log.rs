//! The row of http.log.

use crate::event::{ConnId, row};

row! {
    /// One row of http.log: a request and its reply, as far as each was seen.
    #[derive(Clone, Debug)]
    pub struct HttpRow<'a> in "http" {
        /// When the request was seen, or the reply if there is none.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// Which one of its connection, from 1.
        trans_depth: count,
        /// What is to be done.
        method: opt wire (&'a [u8]),
        /// Header Host.
        host: opt wire (&'a [u8]),
        /// With its percent-encodings decoded.
        uri: opt wire (&'a [u8]),
        /// Header Referer.
        referrer: opt wire (&'a [u8]),
        /// Of the reply; `2` on all of a connection of HTTP/2.
        version: opt text (&'a str),
        /// Header User-Agent.
        user_agent: opt wire (&'a [u8]),
        /// Header Origin.
        origin: opt wire (&'a [u8]),
        /// Bytes of the request's body, decompressed.
        request_body_len: count,
        /// Bytes of the reply's body, decompressed.
        response_body_len: count,
        /// Status code of the reply, 0 when it is no number.
        status_code: opt count (u16),
        /// Its reason phrase.
        status_msg: opt wire (&'a [u8]),
        /// Status code of the last reply 1xx before it.
        info_code: opt count (u16),
        /// Its reason phrase.
        info_msg: opt wire (&'a [u8]),
        /// Always empty.
        tags: set enumeration,
        /// Of the header Authorization, basic scheme.
        username: opt wire (&'a [u8]),
        /// The same, if it was asked for.
        password: opt wire (&'a [u8]),
        /// Headers that proxies add, each with its value.
        proxied: opt set wire (&'a [Vec<u8>]),
        /// Files in the request, no more than 15.
        orig_fuids: opt vector text (&'a [String]),
        /// Their names, as far as they have any.
        orig_filenames: opt vector wire (&'a [Vec<u8>]),
        /// Their types, as far as they are known.
        orig_mime_types: opt vector text (&'a [&'static str]),
        /// Files in the reply, no more than 15.
        resp_fuids: opt vector text (&'a [String]),
        /// Their names, as far as they have any.
        resp_filenames: opt vector wire (&'a [Vec<u8>]),
        /// Their types, as far as they are known.
        resp_mime_types: opt vector text (&'a [&'static str]),
    }
}
