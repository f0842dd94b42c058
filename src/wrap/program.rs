//! Whether there is such a program, and whether its port can be moved: judged before anything is
//! started, because a program that the library does not reach takes a port from nobody knows whom.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::elf::{Kind, kind};
use crate::error::Failure;
use crate::executable;
use crate::limits;

/// Finds the program that `name` means to execvp(3), and judges it for a user of `uid` and `gid`.
///
/// # Errors
/// One sentence that says what is wrong with it, and what to do instead.
pub(super) fn judge(name: &OsStr, uid: u32, gid: u32) -> Result<(), Failure> {
    let path = find(name)?;
    let shown = path.display();
    // Of a script, its interpreter decides.
    let mut file = path.clone();
    for _ in 0..executable::INTERPRETERS {
        let Some(beginning) = beginning(&file) else {
            // Whoever may not read it may still run it; then its first start says what is wrong.
            return Ok(());
        };
        let cannot = |what: &str| {
            Failure::start(format!(
                "cannot move the port of {shown}: {what}. Let it listen on another port, and give \
                 that as the target instead of wrapping it"
            ))
        };
        match kind(&beginning) {
            Kind::Script(interpreter) => {
                file = PathBuf::from(OsStr::from_bytes(&interpreter));
                continue;
            }
            Kind::Go => {
                return Err(cannot(
                    "it is a Go program, which asks the kernel for a port without the C library",
                ));
            }
            Kind::Static => {
                return Err(cannot(
                    "it is linked statically, as programs in Go are, so that no library can be preloaded",
                ));
            }
            Kind::Dynamic { loader, machine } => {
                if let Some(ours) = our_own() {
                    if machine != ours.1 {
                        return Err(cannot("it is made for another kind of processor"));
                    }
                    if Path::new(OsStr::from_bytes(&loader)).file_name() != ours.0.file_name() {
                        return Err(cannot("it is made for another C library"));
                    }
                }
                if changes_rights(&file, uid, gid) {
                    return Err(cannot(
                        "it is setuid, setgid or has capabilities, and nothing can be preloaded \
                         into such a program (ld.so(8))",
                    ));
                }
            }
            Kind::Unknown => {}
        }
        return Ok(());
    }
    Ok(())
}

/// As execvp(3) does: a name without a slash is looked for in `PATH`.
pub(super) fn find(name: &OsStr) -> Result<PathBuf, Failure> {
    let shown = Path::new(name).display();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match fs::metadata(&path) {
            Err(error) => Err(Failure::start(format!("cannot run {shown}: {error}"))),
            Ok(found) if !found.is_file() => {
                Err(Failure::start(format!("cannot run {shown}: it is no file")))
            }
            Ok(found) if !executable::is_executable(&found) => Err(Failure::start(format!(
                "cannot run {shown}: it is not executable (chmod +x makes it so)"
            ))),
            Ok(_) => Ok(path),
        };
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    executable::find(name, &folders).ok_or_else(|| {
        Failure::start(format!(
            "cannot run {shown}: there is no such program in PATH={}",
            Path::new(&folders).display()
        ))
    })
}

fn beginning(path: &Path) -> Option<Vec<u8>> {
    match executable::beginning(path, limits::PROGRAM_HEADERS) {
        Ok(bytes) => Some(bytes),
        // An interpreter that is not there: execve(2) will say so.
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Loader and machine of this program, for which the library is made as well.
fn our_own() -> Option<(PathBuf, [u8; 4])> {
    match kind(&beginning(Path::new("/proc/self/exe"))?) {
        Kind::Dynamic { loader, machine } => {
            Some((PathBuf::from(OsStr::from_bytes(&loader)), machine))
        }
        _ => None,
    }
}

/// Whether the program runs with other rights than whoever starts it: then the loader does without
/// what is to be preloaded.
fn changes_rights(path: &Path, uid: u32, gid: u32) -> bool {
    // Where that cannot be, it does not.
    if rustix::thread::no_new_privs().unwrap_or(false) {
        return false;
    }
    let by_mode = fs::metadata(path).is_ok_and(|found| {
        found.mode() & 0o4000 != 0 && found.uid() != uid
            || found.mode() & 0o2010 == 0o2010 && found.gid() != gid
    });
    let mut capabilities = [0_u8; 64];
    let by_capabilities = uid != 0
        && rustix::fs::getxattr(path, "security.capability", &mut capabilities)
            .is_ok_and(|size| size > 0);
    by_mode || by_capabilities
}
