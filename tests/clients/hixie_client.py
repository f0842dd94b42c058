"""websocket-client 0.4 of 2011, which speaks draft hixie-76, against a target that echoes. For Python 2.7.

    PYTHONPATH=target/old/sources/websocket-client-0.4 python2.7 hixie_client.py URL
"""

import base64
import os
import sys

import websocket

websocket.setdefaulttimeout(20)
url = sys.argv[1]
for _ in range(20):  # Its keys are random: each connection hides other numbers in them.
    socket = websocket.create_connection(url)
    for size in (1, 2, 3, 1000, 70000):
        data = os.urandom(size)
        socket.send(base64.b64encode(data))
        back = ''
        while len(back) < size:
            back += base64.b64decode(socket.recv())
        if back != data:
            sys.exit('%d bytes came back as others' % size)
    # What its close() does, but for errors that it passes over.
    socket.io_sock.send('\xff\x00')
    if socket.recv() is not None:
        sys.exit('data instead of the goodbye')
print('PASS websocket-client 0.4')
