// Makes the README's picture: a desktop in a browser, through the bridge.
//
//   node picture.mjs --bridge PROGRAM --to PNG

import { existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { paint } from './desktop.mjs';
import { check, run, step } from './rig.mjs';

const { values: options } = parseArgs({ options: { bridge: { type: 'string' }, to: { type: 'string' } } });
check(options.bridge && options.to, 'usage: node picture.mjs --bridge PROGRAM --to PNG');

await run('the picture', 60, async (rig) => {
  const port = await rig.freePort();
  const xvnc = await rig.xvnc(880, 500);
  await paint(rig, xvnc, '#2d4a63');
  const log = join(rig.folder, 'log'), control = join(rig.folder, 'control');
  writeFileSync(log, `$ websockify --web /usr/share/novnc ${port} localhost:${xvnc.port}\n`);
  const shown = openSync(log, 'a');
  await rig.server(port, options.bridge, [
    '--web', '/usr/share/novnc', '--control-socket', control, `127.0.0.1:${port}`, `localhost:${xvnc.port}`,
  ], { stdio: ['ignore', shown, shown] });
  const terminal = (geometry, colours, command) => rig.spawn('xterm', [
    '-geometry', geometry, '-fa', 'DejaVu Sans Mono', '-fs', '10', ...colours, '-e', 'sh', '-c', command,
  ], { env: { DISPLAY: xvnc.display } });
  terminal('82x5+30+26', ['-bg', '#10222f', '-fg', '#d7e3ea'], `tail -n +1 -f '${log}'`);
  const { context } = await rig.chromium({ viewport: { width: 960, height: 560 } });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/vnc.html?autoconnect=1&resize=off`);
  await page.locator('html.noVNC_connected').waitFor();
  await page.locator('#noVNC_control_bar_handle').click();
  const asked = join(rig.folder, 'asked');
  const list = `echo '$ websockify ctl list'; '${options.bridge}' ctl --control-socket '${control}' list; touch '${asked}'; exec cat`;
  terminal('64x18+330+160', ['-bg', '#f4f1e8', '-fg', '#333333'], list);
  await rig.until('the list of sessions', () => existsSync(asked));
  await page.locator('#noVNC_status.noVNC_open').waitFor({ state: 'detached' }); // Its notice of the connection.
  await page.screenshot({ path: options.to });
  step(`${options.to} is made`);
});
