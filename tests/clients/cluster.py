"""Three bridges behind HAProxy that share one Redis; one of them is killed while clients use all.

usage: cluster.py BRIDGE apart|here

`apart`, in a network namespace, gives each bridge a network of its own, if the kernel can; `here`
leaves all of them on loopback. Sessions on the other two must
not lose a byte, every new connection must succeed, and the third must come back.
"""

import asyncio
import collections
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

BRIDGE, WHERE = sys.argv[1:]
INSTANCES = 3
SESSIONS = 24
TOKENS = 5
DEADLINE = 60
LOOPBACK = "127.0.0.1"

SCALING = os.path.join(os.path.dirname(__file__), "../../docs/SCALING.md")


def block(name):
    """A block of docs/SCALING.md, by its mark."""
    with open(SCALING, encoding="utf-8") as file:
        return file.read().split(f"<!-- test: {name} -->\n```", 1)[1].split("\n", 1)[1].split("```", 1)[0]


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def free_port():
    with socket.socket() as it:
        it.bind((HUB, 0))
        return it.getsockname()[1]


class Host:
    """Where one bridge runs: its address, and the words before its command."""

    def __init__(self, number):
        self.address, self.port, self.words = HUB, 6080, []
        if HUB == LOOPBACK:
            self.port = free_port()
            return
        self.address = f"10.77.0.{10 + number}"
        # A process that only holds the network, until its standard input ends.
        holder = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.holder = subprocess.Popen(holder, **pipes)
        self.holder.stdout.readline()
        pid = str(self.holder.pid)
        self.words = ["nsenter", "--net", "--target", pid]
        run("ip", "link", "add", "name", f"ws{number}", "type", "veth", "peer", "name", "eth0", "netns", pid)
        run("ip", "link", "set", f"ws{number}", "master", "hub", "up")
        run(*self.words, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        run(*self.words, "ip", "link", "set", "eth0", "up")


class Instance:
    def __init__(self, number, redis, folder, started):
        self.name, self.host = f"bridge{number}", Host(number)
        self.redis, self.notify = redis, f"{folder}/{number}.notify"
        self.started = started

    def options(self):
        words = block("cluster-bridge").replace("10.0.0.1:6379", self.redis).replace("10.0.0.2", HUB).split()
        assert words[0] == "websockify" and words[-1] == "6080", words
        return [*words[1:-1], f"{self.host.address}:{self.host.port}"]

    async def start(self):
        if os.path.exists(self.notify):
            os.unlink(self.notify)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(self.notify)
            ready.setblocking(False)
            self.process = await asyncio.create_subprocess_exec(
                *self.host.words, BRIDGE, *self.options(),
                env={**os.environ, "NOTIFY_SOCKET": self.notify},
            )
            self.started.append(self.process)
            while b"READY=1" not in await asyncio.get_running_loop().sock_recv(ready, 4096):
                pass


class Session:
    """Sends a stream of its own, and expects a greeting and the same stream back."""

    def __init__(self, number, url):
        self.token = number % TOKENS
        self.url = f"{url}?token=token{self.token}"
        self.random = random.Random(number)
        self.returned = 0

    async def open(self):
        self.ws = await connect(self.url, max_size=None, ping_interval=None, compression=None, proxy=None)
        self.instance = self.ws.response.headers["X-Instance"]
        self.stream = self.incoming()
        greeting = f"target {self.token}\n".encode()
        assert await self.take(len(greeting)) == greeting, "another target's greeting"
        return self

    async def incoming(self):
        async for message in self.ws:
            yield message

    async def take(self, size):
        """The next bytes, which must end where a message ends."""
        taken = b""
        while len(taken) < size:
            try:
                taken += await anext(self.stream)
            except StopAsyncIteration:
                raise ConnectionClosed(None, None) from None
        return taken

    async def echo(self):
        sent = self.random.randbytes(self.random.randint(1, 100_000))
        await self.ws.send(sent)
        assert await self.take(len(sent)) == sent, "bytes came back otherwise"
        self.returned += len(sent)

    async def work(self):
        """Goes on until the session ends, and returns then."""
        try:
            while True:
                await self.echo()
        except ConnectionClosed:
            return


async def target(number):
    async def serve(reader, writer):
        try:
            writer.write(f"target {number}\n".encode())
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, HUB, 0)
    return server.sockets[0].getsockname()[1]


async def start_redis(folder, started):
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--bind", HUB, "--port", str(port), "--save", "", "--dir", folder,
        "--protected-mode", "no", stdout=asyncio.subprocess.PIPE,
    )
    started.append(process)
    while b"eady to accept connections" not in await process.stdout.readline():
        pass
    for number in range(TOKENS):
        value = f'{{"host": "{HUB}:{await target(number)}"}}'
        run("redis-cli", "-h", HUB, "-p", str(port), "SET", f"token{number}", value)
    return f"{HUB}:{port}"


async def start_haproxy(folder, instances, started):
    port = free_port()
    lines = block("cluster-haproxy").replace("bind :80", f"bind {HUB}:{port}").splitlines()
    lines = [it for it in lines if not it.startswith("    server ")]
    # So that the test is short; who served is said to it alone.
    lines += ["    timeout check 10s", "    default-server inter 100ms fall 1 rise 1"]
    lines += ["    http-response set-header X-Instance %s"]
    lines += [f"    server {it.name} {it.host.address}:{it.host.port} check" for it in instances]
    with open(f"{folder}/haproxy.cfg", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec("/usr/sbin/haproxy", "-db", "-f", file.name)
    started.append(process)
    while True:
        try:
            _, writer = await asyncio.open_connection(HUB, port)
            writer.close()
            return f"ws://{HUB}:{port}/"
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)


async def comers(url, numbers, seen):
    """Sessions that come, say something and go; each one must succeed."""
    while True:
        session = Session(next(numbers), url)
        try:
            await session.open()
            await session.echo()
        except ConnectionClosed:
            # It was on the one that was killed.
            assert session.instance == "bridge0", f"a session on {session.instance} ended"
        await session.ws.close()
        seen[session.instance] += 1


async def until(condition, tasks):
    while not condition():
        for task in tasks:
            if task.done():
                task.result()
                raise AssertionError("a session ended")
        await asyncio.sleep(0.01)


async def scenario(folder, started):
    source = await start_redis(folder, started)
    instances = [Instance(number, source, folder, started) for number in range(INSTANCES)]
    for instance in instances:
        await instance.start()
    url = await start_haproxy(folder, instances, started)

    numbers = itertools.count()
    sessions = [await Session(next(numbers), url).open() for _ in range(SESSIONS)]
    on = collections.Counter(it.instance for it in sessions)
    assert len(on) == INSTANCES, f"not every bridge has sessions: {on}"
    doomed, others = [], []
    for session in sessions:
        group = doomed if session.instance == "bridge0" else others
        group.append((session, asyncio.create_task(session.work())))
    seen = collections.Counter()
    coming = [asyncio.create_task(comers(url, numbers, seen)) for _ in range(4)]
    watched = [task for _, task in others] + coming
    await until(lambda: all(it.returned > 200_000 for it in sessions), watched)

    victim = instances[0].process
    victim.send_signal(signal.SIGKILL)
    await victim.wait()
    for _, task in doomed:
        await task
    seen.clear()
    before = {it: it.returned for it, _ in others}
    went_on = lambda: all(it.returned > before[it] + 500_000 for it, _ in others)
    await until(lambda: went_on() and seen.total() > 40, watched)
    assert seen["bridge0"] <= len(coming), f"the dead one served: {seen}"

    await instances[0].start()
    seen.clear()
    await until(lambda: seen["bridge0"] > 5, watched)
    for task in watched:
        task.cancel()
    told = sum(it.returned for it, _ in others)
    print(f"{len(others)} sessions on two bridges: {told} bytes and none lost; {next(numbers)} came")


def network():
    """Joins a network for each bridge; returns the address of what they share."""
    run("ip", "link", "set", "lo", "up")
    try:
        run("ip", "link", "add", "name", "hub", "type", "bridge")
        run("ip", "link", "add", "name", "try0", "type", "veth", "peer", "name", "try1")
    except subprocess.CalledProcessError:
        print("no networks of their own can be had here: all are on loopback")
        return LOOPBACK
    run("ip", "address", "add", "10.77.0.1/24", "dev", "hub")
    run("ip", "link", "set", "hub", "up")
    return "10.77.0.1"


async def main():
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            await asyncio.wait_for(scenario(folder, started), DEADLINE)
        finally:
            for process in started:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


HUB = network() if WHERE == "apart" else LOOPBACK
asyncio.run(main())
