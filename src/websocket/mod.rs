//! RFC 6455 as values: nothing here knows a socket, a clock or tokio.
//!
//! [`handshake`] judges a request, [`frame`] reads and writes one frame header, [`mask`] removes
//! the client's mask, [`decoder`] turns whatever arrived into payload and events (by the short way
//! of `small` where it can), [`close`] is why
//! a session ends.

pub mod close;
pub mod decoder;
pub mod frame;
pub mod handshake;
pub mod mask;
mod small;
