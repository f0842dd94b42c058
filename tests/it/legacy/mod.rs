//! Clients of 2010 to 2016.

mod base64; // text frames, for browsers without binary ones
