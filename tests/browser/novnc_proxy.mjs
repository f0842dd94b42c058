// noVNC's own start script finds and runs our program, as an installed command and as a checkout beside it.
//
//   node novnc_proxy.mjs --bridge PROGRAM [--novnc DIR]
//
// DIR holds utils/novnc_proxy and vnc.html, as Debian's /usr/share/novnc (the default) or a checkout of noVNC does.

import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { check, connectionsTo, run, step } from './rig.mjs';

const { values: options } = parseArgs({
  options: { bridge: { type: 'string' }, novnc: { type: 'string', default: '/usr/share/novnc' } },
});
check(options.bridge, 'usage: node novnc_proxy.mjs --bridge PROGRAM [--novnc DIR]');
const program = resolve(options.bridge);
const script = join(options.novnc, 'utils/novnc_proxy');

await run('novnc_proxy', 60, async (rig) => {
  check(existsSync(script), `no ${script}`);
  const xvnc = await rig.xvnc(320, 240);

  const bin = join(rig.folder, 'bin');
  mkdirSync(bin);
  symlinkSync(program, join(bin, 'websockify'));
  await serve(rig, xvnc, 'an installed websockify', {
    script, found: `Using installed websockify at ${bin}/websockify`, env: { PATH: `${bin}:${process.env.PATH}` },
  });
  // The script puts these behind the two addresses: options must be welcome anywhere on the command line.
  await serve(rig, xvnc, 'with options behind the addresses', {
    script, found: `Using installed websockify at ${bin}/websockify`, env: { PATH: `${bin}:${process.env.PATH}` },
    more: ['--heartbeat', '5', '--idle-timeout', '50', '--timeout', '50'],
  });

  const utils = join(rig.folder, 'checkout/utils');
  mkdirSync(join(utils, 'websockify'), { recursive: true });
  symlinkSync(program, join(utils, 'websockify/run'));
  cpSync(script, join(utils, 'novnc_proxy'));
  cpSync(join(options.novnc, 'vnc.html'), join(rig.folder, 'checkout/vnc.html'));
  await serve(rig, xvnc, 'a checkout beside it', {
    script: join(utils, 'novnc_proxy'), found: `Using local websockify at ${utils}/websockify/run`,
  });
});

async function serve(rig, xvnc, name, { script, found, env, more = [] }) {
  const port = await rig.freePort();
  const proxy = rig.spawn(script, ['--listen', String(port), '--vnc', `localhost:${xvnc.port}`, ...more], { cwd: rig.folder, env });
  const url = await rig.until('novnc_proxy to announce its address', () => {
    check(proxy.how === undefined, `novnc_proxy ended with ${proxy.how}`);
    return proxy.output.match(/Navigate to this URL:\s+(http:\S+)/)?.[1];
  });
  check(proxy.output.includes(found), `novnc_proxy did not say "${found}"`);

  const announced = new URL(url);
  check(announced.port === String(port) && announced.pathname === '/vnc.html', `it announced ${url}`);
  const page = await fetch(`http://127.0.0.1:${port}${announced.pathname}`); // The announced host name may not resolve here.
  check(page.status === 200 && (await page.text()).includes('noVNC'), `vnc.html came with status ${page.status}`);

  const greeting = await greetingThrough(rig, `ws://127.0.0.1:${port}/websockify`);
  check(/^RFB 003\.008\n$/.test(greeting), `the VNC server's greeting came as ${JSON.stringify(greeting)}`);
  await rig.until('the session to end', () => connectionsTo(xvnc.port) === 0);

  await rig.end(proxy);
  await rig.until('the bridge to end with it', () => fetch(`http://127.0.0.1:${port}/`).then(() => false, () => true));
  step(`${name}: page, WebSocket and end`);
}

function greetingThrough(rig, url) {
  rig.waiting = `the VNC server's greeting through ${url}`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { handshakeTimeout: 10_000 });
    socket.once('error', reject);
    socket.once('close', (code, reason) => reject(new Error(`closed before the greeting: ${code} ${reason}`)));
    socket.once('message', (data) => { socket.close(1000); resolve(data.toString('latin1')); });
  });
}
