//! The page of a directory that has none.

use std::fmt::{self, Display, Write};
use std::io;
use std::path::Path;

use percent_encoding::utf8_percent_encode;
use rustix::fs::{Dir, OFlags};

use super::files::{Beneath, IN_PART};
use crate::limits;

/// Lists `path`; blocks. Hidden names, names that are no UTF-8 and symlinks that lead out are left
/// out: none of them could be fetched.
pub(super) fn page(beneath: &Beneath, path: &Path) -> io::Result<String> {
    let directory = beneath.open_now(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut entries = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let found = beneath
            .open_now(&path.join(name), OFlags::PATH)
            .and_then(|it| it.metadata());
        let Ok(found) = found else { continue };
        entries.push(if found.is_dir() {
            format!("{name}/")
        } else {
            name.to_owned()
        });
        if entries.len() == limits::LISTING_ENTRIES {
            break;
        }
    }
    entries.sort_unstable();
    let shown = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>Directory listing for /{0}</title>\n<h1>Directory listing for /{0}</h1>\n<ul>\n",
        Html(&shown)
    );
    for entry in entries {
        let (name, slash) = entry
            .strip_suffix('/')
            .map_or((&*entry, ""), |name| (name, "/"));
        let link = utf8_percent_encode(name, IN_PART);
        let _ = writeln!(
            page,
            "<li><a href=\"{link}{slash}\">{}</a></li>",
            Html(&entry)
        );
    }
    page.push_str("</ul>\n</html>\n");
    Ok(page)
}

/// A name as text of a page.
struct Html<'t>(&'t str);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
