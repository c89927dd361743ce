//! The extensions of hellos that say what a side can do, and which of it the other one takes.

use super::handshake::{signature_algorithms, u16s};
use super::log::Offers;
use super::offer_events::{
    PskIdentities, PskIdentity, SignatureAlgorithms, SignatureAndHashAlgorithm,
    SslExtensionConnectionId as ConnectionId, SslExtensionEncryptedClientHello as EncryptedClientHello,
    SslExtensionKeyShare as KeyShare, SslExtensionPreSharedKeyClientHello as OfferedKeys,
    SslExtensionPreSharedKeyServerHello as ChosenKey, SslExtensionPskKeyExchangeModes as PskModes,
    SslExtensionSignatureAlgorithm as SignatureAlgorithm,
    SslExtensionSignatureAlgorithmsCert as SignatureSchemes,
    SslExtensionSignedCertificateTimestamp as Timestamp, SslExtensionSupportedVersions as SupportedVersions,
};
use super::reader::{Parsed, Short, TlsReader};
use super::session::Session;
use crate::analyzer::api::Ctx;

/// Raises an event of a hello if somebody wants it.
macro_rules! raise {
    ($s:ident, $ctx:ident, $event:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        $s.event($ctx, $event::KIND, |c, raise| raise(&$event { c, $($field $(: $value)?),* }))
    };
}

/// Most extensions that a row of ssl.log has of a side: more than there are kinds of, as hellos may come again and again.
const MOST_LISTED: usize = 256;

impl Session {
    /// Notes what a hello says, if ssl.log is to have it.
    pub(super) fn note(&mut self, ctx: &Ctx<'_>, note: impl FnOnce(&mut Offers)) {
        if self.shared.settings.extras.offers {
            note(self.info(ctx).offers());
        }
    }

    /// An extension came, of whichever kind.
    pub(super) fn note_extension(&mut self, ctx: &Ctx<'_>, is_client: bool, code: u16) {
        self.note(ctx, |o| {
            let list = match is_client {
                true => &mut o.ssl_client_exts,
                false => &mut o.ssl_server_exts,
            };
            let list = list.get_or_insert_default();
            if list.len() < MOST_LISTED {
                list.push(code.into());
            }
        });
    }

    pub(super) fn read_signature_algorithms(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let list = signature_algorithms(&mut r)?;
        let all = || -> Vec<_> {
            u16s(list)
                .into_iter()
                .map(SignatureAndHashAlgorithm::from_scheme)
                .collect()
        };
        raise!(
            self,
            ctx,
            SignatureAlgorithm {
                is_client,
                signature_algorithms: SignatureAlgorithms::Made(&all()),
            }
        );
        if is_client {
            self.note(ctx, |o| {
                let (hashes, signatures) = u16s(list).iter().map(|n| (n >> 8, n & 0xff)).unzip();
                (o.hashalgs, o.sigalgs) = (Some(hashes), Some(signatures));
            });
        }
        Ok(())
    }

    pub(super) fn read_signature_schemes(
        &self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let list = signature_algorithms(&mut r)?;
        raise!(
            self,
            ctx,
            SignatureSchemes {
                is_client,
                signature_schemes: &u16s(list)
            }
        );
        Ok(())
    }

    /// What a client has keys for.
    pub(super) fn read_key_shares(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let mut list = r.vec16("ClientHelloKeyShare:length", "ClientHelloKeyShare")?;
        let wanted = ctx.subs.wants(KeyShare::KIND) || self.shared.settings.extras.offers;
        let mut groups = Vec::new();
        while !list.is_empty() {
            let group = list.part(key_share)?;
            groups.extend(wanted.then(|| u64::from(group)));
        }
        raise!(
            self,
            ctx,
            KeyShare {
                is_client,
                curves: &groups
            }
        );
        if is_client {
            self.note(ctx, |o| o.client_key_share_groups = Some(groups));
        }
        Ok(())
    }

    /// The server's key, or the group that it wants one for.
    pub(super) fn read_chosen_key_share(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        // A retry request has the group alone.
        let group = match r.len() {
            2 => r.u16("HelloRetryRequestKeyShare")?,
            _ => key_share(&mut r)?,
        };
        raise!(
            self,
            ctx,
            KeyShare {
                is_client,
                curves: &[group.into()]
            }
        );
        if !is_client {
            self.note(ctx, |o| o.server_key_share_group = Some(group.into()));
            self.info(ctx).curve(group);
        }
        Ok(())
    }

    pub(super) fn read_supported_versions(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        if !is_client {
            let version = r.u16("OneSupportedVersion")?;
            self.set_version(version);
            raise!(
                self,
                ctx,
                SupportedVersions {
                    is_client,
                    versions: &[version.into()]
                }
            );
            self.note(ctx, |o| o.server_supported_version = Some(version.into()));
            self.info(ctx).server_version(version);
            return Ok(());
        }
        let list = r.vec8("SupportedVersions:length", "SupportedVersions")?.rest();
        if !list.len().is_multiple_of(2) {
            // The last one is a byte longer than the list, which begins after its length.
            return Err(Short {
                at: "SupportedVersions:versions__elem",
                need: list.len() + 2,
                have: list.len() + 1,
            });
        }
        raise!(
            self,
            ctx,
            SupportedVersions {
                is_client,
                versions: &u16s(list)
            }
        );
        self.note(ctx, |o| o.client_supported_versions = Some(u16s(list)));
        Ok(())
    }

    pub(super) fn read_psk_modes(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let list = r
            .vec8("PSKKeyExchangeModes:length", "PSKKeyExchangeModes")?
            .rest();
        let modes = || -> Vec<u64> { list.iter().map(|m| u64::from(*m)).collect() };
        raise!(
            self,
            ctx,
            PskModes {
                is_client,
                modes: &modes()
            }
        );
        if is_client {
            self.note(ctx, |o| o.psk_key_exchange_modes = Some(modes()));
        }
        Ok(())
    }

    /// Pre-shared keys a client offers (RFC 8446 section 4.2.11).
    pub(super) fn read_offered_keys(
        &self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let wanted = ctx.subs.wants(OfferedKeys::KIND);
        let mut list = r.part(|r| r.vec16("PSKIdentitiesList:length", "PSKIdentitiesList"))?;
        let mut identities = Vec::new();
        while !list.is_empty() {
            let one = list.part(|r| {
                Ok(PskIdentity {
                    identity: r.vec16("PSKIdentity:length", "PSKIdentity:identity")?.rest(),
                    obfuscated_ticket_age: r.u32("PSKIdentity:obfuscated_ticket_age")?.into(),
                })
            })?;
            identities.extend(wanted.then_some(one));
        }
        let mut list = r.part(|r| r.vec16("PSKBindersList:length", "PSKBindersList"))?;
        let mut binders = Vec::new();
        while !list.is_empty() {
            let binder = list.part(|r| r.vec8("PSKBinder:length", "PSKBinder:binder"));
            let binder = binder?.rest();
            binders.extend(wanted.then_some(binder));
        }
        raise!(
            self,
            ctx,
            OfferedKeys {
                is_client,
                identities: PskIdentities::Made(&identities),
                binders: &binders,
            }
        );
        Ok(())
    }

    pub(super) fn read_chosen_key(
        &self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let selected_identity = r.u16("SelectedPreSharedKeyIdentity")?.into();
        raise!(
            self,
            ctx,
            ChosenKey {
                is_client,
                selected_identity
            }
        );
        Ok(())
    }

    pub(super) fn read_connection_id(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let cid = r.vec8("ConnectionId:length", "ConnectionId:cid")?.rest();
        self.connection_ids[usize::from(!is_client)] = Some(cid.len() as u8);
        raise!(self, ctx, ConnectionId { is_client, cid });
        Ok(())
    }

    /// A client's hello for the server behind the one that is named (RFC 9849 section 5).
    pub(super) fn read_encrypted_hello(
        &mut self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        const KEY: &str = "EncryptedClientHello:enc_length";
        // The hello inside has another type and nothing more.
        if r.u8("EncryptedClientHelloSwitch:tpe")? != 0 {
            return Ok(());
        }
        let mut r = TlsReader::new(r.rest());
        r.check(KEY, 7)?;
        let (kdf_id, aead_id, config_id) = (r.u16(KEY)?, r.u16(KEY)?, r.u8(KEY)?);
        let enc = r.vec16(KEY, "EncryptedClientHello:enc")?.rest();
        let payload = r.vec16(
            "EncryptedClientHello:payload_length",
            "EncryptedClientHello:payload",
        )?;
        raise!(
            self,
            ctx,
            EncryptedClientHello {
                is_client,
                kdf_id: kdf_id.into(),
                aead_id: aead_id.into(),
                config_id: config_id.into(),
                enc,
                payload_length: payload.len() as u64,
            }
        );
        if is_client {
            self.note(ctx, |o| {
                (o.ech_kdf_id, o.ech_aead_id) = (Some(kdf_id.into()), Some(aead_id.into()));
            });
        }
        Ok(())
    }

    /// Signed certificate timestamps (RFC 6962 section 3.3).
    pub(super) fn read_timestamps(
        &self,
        ctx: &mut Ctx<'_>,
        is_client: bool,
        mut r: TlsReader<'_>,
    ) -> Parsed<()> {
        let mut list = r.vec16(
            "SignedCertificateTimestampList:length",
            "SignedCertificateTimestampList",
        )?;
        while !list.is_empty() {
            list.part(|r| self.read_timestamp(ctx, is_client, r))?;
        }
        Ok(())
    }

    fn read_timestamp(&self, ctx: &mut Ctx<'_>, is_client: bool, r: &mut TlsReader<'_>) -> Parsed<()> {
        const VERSION: &str = "SignedCertificateTimestamp:version";
        const EXTENSIONS: &str = "SignedCertificateTimestamp:extensions_length";
        const SIGNATURE: &str = "SignedCertificateTimestamp:digitally_signed_signature_length";
        r.check(VERSION, 3)?;
        let length = usize::from(r.u16(VERSION)?);
        r.end_after("SignedCertificateTimestamp", length)?;
        let version = r.u8(VERSION)?;
        let logid = r.take("SignedCertificateTimestamp:logid", 32)?;
        r.check(EXTENSIONS, 10)?;
        let high = r.u32("SignedCertificateTimestamp:timestamp")?;
        let low = r.u32("SignedCertificateTimestamp:timestamp")?;
        r.vec16(EXTENSIONS, "SignedCertificateTimestamp:extensions")?;
        r.check(SIGNATURE, 4)?;
        let scheme = r.u16("SignedCertificateTimestamp:digitally_signed_algorithms")?;
        let mut signature = r.vec16(SIGNATURE, "SignedCertificateTimestamp:digitally_signed_signature")?;
        r.rest();
        raise!(
            self,
            ctx,
            Timestamp {
                is_client,
                version: version.into(),
                logid,
                timestamp: u64::from(high) << 32 | u64::from(low),
                signature_and_hashalgorithm: SignatureAndHashAlgorithm::from_scheme(scheme.into()),
                signature: signature.rest(),
            }
        );
        Ok(())
    }
}

/// The group of a key share; the key itself is of no interest.
fn key_share(r: &mut TlsReader<'_>) -> Parsed<u16> {
    const LENGTH: &str = "KeyShareEntry:key_exchange_length";
    r.check(LENGTH, 4)?;
    let group = r.u16(LENGTH)?;
    r.vec16(LENGTH, "KeyShareEntry:key_exchange")?;
    Ok(group)
}
