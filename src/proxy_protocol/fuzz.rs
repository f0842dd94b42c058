//! Headers in any pieces, and read again once they are written.

use super::{ProxyVersion, Says, read, write};

/// Bytes of a connection.
pub(crate) fn proxy_header(data: &[u8]) {
    let data = &data[..data.len().min(1024)];
    let whole = read(data);
    for end in 0..data.len() {
        match (read(&data[..end]), &whole) {
            // More is to come.
            (Ok(None), Ok(Some(header))) => assert!(end < header.length),
            (Ok(None), _) => {}
            // What is said stays said.
            (said, whole) => assert_eq!(said, *whole),
        }
    }
    let Ok(Some(header)) = whole else {
        return;
    };
    assert!(header.length <= data.len());
    if let Says::Client { from, to, .. } = header.says {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let written = write(version, Some(from), Some(to));
            let Ok(Some(again)) = read(&written) else {
                panic!("{}", written.escape_ascii());
            };
            assert_eq!(again.length, written.len());
            let Says::Client {
                from: one,
                to: other,
                tls,
            } = again.says
            else {
                panic!("{again:?}");
            };
            assert!(!tls);
            assert_eq!(
                [one, other],
                [from, to].map(|it| (it.ip(), it.port()).into())
            );
        }
    }
}
