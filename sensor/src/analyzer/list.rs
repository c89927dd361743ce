//! What is made of the list of protocols.

/// Takes the protocols' folders; gives modules, numbers, tables and one type for all analyzers.
macro_rules! protocols {
    ($($room:ident)*) => {
        $(pub mod $room;)*

        /// A protocol of the list, by its folder's name.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Id {
            $(#[allow(missing_docs)] $room,)*
        }

        impl Id {
            /// All of them, by number.
            pub const ALL: &'static [Id] = &[$(Id::$room,)*];

            /// What is known of the protocol before any byte.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Id::$room => &<$room::Analyzer as Protocol>::SPEC,)*
                }
            }

            /// That of Zeek's name, in upper case and without `ANALYZER_`.
            pub fn named(name: &str) -> Option<Id> {
                Self::ALL.iter().find(|id| id.spec().tag.short() == name).copied()
            }

            /// Its number, which events call `aid`.
            pub const fn number(self) -> u8 {
                self as u8
            }
        }

        $(impl Listed for $room::Analyzer {
            const NUMBER: u8 = Id::$room.number();
        })*

        /// What the analyzers of one worker share.
        #[derive(Default)]
        pub struct WorkerShared {
            $(#[allow(missing_docs)] pub $room: <$room::Analyzer as Protocol>::Shared,)*
        }

        /// An analyzer of any protocol.
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        pub enum Analyzer {
            $(#[allow(missing_docs)] $room(Box<$room::Analyzer>),)*
        }

        impl Analyzer {
            /// Of `id`'s protocol.
            pub fn new(id: Id, start: &Start, shared: &WorkerShared) -> Analyzer {
                match id {
                    $(Id::$room => Analyzer::$room(Box::new(Protocol::new(start, &shared.$room))),)*
                }
            }

            /// Whose it is.
            pub fn id(&self) -> Id {
                match self { $(Analyzer::$room(_) => Id::$room,)* }
            }

            fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
                match self { $(Analyzer::$room(a) => a.data(is_orig, bytes, ctx),)* }
            }

            fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
                match self { $(Analyzer::$room(a) => a.datagram(is_orig, bytes, ctx),)* }
            }

            fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
                match self { $(Analyzer::$room(a) => a.gap(is_orig, len, ctx),)* }
            }

            fn unseen(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
                match self { $(Analyzer::$room(a) => Protocol::unseen(&mut **a, is_orig, len, ctx),)* }
            }

            fn coming(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
                match self { $(Analyzer::$room(a) => Protocol::coming(&mut **a, is_orig, ctx),)* }
            }

            fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) -> Next {
                match self { $(Analyzer::$room(a) => a.eof(is_orig, ctx),)* }
            }

            fn inherit(&mut self, outer: &mut Analyzer) {
                match (self, outer) {
                    $((Analyzer::$room(a), Analyzer::$room(outer)) => a.inherit(outer),)*
                    _ => {}
                }
            }

            fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
                match self { $(Analyzer::$room(a) => a.close(how, ctx),)* }
            }

            fn flip(&mut self) {
                match self { $(Analyzer::$room(a) => a.flip(),)* }
            }

            fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
                match self { $(Analyzer::$room(a) => a.interest(is_orig, seen),)* }
            }

            fn is_settled(&self) -> bool {
                match self { $(Analyzer::$room(a) => a.is_settled(),)* }
            }

            fn start_unseen(&mut self) {
                match self { $(Analyzer::$room(a) => a.start_unseen(),)* }
            }

            fn marks(&self) -> Option<&dyn ReadsMarks> {
                match self { $(Analyzer::$room(a) => a.marks(),)* }
            }

            fn marks_mut(&mut self) -> Option<&mut dyn ReadsMarks> {
                match self { $(Analyzer::$room(a) => a.marks_mut(),)* }
            }
        }

        /// How many ports are known to be a protocol's, over TCP or over UDP.
        const fn port_count(is_tcp: bool) -> usize {
            let (mut id, mut n) = (0, 0);
            while id < Id::ALL.len() {
                n += Id::ALL[id].spec().ports(is_tcp).len();
                id += 1;
            }
            n
        }

        /// All protocols' ports, over TCP or over UDP.
        const fn ports<const N: usize>(is_tcp: bool) -> [(u16, Id); N] {
            let mut all = [(0, Id::ALL[0]); N];
            let (mut id, mut n) = (0, 0);
            while id < Id::ALL.len() {
                let own = Id::ALL[id].spec().ports(is_tcp);
                let mut at = 0;
                while at < own.len() {
                    all[n] = (own[at], Id::ALL[id]);
                    (at, n) = (at + 1, n + 1);
                }
                id += 1;
            }
            all
        }

        static TCP_PORTS: [(u16, Id); port_count(true)] = ports(true);
        static UDP_PORTS: [(u16, Id); port_count(false)] = ports(false);

        const RULE_COUNT: usize = 0 $(+ Id::$room.spec().rules.len())*;

        /// All protocols' rules, in the order of the list.
        static RULES: [(Id, Rule); RULE_COUNT] = {
            let none = |_: &[u8]| pattern::Match::No;
            let mut rules = [(Id::ALL[0], Rule::Orig(none)); RULE_COUNT];
            let (mut id, mut n) = (0, 0);
            while id < Id::ALL.len() {
                let own = Id::ALL[id].spec().rules;
                let mut at = 0;
                while at < own.len() {
                    rules[n] = (Id::ALL[id], own[at]);
                    (at, n) = (at + 1, n + 1);
                }
                id += 1;
            }
            rules
        };

        const UDP_RULE_COUNT: usize = 0 $(+ Id::$room.spec().udp_rules.len())*;

        /// All protocols' rules for datagrams, in the order of the list.
        static UDP_RULES: [(Id, UdpRule); UDP_RULE_COUNT] = {
            let none: UdpRule = |_: &[u8]| false;
            let mut rules = [(Id::ALL[0], none); UDP_RULE_COUNT];
            let (mut id, mut n) = (0, 0);
            while id < Id::ALL.len() {
                let own = Id::ALL[id].spec().udp_rules;
                let mut at = 0;
                while at < own.len() {
                    rules[n] = (Id::ALL[id], own[at]);
                    (at, n) = (at + 1, n + 1);
                }
                id += 1;
            }
            rules
        };

        /// The protocols that may begin behind others' bytes, over TCP and over UDP; at most one each.
        const LATER: [Option<Id>; 2] = {
            let mut later = [None; 2];
            let mut id = 0;
            while id < Id::ALL.len() {
                let slot = match Id::ALL[id].spec().later {
                    Later::Never => None,
                    Later::Segment { .. } => Some(0),
                    Later::Datagram { .. } => Some(1),
                };
                if let Some(slot) = slot {
                    assert!(later[slot].is_none(), "one protocol of each kind is watched for");
                    later[slot] = Some(Id::ALL[id]);
                }
                id += 1;
            }
            later
        };
    };
}

pub(super) use protocols;
