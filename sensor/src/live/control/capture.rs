//! A connection's packets as a pcap file, in pieces: each is its length, 4 bytes, little-endian, and so many bytes of the file.
//! One of length 0 ends it; then comes a line of JSON ([`Summary`]).

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::channel;

use super::super::clock::Clock;
use super::super::orders::{Ask, Chunk, Order, Orders, Told};
use super::talk::{Reply, Summary};
use crate::event::Uid;
use crate::packet::capture::write;

/// What workers may have told that was not sent yet.
const MAX_QUEUED: usize = 8;

/// Asks the workers for a connection's packets, and writes them for who asked, until it is over.
pub async fn capture(
    to: &mut (impl AsyncWrite + Unpin),
    orders: &Orders,
    clock: &Clock,
    uid: &str,
    past: bool,
) -> io::Result<()> {
    if orders.hides_packets {
        let why = "packets have addresses as they are, and the sensor runs with --anonymize";
        return to.write_all(&Reply::refused(why).line()).await;
    }
    let uid: Uid = match uid.parse() {
        Ok(uid) => uid,
        Err(e) => {
            return to
                .write_all(&Reply::refused(format!("{uid:?}: {e}")).line())
                .await;
        }
    };
    let (tell, mut told) = channel(MAX_QUEUED);
    for worker in orders.all() {
        worker.put(Order::Packets(Ask {
            uid,
            past,
            to: tell.clone(),
        }));
    }
    drop(tell);
    // The first who knows it says so; all who do not are done without a word.
    if told.recv().await.is_none() {
        let kept = match orders.history {
            0 => "; of connections that are over none are kept without --packet-history",
            _ => ", and none of its packets is kept any more",
        };
        let why = format!("no open connection has the id {uid}{kept}");
        return to.write_all(&Reply::refused(why).line()).await;
    };
    to.write_all(&Reply::done(Vec::new()).line()).await?;
    piece(to, &write::file_header()).await?;
    let mut sum = Summary::default();
    while let Some(told) = told.recv().await {
        match told {
            Told::Packets(chunk) => piece(to, &records(&chunk, clock, &mut sum)).await?,
            Told::Known => {}
            Told::End { lost, bare } => {
                sum.lost += lost;
                sum.bare += bare;
            }
        }
    }
    piece(to, &[]).await?;
    let mut line = serde_json::to_vec(&sum)?;
    line.push(b'\n');
    to.write_all(&line).await
}

async fn piece(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u32).to_le_bytes()).await?;
    to.write_all(bytes).await
}

fn records(chunk: &Chunk, clock: &Clock, sum: &mut Summary) -> Vec<u8> {
    let mut file = Vec::new();
    let mut at = 0;
    for (ts, wire_len, len, is_frame) in &chunk.packets {
        let end = at + *len as usize;
        let bytes = chunk.bytes.get(at..end).unwrap_or_default();
        let ts = clock.of_day(*ts);
        file.extend(match is_frame {
            true => write::frame(ts, *wire_len, bytes),
            false => write::packet(ts, *wire_len, bytes),
        });
        sum.packets += 1;
        sum.cut += u64::from(len < wire_len);
        at = end;
    }
    file
}
