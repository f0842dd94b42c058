//! What whoever preloads the library says to it, in environment variables. The bridge reads this
//! file too, so that the two cannot drift apart.

use std::ffi::CStr;

/// The ports that the program asks for: decimal numbers, separated by commas.
pub const OLD_PORT: &CStr = c"REBIND_OLD_PORT";

/// The ports that it gets, as many.
pub const NEW_PORT: &CStr = c"REBIND_NEW_PORT";

/// Set to 1, datagram sockets are moved as well.
pub const UDP: &CStr = c"REBIND_UDP";
