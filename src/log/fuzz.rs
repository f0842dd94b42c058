//! A peer's text, as it gets into the log.

use super::escape::{Cut, Escaped};
use crate::fuzz::Input;
use crate::limits;

/// A byte for where to cut, then text.
pub(crate) fn log_text(data: &[u8]) {
    let mut input = Input::new(data);
    let most = usize::from(input.byte());
    let text = String::from_utf8_lossy(input.rest()).into_owned();
    for (shown, most) in [
        (Escaped(&text).to_string(), limits::LOGGED_TEXT),
        (Cut(&text, most).to_string(), most),
    ] {
        assert!(shown.len() <= most + '…'.len_utf8());
        let plain =
            |it: char| it == ' ' || it.is_ascii_graphic() || it.is_alphanumeric() || it == '…';
        assert!(shown.chars().all(plain), "{shown:?}");
        // A quote would end the field that it stands in.
        let mut escaped = false;
        for character in shown.chars() {
            assert!(escaped || character != '"', "{shown:?}");
            escaped = !escaped && character == '\\';
        }
    }
}
