// A VNC server behind a bridge that has started it itself, and ends it: noVNC in Chromium.
//
//   node wrapped.mjs --bridge PROGRAM --program Xvnc|vncserver
//
// PROGRAM takes websockify's command line. vncserver goes to the background, Xvnc does not.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDesktop, paint, rememberCloses } from './desktop.mjs';
import { check, run, step } from './rig.mjs';

const { values: options } = parseArgs({ options: { bridge: { type: 'string' }, program: { type: 'string' } } });
check(options.bridge && options.program, 'usage: node wrapped.mjs --bridge PROGRAM --program Xvnc|vncserver');

const NOVNC = '/usr/share/novnc';
const ROOT = '#3a6ea5', ON_ROOT = { x: 40, y: 40 };

await run(`${options.program}, wrapped`, 60, async (rig) => {
  const port = await rig.freePort();
  const display = freeDisplay();
  const socket = `/tmp/.X11-unix/X${display}`;
  const home = join(rig.folder, 'home');
  mkdirSync(home);
  const command = [options.program, `:${display}`, '-rfbport', String(port), '-SecurityTypes', 'None', '-geometry', '640x480', '-depth', '24'];
  const mode = options.program === 'vncserver' ? 'ignore' : 'exit';
  if (mode === 'ignore') {
    const session = join(home, 'session'); // It shows nothing of its own, and does not end by itself.
    writeFileSync(session, '#!/bin/sh\nexec sleep 1d\n', { mode: 0o755 });
    command.push('-localhost', 'yes', '-xstartup', session);
  }
  const bridge = rig.spawn(options.bridge, [
    '--web', NOVNC, `127.0.0.1:${port}`, `--wrap-mode=${mode}`, '--', ...command,
  ], { env: { HOME: home } });
  await rig.until('the bridge to see the server listen', () => {
    check(bridge.how === undefined, `the bridge ended with ${bridge.how}`);
    return bridge.output.includes(`${options.program} listens`);
  });
  if (mode === 'ignore') await rig.until('the server to go to the background', () => bridge.output.includes('goes on in the background'));
  step(`${options.program} listens behind the bridge, whose port ${port} it was told`);

  const desktop = { display: `:${display}` };
  // vncserver wants whoever knows its cookie.
  process.env.XAUTHORITY = join(home, '.Xauthority');
  await rig.until('the X server', () => existsSync(socket));
  await paint(rig, desktop, ROOT);
  const browser = await rig.chromium({ viewport: { width: 900, height: 640 } });
  await browser.context.addInitScript(rememberCloses);
  const page = await openDesktop(rig, browser.context, `http://127.0.0.1:${port}/vnc_lite.html`);
  await page.shows('the background', ON_ROOT, ROOT);
  step('noVNC shows its desktop');

  process.kill(bridge.pid, 'SIGTERM');
  const closes = await rig.until('the browser to hear of the end', () => page.page.evaluate(() => globalThis.closes.length && globalThis.closes));
  check(closes.length === 1 && closes[0].code === 1001, `SIGTERM, and the browser saw ${JSON.stringify(closes)} instead of one close 1001`);
  await browser.close();
  await rig.until('the bridge to end', () => bridge.how !== undefined, { seconds: 20 });
  check(bridge.how === 0, `SIGTERM ended the bridge with ${bridge.how}, not with status 0`);
  check(!existsSync(socket), `the X server has left ${socket} behind`);
  step('SIGTERM ends the session, the bridge and the server');
});

function freeDisplay() {
  // Far from those that people and other tests have.
  for (let display = 100 + process.pid % 400; ; display++) {
    if (!existsSync(`/tmp/.X11-unix/X${display}`) && !existsSync(`/tmp/.X${display}-lock`)) return display;
  }
}
