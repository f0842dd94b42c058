//! Living under systemd: what it hands us at start, and what it wants to hear.

pub mod credentials;
pub mod inherited;
pub mod notify;
pub mod store;
