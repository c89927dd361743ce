//! Messages in, whether they are some out.

use super::*;

fn with_type(kind: u8) -> Vec<u8> {
    let mut m = b"NTLMSSP\0".to_vec();
    m.extend([kind, 0, 0, 0]);
    m
}

fn place_of(len: u16, offset: u32) -> Vec<u8> {
    let mut p = len.to_le_bytes().to_vec();
    p.extend(len.to_le_bytes());
    p.extend(offset.to_le_bytes());
    p
}

/// CHALLENGE_MESSAGE with these attributes.
fn challenge_of(flags: u32, pairs: &[u8]) -> Vec<u8> {
    let mut m = with_type(2);
    m.extend(place_of(4, 56));
    m.extend(flags.to_le_bytes());
    m.extend([7; 8]);
    m.extend([0; 8]);
    m.extend(place_of(pairs.len() as u16, 60));
    m.extend([6, 1, 0, 0, 0, 0, 0, 15]);
    m.extend(b"D\0M\0");
    m.extend(pairs);
    m
}

#[test]
fn the_three_messages() {
    let mut first = with_type(1);
    first.extend(0x0200_1000u32.to_le_bytes());
    first.extend(place_of(2, 40));
    first.extend(place_of(0, 42));
    first.extend([0; 8]);
    first.extend(b"DM");
    assert_eq!(message(&first), Some(()));
    assert_eq!(message(&first[..first.len() - 1]), None);

    let pairs = [
        &[2u8, 0, 2, 0, b'D', 0][..],
        &[7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 0],
    ]
    .concat();
    let second = challenge_of(0x0280_0004, &pairs);
    assert_eq!(message(&second), Some(()));
    assert_eq!(message(&second[..second.len() - 5]), None);
    // What the flags do not promise is not read.
    assert_eq!(message(&challenge_of(0, &[9; 3])), Some(()));
    // An attribute that nobody knows.
    assert_eq!(message(&challenge_of(0x0080_0000, &[0x77, 0, 0, 0])), None);

    let mut third = with_type(3);
    for (len, offset) in [(0, 64), (24, 66), (0, 0), (2, 64), (0, 0), (0, 0)] {
        third.extend(place_of(len, offset));
    }
    third.extend([0; 4]);
    third.extend(b"me");
    third.extend([1; 24]);
    assert_eq!(message(&third), Some(()));
    assert_eq!(message(&third[..third.len() - 1]), None);
}

#[test]
fn offsets_before_the_payload_lead_nowhere() {
    let mut third = with_type(3);
    for _ in 0..6 {
        third.extend(place_of(1, 3));
    }
    third.extend([0; 40]);
    assert_eq!(message(&third), None);
}

#[test]
fn of_other_types_nothing_is_known() {
    assert_eq!(message(&with_type(9)), Some(()));
    assert_eq!(message(&with_type(9)[..11]), None);
    assert_eq!(message(&[1; 16]), Some(()));
}
