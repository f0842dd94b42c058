//! Requests as hyper hands them over, and files.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::fs;
use std::path::{Component, Path};
use std::sync::Mutex;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

use super::files::{self, Files};
use super::{empty, reader};
use crate::config::Web;
use crate::fuzz::{Input, pieces};
use crate::sniff::{Speaks, sniff};
use crate::websocket::handshake;

thread_local!(static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() });

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| {
        let made = || Builder::new_current_thread().enable_time().build();
        let runtime = runtime.get_or_init(|| made().unwrap_or_else(|why| panic!("{why}")));
        runtime.block_on(future)
    })
}

/// Where to cut, then what a client sends. Its requests are the same in any pieces, and none that
/// asks for a WebSocket has a body that we read.
pub(crate) fn request_head(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let stream = input.rest();
    let whole = block_on(requests(stream, &[]));
    let cut = block_on(requests(stream, &cuts));
    assert_eq!(whole.first(), cut.first());
    // Of an unread body hyper passes over as much as is there, or else hangs up.
    let bare = whole.iter().take_while(|it| it.ends_with("None")).count();
    let same = (bare + 1).min(whole.len()).min(cut.len());
    assert_eq!(whole[..same], cut[..same]);
    assert!(cut.len() >= same && (bare < whole.len() || whole.len() == cut.len()));
    if !whole.is_empty() {
        let first = stream.first().copied().unwrap_or_default();
        assert_eq!(sniff(first), Speaks::Plain);
    }
}

/// What the service is shown of each request.
async fn requests(stream: &[u8], cuts: &[usize]) -> Vec<String> {
    let seen = Mutex::new(Vec::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let asked = handshake::is_asked_for(&request);
        let bare = request.body().is_end_stream();
        let (head, body) = request.into_parts();
        // As converse() does it, a body is not read.
        let body = (!bare).then(|| body.size_hint().exact());
        let text = format!("{asked} {head:?} {body:?}");
        seen.lock().unwrap_or_else(|it| it.into_inner()).push(text);
        Ok::<_, Infallible>(Response::new(empty()))
    });
    let (mut client, server) = duplex(1 << 20);
    let talk = async {
        for piece in pieces(stream, cuts) {
            let _ = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    let serve = async {
        let _ = reader()
            .serve_connection(TokioIo::new(server), service)
            .with_upgrades()
            .await;
    };
    tokio::join!(serve, talk);
    seen.into_inner().unwrap_or_else(|it| it.into_inner())
}

/// The path of a request.
pub(crate) fn file_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(path) = files::relative(&text) else {
        return;
    };
    let plain = |part| matches!(part, Component::CurDir | Component::Normal(_));
    assert!(path.components().all(plain), "{path:?}");
    let hidden = |part: Component<'_>| {
        let Component::Normal(name) = part else {
            return false;
        };
        name.to_string_lossy().starts_with('.')
    };
    assert!(!path.components().any(hidden), "{path:?}");
    let address = files::absolute(&path);
    assert!(
        address.starts_with('/') && !address.starts_with("//"),
        "{address}"
    );
    assert_eq!(files::relative(&address), Some(path), "{address}");
}

const SECRET: &[u8] = b"nobody is to read this";

/// A method, a path and headers, each in a line. Whatever is asked, a file's own bytes come, and
/// none from outside.
pub(crate) fn file_range(data: &[u8]) {
    thread_local!(static FILES: OnceCell<(Files, Vec<u8>)> = const { OnceCell::new() });
    let mut input = Input::new(data);
    let method = Method::from_bytes(input.line()).unwrap_or(Method::GET);
    let mut request = Request::builder().method(&method).uri(input.line());
    while !input.is_empty() {
        let mut parts = input.line().splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default().trim_ascii();
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    if ![Method::GET, Method::HEAD].contains(&method) {
        return;
    }
    FILES.with(|files| {
        let (files, content) = files.get_or_init(served);
        block_on(async {
            let response = files.respond(&request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await;
            let body = body.unwrap_or_else(|why| panic!("{why}")).to_bytes();
            assert!(!body.windows(SECRET.len()).any(|it| it == SECRET));
            if method == Method::HEAD {
                // hyper leaves the body of our own pages out.
                assert!(request.uri().path() != "/a.bin" || body.is_empty());
                return;
            }
            match head.status.as_u16() {
                200 if request.uri().path() == "/a.bin" => assert!(body == content[..]),
                // A folder's own page comes in ranges as well.
                206 if request.uri().path() != "/a.bin" => {}
                206 => {
                    let range = head
                        .headers
                        .get("content-range")
                        .and_then(|it| it.to_str().ok());
                    let numbers = range
                        .and_then(|it| it.strip_prefix("bytes ")?.split_once('/'))
                        .and_then(|(range, size)| Some((range.split_once('-')?, size)));
                    let Some(((from, last), size)) = numbers else {
                        panic!("{head:?}");
                    };
                    let number = |text: &str| {
                        text.parse::<usize>()
                            .unwrap_or_else(|_| panic!("{range:?}"))
                    };
                    assert!(body == content[number(from)..=number(last)]);
                    assert_eq!(number(size), content.len());
                }
                200 | 301 | 304 | 404 | 412 | 416 => {}
                other => panic!("{other} {head:?}"),
            }
        });
    });
}

fn served() -> (Files, Vec<u8>) {
    // Beside it is what nobody is to read, and in it a link that leads there.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/files/root");
    let content = fs::read(root.join("a.bin"));
    let listing = true;
    let files = Files::open(&Web { root, listing });
    (
        files.unwrap_or_else(|why| panic!("{why}")),
        content.unwrap_or_else(|why| panic!("{why}")),
    )
}
