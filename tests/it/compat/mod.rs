//! What websockify does, asked of both programs.

mod frames;
