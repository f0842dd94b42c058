//! `rebind.so`: preloaded (ld.so(8)) into a program that listens on a port, it moves that port to
//! loopback, so that the bridge can listen in its place.
//!
//! Only `bind` is interposed. Whatever it is not told to move goes to the next `bind` as it came.
//! It runs inside of programs that we know nothing of, from any thread, between fork(2) and
//! execve(2), in signal handlers: so nothing here allocates, locks, logs or panics.

#![cfg_attr(
    not(test),
    expect(
        unsafe_code,
        reason = "an interposed function of C is nothing but pointers of others"
    )
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test may panic"))]

pub mod contract;
pub mod rule;

// A test program must keep its own bind.
#[cfg(not(test))]
mod interpose;
