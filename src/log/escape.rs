//! Bytes from the network, made safe to print.

use std::fmt;

use crate::limits;

/// Shows text that a peer chose: control, bidirectional and invisible characters are escaped, so
/// that it can neither forge a log line nor drive a terminal, and it is cut at
/// [`limits::LOGGED_TEXT`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cut(self.0, limits::LOGGED_TEXT).fmt(f)
    }
}

/// The same, cut at a number of bytes of its own.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'t>(pub &'t str, pub usize);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, mut room) = (self.0, self.1);
        loop {
            // In one go, because that is nearly always all of it.
            let (plain, rest) = text.split_at(plain(text, room));
            f.write_str(plain)?;
            room -= plain.len();
            let Some(character) = rest.chars().next() else {
                return Ok(());
            };
            let size = Shown(character).size();
            if size > room {
                return f.write_str("…");
            }
            room -= size;
            character.escape_default().fmt(f)?;
            text = &rest[character.len_utf8()..];
        }
    }
}

/// How long the front of `text` is that needs no escape and fits into `room`.
fn plain(text: &str, room: usize) -> usize {
    let ends = text.char_indices().map(|(at, it)| (at + it.len_utf8(), it));
    ends.take_while(|(end, it)| *end <= room && Shown(*it).is_plain())
        .last()
        .map_or(0, |(end, _)| end)
}

struct Shown(char);

impl Shown {
    fn is_plain(&self) -> bool {
        !matches!(self.0, '"' | '\\') && (self.0 == ' ' || self.0.is_ascii_graphic())
            || (!self.0.is_ascii() && self.0.is_alphanumeric())
    }

    fn size(&self) -> usize {
        if self.is_plain() {
            self.0.len_utf8()
        } else {
            self.0.escape_default().len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn nothing_that_drives_a_terminal_or_forges_a_line() {
        for (text, shown) in [
            ("going home", "going home"),
            ("Grüße, 世界", "Grüße, 世界"),
            ("a\nb\r\0\x1b[31m", "a\\nb\\r\\u{0}\\u{1b}[31m"),
            ("\u{202e}cod\u{200b}", "\\u{202e}cod\\u{200b}"),
            ("say \"x\\\"", "say \\\"x\\\\\\\""),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Escaped(&"\n".repeat(10_000)).to_string();
        assert!(shown.len() <= crate::limits::LOGGED_TEXT + '…'.len_utf8());
        assert!(shown.ends_with('…'));
    }
}
