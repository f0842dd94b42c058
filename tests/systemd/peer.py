"""A target and WebSocket clients for the scenarios, with nothing but Python's own library.

    peer.py target PORT|PATH|@NAME  echoes whatever comes, until it is killed
    peer.py echo PORT|PATH [...]   one message there and back
    peer.py session PORT [...]     echoes each line of standard input through one session
    peer.py many PORT              opens --count sessions, and echoes each line through each of them
    peer.py deaf PORT              opens a session and never reads or answers
    peer.py greedy PORT            has --count requests that are never whole
    peer.py certificate PORT       the host name of the certificate that is offered
    peer.py greeting PORT TEXT     whether the target begins with TEXT
    peer.py edge PORT  one message each --count times, with pauses around --seconds
    peer.py dns PORT  answers queries for --name by --address
    peer.py tunnel PORT TO  passes bytes on from one port to another, which it speaks --tls to, or of
        which it takes TLS off by --certificate

    --tls CAFILE  --tls-version 1.2|1.3  --host ADDRESS  --name NAME  --path URI
    --user NAME:PASSWORD
"""

import argparse
import asyncio
import base64
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time

# What is not answered in so many seconds is not answered.
WAIT = float(os.environ.get("WAIT", 30))


def dial(args):
    if args.place.startswith("/"):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(WAIT)
        stream.connect(args.place)
    else:
        stream = socket.create_connection((args.host, int(args.place)), timeout=WAIT)
    if args.tls:
        context = client_context(args)
        stream = context.wrap_socket(stream, server_hostname=args.name)
    return stream


def client_context(args):
    context = ssl.create_default_context(cafile=args.tls)
    return by_version(context, args)


def by_version(context, args):
    if args.tls_version:
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[args.tls_version]
        context.minimum_version = context.maximum_version = version
    return context


class Session:
    """A WebSocket whose frames are all shorter than 126 bytes."""

    def __init__(self, args):
        self.stream = dial(args)
        self.stream.sendall(
            f"GET {args.path} HTTP/1.1\r\nHost: {args.name}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: binary\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"{self.credentials(args)}\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.stream.recv(1)
            if not part:
                raise OSError(f"no answer, only {head!r}")
            head += part
        line = head.split(b"\r\n")[0].decode()
        if " 101 " not in line:
            raise OSError(line)

    @staticmethod
    def credentials(args):
        if not args.user:
            return ""
        return f"Authorization: Basic {base64.b64encode(args.user.encode()).decode()}\r\n"

    def send(self, opcode, payload):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.stream.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.stream.recv(count - len(data))
            if not part:
                raise OSError("ended without a close frame")
            data += part
        return data

    def receive(self):
        """The next message; a close frame is an error that names its code."""
        opcode, length = self.exactly(2)
        payload = self.exactly(length)
        if opcode & 0x0F == 8:
            try:
                self.send(8, payload)
            except OSError:
                pass  # It answered our own, and has left.
            raise OSError("closed %d" % struct.unpack("!H", payload[:2]))
        return payload

    def echo(self, text):
        self.send(2, text)
        got = b""
        while len(got) < len(text):
            got += self.receive()
        if got != text:
            raise OSError(f"{text!r} came back as {got!r}")

    def close(self):
        self.send(8, struct.pack("!H", 1000))
        try:
            self.receive()
        except OSError as error:
            if str(error) != "closed 1000":
                raise
        if isinstance(self.stream, ssl.SSLSocket):
            # TLS's own goodbye, without which this is an error.
            self.stream.suppress_ragged_eofs = False
            if self.stream.recv(1):
                raise OSError("more behind the close frame")


def target(args):
    if args.place.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(args.place):
            os.unlink(args.place)
        listener.bind(args.place)
        os.chmod(args.place, 0o666)
    elif args.place.startswith("@"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0" + args.place[1:])
    else:
        listener = socket.socket(socket.AF_INET6)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", int(args.place)))
    listener.listen(1024)
    print("listening", flush=True)

    def serve(stream):
        with stream:
            while data := stream.recv(65536):
                stream.sendall(data)

    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()


def echo(args):
    begun = time.monotonic()
    session = Session(args)
    session.echo(b"there and back")
    print("%.1f ms" % ((time.monotonic() - begun) * 1000))
    session.close()


def session(args):
    session = Session(args)
    session.stream.settimeout(None)
    cipher = session.stream.cipher()[1] if args.tls else "plain"
    print("open", cipher, flush=True)

    def forward():
        for line in sys.stdin:
            session.send(2, line.encode())

    threading.Thread(target=forward, daemon=True).start()
    try:
        while True:
            sys.stdout.write(session.receive().decode())
            sys.stdout.flush()
    except OSError as error:
        print(error, flush=True)


def many(args):
    sessions = [Session(args) for _ in range(args.count)]
    print("open", flush=True)
    for line in sys.stdin:
        for session in sessions:
            session.echo(line.encode())
        print(line, end="", flush=True)


def deaf(args):
    session = Session(args)
    print("open", flush=True)
    assert session
    threading.Event().wait()


def greedy(args):
    connections = []
    for _ in range(args.count):
        try:
            connection = dial(args)
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 31000)
            connections.append(connection)
        except OSError:
            pass  # It is gone, which is what this is for.
    print("open", flush=True)
    threading.Event().wait()


def certificate(args):
    with dial(args) as stream:
        print(dict(field[0] for field in stream.getpeercert()["subject"])["commonName"])


def greeting(args):
    session = Session(args)
    wanted = os.fsencode(args.text)
    got = b""
    while len(got) < len(wanted):
        got += session.receive()
    if not got.startswith(wanted):
        raise OSError(f"the target began with {got!r}")
    session.close()


def edge(args):
    lost = 0
    for _ in range(args.count):
        try:
            echo(args)
        except OSError as error:
            print("lost:", error)
            lost += 1
        if args.seconds:
            time.sleep(args.seconds + random.uniform(-0.03, 0.03))
    print(f"{lost} of {args.count} lost")
    sys.exit(lost > 0)


def dns(args):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", int(args.place)))
    print("listening", flush=True)
    wanted = b"".join(bytes([len(part)]) + part.encode() for part in args.name.split(".")) + b"\0"
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
        right = query[12 : end - 4].lower() == wanted and kind == 1
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(args.address) if right else b""
        head = struct.pack("!HHHHH", 0x8180, 1, int(right), 0, 0)
        server.sendto(query[:2] + head + query[12:end] + answer, client)


def tunnel(args):
    inside = client_context(args) if args.tls else None
    outside = None
    if args.certificate:
        outside = by_version(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), args)
        outside.load_cert_chain(args.certificate, args.key)

    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def serve(reader, writer):
        try:
            name = args.name if inside else None
            far = await asyncio.open_connection(args.host, args.text, ssl=inside, server_hostname=name)
        except OSError:
            return writer.close()
        await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))

    async def listen():
        server = await asyncio.start_server(serve, "localhost", int(args.place), ssl=outside, backlog=1024)
        print("listening", flush=True)
        await server.serve_forever()

    asyncio.run(listen())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("do", choices=["target", "echo", "session", "many", "deaf", "greedy", "certificate", "greeting", "edge", "dns", "tunnel"])
    parser.add_argument("place")
    parser.add_argument("text", nargs="?")
    parser.add_argument("--tls")
    parser.add_argument("--tls-version")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--name", default="localhost")
    parser.add_argument("--user")
    parser.add_argument("--path", default="/")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--address", default="127.0.0.1")
    args = parser.parse_args()
    globals()[args.do](args)


main()
