"""Makes JWTs as other implementations do: a line of JSON in, a token out.

  by       "jwcrypto" or "pyjwt", or "hand" for what neither would make
  key      file of the key, as websockify reads it
  alg      how to sign; none: not at all
  claims   what to say
  left     seconds that it is valid for from now on, if it expires
  encrypt  alg and enc: the signed token goes into an encrypted one, for the same key
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt as pyjwt
from jwcrypto import jwe, jwk, jws


def key_of(path):
    with open(path, "rb") as file:
        data = file.read()
    if b"-----BEGIN" in data:
        return jwk.JWK.from_pem(data)
    return jwk.JWK(kty="oct", k=data.decode().strip().rstrip("="))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_jwcrypto(spec):
    signed = jws.JWS(json.dumps(spec["claims"]))
    signed.allowed_algs = [spec["alg"]]
    signed.add_signature(key_of(spec["key"]), None, json.dumps({"alg": spec["alg"]}))
    return signed.serialize(compact=True)


def by_pyjwt(spec):
    with open(spec["key"], "rb") as file:
        key = file.read()
    if b"-----BEGIN" not in key:
        key = base64.urlsafe_b64decode(key.strip() + b"==")
    return pyjwt.encode(spec["claims"], key, algorithm=spec["alg"])


def by_hand(spec):
    """A MAC over the key file's very bytes, or no signature."""
    header = {"alg": spec["alg"], **spec.get("header", {})}
    text = ".".join(base64url(json.dumps(it).encode()) for it in (header, spec["claims"]))
    signature = b""
    if spec["alg"].startswith("HS"):
        with open(spec["key"], "rb") as file:
            signature = hmac.new(file.read(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64url(signature)}"


def encrypted(token, spec):
    key = key_of(spec["key"])
    header = {**spec["encrypt"], "cty": "JWT"}
    made = jwe.JWE(token.encode(), json.dumps(header))
    made.allowed_algs = list(spec["encrypt"].values())
    made.add_recipient(key)
    return made.serialize(compact=True)


MAKERS = {"jwcrypto": by_jwcrypto, "pyjwt": by_pyjwt, "hand": by_hand}

for line in sys.stdin:
    spec = json.loads(line)
    if "left" in spec:
        spec["claims"]["exp"] = time.time() + spec["left"]
    token = MAKERS[spec["by"]](spec)
    print(encrypted(token, spec) if "encrypt" in spec else token, flush=True)
