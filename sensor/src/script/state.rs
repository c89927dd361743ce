//! What the functions for scripts share: the time, what is put down, timers, and what a script may take.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::rc::Rc;

use mlua::{Function, Lua};

use super::files::{FileRotation, OpenFile, place};
use super::out::{FilteredRow, Out, OwnEvent, WeirdOf};
use super::weirds::Weirds;
use crate::conn::Order;
use crate::event::Ts;
use crate::event::log_stream::StreamRow;
use crate::output::feed::FeedTarget;
use crate::resolver::Asker;
use crate::settings::{ScriptSettings, Settings};

/// The folder of scripts' files, in that of the logs.
const DIR: &str = "scripts";
/// Most timers at a time.
const MAX_TIMERS: usize = 1 << 20;
/// Most files that are open at a time.
const MAX_FILES: usize = 256;
/// Most things that a handler puts down before it returns.
const MAX_OUT: usize = 1 << 16;

/// What scripts may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all scripts, bytes.
    pub memory: usize,
    /// Instructions of one call.
    pub steps: u64,
    /// Failures of a handler after which it is not called any more.
    pub failures: u32,
    /// They may use io, os and files anywhere.
    pub is_unsafe: bool,
}

/// Which scripts are to be loaded, and what they work with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scripts.
    pub scripts: Vec<PathBuf>,
    /// Where the files lie that they write.
    pub dir: PathBuf,
    /// What they may take.
    pub limits: Limits,
    /// What they print goes to standard error, as standard output is somebody else's.
    pub to_stderr: bool,
    /// Who looks names up for them; None: nobody.
    pub asker: Option<Asker>,
    /// Which of their handlers are called.
    pub role: Role,
    /// There is a place for contents files, and for files that are extracted.
    pub places: Places,
}

/// Which handlers of the scripts an interpreter calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All.
    All,
    /// Those that are not called at once.
    Later,
    /// Those that are called at once, by who raises the event. They wait for nothing: they open no files, print nothing, and
    /// have no timers.
    AtOnce,
}

/// What there is a place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Contents files.
    pub contents: bool,
    /// Files that are extracted.
    pub extracted: bool,
}

impl Plan {
    /// The same for other handlers.
    pub fn with(&self, role: Role) -> Plan {
        Plan { role, ..self.clone() }
    }

    /// As the settings say; None: they name no script.
    pub fn of(settings: &Settings) -> Option<Plan> {
        let s = &settings.scripts;
        (!s.files.is_empty()).then(|| Plan {
            scripts: s.files.clone(),
            dir: settings.logs.dir.join(DIR),
            limits: Limits::from(s),
            to_stderr: settings.events.to.as_deref() == Some("-")
                || settings.logs.to.contains(&FeedTarget::Stdout),
            asker: None,
            role: Role::All,
            places: Places {
                contents: settings.logs.contents_dir.is_some(),
                extracted: settings.files.extract_dir.is_some(),
            },
        })
    }

    /// The same with somebody who looks names up.
    #[cfg(feature = "live")]
    pub fn with_asker(self, asker: Asker) -> Plan {
        Plan {
            asker: Some(asker),
            ..self
        }
    }
}

impl From<&ScriptSettings> for Limits {
    fn from(s: &ScriptSettings) -> Limits {
        Limits {
            memory: (s.memory_mib as usize) << 20,
            steps: s.steps,
            failures: s.failures,
            is_unsafe: s.is_unsafe,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::from(&ScriptSettings::default())
    }
}

/// A timer: when it is due, which one it is.
type Due = Reverse<(Ts, u64)>;

/// What is to be called at a time.
#[derive(Clone)]
pub struct Timer {
    pub f: Function,
    /// Again after so long, ns; 0: once.
    pub every: u64,
}

/// The state; copies are the same one.
#[derive(Clone)]
pub struct State(Rc<Shared>);

#[derive(Default)]
struct Shared {
    now: Cell<Ts>,
    out: RefCell<Vec<Out>>,
    due: RefCell<BinaryHeap<Due>>,
    timers: RefCell<std::collections::HashMap<u64, Timer>>,
    next_timer: Cell<u64>,
    /// Instructions that the call at work may still take.
    steps: Cell<u64>,
    /// Where files are that scripts write.
    dir: PathBuf,
    /// Whether they may be anywhere.
    anywhere: bool,
    /// Files that are open.
    files: RefCell<Vec<Rc<OpenFile>>>,
    /// What they print goes to standard error, as standard output is somebody else's.
    to_stderr: bool,
    role: Option<Role>,
    places: Places,
    weirds: RefCell<Weirds>,
    /// Scripts are asked what tells a file from others.
    asks_handle: Cell<bool>,
    /// How deep the script that is being loaded is in others.
    level: Cell<u64>,
    /// The script that is being loaded.
    script: RefCell<Option<PathBuf>>,
}

impl State {
    /// For scripts that are loaded by this plan.
    pub fn new(plan: &Plan) -> State {
        State(Rc::new(Shared {
            dir: plan.dir.clone(),
            anywhere: plan.limits.is_unsafe,
            to_stderr: plan.to_stderr,
            role: Some(plan.role),
            places: plan.places,
            ..Shared::default()
        }))
    }

    /// That of an interpreter.
    pub fn of(lua: &Lua) -> mlua::Result<State> {
        let state = lua.app_data_ref::<State>().map(|s| s.clone());
        state.ok_or_else(|| mlua::Error::runtime("no state"))
    }

    pub fn now(&self) -> Ts {
        self.0.now.get()
    }

    /// Time does not go back.
    pub fn set_now(&self, now: Ts) {
        self.0.now.set(self.now().max(now));
    }

    pub fn row(&self, row: StreamRow<'static>) -> mlua::Result<()> {
        self.put(Out::Row(row))
    }

    /// A row that is to be written, however many there are.
    pub fn filtered(&self, row: FilteredRow) {
        self.0.out.borrow_mut().push(Out::Filtered(row));
    }

    pub fn event(&self, event: OwnEvent) -> mlua::Result<()> {
        self.put(Out::Event(event))
    }

    pub fn order(&self, order: Order) -> mlua::Result<()> {
        self.put(Out::Order(order))
    }

    /// A weird.
    pub fn weird(&self, name: &str, addl: String, of: WeirdOf) -> mlua::Result<()> {
        let one = self.0.weirds.borrow_mut().one(name, addl, of, self.now());
        match one.map_err(mlua::Error::runtime)? {
            Some(weird) => self.event(OwnEvent::Weird(weird)),
            None => Ok(()),
        }
    }

    /// Whether scripts are asked now what tells a file from others.
    pub fn set_asks_handle(&self, asks: bool) {
        self.0.asks_handle.set(asks);
    }

    /// What tells the file from others.
    pub fn handle(&self, handle: Vec<u8>) -> mlua::Result<()> {
        match self.0.asks_handle.get() {
            true => self.put(Out::Handle(handle)),
            false => Err(mlua::Error::runtime(
                "set_file_handle answers get_file_handle: it is called in a handler of that",
            )),
        }
    }

    /// What there is a place for.
    pub fn places(&self) -> Places {
        self.0.places
    }

    /// Whether handlers are called at once and nothing may be waited for.
    pub fn is_at_once(&self) -> bool {
        self.0.role == Some(Role::AtOnce)
    }

    /// An error if nothing may be waited for, unless scripts are being loaded: then it is for others.
    pub fn may_wait(&self, what: &str) -> mlua::Result<bool> {
        match (self.is_at_once(), self.script().is_some()) {
            (false, _) => Ok(true),
            (true, true) => Ok(false),
            (true, false) => Err(mlua::Error::runtime(format!(
                "{what} is not there in handlers that are called at once"
            ))),
        }
    }

    fn put(&self, out: Out) -> mlua::Result<()> {
        let mut all = self.0.out.borrow_mut();
        if all.len() >= MAX_OUT {
            return Err(mlua::Error::runtime("one call wrote too much"));
        }
        all.push(out);
        Ok(())
    }

    /// What was put down since.
    pub fn take(&self) -> Vec<Out> {
        std::mem::take(&mut self.0.out.borrow_mut())
    }

    /// Whether anything was put down.
    pub fn has_out(&self) -> bool {
        !self.0.out.borrow().is_empty()
    }

    /// Calls `timer` in so long, ns; its number.
    pub fn schedule(&self, after: u64, timer: Timer) -> mlua::Result<u64> {
        let mut timers = self.0.timers.borrow_mut();
        if !self.may_wait("a timer")? {
            return Ok(0);
        }
        if timers.len() >= MAX_TIMERS {
            return Err(mlua::Error::runtime("too many timers"));
        }
        let n = self.0.next_timer.get();
        self.0.next_timer.set(n + 1);
        timers.insert(n, timer);
        let at = self.now().saturating_add(after);
        self.0.due.borrow_mut().push(Reverse((at, n)));
        Ok(n)
    }

    /// Whether it was still to come.
    pub fn cancel(&self, n: u64) -> bool {
        self.0.timers.borrow_mut().remove(&n).is_some()
    }

    /// A time before which no timer is due.
    pub fn next_due(&self) -> Ts {
        self.0.due.borrow().peek().map_or(Ts::MAX, |Reverse((at, _))| *at)
    }

    /// The next timer that is due at `now`, and for when it was; what comes again is armed for its next time, which is to come.
    pub fn pop(&self, now: Ts) -> Option<(Ts, Function)> {
        loop {
            let Reverse((at, n)) = *self.0.due.borrow().peek()?;
            if at > now {
                return None;
            }
            self.0.due.borrow_mut().pop();
            let mut timers = self.0.timers.borrow_mut();
            let Some(timer) = timers.get(&n).cloned() else {
                continue;
            };
            match (now - at).checked_div(timer.every) {
                None => drop(timers.remove(&n)),
                // Those that were missed meanwhile are not made up for.
                Some(missed) => {
                    let next = at.saturating_add((missed + 1).saturating_mul(timer.every));
                    self.0.due.borrow_mut().push(Reverse((next, n)));
                }
            }
            return Some((at, timer.f));
        }
    }

    /// A call begins that may take so many instructions.
    pub fn begin(&self, steps: u64) {
        self.0.steps.set(steps);
    }

    /// Whether the call at work may take no more.
    pub fn is_out_of_steps(&self) -> bool {
        self.0.steps.get() == 0
    }

    /// So many more were taken; whether that is too many.
    pub fn took(&self, steps: u64) -> bool {
        let left = self.0.steps.get().saturating_sub(steps);
        self.0.steps.set(left);
        left == 0
    }

    pub fn prints_to_stderr(&self) -> bool {
        self.0.to_stderr
    }

    /// Opens a file, or gives the one that is open under that name.
    pub fn open(&self, name: &str, rotation: FileRotation) -> Result<Rc<OpenFile>, String> {
        let mut files = self.0.files.borrow_mut();
        if let Some(file) = files.iter().find(|f| f.name() == name) {
            return Ok(file.clone());
        }
        if files.len() >= MAX_FILES {
            return Err(format!("{MAX_FILES} files are open already"));
        }
        let path = place(&self.0.dir, name, self.0.anywhere)?;
        let file = match self.is_at_once() {
            true => Ok(OpenFile::mute(name)),
            false => OpenFile::open(name, path, rotation, self.now()),
        };
        let file = Rc::new(file.map_err(|e| format!("cannot open {name}: {e}"))?);
        files.push(file.clone());
        Ok(file)
    }

    /// Closes a file.
    pub fn close(&self, name: &str) {
        self.0.files.borrow_mut().retain(|f| f.name() != name);
    }

    /// Writes what was gathered for files, and rotates those whose time has come.
    pub fn look_after_files(&self) {
        for file in self.0.files.borrow().iter() {
            if file.is_due(self.now()) {
                // Put down, not told: there is always room for so few.
                let _ = self.event(OwnEvent::RotateInterval {
                    f: file.name().to_owned(),
                });
                file.rotate(self.now());
            }
            file.flush();
        }
    }

    /// How deep the script at work is in others, while it is being loaded.
    pub fn level(&self) -> u64 {
        self.0.level.get()
    }

    pub fn set_level(&self, level: u64) {
        self.0.level.set(level);
    }

    /// The script that is being loaded.
    pub fn script(&self) -> Option<PathBuf> {
        self.0.script.borrow().clone()
    }

    pub fn set_script(&self, script: Option<PathBuf>) {
        *self.0.script.borrow_mut() = script;
    }
}
