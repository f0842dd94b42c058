//! Lines of a stream, none longer than a bound.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

pub(super) struct Lines<R> {
    from: BufReader<R>,
    most: usize,
    line: Vec<u8>,
}

/// A line, without its end.
pub(super) enum Line<'l> {
    Whole(&'l [u8]),
    /// The beginning of a longer one, or what a stream's end cut off.
    Part(&'l [u8]),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        Self {
            from: BufReader::new(from),
            most,
            line: Vec::new(),
        }
    }

    /// The next line, or `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        loop {
            let read = self.from.fill_buf().await?;
            if read.is_empty() {
                let left = !self.line.is_empty();
                return Ok(left.then_some(Line::Part(&self.line)));
            }
            let room = self.most.saturating_sub(self.line.len());
            let end = read.iter().take(room + 1).position(|byte| *byte == b'\n');
            if let Some(end) = end {
                self.line.extend_from_slice(&read[..end]);
                self.from.consume(end + 1);
                return Ok(Some(Line::Whole(&self.line)));
            }
            let taken = read.len().min(room);
            self.line.extend_from_slice(&read[..taken]);
            let full = read.len() > room;
            self.from.consume(taken);
            if full {
                return Ok(Some(Line::Part(&self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    #[tokio::test]
    async fn lines_up_to_the_bound_are_whole() {
        let text = b"\nabcd\nabcdefghi\nxy".as_slice();
        let mut lines = Lines::new(text, 4);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push(match line {
                Line::Whole(line) => format!("{}.", String::from_utf8_lossy(line)),
                Line::Part(line) => String::from_utf8_lossy(line).into_owned(),
            });
        }
        assert_eq!(seen, [".", "abcd.", "abcd", "efgh", "i.", "xy"]);
    }
}
