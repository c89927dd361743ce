//! The interfaces that are watched: they come and go (a module is loaded anew, a container ends, a cable is pulled), and
//! the kernel counts what they drop. Asked for by netlink, once a second.

use std::io;

use futures_util::{StreamExt, pin_mut};
use rtnetlink::Handle;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Stats64};

use crate::datapath::xdp::{Attached, Kernel, KernelError};

/// What an interface has counted while it was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub frames: u64,
    pub bytes: u64,
    /// Received frames that the kernel or the driver had no room for, or dropped before anybody saw them.
    pub dropped: u64,
}

impl Traffic {
    /// The kernel's counts since the interface was made; with `rx_only` without what is sent.
    fn of(s: &Stats64, rx_only: bool) -> Self {
        let mut t = Traffic {
            frames: s.rx_packets,
            bytes: s.rx_bytes,
            dropped: s.rx_dropped + s.rx_missed_errors + s.rx_fifo_errors,
        };
        if !rx_only {
            t.frames += s.tx_packets;
            t.bytes += s.tx_bytes;
        }
        t
    }

    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Traffic {
            frames: f(self.frames, other.frames),
            bytes: f(self.bytes, other.bytes),
            dropped: f(self.dropped, other.dropped),
        }
    }

    /// The counts since `before`. A driver whose counts went down has begun anew at 0.
    fn since(self, before: Self) -> Self {
        self.each(before, |now, then| if now < then { now } else { now - then })
    }

    fn and(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}

/// An interface, there or not.
pub struct Watched {
    pub name: String,
    pub traffic: Traffic,
    /// How often it disappeared.
    pub gone: u64,
    /// Where the program is attached; None: the interface is gone.
    ifindex: Option<u32>,
    pub is_up: bool,
    counted: Traffic,
    /// It was reported that the program cannot be attached again.
    complained: bool,
}

/// All of them.
pub struct Interfaces {
    handle: Handle,
    pub all: Vec<Watched>,
    rx_only: bool,
}

impl Interfaces {
    /// Those that the program is attached to. To be called in a runtime.
    pub async fn new(attached: &[Attached], rx_only: bool) -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let watched = |a: &Attached| Watched {
            name: a.iface.clone(),
            traffic: Traffic::default(),
            gone: 0,
            ifindex: Some(a.ifindex),
            is_up: true,
            counted: Traffic::default(),
            complained: false,
        };
        let mut me = Interfaces {
            handle,
            all: attached.iter().map(watched).collect(),
            rx_only,
        };
        for w in &mut me.all {
            if let Some(link) = link(&me.handle, w.ifindex, &w.name).await? {
                w.counted = traffic(&link, rx_only);
                w.see_state(&link);
            }
        }
        Ok(me)
    }

    /// Looks at all of them: attaches again where one is back. True: one has disappeared.
    pub async fn look(&mut self, kernel: &mut Kernel) -> io::Result<bool> {
        let mut gone = false;
        for w in &mut self.all {
            let mut now = link(&self.handle, w.ifindex, &w.name).await?;
            if w.ifindex.is_some() && now.is_none() {
                kernel.release(w.ifindex.take());
                w.gone += 1;
                gone = true;
                tracing::warn!(
                    "{}: the interface is gone; it is watched again when it is back",
                    w.name
                );
                now = link(&self.handle, None, &w.name).await?;
            }
            let Some(link) = now else {
                w.complained = false;
                continue;
            };
            let counted = traffic(&link, self.rx_only);
            if w.ifindex.is_none() {
                if !w.attach(kernel, self.rx_only) {
                    continue;
                }
                w.counted = counted;
            }
            w.traffic = w.traffic.and(counted.since(w.counted));
            w.counted = counted;
            w.see_state(&link);
        }
        Ok(gone)
    }
}

impl Watched {
    /// Whether the program is attached to it.
    pub fn is_watched(&self) -> bool {
        self.ifindex.is_some()
    }

    /// Attaches to an interface that is back; false: not possible now.
    fn attach(&mut self, kernel: &mut Kernel, rx_only: bool) -> bool {
        match kernel.attach(&self.name, rx_only) {
            Ok(a) => {
                tracing::warn!("{}: the interface is back, and watched again", self.name);
                self.ifindex = Some(a.ifindex);
                self.is_up = true;
                true
            }
            // Gone again.
            Err(KernelError::NoInterface(_)) => false,
            Err(e) => {
                if !self.complained {
                    tracing::warn!("{}: the interface is back, but not watched: {e}", self.name);
                }
                self.complained = true;
                false
            }
        }
    }

    fn see_state(&mut self, link: &LinkMessage) {
        let is_up = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
        if is_up != self.is_up {
            self.is_up = is_up;
            if is_up {
                tracing::warn!("{}: the interface is up", self.name);
            } else if link.header.flags.contains(LinkFlags::Up) {
                tracing::warn!("{}: the interface has no carrier", self.name);
            } else {
                tracing::warn!(
                    "{}: the interface is down: nothing is seen until `ip link set {} up`",
                    self.name,
                    self.name
                );
            }
        }
    }
}

fn traffic(link: &LinkMessage, rx_only: bool) -> Traffic {
    let stats = link.attributes.iter().find_map(|a| match a {
        LinkAttribute::Stats64(s) => Some(s),
        _ => None,
    });
    stats.map_or_else(Traffic::default, |s| Traffic::of(s, rx_only))
}

/// The interface by its index, whatever its name is by now, or by its name; None: there is none.
async fn link(handle: &Handle, ifindex: Option<u32>, name: &str) -> io::Result<Option<LinkMessage>> {
    let get = handle.link().get();
    let get = match ifindex {
        Some(i) => get.match_index(i),
        None => get.match_name(name.to_owned()),
    };
    let answers = get.execute();
    pin_mut!(answers);
    match answers.next().await {
        None => Ok(None),
        Some(Ok(link)) => Ok(Some(link)),
        Some(Err(rtnetlink::Error::NetlinkError(e))) if is_none(&e.to_io()) => Ok(None),
        Some(Err(e)) => Err(io::Error::other(e)),
    }
}

fn is_none(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}
