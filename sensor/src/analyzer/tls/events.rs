//! Events of TLS, from the seeds' SSL page (`Bro_SSL.events`).

use crate::event::page::events;

events! {
    /// Events of TLS, from the seeds' SSL page (`Bro_SSL.events`).
    page 7 "ssl" of "ssl";

    /// An alert record in the clear.
    /// `is_orig`: its sender; `level`: 1 warning, 2 fatal; `desc`: alert code (RFC 8446 section 6).
    SslAlert "ssl_alert" (c: conn, is_orig: bool, level: count, desc: count);

    /// A ChangeCipherSpec record.
    /// `is_orig`: its sender.
    SslChangeCipherSpec "ssl_change_cipher_spec" (c: conn, is_orig: bool);

    /// A ClientHello.
    /// `version`: as offered, 0x0303 is TLS 1.2; `possible_ts`: the random's first four bytes read as a time;
    /// `client_random`: the other 28 bytes; `session_id`: as sent; `ciphers`: code points in order.
    SslClientHello "ssl_client_hello" (
        c: conn, version: count, possible_ts: time, client_random: bytes, session_id: bytes,
        ciphers: index_vec
    );

    /// A ServerKeyExchange with finite-field Diffie-Hellman parameters.
    /// `p`: prime; `q`: generator; `ys`: the server's public value; all big endian.
    SslDhServerParams "ssl_dh_server_params" (c: conn, p: bytes, q: bytes, ys = "Ys": bytes);

    /// An encrypted record.
    /// `is_orig`: its sender; `content_type`: the record's outer type; `length`: bytes after its header.
    // An established session's records are of interest, their contents are not.
    SslEncryptedData "ssl_encrypted_data" (
        c: conn, is_orig: bool, content_type: count, length: count
    ) needs RECORDS;

    /// Both sides have gone over to encryption, so the handshake may be taken as done.
    SslEstablished "ssl_established" (c: conn);

    /// An extension of a hello.
    /// `is_orig`: from the client; `code`: extension type; `val`: its body.
    SslExtension "ssl_extension" (c: conn, is_orig: bool, code: count, val: bytes);

    /// The ALPN extension (RFC 7301).
    /// `is_orig`: from the client; `protocols`: names in order.
    SslExtensionApplicationLayerProtocolNegotiation "ssl_extension_application_layer_protocol_negotiation" (
        c: conn, is_orig: bool, protocols: string_vec
    );

    /// The point formats extension (RFC 8422).
    /// `is_orig`: from the client; `point_formats`: code points in order.
    SslExtensionEcPointFormats "ssl_extension_ec_point_formats" (
        c: conn, is_orig: bool, point_formats: index_vec
    );

    /// The supported groups extension (RFC 8422, RFC 8446).
    /// `is_orig`: from the client; `curves`: code points in order.
    SslExtensionEllipticCurves "ssl_extension_elliptic_curves" (c: conn, is_orig: bool, curves: index_vec);

    /// The server name extension (RFC 6066).
    /// `is_orig`: from the client; `names`: the host names.
    SslExtensionServerName "ssl_extension_server_name" (c: conn, is_orig: bool, names: string_vec);

    /// A handshake message in the clear, of any type.
    /// `is_orig`: its sender; `msg_type`: handshake type; `length`: bytes after its header.
    SslHandshakeMessage "ssl_handshake_message" (c: conn, is_orig: bool, msg_type: count, length: count);

    /// A heartbeat record (RFC 6520).
    /// `is_orig`: its sender; `length`: the record's bytes; `heartbeat_type`: 1 request, 2 response;
    /// `payload_length`: bytes it claims; `payload`: what there is.
    SslHeartbeat "ssl_heartbeat" (
        c: conn, is_orig: bool, length: count, heartbeat_type: count, payload_length: count, payload: bytes
    );

    /// The named curve a ServerKeyExchange uses.
    /// `curve`: code point.
    SslServerCurve "ssl_server_curve" (c: conn, curve: count);

    /// A ServerHello.
    /// `version`: as chosen; `possible_ts`: the random's first four bytes read as a time; `server_random`: the
    /// other 28 bytes; `session_id`: as sent; `cipher`: code point; `comp_method`: compression code.
    SslServerHello "ssl_server_hello" (
        c: conn, version: count, possible_ts: time, server_random: bytes, session_id: bytes, cipher: count,
        comp_method: count
    );

    /// A NewSessionTicket in the clear (RFC 5077).
    /// `ticket_lifetime_hint`: seconds; `ticket`: its bytes.
    SslSessionTicketHandshake "ssl_session_ticket_handshake" (
        c: conn, ticket_lifetime_hint: count, ticket: bytes
    );

    /// A stapled OCSP response (RFC 6066 CertificateStatus).
    /// `is_orig`: its sender; `response`: DER bytes.
    SslStapledOcsp "ssl_stapled_ocsp" (c: conn, is_orig: bool, response: bytes);
}
