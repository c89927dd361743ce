//! GSS-API's negotiation (SPNEGO, RFC 4178), inside other protocols: sure when a token was read whole. What it carries is
//! NTLM's or Kerberos'. No port and no signature brings it onto a connection by itself.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use super::inner::Inner;
use super::krb::Krb;
use super::ntlm::Ntlm;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Gssapi;

/// One negotiation's state.
#[derive(Debug)]
pub struct Gssapi {
    ntlm: Inner<Ntlm>,
    krb: Inner<Krb>,
}

impl Protocol for Gssapi {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_GSSAPI", "gssapi"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> Gssapi {
        Gssapi {
            ntlm: Inner::new(Ntlm),
            krb: Inner::new(Krb::default()),
        }
    }

    /// One token.
    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match self.token(is_orig, &mut Fields::new(bytes), ctx) {
            Some(()) => ctx.confirm(),
            None => ctx.violation_inside("no GSS-API token"),
        }
        Next::More
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }
}

impl Gssapi {
    fn token(&mut self, is_orig: bool, f: &mut Fields<'_>, ctx: &mut Ctx<'_>) -> Option<()> {
        let start = f.ahead().le16();
        let is_init = f.header()?.tag == 0x60;
        // MIC and wrap tokens (RFC 4121, section 4.2.6).
        if matches!(start, Some(0x0404 | 0x0405)) {
            return Some(());
        }
        if is_init {
            f.value()?;
            f.header()?;
        }
        // NegTokenInit or NegTokenResp.
        f.header()?;
        while !f.is_empty() {
            let header = f.header()?;
            let arg = &mut f.within(header.len)?;
            match header.index() {
                0 | 1 | 3 => arg.value().map(drop),
                2 => {
                    let token = arg.value()?;
                    self.carried(is_orig, token, ctx)
                }
                _ => None,
            }?;
        }
        Some(())
    }

    /// A mechanism's token.
    fn carried(&mut self, is_orig: bool, token: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        if token.starts_with(b"NTLMSSP") {
            self.ntlm.data(is_orig, token, ctx);
            return Some(());
        }
        // Kerberos' messages are behind its object identifier and the token's (RFC 4121, section 4.1); Zeek looks for them
        // nowhere else.
        if token.first() != Some(&0x60) {
            return Some(());
        }
        let mut f = Fields::new(token);
        f.header()?;
        f.value()?;
        f.skip(2)?;
        let krb = f.rest();
        self.krb.read(ctx, |a, ctx| {
            if !a.message(krb, ctx) {
                ctx.violation_of_datagram("no Kerberos message");
            }
            Next::More
        });
        Some(())
    }
}
