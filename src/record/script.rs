//! The text of a recording: one array of JavaScript, a line for each message, as websockify writes
//! it and noVNC's `tests/playback.js` reads it.

use std::io::Write;

/// What every recording begins with.
pub(super) const BEGIN: &[u8] = b"var VNC_frame_data = [\n";

/// What it ends with: without it the file is no script.
pub(super) const END: &[u8] = b"'EOF'];\n";

/// The end of a line.
pub(super) const CLOSE: &[u8] = b"',\n";

/// Where in its script a recording is.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// A line whose message is not over.
    open: bool,
}

impl Script {
    /// Appends one frame for the client.
    pub(super) fn target_said(&mut self, out: &mut Vec<u8>, millis: u64, frame: &[u8]) {
        self.close(out);
        begin(out, '{', millis);
        escape(out, frame);
        out.extend_from_slice(CLOSE);
    }

    /// Appends what the client sent; `ends` says where in it its messages end. The rest is the
    /// front of a message: its line stays open for more, unless the target has a word first.
    pub(super) fn client_said(
        &mut self,
        out: &mut Vec<u8>,
        millis: u64,
        bytes: &[u8],
        ends: &[usize],
    ) {
        let mut from = 0;
        for &end in ends {
            self.write(out, millis, &bytes[from..end]);
            self.close(out);
            from = end;
        }
        if from < bytes.len() {
            self.write(out, millis, &bytes[from..]);
        }
    }

    /// Ends the line that is open, if one is.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if self.open {
            out.extend_from_slice(CLOSE);
            self.open = false;
        }
    }

    /// Whether every line is whole.
    pub(super) fn is_whole(&self) -> bool {
        !self.open
    }

    fn write(&mut self, out: &mut Vec<u8>, millis: u64, bytes: &[u8]) {
        if !self.open {
            begin(out, '}', millis);
            self.open = true;
        }
        escape(out, bytes);
    }
}

fn begin(out: &mut Vec<u8>, direction: char, millis: u64) {
    // A vector takes everything.
    let _ = write!(out, "'{direction}{millis}{direction}");
}

/// As Python's `unicode_escape` does it for bytes, and the quote that ends the string besides.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        match byte {
            b'\\' | b'\'' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_byte_as_python_writes_it() {
        let mut out = Vec::new();
        let all: Vec<u8> = (0..=255).collect();
        Script::default().target_said(&mut out, 7, &all);
        let low: String = (0..32)
            .map(|byte| match byte {
                9 => "\\t".to_owned(),
                10 => "\\n".to_owned(),
                13 => "\\r".to_owned(),
                other => format!("\\x{other:02x}"),
            })
            .collect();
        let printable: String = (' '..='~')
            .map(|it| match it {
                '\'' | '\\' => format!("\\{it}"),
                other => other.to_string(),
            })
            .collect();
        let high: String = (127..=255).map(|byte| format!("\\x{byte:02x}")).collect();
        assert_eq!(text(out), format!("'{{7{{{low}{printable}{high}',\n"));
    }

    #[test]
    fn a_line_for_each_message_and_two_where_the_target_interrupts_one() {
        let (mut script, mut out) = (Script::default(), Vec::new());
        script.client_said(&mut out, 1, b"abc", &[0, 1, 3]);
        script.client_said(&mut out, 2, b"de", &[]);
        script.client_said(&mut out, 3, b"fg", &[1]);
        script.target_said(&mut out, 4, b"hi");
        script.client_said(&mut out, 5, b"j", &[]);
        assert!(!script.is_whole());
        script.close(&mut out);
        assert_eq!(
            text(out),
            "'}1}',\n'}1}a',\n'}1}bc',\n'}2}def',\n'}3}g',\n'{4{hi',\n'}5}j',\n"
        );
    }
}
