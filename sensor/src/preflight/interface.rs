//! An interface: whether it is there and up, what its driver does to frames before a program sees them, who else is on it.

use futures_util::{StreamExt, pin_mut};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp};

use super::item::Item;
use crate::datapath::xdp::{self, Ethtool, XdpFeatures};
use crate::settings::{InterfaceSettings, LiveDatapath};

/// Largest packet whose frame native XDP takes in one buffer, bytes: a page, less the room before and behind it
/// (`XDP_PACKET_HEADROOM`, `struct skb_shared_info`) and the headers of Ethernet with a tag.
const ONE_BUFFER: u32 = 4096 - 256 - 320 - 18;
/// A receive ring with fewer entries overflows in a short burst.
const SMALL_RING: u32 = 1024;
/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK`.
const ETHERNET: [u16; 2] = [1, 772];
/// Drivers with native XDP, for kernels that do not tell (before Linux 6.3).
const NATIVE: [&str; 24] = [
    "atlantic",
    "bnxt_en",
    "bond",
    "cxgb4",
    "ena",
    "enetc",
    "fsl_dpaa2_eth",
    "gve",
    "hv_netvsc",
    "i40e",
    "iavf",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "sfc",
    "tun",
    "veth",
    "virtio_net",
];
/// Those of them that take frames of several buffers.
const BUFFERS: [&str; 8] = [
    "ena",
    "i40e",
    "ice",
    "mlx5_core",
    "mvneta",
    "bnxt_en",
    "veth",
    "virtio_net",
];

/// What was found.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    /// It is there.
    index: Option<u32>,
    /// Type of its frames, `ARPHRD_*`.
    frames: u16,
    up: bool,
    carrier: bool,
    mtu: u32,
    /// How often it was asked to take what is for others.
    promiscuous: u32,
    /// Number of the XDP program on it.
    program: Option<u32>,
    /// TC programs on it, for what it receives and for what is sent; None: not to be found out.
    tc: Option<[u32; 2]>,
    driver: Option<String>,
    xdp: Option<XdpFeatures>,
    /// Features that are on; None: they cannot be asked for.
    features: Option<Vec<String>>,
    queues: Option<u64>,
    symmetric: bool,
    /// Entries of a receive ring: now, and at most.
    ring: Option<(u32, u32)>,
}

/// Looks at the interface of this name.
pub fn look(name: &str) -> Facts {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let link = runtime.ok().and_then(|r| r.block_on(link(name)));
    let Some(link) = link else {
        return Facts::default();
    };
    let ethtool = Ethtool::of(name).ok();
    let asked = ethtool.as_ref();
    Facts {
        xdp: xdp::xdp_features(link.header.index),
        tc: xdp::tc_programs(link.header.index),
        driver: asked.and_then(|e| e.driver().ok()),
        features: asked.and_then(|e| e.features().ok()),
        queues: asked.and_then(|e| e.rx_queues().ok()),
        ring: asked.and_then(|e| e.rx_ring().ok()),
        symmetric: xdp::is_symmetric(name),
        ..of_link(&link)
    }
}

async fn link(name: &str) -> Option<LinkMessage> {
    let (connection, handle, _) = rtnetlink::new_connection().ok()?;
    tokio::spawn(connection);
    let answers = handle.link().get().match_name(name.to_owned()).execute();
    pin_mut!(answers);
    answers.next().await?.ok()
}

fn of_link(link: &LinkMessage) -> Facts {
    let flags = link.header.flags;
    let mut f = Facts {
        index: Some(link.header.index),
        frames: link.header.link_layer_type.into(),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::Running),
        ..Facts::default()
    };
    for a in &link.attributes {
        match a {
            LinkAttribute::Mtu(mtu) => f.mtu = *mtu,
            LinkAttribute::Promiscuity(n) => f.promiscuous = *n,
            LinkAttribute::Xdp(xdp) => {
                let id = |x: &LinkXdp| match x {
                    LinkXdp::ProgId(id)
                    | LinkXdp::DrvProgId(id)
                    | LinkXdp::SkbProgId(id)
                    | LinkXdp::HwProgId(id) => Some(*id).filter(|id| *id != 0),
                    _ => None,
                };
                f.program = xdp.iter().find_map(id);
            }
            _ => {}
        }
    }
    f
}

/// What the facts mean for the interface `name`.
pub fn items(name: &str, f: &Facts, settings: &InterfaceSettings) -> Vec<Item> {
    if f.index.is_none() {
        return vec![Item::fail(
            name,
            "there is no such interface".to_owned(),
            "ip -br link   # lists them".to_owned(),
        )];
    }
    if !ETHERNET.contains(&f.frames) {
        return vec![Item::fail(
            name,
            "its frames are not Ethernet's".to_owned(),
            "ip -br link   # lists others".to_owned(),
        )];
    }
    let mut items = vec![state(name, f)];
    if settings.datapath == LiveDatapath::Packet {
        items.extend(not_promiscuous(name, f, settings));
        return items;
    }
    if let Some(id) = f.program {
        items.push(Item::fail(
            name,
            format!("another XDP program is on it (number {id})"),
            format!("bpftool prog show id {id}; ip link set {name} xdp off   # or end its owner"),
        ));
    }
    match f.tc {
        Some([_, sent]) if sent > 0 && !settings.rx_only => items.push(Item::warn(
            name,
            format!("{sent} other TC programs are on what it sends: what they drop or redirect is not seen"),
            format!("bpftool net show dev {name}"),
        )),
        Some([received, sent]) if received + sent > 0 => items.push(Item::ok(
            name,
            format!(
                "{} other TC programs are on it, which do not matter",
                received + sent
            ),
        )),
        _ => {}
    }
    let native = native(f) && !settings.skb_mode;
    items.push(mode(name, f, settings));
    items.extend(size(name, f, native));
    items.extend(offloads(name, f, native));
    items.extend(not_promiscuous(name, f, settings));
    items.extend(queues(name, f));
    items
}

fn not_promiscuous(name: &str, f: &Facts, settings: &InterfaceSettings) -> Option<Item> {
    let matters = f.promiscuous == 0 && settings.rx_only && !virtual_device(f);
    matters.then(|| {
        Item::warn(
            name,
            "it takes only what is for this machine: of a tap or a mirror port that is nothing".to_owned(),
            format!("ip link set {name} promisc on"),
        )
    })
}

fn state(name: &str, f: &Facts) -> Item {
    match (f.up, f.carrier) {
        (true, true) => Item::ok(name, "it is up".to_owned()),
        (true, false) => Item::warn(
            name,
            "it has no carrier: nothing is received".to_owned(),
            format!("ethtool {name}   # is the cable in?"),
        ),
        _ => Item::fail(
            name,
            "it is down: nothing is received".to_owned(),
            format!("ip link set {name} up"),
        ),
    }
}

fn driver(f: &Facts) -> &str {
    f.driver.as_deref().unwrap_or("unknown")
}

/// Its driver, in words.
fn its_driver(f: &Facts) -> String {
    match &f.driver {
        Some(name) => format!("its driver, {name},"),
        None => "its driver".to_owned(),
    }
}

fn virtual_device(f: &Facts) -> bool {
    matches!(driver(f), "veth" | "tun" | "dummy" | "bridge" | "unknown")
}

/// Whether its driver runs programs itself.
fn native(f: &Facts) -> bool {
    f.xdp.map_or_else(|| NATIVE.contains(&driver(f)), |x| x.native)
}

fn mode(name: &str, f: &Facts, settings: &InterfaceSettings) -> Item {
    let driver = its_driver(f);
    match (native(f), settings.skb_mode) {
        (true, false) => Item::ok(name, format!("{driver} has native XDP")),
        (true, true) => Item::warn(
            name,
            format!("{driver} has native XDP, which --skb-mode does not use"),
            "sensor run --skb-mode=false".to_owned(),
        ),
        (false, _) => Item::warn(
            name,
            format!("{driver} has no native XDP: skb mode, which costs several times as much"),
            format!("ethtool -i {name}   # a newer driver, or another card"),
        ),
    }
}

/// Frames that are longer than what native XDP takes in one piece.
fn size(name: &str, f: &Facts, native: bool) -> Option<Item> {
    let buffers = f.xdp.map_or_else(|| BUFFERS.contains(&driver(f)), |x| x.buffers);
    if !native || f.mtu <= ONE_BUFFER || driver(f) == "unknown" {
        return None;
    }
    Some(match buffers {
        true => Item::ok(
            name,
            format!("its driver takes frames of MTU {} in several buffers", f.mtu),
        ),
        false => Item::warn(
            name,
            format!(
                "its driver takes frames of one buffer, and its MTU is {}: skb mode",
                f.mtu
            ),
            format!("ip link set {name} mtu {ONE_BUFFER}   # native XDP, if no frame is longer"),
        ),
    })
}

/// What changes frames before a program sees them.
fn offloads(name: &str, f: &Facts, native: bool) -> Vec<Item> {
    let Some(on) = &f.features else {
        return vec![Item::ok(name, "its offloads cannot be asked for".to_owned())];
    };
    // A native program comes before GRO; in skb mode it comes after.
    let merging = [
        ("rx-lro", "lro", true),
        ("rx-gro-hw", "rx-gro-hw", true),
        ("rx-gro", "gro", !native),
    ];
    let is_on = |feature: &str| on.iter().any(|f| f == feature);
    let mut items = Vec::new();
    for (feature, option, matters) in merging {
        if matters && is_on(feature) {
            items.push(Item::warn(
                name,
                format!("it merges packets that it receives ({option}): counts and sizes are not those of the wire"),
                format!("ethtool -K {name} {option} off"),
            ));
        }
    }
    if is_on("rx-vlan-hw-parse") {
        items.push(Item::warn(
            name,
            "its driver takes VLAN tags off what it receives: they are not seen".to_owned(),
            format!("ethtool -K {name} rxvlan off"),
        ));
    }
    if items.is_empty() {
        items.push(Item::ok(
            name,
            "it changes nothing of what it receives".to_owned(),
        ));
    }
    items
}

fn queues(name: &str, f: &Facts) -> Vec<Item> {
    let mut items = Vec::new();
    match f.queues {
        Some(n) if n > 1 && f.symmetric => items.push(Item::ok(
            name,
            format!("{n} queues receive, both directions of a flow by the same"),
        )),
        Some(n) if n > 1 => items.push(Item::ok(
            name,
            format!("{n} queues receive, the directions of a flow perhaps by two: rings are chosen by the flow's hash"),
        )),
        Some(_) => items.push(Item::ok(name, "one queue receives, so one CPU does the kernel's part".to_owned())),
        None => {}
    }
    match f.ring {
        Some((now, most)) if now < SMALL_RING.min(most) => items.push(Item::warn(
            name,
            format!(
                "its receive ring has {now} entries, of {most} that there may be: a short burst overflows it"
            ),
            format!("ethtool -G {name} rx {most}"),
        )),
        Some((now, _)) if now > 0 => {
            items.push(Item::ok(name, format!("its receive ring has {now} entries")))
        }
        _ => {}
    }
    items
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    fn card() -> Facts {
        Facts {
            index: Some(2),
            frames: 1,
            up: true,
            carrier: true,
            mtu: 1500,
            promiscuous: 1,
            program: None,
            tc: Some([0, 0]),
            driver: Some("ixgbe".to_owned()),
            xdp: Some(XdpFeatures {
                native: true,
                buffers: false,
            }),
            features: Some(vec!["rx-gro".to_owned(), "rx-checksum".to_owned()]),
            queues: Some(8),
            symmetric: true,
            ring: Some((4096, 4096)),
        }
    }

    fn tap() -> InterfaceSettings {
        InterfaceSettings {
            rx_only: true,
            ..InterfaceSettings::default()
        }
    }

    /// The worst that is said of a card that was changed.
    fn worst(change: impl FnOnce(&mut Facts)) -> Item {
        let mut f = card();
        change(&mut f);
        items("t0", &f, &tap())
            .into_iter()
            .max_by_key(|i| i.level)
            .expect("items")
    }

    fn mended(change: impl FnOnce(&mut Facts)) -> (Level, String) {
        let item = worst(change);
        (item.level, item.mend.expect("a command"))
    }

    #[test]
    fn a_good_card_is_well() {
        assert_eq!(worst(|_| ()).level, Level::Ok);
    }

    #[test]
    fn what_stops_the_sensor_fails() {
        let none = items("t0", &Facts::default(), &tap());
        assert_eq!(none[0].level, Level::Fail);
        assert_eq!(
            mended(|f| f.up = false),
            (Level::Fail, "ip link set t0 up".to_owned())
        );
        let other = worst(|f| f.program = Some(7));
        assert_eq!(other.level, Level::Fail);
        assert!(other.says.contains("number 7"));
        assert_eq!(worst(|f| f.frames = 65534).level, Level::Fail);
    }

    #[test]
    fn what_costs_sight_or_speed_is_warned_of() {
        let warn = |command: &str| (Level::Warn, command.to_owned());
        assert_eq!(mended(|f| f.promiscuous = 0), warn("ip link set t0 promisc on"));
        assert_eq!(
            mended(|f| f.mtu = 9000),
            warn("ip link set t0 mtu 3502   # native XDP, if no frame is longer")
        );
        assert_eq!(
            mended(|f| f.ring = Some((512, 4096))),
            warn("ethtool -G t0 rx 4096")
        );
        let on = |name: &str| {
            let name = name.to_owned();
            move |f: &mut Facts| f.features = Some(vec![name])
        };
        assert_eq!(mended(on("rx-lro")), warn("ethtool -K t0 lro off"));
        assert_eq!(mended(on("rx-gro-hw")), warn("ethtool -K t0 rx-gro-hw off"));
        assert_eq!(mended(on("rx-vlan-hw-parse")), warn("ethtool -K t0 rxvlan off"));
        assert_eq!(worst(|f| f.carrier = false).level, Level::Warn);
    }

    #[test]
    fn programs_on_what_is_sent_matter_to_who_looks_at_it() {
        let mut f = card();
        f.tc = Some([1, 2]);
        let both = items("t0", &f, &InterfaceSettings::default());
        assert!(
            both.iter()
                .any(|i| i.level == Level::Warn && i.says.starts_with("2 other TC"))
        );
        assert!(items("t0", &f, &tap()).iter().all(|i| i.level == Level::Ok));
    }

    #[test]
    fn gro_matters_in_skb_mode_only() {
        assert!(worst(|_| ()).level == Level::Ok, "GRO is on, and comes after");
        let mut f = card();
        f.xdp = None;
        f.driver = Some("e1000e".to_owned());
        let said = items("t0", &f, &tap());
        assert!(
            said.iter()
                .any(|i| i.mend.as_deref() == Some("ethtool -K t0 gro off")),
            "{said:?}"
        );
        assert!(said.iter().any(|i| i.says.contains("no native XDP")));
    }

    #[test]
    fn several_buffers_take_any_frame() {
        let item = worst(|f| {
            f.mtu = 9000;
            f.xdp = Some(XdpFeatures {
                native: true,
                buffers: true,
            });
        });
        assert_eq!(item.level, Level::Ok);
    }
}
