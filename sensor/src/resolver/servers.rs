//! Asking the DNS servers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::mapping::{Family, Found, Outcome};
use super::query::Query;
use crate::base::host_name::is_host_name;
use crate::settings::DnsServer;

/// Where the system names its servers.
const SYSTEM: &str = "/etc/resolv.conf";
/// Most of them that count, as in resolv.conf(5).
const MAX_OF_SYSTEM: usize = 3;

/// The servers.
pub struct Servers {
    resolver: TokioResolver,
    timeout: Duration,
}

/// What servers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of a name: its addresses by their families; of an address: what came of the question.
    what: What,
    /// How long it may be kept, if that is said.
    pub ttl: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Addrs(Family, Family),
    Name(Outcome),
}

impl Reply {
    /// Nobody has answered.
    pub const NONE: Reply = Reply {
        what: What::Name(Outcome::Unanswered),
        ttl: None,
    };

    /// What that comes to where a name had these addresses so far.
    pub fn outcome(self, known: &[IpAddr]) -> Outcome {
        match self.what {
            What::Addrs(v4, v6) => Family::both(v4, v6, known),
            What::Name(outcome) => outcome,
        }
    }
}

impl Servers {
    /// These servers, or those of the system if there are none. An error: nobody can be asked.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Servers, String> {
        let servers = match servers {
            [] => {
                let text = std::fs::read(SYSTEM).map_err(|e| format!("{SYSTEM}: {e}"))?;
                let servers = of_system(&String::from_utf8_lossy(&text));
                if servers.is_empty() {
                    return Err(format!("{SYSTEM} names none"));
                }
                servers
            }
            servers => servers.to_vec(),
        };
        let servers = servers.into_iter().map(name_server).collect();
        let mut opts = ResolverOpts::default();
        opts.timeout = timeout;
        // Datagrams that are lost are sent again within that time.
        opts.attempts = 1;
        // What is known is kept here, and compared.
        opts.cache_size = 0;
        opts.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(opts).build().map_err(|e| e.to_string())?;
        Ok(Servers { resolver, timeout })
    }

    /// Asks; takes no longer than the timeout.
    pub async fn ask(&self, query: &Query) -> Reply {
        match query {
            Query::Name(name) => {
                let Ok(mut name) = Name::from_ascii(name) else {
                    return Reply::NONE;
                };
                // No domain is tried behind it.
                name.set_fqdn(true);
                let (v4, v6) = tokio::join!(
                    self.family(name.clone(), RecordType::A),
                    self.family(name.clone(), RecordType::AAAA)
                );
                Reply {
                    what: What::Addrs(v4.0, v6.0),
                    ttl: v4.1.into_iter().chain(v6.1).min(),
                }
            }
            Query::Addr(addr) => {
                let answer = self.limited(self.resolver.reverse_lookup(*addr)).await;
                let (what, ttl) = match answer {
                    Ok(found) => (name_of(&found), ttl_of(&found)),
                    Err(Failure::Nothing { ttl, .. }) => (Outcome::Empty, ttl),
                    Err(Failure::NoAnswer) => (Outcome::Unanswered, None),
                };
                let what = What::Name(what);
                Reply { what, ttl }
            }
        }
    }

    async fn family(&self, name: Name, kind: RecordType) -> (Family, Option<Duration>) {
        match self.limited(self.resolver.lookup(name, kind)).await {
            Ok(found) => {
                let addrs = found.answers().iter().filter_map(|r| match &r.data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    RData::AAAA(a) => Some(IpAddr::V6(a.0)),
                    _ => None,
                });
                let addrs: Vec<_> = addrs.filter(|a| a.is_ipv4() == (kind == RecordType::A)).collect();
                let family = match addrs.is_empty() {
                    true => Family::Empty,
                    false => Family::Addrs(addrs),
                };
                (family, ttl_of(&found))
            }
            Err(Failure::Nothing { no_name: true, ttl }) => (Family::NoName, ttl),
            Err(Failure::Nothing { ttl, .. }) => (Family::Empty, ttl),
            Err(Failure::NoAnswer) => (Family::Unanswered, None),
        }
    }

    async fn limited(
        &self,
        lookup: impl Future<Output = Result<Lookup, NetError>>,
    ) -> Result<Lookup, Failure> {
        match tokio::time::timeout(self.timeout, lookup).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(nothing)))) => Err(Failure::Nothing {
                no_name: nothing.response_code == hickory_resolver::proto::op::ResponseCode::NXDomain,
                ttl: nothing.negative_ttl.map(seconds),
            }),
            Ok(Err(_)) | Err(_) => Err(Failure::NoAnswer),
        }
    }
}

/// Why there are no records.
enum Failure {
    /// There are none, or (`no_name`) not even the name.
    Nothing { no_name: bool, ttl: Option<Duration> },
    /// Nobody has answered, or with a failure.
    NoAnswer,
}

/// The servers that the text of resolv.conf(5) names. Its domains to search and its options are for who types names.
fn of_system(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|l| {
        let mut words = l.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    // With a zone it is one of a link (`fe80::1%eth0`), which another address of the same server is not.
    let servers = servers.filter_map(|s| s.parse::<DnsServer>().ok());
    servers.map(|s| s.0).take(MAX_OF_SYSTEM).collect()
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut c| {
        c.port = at.port();
        c
    });
    NameServerConfig::new(at.ip(), true, connections.into())
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

fn ttl_of(found: &Lookup) -> Option<Duration> {
    found.answers().iter().map(|r| seconds(r.ttl)).min()
}

/// The name of an address, of several the first by the alphabet, as servers give them in any order. Who answers may put anything there:
/// what is no host's name is none.
fn name_of(found: &Lookup) -> Outcome {
    let names = found.answers().iter().filter_map(|r| match &r.data {
        RData::PTR(name) => Some(name.0.to_lowercase().to_ascii()),
        _ => None,
    });
    let names = names.map(|n| n.strip_suffix('.').unwrap_or(&n).to_owned());
    let first = names.filter(|n| is_host_name(n)).min();
    first.map_or(Outcome::Empty, |n| Outcome::Found(Found::Name(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_servers_are_read() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 # x\nnameserver\n\
                    nameserver fe80::1%eth0\nnameservers 192.0.2.8\nnameserver 127.0.0.53\nnameserver 192.0.2.7\n";
        let read: Vec<_> = of_system(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(read, ["192.0.2.53:53", "[2001:db8::53]:53", "127.0.0.53:53"]);
        assert!(of_system("").is_empty());
    }
}
