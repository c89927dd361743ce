//! Who may ask: a listening socket, and no more connections than so many, each for no longer than some seconds.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::super::socket_file::{self, SocketFile};
use super::board::Board;
use super::http::serve;
use crate::settings::Listen;

/// Connections at a time. One more ends the oldest: whoever asks is answered in milliseconds, so the oldest are those that
/// ask nothing.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may take from its beginning to the end of its answer.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Wait after a connection could not be accepted, as without descriptors none can for a while.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Who may connect to a socket in the file system: the owner and the group.
const SOCKET_MODE: u32 = 0o660;

/// A socket that listens. A socket in the file system is removed when this is dropped.
pub struct Endpoint {
    listener: Option<Listener>,
    _file: Option<SocketFile>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Endpoint {
    /// Listens, in a runtime; nobody is answered yet.
    pub async fn listen(to: &Listen) -> io::Result<Self> {
        Ok(match to {
            Listen::Tcp(addr) => Endpoint {
                listener: Some(Listener::Tcp(TcpListener::bind(addr).await?)),
                _file: None,
            },
            Listen::Unix(path) => {
                let (listener, file) = socket_file::listen(path, SOCKET_MODE)?;
                Endpoint {
                    listener: Some(Listener::Unix(listener)),
                    _file: Some(file),
                }
            }
        })
    }

    /// Answers from the board from here on, as long as the runtime runs.
    pub fn answer_from(&mut self, board: &Board) {
        if let Some(listener) = self.listener.take() {
            tokio::spawn(accept(listener, board.clone()));
        }
    }
}

async fn accept(listener: Listener, board: Board) {
    let mut open = VecDeque::new();
    loop {
        let accepted = match &listener {
            Listener::Tcp(l) => l.accept().await.map(|(peer, _)| start(peer, board.clone())),
            Listener::Unix(l) => l.accept().await.map(|(peer, _)| start(peer, board.clone())),
        };
        match accepted {
            Ok(task) => keep(&mut open, task),
            Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
        }
    }
}

fn start<P>(peer: P, board: Board) -> JoinHandle<()>
where
    P: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // Whoever took too long or went away gets no answer, and nobody else has to know.
        let _ = tokio::time::timeout(MAX_TIME, serve(peer, &board)).await;
    })
}

/// Adds a connection; ends the oldest if there are too many.
fn keep(open: &mut VecDeque<JoinHandle<()>>, task: JoinHandle<()>) {
    open.retain(|t| !t.is_finished());
    if open.len() >= MAX_CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
    open.push_back(task);
}
