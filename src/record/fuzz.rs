//! Recordings, as JavaScript reads them.

use super::script::{BEGIN, END, Script};
use crate::fuzz::Input;

/// For each step: a byte that says who speaks and where messages end, and what was said.
pub(crate) fn recording(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut script, mut out) = (Script::default(), BEGIN.to_vec());
    let (mut by_client, mut for_client) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let kind = input.byte();
        let said = input.bytes();
        if kind & 1 == 0 {
            script.target_said(&mut out, kind.into(), said);
            for_client.push(said.to_vec());
        } else {
            let ends = [usize::from(kind >> 1).min(said.len()), said.len()];
            script.client_said(
                &mut out,
                kind.into(),
                said,
                &ends[..usize::from(kind >> 6 & 1) + 1],
            );
            by_client.extend_from_slice(said);
        }
    }
    script.close(&mut out);
    assert!(script.is_whole());
    out.extend_from_slice(END);
    let text = String::from_utf8(out).unwrap_or_else(|why| panic!("{why}"));
    assert!(text.is_ascii());
    let (mut read_by, mut read_for) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.lines().collect();
    let [first, lines @ .., last] = lines.as_slice() else {
        panic!("{text}");
    };
    assert_eq!((*first, *last), ("var VNC_frame_data = [", "'EOF'];"));
    for line in lines {
        let line = line.strip_prefix('\'').and_then(|it| it.strip_suffix("',"));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        let (mark, rest) = line.split_at(1);
        let (time, said) = rest.split_once(mark).unwrap_or_else(|| panic!("{line}"));
        assert!(time.parse::<u64>().is_ok(), "{line}");
        match mark {
            "{" => read_for.push(unescaped(said)),
            "}" => read_by.extend(unescaped(said)),
            _ => panic!("{line}"),
        }
    }
    assert_eq!((read_by, read_for), (by_client, for_client));
}

/// A string literal's content (ECMA-262, 12.9.4), of which each character is a byte.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut characters = text.bytes();
    while let Some(byte) = characters.next() {
        assert_ne!(byte, b'\'', "the string ends here: {text}");
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match characters.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits =
                    [characters.next(), characters.next()].map(|it| char::from(it.unwrap_or(b'?')));
                let digits: String = digits.iter().collect();
                u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("{text}"))
            }
            Some(other @ (b'\\' | b'\'')) => other,
            other => panic!("{other:?}"),
        });
    }
    bytes
}
