// The queues of Websock, over real WebSockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import Websock from '../../../web/websock.js';

/** A Websock and the other end of its connection. */
async function pair(t) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const sock = new Websock();
  const opened = new Promise((resolve) => { sock.on('open', resolve); });
  const arrived = once(server, 'connection');
  sock.attach(new WebSocket(`ws://127.0.0.1:${server.address().port}`));
  assert.equal(sock.readyState, 'connecting');
  const [[peer]] = await Promise.all([arrived, opened]);
  t.after(() => { sock.close(); server.close(); for (const client of server.clients) client.terminate(); });
  return { sock, peer };
}

/** Sends messages and returns when the last has come. */
async function receive({ sock, peer }, ...messages) {
  let come = 0;
  const all = new Promise((resolve) => {
    sock.on('message', () => { if (++come === messages.length) resolve(); });
  });
  for (const message of messages) peer.send(message);
  await all;
}

test('numbers, strings and bytes are read from the front', async (t) => {
  const ends = await pair(t);
  const { sock } = ends;
  await receive(ends, Buffer.from([1, 2, 3, 255, 255, 255, 254]), Buffer.from('Grüße', 'latin1'), Buffer.from([9, 8, 7, 6]));
  assert.equal(sock.rQlen(), 16);
  assert.equal(sock.rQpeek8(), 1);
  assert.equal(sock.rQshift8(), 1);
  assert.equal(sock.rQshift16(), 0x0203);
  assert.equal(sock.rQshift32(), 0xfffffffe, 'without a sign');
  assert.equal(sock.rQshiftStr(5), 'Grüße');
  assert.deepEqual([...sock.rQslice(1, 3)], [8, 7]);
  assert.deepEqual([...sock.rQpeekBytes(2)], [9, 8]);
  sock.rQskipBytes(1);
  const target = new Uint8Array(2);
  sock.rQshiftTo(target, 2);
  assert.deepEqual([...target], [8, 7]);
  assert.deepEqual([...sock.rQshiftBytes()], [6]);
  assert.equal(sock.rQlen(), 0);
  assert.throws(() => sock.rQshift8(), RangeError);
});

test('a record that has not come whole is waited for, and read again from its begin', async (t) => {
  const ends = await pair(t);
  const { sock } = ends;
  await receive(ends, Buffer.from([0, 3, 65]));
  assert.equal(sock.rQwait('length', 2), false);
  assert.equal(sock.rQshift16(), 3);
  assert.equal(sock.rQwait('text', 3, 2), true);
  assert.equal(sock.rQlen(), 3);
  assert.throws(() => sock.rQwait('text', 9, 1), RangeError);
  await receive(ends, Buffer.from([66, 67]));
  assert.equal(sock.rQshift16(), 3);
  assert.equal(sock.rQwait('text', 3, 2), false);
  assert.equal(sock.rQshiftStr(3), 'ABC');
});

test('the queue grows with what waits in it, and keeps it', async (t) => {
  const ends = await pair(t);
  const { sock } = ends;
  const sent = Buffer.alloc(1_000_000).map((_, i) => (i * 7) & 255);
  await receive(ends, sent.subarray(0, 60_000));
  assert.deepEqual(Buffer.from(sock.rQshiftBytes(50_000)), sent.subarray(0, 50_000));
  await receive(ends, sent.subarray(60_000, 500_000), sent.subarray(500_000));
  assert.deepEqual(Buffer.from(sock.rQshiftBytes()), sent.subarray(50_000));
  await receive(ends, sent);
  assert.equal(sock.rQshiftStr(), sent.toString('latin1'));
});

test('what is pushed leaves as one message, and a long one in several', async (t) => {
  const { sock, peer } = await pair(t);
  const messages = [];
  const size = () => messages.reduce((sum, message) => sum + message.length, 0);
  const heard = (length) => new Promise((resolve) => {
    peer.on('message', (data) => { messages.push(data); if (size() === length) resolve(); });
  });
  const first = heard(13);
  sock.sQpush8(1);
  sock.sQpush16(0x0203);
  sock.sQpush32(0xfffefdfc);
  sock.sQpushString('üx');
  sock.flush();
  sock.flush();
  sock.send([7, 8]);
  sock.send_string('yz');
  await first;
  assert.deepEqual(messages.map((message) => [...message]), [[1, 2, 3, 255, 254, 253, 252, 252, 120], [7, 8], [121, 122]]);
  peer.removeAllListeners('message');
  messages.length = 0;
  const long = Uint8Array.from({ length: 25_000 }, (_, i) => i);
  const second = heard(long.length);
  sock.send(long);
  await second;
  assert.deepEqual(Buffer.concat(messages), Buffer.from(long));
});

test('the end has a code and a reason', async (t) => {
  const { sock, peer } = await pair(t);
  assert.equal(sock.readyState, 'open');
  const ended = new Promise((resolve) => { sock.on('close', resolve); });
  peer.close(1011, 'Target connection lost');
  const { code, reason } = await ended;
  assert.deepEqual([code, reason, sock.readyState], [1011, 'Target connection lost', 'closed']);
});

test('another connection takes the place of the first, whose end is nobody\'s', async (t) => {
  const ends = await pair(t);
  const { sock, peer } = ends;
  sock.on('close', () => assert.fail('the first connection\'s end was told'));
  const gone = once(peer, 'close');
  const other = await pair(t);
  const opened = new Promise((resolve) => { sock.on('open', resolve); });
  sock.attach(new WebSocket(`ws://127.0.0.1:${other.peer._socket.localPort}`));
  await Promise.all([gone, opened]);
  assert.equal(sock.readyState, 'open');
  sock.off('close');
});

test('before there is a connection', () => {
  const sock = new Websock();
  assert.equal(sock.readyState, 'unused');
  assert.throws(() => sock.on('mesage', () => {}), RangeError);
  sock.close();
  sock.send([1]); // Waits for a connection, which begins without it.
  assert.throws(() => sock.send(new Uint8Array(20_000)), RangeError);
});
