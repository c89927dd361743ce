//! The rows of the seeds' SSL page (`Bro_SSL.events`) and of its connection log page.

macro_rules! ssl_events {
    ([$next:ident $($more:ident)*] $($rows:tt)*) => { $next! { [$($more)*] $($rows)*

    /// An alert record in the clear.
    /// `is_orig`: its sender; `level`: 1 warning, 2 fatal; `desc`: alert code (RFC 8446 section 6).
    SslAlert "ssl_alert" ssl raised (c "c": connection, is_orig "is_orig": bool, level "level": count, desc "desc": count);

    /// A ChangeCipherSpec record.
    /// `is_orig`: its sender.
    SslChangeCipherSpec "ssl_change_cipher_spec" ssl raised (c "c": connection, is_orig "is_orig": bool);

    /// A ClientHello.
    /// `version`: as offered, 0x0303 is TLS 1.2; `possible_ts`: the random's first four bytes read as a time;
    /// `client_random`: the other 28 bytes; `session_id`: as sent; `ciphers`: code points in order.
    SslClientHello "ssl_client_hello" ssl raised
        (c "c": connection, version "version": count, possible_ts "possible_ts": time,
         client_random "client_random": bytes, session_id "session_id": bytes, ciphers "ciphers": index_vec);

    /// A ServerKeyExchange with finite-field Diffie-Hellman parameters.
    /// `p`: prime; `q`: generator; `ys`: the server's public value; all big endian.
    SslDhServerParams "ssl_dh_server_params" ssl raised (c "c": connection, p "p": bytes, q "q": bytes, ys "Ys": bytes);

    /// An encrypted record.
    /// `is_orig`: its sender; `content_type`: the record's outer type; `length`: bytes after its header.
    SslEncryptedData "ssl_encrypted_data" ssl raised
        (c "c": connection, is_orig "is_orig": bool, content_type "content_type": count, length "length": count);

    /// Both sides have gone over to encryption, so the handshake may be taken as done.
    SslEstablished "ssl_established" ssl raised (c "c": connection);

    /// An extension of a hello.
    /// `is_orig`: from the client; `code`: extension type; `val`: its body.
    SslExtension "ssl_extension" ssl raised
        (c "c": connection, is_orig "is_orig": bool, code "code": count, val "val": bytes);

    /// The ALPN extension (RFC 7301).
    /// `is_orig`: from the client; `protocols`: names in order.
    SslExtensionApplicationLayerProtocolNegotiation "ssl_extension_application_layer_protocol_negotiation" ssl raised
        (c "c": connection, is_orig "is_orig": bool, protocols "protocols": string_vec);

    /// The point formats extension (RFC 8422).
    /// `is_orig`: from the client; `point_formats`: code points in order.
    SslExtensionEcPointFormats "ssl_extension_ec_point_formats" ssl raised
        (c "c": connection, is_orig "is_orig": bool, point_formats "point_formats": index_vec);

    /// The supported groups extension (RFC 8422, RFC 8446).
    /// `is_orig`: from the client; `curves`: code points in order.
    SslExtensionEllipticCurves "ssl_extension_elliptic_curves" ssl raised
        (c "c": connection, is_orig "is_orig": bool, curves "curves": index_vec);

    /// The server name extension (RFC 6066).
    /// `is_orig`: from the client; `names`: the host names.
    SslExtensionServerName "ssl_extension_server_name" ssl raised
        (c "c": connection, is_orig "is_orig": bool, names "names": string_vec);

    /// A handshake message in the clear, of any type.
    /// `is_orig`: its sender; `msg_type`: handshake type; `length`: bytes after its header.
    SslHandshakeMessage "ssl_handshake_message" ssl raised
        (c "c": connection, is_orig "is_orig": bool, msg_type "msg_type": count, length "length": count);

    /// A heartbeat record (RFC 6520).
    /// `is_orig`: its sender; `length`: the record's bytes; `heartbeat_type`: 1 request, 2 response;
    /// `payload_length`: bytes it claims; `payload`: what there is.
    SslHeartbeat "ssl_heartbeat" ssl raised
        (c "c": connection, is_orig "is_orig": bool, length "length": count, heartbeat_type "heartbeat_type": count,
         payload_length "payload_length": count, payload "payload": bytes);

    /// The named curve a ServerKeyExchange uses.
    /// `curve`: code point.
    SslServerCurve "ssl_server_curve" ssl raised (c "c": connection, curve "curve": count);

    /// A ServerHello.
    /// `version`: as chosen; `possible_ts`: the random's first four bytes read as a time; `server_random`: the
    /// other 28 bytes; `session_id`: as sent; `cipher`: code point; `comp_method`: compression code.
    SslServerHello "ssl_server_hello" ssl raised
        (c "c": connection, version "version": count, possible_ts "possible_ts": time,
         server_random "server_random": bytes, session_id "session_id": bytes, cipher "cipher": count,
         comp_method "comp_method": count);

    /// A NewSessionTicket in the clear (RFC 5077).
    /// `ticket_lifetime_hint`: seconds; `ticket`: its bytes.
    SslSessionTicketHandshake "ssl_session_ticket_handshake" ssl raised
        (c "c": connection, ticket_lifetime_hint "ticket_lifetime_hint": count, ticket "ticket": bytes);

    /// A stapled OCSP response (RFC 6066 CertificateStatus).
    /// `is_orig`: its sender; `response`: DER bytes.
    SslStapledOcsp "ssl_stapled_ocsp" ssl raised
        (c "c": connection, is_orig "is_orig": bool, response "response": bytes);

    /// A row is about to be written to conn.log.
    /// `rec`: the row.
    ConnLogConn "Conn::log_conn" conn raised (rec "rec": log_row);
    } };
}
