//! The engine's configuration, made of settings.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Digest, OutOfBounds, Settings, Useless};
use crate::analyzer::{Id, http, ssh, tls};
use crate::anonymize::KeyError;
use crate::conn::{self, Timeouts};
use crate::file::api::IsLocal;
use crate::file::x509::{BadRoots, Validator};
use crate::file::{ExtractConfig, FileConfig};
use crate::os::FingerprintError;
use crate::output::capture_loss::CaptureLoss;
use crate::output::local_nets::{BadNet, LocalNets};
use crate::output::net_names;
use crate::signature::{Known, SignatureError, Signatures};

/// How long an answer of a DNS server may be waited for.
const DNS_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// Settings that no engine can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A time is negative or too long.
    #[error("{option} must be between 0 and 1e9 seconds")]
    Seconds {
        /// The command line's option for it.
        option: &'static str,
    },
    /// A number is too small or too large.
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    /// Nobody waits so short or so long.
    #[error("--dns-timeout must be between 0.1 and 60 seconds")]
    DnsTimeout,
    /// The local networks cannot be read.
    #[error(transparent)]
    LocalNets(#[from] BadNet),
    /// There are no such signatures.
    #[error(transparent)]
    Signatures(#[from] SignatureError),
    /// There are no such fingerprints.
    #[error(transparent)]
    Fingerprints(#[from] FingerprintError),
    /// The key by which addresses are replaced cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something tells addresses that are to be hidden.
    #[error(transparent)]
    Tells(#[from] Useless),
    /// A signature gives payload to a script, where addresses are to be hidden.
    #[error(
        "--anonymize does not go with signatures that ask a script: {0} would be given payload, with addresses as they are"
    )]
    Asks(String),
    /// The authorities to trust cannot be read.
    #[error(transparent)]
    Authorities(#[from] BadRoots),
}

/// Converts seconds to nanoseconds; `option` is the command line's option that gave them.
fn ns(seconds: f64, option: &'static str) -> Result<u64, SettingsError> {
    if (0.0..=1e9).contains(&seconds) {
        Ok((seconds * 1e9) as u64)
    } else {
        Err(SettingsError::Seconds { option })
    }
}

impl Settings {
    /// Whether each setting by itself can be had: numbers, times and networks. Looks at no file.
    pub fn check_numbers(&self) -> Result<(), SettingsError> {
        self.check_bounds()?;
        self.timeouts()?;
        self.files_room()?;
        self.profile.every.map_or(Ok(0), |every| ns(every, "--profile"))?;
        self.long()?;
        self.capture_loss(0.0)?;
        self.dns_timeout()?;
        // Names among them are looked up when a run begins.
        self.with_local_names(|_| Vec::new()).local_nets().map(|_| ())
    }

    fn long(&self) -> Result<Arc<[u64]>, SettingsError> {
        let times = self.conn.long.iter().map(|s| ns(*s, "--conn-long"));
        let mut times = times.collect::<Result<Vec<u64>, _>>()?;
        times.sort_unstable();
        Ok(times.into())
    }

    /// What capture_loss.log is made of; `usual`: the seconds from one row to the next unless something else is said.
    pub fn capture_loss(&self, usual: f64) -> Result<Option<CaptureLoss>, SettingsError> {
        let every = ns(self.logs.capture_loss.unwrap_or(usual), "--capture-loss")?;
        Ok((every > 0).then(|| CaptureLoss::new(every)))
    }

    /// How long an answer of a DNS server is waited for.
    pub fn dns_timeout(&self) -> Result<Duration, SettingsError> {
        let wrong = || SettingsError::DnsTimeout;
        let timeout = Duration::try_from_secs_f64(self.resolver.timeout).map_err(|_| wrong())?;
        match DNS_TIMEOUT.contains(&timeout) {
            true => Ok(timeout),
            false => Err(wrong()),
        }
    }

    /// Names of hosts among the local networks.
    pub fn local_names(&self) -> Vec<&str> {
        net_names::names(self.logs.local_nets.as_deref().unwrap_or_default())
    }

    /// The same with addresses in place of these names.
    pub fn with_local_names(&self, addrs: impl Fn(&str) -> Vec<IpAddr>) -> Settings {
        let mut settings = self.clone();
        if let Some(nets) = &mut settings.logs.local_nets {
            *nets = net_names::with(nets, addrs);
        }
        settings
    }

    /// Which addresses are local.
    pub fn is_local(&self) -> Result<IsLocal, SettingsError> {
        let nets = self.local_nets()?;
        Ok(Arc::new(move |a| nets.is_local(a)))
    }

    fn local_nets(&self) -> Result<LocalNets, SettingsError> {
        Ok(match &self.logs.local_nets {
            Some(list) => list.parse()?,
            None => LocalNets::private(),
        })
    }

    fn timeouts(&self) -> Result<Timeouts, SettingsError> {
        let t = &self.timeouts;
        Ok(Timeouts {
            tcp_attempt_delay: ns(t.tcp_attempt_delay, "--tcp-attempt-delay")?,
            tcp_close_delay: ns(t.tcp_close_delay, "--tcp-close-delay")?,
            tcp_reset_delay: ns(t.tcp_reset_delay, "--tcp-reset-delay")?,
            tcp_inactivity: ns(t.tcp_inactivity, "--tcp-inactivity-timeout")?,
            udp_inactivity: ns(t.udp_inactivity, "--udp-inactivity-timeout")?,
            icmp_inactivity: ns(t.icmp_inactivity, "--icmp-inactivity-timeout")?,
            status_interval: ns(self.events.status_interval, "--status-interval")?,
            ..Timeouts::default()
        })
    }

    /// The engine's configuration; `seed` is that of the run.
    pub fn engine(&self, seed: u64) -> Result<conn::Config, SettingsError> {
        self.engine_with(seed, &|_| false)
    }

    /// The same where there are functions of scripts, by their names, that signatures may ask (`eval`).
    pub fn engine_with(
        &self,
        seed: u64,
        function: &dyn Fn(&str) -> bool,
    ) -> Result<conn::Config, SettingsError> {
        self.check_bounds()?;
        Ok(conn::Config {
            timeouts: self.timeouts()?,
            contents: self.events.contents.as_ref().map(Into::into).unwrap_or_default(),
            contents_files: match (&self.logs.contents_dir, self.logs.contents_on_request) {
                (None, _) => conn::ContentsOf::None,
                (Some(_), true) => conn::ContentsOf::Request,
                (Some(_), false) => conn::ContentsOf::All,
            },
            reassembly_limit: self.reassembly.limit_kib << 10,
            reassembly_total: self.reassembly.total_mib << 20,
            seed,
            tls: self.tls_analyzers()?,
            http: http::HttpConfig {
                capture_password: self.http.passwords,
            },
            ssh: ssh::SshConfig {
                hassh: self.ssh.hassh,
            },
            files: self.files_room()?,
            signatures: self.signatures(function)?,
            signature_bytes: self.signatures.bytes,
            os: self.os.read()?,
            load_sample: match self.profile.every {
                Some(every) => ns(every, "--profile").map(|_| self.profile.load_sample)?,
                None => 0,
            },
            is_local: self.is_local()?,
            realms: self.flows.realms(),
            long: self.long()?,
            columns: conn::ConnColumns {
                community_id: self.conn.community_id,
                l2: self.conn.l2_columns,
                vlan: self.conn.vlan_columns,
                tcp_stats: self.conn.tcp_stats,
            },
            ..conn::Config::default()
        })
    }

    /// Whether the files of signatures are in order, whatever functions of scripts they ask.
    pub fn check_signatures(&self) -> Result<(), SettingsError> {
        self.signatures(&|_| true).map(drop)
    }

    fn signatures(&self, function: &dyn Fn(&str) -> bool) -> Result<Option<Arc<Signatures>>, SettingsError> {
        if self.signatures.files.is_empty() {
            return Ok(None);
        }
        let asked = RefCell::new(None);
        let known = Known {
            function: &|name| {
                asked.borrow_mut().get_or_insert_with(|| name.to_owned());
                function(name)
            },
            analyzer: &|name| Id::named(name).is_some(),
        };
        let signatures = Signatures::load(&self.signatures.files, &known)?;
        match asked.take() {
            Some(function) if self.anonymize.is_some() => Err(SettingsError::Asks(function)),
            _ => Ok(Some(Arc::new(signatures))),
        }
    }

    fn files_room(&self) -> Result<FileConfig, SettingsError> {
        let f = &self.files;
        let extract = || {
            let (limit, total) = (f.extract_limit_mib << 20, f.extract_total_mib << 20);
            let extract = ExtractConfig::new(f.extract_types.clone(), limit, total);
            Arc::new(match f.extract_on_request {
                true => extract.on_request(),
                false => extract,
            })
        };
        Ok(FileConfig {
            timeout: ns(f.timeout, "--file-timeout")?,
            hashes: Digest::all(&f.hashes),
            entropy: f.entropy,
            extract: f.extract_dir.as_ref().map(|_| extract()),
            by_id: !self.scripts.files.is_empty(),
            ..FileConfig::default()
        })
    }

    fn tls_analyzers(&self) -> Result<tls::TlsConfig, SettingsError> {
        let tls = &self.tls;
        let validator = match (&tls.ca_file, tls.validate_certs) {
            (Some(file), _) => Some(Arc::new(Validator::with_roots_in(file)?)),
            (None, true) => Some(Arc::new(Validator::with_public_roots())),
            (None, false) => None,
        };
        Ok(tls::TlsConfig {
            max_message: tls.max_message_kib as usize * 1024,
            max_certs: tls.max_certs as usize,
            extras: tls::Extras {
                subjects: tls.subjects,
                fingerprints: tls.fingerprints,
                offers: tls.offers,
            },
            validator,
        })
    }
}
