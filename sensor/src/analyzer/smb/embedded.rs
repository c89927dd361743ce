//! What SMB carries: tokens of authentication, and DCE/RPC in pipes; and what has to be known of requests for that.

use std::collections::{HashMap, HashSet};

use crate::analyzer::api::{Ctx, Protocol, Start};
use crate::analyzer::dce_rpc::DceRpc;
use crate::analyzer::gssapi::Gssapi;
use crate::analyzer::inner::Inner;
use crate::analyzer::ntlm::Ntlm;

/// Requests, trees and others that are remembered at a time (Zeek's `SMB::max_pending_messages`).
const MAX_PENDING: usize = 1000;
/// Pipes that are read at a time.
const MAX_PIPES: usize = 32;
/// Files that are pipes, whatever tree they are in (Zeek's `SMB::pipe_filenames`).
const PIPE_NAMES: [&str; 8] = [
    "spoolss", "winreg", "samr", "srvsvc", "netdfs", "lsarpc", "wkssvc", "MsFteWds",
];

/// A connection's.
#[derive(Debug)]
pub struct Embedded {
    gssapi: Option<Box<Inner<Gssapi>>>,
    ntlm: Inner<Ntlm>,
    /// By file id.
    pipes: Vec<(u64, Box<Inner<DceRpc>>)>,
    /// Trees that are pipes.
    trees: HashSet<u32>,
    /// By message id: the request's tree.
    pub tree_of: Pending,
    /// The file that is read.
    pub read_of: Pending,
    /// The file that a control code is for.
    pub ioctl_of: Pending,
    /// SMB 1's transactions, by their number: those whose answer is of a pipe.
    transactions: HashSet<u16>,
}

/// What is known of requests until they are answered. When it is too much it is forgotten, as in Zeek.
#[derive(Debug, Default)]
pub struct Pending(HashMap<u64, u64>);

impl Pending {
    /// Remembers `what` of a request.
    pub fn insert(&mut self, message: u64, what: u64) {
        if self.0.len() >= MAX_PENDING {
            self.0.clear();
        }
        self.0.insert(message, what);
    }

    /// What is known of a request; 0 if nothing is.
    pub fn get(&self, message: u64) -> u64 {
        self.0.get(&message).copied().unwrap_or(0)
    }

    /// Forgets a request.
    pub fn remove(&mut self, message: u64) {
        self.0.remove(&message);
    }
}

impl Embedded {
    /// Of a connection of which nothing was seen.
    pub fn new() -> Embedded {
        Embedded {
            gssapi: None,
            ntlm: Inner::new(Ntlm),
            pipes: Vec::new(),
            trees: HashSet::new(),
            tree_of: Pending::default(),
            read_of: Pending::default(),
            ioctl_of: Pending::default(),
            transactions: HashSet::new(),
        }
    }

    /// A token of authentication: NTLM's as such, or GSS-API's.
    pub fn token(&mut self, is_orig: bool, token: &[u8], ctx: &mut Ctx<'_>) {
        if token.len() < 8 {
            return;
        }
        if token.starts_with(b"NTLMSSP") {
            self.ntlm.data(is_orig, token, ctx);
        } else {
            let fresh = || Box::new(Inner::new(Gssapi::new(&Start::default(), &())));
            self.gssapi.get_or_insert_with(fresh).data(is_orig, token, ctx);
        }
    }

    /// Bytes of a pipe.
    pub fn pipe(&mut self, file: u64, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        let at = self.pipes.iter().position(|(f, _)| *f == file);
        let at = at.unwrap_or_else(|| {
            if self.pipes.len() >= MAX_PIPES {
                self.pipes.clear();
            }
            let fresh = DceRpc::new(&Start::default(), &());
            self.pipes.push((file, Box::new(Inner::new(fresh))));
            self.pipes.len() - 1
        });
        if let Some((_, pipe)) = self.pipes.get_mut(at) {
            pipe.data(is_orig, bytes, ctx);
        }
    }

    /// A file is closed.
    pub fn close(&mut self, file: u64) {
        self.pipes.retain(|(f, _)| *f != file);
    }

    /// A tree has pipes.
    pub fn set_pipes(&mut self, tree: u32) {
        if self.trees.len() >= MAX_PENDING {
            self.trees.clear();
        }
        self.trees.insert(tree);
    }

    /// A tree is left.
    pub fn unset_pipes(&mut self, tree: u32) {
        self.trees.remove(&tree);
    }

    /// Whether what is in a tree are pipes.
    pub fn has_pipes(&self, tree: u32) -> bool {
        self.trees.contains(&tree)
    }

    /// A file is opened: its name may tell that it is a pipe.
    pub fn open(&mut self, tree: u32, name: &[u8], is_unicode: bool) {
        let width = if is_unicode { 2 } else { 1 };
        let text: Vec<u8> = name.iter().step_by(width).copied().take(16).collect();
        let text = text.strip_suffix(&[0]).unwrap_or(&text);
        let is_wide = !is_unicode || name.iter().skip(1).step_by(2).all(|b| *b == 0);
        if is_wide && PIPE_NAMES.iter().any(|n| n.as_bytes() == text) {
            self.set_pipes(tree);
        }
    }

    /// A transaction of SMB 1 is asked for.
    pub fn ask(&mut self, number: u16, is_pipe: bool) {
        if self.transactions.len() >= MAX_PENDING {
            self.transactions.clear();
        }
        match is_pipe {
            true => self.transactions.insert(number),
            false => self.transactions.remove(&number),
        };
    }

    /// It is answered: whether the answer is of a pipe.
    pub fn answer(&mut self, number: u16) -> bool {
        self.transactions.remove(&number)
    }

    /// Whether all has come that sessions come to: authentication, and DCE/RPC.
    pub fn is_complete(&self) -> bool {
        let authenticated =
            self.gssapi.as_ref().is_some_and(|g| g.is_confirmed()) || self.ntlm.is_confirmed();
        authenticated && self.pipes.iter().any(|(_, pipe)| pipe.is_confirmed())
    }
}
