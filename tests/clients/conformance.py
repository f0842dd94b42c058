"""The Autobahn test suite's cases, run against a bridge before a target that echoes.

    conformance.py PORT [CASE...]

prints a line for each case: its number, how the bridge behaved, how it closed. The bridge carries
bytes: it refuses text frames, and a target knows no messages. So the suite runs twice. First as it
is; then, under `binary`, with text sent as binary frames and with what comes back put together up
to the size that the case waits for, so that all the cases that begin with text get to their point.
"""

import asyncio
import os
import sys

from kosoku import FailureError, _caseindex, run_fuzzingclient

# The bridge has no compression: of 12 and 13 one case each shows that it is not agreed on. What 6 is
# about is UTF-8 in text. 10 counts the text frames that the suite itself has sent.
AS_IT_IS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.1.*", "6.4.*", "7.*", "10.*", "12.1.1", "13.1.1"]
AS_BINARY = ["1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "9.*"]
# A thousand messages of nothing, which are waited for for a minute.
NEITHER = ["9.7.1", "9.8.1"]


class AsBinary:
    """A case's protocol that sends no text."""

    def __init__(self, protocol):
        object.__setattr__(self, "_protocol", protocol)

    def __getattr__(self, name):
        return getattr(self._protocol, name)

    def __setattr__(self, name, value):
        setattr(self._protocol, name, value)

    def sendFrame(self, opcode, *args, **named):
        self._protocol.sendFrame(2 if opcode == 1 else opcode, *args, **named)

    def sendMessage(self, payload, isBinary=False, **named):
        self._protocol.sendMessage(payload, isBinary=True, **named)


def in_binary():
    """Changes every case to come."""
    import case

    init = case.Case.__init__

    def begin(self, protocol, *args, **named):
        init(self, AsBinary(protocol), *args, **named)
        heard, waiting = self.onMessage, []

        def on_message(message, binary):
            waiting.append(message)
            whole = "".join(waiting) if isinstance(message, str) else b"".join(waiting)
            if len(whole) < wanted(self):
                return
            waiting.clear()
            text = expects_text(self)
            heard(whole, binary and not text)

        self.onMessage = on_message

    case.Case.__init__ = begin


def messages(case):
    return [event for events in case.expected.values() for event in events if event[0] == "message"]


def wanted(case):
    """How much the next message is to hold, as far as the case says so."""
    sizes = [len(event[1]) for event in messages(case)]
    return getattr(case, "DATALEN", max(sizes, default=0))


def expects_text(case):
    kinds = [event[2] for event in messages(case)]
    if kinds:
        return not kinds[0]
    source = type(case).__dict__.get("DESCRIPTION", "")
    return "binary" not in source.lower()


async def run(port, cases):
    try:
        results = await run_fuzzingclient(f"ws://127.0.0.1:{port}", cases, NEITHER, concurrency=4)
    except FailureError as failure:
        results = failure.results
    return results


def key(result):
    return [int(part) for part in result.case_id.split(".")]


def main():
    port, chosen = sys.argv[1], sys.argv[2:]
    for name, cases in [("as-is", AS_IT_IS), ("binary", AS_BINARY)]:
        if name == "binary":
            _caseindex.initialize_shims()
            in_binary()
        results = asyncio.run(run(port, chosen or cases))
        for result in sorted(results, key=key):
            print(name, result.case_id, result.behavior.value, result.behavior_close.value, sep="\t")
    sys.stdout.flush()
    # The suite's threads outlive the interpreter's end, and abort there.
    os._exit(0)


main()
