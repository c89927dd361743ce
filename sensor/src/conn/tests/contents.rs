//! What goes into contents files.

use super::*;

fn files() -> Config {
    Config {
        contents_files: crate::conn::ContentsOf::All,
        ..Config::default()
    }
}

#[test]
fn both_directions_go_to_files_with_marks_where_bytes_are_missing() {
    let mut lab = Lab::with("", files());
    lab.handshake();
    lab.data(0, 5, 1, b"efgh");
    lab.data(0, 1, 1, b"abcd");
    lab.data(1, 1, 9, b"answer");
    // 9 to 12 never came and are acknowledged; so does not 17, which waits to the end.
    lab.data(0, 13, 7, b"mnop");
    lab.ack(1, 7, 13);
    lab.data(0, 18, 7, b"r");
    let seen = lab.finish();
    let text = |i: usize| String::from_utf8_lossy(&seen.files[i].0).into_owned();
    assert_eq!(text(0), "abcdefgh<4>mnop<1>r");
    assert_eq!(text(1), "answer");
    assert!(seen.files[0].1 && seen.files[1].1, "both ended");
}

#[test]
fn bulk_is_not_shed_while_it_goes_to_a_file() {
    let mut lab = Lab::with("", files());
    lab.handshake();
    let mut want = Vec::new();
    for i in 0..100u32 {
        let piece = [b'0' + (i % 10) as u8; 1000];
        lab.data(0, 1 + 1000 * i, 1, &piece);
        lab.ack(1, 1, 1 + 1000 * (i + 1));
        want.extend(piece);
    }
    assert!(lab.finish().files[0].0 == want);
}

#[test]
fn a_failing_file_is_told_and_the_connection_goes_on() {
    let mut lab = Lab::with("contents_file_write_failure,connection_finished", files());
    lab.engine.sink().files_fail = Some(2);
    lab.handshake();
    for i in 0..5 {
        lab.data(0, 1 + 4 * i, 1, b"abcd");
        lab.ack(1, 1, 5 + 4 * i);
    }
    lab.tcp(1, tf::FIN | tf::ACK, 1, 21, b"");
    lab.tcp(0, tf::FIN | tf::ACK, 21, 2, b"");
    lab.ack(1, 2, 22);
    let seen = lab.finish();
    assert_eq!(
        seen.names(),
        ["contents_file_write_failure", "connection_finished"]
    );
    assert_eq!(
        seen.args("contents_file_write_failure"),
        [&serde_json::json!({"is_orig": true, "msg": "no space"})]
    );
    assert_eq!(seen.conn("orig_bytes"), "20");
}
