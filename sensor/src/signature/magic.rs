//! The types of files that signatures know by their beginnings (`file-magic`, `file-mime`).

use std::sync::Arc;

use super::compile::{Signature, Signatures};
use super::dfa::Dfa;
use super::rule::Action;
use crate::base::names::keep;
use crate::file::mime::{Guess, Magic};

/// Memory of the machine, bytes.
const MEMORY: usize = 4 << 20;

/// What a worker knows of them. Where it runs out of memory, a file has what was known of it by then.
pub struct FileMagic {
    signatures: Arc<Signatures>,
    dfa: Dfa,
    /// Signatures and their types.
    types: Vec<(u32, Guess)>,
    /// Expressions that are complete, for the next file.
    complete: Vec<u32>,
}

impl FileMagic {
    /// Those of these signatures; None: they know no types.
    pub fn new(signatures: Arc<Signatures>) -> Option<FileMagic> {
        let dfa = Dfa::new(signatures.magic.as_ref()?, MEMORY);
        let mut types = Vec::new();
        for (n, rule) in (0..).zip(&signatures.rules) {
            let of = rule.actions.iter().filter_map(|action| match action {
                Action::Mime(name, strength) => Some((n, Guess::new(keep(name), *strength))),
                _ => None,
            });
            types.extend(of);
        }
        // The best one first.
        types.sort_by(|(_, a), (_, b)| b.cmp(a));
        Some(FileMagic {
            signatures,
            dfa,
            types,
            complete: Vec::new(),
        })
    }
}

impl Magic for FileMagic {
    fn guess(&mut self, head: &[u8]) -> Option<Guess> {
        let FileMagic {
            signatures,
            dfa,
            types,
            complete,
        } = self;
        let nfa = signatures.magic.as_ref()?;
        complete.clear();
        let (start, at_start) = dfa.start();
        complete.extend(at_start);
        let patterns = &signatures.patterns;
        let in_time = |p: &&u32, n: usize| patterns.get(**p as usize).is_some_and(|(_, depth)| n <= *depth);
        // Room there is: nothing else stands in this machine.
        let _ = dfa.run(nfa, start, head, |all, n| {
            for p in all.iter().filter(|p| in_time(p, n)) {
                if let Err(at) = complete.binary_search(p) {
                    complete.insert(at, *p);
                }
            }
        });
        let is_complete = |p: u32| complete.binary_search(&p).is_ok();
        let fits = |rule: &Signature| !rule.patterns.is_empty() && rule.patterns.clone().all(is_complete);
        let of = |rule: u32| signatures.rules.get(rule as usize);
        let best = types.iter().find(|(rule, _)| of(*rule).is_some_and(fits));
        best.map(|(_, guess)| *guess)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile::Known;
    use super::*;

    fn magic(text: &str) -> FileMagic {
        let known = Known {
            function: &|_| true,
            analyzer: &|_| true,
        };
        let signatures = Signatures::of_text(text.as_bytes(), &known).expect(text);
        FileMagic::new(signatures.into()).expect("types")
    }

    #[test]
    fn the_strongest_type_is_the_files() {
        let mut m = magic(
            "signature a { file-mime \"x/b\", 20  file-magic /^ab/ }\n\
             signature b { file-mime \"x/a\", 20  file-magic /.*b/ }\n\
             signature c { file-mime \"x/c\", 30  file-magic /^a.*z/  file-magic [:3] /.*y/ }\n\
             signature d { file-mime \"x/d\", -5  file-magic /./ }\n\
             signature e { file-mime \"x/e\", 99  file-magic /b$/ }\n\
             signature f { file-mime \"x/f\", 99  file-magic /a/  active false }\n\
             signature g { ip-proto == tcp  file-mime \"x/g\", 99  file-magic /a/ }\n\
             signature h { payload /a/  event \"m\" }",
        );
        for (head, name) in [
            (&b"ab"[..], Some("x/a")),
            (b"a..b", Some("x/a")),
            (b"abyz", Some("x/c")),
            (b"ab.yz", Some("x/a")),
            (b"q", Some("x/d")),
            (b"", None),
            (b"ab", Some("x/a")),
        ] {
            assert_eq!(m.guess(head).map(Guess::name), name, "{}", head.escape_ascii());
        }
        let strength = Guess::new("x/d", -5);
        assert_eq!(m.guess(b"q"), Some(strength));
    }

    #[test]
    fn names_are_kept_once() {
        let name = |n: usize| {
            let text = format!("signature s {{ file-mime \"x/kept{}\"  file-magic /a/ }}", n % 2);
            magic(&text).guess(b"a").map(|g| g.name().as_ptr())
        };
        assert_eq!(name(0), name(2));
        assert_ne!(name(0), name(1));
    }

    #[test]
    fn others_know_no_types() {
        let known = Known {
            function: &|_| true,
            analyzer: &|_| true,
        };
        let none = Signatures::of_text(b"signature s { payload /a/  event \"m\" }", &known);
        assert!(FileMagic::new(none.expect("signatures").into()).is_none());
    }
}
