"""A JWT for the scenarios: sign.py KEY CLAIMS, by an elliptic curve's private key in PEM."""

import sys

from jwcrypto import jwk, jwt

key = jwk.JWK.from_pem(open(sys.argv[1], "rb").read())
token = jwt.JWT(header={"alg": "ES256"}, claims=sys.argv[2])
token.make_signed_token(key)
print(token.serialize())
