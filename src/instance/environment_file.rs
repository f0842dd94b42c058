//! `EnvironmentFile=`, read as systemd reads it (systemd.exec(5)).

use super::NOT_UTF8;

/// The assignments, in their order. Whatever else is in the text is left out, as systemd does.
pub(super) fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if line.starts_with(['#', ';']) {
            rest = behind_comment(line);
            continue;
        }
        let end = line.find(['=', '\n']).unwrap_or(line.len());
        let (key, behind) = line.split_at(end);
        let Some(behind) = behind.strip_prefix('=') else {
            rest = behind;
            continue;
        };
        let (value, behind) = value(behind);
        // Other white space, as a no-break space, is part of a name that is none.
        let key = key.trim_end_matches([' ', '\t', '\r']);
        if is_variable(key) {
            found.push((key.to_owned(), value));
        }
        rest = behind;
    }
    found
}

/// A comment goes on behind a line that ends in a backslash.
fn behind_comment(text: &str) -> &str {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '\n' if !escaped => return &text[at..],
            _ => escaped = character == '\\' && !escaped,
        }
    }
    ""
}

/// Reads a value and returns it with the text behind it. Quotes count where a word begins: in the
/// middle of one they are themselves.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    // How much of the value stays although it is white space at the end.
    let mut kept = 0;
    let mut inside = false;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' => {
                value.truncate(kept);
                return (value, &text[at..]);
            }
            '\\' => {
                // Also of the line's end, which joins the next.
                inside = true;
                if let Some((_, escaped)) = characters.next().filter(|(_, it)| *it != '\n') {
                    value.push(escaped);
                }
                kept = value.len();
            }
            '\'' if !inside => {
                value.extend(
                    characters
                        .by_ref()
                        .map(|(_, it)| it)
                        .take_while(|it| *it != '\''),
                );
                kept = value.len();
            }
            '"' if !inside => {
                quoted(&mut characters, &mut value);
                kept = value.len();
            }
            ' ' | '\t' | '\r' => {
                if inside {
                    value.push(character);
                }
            }
            _ => {
                inside = true;
                value.push(character);
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    (value, "")
}

fn quoted(characters: &mut std::str::CharIndices<'_>, value: &mut String) {
    while let Some((_, character)) = characters.next() {
        match character {
            '"' => return,
            '\\' => match characters.next() {
                Some((_, '\n')) | None => {}
                Some((_, escaped @ ('"' | '\\' | '`' | '$'))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
            },
            _ => value.push(character),
        }
    }
}

pub(super) fn is_variable(key: &str) -> bool {
    if key.contains(NOT_UTF8) {
        // systemd does not leave these out, but gives up.
        return true;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !key.is_empty() && !key.as_bytes()[0].is_ascii_digit() && key.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::parse;

    #[test]
    fn as_systemd_reads_it() {
        for (text, expected) in [
            ("A=b", &[("A", "b")][..]),
            ("A=b\nA=c\r\n", &[("A", "b"), ("A", "c")]),
            ("  A = b c  \n", &[("A", "b c")]),
            ("# A=1\n; B=2\n\nC=3", &[("C", "3")]),
            ("# A \\\nB=2\nC=3", &[("C", "3")]),
            (
                "A='b # c' \nD=\"e \\\"f\\\" \\g\"",
                &[("A", "b # c"), ("D", "e \"f\" \\g")],
            ),
            ("A=it's\nB=2", &[("A", "it's"), ("B", "2")]),
            ("A=b\\\nc\nB=\\ d", &[("A", "bc"), ("B", " d")]),
            ("A='b\nc'", &[("A", "b\nc")]),
            ("A=\nB=", &[("A", ""), ("B", "")]),
            ("1A=x\nB C=x\n=x\nexport D=x\nE", &[]),
            ("A\u{a0}=x\nB\u{b}=x\nC\t=d", &[("C", "d")]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_left_out(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for (key, _) in parse(&String::from_utf8_lossy(&bytes)) {
                assert!(key.is_ascii());
            }
        }
    }
}
