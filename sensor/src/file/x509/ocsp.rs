//! OCSP responses (RFC 6960, section 4.2.1): what is said of each certificate.

use x509_parser::der_parser::asn1_rs::{Any, Class, Oid, Tag};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::cert::serial;
use crate::event::json::hex;

/// id-pkix-ocsp-basic (section 4.2.1), the only kind of response there is.
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";

/// Most answers that are read of a response. Real ones have one.
const MAX_ANSWERS: usize = 64;

/// CRLReason (RFC 5280, section 5.3.1), by number.
const REASONS: [&str; 11] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    UNKNOWN_REASON,
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
];
/// OpenSSL's text for what is none.
const UNKNOWN_REASON: &str = "(UNKNOWN)";

/// What is said of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// OpenSSL's name of the algorithm of both hashes, `sha1`.
    pub hash_algorithm: String,
    /// Hash of the issuer's name, upper-case hex.
    pub issuer_name_hash: String,
    /// Hash of the issuer's key, upper-case hex.
    pub issuer_key_hash: String,
    /// The certificate's serial number, upper-case hex.
    pub serial: String,
    /// Whether it is still to be believed.
    pub status: Status,
    /// When that was so, seconds since the epoch.
    pub this_update: i64,
    /// Until when it is good to know, seconds since the epoch.
    pub next_update: Option<i64>,
}

/// CertStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `good`.
    Good,
    /// `revoked`, when (seconds since the epoch) and why.
    Revoked(i64, Option<&'static str>),
    /// `unknown`.
    Unknown,
}

/// The answers of a response; `None` when it is none. One that says of itself that it has no answer has none.
pub fn answers(der: &[u8]) -> Option<Vec<Answer>> {
    let mut response = inside(der, Class::Universal, Tag::Sequence.0)?;
    let status = next(&mut response)?;
    if status.tag() != Tag::Enumerated {
        return None;
    }
    if response.is_empty() {
        return Some(Vec::new());
    }
    let bytes = inside(response, Class::ContextSpecific, 0)?;
    let mut bytes = inside(bytes, Class::Universal, Tag::Sequence.0)?;
    if object(&next(&mut bytes)?)? != BASIC {
        return Some(Vec::new());
    }
    let basic = next(&mut bytes)?;
    let mut data = inside(basic.data, Class::Universal, Tag::Sequence.0)
        .and_then(|basic| inside(basic, Class::Universal, Tag::Sequence.0))?;
    let mut first = next(&mut data)?;
    if (first.class(), first.tag().0) == (Class::ContextSpecific, 0) {
        // The version.
        first = next(&mut data)?;
    }
    // The responder, and when it said so.
    let (_, _) = (first, next(&mut data)?);
    let mut list = inside(data, Class::Universal, Tag::Sequence.0)?;
    let mut answers = Vec::new();
    while !list.is_empty() && answers.len() < MAX_ANSWERS {
        answers.push(answer(next(&mut list)?.data)?);
    }
    Some(answers)
}

/// One SingleResponse's content.
fn answer(mut rest: &[u8]) -> Option<Answer> {
    let mut id = next(&mut rest)?.data;
    let algorithm = next(&mut id)?;
    let algorithm = object(&next(&mut { algorithm.data })?)?;
    let [name, key, number] = [next(&mut id)?, next(&mut id)?, next(&mut id)?];
    let status = next(&mut rest)?;
    let status = match status.tag().0 {
        0 => Status::Good,
        1 => revoked(status.data)?,
        _ => Status::Unknown,
    };
    let this_update = time(&mut rest)?;
    let next_update = match inside(rest, Class::ContextSpecific, 0) {
        Some(mut t) => Some(time(&mut t)?),
        None => None,
    };
    Some(Answer {
        hash_algorithm: digest(&algorithm).map_or(algorithm, str::to_owned),
        issuer_name_hash: hex(name.data).to_ascii_uppercase(),
        issuer_key_hash: hex(key.data).to_ascii_uppercase(),
        serial: serial(number.data),
        status,
        this_update,
        next_update,
    })
}

/// OpenSSL's names of algorithms that make hashes.
fn digest(id: &str) -> Option<&'static str> {
    Some(match id {
        "1.3.14.3.2.26" => "sha1",
        "2.16.840.1.101.3.4.2.1" => "sha256",
        "2.16.840.1.101.3.4.2.2" => "sha384",
        "2.16.840.1.101.3.4.2.3" => "sha512",
        "2.16.840.1.101.3.4.2.4" => "sha224",
        _ => return None,
    })
}

/// RevokedInfo's content.
fn revoked(mut rest: &[u8]) -> Option<Status> {
    let at = time(&mut rest)?;
    let reason = inside(rest, Class::ContextSpecific, 0).map(|mut reason| {
        let number = next(&mut reason).map(|n| n.data);
        let known = match number {
            Some([n]) => REASONS.get(usize::from(*n)),
            _ => None,
        };
        known.copied().unwrap_or(UNKNOWN_REASON)
    });
    Some(Status::Revoked(at, reason))
}

/// Takes the next element.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Any<'a>> {
    let (after, element) = Any::from_der(rest).ok()?;
    *rest = after;
    Some(element)
}

/// What is in the element that `der` begins with, if it is this one.
fn inside(der: &[u8], class: Class, tag: u32) -> Option<&[u8]> {
    let (_, element) = Any::from_der(der).ok()?;
    ((element.class(), element.tag().0) == (class, tag)).then_some(element.data)
}

fn object(element: &Any<'_>) -> Option<String> {
    let is_oid = element.tag() == Tag::Oid;
    is_oid.then(|| Oid::new(element.data.into()).to_id_string())
}

/// Takes a time, seconds since the epoch.
fn time(rest: &mut &[u8]) -> Option<i64> {
    let (after, time) = ASN1Time::from_der(rest).ok()?;
    *rest = after;
    Some(time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of less than 256 bytes.
    fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        match content.len() {
            n @ ..128 => [&[tag, n as u8], &content[..]].concat(),
            n => [&[tag, 0x81, n as u8], &content[..]].concat(),
        }
    }

    /// A response with one answer of this status.
    fn response(status: &[u8]) -> Vec<u8> {
        let sha1 = der(0x30, &[&der(6, &[&[0x2b, 14, 3, 2, 26]])]);
        let id = der(
            0x30,
            &[
                &sha1,
                &der(4, &[&[0xab; 4]]),
                &der(4, &[&[0xcd; 4]]),
                &der(2, &[&[1, 2]]),
            ],
        );
        let time = |text: &[u8]| der(0x18, &[text]);
        let single = der(
            0x30,
            &[
                &id,
                status,
                &time(b"20150618223000Z"),
                &der(0xa0, &[&time(b"20150620103000Z")]),
            ],
        );
        let data = der(
            0x30,
            &[
                &der(0xa2, &[&der(4, &[b"key"])]),
                &time(b"20150618223000Z"),
                &der(0x30, &[&single]),
            ],
        );
        let basic = der(0x30, &[&data]);
        let kind = der(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]]);
        let bytes = der(0x30, &[&kind, &der(4, &[&basic])]);
        der(0x30, &[&der(10, &[&[0]]), &der(0xa0, &[&bytes])])
    }

    #[test]
    fn an_answer_has_its_certificate_and_status() {
        let good = response(&[0x80, 0]);
        let answers = answers(&good).unwrap();
        let want = Answer {
            hash_algorithm: "sha1".into(),
            issuer_name_hash: "ABABABAB".into(),
            issuer_key_hash: "CDCDCDCD".into(),
            serial: "0102".into(),
            status: Status::Good,
            this_update: 1_434_666_600,
            next_update: Some(1_434_796_200),
        };
        assert_eq!(answers, [want]);
        let status = |s: &[u8]| super::answers(&response(s)).unwrap()[0].status;
        assert_eq!(status(&[0x82, 0]), Status::Unknown);
        let at = der(0x18, &[b"20150618223000Z"]);
        assert_eq!(status(&der(0xa1, &[&at])), Status::Revoked(1_434_666_600, None));
        let why = |n: u8| der(0xa0, &[&der(10, &[&[n]])]);
        let revoked = |n: u8| status(&der(0xa1, &[&at, &why(n)]));
        assert_eq!(revoked(4), Status::Revoked(1_434_666_600, Some("superseded")));
        assert_eq!(revoked(7), Status::Revoked(1_434_666_600, Some(UNKNOWN_REASON)));
        assert_eq!(revoked(99), Status::Revoked(1_434_666_600, Some(UNKNOWN_REASON)));
    }

    #[test]
    fn what_is_damaged_is_none() {
        let good = response(&[0x80, 0]);
        for n in 0..good.len() {
            assert_eq!(answers(&good[..n]), None, "{n} bytes of it");
            let mut bad = good.clone();
            bad[n] ^= 0x55;
            // Whatever it is, it is read to its end.
            answers(&bad);
        }
        // The responder was not able to answer.
        assert_eq!(answers(&[0x30, 3, 10, 1, 6]), Some(vec![]));
    }
}
