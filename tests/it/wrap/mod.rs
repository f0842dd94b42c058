//! A program behind the bridge, and what is preloaded into it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::real::{script, succeeds};

mod interposer; // rebind.so: hit and bypass

/// `rebind.so` as it is built beside the bridge. `cargo test --test it` does not build it.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_websockify"))
            .parent()
            .unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--locked", "--quiet", "--package", "rebind"])
            .arg("--target-dir")
            .arg(folder.parent().unwrap());
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        succeeds(&mut build);
        folder.join("librebind.so")
    })
}

/// A program of tests/programs, compiled.
fn compiled(name: &str, options: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = script("programs").join(name).with_extension("c");
    let words = options.concat().replace('-', "_");
    let program = folder.join(format!("{name}{words}"));
    // Two tests may want it at once: each makes its own, and the last one's stays.
    let mine = tempfile::NamedTempFile::new_in(folder)
        .unwrap()
        .into_temp_path();
    succeeds(
        Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .args([mine.as_os_str(), source.as_os_str()])
            .args(options),
    );
    fs::rename(mine, &program).unwrap();
    program
}
