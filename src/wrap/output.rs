//! What the program says, line by line in our log.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;
use crate::log::escape::Cut;

/// Logs every line of `stream`, with the program's name before it, until its end.
pub(super) async fn forward(mut stream: impl AsyncRead + Unpin, name: String) {
    let mut line = Line::default();
    let mut buffer = vec![0; 4096];
    let say = |text: &str| log::info!("{name}: {}", Cut(text, limits::PROGRAM_LINE));
    loop {
        match stream.read(&mut buffer).await {
            Ok(n @ 1..) => line.add(&buffer[..n], say),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    line.end(say);
}

/// A line that is not complete yet. What is longer than will be shown is not kept.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

impl Line {
    fn add(&mut self, bytes: &[u8], say: impl Fn(&str)) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // There is a first part always, and the last one has no end yet.
        self.keep(parts.next().unwrap_or_default());
        for part in parts {
            self.end(&say);
            self.keep(part);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One more than is shown, so that it is seen to be cut.
        let room = (limits::PROGRAM_LINE + 1).saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
    }

    fn end(&mut self, say: impl Fn(&str)) {
        let text = String::from_utf8_lossy(&self.0);
        let text = text.trim_end();
        if !text.is_empty() {
            say(text);
        }
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::Line;
    use crate::limits;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let said = RefCell::new(Vec::new());
        let say = |text: &str| said.borrow_mut().push(text.to_owned());
        let mut line = Line::default();
        for piece in pieces {
            line.add(piece, say);
        }
        line.end(say);
        said.into_inner()
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let text = b"one\ntwo\r\n\n  \nthree\nfour";
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(lines(&[a, b]), ["one", "two", "three", "four"], "{cut}");
        }
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn no_line_is_kept_beyond_what_is_shown() {
        let piece = [b'x'; 4096];
        let said = lines(&[&piece, &piece, b"\nnext"]);
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].len(), limits::PROGRAM_LINE + 1);
        assert_eq!(said[1], "next");
    }
}
