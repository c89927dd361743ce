//! The analyzers that events and logs speak of.

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident $upper:literal $lower:literal;)*) => {
        /// An analyzer (Zeek's `Analyzer::Tag`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum AnalyzerTag { $($(#[$doc])* $name,)* }

        impl AnalyzerTag {
            /// Every analyzer.
            pub const ALL: &'static [AnalyzerTag] = &[$(AnalyzerTag::$name,)*];

            /// As events write it: `Analyzer::ANALYZER_SSL`.
            pub fn as_str(self) -> &'static str {
                match self { $(AnalyzerTag::$name => concat!("Analyzer::ANALYZER_", $upper),)* }
            }

            /// Without the prefix: `SSL`.
            pub fn short(self) -> &'static str {
                match self { $(AnalyzerTag::$name => $upper,)* }
            }

            /// As conn.log's `service` writes it: `ssl`.
            pub fn service(self) -> &'static str {
                match self { $(AnalyzerTag::$name => $lower,)* }
            }
        }
    };
}

tags! {
    /// TLS and its predecessors over TCP.
    Ssl "SSL" "ssl";
    /// TLS over datagrams.
    Dtls "DTLS" "dtls";
    /// Domain name system.
    Dns "DNS" "dns";
    /// HTTP/1.
    Http "HTTP" "http";
    /// Secure shell.
    Ssh "SSH" "ssh";
    /// Mail transfer.
    Smtp "SMTP" "smtp";
    /// FTP's control connection.
    Ftp "FTP" "ftp";
    /// FTP's data connection.
    FtpData "FTP_DATA" "ftp-data";
    /// Network time.
    Ntp "NTP" "ntp";
    /// Syslog over UDP.
    Syslog "SYSLOG" "syslog";
    /// QUIC.
    Quic "QUIC" "quic";
    /// IPv6 in UDP, RFC 4380.
    Teredo "TEREDO" "teredo";
    /// AYIYA tunnel.
    Ayiya "AYIYA" "ayiya";
    /// GTP version 1, user plane.
    Gtpv1 "GTPV1" "gtpv1";
    /// VXLAN, RFC 7348.
    Vxlan "VXLAN" "vxlan";
    /// Geneve, RFC 8926.
    Geneve "GENEVE" "geneve";
    /// TCP itself.
    Tcp "TCP" "tcp";
    /// UDP itself.
    Udp "UDP" "udp";
    /// ICMP itself.
    Icmp "ICMP" "icmp";
}
