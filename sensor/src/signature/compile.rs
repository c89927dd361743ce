//! Signatures put together for matching: those that ask the same of headers share machines, one for each context.

use std::collections::HashMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::{Headers, Test};
use super::nfa::Nfa;
use super::parse::parse;
use super::rule::{Action, Condition, Context, Pattern, Problem, Rule};

/// Longest file to read, bytes.
const MAX_LEN: u64 = 16 << 20;

/// Why there are no signatures.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file cannot be read.
    #[error("cannot read the signatures in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is too long.
    #[error("the signatures in {} are longer than {MAX_LEN} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Something in a file is wrong.
    #[error("signatures: {0}")]
    Wrong(#[from] Problem),
}

/// What signatures may name that is declared elsewhere.
pub struct Known<'k> {
    /// Whether there is such a function for `eval`.
    pub function: &'k dyn Fn(&str) -> bool,
    /// Whether there is such an analyzer, by Zeek's name in upper case.
    pub analyzer: &'k dyn Fn(&str) -> bool,
}

/// A signature, its references as numbers.
#[derive(Debug)]
pub struct Signature {
    /// Its name.
    pub id: Arc<str>,
    /// What has to hold, of scripts at last.
    pub conditions: Vec<Condition>,
    /// Other signatures: their numbers, in the other direction, not to have matched.
    pub(super) requires: Vec<(u32, bool, bool)>,
    /// Signatures that require this one.
    pub(super) dependents: Vec<u32>,
    /// What a match leads to.
    pub actions: Vec<Action>,
    /// Which group it is in; None: it is switched off.
    pub(super) group: Option<u32>,
    /// The numbers of its expressions.
    pub(super) patterns: Range<u32>,
}

impl Signature {
    /// Directions in which it may match, the originator's as bit 0.
    fn sides(&self) -> u8 {
        let of = |c: &Condition| match c {
            Condition::Tcp(f) | Condition::Udp(f) if !f.stateless => {
                3 & !(u8::from(f.orig) << 1) & !u8::from(f.resp)
            }
            _ => 3,
        };
        self.conditions.iter().fold(3, |sides, c| sides & of(c))
    }

    fn asks_for_size(&self) -> bool {
        let is_size = |c: &Condition| matches!(c, Condition::Size(..));
        self.conditions.iter().any(is_size)
    }
}

/// Signatures that ask the same of headers.
#[derive(Debug, Default)]
pub struct Group {
    /// Numbers of tests, all of which hold.
    tests: Vec<u32>,
    /// Those without expressions.
    pub(super) pure: Vec<u32>,
    /// Their machines.
    pub(super) machines: Vec<u32>,
    /// One of those without expressions asks for the payload's size.
    pub(super) sized: bool,
}

/// A machine of a group, for one context.
#[derive(Debug)]
pub struct Machine {
    pub(super) context: Context,
    pub(super) nfa: Nfa,
    /// Directions in which a match means something.
    sides: u8,
}

impl Machine {
    /// Whether a match means something in the direction of side `s`.
    pub(super) fn is_of(&self, s: usize) -> bool {
        self.sides & 1 << s != 0
    }
}

/// All signatures of a run, for all workers.
#[derive(Debug, Default)]
pub struct Signatures {
    pub(super) rules: Vec<Signature>,
    pub(super) groups: Vec<Group>,
    pub(super) machines: Vec<Machine>,
    tests: Vec<Test>,
    /// By expression: whose it is, and within how many bytes it has to be complete.
    pub(super) patterns: Vec<(u32, usize)>,
    contexts: u16,
    /// Of the beginnings of files, if there are any.
    pub(super) magic: Option<Nfa>,
    /// No payload at all completes an expression for it.
    pub(super) matches_nothing: bool,
    /// The end of payload may complete one.
    pub(super) matches_end: bool,
    /// What is odd about them and no error.
    pub warnings: Vec<Problem>,
}

impl Signatures {
    /// Those of these files.
    pub fn load(files: &[PathBuf], known: &Known<'_>) -> Result<Signatures, SignatureError> {
        let mut rules = Vec::new();
        for file in files {
            rules.extend(parse(&read(file)?, file.clone())?);
        }
        Ok(Signatures::new(rules, known)?)
    }

    /// Those of a text, which stands for a file.
    pub fn of_text(text: &[u8], known: &Known<'_>) -> Result<Signatures, Problem> {
        Signatures::new(parse(text, "signatures".into())?, known)
    }

    /// Puts them together.
    pub fn new(parsed: Vec<Rule>, known: &Known<'_>) -> Result<Signatures, Problem> {
        let mut all = Signatures::default();
        let numbers = numbers(&parsed)?;
        let mut groups: HashMap<Vec<u32>, u32> = HashMap::new();
        for rule in &parsed {
            all.check(rule, known)?;
            let number = all.rules.len() as u32;
            let first = all.patterns.len() as u32;
            all.patterns
                .extend(rule.patterns.iter().map(|p| (number, p.depth)));
            let is_used = rule.active && rule.patterns.iter().all(|p| is_read(p.context));
            let group = is_used.then(|| {
                let mut tests: Vec<u32> = rule.tests.iter().map(|t| all.test(t)).collect();
                tests.sort_unstable();
                tests.dedup();
                *groups.entry(tests.clone()).or_insert_with(|| {
                    // What most packets differ in comes first.
                    tests.sort_by_key(|n| all.tests.get(*n as usize).map(Test::cost));
                    all.groups.push(Group {
                        tests,
                        ..Group::default()
                    });
                    all.groups.len() as u32 - 1
                })
            });
            let mut conditions = rule.conditions.clone();
            // Scripts take time: they are asked when all else holds.
            conditions.sort_by_key(|c| matches!(c, Condition::Eval(_)));
            let requires = rule.requires.iter();
            let requires = requires.map(|r| match numbers.get(&*r.id) {
                Some(n) => Ok((*n, r.reverse, r.negate)),
                None => Err(problem(rule, r.line, format!("there is no signature {}", r.id))),
            });
            all.rules.push(Signature {
                id: rule.id.clone(),
                conditions,
                requires: requires.collect::<Result<_, _>>()?,
                dependents: Vec::new(),
                actions: rule.actions.clone(),
                group,
                patterns: first..all.patterns.len() as u32,
            });
        }
        all.link();
        all.build(&parsed)?;
        Ok(all)
    }

    fn check(&mut self, rule: &Rule, known: &Known<'_>) -> Result<(), Problem> {
        for c in &rule.conditions {
            if let Condition::Eval(function) = c
                && !(known.function)(function)
            {
                let what = format!("eval {function}: no script with this function is loaded");
                return Err(problem(rule, rule.line, what));
            }
        }
        for action in &rule.actions {
            if let Action::Enable(name) = action
                && !(known.analyzer)(name)
            {
                let what = format!("there is no analyzer {name}; {} does nothing with it", rule.id);
                self.warnings.push(problem(rule, rule.line, what));
            }
        }
        if let Some(what) = rule.useless() {
            self.warnings.push(problem(rule, rule.line, what.into()));
        }
        Ok(())
    }

    fn test(&mut self, test: &Test) -> u32 {
        let known = self.tests.iter().position(|t| t == test);
        known.unwrap_or_else(|| {
            self.tests.push(test.clone());
            self.tests.len() - 1
        }) as u32
    }

    /// Notes who requires whom, and which signatures of a group have no expressions.
    fn link(&mut self) {
        for n in 0..self.rules.len() {
            let Some(rule) = self.rules.get(n) else { continue };
            let Some(group) = rule.group else { continue };
            let of: Vec<u32> = rule.requires.iter().map(|(of, ..)| *of).collect();
            let (is_pure, sized) = (rule.patterns.is_empty(), rule.asks_for_size());
            for of in of {
                if let Some(rule) = self.rules.get_mut(of as usize) {
                    rule.dependents.push(n as u32);
                }
            }
            if let Some(group) = self.groups.get_mut(group as usize).filter(|_| is_pure) {
                group.pure.push(n as u32);
                group.sized |= sized;
            }
        }
    }

    fn build(&mut self, parsed: &[Rule]) -> Result<(), Problem> {
        let mut members: HashMap<(u32, Context), Vec<u32>> = HashMap::new();
        let mut of_files = Vec::new();
        for p in 0..self.patterns.len() as u32 {
            let Some((signature, of, pattern)) = self.origin(parsed, p) else {
                continue;
            };
            if let Some(group) = signature.group {
                members.entry((group, pattern.context)).or_default().push(p);
            } else if of.active && of.is_of_files() {
                of_files.push(p);
            }
        }
        if !of_files.is_empty() {
            self.magic = Some(self.nfa(parsed, &of_files)?);
        }
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_unstable_by_key(|(key, _)| *key);
        for ((group, context), numbers) in members {
            let nfa = self.nfa(parsed, &numbers)?;
            let sides = numbers.iter().filter_map(|p| {
                let (rule, _) = self.patterns.get(*p as usize)?;
                self.rules.get(*rule as usize).map(Signature::sides)
            });
            let sides = sides.fold(0, |all, s| all | s);
            self.contexts |= context.bit();
            if context == Context::Payload {
                self.matches_nothing |= !nfa.accepted(&nfa.start).is_empty();
                self.matches_end |= nfa.has_end;
            }
            self.machines.push(Machine { context, nfa, sides });
            if let Some(group) = self.groups.get_mut(group as usize) {
                group.machines.push(self.machines.len() as u32 - 1);
            }
        }
        Ok(())
    }

    /// Where an expression comes from.
    fn origin<'r>(&self, parsed: &'r [Rule], p: u32) -> Option<(&Signature, &'r Rule, &'r Pattern)> {
        let (rule, _) = self.patterns.get(p as usize)?;
        let signature = self.rules.get(*rule as usize)?;
        let of = parsed.get(*rule as usize)?;
        Some((
            signature,
            of,
            of.patterns.get((p - signature.patterns.start) as usize)?,
        ))
    }

    /// The machine of expressions.
    fn nfa(&self, parsed: &[Rule], numbers: &[u32]) -> Result<Nfa, Problem> {
        let origin = |p: u32| self.origin(parsed, p);
        let exprs = numbers
            .iter()
            .filter_map(|p| origin(*p).map(|(_, _, pattern)| (*p, &pattern.expr)));
        Nfa::new(exprs).map_err(|p| match origin(p) {
            Some((_, of, pattern)) => {
                let what =
                    "the expression is too large: it repeats too much, or there are too many before it";
                problem(of, pattern.line, what.into())
            }
            None => Problem {
                file: PathBuf::new(),
                line: 0,
                what: String::new(),
            },
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The functions that they ask (`eval`), for who has to find them in a script.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let conditions = self.rules.iter().flat_map(|rule| &rule.conditions);
        conditions.filter_map(|c| match c {
            Condition::Eval(function) => Some(&**function),
            _ => None,
        })
    }

    /// Whether an expression is to be matched in this context.
    pub fn wants(&self, context: Context) -> bool {
        self.contexts & context.bit() != 0
    }

    /// Whether anything is asked of payload.
    pub(super) fn wants_payload(&self) -> bool {
        self.wants(Context::Payload) || self.groups.iter().any(|g| g.sized)
    }

    /// The machines of groups, with their numbers.
    pub(super) fn machines_of(&self, groups: &[u32]) -> impl Iterator<Item = (u32, &Machine)> {
        let groups = groups.iter().filter_map(|g| self.groups.get(*g as usize));
        let numbers = groups.flat_map(|g| g.machines.iter().copied());
        numbers.filter_map(|n| Some((n, self.machines.get(n as usize)?)))
    }

    /// The contexts in which these groups look for something in a direction, as bits.
    pub(super) fn contexts_of(&self, groups: &[u32], s: usize) -> u16 {
        let machines = self.machines_of(groups).filter(|(_, m)| m.is_of(s));
        machines.fold(0, |all, (_, m)| all | m.context.bit())
    }

    /// The groups of whose tests all hold.
    pub(super) fn groups_of(&self, headers: &Headers<'_>) -> Box<[u32]> {
        let holds = |n: &u32| self.tests.get(*n as usize).is_some_and(|t| t.holds(headers));
        let all = |g: &Group| g.tests.iter().all(holds);
        let groups = (0u32..).zip(&self.groups);
        groups.filter(|(_, g)| all(g)).map(|(n, _)| n).collect()
    }
}

/// Whether somebody gives what is to be matched.
fn is_read(context: Context) -> bool {
    !matches!(context, Context::Finger | Context::FileMagic)
}

fn problem(rule: &Rule, line: u32, what: String) -> Problem {
    Problem {
        file: rule.file.as_ref().clone(),
        line,
        what,
    }
}

fn numbers(parsed: &[Rule]) -> Result<HashMap<&str, u32>, Problem> {
    let mut numbers = HashMap::new();
    for (n, rule) in (0..).zip(parsed) {
        if let Some(first) = numbers.insert(&*rule.id, n)
            && let Some(first) = parsed.get(first as usize)
        {
            let (file, line) = (first.file.display(), first.line);
            let what = format!("there is a signature {} already, at {file}:{line}", rule.id);
            return Err(problem(rule, rule.line, what));
        }
    }
    Ok(numbers)
}

fn read(path: &Path) -> Result<Vec<u8>, SignatureError> {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(MAX_LEN + 1).read_to_end(&mut text));
    let path = path.to_owned();
    match read {
        Ok(n) if n as u64 > MAX_LEN => Err(SignatureError::TooLong { path }),
        Ok(_) => Ok(text),
        Err(source) => Err(SignatureError::Read { path, source }),
    }
}
