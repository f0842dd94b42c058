//! What a helper writes.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::codec;
use super::lines::{Line, Lines};
use crate::fuzz::{Input, pieces};

/// Short, so that lines are beyond it.
const MOST: usize = 40;

/// Where to cut, then lines.
pub(crate) fn helper_lines(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let text = input.rest();
    let seen = lines(text, &cuts);
    assert_eq!(seen, lines(text, &[]));
    let mut expected = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n");
        let mut rest = whole.unwrap_or(line);
        while rest.len() > MOST {
            let (part, behind) = rest.split_at(MOST);
            expected.push((false, part.to_vec()));
            rest = behind;
        }
        if whole.is_some() || !rest.is_empty() {
            expected.push((whole.is_some(), rest.to_vec()));
        }
    }
    assert_eq!(seen, expected);
    for (_, line) in seen {
        if let Ok((id, fields)) = codec::answer(&line) {
            let written = codec::line(id, &fields);
            let again = written.strip_suffix(b"\n").map(codec::answer);
            assert_eq!(again, Some(Ok((id, fields))));
        }
    }
}

fn lines(text: &[u8], cuts: &[usize]) -> Vec<(bool, Vec<u8>)> {
    let pieces = pieces(text, cuts).filter(|piece| !piece.is_empty());
    let mut lines = Lines::new(Pieces(pieces.collect()), MOST);
    let mut seen = Vec::new();
    loop {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(lines.next()).poll(&mut context) {
            Poll::Ready(Ok(Some(Line::Whole(line)))) => seen.push((true, line.to_vec())),
            Poll::Ready(Ok(Some(Line::Part(line)))) => seen.push((false, line.to_vec())),
            Poll::Ready(Ok(None)) => return seen,
            other => panic!("{}", if other.is_ready() { "failed" } else { "waits" }),
        }
    }
}

struct Pieces<'t>(VecDeque<&'t [u8]>);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.0.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(buffer.remaining()));
            buffer.put_slice(now);
            if !later.is_empty() {
                self.0.push_front(later);
            }
        }
        Poll::Ready(Ok(()))
    }
}
