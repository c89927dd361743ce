//! Rows of logs that scripts look at before they are written: some are left out, others also go to another log, with fewer, more or
//! renamed columns.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Error, Function, Lua, Result, Table, Value as LuaValue};

use super::out::FilteredRow;
use super::values::{column, name_and_type, of_value};
use crate::base::names::keep;
use crate::catalog::{has_log, name_log};
use crate::event::{Column, Value};

/// All filters; copies are the same ones.
#[derive(Clone, Default)]
pub struct Filters(pub Rc<RefCell<Vec<LogFilter>>>);

/// A column that a script makes.
struct Added {
    name: &'static str,
    typ: &'static str,
    f: Function,
}

/// A filter of a log's rows.
pub struct LogFilter {
    /// The log whose rows it gets.
    of: String,
    /// The log that its rows go to; None: the same one.
    to: Option<&'static str>,
    /// The log itself does not get the rows.
    replaces: bool,
    is_wanted: Option<Function>,
    include: Option<Vec<String>>,
    exclude: Vec<String>,
    rename: Vec<(String, &'static str)>,
    added: Vec<Added>,
    /// Its columns, for these of the log: those that it takes, by number, and all that it has. Kept for good, once for each.
    known: Vec<Known>,
}

/// What a filter makes of a log's columns.
struct Known {
    of: &'static [Column],
    taken: Vec<usize>,
    columns: &'static [Column],
}

/// What became of a row.
#[derive(Default)]
pub struct Filtered {
    /// The log itself gets it.
    pub stays: bool,
    /// Others of it.
    pub made: Vec<FilteredRow>,
}

fn list(of: &Table, name: &str) -> Result<Option<Vec<String>>> {
    let list: Option<Table> = of.get(name)?;
    list.map(|l| l.sequence_values().collect()).transpose()
}

impl LogFilter {
    /// As a script says it of the log `of`.
    pub fn new(of: &str, how: &Table) -> Result<LogFilter> {
        if !has_log(of) {
            return Err(Error::runtime(format!("there is no {of}.log")));
        }
        let to: Option<String> = how.get("path")?;
        let to = to.map(|to| name_log(&to)).transpose().map_err(Error::runtime)?;
        let (include, exclude) = (list(how, "include")?, list(how, "exclude")?.unwrap_or_default());
        let mut rename = Vec::new();
        if let Some(names) = how.get::<Option<Table>>("rename")? {
            for pair in names.pairs::<String, String>() {
                let (from, to) = pair?;
                rename.push((from, keep(&to)));
            }
        }
        let mut added = Vec::new();
        if let Some(more) = how.get::<Option<Table>>("add")? {
            for entry in more.sequence_values::<Table>() {
                let entry = entry?;
                let name: String = entry.get(1)?;
                let (name, typ) = name_and_type(&name)?;
                added.push(Added {
                    name: keep(name),
                    typ: keep(typ),
                    f: entry.get(2)?,
                });
            }
        }
        let changes = include.is_some() || !exclude.is_empty() || !rename.is_empty() || !added.is_empty();
        if changes && to.is_none() {
            return Err(Error::runtime(
                "a filter that changes columns writes another log: path is wanted",
            ));
        }
        Ok(LogFilter {
            of: of.to_owned(),
            to,
            replaces: how.get::<Option<bool>>("replace")?.unwrap_or(false),
            is_wanted: how.get("where")?,
            include,
            exclude,
            rename,
            added,
            known: Vec::new(),
        })
    }

    /// The log whose rows it gets.
    pub fn of(&self) -> &str {
        &self.of
    }

    fn known(&mut self, columns: &'static [Column]) -> &Known {
        let at = self.known.iter().position(|k| std::ptr::eq(k.of, columns));
        let at = at.unwrap_or_else(|| {
            let is_taken = |c: &Column| {
                let named = |names: &[String]| names.iter().any(|n| n == c.name);
                self.include.as_deref().is_none_or(named) && !named(&self.exclude)
            };
            let taken: Vec<usize> = (0..columns.len()).filter(|i| is_taken(&columns[*i])).collect();
            let renamed = |i: &usize| {
                let c = columns[*i];
                let new = self.rename.iter().find(|(from, _)| from == c.name);
                Column {
                    name: new.map_or(c.name, |(_, to)| to),
                    ..c
                }
            };
            let mut all: Vec<Column> = taken.iter().map(renamed).collect();
            all.extend(self.added.iter().map(|a| Column::new(a.name, a.typ).or_unset()));
            self.known.push(Known {
                of: columns,
                taken,
                columns: all.leak(),
            });
            self.known.len() - 1
        });
        &self.known[at]
    }

    /// Looks at a row; `shown` is the row as scripts have it.
    fn look(
        &mut self,
        columns: &'static [Column],
        values: &[Value<'static>],
        shown: &Table,
        made: &mut Vec<FilteredRow>,
    ) -> Result<bool> {
        let is_wanted = match &self.is_wanted {
            Some(f) => !matches!(
                f.call::<LuaValue>(shown.clone())?,
                LuaValue::Boolean(false) | LuaValue::Nil
            ),
            None => true,
        };
        let Some(path) = self.to else {
            return Ok(is_wanted);
        };
        if is_wanted {
            let mut more = Vec::new();
            for a in &self.added {
                let value: LuaValue = a.f.call(shown.clone())?;
                more.push(
                    column(a.typ, value)
                        .map_err(|e| Error::runtime(format!("column {} of {path}.log: {e}", a.name)))?,
                );
            }
            let known = self.known(columns);
            let taken = known.taken.iter().filter_map(|i| values.get(*i).cloned());
            made.push(FilteredRow {
                path,
                columns: known.columns,
                values: taken.chain(more).collect(),
            });
        }
        Ok(!self.replaces)
    }
}

/// Shows a row to all filters of its log. The first error, if one of them failed: then its say does not count.
pub fn filter(
    lua: &Lua,
    filters: &mut [LogFilter],
    (path, columns): (&'static str, &'static [Column]),
    values: Vec<Value<'static>>,
) -> (Filtered, Option<Error>) {
    let mut done = Filtered {
        stays: true,
        made: Vec::new(),
    };
    let mut failed = None;
    let shown = || -> Result<Table> {
        let row = lua.create_table()?;
        for (c, v) in columns.iter().zip(&values) {
            row.raw_set(c.name, of_value(lua, v)?)?;
        }
        Ok(row)
    };
    match shown() {
        Ok(shown) => {
            for f in filters.iter_mut().filter(|f| f.of == path) {
                match f.look(columns, &values, &shown, &mut done.made) {
                    Ok(stays) => done.stays &= stays,
                    Err(e) => failed = Some(e),
                }
            }
        }
        Err(e) => failed = Some(e),
    }
    if done.stays {
        done.made.push(FilteredRow {
            path,
            columns,
            values,
        });
    }
    (done, failed)
}
