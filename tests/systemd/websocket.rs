//! As little of a WebSocket client as it takes.

use std::io::{self, ErrorKind, Read, Write};

/// Asks for a WebSocket at `path`, and returns the answer's status.
pub(crate) fn open(
    stream: &mut (impl Read + Write),
    path: &str,
    protocol: &str,
) -> io::Result<u16> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let status = status.and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    status.ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Sends a frame whose mask depends on `salt`.
pub(crate) fn send(
    stream: &mut impl Write,
    opcode: u8,
    payload: &[u8],
    salt: u64,
) -> io::Result<()> {
    let mask = (salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).to_le_bytes();
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..=65_535 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(&mask[..4]);
    frame.extend(
        payload
            .iter()
            .zip(mask[..4].iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    stream.write_all(&frame)
}

/// The next frame: opcode and payload. One that cannot be is `InvalidData`.
pub(crate) fn receive(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut length = usize::from(head[1]);
    if length == 126 {
        let mut bytes = [0; 2];
        stream.read_exact(&mut bytes)?;
        length = u16::from_be_bytes(bytes).into();
    } else if length == 127 {
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes)?;
        length = usize::try_from(u64::from_be_bytes(bytes)).unwrap();
    }
    // A frame out of step would ask for anything.
    if length > 1 << 24 || head[0] & 0xf0 != 0x80 {
        let what = format!("a header {head:02x?}");
        return Err(io::Error::new(ErrorKind::InvalidData, what));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok((head[0] & 0x0f, payload))
}
