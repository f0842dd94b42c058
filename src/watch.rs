//! Word of changed files, by inotify(7): of a file, of all in a directory, and of every name and
//! link on the way there, so that a rename or a link that is turned round is seen as well.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

use crate::limits;

/// What is done with names, and with what they stand for. Not that a file is being written: only
/// that it was.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF);

/// Links to follow for one path: the kernel's own number.
const LINKS: u32 = 40;

/// How often a way that changes while it is gone along is looked at again. What is missed by then
/// is told by the directories that were watched in time.
const TRIES: u32 = 8;

/// Watches one file or one directory. What happens from its making on is noticed.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
    path: PathBuf,
    watched: HashMap<i32, Names>,
}

/// The names that matter in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    some: HashSet<OsString>,
    /// Whether all others do as well, but for [`is_hidden`] ones.
    all: bool,
}

/// Directories that a path leads through.
type Way = HashMap<PathBuf, Names>;

impl Watch {
    /// Watches `path`, whether it is there yet or not; blocks.
    ///
    /// # Errors
    /// The kernel's, which has a limit on watches for each user.
    pub fn new(path: &Path) -> io::Result<Self> {
        let mut watch = Self {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            path: std::path::absolute(path)?,
            watched: HashMap::new(),
        };
        watch.follow()?;
        Ok(watch)
    }

    /// Returns when something may have changed and nothing has since for a moment; then call
    /// [`Self::follow`], and only then read. `watch` is this in the runtime that runs this.
    ///
    /// # Errors
    /// The kernel's; it will not work again.
    pub async fn changed(watch: &mut AsyncFd<Self>) -> io::Result<()> {
        while !Self::next(watch).await? {}
        // Whoever changes several files, or one in several steps, may not be done.
        let latest = Instant::now() + limits::WATCH_MOST;
        loop {
            let settled = Instant::now() + limits::WATCH_SETTLED;
            match timeout_at(settled.min(latest), Self::next(watch)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Puts it into the runtime that runs this.
    ///
    /// # Errors
    /// The kernel's.
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe, for types whose descriptor changes or ends before them"
    )]
    pub fn start(self) -> io::Result<AsyncFd<Self>> {
        AsyncFd::with_interest(self, Interest::READABLE)
    }

    async fn next(watch: &mut AsyncFd<Self>) -> io::Result<bool> {
        let mut ready = watch.readable_mut().await?;
        let matters = ready.get_inner_mut().drain()?;
        ready.clear_ready();
        Ok(matters)
    }

    /// Reads all there is to read and says whether any of it matters.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        let mut matters = false;
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(matters),
                Err(error) => return Err(error.into()),
            };
            matters |= match (self.watched.get(&event.wd()), event.file_name()) {
                _ if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => true,
                (Some(names), Some(name)) => names.matter(OsStr::from_bytes(name.to_bytes())),
                (Some(_), None) => true,
                // The end of a watch that we gave up ourselves, for one.
                (None, _) => false,
            };
        }
    }

    /// Watches the way as it is now; blocks.
    ///
    /// # Errors
    /// The kernel's, for the last directory on the way. Those before it may be closed to us. What was
    /// watched before still is; after one that [`is_for_want`] it may be tried again.
    pub fn follow(&mut self) -> io::Result<()> {
        let mut way = way(&self.path)?;
        for _ in 0..TRIES {
            self.watch(&way)?;
            // What was turned round in between, before its directory was watched?
            let now = self::way(&self.path)?;
            if now == way {
                break;
            }
            way = now;
        }
        Ok(())
    }

    fn watch(&mut self, way: &Way) -> io::Result<()> {
        let mut watched: HashMap<i32, Names> = HashMap::new();
        for (directory, names) in way {
            match inotify::add_watch(&self.inotify, directory, CHANGES | WatchFlags::ONLYDIR) {
                Ok(id) => {
                    let merged = watched.entry(id).or_default();
                    merged.all |= names.all;
                    merged.some.extend(names.some.iter().cloned());
                }
                // It went away this moment: what is now in its place is looked for next.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) if names.all => return Err(error.into()),
                Err(Errno::NOSPC) => return Err(Errno::NOSPC.into()),
                Err(_) => {}
            }
        }
        // A file that is mounted by itself changes without a word to the directory it is seen in.
        if let Ok(id) = inotify::add_watch(&self.inotify, &self.path, CHANGES) {
            watched.entry(id).or_default();
        }
        if watched.is_empty() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        for id in self.watched.keys().filter(|id| !watched.contains_key(id)) {
            // One whose directory is gone is gone as well.
            let _ = inotify::remove_watch(&self.inotify, *id);
        }
        self.watched = watched;
        Ok(())
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}

impl Names {
    fn matter(&self, name: &OsStr) -> bool {
        self.all && !is_hidden(name) || self.some.contains(name)
    }
}

/// Whether a name in a directory of files is none of them: hidden, or an editor's copy.
#[must_use]
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".") || name.as_bytes().ends_with(b"~")
}

/// Whether it is the machine that lacks something, of whose return no change of a file tells.
#[must_use]
pub fn is_for_want(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| wants.contains(&error))
}

/// Every directory that has a say in what `path` is, and what is in it where it is one.
fn way(path: &Path) -> io::Result<Way> {
    let mut way = Way::new();
    let Some(end) = walk(path, &mut way) else {
        return Ok(way);
    };
    let entries = match fs::read_dir(&end) {
        Ok(entries) => entries,
        Err(error) if is_for_want(&error) => return Err(error),
        // It is a file, or none of our business.
        Err(_) => return Ok(way),
    };
    for entry in entries.filter_map(Result::ok) {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link && !is_hidden(&entry.file_name()) {
            walk(&entry.path(), &mut way);
        }
    }
    way.entry(end).or_default().all = true;
    Ok(way)
}

/// Goes along `path`, which is absolute, and tells where it ends if it ends anywhere.
fn walk(path: &Path, way: &mut Way) -> Option<PathBuf> {
    let names = |path: &Path| -> VecDeque<OsString> {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        parts.collect()
    };
    let mut here = PathBuf::from("/");
    let mut ahead = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        way.entry(here.clone())
            .or_default()
            .some
            .insert(name.clone());
        let next = here.join(&name);
        if !fs::symlink_metadata(&next).ok()?.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return None;
        }
        let to = fs::read_link(&next).ok()?;
        if to.is_absolute() {
            here = PathBuf::from("/");
        }
        let mut rest = names(&to);
        rest.append(&mut ahead);
        ahead = rest;
    }
    Some(here)
}
