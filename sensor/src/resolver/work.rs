//! The thread that looks names up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Ended, Sender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use super::ask::{Answer, Asker, Got, Question};
use super::file;
use super::known::{Keep, Known};
use super::query::Query;
use super::servers::{Reply, Servers};
use crate::event::Ts;
use crate::output::now_and_then::NowAndThen;
use crate::settings::{Settings, SettingsError};

/// Questions that may lie in the channel.
const MAX_QUEUED: usize = 4096;
/// Different questions that may wait for their turn and for answers.
const MAX_WAITING: usize = 4096;
/// Time between two looks at whether the file is to be written.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// How long the end waits for the file.
const PATIENCE: Duration = Duration::from_secs(3);

/// How lookups are made.
#[derive(Clone, Debug)]
pub struct ResolverPlan {
    /// The servers to ask; empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// What is known over restarts; None: nothing.
    pub file: Option<PathBuf>,
    /// Names and addresses that are known at most.
    pub entries: usize,
    /// Lookups at a time.
    pub lookups: usize,
    /// How long answers hold.
    pub keep: Keep,
}

impl ResolverPlan {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Result<ResolverPlan, SettingsError> {
        let r = &settings.resolver;
        let seconds = |n: u32| Duration::from_secs(n.into());
        Ok(ResolverPlan {
            servers: r.servers.iter().map(|s| s.0).collect(),
            timeout: settings.dns_timeout()?,
            file: r.file(&settings.logs.dir),
            entries: r.entries as usize,
            lookups: r.lookups as usize,
            keep: Keep {
                least: seconds(r.ttl_min),
                most: seconds(r.ttl_max),
            },
        })
    }

    /// Within this time each question has its answer: it waits for its turn, and for the servers.
    pub fn longest(&self) -> Duration {
        2 * self.timeout + Duration::from_secs(1)
    }
}

/// The resolver's thread. Until somebody asks it opens and reads nothing.
pub struct Resolver {
    asker: Asker,
    stop: Arc<Notify>,
    ended: Ended<()>,
}

impl Resolver {
    /// Starts it. `confine` is what it does when it has read what it needs, before it asks anybody.
    pub fn start(plan: ResolverPlan, confine: impl FnOnce() + Send + 'static) -> io::Result<Resolver> {
        let (to, questions) = channel(MAX_QUEUED);
        let (end, ended) = sync_channel(1);
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("resolver".into())
            .spawn(move || {
                runtime.block_on(work(plan, questions, &stopped, confine));
                let _ = end.send(());
            })?;
        Ok(Resolver {
            // Who asks may be a thread that may neither wait nor open anything: this writes to an eventfd at most.
            asker: Asker::new(move |q| to.try_send(q).is_ok()),
            stop,
            ended,
        })
    }

    /// Who takes questions to it.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// What is known is written; who still waits gets no answer.
    pub fn finish(self) {
        self.stop.notify_one();
        if self.ended.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("what names were is not written: it takes too long");
        }
    }
}

async fn work(
    plan: ResolverPlan,
    mut questions: Receiver<Question>,
    stop: &Notify,
    confine: impl FnOnce() + Send,
) {
    let first = tokio::select! {
        first = questions.recv() => first,
        () = stop.notified() => None,
    };
    let Some(first) = first else { return };
    let mut work = Work::begin(plan);
    confine();
    work.take(first);
    let mut save = tokio::time::interval(SAVE_EVERY);
    save.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            question = questions.recv() => match question {
                Some(question) => work.take(question),
                None => break,
            },
            Some(done) = work.asked.join_next_with_id() => work.answered(done),
            _ = save.tick() => work.save(),
            () = stop.notified() => break,
        }
    }
    work.save();
}

/// The thread at work.
struct Work {
    plan: ResolverPlan,
    known: Known,
    /// None: nobody can be asked.
    servers: Option<Arc<Servers>>,
    /// Who waits for what.
    waiting: HashMap<Query, Vec<(u64, Sender<Answer>)>>,
    /// What has not been asked yet, and since when it waits.
    queue: VecDeque<(Query, Instant)>,
    /// What is being asked.
    asked: JoinSet<Reply>,
    /// What of that is what, and since when.
    asking: HashMap<Id, (Query, Ts)>,
    said: NowAndThen,
}

impl Work {
    fn begin(plan: ResolverPlan) -> Work {
        let servers = Servers::new(&plan.servers, plan.timeout);
        if let Err(e) = &servers {
            tracing::warn!("no DNS server can be asked, so no name is known: {e}; see --resolver");
        }
        let loaded = plan.file.as_deref().map(file::load).unwrap_or_default();
        if let Some(wrong) = loaded.wrong {
            tracing::warn!("{wrong}");
        }
        Work {
            known: Known::new(plan.entries, plan.keep, loaded.mappings),
            plan,
            servers: servers.ok().map(Arc::new),
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            asked: JoinSet::new(),
            asking: HashMap::new(),
            said: NowAndThen::default(),
        }
    }

    fn take(&mut self, question: Question) {
        let Question { query, ticket, to } = question;
        let change = None;
        if let Some(got) = self.known.fresh(&query, Instant::now()) {
            // Who asked may be gone; here and below.
            let _ = to.send(Answer { ticket, got, change });
            return;
        }
        if let Some(others) = self.waiting.get_mut(&query) {
            others.push((ticket, to));
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            let got = Got::NotAsked;
            let _ = to.send(Answer { ticket, got, change });
            return;
        }
        self.waiting.insert(query.clone(), vec![(ticket, to)]);
        self.queue.push_back((query, Instant::now()));
        self.ask_some();
    }

    /// Asks as much as may be asked at a time.
    fn ask_some(&mut self) {
        while self.asked.len() < self.plan.lookups {
            let Some((query, since)) = self.queue.pop_front() else {
                return;
            };
            if since.elapsed() > self.plan.timeout {
                for (ticket, to) in self.waiting.remove(&query).into_iter().flatten() {
                    let (got, change) = (Got::NotAsked, None);
                    let _ = to.send(Answer { ticket, got, change });
                }
                continue;
            }
            let (servers, asked) = (self.servers.clone(), query.clone());
            let task = self.asked.spawn(async move {
                match servers {
                    Some(servers) => servers.ask(&asked).await,
                    None => Reply::NONE,
                }
            });
            self.asking.insert(task.id(), (query, wall()));
        }
    }

    fn answered(&mut self, done: Result<(Id, Reply), JoinError>) {
        // A failure within the crate that asks is one answer less.
        let (id, reply) = done.unwrap_or_else(|e| (e.id(), Reply::NONE));
        if let Some((query, at)) = self.asking.remove(&id) {
            let known = self.known.mapping(&query).and_then(|m| m.found.as_ref());
            let ttl = reply.ttl;
            let outcome = reply.outcome(known.map_or(&[], |f| f.as_addrs()));
            let (got, mut change) = self.known.note(&query, at, outcome, ttl, Instant::now());
            for (ticket, to) in self.waiting.remove(&query).into_iter().flatten() {
                let (got, change) = (got.clone(), change.take());
                let _ = to.send(Answer { ticket, got, change });
            }
        }
        self.ask_some();
    }

    /// Writes what is known, if it has changed.
    fn save(&mut self) {
        let Some(path) = &self.plan.file else { return };
        let Some(all) = self.known.changed() else {
            return;
        };
        if let Err(e) = file::save(path, all) {
            self.known.not_written();
            if self.said.is_due() {
                tracing::warn!(
                    "cannot write {}: {e}; the next run does not know what names were; see --dns-cache",
                    path.display()
                );
            }
        }
    }
}

fn wall() -> Ts {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
