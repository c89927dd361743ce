//! Events of SSH, and the records that they carry.

use crate::event::page::events;
use crate::event::record;

events! {
    /// Events of SSH.
    page 10 "ssh" of "ssh";

    /// The server's identification string (RFC 4253, section 4.2).
    /// `version`: the line, from `SSH-` to before its end.
    SshServerVersion "ssh_server_version" (c: conn, version: text);
    /// The client's identification string.
    /// `version`: the line, from `SSH-` to before its end.
    SshClientVersion "ssh_client_version" (c: conn, version: text);
    /// A line that a server sent before its identification string.
    /// `data`: it, without its end.
    SshServerPreBannerData "ssh_server_pre_banner_data" (c: conn, data: text);
    /// A side says which algorithms it has, in the order in which it likes them (RFC 4253, section 7.1).
    /// `cookie`: its 16 random bytes; `capabilities`: the algorithms, and whether the sender is the server.
    SshCapabilities "ssh_capabilities" (c: conn, cookie: bytes, capabilities: record Capabilities<'a>);
    /// The server showed its public key, in version 1 or 2.
    /// `hash`: MD5 of the key, in hex with colons.
    SshServerHostKey "ssh_server_host_key" (c: conn, hash: text);
    /// The server showed its public key in version 2.
    /// `key`: as it came, without the length before it.
    Ssh2ServerHostKey "ssh2_server_host_key" (c: conn, key: bytes);
    /// The server showed its public key, of RSA, in version 1.
    /// `modulus`, `exponent`: as they came, without the lengths before them.
    Ssh1ServerHostKey "ssh1_server_host_key" (c: conn, modulus: bytes, exponent: bytes);
    /// The server sent the group of a Diffie-Hellman exchange (RFC 4419, section 3).
    /// `p`: the prime; `q`: the generator.
    Ssh2DhServerParams "ssh2_dh_server_params" (c: conn, p: bytes, q: bytes);
    /// A side sent its part of a Diffie-Hellman exchange in a finite field.
    /// `is_orig`: its sender.
    Ssh2DhGexInit "ssh2_dh_gex_init" (c: conn, is_orig: bool);
    /// A side sent its public key of an exchange on a curve, or of a hybrid one.
    /// `is_orig`: its sender; `q`: the key.
    Ssh2EccKey "ssh2_ecc_key" (c: conn, is_orig: bool, q: bytes);
    /// The client began such an exchange.
    /// `is_orig`: its sender.
    Ssh2EccInit "ssh2_ecc_init" (c: conn, is_orig: bool);
    /// The client began an exchange through GSS-API (RFC 4462, section 2.1).
    /// `is_orig`: its sender.
    Ssh2GssInit "ssh2_gss_init" (c: conn, is_orig: bool);
    /// The server says why such an exchange failed.
    /// `major_status`, `minor_status`: GSS-API's codes; `err_msg`: the same for people.
    Ssh2GssError "ssh2_gss_error" (c: conn, major_status: count, minor_status: count, err_msg: text);
    /// The client sent the secret of an exchange by RSA (RFC 4432, section 4).
    /// `is_orig`: its sender.
    Ssh2RsaSecret "ssh2_rsa_secret" (c: conn, is_orig: bool);
    /// A packet of encrypted bytes.
    /// `orig`: its sender; `len`: how many, of what TCP delivered at once. Who wants it has all packets of the connection
    /// copied.
    SshEncryptedPacket "ssh_encrypted_packet" (c: conn, orig: bool, len: count);
    /// The client tried to authenticate, by the lengths of what the server answered.
    /// `authenticated`: with this it is.
    SshAuthAttempted "ssh_auth_attempted" (c: conn, authenticated: bool);
    /// The client is authenticated.
    /// `auth_method_none`: it did not have to show anything.
    SshAuthSuccessful "ssh_auth_successful" (c: conn, auth_method_none: bool);
    /// The connection ended and the client tried in vain to authenticate.
    SshAuthFailed "ssh_auth_failed" (c: conn);
    /// Whether the client is authenticated. Raised once, if it is known.
    /// `result`: it is; `auth_attempts`: how often it tried.
    SshAuthResult "ssh_auth_result" (c: conn, result: bool, auth_attempts: count);
}

record! {
    /// What a side offers for both directions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AlgorithmPrefs<'a> is "SSH::Algorithm_Prefs" {
        /// From the client to the server.
        client_to_server: opt string_vec,
        /// From the server to the client.
        server_to_client: opt string_vec,
    }
}

record! {
    /// What a side offers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Capabilities<'a> is "SSH::Capabilities" {
        /// Key exchanges.
        kex_algorithms: string_vec,
        /// Kinds of the server's key.
        server_host_key_algorithms: string_vec,
        /// Ciphers.
        encryption_algorithms: record AlgorithmPrefs<'a>,
        /// Message authentication codes.
        mac_algorithms: record AlgorithmPrefs<'a>,
        /// Compression.
        compression_algorithms: record AlgorithmPrefs<'a>,
        /// Languages, if it names any.
        languages: opt record AlgorithmPrefs<'a>,
        /// It is the server.
        is_server: bool,
    }
}
