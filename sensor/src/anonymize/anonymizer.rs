//! All that a thread needs to give addresses and ids their stand-ins.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::addresses::{Scheme, stays};
use super::ids::UidCipher;
use super::key::Key;
use crate::base::aging::Aging;
use crate::base::secret::Secret;
use crate::conn::{Config, Order};
use crate::event::{ConnId, Uid};

/// Addresses whose stand-ins a thread remembers, twice as many at most: some megabytes.
const REMEMBERED: usize = 1 << 15;
/// Addresses that were told, of all threads, twice as many at most.
const TOLD: usize = 1 << 16;

/// What is the same for all threads.
struct Shared {
    key: Key,
    scheme: Scheme,
    uids: UidCipher,
    /// Addresses that were told with their stand-ins.
    told: Mutex<Aging<IpAddr, (), TOLD>>,
}

/// Gives addresses and ids their stand-ins, for one thread.
pub struct Anonymizer {
    shared: Arc<Shared>,
    known: RefCell<Aging<IpAddr, IpAddr, REMEMBERED>>,
    /// Addresses that are new are kept until they are told.
    tells: bool,
    new: RefCell<Vec<(IpAddr, IpAddr)>>,
}

impl Anonymizer {
    /// One that nobody asks what stands for what.
    pub fn new(key: &Key) -> Anonymizer {
        let mut uids = [0; 16];
        uids.copy_from_slice(&key.derived("uid", &[])[..16]);
        Anonymizer::with(Arc::new(Shared {
            key: *key,
            scheme: Scheme::new(key.bytes()),
            uids: UidCipher::new(&uids),
            told: Mutex::default(),
        }))
    }

    fn with(shared: Arc<Shared>) -> Anonymizer {
        Anonymizer {
            shared,
            known: RefCell::default(),
            tells: false,
            new: RefCell::default(),
        }
    }

    /// The same for another thread. `tells`: somebody asks what stands for what.
    pub fn another(&self, tells: bool) -> Anonymizer {
        Anonymizer {
            tells,
            ..Anonymizer::with(self.shared.clone())
        }
    }

    /// The seed of a run that has this one, or none.
    pub fn seed(&self, given: Option<u64>) -> u64 {
        let given = given.map_or_else(Vec::new, |s| s.to_be_bytes().to_vec());
        let derived = self.shared.key.derived("seed", &given);
        derived.first_chunk().map_or(0, |b| u64::from_be_bytes(*b))
    }

    /// Has the ids of files depend on the key.
    pub fn hide_files(&self, cfg: &mut Config) {
        cfg.files.secret = Some(Secret(self.shared.key.derived("file", &[])));
    }

    /// What stands for an address.
    pub fn addr(&self, addr: IpAddr) -> IpAddr {
        if stays(addr) {
            return addr;
        }
        let mut known = self.known.borrow_mut();
        if let Some(mapped) = known.get(&addr) {
            return *mapped;
        }
        let mapped = self.shared.scheme.forth(addr);
        known.insert(addr, mapped);
        if self.tells {
            let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.get(&addr).is_none() {
                told.insert(addr, ());
                self.new.borrow_mut().push((addr, mapped));
            }
        }
        mapped
    }

    /// The first `bits` bits of an IPv4 address, the others 0, as addresses that begin with them have them afterwards.
    pub fn prefix4(&self, prefix: u32, bits: usize) -> u32 {
        self.shared.scheme.prefix4(prefix, bits)
    }

    /// The same of an IPv6 address.
    pub fn prefix6(&self, prefix: u128, bits: usize) -> u128 {
        self.shared.scheme.prefix6(prefix, bits)
    }

    /// What stands for a connection's id.
    pub fn uid(&self, uid: Uid) -> Uid {
        self.shared.uids.forth(uid)
    }

    /// What stands for a connection.
    pub fn conn(&self, c: &ConnId) -> ConnId {
        ConnId {
            uid: self.uid(c.uid),
            orig_h: self.addr(c.orig_h),
            resp_h: self.addr(c.resp_h),
            ..*c
        }
    }

    /// The order of who knows the stand-ins alone, as the engine has to hear it.
    pub fn order(&self, order: Order) -> Order {
        match order {
            Order::Conn(c, wish) => {
                let c = ConnId {
                    uid: self.shared.uids.back(c.uid),
                    orig_h: self.shared.scheme.back(c.orig_h),
                    resp_h: self.shared.scheme.back(c.resp_h),
                    ..c
                };
                Order::Conn(c, wish)
            }
            Order::File(..) => order,
        }
    }

    /// Whether addresses are new since [`Anonymizer::take_new`].
    pub fn has_new(&self) -> bool {
        self.tells && !self.new.borrow().is_empty()
    }

    /// Addresses that are new since the last call, with what stands for them.
    pub fn take_new(&self) -> Vec<(IpAddr, IpAddr)> {
        match self.tells {
            true => self.new.take(),
            false => Vec::new(),
        }
    }
}
