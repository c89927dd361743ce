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

        const OWN_RULES: &[&[Rule]] = &[$(Id::$room.spec().rules,)*];
        const OWN_UDP_RULES: &[&[UdpRule]] = &[$(Id::$room.spec().udp_rules,)*];
        const OWN_TCP_PORTS: &[&[u16]] = &[$(Id::$room.spec().ports(true),)*];
        const OWN_UDP_PORTS: &[&[u16]] = &[$(Id::$room.spec().ports(false),)*];

        /// All protocols' rules, in the order of the list.
        static RULES: [(Id, Rule); count(OWN_RULES)] =
            strung(Id::ALL, OWN_RULES, Rule::Orig(|_| pattern::Match::No));
        /// All protocols' rules for datagrams, in the order of the list.
        static UDP_RULES: [(Id, UdpRule); count(OWN_UDP_RULES)] = strung(Id::ALL, OWN_UDP_RULES, |_| false);
        /// All protocols' ports, over TCP and over UDP.
        static TCP_PORTS: [(Id, u16); count(OWN_TCP_PORTS)] = strung(Id::ALL, OWN_TCP_PORTS, 0);
        static UDP_PORTS: [(Id, u16); count(OWN_UDP_PORTS)] = strung(Id::ALL, OWN_UDP_PORTS, 0);

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

/// How many things protocols have together.
pub(super) const fn count<T>(own: &[&[T]]) -> usize {
    let (mut at, mut n) = (0, 0);
    while at < own.len() {
        n += own[at].len();
        at += 1;
    }
    n
}

/// What each protocol has, as one list with whose it is. `none` is in no place of it in the end.
pub(super) const fn strung<I: Copy, T: Copy, const N: usize>(
    ids: &[I],
    own: &[&[T]],
    none: T,
) -> [(I, T); N] {
    let mut all = [(ids[0], none); N];
    let (mut id, mut n) = (0, 0);
    while id < ids.len() {
        let mut at = 0;
        while at < own[id].len() {
            all[n] = (ids[id], own[id][at]);
            (at, n) = (at + 1, n + 1);
        }
        id += 1;
    }
    all
}
