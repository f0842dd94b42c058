//! Where the figures go: standard output, and the page about them.

use std::fs;
use std::io::{self, Write, stdout};
use std::path::Path;

use crate::pictures::Picture;

/// The page's text between these is ours; the rest is written by hand.
const BEGIN: &str = "<!-- make bench: from here -->\n";
const END: &str = "<!-- make bench: to here -->\n";

#[derive(Debug)]
pub(crate) struct Report {
    /// When, where and how.
    pub(crate) heading: String,
    pub(crate) tables: String,
    pub(crate) pictures: Vec<Picture>,
}

impl Report {
    pub(crate) fn show(&self) -> io::Result<()> {
        let text = format!("{}\n\n{}", self.heading, self.tables);
        stdout().write_all(text.as_bytes())
    }

    /// Writes PERFORMANCE.md in `docs` anew, between its marks, and the pictures that it shows.
    pub(crate) fn write(&self, docs: &Path) -> io::Result<()> {
        let page = docs.join("PERFORMANCE.md");
        let mut ours = format!("{}\n\n{}\n", self.heading, self.tables);
        for Picture { name, words, .. } in &self.pictures {
            ours += &format!("![{words}](performance/{name})\n");
        }
        let text = between_marks(&fs::read_to_string(&page)?, &ours).ok_or_else(|| {
            io::Error::other(format!("{} has not the marks {BEGIN}{END}", page.display()))
        })?;
        let folder = docs.join("performance");
        fs::create_dir_all(&folder)?;
        for Picture { name, svg, .. } in &self.pictures {
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
