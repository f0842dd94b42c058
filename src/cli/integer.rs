//! Integers as websockify's users spell them, which is as Python's optparse and `int` do.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// Seconds of an option: decimal, or with `0x`, `0b` or, for octal, `0` before them.
#[derive(Clone)]
pub(super) struct Seconds;

impl TypedValueParser for Seconds {
    type Value = u32;

    fn parse_ref(
        &self,
        _command: &Command,
        option: Option<&Arg>,
        value: &OsStr,
    ) -> Result<u32, Error> {
        let name = option.and_then(Arg::get_long).unwrap_or_default();
        let text = value.to_string_lossy();
        let wrong = |why: &str| {
            let text = format!("option --{name}: {why}: '{text}'\n");
            Error::raw(ErrorKind::ValueValidation, text)
        };
        if text.starts_with('-') && decimal(&text[1..]).is_some_and(|number| number > 0) {
            return Err(wrong("a negative number; 0 is never"));
        }
        // A century and more is never, too.
        literal(&text)
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
            .ok_or_else(|| wrong("invalid integer value"))
    }
}

/// What Python's `int` takes, below zero apart: spaces around it, a sign, underscores in it.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    integer(text.strip_prefix('+').unwrap_or(text), 10)
}

fn literal(text: &str) -> Option<u64> {
    let prefix = text.get(..2).unwrap_or_default().to_ascii_lowercase();
    match prefix.as_str() {
        "0x" => integer(text[2..].trim_end(), 16),
        "0b" if text.len() == 2 => Some(0),
        "0b" => integer(text[2..].trim_end(), 2),
        "0o" => integer(text[2..].trim_end(), 8),
        _ if text.starts_with('0') => integer(text.trim_end(), 8),
        "-0" => Some(0).filter(|_| text[1..].trim_end().bytes().all(|byte| byte == b'0')),
        _ => decimal(text),
    }
}

/// Digits with single underscores between them; what is too large is the largest.
fn integer(text: &str, radix: u32) -> Option<u64> {
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|it| it.is_digit(radix));
    text.split('_').all(is_number).then(|| {
        let digits = text.replace('_', "");
        u64::from_str_radix(&digits, radix).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::{decimal, literal};

    #[test]
    fn as_optparse_reads_them() {
        // What Python 3.11 says of each.
        for (text, number) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("60", Some(60)),
            ("+60", Some(60)),
            (" 60 ", Some(60)),
            ("6_0", Some(60)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("00", Some(0)),
            ("0_7", Some(7)),
            ("0x10", Some(16)),
            ("0XfF", Some(255)),
            ("0b101", Some(5)),
            ("0b", Some(0)),
            ("08", None),
            ("0x", None),
            ("0b2", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("+", None),
            ("", None),
            ("5s", None),
            ("1e3", None),
            ("5.0", None),
        ] {
            assert_eq!(literal(text), number, "{text}");
        }
        assert_eq!(literal(&"9".repeat(40)), Some(u64::MAX));
    }

    #[test]
    fn a_decimal_may_begin_with_zeros() {
        assert_eq!(decimal("06080"), Some(6080));
        assert_eq!(decimal(" +6_080"), Some(6080));
        assert_eq!(decimal("-1"), None);
        assert_eq!(decimal("0x50"), None);
    }
}
