//! Why a session ends: close codes and reasons (RFC 6455, 7.4), and what breaks the protocol.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The content of a close frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The status code; [`NO_STATUS`] is a close frame without one.
    pub code: u16,
    /// Text for the person at the browser: noVNC shows it.
    pub reason: Cow<'static, str>,
}

/// Stands for an empty close frame; never on the wire (RFC 6455, 7.4.1).
pub const NO_STATUS: u16 = 1005;

/// Stands for a connection that ended without a close frame; never on the wire.
pub const ABNORMAL: u16 = 1006;

impl Close {
    /// The connection ended without a close frame.
    pub const NONE: Self = Self::new(ABNORMAL, "");
    /// An empty close frame.
    pub const NO_STATUS: Self = Self::new(NO_STATUS, "");
    /// The target ended its stream and all of it was delivered.
    pub const TARGET_CLOSED: Self = Self::new(1000, "Target closed");
    /// We are going away.
    pub const SHUTDOWN: Self = Self::new(1001, "Server shutting down");
    /// No address of the target answered.
    pub const CONNECT_FAILED: Self = Self::new(1011, "Failed to connect to downstream server");
    /// The wrapped program does not listen yet.
    pub const NOT_READY: Self = Self::new(1011, "The program is not ready yet: try again");
    /// The wrapped program has ended.
    pub const PROGRAM_OVER: Self = Self::new(1011, "The program has ended");
    /// The connection to the target broke before its end of file.
    pub const TARGET_LOST: Self = Self::new(1011, "Target connection lost");
    /// The target may not be reached.
    pub const FORBIDDEN: Self = Self::new(1008, "Target not allowed");
    /// The time is up that a token gave.
    pub const EXPIRED: Self = Self::new(1008, "Session expired");
    /// An administrator has ended it.
    pub const ENDED: Self = Self::new(1008, "Session ended by the administrator");
    /// We began anew, and cannot tell what the last of us has sent already.
    pub const LOST: Self = Self::new(1012, "Session lost in a restart");
    /// The client did not answer a heartbeat.
    pub const NO_PONG: Self = Self::new(1011, "No answer to ping");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    /// Reads the payload of a close frame, already unmasked.
    ///
    /// # Errors
    /// A payload of one byte, a code that may not be on the wire, or a reason that is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return match payload {
                [] => Ok(Self::NO_STATUS),
                _ => Err(Violation::CloseCode),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !CloseCode::from(code).is_allowed() {
            return Err(Violation::CloseCode);
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
        Ok(Self {
            code,
            reason: Cow::Owned(reason.to_owned()),
        })
    }

    /// The payload of the close frame that says this: the reason is cut to fit in a control frame.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        if self.code == NO_STATUS {
            return Vec::new();
        }
        let mut fits = self.reason.len().min(super::frame::CONTROL_PAYLOAD - 2);
        while !self.reason.is_char_boundary(fits) {
            fits -= 1;
        }
        let mut payload = self.code.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.reason.as_bytes()[..fits]);
        payload
    }
}

/// What a client did against RFC 6455, or what it agreed on. The text goes to it as the close reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says it")]
pub enum Violation {
    #[error("Protocol error: Frame not masked")]
    Unmasked,
    #[error("Protocol error: Reserved bits set")]
    ReservedBits,
    #[error("Protocol error: Unknown opcode 0x{0:02x}")]
    Opcode(u8),
    #[error("Protocol error: Length not minimal")]
    Length,
    #[error("Protocol error: Control frame too long")]
    ControlTooLong,
    #[error("Protocol error: Unexpected continuation frame")]
    Continuation,
    #[error("Protocol error: Unexpected new frame")]
    NewFrame,
    #[error("Protocol error: Invalid close code")]
    CloseCode,
    #[error("Protocol error: Invalid UTF-8 in close")]
    CloseReason,
    #[error("Protocol error: Unknown frame type 0x{0:02x}")]
    FrameType(u8),
    #[error("Protocol error: Invalid base64")]
    Base64,
    #[error("Unsupported: Text frames are not supported")]
    Text,
    #[error("Unsupported: Fragmented {0}")]
    Fragmented(&'static str),
}

impl From<Violation> for Close {
    fn from(violation: Violation) -> Self {
        let code = match violation {
            Violation::Text | Violation::Fragmented(_) => 1003,
            Violation::Base64 => 1007,
            Violation::Unmasked
            | Violation::ReservedBits
            | Violation::Opcode(_)
            | Violation::FrameType(_)
            | Violation::Length
            | Violation::ControlTooLong
            | Violation::Continuation
            | Violation::NewFrame
            | Violation::CloseCode
            | Violation::CloseReason => 1002,
        };
        Self {
            code,
            reason: Cow::Owned(violation.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Close, NO_STATUS, Violation};

    #[test]
    fn what_is_said_is_what_is_read() {
        for close in [Close::TARGET_CLOSED, Close::SHUTDOWN, Close::CONNECT_FAILED] {
            assert_eq!(Close::parse(&close.payload()), Ok(close));
        }
        assert_eq!(Close::parse(&[]).map(|close| close.code), Ok(NO_STATUS));
    }

    #[test]
    fn codes_that_may_not_be_on_the_wire() {
        for code in [0u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535] {
            let read = Close::parse(&code.to_be_bytes());
            assert_eq!(read, Err(Violation::CloseCode), "{code}");
        }
        for code in [1000u16, 1001, 1011, 3000, 4999] {
            assert_eq!(
                Close::parse(&code.to_be_bytes()).map(|close| close.code),
                Ok(code)
            );
        }
        assert_eq!(Close::parse(&[3]), Err(Violation::CloseCode));
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(Violation::CloseReason));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = Close {
            code: 1000,
            reason: "ä".repeat(100).into(),
        };
        let payload = long.payload();
        assert!(payload.len() <= 125);
        assert!(Close::parse(&payload).is_ok());
    }
}
