//! The kernel's word on links, by netlink: what it tells by itself, and what it answers.

use std::io;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, pin_mut};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::{Handle, MulticastGroup};

use super::links::{Link, Links};

/// What comes of the netlink socket by itself.
pub type Messages = BoxStream<'static, RouteNetlinkMessage>;

/// A connection to the kernel that hears of links. To be called in a runtime and in the network namespace that it is for.
pub fn connect() -> io::Result<(Handle, Messages)> {
    let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    let inner = messages.filter_map(|(message, _)| async {
        match message.payload {
            NetlinkPayload::InnerMessage(m) => Some(m),
            // What found no room is seen at the next look.
            _ => None,
        }
    });
    Ok((handle, inner.boxed()))
}

/// All interfaces that there are now. To be called in a runtime.
pub async fn dump(handle: &Handle) -> io::Result<Vec<LinkMessage>> {
    let all = handle.link().get().execute();
    all.try_collect().await.map_err(io::Error::other)
}

/// The interface of this index; None: there is none.
pub async fn one(handle: &Handle, index: u32) -> io::Result<Option<LinkMessage>> {
    let answers = handle.link().get().match_index(index).execute();
    pin_mut!(answers);
    match answers.next().await {
        None => Ok(None),
        Some(Ok(link)) => Ok(Some(link)),
        Some(Err(rtnetlink::Error::NetlinkError(e))) if is_none(&e.to_io()) => Ok(None),
        Some(Err(e)) => Err(io::Error::other(e)),
    }
}

fn is_none(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

/// Asks for all interfaces of this thread's network namespace, once.
pub fn links() -> io::Result<Links> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let all = runtime.block_on(async {
        let (handle, _messages) = connect()?;
        dump(&handle).await
    })?;
    Ok(all.iter().map(Link::of).collect())
}
