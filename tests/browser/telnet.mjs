// The telnet page in a real browser, through the bridge, to a real telnetd: a command and its output,
// the size of the window, both ways to end; over TLS; and to a service that does not speak telnet.
//
//   node telnet.mjs --bridge PROGRAM [--web DIR] [--shots DIR] [--login]
//
// --login: a user logs in with name and password, by the machine's own login(1), at a telnetd that the
// bridge has wrapped; as root only, who may put files of users with one more in the place of the
// machine's, for its own children's eyes.

import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { check, run, step } from './rig.mjs';

const { values: options } = parseArgs({
  options: {
    bridge: { type: 'string' }, shots: { type: 'string' }, login: { type: 'boolean' },
    web: { type: 'string', default: fileURLToPath(new URL('../../web', import.meta.url)) },
  },
});
check(options.bridge, 'usage: node telnet.mjs --bridge PROGRAM [--web DIR] [--shots DIR] [--login]');

const TELNETD = '/usr/sbin/telnetd';
const SMALL = { width: 640, height: 400 }, LARGE = { width: 1280, height: 800 };

// With the users of this folder in a namespace of its own; telnetd's log-ins leave no trace outside.
const USERS = `set -e
cp /etc/passwd /etc/shadow .
echo 'visitor:x:54321:54321::/:/bin/sh' >>passwd
echo "visitor:$(openssl passwd -6 secret):19000:0:99999:7:::" >>shadow
mount --bind passwd /etc/passwd
mount --bind shadow /etc/shadow
mount -t tmpfs tmpfs /var/log
exec "$@"`;

await run('telnet page', 60, async (rig) => {
  const telnetd = await rig.freePort();
  const port = await rig.freePort();
  if (options.login) {
    // A new telnetd for each client, in turn, by who binds the port: that is moved, and ours is there.
    await rig.server(port, 'unshare', [
      '--mount', 'sh', '-c', USERS, 'sh', options.bridge, '--web', options.web, '--wrap-mode=respawn', String(port),
      '--', 'busybox', 'nc', '-l', '-p', String(port), '-e', TELNETD,
    ], { cwd: rig.folder });
  } else {
    // Each connection has its telnetd, with a pseudo-terminal, and a shell there.
    await rig.server(telnetd, 'systemd-socket-activate', [
      '--inetd', '--accept', '--listen', `127.0.0.1:${telnetd}`, TELNETD, '--exec-login', '/bin/sh',
    ]);
    const tokens = join(rig.folder, 'tokens');
    writeFileSync(tokens, `a b: 127.0.0.1:${telnetd}\n`);
    await rig.server(port, options.bridge, ['--web', options.web, '--token-plugin', 'TokenFile', '--token-source', tokens, String(port)]);
  }

  const { context } = await rig.chromium({ viewport: SMALL, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const complaints = [], opened = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('websocket', (socket) => opened.push(socket.url()));
  rig.explain('page', () => complaints.join('\n'));

  const text = () => page.evaluate(() => [...document.querySelectorAll('.xterm-rows > div')]
    .map((row) => row.textContent.replaceAll('\u00a0', ' ').trimEnd()));
  let rows = [];
  const shows = (what, test) => rig.until(what, async () => {
    check(!complaints.length, `the page complained: ${complaints.join('; ')}`);
    rows = await text();
    return test(rows);
  }, { detail: () => `: ${rows.join('\n')}` });
  const status = (what) => rig.until(`the status ${what}`, async () => {
    rows = [await page.locator('#status').textContent()];
    return rows[0] === what;
  }, { detail: () => `, not ${rows[0]}` });
  const type = async (line) => { await page.keyboard.type(line); await page.keyboard.press('Enter'); };
  const size = async (name) => {
    await type(`echo ${name}=$(stty size)`);
    let found;
    await shows(`the size that is ${name}`, (all) => {
      found = all.map((row) => row.match(`^${name}=(\\d+) (\\d+)$`)).find(Boolean);
      return found;
    });
    check(Number(found[1]) === rows.length, `the page has ${rows.length} rows and the other side heard of ${found[1]}`);
    return found.slice(1).map(Number);
  };
  const grows = async () => {
    const before = await size('small');
    await page.setViewportSize(LARGE);
    await shows('the terminal to grow', (all) => all.length > before[0]);
    const after = await size('large');
    check(after[0] > before[0] && after[1] > before[1], `${before} became ${after}`);
    step(`the window's size is told: ${before.join('×')} became ${after.join('×')}`);
  };
  const open = async (address) => {
    await page.goto(address);
    await status('Connected');
  };

  const shot = async () => {
    if (!options.shots) return;
    mkdirSync(options.shots, { recursive: true });
    await page.screenshot({ path: join(options.shots, options.login ? 'login.png' : 'telnet.png') });
  };
  if (options.login) {
    await open(`http://localhost:${port}/wstelnet.html?autoconnect=1`);
    await shows('the question for a name', (all) => all.some((row) => row.endsWith('login:')));
    await type('visitor');
    await shows('the question for a password', (all) => all.some((row) => row === 'Password:'));
    await type('secret');
    await shows('a prompt', (all) => all.includes('$'));
    await type('id -un');
    await shows('the output of a command', (all) => all.includes('visitor'));
    check(!rows.some((row) => row.includes('secret')), 'the password is shown');
    step('a user logs in at a wrapped telnetd and runs a command; the password is not shown');
    await grows();
    await shot();
    await type('exit');
    await status('Disconnected: Target closed (1000)');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await shows('the question of the next telnetd', (all) => all.some((row) => row.endsWith('login:')) && !all.includes('visitor'));
    step('the program is there again for the next log-in');
    return;
  }

  await open(`http://localhost:${port}/wstelnet.html?autoconnect=1&path=websockify%3Ftoken%3Da%2520b`);
  check(opened.at(-1) === `ws://localhost:${port}/websockify?token=a%20b`, `it opened ${opened}`);
  step('connects to the path in its query, by a token');

  await shows('a prompt', (all) => all.some((row) => /[#$]$/.test(row)));
  await type('echo $((6*7)) $TERM');
  await shows('the output of a command', (all) => all.includes('42 xterm-256color'));
  const typed = rows.filter((row) => row.includes('6*7'));
  check(typed.length === 1 && typed[0].match(/6\*7/g).length === 1, `what was typed is shown ${typed.length} times: ${typed}`);
  step('runs a command, whose output and terminal type are right');

  await type('cat');
  await type('to and fro');
  // Its answer says that it runs: an earlier interrupt would be the shell's.
  await shows('what cat answers', (all) => all.filter((row) => row === 'to and fro').length === 2);
  await page.keyboard.press('Control+C');
  await type('echo after; printf "Gr\\303\\274\\303\\237e\\n"');
  await shows('the next command after an interrupted one', (all) => all.includes('after') && all.includes('Grüße'));
  step('Control-C interrupts, and UTF-8 is shown');

  await grows();
  await shot();

  await type('exit');
  await status('Disconnected: Target closed (1000)');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await status('Connected');
  await shows('a new prompt', (all) => all.some((row) => /[#$]$/.test(row)) && !all.some((row) => row.includes('large=')));
  await page.getByRole('button', { name: 'Disconnect' }).click();
  await rig.until('the status of an end of ours', async () => (await page.locator('#status').textContent()).endsWith('(1000)'));
  step('ends from both sides, and connects again');

  await secure(rig, telnetd, open, opened);
  await shows('a prompt over TLS', (all) => all.some((row) => /[#$]$/.test(row)));
  check(await page.locator('[name=encrypt]').isDisabled(), 'a page that came by https can choose');
  step('uses TLS when the page came by it');

  const lines = await lineService(rig);
  const other = await rig.freePort();
  await rig.server(other, options.bridge, [String(other), `127.0.0.1:${lines}`]);
  await open(`http://localhost:${port}/wstelnet.html?autoconnect=1&host=127.0.0.1&port=${other}&path=`);
  check(opened.at(-1) === `ws://127.0.0.1:${other}/`, `it opened ${opened.at(-1)}`);
  await shows('the greeting', (all) => all[0] === '220 ready');
  await type('helo');
  await shows('what was typed, and the answer', (all) => all[1] === 'helo' && all[2] === '250 HELO');
  step('reaches a service that does not speak telnet, on another host');
});

/** The same over TLS, with a certificate of an hour's life. */
async function secure(rig, telnetd, open, opened) {
  const certificate = join(rig.folder, 'self.pem');
  await rig.tool('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-keyout', certificate, '-out', certificate,
  ]);
  const port = await rig.freePort();
  await rig.server(port, options.bridge, [
    '--web', options.web, '--cert', certificate, '--ssl-only', String(port), `127.0.0.1:${telnetd}`,
  ]);
  await open(`https://localhost:${port}/wstelnet.html?autoconnect=1`);
  check(opened.at(-1) === `wss://localhost:${port}/websockify`, `it opened ${opened.at(-1)}`);
}

/** A greeting, and each line in capitals: as mail servers talk. */
function lineService(rig) {
  const server = createServer((socket) => {
    let line = '';
    socket.on('error', () => {}).write('220 ready\r\n');
    socket.on('data', (data) => {
      line += data;
      for (let end; (end = line.indexOf('\r\n')) >= 0; line = line.slice(end + 2)) {
        socket.write(`250 ${line.slice(0, end).toUpperCase()}\r\n`);
      }
    });
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server.address().port)); });
}
