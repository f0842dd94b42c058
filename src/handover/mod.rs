//! A session outlives the process: what the next one needs to go on with it.
//!
//! [`state`] is everything that a live session is besides its sockets, as bytes; [`keep`] holds
//! them in a memfd that stays true while the session runs, for a process may end without a word.
//! [`lost`] is the end of a session that nobody can go on with.

pub mod any_path;
pub mod keep;
pub mod lost;
pub mod moment;
pub mod state;

#[cfg(test)]
mod tests;
