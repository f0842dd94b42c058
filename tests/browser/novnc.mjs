// A real desktop in a real browser: Xvnc behind the bridge, noVNC served by the bridge, in Chromium.
//
//   node novnc.mjs --bridge PROGRAM [--novnc DIR] [--cert PEM [--cafile PEM]] [--shots DIR]
//
// PROGRAM takes websockify's command line. DIR is Debian's /usr/share/novnc or the npm package (the default).

import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openDesktop, paint, rememberCloses } from './desktop.mjs';
import { check, connectionsTo, run, step } from './rig.mjs';

// Node 18, which Debian 12 has, does not know import.meta.dirname.
const HERE = fileURLToPath(new URL('.', import.meta.url));
const { values: options } = parseArgs({
  options: {
    bridge: { type: 'string' },
    novnc: { type: 'string', default: join(HERE, 'node_modules/@novnc/novnc') },
    cert: { type: 'string' },
    cafile: { type: 'string' },
    shots: { type: 'string' },
  },
});
check(options.bridge, 'usage: node novnc.mjs --bridge PROGRAM [--novnc DIR] [--cert PEM [--cafile PEM]] [--shots DIR]');

const SCREEN = { width: 640, height: 480 };
const ROOT = '#3a6ea5', ROOT_LATER = '#8a2f4b', TERMINAL = '#205030';
const TERMINAL_AT = { x: 200, y: 160 };
const ON_ROOT = { x: 40, y: 40 }, IN_TERMINAL = { x: 300, y: 220 };
const TYPED = 'Greetings from the browser, 0123 & ~/|';

await run(`noVNC from ${options.novnc}`, 60, async (rig) => {
  const { folder: web, page: name } = website(rig);
  const xvnc = await rig.xvnc(SCREEN.width, SCREEN.height);
  const typed = join(rig.folder, 'typed');
  await paint(rig, xvnc, ROOT);
  const terminal = rig.spawn('xterm', [
    '-geometry', `40x12+${TERMINAL_AT.x}+${TERMINAL_AT.y}`, '-bw', '0', '-fn', 'fixed', '-bg', TERMINAL, '-fg', 'white',
    '-e', 'sh', '-c', `cat > '${typed}'`,
  ], { env: { DISPLAY: xvnc.display } });
  await rig.until('the terminal to run its program', () => existsSync(typed));
  step(`Xvnc shows a desktop on display ${xvnc.display}, port ${xvnc.port}`);

  const port = await rig.freePort();
  const tls = options.cert ? ['--cert', options.cert, '--ssl-only'] : [];
  const bridge = await rig.server(port, options.bridge, [`127.0.0.1:${port}`, `localhost:${xvnc.port}`, '--web', web, ...tls]);
  step(`the bridge listens on port ${port}`);

  const browser = await rig.chromium({ viewport: { width: 900, height: 640 }, ignoreHTTPSErrors: Boolean(options.cert && !options.cafile) }, options.cafile);
  const { context } = browser;
  await context.addInitScript(rememberCloses);
  const url = `${options.cert ? 'https' : 'http'}://127.0.0.1:${port}/${name}`;
  const open = () => openDesktop(rig, context, url);

  const first = await open();
  await first.shows('the background', ON_ROOT, ROOT);
  await first.shows('the terminal', IN_TERMINAL, TERMINAL);
  step('noVNC is connected and shows the desktop, pixel for pixel where it was painted');
  if (options.shots) {
    mkdirSync(options.shots, { recursive: true });
    await first.page.screenshot({ path: join(options.shots, `${name}.png`) });
  }

  await first.click(IN_TERMINAL); // Without a window manager the keys go to whatever is under the pointer.
  await first.page.keyboard.type(TYPED);
  await first.page.keyboard.press('Enter');
  const arrived = () => readFileSync(typed, 'utf8');
  await rig.until('the typed line to arrive in the terminal', () => arrived() === `${TYPED}\n`, { detail: () => `: it has ${JSON.stringify(arrived())}` });
  step('keys typed in the browser arrive in the terminal');

  const second = await open();
  await second.shows('the background', ON_ROOT, ROOT);
  // The kernel's table may leave one out that others come and go beside.
  await rig.until('Xvnc to hold two connections', () => connectionsTo(xvnc.port) === 2);
  await first.page.close();
  await rig.until('the bridge to end the first session', () => connectionsTo(xvnc.port) === 1);
  await paint(rig, xvnc, ROOT_LATER);
  await second.shows('the new background', ON_ROOT, ROOT_LATER);
  step('closing one page ends its session and leaves the other alive');

  if (existsSync(join(web, 'vnc.html'))) {
    const full = await context.newPage();
    await full.goto(new URL('vnc.html?autoconnect=1', url).href);
    await full.locator('html.noVNC_connected').waitFor();
    await full.close();
    await rig.until('the bridge to end the session of vnc.html', () => connectionsTo(xvnc.port) === 1);
    step('the full page, vnc.html, connects too');
  }

  await rig.end(terminal);
  await rig.end(xvnc.child);
  const closes = await rig.until('the browser to hear that the desktop is gone', () => second.page.evaluate(() => globalThis.closes.length && globalThis.closes));
  check(closes.length === 1 && closes[0].code === 1000, `the target ended, the browser saw ${JSON.stringify(closes)} instead of one close 1000`);
  await rig.until('noVNC to say so', async () => await second.status() === 'Disconnected');
  step(`the end of the target reaches noVNC as close ${closes[0].code} "${closes[0].reason}"`);

  check(bridge.how === undefined, `the bridge ended by itself: ${bridge.how}`);
  await browser.close(); // It keeps idle HTTP connections open for as long as it lives.
  await rig.until('the bridge to let the browser go', () => connectionsTo(port) === 0);
  const how = await rig.end(bridge);
  check(how === 0, `SIGTERM ended the bridge with ${how}, not with status 0`);
  step('no session is left, and SIGTERM ends the bridge with status 0');
});

function website(rig) {
  if (existsSync(join(options.novnc, 'vnc_lite.html'))) return { folder: options.novnc, page: 'vnc_lite.html' };
  check(existsSync(join(options.novnc, 'core/rfb.js')), `no noVNC in ${options.novnc}: neither vnc_lite.html nor core/rfb.js`);
  // Copies, not links: a careful web server does not follow links out of its folder.
  const folder = join(rig.folder, 'web');
  cpSync(join(HERE, 'page'), folder, { recursive: true });
  for (const part of ['core', 'vendor']) cpSync(join(options.novnc, part), join(folder, part), { recursive: true });
  return { folder, page: 'index.html' };
}
