//! The extensions of hellos.
//!
//! What has no event of its own is read all the same: a value that does not fit its lengths is a violation.

use super::events;
use super::handshake::{check_signature_algorithms, u16s};
use super::reader::{Parsed, Short, TlsReader};
use super::session::Session;
use super::{ext, hs};
use crate::analyzer::api::Ctx;
use crate::analyzer::text;

impl Session {
    /// The extensions of a hello, to the message's end.
    pub(super) fn read_extensions(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_orig: bool,
        msg_type: u8,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let is_client = self.is_client(is_orig);
        while !r.is_empty() {
            let (code, val) = r.part(|r| {
                r.check("SSLExtension:data_len", 4)?;
                let code = r.u16("SSLExtension:data_len")?;
                Ok((code, r.vec16("SSLExtension:data_len", "SSLExtension")?.rest()))
            })?;
            if !val.is_empty() {
                self.read_extension(ctx, is_client, msg_type, code, TlsReader::new(val))?;
            }
            self.event(ctx, events::SslExtension::KIND, |c, raise| {
                raise(&events::SslExtension {
                    c,
                    is_orig: is_client,
                    code: code.into(),
                    val,
                });
            });
            self.info(ctx).extension(is_client, code, val.is_empty());
        }
        Ok(())
    }

    fn read_extension(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        msg_type: u8,
        code: u16,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        match code {
            ext::SERVER_NAME => self.read_server_name(ctx, is_client, r)?,
            ext::ELLIPTIC_CURVES => {
                let n = r.u16("EllipticCurves:length")?;
                let curves = r.list("EllipticCurves:elliptic_curve_list", usize::from(n) / 2, 2)?;
                self.event(ctx, events::SslExtensionEllipticCurves::KIND, |c, raise| {
                    raise(&events::SslExtensionEllipticCurves {
                        c,
                        is_orig: is_client,
                        curves: &u16s(curves),
                    });
                });
            }
            ext::EC_POINT_FORMATS => {
                let n = r.u8("EcPointFormats:length")?;
                let list = r.list("EcPointFormats:point_format_list", n.into(), 1)?;
                self.event(ctx, events::SslExtensionEcPointFormats::KIND, |c, raise| {
                    raise(&events::SslExtensionEcPointFormats {
                        c,
                        is_orig: is_client,
                        point_formats: &list.iter().map(|&b| b.into()).collect::<Vec<u64>>(),
                    });
                });
            }
            ext::ALPN => self.read_alpn(ctx, is_client, r)?,
            ext::SIGNATURE_ALGORITHMS => check_signature_algorithms(&mut r)?,
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::CLIENT_HELLO => {
                let mut list = r.vec16("ClientHelloKeyShare:length", "ClientHelloKeyShare")?;
                while !list.is_empty() {
                    list.part(read_key_share)?;
                }
            }
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::SERVER_HELLO => {
                // A retry request has the group alone.
                let group = match r.len() {
                    2 => r.u16("HelloRetryRequestKeyShare")?,
                    _ => read_key_share(&mut r)?,
                };
                if !is_client {
                    self.info(ctx).curve(group);
                }
            }
            ext::SUPPORTED_VERSIONS if is_client => check_versions(r)?,
            ext::SUPPORTED_VERSIONS => {
                let version = r.u16("OneSupportedVersion")?;
                self.info(ctx).server_version(version);
                self.set_version(version);
            }
            ext::PSK_KEY_EXCHANGE_MODES => {
                r.vec8("PSKKeyExchangeModes:length", "PSKKeyExchangeModes")?;
            }
            ext::PRE_SHARED_KEY if msg_type == hs::CLIENT_HELLO => check_offered_keys(r)?,
            ext::PRE_SHARED_KEY if msg_type == hs::SERVER_HELLO => {
                r.u16("SelectedPreSharedKeyIdentity")?;
            }
            // The server chooses (RFC 7250 section 4.2).
            ext::SERVER_CERTIFICATE_TYPE if msg_type == hs::SERVER_HELLO => {
                self.certificate_types[0] = r.u8("CertificateType")?;
            }
            ext::CLIENT_CERTIFICATE_TYPE if msg_type == hs::SERVER_HELLO => {
                self.certificate_types[1] = r.u8("CertificateType")?;
            }
            ext::CONNECTION_ID => {
                let id = r.vec8("ConnectionId:length", "ConnectionId:cid")?;
                self.connection_ids[usize::from(!is_client)] = Some(id.len() as u8);
            }
            ext::SIGNED_CERTIFICATE_TIMESTAMP => check_timestamps(r)?,
            _ => {}
        }
        Ok(())
    }

    fn read_server_name(&mut self, ctx: &mut Ctx<'_>, is_client: bool, mut r: TlsReader<'_>) -> Parsed<()> {
        let mut list = r.vec16("ServerNameExt:length", "ServerNameExt")?;
        let mut names: Vec<&[u8]> = Vec::new();
        let mut unknown = None;
        while !list.is_empty() {
            match list.u8("ServerName:name_type")? {
                0 => {
                    let name =
                        list.part(|r| r.vec16("ServerNameHostName:length", "ServerNameHostName:host_name"));
                    names.push(name?.rest());
                }
                other => {
                    // How long a name of another type is, nobody has said.
                    unknown = Some(other);
                    list.rest();
                }
            }
        }
        if let Some(t) = unknown {
            ctx.out.weird("ssl_ext_unknown_server_name_type", &t.to_string());
        }
        self.event(ctx, events::SslExtensionServerName::KIND, |c, raise| {
            raise(&events::SslExtensionServerName {
                c,
                is_orig: is_client,
                names: &names,
            });
        });
        if let (true, Some(first)) = (is_client, names.first()) {
            self.info(ctx).server_name(first);
            if self.is_in_quic() {
                self.heard.server_name = Some(first.to_vec());
            }
            if names.len() > 1 {
                ctx.out.weird(
                    "SSL_many_server_names",
                    &format!("[{}]", text::of_bytes(&names.join(&b", "[..]))),
                );
            }
        }
        Ok(())
    }

    fn read_alpn(&mut self, ctx: &mut Ctx<'_>, is_client: bool, mut r: TlsReader<'_>) -> Parsed<()> {
        let mut list = r.vec16(
            "ApplicationLayerProtocolNegotiationExtension:length",
            "ApplicationLayerProtocolNegotiationExtension",
        )?;
        let mut protocols: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let name = list.part(|r| r.vec8("ProtocolName:length", "ProtocolName:name"));
            protocols.push(name?.rest());
        }
        self.event(
            ctx,
            events::SslExtensionApplicationLayerProtocolNegotiation::KIND,
            |c, raise| {
                raise(&events::SslExtensionApplicationLayerProtocolNegotiation {
                    c,
                    is_orig: is_client,
                    protocols: &protocols,
                });
            },
        );
        match protocols.first() {
            Some(first) if !is_client => self.info(ctx).next_protocol(first),
            Some(_) if self.is_in_quic() => {
                self.heard.protocols = protocols.iter().map(|p| p.to_vec()).collect();
            }
            _ => {}
        }
        Ok(())
    }
}

/// The group of a key share; the key itself is of no interest.
fn read_key_share(r: &mut TlsReader<'_>) -> Parsed<u16> {
    const LENGTH: &str = "KeyShareEntry:key_exchange_length";
    r.check(LENGTH, 4)?;
    let group = r.u16(LENGTH)?;
    r.vec16(LENGTH, "KeyShareEntry:key_exchange")?;
    Ok(group)
}

/// The versions a client supports, two bytes each.
fn check_versions(mut r: TlsReader<'_>) -> Parsed<()> {
    let n = r.vec8("SupportedVersions:length", "SupportedVersions")?.len();
    if n.is_multiple_of(2) {
        return Ok(());
    }
    // The last one is a byte longer than the list, which begins after its length.
    Err(Short {
        at: "SupportedVersions:versions__elem",
        need: n + 2,
        have: n + 1,
    })
}

/// Pre-shared keys a client offers (RFC 8446 section 4.2.11).
fn check_offered_keys(mut r: TlsReader<'_>) -> Parsed<()> {
    let mut identities = r.part(|r| r.vec16("PSKIdentitiesList:length", "PSKIdentitiesList"))?;
    while !identities.is_empty() {
        identities.part(|r| {
            r.vec16("PSKIdentity:length", "PSKIdentity:identity")?;
            r.u32("PSKIdentity:obfuscated_ticket_age")
        })?;
    }
    let mut binders = r.part(|r| r.vec16("PSKBindersList:length", "PSKBindersList"))?;
    while !binders.is_empty() {
        binders.part(|r| r.vec8("PSKBinder:length", "PSKBinder:binder"))?;
    }
    Ok(())
}

/// Signed certificate timestamps (RFC 6962 section 3.3).
fn check_timestamps(mut r: TlsReader<'_>) -> Parsed<()> {
    let mut list = r.vec16(
        "SignedCertificateTimestampList:length",
        "SignedCertificateTimestampList",
    )?;
    while !list.is_empty() {
        list.part(check_timestamp)?;
    }
    Ok(())
}

fn check_timestamp(r: &mut TlsReader<'_>) -> Parsed<()> {
    const VERSION: &str = "SignedCertificateTimestamp:version";
    const EXTENSIONS: &str = "SignedCertificateTimestamp:extensions_length";
    const SIGNATURE: &str = "SignedCertificateTimestamp:digitally_signed_signature_length";
    r.check(VERSION, 3)?;
    let length = usize::from(r.u16(VERSION)?);
    r.end_after("SignedCertificateTimestamp", length)?;
    r.u8(VERSION)?;
    r.take("SignedCertificateTimestamp:logid", 32)?;
    r.check(EXTENSIONS, 10)?;
    r.take("SignedCertificateTimestamp:timestamp", 8)?;
    r.vec16(EXTENSIONS, "SignedCertificateTimestamp:extensions")?;
    r.check(SIGNATURE, 4)?;
    r.u16("SignedCertificateTimestamp:digitally_signed_algorithms")?;
    r.vec16(SIGNATURE, "SignedCertificateTimestamp:digitally_signed_signature")?;
    r.rest();
    Ok(())
}
