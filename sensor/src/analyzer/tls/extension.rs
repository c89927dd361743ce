//! The extensions of hellos.
//!
//! What has no event of its own is read all the same: a value that does not fit its lengths is a violation.

use std::borrow::Cow;

use super::handshake::u16s;
use super::reader::{Parsed, Reader};
use super::session::Session;
use super::{ext, hs};
use crate::analyzer::Ctx;
use crate::analyzer::text::wire_text;
use crate::event::{Event, EventKind};

impl Session {
    /// The extensions of a hello, to the message's end; old hellos have none, not even their length.
    pub(super) fn read_extensions(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_orig: bool,
        msg_type: u8,
        mut r: Reader<'_>,
    ) -> Parsed<()> {
        if !r.is_empty() {
            r.u16("ClientHello:ext_len")?;
        }
        let is_client = self.is_client(is_orig);
        while !r.is_empty() {
            let code = r.u16("SSLExtension:type")?;
            let val = r.vec16("SSLExtension")?.rest();
            if !val.is_empty() {
                self.read_extension(ctx, is_client, msg_type, code, Reader::new(val))?;
            }
            self.event(ctx, EventKind::SslExtension, |c, raise| {
                raise(&Event::SslExtension {
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
        mut r: Reader<'_>,
    ) -> Parsed<()> {
        match code {
            ext::SERVER_NAME => self.read_server_name(ctx, is_client, r)?,
            ext::ELLIPTIC_CURVES => {
                let curves = r.vec16("EllipticCurves:elliptic_curve_list")?.rest();
                self.event(ctx, EventKind::SslExtensionEllipticCurves, |c, raise| {
                    raise(&Event::SslExtensionEllipticCurves {
                        c,
                        is_orig: is_client,
                        curves: &u16s(curves),
                    });
                });
            }
            ext::EC_POINT_FORMATS => {
                let list = r.vec8("EcPointFormats:point_format_list")?.rest();
                self.event(ctx, EventKind::SslExtensionEcPointFormats, |c, raise| {
                    raise(&Event::SslExtensionEcPointFormats {
                        c,
                        is_orig: is_client,
                        point_formats: &list.iter().map(|&b| b.into()).collect::<Vec<u64>>(),
                    });
                });
            }
            ext::ALPN => self.read_alpn(ctx, is_client, r)?,
            ext::SIGNATURE_ALGORITHMS | ext::SIGNATURE_ALGORITHMS_CERT => {
                r.vec16("SignatureAlgorithm")?;
            }
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::CLIENT_HELLO => {
                let mut list = r.vec16("ClientHelloKeyShare")?;
                while !list.is_empty() {
                    list.u16("KeyShareEntry:namedgroup")?;
                    list.vec16("KeyShareEntry:key_exchange")?;
                }
            }
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::SERVER_HELLO => {
                let retry = r.len() == 2;
                let group = r.u16("KeyShareEntry:namedgroup")?;
                if !retry {
                    r.vec16("KeyShareEntry:key_exchange")?;
                }
                if !is_client {
                    self.info(ctx).curve(group);
                }
            }
            ext::SUPPORTED_VERSIONS if is_client => {
                r.vec8("SupportedVersions")?;
            }
            ext::SUPPORTED_VERSIONS => {
                let version = r.u16("OneSupportedVersion:version")?;
                self.info(ctx).server_version(version);
                self.set_version(version);
            }
            ext::PSK_KEY_EXCHANGE_MODES => {
                r.vec8("PSKKeyExchangeModes")?;
            }
            ext::PRE_SHARED_KEY if msg_type == hs::CLIENT_HELLO => {
                let mut identities = r.vec16("PSKIdentitiesList")?;
                while !identities.is_empty() {
                    identities.vec16("PSKIdentity:identity")?;
                    identities.u32("PSKIdentity:obfuscated_ticket_age")?;
                }
                let mut binders = r.vec16("PSKBindersList")?;
                while !binders.is_empty() {
                    binders.vec8("PSKBinder:binder")?;
                }
            }
            ext::PRE_SHARED_KEY if msg_type == hs::SERVER_HELLO => {
                r.u16("SelectedPreSharedKeyIdentity:selected_identity")?;
            }
            ext::ENCRYPTED_CLIENT_HELLO => {
                // 0 is the outer form; the inner one belongs under encryption.
                let form = r.u8("EncryptedClientHelloSwitch:tpe")?;
                if form != 0 {
                    ctx.out.weird("ssl_unexpected_inner_encrypted_client_hello", "");
                } else {
                    r.u16("EncryptedClientHello:kdf_id")?;
                    r.u16("EncryptedClientHello:aead_id")?;
                    r.u8("EncryptedClientHello:config_id")?;
                    r.vec16("EncryptedClientHello:enc")?;
                    r.vec16("EncryptedClientHello:payload")?;
                }
            }
            ext::CONNECTION_ID => {
                r.vec8("ConnectionId:cid")?;
            }
            ext::SIGNED_CERTIFICATE_TIMESTAMP => read_timestamps(r)?,
            _ => {}
        }
        Ok(())
    }

    fn read_server_name(&mut self, ctx: &mut Ctx<'_>, is_client: bool, mut r: Reader<'_>) -> Parsed<()> {
        let mut list = r.vec16("ServerNameExt")?;
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        let mut unknown = None;
        while !list.is_empty() {
            match list.u8("ServerName:name_type")? {
                0 => names.push(wire_text(list.vec16("ServerNameHostName:host_name")?.rest())),
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
        let names: Vec<&str> = names.iter().map(|n| &**n).collect();
        self.event(ctx, EventKind::SslExtensionServerName, |c, raise| {
            raise(&Event::SslExtensionServerName {
                c,
                is_orig: is_client,
                names: &names,
            });
        });
        let info = self.info(ctx);
        if let (true, Some(first)) = (is_client, names.first()) {
            info.server_name(first);
            if names.len() > 1 {
                ctx.out
                    .weird("SSL_many_server_names", &format!("[{}]", names.join(", ")));
            }
        }
        Ok(())
    }

    fn read_alpn(&mut self, ctx: &mut Ctx<'_>, is_client: bool, mut r: Reader<'_>) -> Parsed<()> {
        let mut list = r.vec16("ApplicationLayerProtocolNegotiationExtension")?;
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        while !list.is_empty() {
            names.push(wire_text(list.vec8("ProtocolName:name")?.rest()));
        }
        let protocols: Vec<&str> = names.iter().map(|n| &**n).collect();
        self.event(
            ctx,
            EventKind::SslExtensionApplicationLayerProtocolNegotiation,
            |c, raise| {
                raise(&Event::SslExtensionApplicationLayerProtocolNegotiation {
                    c,
                    is_orig: is_client,
                    protocols: &protocols,
                });
            },
        );
        let info = self.info(ctx);
        if let (false, Some(first)) = (is_client, protocols.first()) {
            info.next_protocol(first);
        }
        Ok(())
    }
}

/// Signed certificate timestamps (RFC 6962 section 3.3).
fn read_timestamps(mut r: Reader<'_>) -> Parsed<()> {
    let mut list = r.vec16("SignedCertificateTimestampList")?;
    while !list.is_empty() {
        let mut one = list.vec16("SignedCertificateTimestamp")?;
        one.u8("SignedCertificateTimestamp:version")?;
        one.take("SignedCertificateTimestamp:logid", 32)?;
        one.take("SignedCertificateTimestamp:timestamp", 8)?;
        one.vec16("SignedCertificateTimestamp:extensions")?;
        one.u16("SignedCertificateTimestamp:digitally_signed_algorithms")?;
        one.vec16("SignedCertificateTimestamp:digitally_signed_signature")?;
    }
    Ok(())
}
