//! What a side offers in its KEXINIT, as an event and in weirds.

use super::events::{AlgorithmPrefs, Capabilities, SshCapabilities};
use super::kex;
use super::wire::KexInit;
use crate::analyzer::api::Ctx;

/// Tells of an offer.
pub fn tell(is_orig: bool, offer: &KexInit<'_>, ctx: &mut Ctx<'_>) {
    say_long_lists(offer, ctx);
    if ctx.subs.wants(SshCapabilities::KIND) {
        raise_capabilities(is_orig, offer, ctx);
    }
}

/// A length or a number is beyond what is read.
pub fn limit_reached(weird: &'static str, is: u64, most: u64, ctx: &mut Ctx<'_>) {
    ctx.out.weird(weird, &format!("{is} > {most}"));
    ctx.out.gave_up();
}

/// Says which lists have more names than are read.
fn say_long_lists(offer: &KexInit<'_>, ctx: &mut Ctx<'_>) {
    let lists: [(&'static str, &[&[u8]]); 6] = [
        ("SSH_max_kexinit_kex_algorithms_exceeded", &[offer.kex]),
        ("SSH_max_kexinit_hostkey_algorithms_exceeded", &[offer.host_key]),
        (
            "SSH_max_kexinit_encryption_algorithms_exceeded",
            &offer.encryption,
        ),
        ("SSH_max_kexinit_mac_algorithms_exceeded", &offer.mac),
        (
            "SSH_max_kexinit_compression_algorithms_exceeded",
            &offer.compression,
        ),
        ("SSH_max_kexinit_languages_exceeded", &offer.languages),
    ];
    for (weird, lists) in lists {
        for n in lists.iter().map(|list| kex::count(list)) {
            if n > kex::MOST_NAMES {
                limit_reached(weird, n as u64, kex::MOST_NAMES as u64, ctx);
            }
        }
    }
}

/// The event of it.
fn raise_capabilities(is_orig: bool, offer: &KexInit<'_>, ctx: &mut Ctx<'_>) {
    fn names(list: &[u8]) -> Vec<&[u8]> {
        kex::names(list).collect()
    }
    fn prefs<'l>(both: &'l [Vec<&'l [u8]>; 2]) -> AlgorithmPrefs<'l> {
        let [to_server, to_client] = both;
        AlgorithmPrefs {
            client_to_server: Some(to_server),
            server_to_client: Some(to_client),
        }
    }
    let [kex, host_key] = [offer.kex, offer.host_key].map(names);
    let [encryption, mac, compression, languages] =
        [offer.encryption, offer.mac, offer.compression, offer.languages].map(|both| both.map(names));
    let languages = languages
        .each_ref()
        .map(|list| Some(&list[..]).filter(|l| *l != [&b""[..]]));
    let ev = SshCapabilities {
        c: ctx.c,
        cookie: offer.cookie,
        capabilities: Capabilities {
            kex_algorithms: &kex,
            server_host_key_algorithms: &host_key,
            encryption_algorithms: prefs(&encryption),
            mac_algorithms: prefs(&mac),
            compression_algorithms: prefs(&compression),
            languages: (languages != [None, None]).then_some(AlgorithmPrefs {
                client_to_server: languages[0],
                server_to_client: languages[1],
            }),
            is_server: !is_orig,
        },
    };
    ctx.out.event(ctx.ts, &ev);
}
