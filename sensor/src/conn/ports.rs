//! Ports on which servers usually listen (Zeek: `likely_server_ports` as its default scripts fill it).
//! They decide who is the responder of a connection whose start was not seen.

/// TCP, ascending.
const TCP: &[u16] = &[
    21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636, 989,
    990, 992, 993, 995, 1080, 1883, 2811, 3128, 3268, 3389, 5222, 5223, 5269, 5432, 6379, 6666, 6667, 6668,
    6669, 8000, 8080, 8888, 20000,
];

/// UDP, ascending.
const UDP: &[u16] = &[
    53, 67, 88, 123, 137, 161, 162, 389, 443, 514, 1812, 2123, 2152, 3389, 3544, 4789, 5060, 5072, 5353,
    5355, 6081, 20000,
];

/// Whether a TCP server is likely on `port`.
pub fn likely_tcp(port: u16) -> bool {
    TCP.binary_search(&port).is_ok()
}

/// Whether a UDP server is likely on `port`.
pub fn likely_udp(port: u16) -> bool {
    UDP.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_are_sorted() {
        assert!(super::TCP.is_sorted() && super::UDP.is_sorted());
    }
}
