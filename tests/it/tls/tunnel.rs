//! The harness's clients and targets know nothing of TLS: each gets one end of a socket pair, and
//! here is who carries what it says through TLS, both ways at once.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{OnceLock, mpsc};
use std::thread;

use openssl::pkey::PKey;
use openssl::ssl::{
    NameType, Ssl, SslContext, SslContextBuilder, SslMethod, SslRef, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use tokio::io::copy_bidirectional;
use tokio::runtime::Runtime;
use tokio_openssl::SslStream;
use websockify::stream::Socket;
use websockify::tls::beneath::Beneath;

use super::{Authority, Pair};
use crate::process::DEADLINE;
use crate::wire::{Wire, Ws};

/// A TLS client in the making.
pub(crate) struct Dialer {
    builder: SslContextBuilder,
    name: Option<String>,
}

/// A client inside TLS.
pub(crate) struct Dialed {
    pub(crate) wire: Wire,
    /// What the bridge sent, its own certificate first.
    pub(crate) chain: Vec<X509>,
    ended: mpsc::Receiver<io::Result<()>>,
}

impl Dialer {
    /// Trusts `ca` and nobody else.
    pub(crate) fn new(ca: &Authority) -> Self {
        let mut builder = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
        builder.set_ca_file(ca.certificate()).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
        Self {
            builder,
            name: None,
        }
    }

    /// Asks for a server of this name.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Shows this certificate where it is asked for one.
    pub(crate) fn certificate(mut self, pair: &Pair) -> Self {
        install(&mut self.builder, pair);
        self
    }

    /// Speaks this version alone.
    pub(crate) fn version(mut self, version: SslVersion) -> Self {
        self.builder.set_min_proto_version(Some(version)).unwrap();
        self.builder.set_max_proto_version(Some(version)).unwrap();
        self
    }

    /// Connects and does the handshake.
    pub(crate) fn dial(self, addr: SocketAddr) -> io::Result<Dialed> {
        let mut ssl = Ssl::new(&self.builder.build())?;
        if let Some(name) = &self.name {
            ssl.set_hostname(name)?;
        }
        let socket = TcpStream::connect(addr)?;
        let mut stream = stream(ssl, socket)?;
        runtime()
            .block_on(stream.as_mut().connect())
            .map_err(io::Error::other)?;
        let chain = chain(stream.ssl());
        let (end, ended) = tunnel(stream)?;
        Ok(Dialed {
            wire: Wire::over(end),
            chain,
            ended,
        })
    }
}

impl Dialed {
    pub(crate) fn ws(self) -> Ws {
        Ws::upgrade(self.wire)
    }

    /// Reads to the end; an error unless the bridge said goodbye as TLS demands (RFC 8446, 6.1).
    pub(crate) fn rest(mut self) -> io::Result<Vec<u8>> {
        let rest = self.wire.rest();
        drop(self.wire);
        self.ended.recv_timeout(DEADLINE).unwrap()?;
        Ok(rest)
    }
}

/// A WebSocket inside TLS, through a bridge that `ca` vouches for.
pub(crate) fn open(addr: SocketAddr, ca: &Authority) -> Ws {
    Dialer::new(ca).dial(addr).unwrap().ws()
}

/// What a target saw of the bridge's handshake, or why there was none.
pub(crate) type Greeting = Result<(Option<String>, Option<X509>), String>;

/// A target inside TLS that shows `pair` and, with `asks`, demands a certificate from whoever
/// connects, signed by that authority.
pub(crate) fn serve(
    pair: &Pair,
    asks: Option<&Authority>,
    talk: impl Fn(TcpStream) + Clone + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<Greeting>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let context = server(pair, asks);
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (context, talk, tell) = (context.clone(), talk.clone(), tell.clone());
            let socket = socket.unwrap();
            thread::spawn(move || {
                let mut stream = stream(Ssl::new(&context).unwrap(), socket).unwrap();
                let shaken = runtime().block_on(stream.as_mut().accept());
                let ssl = stream.ssl();
                let name = ssl.servername(NameType::HOST_NAME).map(str::to_owned);
                let greeting = (name, ssl.peer_certificate());
                let _ = tell.send(shaken.map(|()| greeting).map_err(|error| error.to_string()));
                if let Ok((end, _)) = tunnel(stream) {
                    talk(end);
                }
            });
        }
    });
    (addr, heard)
}

/// A server's side.
pub(crate) fn server(pair: &Pair, asks: Option<&Authority>) -> SslContext {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    install(&mut builder, pair);
    if let Some(ca) = asks {
        builder.set_ca_file(ca.certificate()).unwrap();
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    builder.build()
}

fn install(builder: &mut SslContextBuilder, pair: &Pair) {
    builder
        .set_certificate_chain_file(&pair.certificate)
        .unwrap();
    let key = PKey::private_key_from_pem(&fs::read(&pair.key).unwrap()).unwrap();
    builder.set_private_key(&key).unwrap();
}

fn chain(ssl: &SslRef) -> Vec<X509> {
    let chain = ssl.peer_cert_chain().into_iter().flatten();
    chain.map(ToOwned::to_owned).collect()
}

/// Over the same socket as the bridge's own, which notices an end without a goodbye.
type Stream = Pin<Box<SslStream<Beneath>>>;

fn stream(ssl: Ssl, socket: TcpStream) -> io::Result<Stream> {
    let _inside = runtime().enter();
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpStream::from_std(socket)?;
    let socket = Beneath::new(Socket::Tcp(socket));
    Ok(Box::pin(SslStream::new(ssl, socket)?))
}

/// The near end of `stream`, and how the far one ended.
fn tunnel(mut stream: Stream) -> io::Result<(TcpStream, mpsc::Receiver<io::Result<()>>)> {
    let _inside = runtime().enter();
    let (near, far) = UnixStream::pair()?;
    far.set_nonblocking(true)?;
    let mut far = tokio::net::UnixStream::from_std(far)?;
    let (tell, ended) = mpsc::channel();
    runtime().spawn(async move {
        let end = copy_bidirectional(&mut stream, &mut far).await;
        let end = match stream.get_ref().cut_off {
            true => Err(io::Error::other("no close_notify")),
            false => end.map(|_| ()),
        };
        let _ = tell.send(end);
    });
    // A TcpStream reads, writes and shuts down any stream socket.
    let near = TcpStream::from(OwnedFd::from(near));
    near.set_read_timeout(Some(DEADLINE))?;
    Ok((near, ended))
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}
