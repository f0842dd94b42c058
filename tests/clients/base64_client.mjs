// Node's ws as websock.js of noVNC 0.4 was where a browser had text frames only; the target echoes.
//
//   node base64_client.mjs URL

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const WebSocket = createRequire(new URL('../browser/package.json', import.meta.url))('ws');
const socket = new WebSocket(process.argv[2], 'base64', { handshakeTimeout: 10_000 });
setTimeout(() => { throw new Error('not done in time'); }, 20_000).unref();
await once(socket, 'open');
if (socket.protocol !== 'base64') throw new Error(`it chose ${socket.protocol}`);
for (const size of [1, 2, 3, 100, 65536, 300_000]) {
  const data = randomBytes(size);
  const parts = [];
  const back = new Promise((resolve) => {
    socket.removeAllListeners('message');
    socket.on('message', (text, binary) => {
      if (binary) throw new Error('a binary frame came');
      parts.push(Buffer.from(String(text), 'base64'));
      if (Buffer.concat(parts).length >= size) resolve();
    });
  });
  socket.send(data.toString('base64'));
  await back;
  if (!Buffer.concat(parts).equals(data)) throw new Error(`${size} bytes came back as others`);
}
socket.close(1000);
const [code] = await once(socket, 'close');
if (code !== 1000) throw new Error(`closed with ${code}`);
