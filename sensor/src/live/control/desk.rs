//! Who may ask, and who is told: a listening socket, and no more connections than so many.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::super::clock::Clock;
use super::super::orders::Orders;
use super::super::socket_file::{self, SocketFile};
use super::capture::capture;
use super::talk::{Command, Reply};

/// Who may connect: the sensor's user, and root.
const MODE: u32 = 0o600;
/// Connections at a time; the next one waits.
const MAX_CONNECTIONS: usize = 16;
/// Those of them that follow connections, perhaps for hours.
const MAX_CAPTURES: usize = 12;
/// Longest command, bytes.
const MAX_COMMAND: u64 = 4096;
/// How long a command may take to come.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Wait after a connection could not be accepted.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What the main thread is to do, and the way of its answer.
pub type Request = (Command, oneshot::Sender<Reply>);

/// The listening socket.
pub struct Control {
    listener: Option<UnixListener>,
    requests: mpsc::Receiver<Request>,
    /// Kept until somebody listens, and so that there is one end that never closes.
    sender: mpsc::Sender<Request>,
    file: Option<SocketFile>,
    /// Made for the socket.
    made: Option<PathBuf>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.file = None;
        if let Some(dir) = &self.made {
            // Unless something else is in it by now.
            let _ = std::fs::remove_dir(dir);
        }
    }
}

impl Control {
    /// One that hears nothing.
    pub fn none() -> Control {
        let (sender, requests) = mpsc::channel(1);
        Control {
            listener: None,
            requests,
            sender,
            file: None,
            made: None,
        }
    }

    /// Listens at `path`, in a runtime. Makes the directory, if it is not there but that which it is in.
    pub fn listen(path: &Path) -> io::Result<Control> {
        let dir = path.parent().filter(|d| !d.exists());
        if let Some(dir) = dir {
            std::fs::create_dir(dir)?;
        }
        let mut control = Control::none();
        control.made = dir.map(Path::to_owned);
        let (listener, file) = socket_file::listen(path, MODE)?;
        (control.listener, control.file) = (Some(listener), Some(file));
        Ok(control)
    }

    /// Answers from here on, as long as the runtime runs.
    pub fn answer(&mut self, orders: &Orders, clock: &Clock) {
        if let Some(listener) = self.listener.take() {
            let service = Service {
                main: self.sender.clone(),
                orders: orders.clone(),
                clock: clock.clone(),
                captures: Semaphore::new(MAX_CAPTURES),
            };
            tokio::spawn(accept(listener, Arc::new(service)));
        }
    }

    /// The next thing that the main thread is to do.
    pub async fn next(&mut self) -> Request {
        loop {
            // There is always a sender: this one.
            if let Some(request) = self.requests.recv().await {
                return request;
            }
        }
    }
}

/// What who asks is served with.
struct Service {
    main: mpsc::Sender<Request>,
    orders: Orders,
    clock: Clock,
    captures: Semaphore,
}

async fn accept(listener: UnixListener, service: Arc<Service>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((peer, _)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    // Who goes away needs no answer.
                    let _ = serve(peer, &service).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
        }
    }
}

async fn serve(mut peer: UnixStream, service: &Service) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut peer).take(MAX_COMMAND));
    tokio::time::timeout(MAX_TIME, reader.read_line(&mut line)).await??;
    let reply = match serde_json::from_str(&line) {
        Err(e) => Reply::refused(format!("no command: {e}")),
        Ok(Command::Pcap { uid, past }) => match service.captures.try_acquire() {
            Ok(_place) => return follow(peer, service, &uid, past).await,
            Err(_) => Reply::refused(format!("{MAX_CAPTURES} connections are being captured already")),
        },
        Ok(command) => {
            let (answer, answered) = oneshot::channel();
            let reply = match service.main.send((command, answer)).await {
                Ok(()) => answered.await.ok(),
                Err(_) => None,
            };
            reply.unwrap_or_else(|| Reply::refused("the sensor ends"))
        }
    };
    peer.write_all(&reply.line()).await
}

/// Writes a connection's packets until it is over, or who asked goes away: a connection may say nothing for hours.
async fn follow(mut peer: UnixStream, service: &Service, uid: &str, past: bool) -> io::Result<()> {
    let (mut from, mut to) = peer.split();
    let mut nothing = [0];
    tokio::select! {
        done = capture(&mut to, &service.orders, &service.clock, uid, past) => done,
        _ = from.read(&mut nothing) => Ok(()),
    }
}
