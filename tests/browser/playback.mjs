// A recording, played by noVNC's own code: Xvnc's desktop is recorded while Chromium shows it, and played in Chromium.
//
//   node playback.mjs --bridge PROGRAM

import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { check, connectionsTo, run, step } from './rig.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const { values: options } = parseArgs({ options: { bridge: { type: 'string' } } });
check(options.bridge, 'usage: node playback.mjs --bridge PROGRAM');

const FIRST = [58, 165, 110], LAST = [138, 47, 75];
const TOLERANCE = 6;
const hex = (colour) => `#${colour.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
const same = (seen, wanted) => wanted.every((part, i) => Math.abs(part - seen[i]) <= TOLERANCE);
const topLeft = (canvas) => [...canvas.getContext('2d').getImageData(20, 20, 1, 1).data];

await run('a recording in noVNC\'s playback', 60, async (rig) => {
  const web = join(rig.folder, 'web');
  for (const part of ['core', 'vendor']) cpSync(join(HERE, 'node_modules/@novnc/novnc', part), join(web, part), { recursive: true });
  for (const part of ['page', 'playback']) cpSync(join(HERE, part), web, { recursive: true });
  mkdirSync(join(web, 'recordings'));

  const xvnc = await rig.xvnc(320, 240);
  const paint = (colour) => rig.tool('xsetroot', ['-display', xvnc.display, '-solid', hex(colour)]);
  await paint(FIRST);
  const port = await rig.freePort();
  const tape = join(web, 'recordings/tape');
  const bridge = await rig.server(port, options.bridge, [`127.0.0.1:${port}`, `localhost:${xvnc.port}`, '--web', web, '--record', tape]);
  const browser = await rig.chromium({ viewport: { width: 400, height: 300 } });
  const live = await browser.context.newPage();
  await live.goto(`http://127.0.0.1:${port}/index.html`);
  const screen = live.locator('#screen canvas');
  const shows = (colour) => rig.until(`the desktop in ${hex(colour)}`, async () => same(await screen.evaluate(topLeft), colour));
  await shows(FIRST);
  await paint(LAST);
  await shows(LAST);
  await live.close();
  await rig.until('the session to end', () => connectionsTo(xvnc.port) === 0);
  step('a desktop was shown, and recorded');

  const file = await rig.until('the recording to be whole', () => {
    // Python counts connections, so its number depends on how many files the browser fetched at once.
    const names = Array.from({ length: 30 }, (_, n) => `tape.${n + 1}`);
    return names.find((name) => {
      try {
        return readFileSync(join(web, 'recordings', name), 'utf8').endsWith("'EOF'];\n");
      } catch {
        return false;
      }
    });
  });
  // Served as a script: by its last name nobody would know that it is one.
  cpSync(join(web, 'recordings', file), join(web, 'recordings/tape.js'));

  const page = await browser.context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  // noVNC takes the screen away at the end: what it showed last is kept.
  await page.addInitScript(() => {
    globalThis.screens = [];
    new MutationObserver((changes) => {
      for (const { removedNodes } of changes) {
        for (const node of removedNodes) globalThis.screens.push(...node.querySelectorAll?.('canvas') ?? []);
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`http://127.0.0.1:${port}/tests/index.html?data=tape.js&iterations=1`);
  const messages = () => page.locator('#messages').inputValue();
  const said = (text) => rig.until(`the player to say "${text}"`, async () => {
    check(!complaints.length, `the player failed: ${complaints}`);
    return (await messages()).includes(text);
  });
  await said('Ready');
  const [, frames] = (await messages()).match(/Loaded (\d+) frames/);
  step(`noVNC's player has read ${frames} frames`);
  await page.locator('#startButton').click();
  await said('1 iterations took');
  check(!(await messages()).includes('disconnected'), await messages());
  const last = await page.evaluate((read) => globalThis.screens.map(eval(read)), topLeft.toString());
  check(last.length === 1 && same(last[0], LAST), `the last frame shows ${JSON.stringify(last)}, not ${LAST}`);
  step('it was played to its last frame, which shows the last desktop');

  await browser.close();
  const how = await rig.end(bridge);
  check(how === 0, `the bridge ended with ${how}`);
});
