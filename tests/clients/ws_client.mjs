// Node's ws against the bridge, in front of a target that echoes.
//
//   node ws_client.mjs URL [--reference]
//
// --reference: the bridge is Python websockify; leave out what it is known to get wrong.
// For wss:// set NODE_EXTRA_CA_CERTS. The package comes from ../browser, so that Node packages are pinned in one place.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const WebSocket = createRequire(new URL('../browser/package.json', import.meta.url))('ws');
const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20];
const url = process.argv[2];
const reference = process.argv.includes('--reference');

let doing = 'starting';
function check(truth, message) {
  if (!truth) throw new Error(message);
}

class Client {
  constructor(socket) {
    this.socket = socket;
    this.got = [];
    this.size = 0;
    this.closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve(`${code} ${reason}`)));
    socket.on('message', (data, binary) => {
      if (!binary) return this.fail?.(new Error('a text frame came'));
      this.got.push(data);
      this.size += data.length;
      this.enough?.();
    });
  }

  static async open(protocols) {
    const socket = new WebSocket(url, protocols, { perMessageDeflate: true, handshakeTimeout: 10_000 });
    const client = new Client(socket);
    await once(socket, 'open');
    check(socket.extensions === '', `it accepted ${socket.extensions}, which it cannot speak`);
    return client;
  }

  async receive(size) {
    const early = this.closed.then((how) => { throw new Error(`closed too early: ${how}`); });
    const all = new Promise((resolve, reject) => {
      this.fail = reject;
      this.enough = () => { if (this.size >= size) resolve(); };
      this.enough();
    });
    await Promise.race([all, early]);
    const bytes = Buffer.concat(this.got);
    this.got = [];
    this.size = 0;
    return bytes;
  }

  async echoes(data, send = () => this.socket.send(data)) {
    send();
    const back = await this.receive(data.length);
    check(back.equals(data), `${data.length} bytes returned as ${back.length} others`);
  }

  async close() {
    this.socket.close(1000, 'done');
    const how = await this.closed;
    check(how === '1000 done', `close 1000 "done" was answered with "${how}"`);
  }
}

async function main() {
  doing = 'one client';
  const one = await Client.open(['binary']);
  check(one.socket.protocol === 'binary', `subprotocol ${one.socket.protocol}`);
  for (const size of SIZES) await one.echoes(randomBytes(size));
  one.socket.ping('are you there');
  const [pong] = await once(one.socket, 'pong');
  check(String(pong) === 'are you there', `the pong carries ${pong}`);
  console.log(`ok   ws: 0 to ${SIZES.at(-1)} bytes, ping, permessage-deflate declined`);

  doing = 'fragments';
  const parts = reference ? [1, 70_000, 0, 300] : [0, 1, 70_000, 0, 300];
  const pieces = parts.map((size) => randomBytes(size));
  await one.echoes(Buffer.concat(pieces), () => pieces.forEach((piece, i) => {
    one.socket.send(piece, { binary: true, compress: false, fin: i === pieces.length - 1 });
    one.socket.ping(); // A control frame may stand between fragments.
  }));
  await one.echoes(Buffer.from('a whole message after the fragments'));
  await one.close();
  console.log('ok   ws: a message in fragments with pings between, close');

  doing = 'two clients at once';
  const pair = await Promise.all([Client.open(['binary']), Client.open(['binary'])]);
  await Promise.all(pair.map((client) => client.echoes(randomBytes(300_000))));
  await pair[0].close();
  await pair[1].echoes(Buffer.from('the second lives on'));
  await pair[1].close();
  console.log('ok   ws: two clients at once');

  doing = 'a client without a subprotocol';
  const plain = await Client.open();
  check(plain.socket.protocol === '', `nobody asked for subprotocol ${plain.socket.protocol}`);
  plain.socket.send('text');
  const how = await plain.closed;
  check(how.startsWith('1003 '), `a text frame was answered with "${how}"`);
  console.log('ok   ws: no subprotocol, text refused');
  console.log('PASS ws_client');
}

function give(error) {
  console.log(`FAIL ws through ${url}, ${doing}: ${error.message}`);
  process.exit(1);
}
if (!url) give(new Error('usage: node ws_client.mjs URL [--reference]'));
setTimeout(() => give(new Error('not done after 60 s')), 60_000).unref();
await main().then(() => process.exit(0), give);
