//! One byte with open files, from process to process (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// A run's three standard streams.
const MOST: usize = 3;

/// Hands copies over; never waits.
pub(super) fn give(to: impl AsFd, byte: u8, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(to, &[IoSlice::new(&[byte])], &mut beside, flags)?;
    Ok(())
}

/// Takes the next byte and what came with it, which may be less than was sent where the limit on
/// open files is reached; `None` at the end.
pub(super) async fn take(from: &UnixStream) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    from.async_io(Interest::READABLE, || {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut room = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let read = recvmsg(from, &mut room, &mut beside, flags)?.bytes;
        let files = beside.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let files = files.flatten().collect();
        Ok((read > 0).then_some((byte[0], files)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream as File;

    use tokio::net::UnixStream;

    use super::{give, take};

    #[tokio::test]
    async fn files_come_with_their_byte_and_not_with_the_next() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut one, other) = File::pair().unwrap();
        give(&theirs, b'1', &[other.as_fd(), one.as_fd()]).unwrap();
        give(&theirs, b'2', &[]).unwrap();
        give(&theirs, b'3', &[one.as_fd()]).unwrap();
        drop((theirs, other));
        let (first, mut files) = take(&ours).await.unwrap().unwrap();
        assert_eq!((first, files.len()), (b'1', 2));
        File::from(files.remove(0)).write_all(b"through").unwrap();
        let mut read = String::new();
        one.read_to_string(&mut read).unwrap();
        assert_eq!(read, "through");
        for (byte, count) in [(b'2', 0), (b'3', 1)] {
            let (next, files) = take(&ours).await.unwrap().unwrap();
            assert_eq!((next, files.len()), (byte, count));
        }
        assert!(take(&ours).await.unwrap().is_none());
    }
}
