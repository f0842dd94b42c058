// The page: a form that says where, and a terminal. Query parameters fill the form in: host, port,
// path (a token goes here: path=websockify?token=…, percent-encoded), encrypt and autoconnect.

import { FitAddon } from './vendor/xterm/addon-fit.mjs';
import { Terminal } from './vendor/xterm/xterm.mjs';
import Telnet from './telnet.js';
import Websock from './websock.js';

const form = document.getElementById('where');
const { host, port, path, encrypt } = form.elements;
const button = form.querySelector('button');
const status = document.getElementById('status');

const terminal = new Terminal({ cursorBlink: true, scrollback: 10_000 });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById('terminal'));
fit.fit();

const sock = new Websock();
let telnet;

sock.on('open', () => say('Connected'));
sock.on('message', () => {
  telnet.receive(sock.rQshiftBytes());
  sock.flush();
});
sock.on('close', ({ code, reason }) => {
  say(`Disconnected: ${reason || (code === 1000 ? 'the other side ended' : 'the connection failed')} (${code})`);
});

terminal.onData((text) => {
  if (sock.readyState !== 'open') return;
  telnet.type(text);
  if (!telnet.echoes) terminal.write(text.replaceAll('\r', '\r\n').replaceAll('\x7f', '\b \b'));
  sock.flush();
});
terminal.onResize(({ cols, rows }) => {
  telnet?.resize(cols, rows);
  sock.flush();
});
new ResizeObserver(() => fit.fit()).observe(terminal.element.parentElement);

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (['connecting', 'open'].includes(sock.readyState)) {
    sock.close();
    say('Disconnecting…');
  } else {
    connect();
  }
});

fillIn(new URLSearchParams(location.search));

function fillIn(query) {
  const asked = (name) => !['0', 'false', 'no'].includes(query.get(name) ?? '0');
  host.value = query.get('host') ?? location.hostname;
  port.value = query.get('port') ?? location.port;
  path.value = query.get('path') ?? 'websockify';
  // A page that came by https may open nothing else.
  const secure = location.protocol === 'https:';
  encrypt.checked = secure || asked('encrypt');
  encrypt.disabled = secure;
  if (asked('autoconnect')) connect();
}

function connect() {
  let address;
  try {
    address = addressOf(encrypt.checked ? 'wss' : 'ws');
    sock.open(address);
  } catch (error) {
    say(error.message);
    return;
  }
  terminal.reset();
  telnet = new Telnet({
    send: (bytes) => sock.sQpushBytes(bytes),
    show: (bytes) => terminal.write(bytes),
  });
  telnet.resize(terminal.cols, terminal.rows);
  say('Connecting…');
  terminal.focus();
}

/** Beneath this page's folder, if the page's own server is to be asked; a path with a slash before
 * it is taken as it is. */
function addressOf(scheme) {
  const name = host.value.includes(':') && !host.value.startsWith('[') ? `[${host.value}]` : host.value;
  const there = `${scheme}://${name}${port.value && `:${port.value}`}`;
  const own = name === location.hostname && port.value === location.port;
  const folder = own ? new URL('.', location.href).pathname : '/';
  return new URL(path.value, `${there}${folder}`).href;
}

/** Shown to people and to tests alike. */
function say(text) {
  status.value = text;
  document.documentElement.dataset.state = sock.readyState;
  button.textContent = ['connecting', 'open'].includes(sock.readyState) ? 'Disconnect' : 'Connect';
}
