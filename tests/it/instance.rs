//! What `--check-instance` finds out as the user that the service would be.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const OURS: &str = env!("CARGO_BIN_EXE_websockify");

/// What stands in the way, for somebody whom permissions hold: root without its capabilities.
fn refused(need: &str, path: &Path) -> String {
    let mut trial = if rustix::process::geteuid().is_root() {
        let mut trial = Command::new("setpriv");
        trial.arg("--bounding-set=-dac_override,-dac_read_search");
        trial.arg(OURS);
        trial
    } else {
        Command::new(OURS)
    };
    let output = trial.args(["--try-access", need]).arg(path).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

#[test]
fn what_stands_in_the_way_is_named_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, file) = (folder.path().join("d"), folder.path().join("d/f"));
    let (shown, inside) = (directory.to_str().unwrap(), file.to_str().unwrap());
    fs::create_dir(&directory).unwrap();
    fs::write(&file, "").unwrap();
    let mode = |path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o500);
    for need in ["reach", "read", "execute"] {
        assert_eq!(refused(need, &file), "", "{need}");
        assert_eq!(refused(need, &directory), "", "{need}");
        assert_eq!(refused(need, &directory.join("missing")), "", "{need}");
    }
    // One file of a directory matters to who reads all of them.
    mode(&file, 0o000);
    assert_eq!(refused("read", &file), inside);
    assert_eq!(refused("execute", &file), inside);
    assert_eq!(refused("read", &directory), inside);
    assert_eq!(refused("reach", &file), "");
    assert_eq!(refused("reach", &directory), "");
    // Nobody has to list what is asked for by name.
    mode(&directory, 0o100);
    assert_eq!(refused("reach", &directory), "");
    assert_eq!(refused("read", &directory), shown);
    mode(&directory, 0o600);
    assert_eq!(refused("reach", &directory), shown);
    assert_eq!(refused("reach", &file), shown);
    mode(&directory, 0o700);
}
