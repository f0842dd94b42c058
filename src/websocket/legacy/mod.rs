//! What browsers spoke in 2010 and 2011, before RFC 6455 and its drafts from 07 on: the drafts
//! hixie-75 and hixie-76, which is hybi-00, too. Only --legacy-protocols lets it in.
//!
//! [`handshake`] judges a request, [`hixie`] reads frames; [`super::framing`] writes them.

pub mod handshake;
pub mod hixie;
