//! `--web`: the files beneath one directory, and nothing else, however a path is written.
//!
//! Two walls. A path is decoded once and loses its dots before anything is opened; and every file
//! is opened beneath the directory by the kernel (openat2(2) with `RESOLVE_BENEATH`), which also
//! stops a symlink that leads out, whenever it was put there: see [`inside`].

use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::task::spawn_blocking;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, DefaultServeDirFallback};

use super::{Body, html, listing, text};
use crate::config::Web;
use crate::error::Failure;
use crate::inside;

/// What stands for itself in one part of a path (RFC 3986, 2.3).
pub(super) const IN_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What stands for itself in a whole path.
const IN_PATH: &AsciiSet = &IN_PART.remove(b'/');

/// The served directory.
#[derive(Clone, Debug)]
pub struct Files {
    beneath: Beneath,
    serve: ServeDir<DefaultServeDirFallback, Beneath>,
    listing: bool,
}

impl Files {
    /// Opens the directory: it stays the same one wherever its name leads later.
    ///
    /// # Errors
    /// One sentence with the directory and the reason.
    pub fn open(web: &Web) -> Result<Self, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&web.root, flags, Mode::empty()).map_err(|error| {
            Failure::start(format!(
                "--web {}: {}",
                web.root.display(),
                io::Error::from(error)
            ))
        })?;
        let beneath = Beneath(Arc::new(root));
        let serve = ServeDir::with_backend("", beneath.clone())
            .append_index_html_on_directories(false)
            .redirect_to_trailing_slash(false)
            .ignore_multi_range_requests(true);
        Ok(Self {
            beneath,
            serve,
            listing: web.listing,
        })
    }

    /// Answers a GET or HEAD.
    pub async fn respond(&self, request: &Request<()>) -> Response<Body> {
        let asked = request.uri().path();
        let Some(path) = relative(asked) else {
            return not_found();
        };
        let found = self.beneath.metadata(path.clone()).await;
        let is_directory = match found {
            Ok(found) => found.is_dir(),
            Err(error) => return failed(&error),
        };
        match (is_directory, asked.ends_with('/')) {
            (true, true) => self.directory(request, &path).await,
            (true, false) => moved(&path, request.uri().query()),
            (false, true) => not_found(),
            (false, false) => self.file(request.method(), request.headers(), &path).await,
        }
    }

    /// A directory's page, or the list of what is in it.
    async fn directory(&self, request: &Request<()>, path: &Path) -> Response<Body> {
        for name in ["index.html", "index.htm"] {
            let index = path.join(name);
            if self
                .beneath
                .metadata(index.clone())
                .await
                .is_ok_and(|found| found.is_file())
            {
                return self.file(request.method(), request.headers(), &index).await;
            }
        }
        if !self.listing {
            return not_found();
        }
        let (beneath, path) = (self.beneath.clone(), path.to_owned());
        match blocking(move || listing::page(&beneath, &path)).await {
            Ok(page) => html(page),
            Err(error) => failed(&error),
        }
    }

    /// One file, by tower-http: types, ranges and conditions are its work.
    async fn file(&self, method: &Method, headers: &HeaderMap, path: &Path) -> Response<Body> {
        let mut request = Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let Ok(uri) = absolute(path).parse() else {
            return not_found();
        };
        *request.uri_mut() = uri;
        match self.serve.clone().try_call(request).await {
            Ok(response) => {
                let mut response = response.map(BodyExt::boxed_unsync);
                // Ask again each time, by the entity tag: an upgraded noVNC is seen at once.
                let cache = HeaderValue::from_static("no-cache");
                response.headers_mut().insert(CACHE_CONTROL, cache);
                response
            }
            Err(error) => failed(&error),
        }
    }
}

/// A request's path as one beneath the directory: decoded, without empty and `.` parts. `None`
/// where a part is hidden, leads up, or is no UTF-8.
pub(super) fn relative(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    if decoded.contains('\0') {
        return None;
    }
    let mut relative = PathBuf::from(".");
    for part in decoded
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part.starts_with('.') {
            return None;
        }
        relative.push(part);
    }
    Some(relative)
}

/// The path of a URL, from one slash on: `//host` would lead a browser elsewhere.
pub(super) fn absolute(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
    format!("/{}", utf8_percent_encode(&path, IN_PATH))
}

fn moved(path: &Path, query: Option<&str>) -> Response<Body> {
    let mut to = absolute(path);
    if !to.ends_with('/') {
        to.push('/');
    }
    if let Some(query) = query {
        let _ = write!(to, "?{query}");
    }
    let mut response = text(StatusCode::MOVED_PERMANENTLY, "Moved Permanently");
    if let Ok(to) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "Not Found")
}

fn failed(error: &io::Error) -> Response<Body> {
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => text(StatusCode::FORBIDDEN, "Forbidden"),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        // A symlink that leads out (EXDEV) or in circles is as good as none.
        _ => not_found(),
    }
}

/// Opens files beneath one directory.
#[derive(Clone, Debug)]
pub(super) struct Beneath(Arc<OwnedFd>);

impl Beneath {
    /// Opens `path` with `flags`; blocks.
    pub(super) fn open_now(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        Ok(inside::open(self.0.as_fd(), path, flags)?.into())
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Backend for Beneath {
    type File = Opened;
    type Metadata = Metadata;
    type OpenFuture = Pending<Opened>;
    type MetadataFuture = Pending<Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let beneath = self.clone();
        Box::pin(blocking(move || {
            // A pipe without a writer must not hold the thread.
            let file = beneath.open_now(&path, OFlags::RDONLY | OFlags::NONBLOCK)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(Opened {
                file: file.into(),
                metadata,
            })
        }))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let beneath = self.clone();
        Box::pin(blocking(move || {
            beneath.open_now(&path, OFlags::PATH)?.metadata()
        }))
    }
}

/// A file with the metadata of the moment it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: tokio::fs::File,
    metadata: Metadata,
}

impl tower_http::services::fs::File for Opened {
    type Metadata = Metadata;
    type MetadataFuture<'f> = std::future::Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        std::future::ready(Ok(self.metadata.clone()))
    }
}

impl AsyncRead for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(cx, buf)
    }
}

impl AsyncSeek for Opened {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{absolute, relative};

    #[test]
    fn paths_lose_their_tricks() {
        for (asked, path) in [
            ("/", "."),
            ("/a/b.js", "./a/b.js"),
            ("//evil.example/a", "./evil.example/a"),
            ("/a//./b", "./a/b"),
            ("/a%20b/%C3%BC", "./a b/ü"),
            ("/a%2fb", "./a/b"),
            ("/%252e%252e/x", "./%2e%2e/x"),
            ("/a\\..\\b", "./a\\..\\b"),
        ] {
            assert_eq!(relative(asked), Some(PathBuf::from(path)), "{asked}");
        }
        for asked in [
            "/..",
            "/../x",
            "/a/../b",
            "/%2e%2e/x",
            "/.%2e/x",
            "/..%2fx",
            "/a/.git/config",
            "/%2ehtaccess",
            "/a%00b",
            "/%ff",
            "/...",
            "/a/%2e%2e%2f%2e%2e/etc/passwd",
        ] {
            assert_eq!(relative(asked), None, "{asked}");
        }
    }

    #[test]
    fn redirects_stay_here() {
        assert_eq!(absolute(Path::new("./evil.example")), "/evil.example");
        assert_eq!(absolute(Path::new("./a b/ü?#")), "/a%20b/%C3%BC%3F%23");
        assert_eq!(absolute(Path::new(".")), "/");
    }
}
