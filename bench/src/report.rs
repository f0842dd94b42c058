//! Where the figures go: standard output, and the page about them.

use std::fs;
use std::io::{self, Write, stdout};
use std::path::Path;

use crate::lines::Line;
use crate::peers::Kind;
use crate::pictures::{self, Picture};
use crate::stats::Results;
use crate::table::tables;

/// The page's text between these is ours; the rest is written by hand.
const BEGIN: &str = "<!-- make bench: from here -->\n";
const END: &str = "<!-- make bench: to here -->\n";

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Who was measured, in which version.
    pub(crate) peers: Vec<(Kind, String)>,
    /// When, where and how.
    pub(crate) heading: String,
}

impl Report {
    pub(crate) fn versions(&self) -> String {
        let one = |(kind, version): &(Kind, String)| format!("{} {version}", kind.name());
        self.peers.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn show(&self, lines: &[Line], results: &Results) -> io::Result<()> {
        let text = format!("{}\n\n{}", self.heading, tables(lines, results));
        stdout().write_all(text.as_bytes())
    }

    /// Writes PERFORMANCE.md in `docs` anew, between its marks, and the pictures that it shows.
    pub(crate) fn write(&self, docs: &Path, lines: &[Line], results: &Results) -> io::Result<()> {
        let page = docs.join("PERFORMANCE.md");
        let pictures = pictures::all(lines, results);
        let mut ours = format!("{}\n\n{}\n", self.heading, tables(lines, results));
        for Picture { name, words, .. } in &pictures {
            ours += &format!("![{words}](performance/{name})\n");
        }
        let text = between_marks(&fs::read_to_string(&page)?, &ours).ok_or_else(|| {
            io::Error::other(format!("{} has not the marks {BEGIN}{END}", page.display()))
        })?;
        let folder = docs.join("performance");
        fs::create_dir_all(&folder)?;
        for Picture { name, svg, .. } in pictures {
            fs::write(folder.join(name), svg)?;
        }
        fs::write(page, text)
    }
}

fn between_marks(text: &str, ours: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, "\n", ours, "\n", END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = |ours: &str| format!("above\n{BEGIN}{ours}{END}below\n");
        let written = between_marks(&page("old\n"), "new\n");
        assert_eq!(written, Some(page("\nnew\n\n")));
        assert_eq!(between_marks("no marks\n", "new\n"), None);
    }
}
