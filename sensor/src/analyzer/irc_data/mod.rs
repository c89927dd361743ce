//! Files over IRC (DCC SEND), which a message announces: what the sender, whom the other side calls, sends is one file. The
//! other direction is acknowledgements.

use std::sync::Arc;

use crate::analyzer::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::carried::Carried;
use crate::event::AnalyzerTag;
use crate::file::{Carrier, Handle, Piece};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = IrcData;

/// One connection's state.
#[derive(Debug)]
pub struct IrcData {
    /// Which file it is, once something came.
    file: Option<Handle>,
    /// What was announced of it.
    announced: Option<Arc<Carried>>,
    /// Somebody reads its further bytes.
    reads: bool,
}

impl Protocol for IrcData {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_IRC_DATA", "irc-dcc-data"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> IrcData {
        IrcData {
            file: None,
            announced: None,
            reads: true,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.piece(is_orig, Piece::Bytes { at: None, bytes }, ctx)
    }

    fn unseen(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.piece(is_orig, Piece::Unseen { at: None, len }, ctx)
    }

    fn coming(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        self.piece(is_orig, Piece::Coming, ctx);
    }

    fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.piece(is_orig, Piece::Gap { at: None, len }, ctx)
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        if self.file.is_some() {
            self.piece(false, Piece::End, ctx);
        }
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        match (is_orig, self.reads) {
            (true, _) => Interest::Nothing,
            (false, true) => Interest::Everything,
            (false, false) => Interest::Skip(u64::MAX),
        }
    }

    fn is_settled(&self) -> bool {
        self.file.is_none()
    }
}

impl IrcData {
    fn piece(&mut self, is_orig: bool, piece: Piece<'_>, ctx: &mut Ctx<'_>) -> Next {
        if is_orig {
            return Next::More;
        }
        let handle = *self.file.get_or_insert_with(|| {
            self.announced = ctx.out.announced_files();
            let uid = ctx.c.uid.to_string();
            Handle::of(&[b"IRC_DATA", uid.as_bytes()])
        });
        let carrier = Carrier {
            handle,
            tag: ctx.tag(),
            source: "IRC_DATA",
            c: ctx.c,
            is_orig,
            depth: 0,
            name: self.announced.as_ref().and_then(|a| a.name()),
            mime: None,
        };
        self.reads = ctx.out.file(&carrier, piece).reads;
        Next::More
    }
}
