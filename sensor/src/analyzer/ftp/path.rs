//! Paths on a server, as far as commands and replies name them.

use std::net::IpAddr;

/// Longest directory that is kept, bytes: most systems' limit. What is longer is cut off.
pub const MAX_DIRECTORY: usize = 4096;

/// The path of `name` in `directory`, without what cancels out (Zeek: build_path_compressed). An absolute name stands for
/// itself.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() || is_absolute(name) {
        return compress(name);
    }
    let slash: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    compress(&[directory, slash, name].concat())
}

/// The URL of `name` in `directory` of a server (Zeek: build_url_ftp).
pub fn url(server: IpAddr, directory: &[u8], name: &[u8]) -> Vec<u8> {
    let path = join(directory, name);
    let mut url = match server {
        IpAddr::V4(a) => format!("ftp://{a}"),
        IpAddr::V6(a) => format!("ftp://[{a}]"),
    }
    .into_bytes();
    if path.first() != Some(&b'/') {
        url.push(b'/');
    }
    url.extend(path);
    url
}

/// The first absolute path in a text (Zeek: extract_path); empty if there is none. It ends before a quote or a blank, unless
/// a backslash is before the blank.
pub fn first_in(text: &[u8]) -> &[u8] {
    let Some(start) = (0..text.len()).find(|at| root(text.get(*at..).unwrap_or(&[])) > 0) else {
        return &[];
    };
    let path = text.get(start..).unwrap_or(&[]);
    let begin = root(path);
    let mut end = begin;
    while let Some(b) = path.get(end) {
        let is_escaped = end > begin && path.get(end - 1) == Some(&b'\\');
        if *b == b'"' || *b == b' ' && !is_escaped {
            break;
        }
        end += 1;
    }
    path.get(..end).unwrap_or(path)
}

/// How long the part is that makes a path absolute: `/`, `C:\` or `C:/`. 0: it is not.
fn root(path: &[u8]) -> usize {
    match path {
        [b'/', ..] => 1,
        [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => 3,
        _ => 0,
    }
}

fn is_absolute(path: &[u8]) -> bool {
    root(path) > 0
}

/// Zeek: compress_path.
fn compress(path: &[u8]) -> Vec<u8> {
    let is_simple = !path
        .windows(2)
        .any(|two| matches!(two, [b'/', b'.'] | [b'/', b'/']));
    if is_simple {
        let path = if path.len() > 1 {
            path.strip_suffix(b"/").unwrap_or(path)
        } else {
            path
        };
        return path.to_vec();
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for (n, part) in path.split(|b| *b == b'/').enumerate() {
        match part {
            b"" => {}
            b"." if n > 0 => {}
            b".." => match parts.last().copied() {
                None | Some(b"~" | b"..") => parts.push(part),
                Some(b".") => {
                    parts.pop();
                    parts.push(part);
                }
                Some(_) => {
                    parts.pop();
                }
            },
            _ => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    if path.first() == Some(&b'/') {
        out.push(b'/');
    }
    out.extend(parts.join(&b'/'));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(directory: &str, name: &str) -> String {
        String::from_utf8(join(directory.as_bytes(), name.as_bytes())).expect("text")
    }

    #[test]
    fn names_stand_in_their_directory() {
        for (directory, name, want) in [
            (".", "pub", "./pub"),
            ("./pub", "../x", "./x"),
            (".", "..", ".."),
            ("..", "..", "../.."),
            ("./a", "/..", "/.."),
            ("/a/b", "..", "/a"),
            ("/", "..", "/.."),
            ("/a/", "b//c/./d/", "/a/b/c/d"),
            ("/a", "/b", "/b"),
            ("/a", "C:\\x", "C:\\x"),
            ("/a", "~", "/a/~"),
            ("~", "../x", "~/../x"),
            ("", "x/", "x"),
            (".", "", "."),
            ("/", "", "/"),
        ] {
            assert_eq!(joined(directory, name), want, "{directory} {name}");
        }
    }

    #[test]
    fn urls_have_the_servers_address() {
        let url = |host: &str, directory: &str, name: &str| {
            let url = url(
                host.parse().expect("address"),
                directory.as_bytes(),
                name.as_bytes(),
            );
            String::from_utf8(url).expect("text")
        };
        assert_eq!(url("192.0.2.1", ".", "a b"), "ftp://192.0.2.1/./a b");
        assert_eq!(url("2001:db8::1", "/x", "y"), "ftp://[2001:db8::1]/x/y");
        assert_eq!(url("192.0.2.1", "", ""), "ftp://192.0.2.1/");
    }

    #[test]
    fn a_path_is_found_in_text() {
        for (text, want) in [
            ("\"/pub/x y\" is the current directory", "/pub/x"),
            ("\"/pub/x\\ y\" is it", "/pub/x\\ y"),
            ("\"C:\\a\" is it", "C:\\a"),
            ("C:\\ a", "C:\\"),
            ("see http://x/y", "p://x/y"),
            ("nothing here", ""),
            ("", ""),
        ] {
            assert_eq!(first_in(text.as_bytes()), want.as_bytes(), "{text}");
        }
    }
}
