// A desktop in noVNC in Chromium, while the service between them is restarted and killed.
//
//   node survival.mjs --url URL --vnc-port PORT --restart COMMAND --kill COMMAND [--shots DIR]
//
// URL is noVNC's vnc_lite.html, served by the bridge, whose target is PORT of this machine. Each command is a line for
// sh; it ends when the service is there again. tests/systemd/scenarios/novnc.sh runs this in a container's network.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDesktop, paint, rememberCloses } from './desktop.mjs';
import { check, run, step } from './rig.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    'vnc-port': { type: 'string' },
    restart: { type: 'string' },
    kill: { type: 'string' },
    shots: { type: 'string' },
  },
});
check(options.url && options['vnc-port'] && options.restart && options.kill, 'usage: see the head of this file');

const ROOT = '#3a6ea5', ROOT_LATER = '#8a2f4b';
const ON_ROOT = { x: 40, y: 40 };
const ROUNDS = 3;

await run('noVNC through restarts', 100, async (rig) => {
  const xvnc = await rig.xvnc(640, 480, Number(options['vnc-port']));
  await paint(rig, xvnc, ROOT);
  const { context } = await rig.chromium({ viewport: { width: 900, height: 640 } });
  await context.addInitScript(rememberCloses);
  const desktop = await openDesktop(rig, context, options.url);
  await desktop.shows('the background', ON_ROOT, ROOT);
  const before = await desktop.page.screenshot();

  for (const how of ['restart', 'kill']) {
    for (let round = 0; round < ROUNDS; round++) {
      await rig.tool('sh', ['-c', options[how]]);
      for (const colour of [ROOT_LATER, ROOT]) {
        await paint(rig, xvnc, colour);
        await desktop.shows(`what was painted after ${how} ${round}`, ON_ROOT, colour);
      }
    }
    const closes = await desktop.page.evaluate(() => globalThis.closes);
    check(closes.length === 0, `the browser's WebSocket closed: ${JSON.stringify(closes)}`);
    check((await desktop.status()).startsWith('Connected'), `noVNC says ${await desktop.status()}`);
    step(`after ${ROUNDS} times ${how} noVNC still shows what is painted, in the same session`);
  }
  const after = await desktop.page.screenshot();
  if (options.shots) {
    mkdirSync(options.shots, { recursive: true });
    writeFileSync(join(options.shots, 'survival-before.png'), before);
    writeFileSync(join(options.shots, 'survival-after.png'), after);
  }
  check(before.equals(after), 'the screenshots before and after differ; --shots keeps them');
  step('the screenshots before and after are the same');
});
