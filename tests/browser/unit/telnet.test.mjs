// Option negotiation against the RFCs, in pieces of every size.

import assert from 'node:assert/strict';
import test from 'node:test';
import Telnet, { BINARY, ECHO, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, WINDOW_SIZE } from '../../../web/telnet.js';

const IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, SE = 240;
const NOP = 241, GO_AHEAD = 249, TIMING_MARK = 6, LINEMODE = 34;

const ascii = (text) => [...text].map((character) => character.charCodeAt(0));

/** A terminal, what it sent and what it showed. */
function terminal() {
  const sent = [], shown = [];
  const telnet = new Telnet({ send: (bytes) => sent.push(...bytes), show: (bytes) => shown.push(...bytes), type: 'xterm' });
  return { telnet, sent, shown };
}

/** What is sent and shown after `bytes`, however they come. */
function exchange(bytes, prepare = () => {}) {
  const results = Array.from({ length: bytes.length + 1 }, (_, cut) => {
    const { telnet, sent, shown } = terminal();
    prepare(telnet);
    telnet.receive(Uint8Array.from(bytes.slice(0, cut)));
    telnet.receive(Uint8Array.from(bytes.slice(cut)));
    return { sent, shown };
  });
  for (const result of results) assert.deepEqual(result, results[0], 'the same in two pieces');
  return results[0];
}

test('bytes of a service that does not speak telnet come and go as they are', () => {
  const { telnet, sent, shown } = terminal();
  telnet.receive(Uint8Array.from(ascii('220 ready\r\n')));
  assert.deepEqual([sent, shown], [[], ascii('220 ready\r\n')]);
  telnet.resize(100, 30);
  assert.deepEqual(sent, [], 'nothing is asked for by itself');
});

test('what we can is agreed to, the rest is refused', () => {
  for (const option of [BINARY, SUPPRESS_GO_AHEAD, TERMINAL_TYPE]) {
    assert.deepEqual(exchange([IAC, DO, option]).sent, [IAC, WILL, option]);
  }
  for (const option of [ECHO, TIMING_MARK, LINEMODE, 255]) {
    assert.deepEqual(exchange([IAC, DO, option]).sent, [IAC, WONT, option]);
  }
  for (const option of [BINARY, ECHO, SUPPRESS_GO_AHEAD]) {
    assert.deepEqual(exchange([IAC, WILL, option]).sent, [IAC, DO, option]);
  }
  for (const option of [TERMINAL_TYPE, WINDOW_SIZE, LINEMODE]) {
    assert.deepEqual(exchange([IAC, WILL, option]).sent, [IAC, DONT, option]);
  }
});

test('only a change is answered, so that nobody agrees for ever', () => {
  assert.deepEqual(exchange([IAC, WILL, ECHO, IAC, WILL, ECHO]).sent, [IAC, DO, ECHO]);
  assert.deepEqual(exchange([IAC, WONT, ECHO, IAC, DONT, BINARY]).sent, []);
  assert.deepEqual(
    exchange([IAC, DO, BINARY, IAC, DONT, BINARY, IAC, DONT, BINARY]).sent,
    [IAC, WILL, BINARY, IAC, WONT, BINARY],
  );
});

test('who echoes', () => {
  const { telnet } = terminal();
  assert.equal(telnet.echoes, false);
  telnet.receive(Uint8Array.of(IAC, WILL, ECHO));
  assert.equal(telnet.echoes, true);
  telnet.receive(Uint8Array.of(IAC, WONT, ECHO));
  assert.equal(telnet.echoes, false);
});

test('the terminal says its type when it is asked, after it was agreed to', () => {
  const ask = [IAC, SB, TERMINAL_TYPE, 1, IAC, SE];
  assert.deepEqual(exchange(ask).sent, []);
  assert.deepEqual(
    exchange([IAC, DO, TERMINAL_TYPE, ...ask]).sent,
    [IAC, WILL, TERMINAL_TYPE, IAC, SB, TERMINAL_TYPE, 0, ...ascii('xterm'), IAC, SE],
  );
});

test('the window is told when that is agreed to, and at each change', () => {
  const { telnet, sent } = terminal();
  telnet.resize(132, 43);
  telnet.receive(Uint8Array.of(IAC, DO, WINDOW_SIZE));
  assert.deepEqual(sent.splice(0), [IAC, WILL, WINDOW_SIZE, IAC, SB, WINDOW_SIZE, 0, 132, 0, 43, IAC, SE]);
  telnet.resize(511, 255);
  assert.deepEqual(sent.splice(0), [IAC, SB, WINDOW_SIZE, 1, IAC, IAC, 0, IAC, IAC, IAC, SE], '255 is doubled');
  telnet.receive(Uint8Array.of(IAC, DONT, WINDOW_SIZE));
  telnet.resize(80, 24);
  assert.deepEqual(sent, [IAC, WONT, WINDOW_SIZE]);
});

test('commands are no text, and IAC IAC is a byte of it', () => {
  const bytes = [...ascii('a'), IAC, NOP, ...ascii('b'), IAC, IAC, IAC, GO_AHEAD, ...ascii('c')];
  assert.deepEqual(exchange(bytes), { sent: [], shown: [97, 98, 255, 99] });
});

test('subnegotiations that we do not know, are too long or have no end are left out', () => {
  const long = Array(100_000).fill(7);
  for (const parameters of [[LINEMODE, 1, 2], [LINEMODE, IAC, IAC, 5], [LINEMODE, ...long], []]) {
    const bytes = [...ascii('a'), IAC, SB, ...parameters, IAC, SE, ...ascii('b')];
    const { telnet, sent, shown } = terminal();
    telnet.receive(Uint8Array.from(bytes));
    assert.deepEqual([sent, shown], [[], ascii('ab')]);
  }
  assert.deepEqual(exchange([IAC, SB, LINEMODE, IAC, WILL, ECHO, 97]), { sent: [IAC, DO, ECHO], shown: [97] });
});

test('a return with NUL behind it is a return', () => {
  assert.deepEqual(exchange([...ascii('a\r'), 0, ...ascii('b\r\nc\r'), 0]).shown, ascii('a\rb\r\nc\r'));
  assert.deepEqual(exchange([13, IAC, WILL, ECHO, 0]).shown, [13, 0], 'only right behind it');
  assert.deepEqual(exchange([IAC, WILL, BINARY, 13, 0]).shown, [13, 0], 'in binary it is itself');
});

test('what is typed', () => {
  const { telnet, sent } = terminal();
  const typed = (text) => { telnet.type(text); return sent.splice(0); };
  assert.deepEqual(typed('ls\r'), ascii('ls\r\n'), 'a line to who reads lines');
  telnet.receive(Uint8Array.of(IAC, WILL, ECHO));
  sent.splice(0);
  assert.deepEqual(typed('ls\r'), [...ascii('ls\r'), 0], 'a key to who sees keys');
  assert.deepEqual(typed('ä\u{1f600}'), [...new TextEncoder().encode('ä\u{1f600}')]);
  telnet.receive(Uint8Array.of(IAC, DO, BINARY));
  sent.splice(0);
  assert.deepEqual(typed('\r'), [13]);
});
