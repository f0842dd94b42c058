//! The function that the program finds where it looks for `bind`.

use std::ffi::{CStr, c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use libc::{sockaddr, socklen_t};

use crate::contract::{NEW_PORT, OLD_PORT, UDP};
use crate::rule::{self, LONGEST, Move, PORTS};

/// The environment as it was when the program was loaded: old port above, new port below.
static MOVES: [AtomicU32; PORTS] = [const { AtomicU32::new(0) }; PORTS];

/// Whether datagram sockets are moved as well.
static DATAGRAMS: AtomicBool = AtomicBool::new(false);

/// The `bind` that would have been found without us; null where there is none.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The linker's list of what is called before the program's own code.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Reads the environment while there is one thread: later it may change under our hands, and
/// dlsym(3) may not be called from a signal handler.
extern "C" fn start() {
    // SAFETY: the name is a C string, and the handle is one of dlsym's own.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"bind".as_ptr()) };
    NEXT.store(next, Ordering::Relaxed);
    let moves = match (variable(OLD_PORT), variable(NEW_PORT)) {
        (Some(old), Some(new)) => rule::moves(old, new),
        _ => None,
    };
    for (place, to) in MOVES.iter().zip(moves.unwrap_or_default()) {
        let packed = u32::from(to.old) << 16 | u32::from(to.new);
        place.store(packed, Ordering::Relaxed);
    }
    DATAGRAMS.store(variable(UDP) == Some(b"1"), Ordering::Relaxed);
}

/// getenv(3).
fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: `name` is a C string, and nobody changes the environment yet.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: what getenv returns is a C string, which is read before the program begins.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes())
}

/// bind(2), with some ports moved to loopback.
///
/// # Safety
/// As bind(2): `length` bytes are readable at `address`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bind(
    socket: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> c_int {
    // SAFETY: as the caller says.
    let Some(to) = (unsafe { moved(socket, address, length) }) else {
        return next(socket, address, length);
    };
    match option(socket, libc::SOL_SOCKET, libc::SO_TYPE) {
        Some(libc::SOCK_STREAM) => reuse(socket),
        Some(libc::SOCK_DGRAM) if DATAGRAMS.load(Ordering::Relaxed) => {}
        _ => return next(socket, address, length),
    }
    let length = socklen_t::try_from(to.length).unwrap_or_default();
    next(socket, to.bytes.as_ptr().cast(), length)
}

/// The bridge keeps the new port from others by a socket of its own, which is bound and does not
/// listen: that goes together where both say so. It also lets the program start again at once.
fn reuse(socket: c_int) {
    let yes: c_int = 1;
    let size = size(&yes);
    let yes = ptr::from_ref(&yes).cast();
    // SAFETY: an option of the size that is given.
    unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, yes, size) };
}

/// What to bind instead, if this is one of the ports.
///
/// # Safety
/// `length` bytes are readable at `address`.
unsafe fn moved(
    socket: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> Option<rule::Address> {
    let length = usize::try_from(length).ok()?.min(LONGEST);
    if address.is_null() {
        return None;
    }
    let mut bytes = [0_u8; LONGEST];
    // SAFETY: so many bytes are there, says the caller, and no more than fit.
    unsafe { ptr::copy_nonoverlapping(address.cast(), bytes.as_mut_ptr(), length) };
    let mut moves = [Move::default(); PORTS];
    for (to, packed) in moves.iter_mut().zip(&MOVES) {
        let packed = packed.load(Ordering::Relaxed).to_be_bytes();
        let [a, b, c, d] = packed;
        *to = Move {
            old: u16::from_be_bytes([a, b]),
            new: u16::from_be_bytes([c, d]),
        };
    }
    let only_v6 = || option(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) == Some(1);
    rule::moved(bytes.get(..length)?, &moves, only_v6)
}

/// getsockopt(2) for a number.
fn option(socket: c_int, level: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut size = size(&value);
    let place = ptr::from_mut(&mut value).cast();
    // SAFETY: the place has the size that is given.
    let answer = unsafe { libc::getsockopt(socket, level, name, place, &raw mut size) };
    (answer == 0).then_some(value)
}

fn size(option: &c_int) -> socklen_t {
    socklen_t::try_from(size_of_val(option)).unwrap_or_default()
}

type Bind = unsafe extern "C" fn(c_int, *const sockaddr, socklen_t) -> c_int;

/// Binds as it would have been without us.
fn next(socket: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let mut next = NEXT.load(Ordering::Relaxed);
    if next.is_null() {
        // Another library's start came before ours.
        start();
        next = NEXT.load(Ordering::Relaxed);
    }
    // SAFETY: a null pointer is None, and `bind` is of this type wherever it is found.
    let next = unsafe { mem::transmute::<*mut c_void, Option<Bind>>(next) };
    match next {
        // SAFETY: what the caller says of its arguments, or an address of ours.
        Some(next) => unsafe { next(socket, address, length) },
        None => -1,
    }
}
