"""An HTTP server that knows where tokens lead, as BaseTokenAPI and JSONTokenApi ask.

usage: token_api.py ADDRESS [CERTIFICATE KEY]

Prints its port, and then a line for each request: the number of its connection, the path as it
came, and what it was let in by. What it answers is in the path:

  /text/HOST:PORT/TOKEN    that host and port, if the token is `good`
  /line/HOST:PORT/TOKEN    the same with the end of a line
  /json/HOST:PORT/TOKEN    the same as an object
  /moved/TIMES/PATH        a redirect, so many times, and at last to /PATH
  /at/URL                  a redirect to URL
  /status/NUMBER/TOKEN     that status
  /endless/TOKEN           an answer without an end
  /silent/TOKEN            none
"""

import http.server
import itertools
import json
import socket
import ssl
import sys
import threading
import urllib.parse

connections = itertools.count(1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.number = next(connections)

    def do_GET(self):
        print(self.number, self.path, self.headers["Authorization"], flush=True)
        _, kind, *rest = self.path.split("/", 3)
        if kind in ("text", "line", "json") and rest[1] == "good":
            host, port = urllib.parse.unquote(rest[0]).rsplit(":", 1)
            answers = {
                "text": f"{host}:{port}",
                "line": f"{host}:{port}\n",
                "json": json.dumps({"host": host, "port": int(port), "more": [True]}),
            }
            self.answer(200, answers[kind])
        elif kind == "moved":
            times = int(rest[0]) - 1
            self.redirect(f"/moved/{times}/{rest[1]}" if times > 0 else f"/{rest[1]}")
        elif kind == "at":
            self.redirect(urllib.parse.unquote("/".join(rest)))
        elif kind == "status":
            self.answer(int(rest[0]), "no target")
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"h" * 65536)
            except OSError:
                self.close_connection = True
        elif kind == "silent":
            threading.Event().wait()
        else:
            self.answer(404, "no such token")

    def redirect(self, to):
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET

    def handle_error(self, *_):
        pass  # a client that left


server = Server((sys.argv[1], 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
