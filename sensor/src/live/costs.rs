//! What the kernel's maps take, for the profile.

use std::fs;

use aya::maps::loaded_maps;

use crate::profile::Cost;

/// One of this process' maps.
struct Open {
    id: u32,
    memory: u64,
}

/// A map by what the system says of a file descriptor.
fn open(info: &str) -> Option<Open> {
    let of = |name: &str| {
        let line = info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line?.trim().parse::<u64>().ok()
    };
    Some(Open {
        id: of("map_id")?.try_into().ok()?,
        memory: of("memlock")?,
    })
}

/// Each map that this process has, with the memory that the kernel counts for it.
pub fn maps() -> Vec<Cost> {
    let Ok(fds) = fs::read_dir("/proc/self/fdinfo") else {
        return Vec::new();
    };
    let infos = fds.filter_map(|fd| fs::read_to_string(fd.ok()?.path()).ok());
    let mut all: Vec<Open> = infos.filter_map(|info| open(&info)).collect();
    all.sort_by_key(|o| o.id);
    all.dedup_by_key(|o| o.id);
    let known: Vec<_> = loaded_maps().filter_map(Result::ok).collect();
    let named = all.iter().map(|o| {
        let info = known.iter().find(|m| m.id() == o.id);
        let name = info.and_then(|m| m.name_as_str()).unwrap_or("map").to_owned();
        Cost {
            kind: "map",
            name,
            count: info.map(|m| m.max_entries().into()),
            memory: Some(o.memory),
            cpu: None,
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_its_id_and_its_memory() {
        let info = "pos:\t0\nflags:\t02000002\nmap_type:\t1\nkey_size:\t40\nmax_entries:\t100\nmemlock:\t12345\nmap_id:\t7\nfrozen:\t0\n";
        let map = open(info).expect("a map");
        assert_eq!((map.id, map.memory), (7, 12345));
        assert!(open("pos:\t0\nprog_id:\t3\nmemlock:\t4096\n").is_none());
    }
}
