//! The interfaces that are watched: they come and go (a module is loaded anew, a container begins or ends, a cable is
//! pulled), and the kernel counts what they drop.
//!
//! The kernel tells of each change by a netlink message, which is looked at by itself. Once a second all interfaces are asked
//! for at once: for what they count, and for changes whose messages found no room. So the work grows with the number of
//! interfaces and of changes, and no faster.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _};
use rtnetlink::Handle;
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::{Link, Links};
use super::netlink::{self, Messages, connect, dump};
use super::netns::Netns;
use super::news::{self, News};
use super::traffic::Traffic;
use super::watchlist::Watchlist;
use crate::datapath::xdp::KernelError;
use crate::settings::Settings;

/// Most messages that are looked at in one go.
const MESSAGES_AT_ONCE: usize = 256;
/// All interfaces are asked for no more than so much of the time: after this many times as long as it took.
const PAUSE: u32 = 20;

/// Whether the machine is a router, in this thread's network namespace.
const FORWARDING: [&str; 2] = [
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

/// What watches interfaces.
pub trait Hooks {
    /// The network namespace of the interfaces.
    fn netns(&self) -> &Netns;

    /// Watches this one; its index.
    fn attach(&mut self, iface: &str) -> Result<u32, KernelError>;

    /// Stops watching one that has disappeared.
    fn release(&mut self, ifindex: u32);
}

/// Why interfaces cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel refuses it.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Two that are asked for are one.
    #[error("what passes {0} passes {1}, too, and would count twice: name one of them")]
    Twice(String, String),
    /// The kernel does not tell of them.
    #[error("cannot ask for the interfaces: {0}")]
    System(#[from] io::Error),
}

/// An interface, there or not.
pub struct Watched {
    pub name: String,
    pub traffic: Traffic,
    /// How often it disappeared.
    pub gone: u64,
    /// It is asked for by name: it is waited for when it is gone.
    is_named: bool,
    /// Where the program is attached; None: the interface is gone.
    ifindex: Option<u32>,
    pub is_up: bool,
    counted: Option<Traffic>,
    /// It was reported that the program cannot be attached again.
    complained: bool,
}

/// All that were or are watched.
#[derive(Default)]
pub struct List {
    /// Those that are, and those that are asked for by name.
    pub all: Vec<Watched>,
    /// What those counted that a pattern had matched and that are gone.
    pub former: Traffic,
    /// How many of these there are.
    pub former_gone: u64,
}

/// The interfaces of this machine, or of a network namespace of it.
pub struct Interfaces {
    handle: Handle,
    messages: Messages,
    watchlist: Watchlist,
    rx_only: bool,
    links: Links,
    pub list: List,
    /// Places in the list, by index.
    places: HashMap<u32, usize>,
    /// Why one is left out, as was said; by index.
    left: HashMap<u32, String>,
    news: News,
    next_look: Instant,
}

impl Interfaces {
    /// Attaches to those that are asked for, in the network namespace of `hooks`. To be called in a runtime.
    pub async fn open(settings: &Settings, hooks: &mut impl Hooks) -> Result<Self, WatchError> {
        let (handle, messages) = {
            let _inside = hooks.netns().enter()?;
            connect()?
        };
        let mut me = Interfaces {
            handle,
            messages,
            watchlist: Watchlist::new(&settings.interfaces),
            rx_only: settings.interfaces.rx_only,
            links: Links::default(),
            list: List::default(),
            places: HashMap::new(),
            left: HashMap::new(),
            news: News::default(),
            next_look: Instant::now(),
        };
        let all = dump(&me.handle).await?;
        me.links = all.iter().map(Link::of).collect();
        let choice = me.watchlist.choose(&me.links);
        if let Some([a, b]) = choice.twice {
            return Err(WatchError::Twice(a, b));
        }
        for (name, why) in choice.leave {
            me.leave(&name, why);
        }
        for name in choice.take {
            let is_named = me.watchlist.is_named(&name);
            match hooks.attach(&name) {
                Ok(index) => me.add(&name, index, is_named),
                Err(e) if is_named => return Err(e.into()),
                Err(e) => me.leave(&name, e.to_string()),
            }
        }
        me.news.start();
        if settings.dedup_ms == 0 && !me.rx_only && me.list.all.len() > 1 && me.passes_on(hooks.netns()) {
            tracing::warn!(
                "what this machine passes on between interfaces that are watched is seen twice, where it is received and where it \
                 is sent: --rx-only sees it once, --dedup counts it once"
            );
        }
        me.count(&all);
        if me.list.all.is_empty() {
            tracing::warn!(
                "no interface is watched: none that is there is meant by {}; the sensor waits for one",
                me.watchlist.patterns()
            );
        }
        Ok(me)
    }

    /// Whether packets go from one of them to another.
    fn passes_on(&self, netns: &Netns) -> bool {
        let Ok(_inside) = netns.enter() else {
            return false;
        };
        let is_on = |path: &str| std::fs::read_to_string(path).is_ok_and(|v| v.trim() == "1");
        FORWARDING.iter().any(|path| is_on(path)) || self.links.share_a_bridge(self.places.keys().copied())
    }

    /// The names of those that are watched, in words.
    pub fn names(&self) -> String {
        match &self.list.all[..] {
            [] => "no interface yet".to_owned(),
            all => news::listed(all.iter().map(|w| w.name.as_str())),
        }
    }

    fn add(&mut self, name: &str, index: u32, is_named: bool) {
        self.left.remove(&index);
        let known = match is_named {
            true => self.list.all.iter().position(|w| w.is_named && w.name == name),
            false => None,
        };
        let at = known.unwrap_or_else(|| {
            self.list.all.push(Watched {
                name: name.to_owned(),
                traffic: Traffic::default(),
                gone: 0,
                is_named,
                ifindex: None,
                is_up: true,
                counted: None,
                complained: false,
            });
            self.list.all.len() - 1
        });
        self.places.insert(index, at);
        if let Some(w) = self.list.all.get_mut(at) {
            (w.ifindex, w.is_up, w.counted) = (Some(index), true, None);
        }
    }

    fn leave(&mut self, name: &str, why: String) {
        if let Some(link) = self.links.named(name)
            && self.left.get(&link.index) != Some(&why)
        {
            self.left.insert(link.index, why.clone());
            self.news.left_out(name, why);
        }
    }

    /// Waits until the kernel tells of changes. Then [`Interfaces::hear`] is to be called with what it gives.
    pub async fn told(&mut self) -> Vec<RouteNetlinkMessage> {
        let Some(first) = self.messages.next().await else {
            // The connection has failed; the next look says so.
            return std::future::pending().await;
        };
        let mut all = vec![first];
        while all.len() < MESSAGES_AT_ONCE
            && let Some(Some(more)) = self.messages.next().now_or_never()
        {
            all.push(more);
        }
        all
    }

    /// Takes what the kernel told. True: one that is asked for by name has disappeared.
    pub fn hear(&mut self, messages: Vec<RouteNetlinkMessage>, hooks: &mut impl Hooks) -> bool {
        let mut gone = false;
        for message in messages {
            match message {
                // Those of other families are of bridges' ports.
                RouteNetlinkMessage::NewLink(m) if m.header.interface_family == AddressFamily::Unspec => {
                    self.links.insert(Link::of(&m));
                    gone |= self.see(m.header.index, hooks);
                    if let Some(at) = self.places.get(&m.header.index)
                        && let Some(w) = self.list.all.get_mut(*at)
                    {
                        w.see_state(&m);
                    }
                }
                RouteNetlinkMessage::DelLink(m) if m.header.interface_family == AddressFamily::Unspec => {
                    // It has its last counts with it.
                    self.count(std::slice::from_ref(&m));
                    self.links.remove(m.header.index);
                    self.left.remove(&m.header.index);
                    gone |= self.lose(m.header.index, hooks);
                }
                _ => {}
            }
        }
        self.news.say();
        gone
    }

    /// Looks at all of them: attaches where one is back or new, detaches from those that are gone. True: one that is asked for
    /// by name has disappeared.
    pub async fn look(&mut self, hooks: &mut impl Hooks) -> io::Result<bool> {
        let begin = Instant::now();
        if begin < self.next_look {
            self.news.say();
            return Ok(false);
        }
        let all = dump(&self.handle).await?;
        self.links = all.iter().map(Link::of).collect();
        self.left.retain(|i, _| self.links.get(*i).is_some());
        let lost: Vec<u32> = self
            .places
            .keys()
            .copied()
            .filter(|i| self.links.get(*i).is_none())
            .collect();
        let mut gone = false;
        for index in lost {
            // An answer that others' changes interrupt may lack one that is there.
            match netlink::one(&self.handle, index).await? {
                Some(there) => self.links.insert(Link::of(&there)),
                None => gone |= self.lose(index, hooks),
            }
        }
        let order: Vec<u32> = self.links.by_rank().iter().map(|l| l.index).collect();
        for index in order {
            gone |= self.see(index, hooks);
        }
        self.count(&all);
        for m in &all {
            if let Some(at) = self.places.get(&m.header.index)
                && let Some(w) = self.list.all.get_mut(*at)
            {
                w.see_state(m);
            }
        }
        for w in &mut self.list.all {
            w.complained &= self.links.named(&w.name).is_some();
        }
        self.news.say();
        self.next_look = begin + Duration::min(begin.elapsed() * PAUSE, Duration::from_secs(60));
        Ok(gone)
    }

    /// Watches an interface if it is to be watched and is not. True: one of its name has disappeared before.
    fn see(&mut self, index: u32, hooks: &mut impl Hooks) -> bool {
        if self.places.contains_key(&index) {
            self.part(index, hooks);
            return false;
        }
        let Some(link) = self.links.get(index) else {
            return false;
        };
        let name = link.name.clone();
        if self.watchlist.is_named(&name) {
            return self.see_named(&name, hooks);
        }
        match self
            .watchlist
            .look(link, &self.links, |i| self.places.contains_key(&i))
        {
            None => {}
            Some(Err(why)) => self.leave(&name, why),
            Some(Ok(())) => match hooks.attach(&name) {
                Ok(index) => {
                    self.add(&name, index, false);
                    self.news.came(&name);
                }
                // Gone again.
                Err(KernelError::NoInterface(_)) => {}
                Err(e) => self.leave(&name, e.to_string()),
            },
        }
        false
    }

    /// The same for one that is asked for by name.
    fn see_named(&mut self, name: &str, hooks: &mut impl Hooks) -> bool {
        let Some(w) = self.list.all.iter_mut().find(|w| w.is_named && w.name == name) else {
            return false;
        };
        let mut gone = false;
        if let Some(old) = w.ifindex {
            if self.links.get(old).is_some() {
                // It has got another name, and is watched.
                return false;
            }
            // Another one has its name already.
            gone = self.lose(old, hooks);
        }
        match hooks.attach(name) {
            Ok(index) => {
                tracing::warn!("{name}: the interface is back, and watched again");
                self.add(name, index, true);
            }
            // Gone again.
            Err(KernelError::NoInterface(_)) => {}
            Err(e) => {
                if let Some(w) = self.list.all.iter_mut().find(|w| w.is_named && w.name == name)
                    && !std::mem::replace(&mut w.complained, true)
                {
                    tracing::warn!("{name}: the interface is back, but not watched: {e}");
                }
            }
        }
        gone
    }

    /// An interface is gone. True: it was asked for by name.
    fn lose(&mut self, index: u32, hooks: &mut impl Hooks) -> bool {
        let Some(at) = self.places.remove(&index) else {
            return false;
        };
        hooks.release(index);
        let Some(w) = self.list.all.get_mut(at) else {
            return false;
        };
        w.ifindex = None;
        w.gone += 1;
        if w.is_named {
            tracing::warn!(
                "{}: the interface is gone; it is watched again when it is back",
                w.name
            );
            return true;
        }
        if let Some(name) = self.forget(at) {
            self.news.went(&name);
        }
        false
    }

    /// Forgets one that a pattern had matched, at its place in the list; its name.
    fn forget(&mut self, at: usize) -> Option<String> {
        if at >= self.list.all.len() {
            return None;
        }
        let w = self.list.all.swap_remove(at);
        if let Some(i) = self.list.all.get(at).and_then(|moved| moved.ifindex) {
            self.places.insert(i, at);
        }
        self.list.former = self.list.former.and(w.traffic);
        self.list.former_gone += w.gone;
        Some(w.name)
    }

    /// Two that are watched may have come to see the same packets, as when one joins a bridge: lets go of one of them.
    fn part(&mut self, index: u32, hooks: &mut impl Hooks) {
        let is_other = |i| i != index && self.places.contains_key(&i);
        let twin = self.links.twin(index, self.rx_only, is_other);
        let (Some(one), Some(two)) = (self.links.get(index), twin.and_then(|t| self.links.get(t))) else {
            return;
        };
        // The one that is taken first when both are there.
        let order = |l: &Link| (!self.watchlist.is_named(&l.name), l.rank(), l.index);
        let (stays, goes) = if order(one) < order(two) {
            (one, two)
        } else {
            (two, one)
        };
        let (name, index) = (goes.name.clone(), goes.index);
        let why = format!("its packets are seen on {}, too", stays.name);
        if self.watchlist.is_named(&name) {
            if self.left.get(&index) != Some(&why) {
                tracing::warn!("{name}: {why}, and count twice: both are asked for by name");
                self.left.insert(index, why);
            }
            return;
        }
        hooks.release(index);
        if let Some(at) = self.places.remove(&index) {
            self.forget(at);
            self.leave(&name, why);
        }
    }

    /// Takes what they have counted.
    fn count(&mut self, all: &[LinkMessage]) {
        for m in all {
            let Some(w) = self
                .places
                .get(&m.header.index)
                .and_then(|at| self.list.all.get_mut(*at))
            else {
                continue;
            };
            let counted = Traffic::of_link(m, self.rx_only);
            let before = w.counted.replace(counted).unwrap_or(counted);
            w.traffic = w.traffic.and(counted.since(before));
        }
    }
}

impl Watched {
    /// Whether the program is attached to it.
    pub fn is_watched(&self) -> bool {
        self.ifindex.is_some()
    }

    fn see_state(&mut self, link: &LinkMessage) {
        let is_up = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
        if is_up == self.is_up {
            return;
        }
        self.is_up = is_up;
        if !self.is_named {
            // Of containers' interfaces nobody wants to hear that.
            return;
        }
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
