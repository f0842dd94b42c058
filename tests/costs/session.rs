//! Whole sessions, from accept to the record in the log, between a client and a target of ours.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use socket2::{SockRef, Socket};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use websockify::auth::Door;
use websockify::cli::{self, Asked};
use websockify::config::Config;
use websockify::drain::{Drainer, drain};
use websockify::http::{self, Site};
use websockify::listener::Accepted;
use websockify::log;
use websockify::proxies::Proxies;
use websockify::reception::Reception;
use websockify::relay::Settings;
use websockify::server::census::{Census, Seat};
use websockify::server::monitor::Monitor;
use websockify::server::turned_away::TurnedAway;
use websockify::session::{self, Context};
use websockify::stream::Stream;
use websockify::target::walls::Walls;
use websockify::token::Guide;

use super::frame;

/// What a browser sends.
const REQUEST: &[u8] = b"GET /websockify HTTP/1.1\r\n\
    Host: bridge.example:6080\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
    Upgrade: websocket\r\n\
    Origin: http://bridge.example:6080\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: binary\r\n\r\n";

/// Room in every socket, whatever this machine gives by itself.
const BUFFER: usize = 128 << 10;

/// Bytes in one round trip.
const MESSAGE: usize = 64;

const MIB: usize = 1 << 20;

/// A bridge without its listener, and the listener of its target.
struct Bridge {
    context: Arc<Context>,
    census: Arc<Census>,
    target: UnixListener,
    _drainer: Drainer,
    _folder: TempDir,
}

/// The two ends of a session.
struct Ends {
    client: UnixStream,
    target: UnixStream,
    session: JoinHandle<()>,
}

/// Requests for a WebSocket, up to the answer.
pub(super) async fn handshakes(times: usize) {
    let bridge = Bridge::new();
    let context = &bridge.context;
    for _ in 0..times {
        let (mut client, Accepted { mut socket, peer }, seat) = bridge.client();
        client.write_all(REQUEST).await.unwrap();
        let caller = context.proxies.caller(&mut socket, peer).await;
        let reception = Reception {
            proxies: &context.proxies,
            turned_away: &context.turned_away,
            door: &context.door,
            guide: &context.guide,
            monitor: &context.monitor,
            caller: caller.unwrap(),
            secure: false,
            certificate: None,
            seat: &seat,
        };
        let (stream, drain) = (Stream::Plain(socket), context.drain.clone());
        let upgraded = http::converse(stream, &context.site, reception, drain).await;
        read_answer(&mut client).await;
        drop(upgraded.unwrap());
    }
}

/// Sessions of one round trip.
pub(super) async fn connects(times: usize) {
    let bridge = Bridge::new();
    for _ in 0..times {
        let mut ends = bridge.session().await;
        ends.echo(&frame(&[7; MESSAGE])).await;
        ends.close().await;
    }
}

/// Round trips in one session.
pub(super) async fn echoes(times: usize) {
    let bridge = Bridge::new();
    let mut ends = bridge.session().await;
    let frame = frame(&[7; MESSAGE]);
    for _ in 0..times {
        ends.echo(&frame).await;
    }
    ends.close().await;
}

/// MiB from the target to the client, in one session.
pub(super) async fn down(times: usize) {
    let bridge = Bridge::new();
    let mut ends = bridge.session().await;
    // Headers of frames come on top.
    stream(&mut ends.target, &[7; MIB], &mut ends.client, times).await;
}

/// MiB from the client to the target in frames of 64 KiB, in one session.
pub(super) async fn up(times: usize) {
    let bridge = Bridge::new();
    let mut ends = bridge.session().await;
    let frames = frame(&[7; MIB / 16]).repeat(16);
    stream(&mut ends.client, &frames, &mut ends.target, times).await;
}

/// Says `piece` again and again at one end, until as many MiB were heard at the other.
async fn stream(from: &mut UnixStream, piece: &[u8], to: &mut UnixStream, times: usize) {
    let says = async {
        for _ in 0..times {
            from.write_all(piece).await.unwrap();
        }
    };
    let hears = async {
        let mut room = vec![0; BUFFER];
        let mut heard = 0;
        while heard < times * MIB {
            heard += to.read(&mut room).await.unwrap();
        }
    };
    tokio::join!(says, hears);
}

impl Bridge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target");
        let target = UnixListener::bind(&path).unwrap();
        let path = format!("--unix-target={}", path.display());
        let words = ["websockify", "127.0.0.1:0", &path].map(Into::into);
        let Ok(Asked::Serve(options)) = cli::parse(words) else {
            panic!("not a configuration");
        };
        log::start(log::Options::new(&options).unwrap()).unwrap();
        let config = Config::new(*options, Vec::new()).unwrap();
        let service = config.service;
        let census = Census::new(100, service.per_address, false);
        let monitor = Monitor::new(census.clone(), None);
        let (drainer, drain) = drain();
        let context = Context {
            proxies: Proxies::new(service.proxies),
            turned_away: TurnedAway::new(monitor.meters.clone()),
            tls: None,
            door: Door::load(config.auth).unwrap(),
            site: Site {
                subprotocols: service.subprotocols,
                ..Site::default()
            },
            guide: Guide::load(config.to.unwrap()).unwrap(),
            target_tls: None,
            program: None,
            announce: None,
            ssl_target: false,
            walls: Walls::default(),
            monitor,
            settings: Settings {
                heartbeat: service.heartbeat,
                traffic: service.traffic,
            },
            store: None,
            recorder: None,
            drain,
        };
        Self {
            context: Arc::new(context),
            census,
            target,
            _drainer: drainer,
            _folder: folder,
        }
    }

    /// A client that has just been accepted.
    fn client(&self) -> (UnixStream, Accepted, Seat) {
        let (client, theirs) = UnixStream::pair().unwrap();
        let theirs = Socket::from(OwnedFd::from(theirs.into_std().unwrap()));
        theirs.set_send_buffer_size(BUFFER).unwrap();
        bound_buffer(&client);
        let accepted = Accepted::new(theirs).unwrap();
        (client, accepted, self.census.enter(None).unwrap())
    }

    /// A session up to its target.
    async fn session(&self) -> Ends {
        let (mut client, accepted, seat) = self.client();
        let session = tokio::spawn(session::run(accepted, seat, self.context.clone()));
        client.write_all(REQUEST).await.unwrap();
        read_answer(&mut client).await;
        let (target, _) = self.target.accept().await.unwrap();
        bound_buffer(&target);
        Ends {
            client,
            target,
            session,
        }
    }
}

impl Ends {
    /// There and back.
    async fn echo(&mut self, frame: &[u8]) {
        let mut room = [0; 2 + MESSAGE];
        self.client.write_all(frame).await.unwrap();
        self.target.read_exact(&mut room[2..]).await.unwrap();
        self.target.write_all(&room[2..]).await.unwrap();
        self.client.read_exact(&mut room).await.unwrap();
    }

    /// As a browser leaves.
    async fn close(mut self) {
        let normal = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
        self.client.write_all(&normal).await.unwrap();
        assert_eq!(self.target.read(&mut [0]).await.unwrap(), 0);
        drop(self.target);
        let mut answer = [0; 4];
        self.client.read_exact(&mut answer).await.unwrap();
        drop(self.client);
        self.session.await.unwrap();
    }
}

async fn read_answer(client: &mut UnixStream) {
    let mut room = [0; 1024];
    let size = client.read(&mut room).await.unwrap();
    assert!(room.starts_with(b"HTTP/1.1 101 ") && room[..size].ends_with(b"\r\n\r\n"));
}

fn bound_buffer(socket: &UnixStream) {
    SockRef::from(socket).set_send_buffer_size(BUFFER).unwrap();
}
