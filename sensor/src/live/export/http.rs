//! As much of HTTP/1 as it takes to be asked three things (RFC 9112). A request's head has a bound, what follows it is not
//! read, and each connection is for one request.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::board::Board;

/// Longest head of a request, bytes. Prometheus' own has some 400.
const MAX_HEAD: usize = 8192;
/// Most fields of a head.
const MAX_FIELDS: usize = 64;
/// Most bytes of a refused request that are read away, so that its answer is not lost with the connection.
const MAX_REST: usize = 64 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";
const NUMBERS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer.
struct Answer {
    status: &'static str,
    content: &'static str,
    body: Arc<[u8]>,
}

impl Answer {
    fn text(status: &'static str, text: &str) -> Self {
        Answer {
            status,
            content: TEXT,
            body: format!("{text}\n").into_bytes().into(),
        }
    }

    /// Yes, or why not.
    fn of(well: Result<(), String>) -> Self {
        match well {
            Ok(()) => Self::text("200 OK", "ok"),
            Err(why) => Self::text("503 Service Unavailable", &why),
        }
    }
}

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Get(String),
    /// The same without the body.
    Head(String),
    /// It cannot be answered; with the status.
    Refused(&'static str),
}

/// Takes a head apart; None: it is not complete.
fn request(head: &[u8]) -> Option<Request> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Some(Request::Refused("431 Request Header Fields Too Large"));
        }
        Err(_) => return Some(Request::Refused("400 Bad Request")),
    }
    let path = parsed.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    Some(match parsed.method {
        Some("GET") => Request::Get(path),
        Some("HEAD") => Request::Head(path),
        _ => Request::Refused("405 Method Not Allowed"),
    })
}

/// What is said of a path.
fn answer(path: &str, board: &Board) -> Answer {
    match path {
        "/metrics" => match board.page() {
            Some(body) => Answer {
                status: "200 OK",
                content: NUMBERS,
                body,
            },
            None => Answer::text("503 Service Unavailable", "no numbers yet"),
        },
        "/healthz" => Answer::of(board.healthy()),
        "/readyz" => Answer::of(board.ready()),
        "/" => Answer::text("200 OK", "/metrics /healthz /readyz"),
        _ => Answer::text("404 Not Found", "there are /metrics, /healthz and /readyz"),
    }
}

/// Reads a request and answers it. Whoever goes away meanwhile is no error to speak of.
pub async fn serve(mut peer: impl AsyncRead + AsyncWrite + Unpin, board: &Board) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(MAX_HEAD);
    let request = loop {
        if (&mut peer)
            .take((MAX_HEAD - head.len()) as u64)
            .read_buf(&mut head)
            .await?
            == 0
        {
            return Ok(());
        }
        if let Some(request) = request(&head) {
            break request;
        }
    };
    let (answer, with_body) = match &request {
        Request::Get(path) => (answer(path, board), true),
        Request::Head(path) => (answer(path, board), false),
        Request::Refused(status) => (Answer::text(status, status), true),
    };
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n{}\r\n",
        answer.status,
        answer.content,
        answer.body.len(),
        if answer.status.starts_with("405") {
            "Allow: GET, HEAD\r\n"
        } else {
            ""
        },
    );
    peer.write_all(head.as_bytes()).await?;
    if with_body {
        peer.write_all(&answer.body).await?;
    }
    peer.shutdown().await?;
    if matches!(request, Request::Refused(_)) {
        let mut rest = [0; 1024];
        let mut left = MAX_REST;
        while left > 0 {
            match peer.read(&mut rest).await? {
                0 => break,
                n => left = left.saturating_sub(n),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_a_path() {
        let get = |p: &str| Some(Request::Get(p.to_owned()));
        assert_eq!(
            request(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
            get("/metrics")
        );
        assert_eq!(request(b"GET /readyz?verbose HTTP/1.0\r\n\r\n"), get("/readyz"));
        assert_eq!(
            request(b"HEAD / HTTP/1.1\r\n\r\n"),
            Some(Request::Head("/".to_owned()))
        );
        assert_eq!(request(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"), None);
        assert_eq!(request(b""), None);
    }

    #[test]
    fn what_is_no_request_for_a_path_is_refused() {
        let status = |head: &[u8]| match request(head) {
            Some(Request::Refused(status)) => status.split(' ').next().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            status(b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
            "405"
        );
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00"), "400");
        assert_eq!(status(b"GET\r\n\r\n"), "400");
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(status(many.as_bytes()), "431");
        let long = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(MAX_HEAD));
        assert_eq!(status(&long.as_bytes()[..MAX_HEAD]), "431");
    }

    /// What the board's endpoint says to these bytes.
    fn said(board: &Board, bytes: &[u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (mut here, there) = tokio::io::duplex(1 << 20);
            here.write_all(bytes).await.expect("memory");
            here.shutdown().await.expect("memory");
            serve(there, board).await.expect("served");
            let mut text = String::new();
            here.read_to_string(&mut text).await.expect("text");
            text
        })
    }

    #[test]
    fn a_board_answers() {
        let board = Board::new("aa".to_owned());
        let get = |path: &str| said(&board, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        assert!(
            get("/metrics").starts_with("HTTP/1.1 503 "),
            "before anything was shown"
        );
        assert!(get("/readyz").ends_with("\r\n\r\nnot yet attached\n"));
        assert!(get("/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get("/etc/passwd").starts_with("HTTP/1.1 404 "));
        board.ends(Some("a worker failed".to_owned()));
        assert!(get("/healthz").ends_with("\r\n\r\na worker failed\n"));
        let head = said(&board, b"HEAD /healthz HTTP/1.1\r\n\r\n");
        assert!(
            head.ends_with("\r\n\r\n") && head.contains("Content-Length: 16\r\n"),
            "{head}"
        );
        assert_eq!(said(&board, b""), "");
        assert_eq!(said(&board, b"GET /metr"), "", "gone before it asked");
        assert!(said(&board, b"\0\0\0").starts_with("HTTP/1.1 400 "));
    }
}
