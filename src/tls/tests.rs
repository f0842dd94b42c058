//! What the kernel would be given, held against what OpenSSL does next.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use nix::libc;
use nix::sys::socket::sockopt::TlsCryptoInfo;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use openssl::symm::{Cipher, decrypt_aead};
use openssl::x509::{X509, X509Name};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;
use tokio_openssl::SslStream;

use super::beneath::Beneath;
use super::keys::{self, Unfit};
use super::{opened, server, stream};
use crate::stream::{Socket, Stream};

/// Versions and suites, and whether the kernel does them.
const OFFERED: [(SslVersion, &str, bool); 8] = [
    (SslVersion::TLS1_3, "TLS_AES_128_GCM_SHA256", true),
    (SslVersion::TLS1_3, "TLS_AES_256_GCM_SHA384", true),
    (SslVersion::TLS1_3, "TLS_CHACHA20_POLY1305_SHA256", true),
    (SslVersion::TLS1_3, "TLS_AES_128_CCM_SHA256", false),
    (SslVersion::TLS1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", true),
    (SslVersion::TLS1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", true),
    (SslVersion::TLS1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", true),
    (SslVersion::TLS1_2, "ECDHE-ECDSA-AES128-SHA256", false),
];

#[tokio::test]
async fn keys_and_numbers_are_those_that_openssl_goes_on_with() {
    for (version, suite, fit) in OFFERED {
        let [mut client, mut server] = pair(version, suite).await;
        if !fit {
            assert!(matches!(of(&server), Err(Unfit::Kind)), "{suite}");
            continue;
        }
        // As a client is to a target: nothing was said yet. In TLS 1.3 the server's tickets wait.
        let keys = of(&client).unwrap();
        client.write_all(b"first").await.unwrap();
        let heard = decrypt(&keys.send, &take(&server));
        assert_eq!(heard, (23, b"first".to_vec()), "{suite}");
        if version == SslVersion::TLS1_3 {
            let (kind, ticket) = decrypt(&keys.receive, &take(&client));
            assert_eq!((kind, ticket[0]), (22, 4), "{suite}");
        } else {
            server.write_all(b"an answer").await.unwrap();
            let heard = decrypt(&keys.receive, &take(&client));
            assert_eq!(heard, (23, b"an answer".to_vec()), "{suite}");
        }

        // As a server is to its client, behind a request and its answer.
        let [mut client, mut server] = pair(version, suite).await;
        for (request, answer) in [("GET /", "200"), ("GET /ws", "101")] {
            for piece in [request, " HTTP/1.1\r\n"] {
                client.write_all(piece.as_bytes()).await.unwrap();
                assert_eq!(read(&mut server).await, piece.as_bytes());
            }
            server.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(read(&mut client).await, answer.as_bytes());
        }
        let keys = of(&server).unwrap();
        server.write_all(b"a frame").await.unwrap();
        client.write_all(b"another").await.unwrap();
        let sent = decrypt(&keys.send, &take(&client));
        assert_eq!(sent, (23, b"a frame".to_vec()), "{suite}");
        let received = decrypt(&keys.receive, &take(&server));
        assert_eq!(received, (23, b"another".to_vec()), "{suite}");
    }
}

/// New keys come in a record that looks as any other and is none of payload: so do tickets.
#[tokio::test]
async fn a_connection_that_is_not_at_rest_stays_with_openssl() {
    let [mut client, mut server] = pair(SslVersion::TLS1_3, "TLS_AES_128_GCM_SHA256").await;
    server.write_all(b"behind two tickets").await.unwrap();
    assert_eq!(read(&mut client).await, b"behind two tickets");
    assert!(matches!(of(&client), Err(Unfit::Unsettled)));

    // A part of what came is still OpenSSL's.
    client.write_all(b"a request").await.unwrap();
    let mut byte = [0];
    server.read_exact(&mut byte).await.unwrap();
    assert!(matches!(of(&server), Err(Unfit::Unsettled)));
    assert_eq!(read(&mut server).await, b" request");
    assert!(of(&server).is_ok());

    // It has read into a record that has not come yet.
    rustix::io::write(&beneath(&client).socket, &[23, 3, 3]).unwrap();
    let waiting = poll_fn(|cx| {
        let mut room = [0; 9];
        let read = Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut room));
        Poll::Ready(read.is_pending())
    });
    assert!(waiting.await);
    assert!(matches!(of(&server), Err(Unfit::Unsettled)));

    // There is no room for a record of ours.
    let [_client, mut server] = pair(SslVersion::TLS1_3, "TLS_AES_128_GCM_SHA256").await;
    poll_fn(|cx| {
        while Pin::new(&mut server)
            .poll_write(cx, &[0; 1 << 14])
            .is_ready()
        {}
        Poll::Ready(())
    })
    .await;
    assert!(matches!(of(&server), Err(Unfit::Unsettled)));
}

#[tokio::test]
async fn without_a_kernel_that_does_tls_it_stays_with_openssl() {
    let [_client, mut server] = pair(SslVersion::TLS1_2, "ECDHE-ECDSA-AES128-GCM-SHA256").await;
    // No kernel does it for a Unix socket.
    assert!(matches!(server.keys(), Err(Unfit::Socket)));
    let entered = server.enter_kernel(&of(&server).unwrap());
    assert!(matches!(entered, Err(Unfit::Refused(_))));
    assert!(matches!(server, Stream::Tls(_)));
}

fn beneath(stream: &Stream) -> &Beneath {
    match stream {
        Stream::Tls(stream) => stream.get_ref(),
        _ => panic!("not OpenSSL's"),
    }
}

fn of(stream: &Stream) -> Result<keys::Keys, Unfit> {
    match stream {
        Stream::Tls(stream) => keys::of(stream.ssl(), stream.get_ref().records.as_ref().unwrap()),
        _ => panic!("not OpenSSL's"),
    }
}

async fn read(stream: &mut Stream) -> Vec<u8> {
    let mut room = [0; 99];
    let size = stream.read(&mut room).await.unwrap();
    room[..size].to_vec()
}

/// The next record in the socket, past OpenSSL.
fn take(stream: &Stream) -> Vec<u8> {
    let socket = &beneath(stream).socket;
    let mut record = vec![0; 5];
    assert_eq!(rustix::io::read(socket, &mut record[..]).unwrap(), 5);
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    let size = rustix::io::read(socket, &mut record[5..]).unwrap();
    assert_eq!(size, length);
    record
}

/// What the kernel does with the next record, and what type it says that it was of.
fn decrypt(info: &TlsCryptoInfo, record: &[u8]) -> (u8, Vec<u8>) {
    let (cipher, key, nonce, number, info) = match info {
        TlsCryptoInfo::Aes128Gcm(it) => {
            let nonce = [&it.salt[..], &it.iv].concat();
            let cipher = Cipher::aes_128_gcm();
            (cipher, &it.key[..], nonce, it.rec_seq, it.info)
        }
        TlsCryptoInfo::Aes256Gcm(it) => {
            let nonce = [&it.salt[..], &it.iv].concat();
            let cipher = Cipher::aes_256_gcm();
            (cipher, &it.key[..], nonce, it.rec_seq, it.info)
        }
        TlsCryptoInfo::Chacha20Poly1305(it) => {
            let cipher = Cipher::chacha20_poly1305();
            (cipher, &it.key[..], it.iv.to_vec(), it.rec_seq, it.info)
        }
    };
    let is_new = info.version == libc::TLS_1_3_VERSION;
    let in_record = !is_new && cipher != Cipher::chacha20_poly1305();
    let (head, body) = record.split_at(5);
    let (explicit, body) = body.split_at(if in_record { 8 } else { 0 });
    let (text, tag) = body.split_at(body.len() - 16);
    // Of what is received, too: OpenSSL counts on at either end.
    assert!(explicit.is_empty() || explicit == &nonce[4..]);
    let nonce = if in_record {
        nonce
    } else {
        let number = [&[0; 4], &number[..]].concat();
        nonce
            .iter()
            .zip(number)
            .map(|(byte, with)| byte ^ with)
            .collect()
    };
    let aad = if is_new {
        head.to_vec()
    } else {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&number[..], &head[..3], &length].concat()
    };
    let mut text = decrypt_aead(cipher, key, Some(&nonce), &aad, text, tag).unwrap();
    let kind = if is_new { text.pop().unwrap() } else { head[0] };
    (kind, text)
}

/// Both ends of a connection whose handshake is over.
async fn pair(version: SslVersion, suite: &str) -> [Stream; 2] {
    let key = PKey::from_ec_key(
        EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
    )
    .unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "a").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    let (begin, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(9));
    certificate.set_not_before(&begin.unwrap()).unwrap();
    certificate.set_not_after(&end.unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();

    let context = |method| {
        let mut builder = SslContext::builder(method).unwrap();
        builder.set_min_proto_version(Some(version)).unwrap();
        builder.set_max_proto_version(Some(version)).unwrap();
        if version == SslVersion::TLS1_3 {
            builder.set_ciphersuites(suite).unwrap();
        } else {
            builder.set_cipher_list(suite).unwrap();
        }
        server::reading(&mut builder, true);
        builder
    };
    let client = context(SslMethod::tls_client()).build();
    let mut serving = context(SslMethod::tls_server());
    serving.set_certificate(&certificate.build()).unwrap();
    serving.set_private_key(&key).unwrap();
    let serving = serving.build();
    let end = |context: &SslContext, socket| {
        let ssl = Ssl::new(context).unwrap();
        stream(ssl, Socket::Unix(socket), true).unwrap()
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut client: Pin<Box<SslStream<Beneath>>> = end(&client, ours);
    let mut server = end(&serving, theirs);
    let (connected, accepted) = tokio::join!(client.as_mut().connect(), server.as_mut().accept());
    connected.unwrap();
    accepted.unwrap();
    [opened(client), opened(server)]
}
