//! The first byte of a connection says what it will speak.

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// A TLS handshake record, or the hello of SSL 2 that old clients wrapped theirs in.
    Tls,
    /// A Flash player that asks for a policy. No request begins so (RFC 9110, 9.1).
    Policy,
    /// Anything else: HTTP will judge it.
    Plain,
}

/// Judges a first byte.
#[must_use]
pub fn sniff(first: u8) -> Speaks {
    match first {
        0x16 | 0x80 => Speaks::Tls,
        b'<' => Speaks::Policy,
        _ => Speaks::Plain,
    }
}
