//! Files as those who keep a server change them.

use std::fs;
use std::path::Path;

/// Puts a file in the place of another at once, as `htpasswd`, editors and configuration managers do.
pub(crate) fn replace(path: &Path, content: &str) {
    // A name that a directory of token files passes over.
    let new = path.with_extension("new~");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}
