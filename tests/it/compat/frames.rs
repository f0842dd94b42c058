use crate::{
    backend,
    bridge::Bridge,
    wire::{Frame, Ws},
};

#[test]
fn echo() {
    let bridge = Bridge::to(backend::echo());
    let mut ws = Ws::open(bridge.addr());
    for n in [0, 1, 125, 126, 127, 65535, 65536, 200_000] {
        ws.expect_echo(vec![n as u8; n]);
    }
    ws.send(&Frame::close(1000, "bye"));
    assert_eq!(ws.close(), "1000 bye");
}
