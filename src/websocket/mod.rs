//! RFC 6455 as values: nothing here knows a socket, a clock or tokio.
//!
//! [`handshake`] judges a request, [`frame`] reads and writes one frame header, [`mask`] removes
//! the client's mask, [`decoder`] turns whatever arrived into payload and events (by the short way
//! of `small` where it can), [`framing`] is what stands in the frames that we send, [`close`] is why
//! a session ends. [`legacy`] is what came before, and [`reader`] reads either.

mod base64;
pub mod close;
pub mod decoder;
pub mod frame;
pub mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod handshake;
pub mod legacy;
pub mod mask;
pub mod reader;
mod small;
