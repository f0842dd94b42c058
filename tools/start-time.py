#!/usr/bin/env python3
"""How long a command takes from its start to READY=1 (sd_notify(3)), by the clock and by its own time.

    tools/start-time.py [--runs N] COMMAND...

The clock starts before fork and execve; the processor's time is that of its threads at READY=1
(/proc/PID/task/*/schedstat), the loader's included. On a busy machine only the second says much.
"""

import argparse
import glob
import os
import signal
import socket
import statistics
import tempfile
import time


def start(command, listener, path):
    environment = {**os.environ, "NOTIFY_SOCKET": path}
    null = os.open("/dev/null", os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in range(3)]
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
    while b"READY=1" not in listener.recv(4096):
        pass
    took = time.monotonic() - begun
    own = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as file:
            own += int(file.read().split()[0])
    os.close(null)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return took * 1000, own / 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=41)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(path)
        listener.settimeout(30)
        start(args.command, listener, path)
        runs = [start(args.command, listener, path) for _ in range(args.runs)]
    for name, values in zip(["clock", "processor"], zip(*runs)):
        print(f"{name}: {statistics.median(values):.2f} ms [{min(values):.2f}-{max(values):.2f}]")
    print("load:", *os.getloadavg())


main()
