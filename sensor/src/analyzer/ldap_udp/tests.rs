//! Datagrams in, what is confirmed out.

use crate::analyzer::tried::{C, S, Trial, ber};

#[test]
fn whole_messages_are_ldap() {
    let unbind = ber(0x30, &[&ber(2, &[&[1]]), &ber(0x42, &[])]);
    let done = ber(
        0x30,
        &[
            &ber(2, &[&[1]]),
            &ber(0x65, &[&ber(10, &[&[0]]), &ber(4, &[]), &ber(4, &[])]),
        ],
    );
    let t = Trial::udp(389)
        .says(C, &unbind)
        .says(S, &[done.clone(), done.clone()].concat())
        .result();
    assert_eq!(
        (t.services, t.said),
        (vec!["ldap_udp"], vec!["is ldap_udp".to_owned()])
    );
    let t = Trial::udp(389)
        .says(C, &unbind)
        .says(S, &done[..done.len() - 1])
        .result();
    assert_eq!(t.said, ["is ldap_udp", "ldap_udp: no LDAP message"]);
    assert!(t.services.is_empty());
}
