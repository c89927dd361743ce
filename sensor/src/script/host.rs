//! The interpreter: scripts are loaded, and their handlers called with events and when timers are due.

mod looked;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};

use super::api;
use super::filters::{Filters, filter};
use super::lookups::Lookups;
use super::out::{Out, OwnEvent};
use super::state::{Limits, Plan, Role, State};
use super::values::{next, typed};
use super::wire::{Batch, ROW, Reader};
use crate::catalog::{UnknownEvent, named};
use crate::event::{Event, GetFileHandle, Kind, LogRow, SignatureMatch, SignatureState, Subscriptions, Ts};
use crate::profile::{Cost, place};

/// Instructions between two looks at whether a call takes too long.
const LOOK_EVERY: u32 = 10_000;
/// Most instructions of a call that is waited for while packets come: about a millisecond.
const AT_ONCE_STEPS: u64 = 100_000;
/// Deepest script that a script loads.
const MAX_LEVEL: u64 = 32;
/// Largest script, bytes.
const MAX_SCRIPT: u64 = 16 << 20;
/// Most timers that are called before events go on.
const TIMERS_AT_ONCE: usize = 1024;
/// How often files are looked after, ns of network time.
const FILES_EVERY: u64 = 1_000_000_000;
/// Most handlers of one event.
const MAX_HANDLERS: usize = 1024;

/// Why a script is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(String);

impl From<mlua::Error> for ScriptError {
    fn from(e: mlua::Error) -> Self {
        ScriptError(said(&e))
    }
}

/// A handler of an event.
struct Handler {
    f: Function,
    /// The highest is called first.
    priority: i64,
    failures: u32,
    /// Calls, and the time that they took, ns, while there is a profile.
    spent: (u64, u64),
}

/// Handlers by their events' kinds.
type Handlers = Vec<Vec<Handler>>;

/// The interpreter with its scripts.
pub struct Host {
    handlers: Rc<RefCell<Handlers>>,
    subs: Subscriptions,
    /// Events of which handlers are called at once, by whomever.
    at_once: Rc<Cell<Subscriptions>>,
    filters: Filters,
    lookups: Lookups,
    state: State,
    role: Role,
    limits: Limits,
    files_at: Ts,
    scratch: Batch,
    calls: u64,
    failed: u64,
    // After what holds functions of it.
    lua: Lua,
}

/// Where the interpreter is, as its own errors begin.
fn place_of(at: &mlua::debug::Debug<'_>) -> String {
    match (at.source().short_src, at.current_line()) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ => String::new(),
    }
}

/// An error of the interpreter in a line: where and what, without the stack.
fn said(e: &mlua::Error) -> String {
    let text = match e {
        mlua::Error::CallbackError { cause, traceback } => {
            // Who was called by a script knows no line of it; the stack does.
            let place = traceback.lines().find_map(|l| {
                let l = l.trim();
                let (place, _) = l.split_once(": in ")?;
                (!place.starts_with('[') && !place.starts_with("prelude")).then(|| format!("{place}: "))
            });
            let why = said(cause);
            match place {
                Some(place) if !why.starts_with(place.split(':').next().unwrap_or_default()) => place + &why,
                _ => why,
            }
        }
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::MemoryError(_) => "out of memory; see --script-memory".to_owned(),
        other => other.to_string(),
    };
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("runtime error: ").unwrap_or(first).to_owned()
}

impl Host {
    /// Loads scripts.
    pub fn load(plan: &Plan) -> Result<Host, ScriptError> {
        let limits = plan.limits;
        let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
        let libs = match limits.is_unsafe {
            true => StdLib::ALL_SAFE,
            false => libs,
        };
        let lua = Lua::new_with(libs, LuaOptions::new())?;
        lua.set_memory_limit(limits.memory)?;
        let mut host = Host {
            handlers: Rc::new(RefCell::new((0..Kind::PLACES).map(|_| Vec::new()).collect())),
            subs: Subscriptions::NONE,
            at_once: Rc::new(Cell::new(Subscriptions::NONE)),
            filters: Filters::default(),
            lookups: Lookups::new(plan.asker.clone()),
            state: State::new(plan),
            role: plan.role,
            limits,
            files_at: 0,
            scratch: Batch::default(),
            calls: 0,
            failed: 0,
            lua,
        };
        let state = host.state.clone();
        host.lua.set_global_hook(
            HookTriggers::new().every_nth_instruction(LOOK_EVERY),
            move |_, at| match state.took(LOOK_EVERY.into()) {
                true => Err(mlua::Error::runtime(format!(
                    "{}takes too long; see --script-steps",
                    place_of(at)
                ))),
                false => Ok(VmState::Continue),
            },
        )?;
        host.take_away()?;
        host.state.begin(limits.steps);
        host.lua.set_app_data(host.filters.clone());
        host.lua.set_app_data(host.lookups.clone());
        api::install(&host.lua, &host.state)?;
        // For who loads one twice.
        let loaded = Rc::new(RefCell::new(Vec::new()));
        host.give_load(loaded.clone())?;
        for script in &plan.scripts {
            host.state.begin(limits.steps);
            run_script(&host.lua, &host.state, &loaded, script)?;
        }
        host.lua.globals().set("on", Value::Nil)?;
        let handled = host.handlers.borrow();
        let wants = |kind: &Kind| !handled[kind.place()].is_empty();
        host.subs = crate::catalog::events().map(|i| i.kind).filter(wants).collect();
        drop(handled);
        if host.role == Role::AtOnce {
            host.limits.steps = host.limits.steps.min(AT_ONCE_STEPS);
            // What scripts do when they are loaded is done by others.
            host.state.take();
        }
        Ok(host)
    }

    /// Takes away what leads out of the interpreter.
    fn take_away(&self) -> mlua::Result<()> {
        let globals = self.lua.globals();
        if !self.limits.is_unsafe {
            for name in [
                "dofile",
                "loadfile",
                "load",
                "require",
                "package",
                "collectgarbage",
            ] {
                globals.set(name, Value::Nil)?;
            }
            let string: Table = globals.get("string")?;
            string.set("dump", Value::Nil)?;
        }
        Ok(())
    }

    /// Gives the functions that are there while scripts are loaded.
    fn give_load(&self, loaded: Rc<RefCell<Vec<PathBuf>>>) -> mlua::Result<()> {
        let globals = self.lua.globals();
        let handlers = Rc::downgrade(&self.handlers);
        let (role, all_at_once) = (self.role, self.at_once.clone());
        let on = self
            .lua
            .create_function(move |_, (name, f, how): (String, Function, Option<Table>)| {
                let Some(info) = named(&name) else {
                    return Err(mlua::Error::runtime(UnknownEvent::of(&name).to_string()));
                };
                if !info.raised {
                    return Err(mlua::Error::runtime(format!("{name} is not raised yet")));
                }
                let (mut priority, mut at_once) = (0, false);
                if let Some(how) = how {
                    priority = how.get::<Option<i64>>("priority")?.unwrap_or(0);
                    at_once = how.get::<Option<bool>>("at_once")?.unwrap_or(false);
                }
                // Who asks waits for the answer.
                at_once |= info.kind == GetFileHandle::KIND;
                if at_once {
                    all_at_once.set(all_at_once.get().with(info.kind));
                }
                let is_called = match role {
                    Role::All => true,
                    Role::Later => !at_once,
                    Role::AtOnce => at_once,
                };
                if !is_called {
                    return Ok(());
                }
                let Some(handlers) = handlers.upgrade() else {
                    return Ok(());
                };
                let mut handlers = handlers.borrow_mut();
                let of_event = &mut handlers[info.kind.place()];
                if of_event.len() >= MAX_HANDLERS {
                    return Err(mlua::Error::runtime(format!(
                        "{name} has {MAX_HANDLERS} handlers already"
                    )));
                }
                // Behind those of the same priority.
                let at = of_event.partition_point(|h| h.priority >= priority);
                of_event.insert(
                    at,
                    Handler {
                        f,
                        priority,
                        failures: 0,
                        spent: (0, 0),
                    },
                );
                Ok(())
            })?;
        globals.set("on", on)?;
        let state = self.state.clone();
        let load = self.lua.create_function(move |lua, name: String| {
            let here = state
                .script()
                .ok_or_else(|| mlua::Error::runtime("scripts are loaded at the start"))?;
            let path = beside(&here, &name).map_err(mlua::Error::runtime)?;
            run_script(lua, &state, &loaded, &path).map_err(|e| mlua::Error::runtime(e.0))
        })?;
        globals.set("load", load)?;
        let (state, anywhere) = (self.state.clone(), self.limits.is_unsafe);
        let read = self.lua.create_function(move |lua, name: String| {
            let here = state
                .script()
                .ok_or_else(|| mlua::Error::runtime("files are read while scripts are loaded"))?;
            let path = match anywhere {
                true => here.parent().unwrap_or(Path::new(".")).join(&name),
                false => beside(&here, &name).map_err(mlua::Error::runtime)?,
            };
            let text =
                fs::read(&path).map_err(|e| mlua::Error::runtime(format!("{}: {e}", path.display())))?;
            lua.create_string(text)
        })?;
        globals.set("read_file", read)
    }

    /// The events that have handlers.
    pub fn wants(&self) -> Subscriptions {
        self.subs
    }

    /// The events of which handlers are called at once, by this interpreter or another one.
    pub fn at_once(&self) -> Subscriptions {
        self.at_once.get()
    }

    /// Calls of handlers so far, and those of them that failed.
    pub fn calls(&self) -> (u64, u64) {
        (self.calls, self.failed)
    }

    /// A time before which nothing is due.
    pub fn next_due(&self) -> Ts {
        match self.lookups.is_waiting() {
            true => 0,
            false => self.state.next_due().min(self.files_at),
        }
    }

    /// Gives the handlers an event.
    pub fn event(&mut self, ts: Ts, ev: &dyn Event) {
        if !self.subs.wants(ev.kind()) {
            return;
        }
        self.with_one(|one| one.push(ts, ev), Host::next_event);
    }

    /// Does something with the one event that `push` adds to a batch.
    fn with_one<R>(
        &mut self,
        push: impl FnOnce(&mut Batch),
        work: impl FnOnce(&mut Self, &mut Reader<'_>) -> R,
    ) -> R {
        let mut one = std::mem::take(&mut self.scratch);
        one.clear();
        push(&mut one);
        let done = work(self, &mut one.reader());
        self.scratch = one;
        done
    }

    /// Gives the handlers the next event of a batch. False: there is none.
    pub fn next_event(&mut self, from: &mut Reader<'_>) -> bool {
        let Some((ts, kind)) = from.event() else {
            return false;
        };
        self.advance(ts);
        match kind == ROW {
            true => self.filter_row(from),
            false => self.dispatch(kind, from),
        }
        true
    }

    /// The logs whose rows scripts look at.
    pub fn filtered_logs(&self) -> Vec<String> {
        let mut logs: Vec<_> = self
            .filters
            .0
            .borrow()
            .iter()
            .map(|f| f.of().to_owned())
            .collect();
        logs.dedup();
        logs
    }

    /// Shows scripts a row of a log. What is to be written of it is among what they give.
    pub fn row(&mut self, ts: Ts, row: &dyn LogRow) {
        self.with_one(|one| one.push_row(ts, row), Host::next_event);
    }

    fn filter_row(&mut self, from: &mut Reader<'_>) {
        let Some(log) = from.log() else {
            return from.skip();
        };
        let mut values = Vec::with_capacity(log.1.len());
        for column in log.1 {
            let item = from.item();
            values.push(typed(column.typ, item, from));
        }
        from.skip();
        self.calls += 1;
        self.state.begin(self.limits.steps);
        // A filter that writes to a log of scripts has its filters looked at, too, but not by itself.
        let mut filters = std::mem::take(&mut *self.filters.0.borrow_mut());
        let (done, failed) = filter(&self.lua, &mut filters, log, values);
        *self.filters.0.borrow_mut() = filters;
        if let Some(e) = failed {
            self.fail(&e, None);
        }
        for row in done.made {
            self.state.filtered(row);
        }
    }

    fn dispatch(&mut self, kind: Kind, from: &mut Reader<'_>) {
        let handlers = self.handlers.borrow()[kind.place()].len();
        if handlers == 0 {
            return from.skip();
        }
        let mut args = MultiValue::new();
        loop {
            match next(&self.lua, from) {
                Ok(Some(v)) => args.push_back(v),
                Ok(None) => break,
                Err(e) => {
                    // What did not fit into memory is lost, and said.
                    from.skip();
                    return self.fail(&e, None);
                }
            }
        }
        self.state.set_asks_handle(kind == GetFileHandle::KIND);
        for n in 0..handlers {
            let f = match self.handlers.borrow()[kind.place()].get(n) {
                Some(h) if h.failures < self.limits.failures => h.f.clone(),
                _ => continue,
            };
            let given = match n + 1 < handlers {
                true => args.clone(),
                false => std::mem::take(&mut args),
            };
            let began = place::is_on().then(Instant::now);
            if let Err(e) = self.call(&f, given) {
                self.fail(&e, Some((kind, n)));
            }
            if let Some(began) = began {
                self.spent(kind, n, began.elapsed());
            }
        }
        self.state.set_asks_handle(false);
    }

    /// A call took so long.
    fn spent(&mut self, kind: Kind, n: usize, took: Duration) {
        if let Some(handler) = self.handlers.borrow_mut()[kind.place()].get_mut(n) {
            handler.spent.0 += 1;
            handler.spent.1 += took.as_nanos() as u64;
        }
    }

    /// What each handler has cost, while there is a profile, and the memory of all.
    pub fn costs(&self) -> Vec<Cost> {
        let mut all = vec![Cost {
            kind: "handler",
            name: "all".into(),
            memory: Some(self.lua.used_memory() as u64),
            count: Some(self.calls),
            cpu: None,
        }];
        let handlers = self.handlers.borrow();
        for info in crate::catalog::events() {
            for handler in handlers[info.kind.place()].iter().filter(|h| h.spent.0 > 0) {
                let at = handler.f.info();
                let (file, line) = (at.short_src.unwrap_or_default(), at.line_defined.unwrap_or(0));
                let (calls, ns) = handler.spent;
                all.push(Cost {
                    kind: "handler",
                    name: format!("{} {file}:{line}", info.name),
                    cpu: Some(ns),
                    count: Some(calls),
                    memory: None,
                });
            }
        }
        all
    }

    fn call(&mut self, f: &Function, args: MultiValue) -> mlua::Result<()> {
        self.calls += 1;
        self.state.begin(self.limits.steps);
        f.call::<()>(args)
    }

    /// A call failed.
    fn fail(&mut self, e: &mlua::Error, of: Option<(Kind, usize)>) {
        self.failed += 1;
        let text = said(e);
        let (location, msg) = located(&text);
        let event = OwnEvent::Error {
            msg: msg.to_owned(),
            location: location.to_owned(),
        };
        // What that does not take is too much anyway.
        let _ = self.state.event(event);
        let Some((kind, n)) = of else { return };
        let mut handlers = self.handlers.borrow_mut();
        let Some(handler) = handlers[kind.place()].get_mut(n) else {
            return;
        };
        handler.failures += 1;
        if handler.failures == self.limits.failures {
            let name = kind.info().map_or("an event", |i| i.name);
            let msg = format!(
                "a handler of {name} has failed {} times and is not called any more",
                self.limits.failures
            );
            let location = location.to_owned();
            let _ = self.state.event(OwnEvent::Error { msg, location });
        }
    }

    /// Time moves: calls timers that are due.
    pub fn advance(&mut self, now: Ts) {
        self.state.set_now(now);
        for _ in 0..TIMERS_AT_ONCE {
            let Some((_, f)) = self.state.pop(now) else {
                break;
            };
            if let Err(e) = self.call(&f, MultiValue::new()) {
                self.fail(&e, None);
            }
        }
        self.await_lookups(Duration::ZERO);
        if now >= self.files_at {
            self.files_at = now.saturating_add(FILES_EVERY);
            self.state.look_after_files();
        }
    }

    /// Whether scripts have a global function of this name.
    pub fn has_function(&self, name: &str) -> bool {
        let f: mlua::Result<Function> = self.lua.globals().get(name);
        f.is_ok()
    }

    /// What a global function says of a signature's match (`eval`): true if it says so; a failure says no.
    pub fn evaluate(&mut self, ts: Ts, function: &str, state: &SignatureState<'_>, data: &[u8]) -> bool {
        let (state, msg) = (*state, "");
        let event = SignatureMatch { state, msg, data };
        let said = self.with_one(|one| one.push(ts, &event), |host, from| host.ask(function, from));
        match said {
            Ok(said) => said,
            Err(e) => {
                self.fail(&e, None);
                false
            }
        }
    }

    fn ask(&mut self, function: &str, from: &mut Reader<'_>) -> mlua::Result<bool> {
        if let Some((ts, _)) = from.event() {
            self.state.set_now(ts);
        }
        let f: Function = self.lua.globals().get(function)?;
        let state = next(&self.lua, from)?;
        next(&self.lua, from)?;
        let data = next(&self.lua, from)?;
        self.calls += 1;
        self.state.begin(self.limits.steps);
        f.call((state, data))
    }

    /// Whether [`Host::take`] has anything to give.
    pub fn has_out(&self) -> bool {
        self.state.has_out()
    }

    /// What scripts gave since. Their own events that have handlers are handled; what these handlers cause is given, but not
    /// handled any more: there would be no end.
    pub fn take(&mut self, out: &mut Vec<Out>) {
        let first = self.state.take();
        let now = self.state.now();
        for one in &first {
            if let Out::Event(own) = one {
                own.with(now, |ev| self.event(now, ev));
            }
        }
        out.extend(first);
        out.extend(self.state.take());
    }

    /// It is over: lookups that wait get no answer, and what was gathered for files is written.
    pub fn finish(&mut self) {
        self.end_lookups();
        self.state.look_after_files();
    }
}

/// `scan.lua:12: what is wrong` as its two parts.
fn located(text: &str) -> (&str, &str) {
    let mut parts = text.splitn(3, ':');
    let (file, line, rest) = (parts.next(), parts.next(), parts.next());
    match (file, line, rest) {
        (Some(file), Some(line), Some(rest))
            if line.bytes().all(|b| b.is_ascii_digit()) && !line.is_empty() =>
        {
            (&text[..file.len() + 1 + line.len()], rest.trim_start())
        }
        _ => ("", text),
    }
}

/// A file beside a script, or in a folder there.
fn beside(script: &Path, name: &str) -> Result<PathBuf, String> {
    let inside = Path::new(name)
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
    match inside {
        true => Ok(script.parent().unwrap_or(Path::new(".")).join(name)),
        false => Err(format!("{name:?} is not in the script's folder")),
    }
}

/// Runs a script's text, unless that was done before.
fn run_script(
    lua: &Lua,
    state: &State,
    loaded: &RefCell<Vec<PathBuf>>,
    path: &Path,
) -> Result<(), ScriptError> {
    let wrong = |e: String| ScriptError(format!("{}: {e}", path.display()));
    let full = fs::canonicalize(path).map_err(|e| wrong(e.to_string()))?;
    if loaded.borrow().contains(&full) {
        return Ok(());
    }
    let level = state.level();
    if level > MAX_LEVEL {
        return Err(wrong(format!("scripts load scripts {MAX_LEVEL} deep")));
    }
    let len = fs::metadata(&full).map_err(|e| wrong(e.to_string()))?.len();
    if len > MAX_SCRIPT {
        return Err(wrong(format!("a script has {} MiB at most", MAX_SCRIPT >> 20)));
    }
    let text = fs::read(&full).map_err(|e| wrong(e.to_string()))?;
    loaded.borrow_mut().push(full.clone());
    let name = full.display().to_string();
    state.event(OwnEvent::Loaded { path: name, level })?;
    let before = state.script();
    state.set_script(Some(full));
    state.set_level(level + 1);
    let done = lua
        .load(text)
        .set_name(format!("@{}", path.display()))
        .set_mode(mlua::chunk::ChunkMode::Text)
        .exec();
    state.set_level(level);
    state.set_script(before);
    Ok(done?)
}

#[cfg(test)]
mod tests;
