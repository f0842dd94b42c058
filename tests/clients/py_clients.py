"""Python's two common WebSocket clients against the bridge, in front of a target that echoes.

    python py_clients.py URL [--cafile PEM] [--reference]

--reference: the bridge is Python websockify; leave out what it is known to get wrong.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import os
import ssl
import sys
import threading

import websocket
from websockets.asyncio.client import connect as asyncio_connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

SIZES = (0, 1, 125, 126, 65535, 65536, 1 << 20)
UNREAD = 65536  # bytes that fit into the buffers on the way while the client does not read
WAIT = 20  # seconds for any one answer
OPEN = contextlib.ExitStack()  # closes whatever a suite leaves open
LOOP = asyncio.new_event_loop()


def check(truth, message):
    if not truth:
        raise AssertionError(message)


class Websockets:
    """websockets, whose threaded client reads in a thread of its own."""

    name = "websockets"
    both_ways = True

    def __init__(self, args, offer=("binary",)):
        self.peer = self.open(
            args.url, subprotocols=offer or None, ssl=tls(args), max_size=None,
            open_timeout=WAIT, close_timeout=WAIT, compression="deflate",
        )
        check(not self.peer.protocol.extensions, f"accepted {self.peer.protocol.extensions}, which it cannot speak")

    def open(self, *args, **kwargs):
        return OPEN.enter_context(connect(*args, **kwargs))

    @property
    def subprotocol(self):
        return self.peer.subprotocol

    def send(self, data):
        self.peer.send(data)

    def receive(self):
        data = self.peer.recv(timeout=WAIT)
        check(isinstance(data, bytes), "a text frame came")
        return data

    def ping(self):
        check(self.peer.ping(b"are you there").wait(WAIT), "no pong")

    def close(self):
        self.peer.close(1000, "done")
        answer = self.peer.protocol.close_rcvd
        return (answer.code, answer.reason) if answer else None

    def refusal_of_text(self):
        self.send("text")
        try:
            while True:
                self.receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


class WebsocketsAsyncio(Websockets):
    """websockets, whose other client shares nothing between threads, so that TLS is safe in it."""

    name = "websockets with asyncio"

    @staticmethod
    def wait(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result(WAIT)

    def open(self, *args, **kwargs):
        async def opened():
            return await asyncio_connect(*args, **kwargs)

        return self.wait(opened())

    def send(self, data):
        self.wait(self.peer.send(data))

    def receive(self):
        return self.wait(self.peer.recv(decode=False))

    def ping(self):
        async def answered():
            await (await self.peer.ping(b"are you there"))

        self.wait(answered())

    def close(self):
        self.wait(self.peer.close(1000, "done"))
        answer = self.peer.protocol.close_rcvd
        return answer.code, answer.reason


class WebsocketClient:
    """websocket-client, which reads when it is asked."""

    name = "websocket-client"

    def __init__(self, args, offer=("binary",)):
        context = tls(args)
        # One thread that writes and one that reads break each other's OpenSSL state in this library.
        self.both_ways = context is None
        self.peer = websocket.create_connection(
            args.url, subprotocols=list(offer) or None, timeout=WAIT, enable_multithread=True,
            sslopt={"context": context} if context else None,
        )

    @property
    def subprotocol(self):
        return self.peer.getsubprotocol()

    def send(self, data):
        self.peer.send_binary(data)

    def receive(self):
        code, data = self.peer.recv_data()
        check(code == websocket.ABNF.OPCODE_BINARY, f"opcode {code} came")
        return data

    def control(self, wanted):
        while True:
            code, frame = self.peer.recv_data_frame(control_frame=True)
            if code == wanted:
                return frame.data

    def ping(self):
        self.peer.ping("are you there")
        answer = self.control(websocket.ABNF.OPCODE_PONG)
        check(answer == b"are you there", f"the pong carries {answer}")

    def close(self):
        self.peer.send_close(1000, b"done")
        data = self.control(websocket.ABNF.OPCODE_CLOSE)
        self.peer.shutdown()
        return int.from_bytes(data[:2], "big"), data[2:].decode()

    def refusal_of_text(self):
        self.peer.send("text")
        return int.from_bytes(self.control(websocket.ABNF.OPCODE_CLOSE)[:2], "big")


def tls(args):
    if not args.url.startswith("wss:"):
        return None
    return ssl.create_default_context(cafile=args.cafile)


def exchange(client, data):
    """Sends while it receives: a client that only sends would wait for a bridge that waits for it."""
    sender = threading.Thread(target=client.send, args=(data,), daemon=True)
    sender.start()
    if not client.both_ways:
        sender.join(WAIT)
    got = bytearray()
    while len(got) < len(data):
        got += client.receive()
    sender.join(WAIT)
    check(not sender.is_alive(), f"sending {len(data)} bytes did not end")
    check(got == data, f"{len(data)} bytes returned changed")


def suite(kind, args):
    client = kind(args)
    check(client.subprotocol == "binary", f"subprotocol {client.subprotocol}")
    sizes = [size for size in SIZES if client.both_ways or size <= UNREAD]
    for size in sizes:
        exchange(client, os.urandom(size))
    exchange(client, b"after the empty one")
    client.ping()
    exchange(client, b"after the ping")
    answer = client.close()
    check(answer == (1000, "done"), f"the close was answered with {answer}")
    print(f"ok   {kind.name}: 0 to {sizes[-1]} bytes, ping, close")

    pair = kind(args), kind(args)
    pair[0].send(b"first")
    exchange(pair[1], os.urandom(UNREAD))
    check(pair[0].receive() == b"first", "the first of two clients got other bytes than its own")
    check(pair[0].close() == (1000, "done"), "closing the first of two clients")
    exchange(pair[1], b"the second lives on")
    pair[1].close()
    print(f"ok   {kind.name}: two clients at once")

    plain = kind(args, offer=())
    check(plain.subprotocol is None, f"nobody asked for subprotocol {plain.subprotocol}")
    check(plain.refusal_of_text() == 1003, "a text frame was not refused with 1003")
    if not args.reference:
        check(kind(args, offer=("base64", "binary")).subprotocol == "binary", '"base64, binary" did not give binary')
    print(f"ok   {kind.name}: subprotocols, text refused")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--cafile")
    parser.add_argument("--reference", action="store_true")
    args = parser.parse_args()
    faulthandler.dump_traceback_later(60, exit=True)
    threading.Thread(target=LOOP.run_forever, daemon=True).start()
    # Over TLS the threaded client would read and write one OpenSSL object from two threads, and now and then hangs.
    kinds = (WebsocketsAsyncio, WebsocketClient) if tls(args) else (Websockets, WebsocketsAsyncio, WebsocketClient)
    for kind in kinds:
        try:
            with OPEN:
                suite(kind, args)
        except Exception as error:
            print(f"FAIL {kind.name} through {args.url}: {type(error).__name__}: {error}")
            return 1
    print("PASS py_clients")
    return 0


if __name__ == "__main__":
    sys.exit(main())
