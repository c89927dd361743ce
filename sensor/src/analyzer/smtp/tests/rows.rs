//! Rows of smtp.log and events.

use super::*;

/// Rows of what follows the envelope, without the columns that all of them have.
fn rows(sent: &[Sent<'_>]) -> Vec<String> {
    let rows = after_begin(sent).rows.into_iter();
    rows.map(|r| r.replace(" path=[192.0.2.2,192.0.2.1] tls=false fuids=[]", ""))
        .collect()
}

/// Events of what follows the envelope, and of that.
fn told(sent: &[Sent<'_>]) -> Vec<String> {
    let mut talk = Conversation::new();
    talk.subs = Subscriptions::ALL;
    talk.all(&BEGIN).all(sent).end().told
}

const MAIL: &str = "trans_depth=1 helo=me mailfrom=a@example.com rcptto=[b@example.com]";

#[test]
fn a_mail_is_a_row() {
    let heard = data(
        b"Received: from a (a [10.0.0.1])\r\n by b\r\nReceived: from x [10.0.0.2] (y [10.0.0.3]) by a\r\n\
          Received: by nobody\r\nDate: today\r\nFROM: \"A\" <a@example.com>\r\nTo: b@example.com, \"C, D\" <c@d>\r\n\
          to: e@f\r\nCc: g@h\r\nReply-To: r@s\r\nMessage-ID: <1@a>\r\nIn-Reply-To: <0@a>\r\nSubject: =?utf-8?q?=C3=A4?=\r\n \
          \xe4\r\nX-Originating-IP: [10.0.0.9]\r\nX-Mailer: M 1.0\r\nX-Mailer : M 2.0\r\n\r\nHello.\r\n",
    );
    let fuid = Fuid::of(0, [0; 16]);
    let want = format!(
        "{MAIL} date=today from=\"A\" <a@example.com> to=[\"C, D\" <c@d>,b@example.com,e@f] cc=[g@h] reply_to=r@s msg_id=<1@a> \
         in_reply_to=<0@a> subject==?utf-8?q?=C3=A4?= \\xe4 x_originating_ip=10.0.0.9 first_received=by nobody \
         second_received=from x [10.0.0.2] (y [10.0.0.3]) by a last_reply=250 ok \
         path=[192.0.2.2,192.0.2.1,10.0.0.1,10.0.0.3] user_agent=M 2.0 tls=false fuids=[{fuid}]"
    );
    assert_eq!(heard.rows, [want.replace('"', "\\\"")]);
    assert_eq!(heard.software, ["SMTP::MAIL_CLIENT 10.0.0.3 M 2.0"]);
}

#[test]
fn headers_of_parts_are_not_the_mails() {
    let heard = data(
        b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nSubject: inner\r\n\r\none\r\n--a--\r\n",
    );
    assert!(heard.rows[0].contains(" subject=outer "), "{:?}", heard.rows);
}

#[test]
fn each_mail_has_its_row() {
    let one: &[u8] =
        b"MAIL FROM:<c@example.com>\r\nRCPT TO:<d@example.com>\r\nRCPT TO:<D@example.com>\r\nDATA\r\n";
    let got = rows(&[
        Client(b"DATA\r\n"),
        Server(b"354 go on\r\n"),
        Client(b"Subject: 1\r\n\r\n.\r\n"),
        Server(b"250-first\r\n250 queued\r\n"),
        Client(one),
        Server(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
        Client(b"Subject: 2\r\n.\r\n"),
        Server(b"250 queued\r\n"),
        Client(b"QUIT\r\n"),
        Server(b"221 bye\r\n"),
    ]);
    // The row is written with the first line of the reply, and each line of it counts as a mail: so Zeek does.
    let want = [
        format!("{MAIL} subject=1 last_reply=250 first"),
        "trans_depth=3 helo=me mailfrom=c@example.com rcptto=[D@example.com,d@example.com] subject=2 last_reply=250 queued"
            .to_owned(),
    ];
    assert_eq!(got, want);
}

#[test]
fn mails_in_chunks_have_rows() {
    let got = rows(&[
        Client(b"BDAT 14\r\nSubject: s\r\n\r\n"),
        Server(b"250 one\r\n"),
        Client(b"BDAT 2 LAST\r\nab"),
        Server(b"250-two\r\n250 three\r\n"),
        Client(b"MAIL FROM:<>\r\n"),
    ]);
    assert_eq!(
        got[0].split(" path=").next(),
        Some(&*format!("{MAIL} subject=s last_reply=250 three"))
    );
    assert_eq!(got[1], "trans_depth=2 helo=me");
}

#[test]
fn a_row_is_written_once_there_is_something_to_say() {
    assert_eq!(talk(&BEGIN[..3]).rows, [""; 0]);
    assert_eq!(rows(&[]), [format!("{MAIL} last_reply=250 ok")]);
    // RSET says nothing; the next mail does.
    let got = rows(&[
        Client(b"RSET\r\n"),
        Server(b"250 reset\r\n"),
        Client(b"MAIL FROM:<c@example.com>\r\n"),
    ]);
    let want = [
        format!("{MAIL} last_reply=250 reset"),
        "trans_depth=1 helo=me mailfrom=c@example.com".to_owned(),
    ];
    assert_eq!(got, want);
}

#[test]
fn a_mail_without_an_answer_has_a_row() {
    let client = [
        Client(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: 1\r\n\r\n.\r\n"),
        Client(b"MAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\nSubject: 2\r\n\r\n"),
    ];
    let heard = talk(&client);
    let subjects = heard
        .rows
        .iter()
        .map(|r| r.contains("subject=1") as u8 + 2 * r.contains("subject=2") as u8);
    assert_eq!(subjects.collect::<Vec<_>>(), [1, 2], "{:?}", heard.rows);
    assert!(heard.rows.iter().all(|r| r.starts_with("trans_depth=1 ")));
}

#[test]
fn tls_is_worth_a_row() {
    let got = talk(&[
        Server(b"220 mx\r\n"),
        Client(b"EHLO me\r\n"),
        Server(b"250 STARTTLS\r\n"),
        Client(b"STARTTLS\r\n"),
        Server(b"220-go\r\n220 on\r\n\x16\x03"),
    ]);
    let want = "trans_depth=1 helo=me last_reply=220 on path=[192.0.2.2,192.0.2.1] tls=true fuids=[]";
    assert_eq!(got.rows, [want]);
}

#[test]
fn commands_come_in_order() {
    let heard = talk(&[Client(b"EHLO me\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\nDATA\r\n")]);
    let invalid = "smtp_mail_transaction_invalid";
    let want = [
        format!("{invalid} rcpt to missing mail from"),
        format!("{invalid} data missing rcpt to"),
    ];
    assert_eq!(heard.odd, want);
}

#[test]
fn too_many_commands_out_of_order_are_the_end() {
    let mut talk = Conversation::new();
    talk.give(Client(&b"RCPT TO:<a@b>\r\n".repeat(25)));
    let wants = |t: &Conversation| t.solo.interest(true);
    assert_eq!(wants(&talk), Interest::Everything);
    talk.give(Client(&b"RCPT TO:<a@b>\r\n".repeat(2)));
    assert_eq!(wants(&talk), Interest::Nothing);
    talk.ts += 1;
    talk.give(Client(b"RCPT TO:<never@seen>\r\n"));
    assert!(talk.over);
    let heard = talk.end();
    let said = heard.odd.iter().filter(|o| !o.contains("transaction_invalid"));
    assert_eq!(
        said.collect::<Vec<_>>(),
        ["smtp_excessive_invalid_mail_transactions"]
    );
    assert!(heard.rows[0].contains("rcptto=[a@b]"), "{:?}", heard.rows);
}

#[test]
fn addresses_are_bounded() {
    let mut talk = Conversation::new().all(&BEGIN);
    for n in 0..1001 {
        talk.give(Client(format!("RCPT TO:<{n}@example.com>\r\n").as_bytes()));
    }
    talk.give(Client(b"DATA\r\n"));
    let long = "x".repeat(50_000);
    for n in 0..8 {
        talk.give(Client(format!("To: {n}{long}@example.com\r\n").as_bytes()));
        talk.give(Client(format!("Cc: {n}{long}@example.com\r\n").as_bytes()));
    }
    for n in 0..1100 {
        talk.give(Client(
            format!("Received: from [10.1.{}.{}]\r\n", n / 250, n % 250).as_bytes(),
        ));
    }
    talk.give(Client(b"\r\n.\r\n"));
    let heard = talk.end();
    let times = |what: &str| heard.odd.iter().filter(|o| *o == what).count();
    assert_eq!(times("smtp_too_many_rcptto_addresses"), 2);
    assert_eq!(times("smtp_too_many_to_addresses"), 3);
    assert_eq!(times("smtp_too_many_cc_addresses"), 3);
    assert_eq!(times("smtp_max_path_length_exceeded"), 102);
    assert!(heard.rows[0].len() < 1 << 20);
}

#[test]
fn commands_that_wait_are_bounded() {
    let mut talk = Conversation::new();
    talk.give(Client(&b"NOOP\r\n".repeat(1001)));
    assert_eq!(talk.heard.odd, ["smtp_excessive_pending_cmds"]);
}

#[test]
fn everything_is_told() {
    let got = told(&[
        Client(b"what\r\ndata\r\n"),
        Server(b"354 go on\r\n"),
        Client(b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n x-y:z\r\n\r\n..a\r\n.\r\n"),
        Server(b"250 a\r\n"),
        ServerLost(7),
        Server(b"200 b\r\nno reply\r\n"),
    ]);
    let begin = told(&[]).len();
    let got: Vec<_> = got.iter().skip(begin).map(String::as_str).collect();
    let subject = r#"{"original_name":"Subject","name":"SUBJECT","value":"s"}"#;
    let kind =
        r#"{"original_name":"Content-Type","name":"CONTENT-TYPE","value":"multipart/mixed; boundary=b"}"#;
    let xy = r#"{"original_name":"x-y","name":"X-Y","value":"z"}"#;
    let data = |line: &str| {
        let hex: String = line.bytes().map(|b| format!("{b:02x}")).collect();
        format!(r#"smtp_data {{"is_orig":true,"data":"{hex}"}}"#)
    };
    let want = [
        r#"smtp_unexpected {"is_orig":true,"msg":"unknown command","detail":"what"}"#.to_owned(),
        r#"smtp_request {"is_orig":true,"command":"DATA","arg":""}"#.into(),
        "mime_begin_entity {}".into(),
        r#"smtp_reply {"is_orig":false,"code":354,"cmd":"DATA","msg":"go on","cont_resp":false}"#.into(),
        data("Subject: s"),
        format!(r#"mime_one_header {{"h":{subject}}}"#),
        data("Content-Type: multipart/mixed; boundary=b"),
        format!(r#"mime_one_header {{"h":{kind}}}"#),
        format!(r#"mime_all_headers {{"hlist":{{"1":{subject},"2":{kind}}}}}"#),
        data(""),
        "mime_begin_entity {}".into(),
        data("--b"),
        r#"mime_event {"event_type":"illegal format","detail":"first header line starts with linear whitespace"}"#.into(),
        data(" x-y:z"),
        format!(r#"mime_one_header {{"h":{xy}}}"#),
        format!(r#"mime_all_headers {{"hlist":{{"1":{xy}}}}}"#),
        data(""),
        r#"mime_segment_data {"length":2,"data":"2e61"}"#.into(),
        data(".a"),
        r#"mime_event {"event_type":"illegal format","detail":"multipart closing boundary delimiter missing"}"#.into(),
        "mime_end_entity {}".into(),
        "mime_end_entity {}".into(),
        r#"smtp_request {"is_orig":true,"command":".","arg":"."}"#.into(),
        r#"smtp_reply {"is_orig":false,"code":250,"cmd":".","msg":"a","cont_resp":false}"#.into(),
        r#"smtp_unexpected {"is_orig":false,"msg":"content gap","detail":"seq = 95, len = 7"}"#.into(),
        r#"smtp_request {"is_orig":true,"command":"(UNKNOWN)","arg":""}"#.into(),
        r#"smtp_reply {"is_orig":false,"code":200,"cmd":"(UNKNOWN)","msg":"b","cont_resp":false}"#.into(),
        r#"smtp_unexpected {"is_orig":false,"msg":"reply code out of range","detail":"no reply"}"#.into(),
    ];
    assert_eq!(got, want);
}

#[test]
fn what_is_unexpected_is_told() {
    let unexpected = |sent: &[Sent<'_>]| {
        let told = told(sent).into_iter();
        let details = told.filter_map(|t| Some(t.strip_prefix("smtp_unexpected ")?.to_owned()));
        details.collect::<Vec<_>>()
    };
    let is = |msg: &str, sender: bool, detail: &str| {
        format!(r#"{{"is_orig":{sender},"msg":"{msg}","detail":"{detail}"}}"#)
    };
    // Before its time, and answered by a code that its command does not have.
    let got = unexpected(&[
        Client(b"HELO me\r\nQUIT\r\nNOOP\r\n"),
        Server(b"299 ?\r\n298-a\r\n297 b\r\n"),
    ]);
    let want = [
        is("unexpected command", true, "HELO reply = 0 state = 5"),
        is("unexpected command", true, "NOOP reply = 0 state = 10"),
        is("unexpected reply", true, "299 state = 10, last command = HELO"),
        is("unexpected reply", true, "298 state = 10, last command = QUIT"),
        is("reply code does not match the continuing reply", false, "297 b"),
    ];
    assert_eq!(got, want);
    let got = unexpected(&[Client(b"BDAT 1 LAST\r\na")]);
    assert_eq!(got, [is("unexpected command", true, "BDAT reply = 0 state = 13")]);
    let got = unexpected(&[
        Client(b"AUTH PLAIN\r\n"),
        Server(b"334 \r\n"),
        Client(b"secret\r\n"),
        Server(b"235 ok\r\n"),
    ]);
    let auth = |reply, state| {
        is(
            "unexpected command",
            true,
            &format!("AUTH reply = {reply} state = {state}"),
        )
    };
    assert_eq!(got, [auth(0, 5), auth(334, 5)]);
}

#[test]
fn an_answer_in_an_exchange_is_a_request() {
    let got = told(&[
        Client(b"RSET\r\nAUTH PLAIN\r\n"),
        Server(b"250 ok\r\n334 \r\n"),
        Client(b"NOOP\r\n"),
        Server(b"235 ok\r\n"),
    ]);
    let want = [
        r#"smtp_request {"is_orig":true,"command":"**","arg":"NOOP"}"#,
        r#"smtp_reply {"is_orig":false,"code":235,"cmd":"AUTH_ANSWER","msg":"ok","cont_resp":false}"#,
    ];
    assert_eq!(got[got.len() - 2..], want);
}

#[test]
fn tls_is_told() {
    let got = told(&[Client(b"STARTTLS\r\n"), Server(b"220 go on\r\n")]);
    let reply = r#"smtp_reply {"is_orig":false,"code":220,"cmd":"STARTTLS","msg":"go on","cont_resp":false}"#;
    assert_eq!(got[got.len() - 2..], ["smtp_starttls {}", reply]);
}

/// The server sends mail from there on (RFC 821, section 3.8).
#[test]
fn sides_may_turn() {
    let heard = talk(&[
        Server(b"220 mx\r\n"),
        Client(b"EHLO me\r\n"),
        Server(b"250 ok\r\n"),
        Client(b"TURN\r\n"),
        Server(b"250 ok\r\n"),
        Client(b"220 me\r\n"),
        Server(b"EHLO mx\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\r\nbody\r\n.\r\n"),
        Client(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 done\r\n"),
    ]);
    assert_eq!(heard.files(), [(1, None, r"body\r\n".into())]);
    assert!(heard.rows[0].starts_with("trans_depth=1 helo=mx mailfrom=a@b rcptto=[c@d] last_reply=250 done"));
}

#[test]
fn a_long_name_is_cut() {
    let mut talk = Conversation::new();
    talk.give(Client(format!("HELO {}\r\n", "x".repeat(60_000)).as_bytes()));
    (0..3).for_each(|_| talk.give(Client(b"MAIL FROM:<a@b>\r\n")));
    assert!(talk.end().rows.iter().all(|r| (1024..1200).contains(&r.len())));
}

/// Any lines of both sides, bytes lost, and sides that turn: nothing panics, nothing stays open, and what is said does not
/// depend on how it is cut.
#[test]
fn anything_may_come() {
    let mut seed = 7_u32;
    let mut random = move |n: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % n
    };
    let lines: [&[u8]; 34] = [
        b"EHLO me\r\n",
        b"MAIL FROM:<a@b> SIZE=1\r\n",
        b"RCPT TO:<c@d>,<e@f>\r\n",
        b"DATA\r\n",
        b".\r\n",
        b"BDAT 9\r\n",
        b"BDAT 30 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT x\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"TURN\r\n",
        b"AUTH PLAIN\r\n",
        b"what\r\n",
        b"\r\n",
        b"\n\r",
        b"\0\r\n",
        b"220 mx\r\n",
        b"250 ok\r\n",
        b"250-ok\r\n",
        b"354 go\r\n",
        b"334 \r\n",
        b"554 no\r\n",
        b"Subject: s\r\n",
        b" more\r\n",
        b"To: \"A, B\" <a@b>, c@d,,@\r\n",
        b"Received: from a ([10.0.0.1]) by 1:2:3::4 ::\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"AAECA*=\r\n",
    ];
    for round in 0..400 {
        let sent: Vec<_> = (0..80)
            .map(|_| match (random(80), random(2), random(lines.len())) {
                (0, 0, n) => ClientLost(n as u64 + 1),
                (0, _, n) => ServerLost(n as u64 + 1),
                // Mostly each side says what it should.
                (what, 0, n) if what < 70 => Client(lines[n]),
                (what, _, n) if what < 70 => Server(lines[n.clamp(18, 23)]),
                (_, _, n) => Server(lines[n]),
            })
            .collect();
        let read = |size: usize| {
            let mut talk = Conversation::new();
            talk.subs = Subscriptions::ALL;
            for one in &sent {
                match *one {
                    Client(bytes) => bytes.chunks(size).for_each(|b| talk.give(Client(b))),
                    Server(bytes) => bytes.chunks(size).for_each(|b| talk.give(Server(b))),
                    lost => talk.give(lost),
                }
            }
            let heard = talk.end();
            assert!(heard.files.iter().all(|f| f.over), "{:?}", heard.files);
            heard
        };
        let whole = read(usize::MAX);
        // A CR at the end of a piece of a chunk counts, as in Zeek.
        if whole.odd.iter().any(|o| o.starts_with("smtp_bdat_line")) {
            continue;
        }
        let cut = read(1 + round % 7);
        if !cut.odd.iter().any(|o| o.starts_with("smtp_bdat_line")) {
            let said = |h: &Heard| (h.odd.join("\n"), h.rows.join("\n"), h.software.join("\n"));
            assert_eq!(said(&cut), said(&whole), "{round}: {sent:?}");
            let told = |h: &Heard| {
                let told = h.told.iter().filter(|t| !t.starts_with("mime_segment_data"));
                told.cloned().collect::<Vec<_>>()
            };
            assert_eq!(told(&cut), told(&whole), "{round}: {sent:?}");
        }
    }
}
