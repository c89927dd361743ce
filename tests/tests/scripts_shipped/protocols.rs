//! Messages of protocols, as far as the tests need them.

/// A DNS query for the address of a name.
pub fn dns_query(name: &str) -> Vec<u8> {
    let mut b = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        b.push(label.len() as u8);
        b.extend(label.as_bytes());
    }
    b.extend([0, 0, 1, 0, 1]);
    b
}

/// Hexadecimal digits that look random, others for each number.
pub fn digits(n: u64, how_many: usize) -> String {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        char::from_digit((x >> 32) as u32 % 16, 16).unwrap()
    };
    (0..how_many).map(|_| next()).collect()
}

fn with_length(bytes: usize, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&len[4 - bytes..], body].concat()
}

/// A TLS handshake message in a record of its own.
fn tls(version: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind][..], &with_length(3, body)].concat();
    [&[22][..], &version.to_be_bytes(), &with_length(2, &message)].concat()
}

/// A ClientHello that names a server.
pub fn client_hello(server: &str) -> Vec<u8> {
    let name = with_length(2, &[&[0][..], &with_length(2, server.as_bytes())].concat());
    let extensions = with_length(2, &[&[0, 0][..], &with_length(2, &name)].concat());
    let ciphers = with_length(2, &[0, 5, 0, 0x2f, 0, 0x33]);
    let body = [&[3, 3][..], &[7; 32], &[0], &ciphers, &[1, 0], &extensions].concat();
    tls(0x0301, 1, &body)
}

pub fn server_hello(version: u16, cipher: u16) -> Vec<u8> {
    let body = [
        &version.to_be_bytes()[..],
        &[9; 32],
        &[0],
        &cipher.to_be_bytes(),
        &[0],
    ];
    tls(version, 2, &body.concat())
}

/// A ServerKeyExchange with a Diffie-Hellman group whose prime has so many bytes.
pub fn dh_params(prime: usize) -> Vec<u8> {
    let number = |len| with_length(2, &vec![0xa5; len]);
    let signature = [&[4, 1][..], &with_length(2, &[1; 64])].concat();
    let body = [number(prime), with_length(2, &[2]), number(prime), signature].concat();
    tls(0x0303, 12, &body)
}

/// A Certificate message with this one.
pub fn certificate(der: &[u8]) -> Vec<u8> {
    tls(0x0303, 11, &with_length(3, &with_length(3, der)))
}

/// The end of a side's handshake: from here on it encrypts.
pub fn finished() -> Vec<u8> {
    let encrypted = [&[22, 3, 3][..], &with_length(2, &[0xee; 40])].concat();
    [&[20, 3, 3, 0, 1, 1][..], &encrypted].concat()
}

/// A packet of SSH 2 around a message.
fn ssh(message: &[u8]) -> Vec<u8> {
    let len = message.len() as u32 + 5;
    [&len.to_be_bytes(), &[4][..], message, &[0; 4]].concat()
}

fn ssh_offers() -> Vec<u8> {
    let lists = ["curve25519-sha256", "ssh-ed25519"];
    let both = ["aes128-ctr", "hmac-sha1", "none", ""].map(|l| [l, l]);
    let lists = lists.iter().chain(both.iter().flatten());
    let lists = lists.flat_map(|l| with_length(4, l.as_bytes()));
    let lists: Vec<u8> = lists.collect();
    ssh(&[&[20][..], &[0xcc; 16], &lists, &[0; 5]].concat())
}

fn ssh_strings(kind: u8, strings: &[&[u8]]) -> Vec<u8> {
    let strings = strings.iter().flat_map(|s| with_length(4, s));
    ssh(&[kind].into_iter().chain(strings).collect::<Vec<_>>())
}

/// What both sides of an SSH connection say of which a password is wrong `failures` times, and right after that if `is_in`. What
/// is encrypted is known by its lengths.
pub fn ssh_login(failures: usize, is_in: bool) -> Vec<(usize, Vec<u8>)> {
    let encrypted = |side: usize, len: usize| (side, vec![0xee; len]);
    let mut all = vec![
        (1, b"SSH-2.0-server\r\n".to_vec()),
        (0, b"SSH-2.0-client\r\n".to_vec()),
        (0, ssh_offers()),
        (1, ssh_offers()),
        (0, ssh_strings(30, &[b"q of c"])),
        (1, ssh_strings(31, &[b"the key", b"q of s", b"signed"])),
        (1, ssh(&[21, 0, 0, 0, 0, 0, 0])),
        (0, ssh(&[21, 0, 0, 0, 0, 0, 0])),
        encrypted(0, 44),
        encrypted(1, 44),
        // Which methods there are.
        encrypted(0, 68),
        encrypted(1, 60),
    ];
    for _ in 0..failures {
        all.extend([encrypted(0, 148), encrypted(1, 60)]);
    }
    if is_in {
        all.extend([encrypted(0, 148), encrypted(1, 28)]);
    }
    all
}
