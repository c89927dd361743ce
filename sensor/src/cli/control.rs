//! `sensor reload`, `rotate` and `pcap`: orders to a sensor that runs.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, IsTerminal as _, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::args::{Pcap, Where};
use super::layers;
use crate::live::Failed;
use crate::live::control::talk::Summary;
use crate::live::control::{Command, Reply};
use crate::messages::say::say;
use crate::settings::Settings;

/// Longest piece of a capture that is believed, bytes.
const MAX_PIECE: usize = 64 << 20;

/// Has the order done, and says what came of it.
pub fn order(command: &Command, at: &Where) -> Result<ExitCode, Failed> {
    let (_, reply) = ask(command, at).map_err(Failed::ToStart)?;
    reply.said.iter().for_each(|said| say!("sensor: {said}"));
    Ok(status(&reply))
}

/// Writes a connection's packets.
pub fn pcap(a: &Pcap) -> Result<ExitCode, Failed> {
    let path = a.write.as_deref().filter(|p| *p != Path::new("-"));
    if path.is_none() && io::stdout().is_terminal() {
        let why = "a capture is nothing for a terminal: name a file with --write, or pipe it into a program";
        return Err(Failed::ToStart(anyhow::anyhow!(why)));
    }
    let command = Command::Pcap {
        uid: a.uid.clone(),
        past: a.past,
    };
    let (from, reply) = ask(&command, &a.at).map_err(Failed::ToStart)?;
    reply.said.iter().for_each(|said| say!("sensor: {said}"));
    if !reply.ok {
        return Ok(status(&reply));
    }
    let sum = write(from, path).map_err(Failed::Later)?;
    if let Some(sum) = sum {
        say!("sensor: {}", said(&sum));
    }
    Ok(ExitCode::SUCCESS)
}

fn status(reply: &Reply) -> ExitCode {
    match reply.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Says it to the sensor; its answer, and what may follow.
fn ask(command: &Command, at: &Where) -> anyhow::Result<(BufReader<UnixStream>, Reply)> {
    let socket = socket(at)?;
    let cannot = || {
        let socket = socket.display();
        format!("no sensor takes orders at {socket}; see --control, which `sensor run` has, too")
    };
    let mut to = UnixStream::connect(&socket).with_context(cannot)?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    to.write_all(&line)?;
    let mut from = BufReader::new(to);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let reply = serde_json::from_str(&line).context("the sensor ended before it answered")?;
    Ok((from, reply))
}

/// Where it takes orders.
fn socket(at: &Where) -> anyhow::Result<PathBuf> {
    if let Some(path) = &at.control {
        return Ok(path.clone());
    }
    let settings: Settings = match layers::file(at.config.as_deref())? {
        Some(file) => serde_json::from_value(file.tree())?,
        None => Settings::default(),
    };
    Ok(settings.control.socket)
}

/// Writes the pieces; what was said at the end. None: whoever reads has seen enough.
fn write(mut from: BufReader<UnixStream>, path: Option<&Path>) -> anyhow::Result<Option<Summary>> {
    let mut to: Box<dyn Write> = match path {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(file)
        }
        None => Box::new(io::stdout().lock()),
    };
    let ended = || "the sensor ended: what was written is all there is";
    loop {
        let mut len = [0; 4];
        from.read_exact(&mut len).with_context(ended)?;
        let len = u32::from_le_bytes(len) as usize;
        if len == 0 {
            break;
        }
        anyhow::ensure!(len <= MAX_PIECE, "the answer is none of this version's");
        let mut piece = vec![0; len];
        from.read_exact(&mut piece).with_context(ended)?;
        // Whole packets: what a signal leaves is a capture, too.
        match to.write_all(&piece).and_then(|()| to.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(None),
            written => written.context("cannot write the capture")?,
        }
    }
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(Some(serde_json::from_str(&line).with_context(ended)?))
}

/// What there is to say of a capture.
fn said(sum: &Summary) -> String {
    let Summary {
        packets,
        cut,
        bare,
        lost,
    } = *sum;
    let mut said = format!("{packets} packets");
    if cut > 0 {
        said += &format!(", {cut} of them without all their bytes, which nobody read");
    }
    if bare > 0 {
        said += &format!("; of {bare} more nothing but TLS records' headers came to userspace");
    }
    if lost > 0 {
        said += &format!(
            "; {lost} packets were overwritten before they were looked at, perhaps of this connection"
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_says_what_it_lacks() {
        let mut sum = Summary {
            packets: 3,
            ..Summary::default()
        };
        assert_eq!(said(&sum), "3 packets");
        (sum.cut, sum.bare, sum.lost) = (2, 1, 9);
        let text = said(&sum);
        for part in ["2 of them", "of 1 more", "9 packets were overwritten"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
