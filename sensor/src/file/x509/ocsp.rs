//! OCSP (RFC 6960): the certificates that a request asks for, and what a response says of each.

use x509_parser::der_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::cert::serial;
use super::name::rfc2253;
use super::oid;
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

/// Which certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    /// OpenSSL's name of the algorithm of both hashes, `sha1`.
    pub hash_algorithm: String,
    /// Hash of the issuer's name, upper-case hex.
    pub issuer_name_hash: String,
    /// Hash of the issuer's key, upper-case hex.
    pub issuer_key_hash: String,
    /// The certificate's serial number, upper-case hex.
    pub serial: String,
}

/// What is said of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which one.
    pub id: CertId,
    /// Whether it is still to be believed.
    pub status: Status,
    /// When that was so, seconds since the epoch.
    pub this_update: i64,
    /// Until when it is good to know, seconds since the epoch.
    pub next_update: Option<i64>,
    /// What else is said of it.
    pub extensions: Vec<Extension>,
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

/// An extension of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its object identifier.
    pub oid: String,
    /// Its critical bit.
    pub critical: bool,
    /// What it says, as text.
    pub value: String,
}

impl Extension {
    /// OpenSSL's long and short name, if it has some.
    pub fn names(&self) -> Option<(&'static str, &'static str)> {
        Some(match self.oid.as_str() {
            NONCE => ("OCSP Nonce", "Nonce"),
            "1.3.6.1.5.5.7.48.1.3" => ("OCSP CRL ID", "CrlID"),
            "1.3.6.1.5.5.7.48.1.6" => ("OCSP Archive Cutoff", "archiveCutoff"),
            "1.3.6.1.4.1.11129.2.4.5" => ("CT Certificate SCTs", "ct_cert_scts"),
            _ => return None,
        })
    }
}

/// id-pkix-ocsp-nonce (section 4.4.1).
const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'d> {
    /// OpenSSL's word for whether the request could be answered.
    pub status: &'static str,
    /// Its answers, if it has any.
    pub basic: Option<Basic<'d>>,
}

/// What is answered, by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic<'d> {
    /// 0 is version 1.
    pub version: u64,
    /// Name, or hash of the key, of who answers.
    pub responder: String,
    /// When, seconds since the epoch.
    pub produced_at: i64,
    /// What is said of each certificate.
    pub answers: Vec<Answer>,
    /// OpenSSL's name of how it is signed; empty where that cannot be read.
    pub signature_algorithm: String,
    /// Certificates beside it, DER.
    pub certificates: Vec<&'d [u8]>,
    /// What is said of the response.
    pub extensions: Vec<Extension>,
}

/// A request: its version, 0 is version 1, and which certificates it asks for. `None` when it is none.
pub fn request(der: &[u8]) -> Option<(u64, Vec<CertId>)> {
    let request = inside(der, Class::Universal, Tag::Sequence.0)?;
    let mut data = inside(request, Class::Universal, Tag::Sequence.0)?;
    let version = version(&mut data);
    if inside(data, Class::ContextSpecific, 1).is_some() {
        // Who asks.
        next(&mut data)?;
    }
    let mut list = inside(data, Class::Universal, Tag::Sequence.0)?;
    let mut ids = Vec::new();
    while !list.is_empty() && ids.len() < MAX_ANSWERS {
        let one = next(&mut list)?.data;
        ids.push(cert_id(inside(one, Class::Universal, Tag::Sequence.0)?)?);
    }
    Some((version, ids))
}

/// A response; `None` when it is none. One that says of itself that it has no answer has none.
pub fn response(der: &[u8]) -> Option<Response<'_>> {
    let mut rest = inside(der, Class::Universal, Tag::Sequence.0)?;
    let status = next(&mut rest)?;
    if status.tag() != Tag::Enumerated {
        return None;
    }
    let status = status_name(status.data);
    let none = Response { status, basic: None };
    if rest.is_empty() {
        return Some(none);
    }
    let bytes = inside(rest, Class::ContextSpecific, 0)?;
    let mut bytes = inside(bytes, Class::Universal, Tag::Sequence.0)?;
    if object(&next(&mut bytes)?)? != BASIC {
        return Some(none);
    }
    let basic = inside(next(&mut bytes)?.data, Class::Universal, Tag::Sequence.0)?;
    Some(Response {
        status,
        basic: Some(basic_response(basic)?),
    })
}

/// BasicOCSPResponse's content.
fn basic_response(mut rest: &[u8]) -> Option<Basic<'_>> {
    let mut data = inside(rest, Class::Universal, Tag::Sequence.0)?;
    next(&mut rest)?;
    let version = version(&mut data);
    let responder = responder(&next(&mut data)?);
    let produced_at = time(&mut { data }).unwrap_or(0);
    next(&mut data)?;
    let mut list = inside(data, Class::Universal, Tag::Sequence.0)?;
    next(&mut data)?;
    let mut answers = Vec::new();
    while !list.is_empty() && answers.len() < MAX_ANSWERS {
        answers.push(answer(next(&mut list)?.data)?);
    }
    // What follows is for events alone: the answers stand without it.
    let algorithm = inside(rest, Class::Universal, Tag::Sequence.0)
        .and_then(|mut algorithm| object(&next(&mut algorithm)?))
        .unwrap_or_default();
    let _ = (next(&mut rest), next(&mut rest));
    Some(Basic {
        version,
        responder,
        produced_at,
        answers,
        signature_algorithm: oid::algorithm(&algorithm).map_or(algorithm, str::to_owned),
        certificates: certificates(rest),
        extensions: extensions(data, 1),
    })
}

/// Takes the version, which is left out where it is the first.
fn version(rest: &mut &[u8]) -> u64 {
    let Some(version) = inside(rest, Class::ContextSpecific, 0) else {
        return 0;
    };
    let _ = next(rest);
    match next(&mut { version }).map(|n| n.data) {
        Some([n]) => (*n).into(),
        _ => 0,
    }
}

/// OpenSSL's names of OCSPResponseStatus.
fn status_name(number: &[u8]) -> &'static str {
    match number {
        [0] => "successful",
        [1] => "malformedrequest",
        [2] => "internalerror",
        [3] => "trylater",
        [5] => "sigrequired",
        [6] => "unauthorized",
        _ => "(UNKNOWN)",
    }
}

/// ResponderID: a name, or the hash of a key.
fn responder(id: &Any<'_>) -> String {
    let text = match id.tag().0 {
        1 => X509Name::from_der(id.data)
            .ok()
            .and_then(|(_, name)| rfc2253(&name)),
        _ => next(&mut { id.data }).map(|key| hex(key.data).to_ascii_uppercase()),
    };
    text.unwrap_or_default()
}

/// The certificates that follow a response's signature.
fn certificates(rest: &[u8]) -> Vec<&[u8]> {
    let list = inside(rest, Class::ContextSpecific, 0);
    let list = list.and_then(|list| inside(list, Class::Universal, Tag::Sequence.0));
    let mut list = list.unwrap_or_default();
    let mut all = Vec::new();
    while all.len() < MAX_ANSWERS {
        let before = list;
        if next(&mut list).is_none() {
            break;
        }
        all.push(before.get(..before.len() - list.len()).unwrap_or(before));
    }
    all
}

/// Extensions behind this tag, as far as they can be read.
fn extensions(rest: &[u8], tag: u32) -> Vec<Extension> {
    let list = inside(rest, Class::ContextSpecific, tag);
    let list = list.and_then(|list| inside(list, Class::Universal, Tag::Sequence.0));
    let mut list = list.unwrap_or_default();
    let mut all = Vec::new();
    while all.len() < MAX_ANSWERS
        && let Some(extension) = next(&mut list).and_then(|e| extension(e.data))
    {
        all.push(extension);
    }
    all
}

/// Extension's content (RFC 5280, section 4.1).
fn extension(mut rest: &[u8]) -> Option<Extension> {
    let oid = object(&next(&mut rest)?)?;
    let mut value = next(&mut rest)?;
    let critical = value.tag() == Tag::Boolean && value.data != [0];
    if value.tag() == Tag::Boolean {
        value = next(&mut rest)?;
    }
    let value = match inside(value.data, Class::Universal, Tag::OctetString.0) {
        Some(nonce) if oid == NONCE => hex(nonce).to_ascii_uppercase(),
        _ => value.data.iter().map(printable).collect(),
    };
    Some(Extension { oid, critical, value })
}

/// A character as it is, or a dot for what is none.
fn printable(b: &u8) -> char {
    let is_text = matches!(b, b' '..=b'~' | b'\r' | b'\n');
    if is_text { char::from(*b) } else { '.' }
}

/// CertID's content.
fn cert_id(mut id: &[u8]) -> Option<CertId> {
    let algorithm = next(&mut id)?;
    let algorithm = object(&next(&mut { algorithm.data })?)?;
    let [name, key, number] = [next(&mut id)?, next(&mut id)?, next(&mut id)?];
    Some(CertId {
        hash_algorithm: digest(&algorithm).map_or(algorithm, str::to_owned),
        issuer_name_hash: hex(name.data).to_ascii_uppercase(),
        issuer_key_hash: hex(key.data).to_ascii_uppercase(),
        serial: serial(number.data),
    })
}

/// One SingleResponse's content.
fn answer(mut rest: &[u8]) -> Option<Answer> {
    let id = cert_id(next(&mut rest)?.data)?;
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
    if next_update.is_some() {
        next(&mut rest)?;
    }
    Some(Answer {
        id,
        status,
        this_update,
        next_update,
        extensions: extensions(rest, 1),
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
    is_oid.then(|| oid::dotted(element.data))
}

/// Takes a time, seconds since the epoch.
fn time(rest: &mut &[u8]) -> Option<i64> {
    let (after, time) = ASN1Time::from_der(rest).ok()?;
    *rest = after;
    Some(time.timestamp())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An element of less than 256 bytes.
    fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        match content.len() {
            n @ ..128 => [&[tag, n as u8], &content[..]].concat(),
            n => [&[tag, 0x81, n as u8], &content[..]].concat(),
        }
    }

    /// The answers of a response.
    fn answers(der: &[u8]) -> Option<Vec<Answer>> {
        super::response(der).map(|r| r.basic.map_or(vec![], |basic| basic.answers))
    }

    /// A response with one answer of this status, and a nonce.
    pub(crate) fn response(status: &[u8]) -> Vec<u8> {
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
                &der(0xa1, &[&der(0x30, &[&nonce()])]),
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
        let said = super::response(&good).unwrap();
        assert_eq!(said.status, "successful");
        let basic = said.basic.unwrap();
        assert_eq!((basic.version, basic.responder.as_str()), (0, "6B6579"));
        assert_eq!(basic.produced_at, 1_434_666_600);
        assert_eq!(basic.extensions.len(), 1);
        let want = Answer {
            id: CertId {
                hash_algorithm: "sha1".into(),
                issuer_name_hash: "ABABABAB".into(),
                issuer_key_hash: "CDCDCDCD".into(),
                serial: "0102".into(),
            },
            status: Status::Good,
            this_update: 1_434_666_600,
            next_update: Some(1_434_796_200),
            extensions: vec![],
        };
        assert_eq!(basic.answers, [want]);
        let status = |s: &[u8]| answers(&response(s)).unwrap()[0].status;
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
    fn a_request_asks_for_certificates() {
        let sha256 = der(0x30, &[&der(6, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]])]);
        let id = |serial: u8| {
            let id = [&sha256, &der(4, &[&[1]]), &der(4, &[&[2]]), &der(2, &[&[serial]])];
            der(0x30, &[&der(0x30, &id.map(Vec::as_slice))])
        };
        let list = der(0x30, &[&id(7), &id(8)]);
        let asked = |parts: &[&[u8]]| request(&der(0x30, &[&der(0x30, parts)]));
        let (version, ids) = asked(&[&list]).unwrap();
        let serials: Vec<_> = ids.iter().map(|id| id.serial.as_str()).collect();
        assert_eq!((version, serials), (0, vec!["07", "08"]));
        assert_eq!(ids[0].hash_algorithm, "sha256");
        // With a version, and who asks.
        let (version, who) = (der(0xa0, &[&der(2, &[&[1]])]), der(0xa1, &[&der(0x82, &[b"me"])]));
        assert_eq!(asked(&[&version, &who, &list]), Some((1, ids)));
        let whole = der(0x30, &[&der(0x30, &[&list])]);
        for n in 0..whole.len() {
            assert_eq!(request(&whole[..n]), None);
        }
    }

    fn nonce() -> Vec<u8> {
        let value = der(4, &[&der(4, &[&[0xab, 0xcd]])]);
        der(0x30, &[&der(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 2]]), &value])
    }

    #[test]
    fn extensions_are_text() {
        let other = der(
            0x30,
            &[&der(6, &[&[0x2a, 3]]), &der(1, &[&[0xff]]), &der(4, &[b"a\x01b"])],
        );
        let all = extensions(&der(0xa1, &[&der(0x30, &[&nonce(), &other])]), 1);
        let shown: Vec<_> = all
            .iter()
            .map(|e| (e.oid.as_str(), e.critical, e.value.as_str()))
            .collect();
        assert_eq!(shown, [(NONCE, false, "ABCD"), ("1.2.3", true, "a.b")]);
        assert_eq!(all[0].names(), Some(("OCSP Nonce", "Nonce")));
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
