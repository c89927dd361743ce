//! Settings from a file: `sensor config`, and `--config` of the other commands.

use std::fs;
use std::process::Output;

use sensor_tests::sensor::{TempDir, binary};

fn sensor(args: &[&str]) -> Output {
    let mut c = std::process::Command::new(binary().unwrap());
    c.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("sensor.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "[rings]\nmib = 0\nwrokers = 2\n\n[log]\ndir = \"x\"\n").unwrap();
    for args in [
        &["config", "check", path][..],
        &["config", "print", "--config", path],
        &["run", "--iface", "lo", "--config", path],
        &["read", "x.pcap", "--config", path],
    ] {
        let out = sensor(args);
        let said = text(&out.stderr);
        assert_eq!((out.status.code(), said.lines().count()), (Some(2), 3), "{said}");
        for (line, wrong) in [(2, "rings.mib"), (3, "workers"), (5, "logs")] {
            let at = format!("{path}:{line}: ");
            assert!(
                said.lines().any(|l| l.contains(&at) && l.contains(wrong)),
                "{said}"
            );
        }
    }
    // Each by itself is fine.
    fs::write(&file, "[events]\nonly = [\"ssl_*\"]\n").unwrap();
    let out = sensor(&["config", "check", path]);
    let said = text(&out.stderr);
    assert_eq!((out.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(
        said.contains("events.only") && said.contains("events.to"),
        "{said}"
    );
    let out = sensor(&["config", "check", dir.path().join("none").to_str().unwrap()]);
    assert_eq!(
        (out.status.code(), text(&out.stderr).lines().count()),
        (Some(2), 1)
    );
}

#[test]
fn a_file_is_obeyed_and_options_win() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("sensor.toml");
    let path = file.to_str().unwrap();
    let logs = |name: &str| dir.path().join(name);
    fs::write(
        &file,
        format!(
            "seed = 5\n[logs]\nformat = \"json\"\ndir = \"{}\"\n",
            logs("one").display()
        ),
    )
    .unwrap();
    assert_eq!(sensor(&["config", "check", path]).status.code(), Some(0));
    let out = sensor(&[
        "config", "print", "--config", path, "--iface", "tap0", "--seed", "6",
    ]);
    let printed = text(&out.stdout);
    assert!(printed.contains("seed = 6 # --seed\n"), "{printed}");
    assert!(
        printed.contains(&format!("format = \"json\" # {path}:3\n")),
        "{printed}"
    );
    assert!(printed.contains("names = [\"tap0\"] # --iface\n"), "{printed}");
    let capture = dir.path().join("x.pcap");
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 8]);
    bytes.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    fs::write(&capture, bytes).unwrap();
    let capture = capture.to_str().unwrap();
    let two = logs("two");
    for (options, dir) in [
        (&[][..], logs("one")),
        (&["--log-dir", two.to_str().unwrap()], two.clone()),
    ] {
        let mut args = vec!["read", capture, "--config", path];
        args.extend(options);
        let out = sensor(&args);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        assert!(dir.is_dir(), "{}", dir.display());
    }
}

#[test]
fn the_version_names_the_program_that_is_loaded() {
    let said = text(&sensor(&["--version"]).stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    let hash = lines[2].strip_prefix("BPF object ").expect("a hash");
    assert!(
        hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
        "{said}"
    );
    assert_eq!(text(&sensor(&["-V"]).stdout).lines().count(), 1);
}

/// The settings of a container that come with its manifest: a block of text in deploy/daemonset.yaml.
#[test]
fn the_settings_for_kubernetes_are_good() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/daemonset.yaml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (_, block) = manifest.split_once("\n  sensor.toml: |\n").expect("a block");
    let lines = block.lines().map_while(|l| match l {
        "" => Some(""),
        l => l.strip_prefix("    "),
    });
    let settings = Vec::from_iter(lines).join("\n");
    assert!(settings.contains("names = [\"eth0\"]") && settings.contains("listen = "));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("sensor.toml");
    fs::write(&file, settings).unwrap();
    let out = sensor(&["config", "check", file.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
}
