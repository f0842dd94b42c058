//! `--web`: files on the same port, and answers without it.

use std::fs;
use std::os::unix;

use tempfile::TempDir;

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Response, Wire, Ws};

/// A folder to serve, with something beside it that must not be served.
fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web");
    fs::create_dir_all(web.join("site")).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(web.join(".hidden"), "hidden").unwrap();
    fs::write(web.join("page.html"), "0123456789").unwrap();
    fs::write(web.join("script.js"), "").unwrap();
    fs::write(web.join("code.wasm"), "").unwrap();
    fs::write(web.join("a b&c.txt"), "odd name").unwrap();
    fs::write(web.join("site/index.html"), "index").unwrap();
    unix::fs::symlink("page.html", web.join("inside")).unwrap();
    unix::fs::symlink("../secret.txt", web.join("outside")).unwrap();
    folder
}

/// A bridge that serves `site`, with more options.
fn serve(site: &TempDir, options: &[&str]) -> Bridge {
    let web = format!("--web={}", site.path().join("web").display());
    Bridge::start(&[&["127.0.0.1:{port}", "127.0.0.1:1", web.as_str()], options].concat())
}

/// Head and body of the answer to one request; `more` is further header lines.
fn request(bridge: &Bridge, method: &str, path: &str, more: &str) -> (Response, String) {
    let mut wire = Wire::connect(bridge.addr());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n{more}");
    let response = wire.request(&head);
    (response, String::from_utf8(wire.rest()).unwrap())
}

fn get(bridge: &Bridge, path: &str) -> (u16, String) {
    let (response, body) = request(bridge, "GET", path, "");
    (response.status, body)
}

/// Without --web, a plain request is told that this is no place for it.
#[test]
fn without_web() {
    let bridge = Bridge::to("127.0.0.1:1");
    for method in ["GET", "HEAD"] {
        let (response, _) = request(&bridge, method, "/", "");
        assert_eq!(response.status, 405, "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let (response, _) = request(&bridge, method, "/", "");
        assert_eq!(response.status, differs("method", 501, 405), "{method}");
    }
}

#[test]
fn files() {
    let site = site();
    let bridge = serve(&site, &[]);
    assert_eq!(get(&bridge, "/page.html"), (200, "0123456789".into()));
    assert_eq!(get(&bridge, "/page.html?query"), (200, "0123456789".into()));
    assert_eq!(get(&bridge, "/a%20b&c.txt"), (200, "odd name".into()));
    assert_eq!(get(&bridge, "/site/"), (200, "index".into()));
    assert_eq!(get(&bridge, "/inside"), (200, "0123456789".into()));
    assert_eq!(get(&bridge, "/missing").0, 404);
    assert_eq!(get(&bridge, "/page.html/").0, 404);
    for (path, expected) in [
        ("/page.html", "text/html"),
        ("/script.js", "text/javascript"),
        ("/code.wasm", "application/wasm"),
    ] {
        let (response, _) = request(&bridge, "GET", path, "");
        let kind = response.header("content-type").unwrap();
        assert!(kind.starts_with(expected), "{path} is {kind}");
    }
}

/// A folder without an index is listed, unless told otherwise.
#[test]
fn listing() {
    let site = site();
    let bridge = serve(&site, &[]);
    let (status, page) = get(&bridge, "/");
    assert_eq!(status, 200);
    for name in ["page.html", "script.js", "site/", "a b&amp;c.txt"] {
        assert!(page.contains(&format!(">{name}<")), "no {name} in {page}");
    }
    assert_eq!(page.contains(">.hidden<"), differs("dotfiles", true, false));
    let links = page
        .split("href=\"")
        .skip(1)
        .map(|link| link.split('"').next().unwrap());
    for link in links.filter(|link| !link.contains("outside")) {
        assert_eq!(get(&bridge, &format!("/{link}")).0, 200, "{link}");
    }

    let bridge = serve(&site, &["--file-only"]);
    assert_eq!(get(&bridge, "/").0, 404);
    assert_eq!(get(&bridge, "/site/"), (200, "index".into()));
}

/// A folder's name without its slash leads to the one with it, on this server.
#[test]
fn redirect() {
    let site = site();
    let bridge = serve(&site, &[]);
    for (path, location) in [("/site", "/site/"), ("/site?a=b", "/site/?a=b")] {
        let (response, _) = request(&bridge, "GET", path, "");
        assert_eq!(response.status, 301, "{path}");
        assert_eq!(response.header("location"), Some(location));
    }
    for path in [
        "//site",
        "/.",
        "/%2e",
        "//evil.example/%2e%2e",
        "//evil.example/..",
        "/%5cevil.example/..",
    ] {
        let (response, _) = request(&bridge, "GET", path, "");
        let location = response.header("location").unwrap_or("/");
        assert!(
            location.starts_with('/') && !location.starts_with("//"),
            "{path}: {location}"
        );
    }
}

/// A client that has no more to say is answered all the same, as `nc -N` expects.
#[test]
fn half_closed() {
    let site = site();
    let content = "x".repeat(3_000_000);
    fs::write(site.path().join("web/large.txt"), &content).unwrap();
    let bridge = serve(&site, &[]);
    let mut wire = Wire::connect(bridge.addr());
    wire.send("GET /large.txt HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n");
    wire.finish();
    assert_eq!(wire.response().status, 200);
    assert!(wire.rest() == content.as_bytes());
}

/// Nothing above the folder is served, however it is spelled.
#[test]
fn traversal() {
    let site = site();
    let bridge = serve(&site, &[]);
    for path in [
        "/../secret.txt",
        "/site/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/site/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "../secret.txt",
    ] {
        let (status, body) = get(&bridge, path);
        assert!(
            status >= 400 && !body.contains("secret\n"),
            "{path}: {status} {body}"
        );
        assert_ne!(body, "secret", "{path}");
    }
    let absolute = format!("/{}", site.path().join("secret.txt").display());
    assert_ne!(get(&bridge, &absolute).1, "secret");
}

#[test]
fn hidden_and_linked() {
    let site = site();
    let bridge = serve(&site, &[]);
    assert_eq!(get(&bridge, "/.hidden").0, differs("dotfiles", 200, 404));
    assert_eq!(get(&bridge, "/outside").0, differs("symlinks", 200, 404));
    unix::fs::symlink(
        site.path().join("web/page.html"),
        site.path().join("web/absolute"),
    )
    .unwrap();
    assert_eq!(get(&bridge, "/absolute").0, differs("symlinks", 200, 404));
}

/// HEAD is GET without the body.
#[test]
fn head() {
    let site = site();
    let (response, body) = request(&serve(&site, &[]), "HEAD", "/page.html", "");
    assert_eq!((response.status, body.as_str()), (200, ""));
    assert_eq!(response.header("content-length"), Some("10"));
}

/// A file that the client has already is not sent again.
#[test]
fn not_modified() {
    let site = site();
    let bridge = serve(&site, &[]);
    let (response, _) = request(&bridge, "GET", "/page.html", "");
    let modified = response.header("last-modified").unwrap();
    let condition = format!("If-Modified-Since: {modified}\r\n");
    let (response, body) = request(&bridge, "GET", "/page.html", &condition);
    assert_eq!((response.status, body.as_str()), (304, ""));
}

/// A part of a file, for those who ask for one.
#[test]
fn range() {
    let site = site();
    let bridge = serve(&site, &[]);
    let (response, body) = request(&bridge, "GET", "/page.html", "Range: bytes=2-4\r\n");
    let expected = differs("range", (200, "0123456789"), (206, "234"));
    assert_eq!((response.status, body.as_str()), expected);
}

/// Files and sessions share the port, and a connection may carry several requests.
#[test]
fn one_port() {
    let site = site();
    let web = format!("--web={}", site.path().join("web").display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &backend::echo().to_string(), &web]);
    let mut wire = Wire::connect(bridge.addr());
    for _ in 0..2 {
        let response = wire.request("GET /page.html HTTP/1.1\r\nHost: bridge\r\n");
        assert_eq!(response.status, 200);
        assert_eq!(wire.take(10).unwrap(), b"0123456789");
    }
    Ws::upgrade(wire).expect_echo("hello");
    Ws::open(bridge.addr()).expect_echo("hello");
}
