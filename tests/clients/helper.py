#!/usr/bin/env python3
"""A helper that does what a request's X-Do header says, right or wrong.

helper.py REPORT [MODE]: REPORT gets one line for each start, a JSON object, and `end` at the end of
standard input.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

report, mode = sys.argv[1], (sys.argv[2:] or [""])[0]
lock = threading.Lock()
held = []


def tell(line):
    with open(report, "a") as file:
        file.write(line + "\n")


def write(text):
    with lock:
        sys.stdout.write(text)
        sys.stdout.flush()


def answer(question, **fields):
    write(json.dumps({"id": question["id"], **fields}) + "\n")


def allow(question, user):
    answer(question, allow=True, **({"identity": user} if user else {}))


def do(question):
    headers = dict(question["headers"])
    what, user = headers.get("x-do", ""), headers.get("x-user")
    if what == "":
        allow(question, user)
    elif what == "deny":
        answer(question, allow=False, status=418, message="short & stout",
               reason="no \"coffee\"\nhere", identity="jane", headers={"X-Pot": "tea", "Set-Cookie": ["a=1"]})
    elif what.isdigit():
        answer(question, allow=False, status=int(what))
    elif what == "echo":
        answer(question, allow=False, message=json.dumps({**question, "headers": headers}))
    elif what == "target" and question["stage"] == "authenticate":
        allow(question, "first" if question["target"] is None else "too early")
    elif what == "target":
        answer(question, allow=False, status=403, message=json.dumps(question["target"]))
    elif what == "later":
        name = f"you are {user}"
        threading.Timer(random.random() / 20, answer, [question],
                        {"allow": False, "status": 418, "message": name}).start()
    elif what == "hold":
        held.append(question)
        print(f"holding {len(held)}", file=sys.stderr, flush=True)
    elif what == "release":
        held.append(question)
        for one in reversed(held):
            allow(one, None)
        held.clear()
    elif what == "crash":
        os._exit(3)
    elif what == "garbage":
        write("what?\n")
    elif what == "long":
        write("x" * 70000)
    elif what == "stranger":
        answer({"id": question["id"] + 1000}, allow=True)
    elif what == "nonsense":
        answer(question, allow="yes")
    elif what == "inject":
        answer(question, allow=False, headers={"X-A": "b\r\nX-C: d"})
    elif what == "complain":
        print("line \x1b[31mone\nline two " + "y" * 300, file=sys.stderr, flush=True)
        allow(question, None)
    elif what == "flood":
        for number in range(5000):
            print(f"flood {number}", file=sys.stderr)
        sys.stderr.flush()
        allow(question, None)


def look_up(question):
    what, _, rest = question["token"].partition("/")
    if what == "port":
        answer(question, target={"host": "127.0.0.1", "port": int(rest)}, name="vm 7")
    elif what == "unix":
        answer(question, target={"unix": rest})
    elif what == "odd":
        answer(question, target={"host": "127.0.0.1", "port": rest})
    elif what == "crash":
        os._exit(3)
    else:
        answer(question, target=None)


started = {"pid": os.getpid(), "environment": dict(os.environ), "descriptors": {
    fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    if os.path.exists(f"/proc/self/fd/{fd}") or fd in "012"}}
if mode == "astray":
    os.setpgid(0, os.getpgid(os.getppid()))
if mode == "family":
    started["child"] = subprocess.Popen(["sleep", "1000"]).pid
tell(json.dumps(started))
if mode == "fails":
    print("no such directory service", file=sys.stderr)
    sys.exit(4)
if mode == "once" and os.path.getsize(report) and len(open(report).readlines()) > 1:
    sys.exit(5)
for line in sys.stdin.buffer:
    question = json.loads(line)
    if question["stage"] == "start":
        if mode == "slow":
            time.sleep(12)
        answer(question, **({} if mode == "stranger" else {"protocol": question["protocol"]}))
        if mode == "leaves":
            sys.exit(6)
    elif question["stage"] == "lookup":
        look_up(question)
    else:
        do(question)
tell("end")
if mode in ("deaf", "astray"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1000)
