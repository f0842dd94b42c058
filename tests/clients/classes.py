"""Classes as people have written them for Python websockify."""

from websockify.auth_plugins import AuthenticationError, BasePlugin, InvalidOriginError
from websockify.token_plugins import BasePlugin as BaseTokens

print("a module that prints")


class Door(BasePlugin):
    """Its source is a port that may be reached."""

    def __init__(self, src=None):
        super().__init__(src)
        self.made = []

    def authenticate(self, headers, target_host, target_port):
        print("a class that prints")
        what = headers.get("X-Do")
        if what == "teapot":
            raise AuthenticationError(log_msg="no coffee", response_code=418,
                                      response_headers={"X-Pot": "tea", "Connection": "close"},
                                      response_msg="short & stout")
        if what == "origin":
            raise InvalidOriginError(expected=["https://a"], actual=headers["ORIGIN"])
        if what == "raise":
            raise ValueError(headers["Cookie"])
        if what == "exit":
            raise SystemExit(1)
        if what == "long":
            raise AuthenticationError(response_msg="\ud800" + "\u00e4" * 2000)
        if what == "bare":
            raise AuthenticationError()
        if self.source and str(target_port) != self.source:
            raise AuthenticationError(response_msg=f"not {target_host}:{target_port}")


class Fleet(BaseTokens):
    """Its source is host:port."""

    def lookup(self, token):
        host, port = self.source.rsplit(":", 1)
        return {
            "pair": (host, port),
            "list": [f"[{host}]" if ":" in host else host, int(port)],
            "bytes": [host, port.encode()],
            "unix": ["unix_socket", "/nonexistent"],
            "three": (host, port, "x"),
        }.get(token)
