//! The extensions of hellos.
//!
//! What has no event of its own is read all the same: a value that does not fit its lengths is a violation.

use super::events;
use super::handshake::u16s;
use super::reader::{Parsed, TlsReader};
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
            self.note_extension(ctx, is_client, code);
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
                if is_client {
                    self.note(ctx, |o| o.client_curves = Some(u16s(curves)));
                }
            }
            ext::EC_POINT_FORMATS => {
                let n = r.u8("EcPointFormats:length")?;
                let list = r.list("EcPointFormats:point_format_list", n.into(), 1)?;
                let formats = || list.iter().map(|&b| b.into()).collect::<Vec<u64>>();
                self.event(ctx, events::SslExtensionEcPointFormats::KIND, |c, raise| {
                    raise(&events::SslExtensionEcPointFormats {
                        c,
                        is_orig: is_client,
                        point_formats: &formats(),
                    });
                });
                if is_client {
                    self.note(ctx, |o| o.point_formats = Some(formats()));
                }
            }
            ext::ALPN => self.read_alpn(ctx, is_client, r)?,
            ext::SIGNATURE_ALGORITHMS => self.read_signature_algorithms(ctx, is_client, r)?,
            // Zeek 8 does not read these: one that does not fit is no violation.
            ext::SIGNATURE_ALGORITHMS_CERT => {
                self.read_signature_schemes(ctx, is_client, r).unwrap_or_default();
            }
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::CLIENT_HELLO => {
                self.read_key_shares(ctx, is_client, r)?;
            }
            ext::KEY_SHARE | ext::KEY_SHARE_OLD if msg_type == hs::SERVER_HELLO => {
                self.read_chosen_key_share(ctx, is_client, r)?;
            }
            ext::SUPPORTED_VERSIONS => self.read_supported_versions(ctx, is_client, r)?,
            ext::PSK_KEY_EXCHANGE_MODES => self.read_psk_modes(ctx, is_client, r)?,
            ext::PRE_SHARED_KEY if msg_type == hs::CLIENT_HELLO => {
                self.read_offered_keys(ctx, is_client, r)?
            }
            ext::PRE_SHARED_KEY if msg_type == hs::SERVER_HELLO => self.read_chosen_key(ctx, is_client, r)?,
            // A server has eight bytes of its own in its place.
            ext::ENCRYPTED_CLIENT_HELLO if msg_type == hs::CLIENT_HELLO => {
                self.read_encrypted_hello(ctx, is_client, r).unwrap_or_default();
            }
            // The server chooses (RFC 7250 section 4.2).
            ext::SERVER_CERTIFICATE_TYPE if msg_type == hs::SERVER_HELLO => {
                self.certificate_types[0] = r.u8("CertificateType")?;
            }
            ext::CLIENT_CERTIFICATE_TYPE if msg_type == hs::SERVER_HELLO => {
                self.certificate_types[1] = r.u8("CertificateType")?;
            }
            ext::CONNECTION_ID => self.read_connection_id(ctx, is_client, r)?,
            ext::SIGNED_CERTIFICATE_TIMESTAMP => self.read_timestamps(ctx, is_client, r)?,
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
        if is_client {
            self.note(ctx, |o| {
                o.orig_alpn = Some(protocols.iter().map(|p| p.to_vec()).collect())
            });
        }
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
