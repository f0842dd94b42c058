//! Opening what is inside a directory, whatever path a peer gives and whatever links are there.
//!
//! openat2(2) does it. But systemd's `RestrictSUIDSGID=`, and `DynamicUser=` with it, answer openat2 with ENOSYS: a filter
//! cannot see the mode in its argument. The walk here takes one name at a time and never lets the
//! kernel follow a link, so that nothing renamed meanwhile leads it out.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Links to follow for one path: the kernel's own number.
const LINKS: u32 = 40;

/// Opens `path` inside `root`; blocks.
///
/// # Errors
/// Those of openat2: EXDEV for a way out, ELOOP for too many links.
pub fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    match openat2(root, path, flags, Mode::empty(), how) {
        Err(Errno::NOSYS) => open_beneath(root, path, flags),
        opened => opened,
    }
}

/// Opens `path` beneath `root`, as openat2 does with `RESOLVE_BENEATH`.
///
/// # Errors
/// Those of openat2: EXDEV for a way out, ELOOP for too many links.
fn open_beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    // The directories between the root and where we are.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut names = VecDeque::new();
    put_before(&mut names, path)?;
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        if name == ".." {
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = way.last().map_or(root, AsFd::as_fd);
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat(here, &name, look, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Symlink {
            links += 1;
            if links > LINKS {
                return Err(Errno::LOOP);
            }
            let to = readlinkat(&found, c"", Vec::new())?;
            put_before(&mut names, Path::new(&OsString::from_vec(to.into_bytes())))?;
        } else if names.is_empty() {
            return openat(here, &name, flags | OFlags::NOFOLLOW, Mode::empty());
        } else {
            way.push(found);
        }
    }
    // The path ended in `.` or `..`.
    let here = way.last().map_or(root, AsFd::as_fd);
    openat(here, c".", flags, Mode::empty())
}

/// Puts the names of a path before those that are still to be walked.
fn put_before(names: &mut VecDeque<OsString>, path: &Path) -> Result<(), Errno> {
    for part in path.components().rev() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => names.push_front(OsStr::new("..").to_owned()),
            Component::Normal(name) => names.push_front(name.to_owned()),
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2};

    use super::open_beneath;

    #[test]
    fn the_walk_ends_where_openat2_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("outside"), "secret").unwrap();
        fs::create_dir_all(at("root/a/b")).unwrap();
        fs::write(at("root/page"), "page").unwrap();
        fs::write(at("root/a/b/page"), "deep").unwrap();
        for (to, name) in [
            ("page", "root/link"),
            ("a/b", "root/dir"),
            ("../../page", "root/a/b/up"),
            ("../outside", "root/out"),
            ("../../root/page", "root/a/out-and-in"),
            ("/etc/passwd", "root/absolute"),
            ("round", "root/round"),
            ("missing", "root/dangling"),
        ] {
            symlink(to, at(name)).unwrap();
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = open(at("root"), flags, Mode::empty()).unwrap();
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for path in [
            ".",
            "page",
            "./page",
            "a",
            "a/b/page",
            "link",
            "dir",
            "dir/page",
            "dir/up",
            "dir/../b",
            "a/..",
            "a/../..",
            "..",
            "out",
            "a/out-and-in",
            "absolute",
            "/etc/passwd",
            "round",
            "dangling",
            "nothing",
            "page/below",
            "link/below",
        ] {
            for flags in [OFlags::PATH, OFlags::RDONLY | OFlags::NONBLOCK] {
                let path = Path::new(path);
                let by_kernel = openat2(&root, path, flags, Mode::empty(), how);
                let by_us = open_beneath(root.as_fd(), path, flags);
                let file = |found: Result<_, _>| found.map(|fd| fstat(&fd).unwrap().st_ino);
                assert_eq!(file(by_us), file(by_kernel), "{path:?}");
            }
        }
    }
}
