//! FTP's data connections (RFC 959), which the control connection announces: each direction is a file.

use crate::analyzer::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;
use crate::file::{Carrier, Handle, Piece};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = FtpData;

/// One connection's state.
#[derive(Debug)]
pub struct FtpData {
    /// By direction, orig first: which file it is, once something came.
    files: [Option<Handle>; 2],
    /// Somebody reads its further bytes.
    reads: [bool; 2],
}

impl Protocol for FtpData {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_FTP_DATA", "ftp-data"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> FtpData {
        FtpData {
            files: [None; 2],
            reads: [true; 2],
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
        for is_orig in [true, false] {
            self.piece(is_orig, Piece::End, ctx);
        }
    }

    fn flip(&mut self) {
        self.files.swap(0, 1);
        self.reads.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        match self.reads[usize::from(!is_orig)] {
            true => Interest::Everything,
            false => Interest::Skip(u64::MAX),
        }
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl FtpData {
    fn piece(&mut self, is_orig: bool, piece: Piece<'_>, ctx: &mut Ctx<'_>) -> Next {
        let dir = usize::from(!is_orig);
        let carrier = Carrier {
            handle: *self.files[dir].get_or_insert_with(|| {
                let uid = ctx.c.uid.to_string();
                Handle::of(&[b"FTP_DATA", uid.as_bytes(), &[is_orig.into()]])
            }),
            tag: ctx.tag(),
            source: "FTP_DATA",
            c: ctx.c,
            is_orig,
            depth: 0,
            name: None,
            mime: None,
        };
        let news = ctx.out.file(&carrier, piece);
        self.reads[dir] = news.reads;
        if news.joined || news.sniffed.is_some() {
            ctx.out.carries(&news);
        }
        Next::More
    }
}
