//! What a program's file says about itself, and what its supervisor says of it.

use super::elf::{Kind, kind};
use super::message::{Event, Order};

/// A file's beginning. What was read stands in it.
pub(crate) fn program_file(data: &[u8]) {
    let within = |part: &[u8]| part.is_empty() || data.windows(part.len()).any(|it| it == part);
    match kind(data) {
        Kind::Dynamic { loader, .. } => assert!(within(&loader)),
        Kind::Script(interpreter) => assert!(data.starts_with(b"#!") && within(&interpreter)),
        Kind::Static | Kind::Go => assert!(data.starts_with(b"\x7fELF")),
        Kind::Unknown => {}
    }
}

/// A line. What is read can be said, and is read again.
pub(crate) fn supervisor_line(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let line = text.lines().next().unwrap_or_default();
    if let Some(order) = Order::parse(line) {
        assert_eq!(order.line().trim_end(), line);
    }
    if let Some(event) = Event::parse(line) {
        let said = event.line();
        let again = said.strip_suffix('\n').and_then(Event::parse);
        assert_eq!(again, Some(event));
    }
}
