//! Every bound on what a peer controls, each with its reason. Sizes are bytes.

use std::time::Duration;

/// One read from a socket. Large enough that a bulk transfer pays for few system calls. The buffer
/// is one for each worker thread; a session holds only what the other side did not take of its last
/// read, so at most this much each way, and nothing while it idles.
pub const CHUNK: usize = 256 * 1024;

/// Payload of one frame to a client that takes text: websockify's own number. A quarter of a chunk,
/// so that the text fits beside it; and old clients hold a frame whole.
pub const TEXT_FRAME: usize = 64 * 1024;

/// What one session may read before it lets others on its thread run, whatever it makes of it: a
/// flood of empty frames is work, too. A few reads, so that a bulk transfer does not add more than
/// about a millisecond to a neighbour's round trip.
pub const FAIR_SHARE: usize = 4 * CHUNK;

/// Tasks that a thread runs before it looks for new events. tokio's own 61 is for short tasks: of
/// ours each may run for a whole [`FAIR_SHARE`].
pub const EVENT_INTERVAL: u32 = 4;

/// Pongs that may wait for a client that does not read. Beyond it we stop reading that client
/// until it does, so a flood of pings costs the flooder and nobody else.
pub const PONG_BACKLOG: usize = 4 * 1024;

/// Time for a whole request head, and for the silence between two requests on one connection.
/// Slow links need a second or two; a slow loris wants minutes.
pub const REQUEST_HEAD_TIME: Duration = Duration::from_secs(10);

/// Time for a whole TLS handshake: three round trips on a slow link, or a key in slow hardware.
pub const TLS_HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// A certificate that ends within so many days is warned about at start and at each reload;
/// renewal by certbot comes at 30.
pub const CERTIFICATE_DAYS: u32 = 14;

/// How often the files of certificates are looked at for a change that no signal told of. A look
/// is a few stat(2) calls, and follows links and renames wherever the renewal put the new files.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// How long files that have changed must stay as they are before they are read: a renewal writes
/// several, within moments.
pub const RELOAD_SETTLED: Duration = Duration::from_secs(1);

/// Size of a whole request head, above which it is refused as soon as hyper looks: what one more
/// read brought may pass. Browsers with many cookies stay below 16 KiB.
pub const REQUEST_HEAD_SIZE: usize = 32 * 1024;

/// Header fields of one request: websockify's own number.
pub const REQUEST_HEADERS: usize = 100;

/// How long a client may leave an HTTP answer unread before the kernel drops the connection
/// (TCP_USER_TIMEOUT, tcp(7)). Lifted when the connection becomes a session, whose client may
/// pause as long as it likes. Unix sockets have no such thing: who may connect to one may keep an
/// answer waiting.
pub const ANSWER_UNREAD_TIME: Duration = Duration::from_secs(60);

/// Time to reach the target, over all of its addresses and its name's resolution.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Head start of one address of the target before the next is tried beside it (RFC 8305, 5).
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);

/// Pause before a Unix socket is tried again whose listener has no room for one more, for
/// [`CONNECT_TIME`] in all. The kernel does not tell when there is: a try is one system call, and
/// who waits does not notice so short a time.
pub const CONNECT_RETRY: Duration = Duration::from_millis(20);

/// Addresses of one name that are tried: a resolver's answer is not ours to bound otherwise.
pub const CONNECT_ADDRESSES: usize = 16;

/// Names that are looked up at once, each once for all who want it. Each holds a thread until the
/// resolver gives up, which may be long after its clients did; the threads are the same that read
/// files. A resolver that answers does thousands in a second, so nobody waits for a turn.
pub const LOOKUPS: usize = 32;

/// Time for a client that broke the protocol, or that we leave, to answer our close frame
/// (RFC 6455, 7.1.1), counted from the last bytes it took. A second would do on most links.
pub const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The same after the target's end of file: our close frame stands behind the target's last
/// bytes, and a slow client may have megabytes of them to read first, in the kernel's buffers.
pub const FAREWELL_TIME: Duration = Duration::from_secs(60);

/// How soon a client is looked at again whose answer to a ping may wait unread: the runtime has it by then.
pub const LATE_LOOK: Duration = Duration::from_millis(10);

/// What a target may still say after its client said goodbye and it took the last bytes. Long enough for the rest of an
/// answer, shorter than the time a browser waits for its close frame.
pub const LINGER_TIME: Duration = Duration::from_secs(5);

/// How much of that is read for nobody: more than the sockets in between hold. A target that says
/// more does not look for its client's end, and would cost a processor until the time is up.
pub const UNHEARD: usize = 16 << 20;

/// Time from SIGTERM to our exit; systemd's own default patience is 90 s.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The same before a successor takes our place. Who comes meanwhile waits for it, so it is no longer
/// than an answer to our close frame may take.
pub const PART_TIME: Duration = CLOSE_TIME;

/// How long after a wrapped program was ended by a signal our own may come that says the same.
pub const TOLD_TOO: Duration = Duration::from_millis(100);

/// Idle time, probe interval and number of probes of TCP keepalive: a peer whose link died in
/// silence is noticed after two minutes.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 4;

/// Connections that may wait in the kernel; it trims the number to net.core.somaxconn.
pub const BACKLOG: i32 = 4096;

/// Pause after accept(2) failed for want of a resource: others may free one meanwhile, and a loop
/// without it would burn the processor and fill the journal.
pub const ACCEPT_COOLDOWN: Duration = Duration::from_millis(100);

/// A repeated message is logged at most this often, with the number that was left out.
pub const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Records that wait for a log server (--syslog), about 300 bytes each: the busiest minute of most
/// servers. Beyond it they are counted and left out, because sessions do not wait for a log.
pub const LOG_QUEUE: usize = 1024;

/// The same for the journal or standard error's other end: all of [`CONNECTIONS`] may end at once, and
/// each leaves a record, of a kilobyte with its fields.
pub const LOG_CROWD: usize = 12 * 1024;

/// How often a log server or a journal that is gone is tried again: one that is started anew misses a
/// second.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// How long the end of the program waits for its last records to be sent.
pub const LOG_FLUSH_TIME: Duration = Duration::from_secs(1);

/// How long after connections have come or gone memory is given back to the system, and so how often
/// at most: who comes at once again finds it warm, and an administrator does not wait for it.
pub const MEMORY_REST: Duration = Duration::from_secs(5);

/// How many connections have to be gone for that. They are some hundred KiB, and their coming and
/// going took longer than to look through a heap of ten thousand.
pub const MEMORY_SESSIONS: u64 = 64;

/// Default of --max-connections.
pub const CONNECTIONS: u32 = 10_000;

/// Default of --max-connections-per-address: more than one person's tabs or one office behind
/// NAT needs, and a fraction of [`CONNECTIONS`].
pub const CONNECTIONS_PER_ADDRESS: u32 = 256;

/// Clients over the limit that are told so at once; beyond it they are just closed, because an
/// answer costs a descriptor until it is read.
pub const REFUSALS_AT_ONCE: u32 = 64;

/// How long a refused client may take to read its answer, or the alert that ended its handshake.
pub const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// The state of one session, which the next process goes on with: what was read and not taken, each
/// way, and what came with the request, each at most about a [`CHUNK`]; the rest is small. No memory
/// is taken before there is something to hold.
pub const SESSION_STATE: usize = 4 * CHUNK;

/// Processes that may end in the moment that they take a session over, before the next one closes it:
/// what ends them may be the session. More than one, for it may also be another that came with it, and
/// one that is killed again and again on a busy machine may not come so far as to say that it lives.
pub const STATE_ATTEMPTS: usize = 9;

/// How long nothing may have moved before the state of a session is written down. To do that with
/// each byte that moves would be four more system calls for a small message and its answer; and a
/// session that is killed in the middle of something cannot be resumed anyway. Longer than a busy
/// machine or network lets the next message wait, and than the kernel's own ticks, because timers
/// between those cost more.
pub const STATE_SETTLED: Duration = Duration::from_millis(20);

/// How long a process has gone on with a session before it says so. Processes that are killed within
/// that count as ended by the session ([`STATE_ATTEMPTS`]), so it is only what shows that they live.
pub const STATE_PROVEN: Duration = Duration::from_millis(2);

/// How long a session has lived before the service manager is given it. Who asks one thing and leaves
/// is gone by then, and to keep it costs as much as all the rest of such a session.
pub const SESSION_YOUNG: Duration = Duration::from_millis(100);

/// [`STATE_SETTLED`] is for each of these in what was written last. A client that does not read leaves
/// half a megabyte in its session's state, and a few small frames of its own a second are no reason
/// to copy all of that each time.
pub const STATE_PIECE: usize = 160 * 1024;

/// Descriptors kept back for listeners, files, name look-ups and the log; [`REFUSALS_AT_ONCE`] are
/// kept back beside them.
pub const RESERVED_DESCRIPTORS: u64 = 64;

/// Records without payload that are read in a row where the kernel does TLS, before other sessions
/// have their turn: a server sends two tickets, and nobody more than a few.
pub const SILENT_RECORDS: usize = 8;

/// Names in a directory listing: a page for people, not an index of an archive.
pub const LISTING_ENTRIES: usize = 10_000;

/// Longest text from a peer in one log record, after escaping.
pub const LOGGED_TEXT: usize = 256;

/// Time that is asked of the manager again and again while sessions are being closed: a process that
/// is stuck meanwhile is killed after it, and one that works is not.
pub const STOP_EXTENSION: Duration = Duration::from_secs(5);

/// The status line that systemctl shows is renewed at most this often.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// How soon a manager is told again that we live which was too busy to hear it: what it reads anew
/// takes it a second or two.
pub const PULSE_RETRY: Duration = Duration::from_secs(1);

/// Longest user name and longest password, each, that is looked at: far more than anybody types,
/// and SHA-crypt's cost grows with the square of it.
pub const CREDENTIAL: usize = 1024;

/// Password hashes that are computed at once: half of the processors, so that the other half goes
/// on relaying whatever strangers send.
#[must_use]
pub fn hashes_at_once() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (processors / 2).max(1)
}

/// Threads for what blocks, beside the runtime's own: as many again as may hang in [`LOOKUPS`], for
/// files, and those that hash. None of them ends, see [`THREAD_REST`].
#[must_use]
pub fn blocking_threads() -> usize {
    2 * LOOKUPS + hashes_at_once()
}

/// How long such a thread waits for work: one is always there. Where there is none, and the system has
/// none to give (TasksMax=, memory), tokio panics; where there is one, work waits for it.
pub const THREAD_REST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Requests that may wait for their turn to be hashed; the next is answered 503. At a tenth of a
/// second each, the last of them waits about as long as a user does.
pub const HASHES_WAITING: usize = 64;

/// The costliest hashes that a password file may ask for: about a second each, or 256 MiB. What
/// is beyond them would make every log-in an attack on ourselves.
pub const BCRYPT_COST: u32 = 14;
/// See [`BCRYPT_COST`].
pub const SHA_CRYPT_ROUNDS: u32 = 2_000_000;
/// See [`BCRYPT_COST`]; in KiB.
pub const ARGON2_MEMORY: u32 = 256 * 1024;
/// See [`BCRYPT_COST`].
pub const ARGON2_PASSES: u32 = 16;

/// How long credentials that were right are not hashed again: a page with sixty files costs one
/// hash. The next password is asked for by the file's change, not by this time.
pub const VERIFIED_TIME: Duration = Duration::from_secs(60);

/// Credentials that are remembered so: 64 bytes each, and only right ones.
pub const VERIFIED_KNOWN: usize = 1024;

/// How long after the last page with credentials a browser that sends none with WebSockets
/// (Safari) may still open one.
pub const PASS_TIME: Duration = Duration::from_secs(5 * 60);

/// Wrong passwords from one network before its answers are delayed: a person's typing errors.
pub const FAILURES_FREE: u32 = 5;

/// The first delay; it doubles with each further failure.
pub const FAILURE_DELAY: Duration = Duration::from_millis(250);

/// The longest delay: a person waits it out, and it is shorter than [`DRAIN_TIME`].
pub const FAILURE_DELAY_MOST: Duration = Duration::from_secs(5);

/// Requests of one network that may wait for such a delay; the next is answered 429. As many as a
/// browser's connections to one host, and few enough that many at once guess no faster.
pub const GUESSES_AT_ONCE: u32 = 8;

/// User names whose failures are told apart in one network, so that a success forgives its own.
pub const FAILURE_NAMES: usize = 8;

/// A network without a further failure is forgiven after this time.
pub const FAILURES_FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// When watched files are read again that could not be read: for want of descriptors or memory, of
/// whose return no change tells.
pub const WATCH_RETRY: Duration = Duration::from_secs(5);

/// How long watched files must stay as they are before they are read: an administrator's `mv a b; mv c d`
/// is one change.
pub const WATCH_SETTLED: Duration = Duration::from_millis(50);

/// How long they may go on changing before they are read all the same.
pub const WATCH_MOST: Duration = Duration::from_secs(1);

/// Bad lines of one reading that are told by number; the others are counted. A file of another kind
/// would fill the log.
pub const LINE_FAULTS: usize = 20;

/// Time for a whole conversation on the control socket: a list of ten thousand sessions takes
/// a fraction of a second.
pub const CONTROL_TIME: Duration = Duration::from_secs(10);

/// Conversations on the control socket at once: its users are root and ourselves, and one that
/// stalls must not take our descriptors.
pub const CONTROL_CONNECTIONS: usize = 8;

/// Networks whose failures are counted; beyond it the one that failed longest ago is forgiven.
pub const FAILURES_KNOWN: usize = 4096;

/// Size of an instance's file: more than all options at their longest, and nothing that would hold
/// up the boot, during which it is read.
pub const INSTANCE_FILE: u64 = 64 * 1024;

/// Instances that the generator looks at.
pub const INSTANCES: usize = 4096;

/// Size of a credential; systemd's own bound.
pub const CREDENTIAL_FILE: u64 = 1024 * 1024;

/// How much of a program's file is read to see whether a library can be preloaded: its headers are
/// in the first pages.
pub const PROGRAM_HEADERS: u64 = 64 * 1024;

/// How long a wrapped program may take to listen before that is told; READY=1 waits as long. A
/// desktop takes a few seconds.
pub const PROGRAM_START_TIME: Duration = Duration::from_secs(10);

/// How long READY=1 waits for one that is started again and again: longer than for one that runs and
/// does not listen, so that this is known by then and said with READY=1.
pub const PROGRAM_SETTLE_TIME: Duration = Duration::from_secs(11);

/// Ports that are tried for a wrapped program, where each must be free for IPv4 and IPv6.
pub const PORT_TRIES: u32 = 16;

/// First and longest pause between two looks whether a wrapped program listens. A look is a few
/// system calls.
pub const PROGRAM_LOOK: Duration = Duration::from_millis(10);
/// See [`PROGRAM_LOOK`].
pub const PROGRAM_LOOK_MOST: Duration = Duration::from_millis(500);

/// Pause before a client that came too early is tried again, for [`CONNECT_TIME`] in all.
pub const PROGRAM_RETRY: Duration = Duration::from_millis(100);

/// How long a wrapped program may take to end on SIGTERM before it is killed. With [`DRAIN_TIME`],
/// which comes before it, still far from systemd's 90 s.
pub const PROGRAM_GRACE: Duration = Duration::from_secs(5);

/// Pause between two rounds of SIGKILL, for who forked in between, and how many there are: beyond
/// them something hangs in the kernel.
pub const PROGRAM_KILL_AGAIN: Duration = Duration::from_millis(50);
/// See [`PROGRAM_KILL_AGAIN`].
pub const PROGRAM_KILLS: u32 = 100;

/// Longest line of a wrapped program in our log, after escaping.
pub const PROGRAM_LINE: usize = 1024;

/// A wrapped program that ran as long as this ran well: its next start does not wait.
pub const RESPAWN_WELL: Duration = Duration::from_secs(10);

/// Starts in a row that do not wait though the runs before them were short: websockify's number.
pub const RESPAWN_AT_ONCE: u32 = 3;

/// The first pause after them; it doubles each time.
pub const RESPAWN_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause: shorter than [`CONNECT_TIME`], so that a client who comes in it is served.
pub const RESPAWN_PAUSE_MOST: Duration = Duration::from_secs(8);

/// Pairs in one element of a `Forwarded` header: the standard has four, and each is compared with
/// those before it.
pub const FORWARDED_PAIRS: usize = 16;

/// Size of a whole PROXY header (version 2), with all that a proxy may add about TLS: a client's
/// certificate is the largest. The standard's own are below 536 bytes.
pub const PROXY_HEADER: usize = 4096;

/// Time for a whole PROXY header: it is sent at once, so one lost packet's time and some more. The
/// standard's least is 3 seconds.
pub const PROXY_HEADER_TIME: Duration = Duration::from_secs(5);
/// Files of a directory of tokens that `--check-instance` looks at: it is waited for by a start.
pub const CHECKED_FILES: usize = 10_000;

/// A script's first line, which names its interpreter: the kernel reads no more of it
/// (`BINPRM_BUF_SIZE`, execve(2)).
pub const SCRIPT_LINE: u64 = 256;

/// Time for a helper to answer one question, and for the wait for a turn to ask it: a directory
/// service on a slow day. A person waits it out, and it is shorter than [`DRAIN_TIME`].
pub const HELPER_TIME: Duration = Duration::from_secs(5);

/// A helper that leaves a question open for so long is stuck, or has lost it, and is started anew.
pub const HELPER_PATIENCE: Duration = Duration::from_secs(10);

/// Time for a helper to start: an interpreter with its libraries on a machine that boots.
pub const HELPER_START_TIME: Duration = Duration::from_secs(30);

/// Time for a helper that left to be gone, and for what it said last to be read.
pub const HELPER_LAST_WORDS: Duration = Duration::from_secs(1);

/// Questions that one helper has open at once; the next wait for their turn. Each may be as long as
/// a request head, six times over where JSON escapes it, so they are bounded together by 12 MiB.
pub const HELPER_QUESTIONS: usize = 64;

/// The longest line of a helper: a page of text and [`HELPER_HEADERS`] in it.
pub const HELPER_LINE: usize = 64 * 1024;

/// The longest text in an answer of a helper: a sentence for a person, or a name that a session
/// keeps for as long as it lives.
pub const HELPER_TEXT: usize = 1024;

/// Headers in an answer of a helper; no status calls for more than two or three.
pub const HELPER_HEADERS: usize = 32;

/// Lines of a helper's standard error in each [`LOG_INTERVAL`]: a traceback or two.
pub const HELPER_WORDS: u32 = 100;

/// Starts of a helper that follow its end at once: an upgrade, a crash by one request.
pub const HELPER_QUICK_STARTS: u32 = 3;

/// Pause before the next start; it doubles with each further one.
pub const HELPER_PACE: Duration = Duration::from_secs(1);

/// The longest such pause: nobody is let in meanwhile.
pub const HELPER_PACE_MOST: Duration = Duration::from_secs(10);

/// A helper that has served for so long has settled: its next end is a first one again.
pub const HELPER_SETTLED: Duration = Duration::from_secs(60);

/// Time for a look-up of a token over a network. Whoever opened the page is waiting for it, and a
/// source that needs longer is broken or far overloaded.
pub const TOKEN_TIME: Duration = Duration::from_secs(10);

/// Of it, the time to connect to Redis and log in. Shorter, so that who waits for an attempt that
/// fails still learns why.
pub const TOKEN_CONNECT_TIME: Duration = Duration::from_secs(5);

/// Time for one answer of Redis: thousands of times what it takes. Beyond it the connection is
/// taken for dead, and the next look-up makes another.
pub const TOKEN_REDIS_TIME: Duration = Duration::from_secs(4);

/// Connections to the HTTP server that knows tokens; further look-ups wait. They are few because
/// each takes one of [`RESERVED_DESCRIPTORS`], and enough for a thousand look-ups in a second at
/// 16 ms each.
pub const TOKEN_API_CONNECTIONS: usize = 16;

/// How long such a connection stays open without being used: shorter than most servers keep it.
pub const TOKEN_API_IDLE: Duration = Duration::from_secs(30);

/// Redirects that are followed for one look-up. Two are usual: to https, and to where it moved.
pub const TOKEN_API_REDIRECTS: usize = 5;

/// The longest answer about one token: a host and a port, and what else a server has to say in its
/// object.
pub const TOKEN_ANSWER: usize = 64 * 1024;

/// By how much the clocks of who makes JWTs and of this machine may differ: what most libraries
/// allow, and websockify's beside its own strict check.
pub const JWT_LEEWAY: Duration = Duration::from_secs(60);

/// The shortest secret to sign JWTs with, that of HS256 (RFC 7518, 3.2): a shorter one can be found
/// by trying, from any one token.
pub const JWT_SECRET: usize = 32;

/// The shortest RSA key to sign JWTs with (RFC 7518, 3.3).
pub const JWT_RSA_BITS: u32 = 2048;

/// Bytes of one session that may wait for the disk of --record. A whole screen of pixels fits; a
/// session that is faster than the disk for longer than that loses its recording.
pub const RECORD_BACKLOG: usize = 16 << 20;

/// The same for all sessions together, so that a disk that hangs costs no more memory than this.
pub const RECORD_BACKLOG_OF_ALL: usize = 4 * RECORD_BACKLOG;

/// How long our exit waits for recordings to be written to their end.
pub const RECORD_END_TIME: Duration = Duration::from_secs(2);

/// How long a session that is handed over waits for its recording to be on the disk. Shorter than
/// [`HAND_OVER_TIME`], so that a disk that hangs costs recordings and no session.
pub const RECORD_LEAVE_TIME: Duration = Duration::from_secs(1);

/// How often a session that ends at a time looks at the clock: it may have been set, or the machine
/// have slept, of which no timer tells.
pub const CLOCK_LOOK: Duration = Duration::from_secs(60);

/// Sessions that the service manager keeps for our successor. It names each of their descriptors in
/// one variable of the successor's, and execve(2) takes 128 KiB of that.
pub const STORED_SESSIONS: usize = 1365;

/// How long a session whose state cannot be written down any more stands still until the service manager
/// hears of it: that may be reading its units anew, which takes a second on a large machine.
pub const STORE_TIME: Duration = Duration::from_secs(2);

/// How long our exit waits for sessions to stand still where a successor can take them up. A few
/// hundred bytes each are written to memory, and the youngest have yet to be given to the service
/// manager: all of that is nothing but processor time, and a machine that has none to spare, in the midst
/// of an upgrade, is the last that should lose sessions.
pub const HAND_OVER_TIME: Duration = Duration::from_secs(20);

/// How long a connection that has just come in has for its request when a successor is about to
/// take our place: a request follows its connection at once, and a browser's spare connections
/// never bring any.
pub const FIRST_REQUEST_TIME: Duration = Duration::from_millis(500);
