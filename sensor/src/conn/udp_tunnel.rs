//! What is known of a connection as a tunnel.

/// What is known of a UDP connection as a tunnel. Bits are those of `bit`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UdpTunnel {
    /// Protocols that it was told to be, a bit each.
    pub confirmed: u16,
    /// Protocols that it was told not to be.
    pub violated: u16,
    /// Packets were taken out of it.
    pub used: bool,
    /// Sides that sent sound Teredo.
    pub teredo: [bool; 2],
    /// The kernel's program's number for it, or 0.
    pub number: u32,
}
