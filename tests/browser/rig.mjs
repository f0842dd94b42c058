// What the browser tests share: children that cannot outlive the test, waiting with a deadline, Xvnc, Chromium.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { chromium } from 'playwright-core';

const POLL = 25; // ms between two looks at something that announces itself to nobody, a port or a file
const KEPT = 4000; // characters of a child's output worth showing when the test fails

export class Failure extends Error {}

export function check(truth, message) {
  if (!truth) throw new Failure(message);
}

export function step(text) {
  console.log(`ok   ${text}`);
}

/** Runs a test with its rig, takes everything down again, and ends the process with the test's result. */
export async function run(name, seconds, test) {
  const rig = new Rig(seconds);
  let late;
  const ending = new Promise((_, reject) => {
    const give = (why) => () => reject(new Failure(`${why}, while waiting for: ${rig.waiting ?? 'nothing named'}`));
    late = setTimeout(give(`not done after ${seconds} s`), seconds * 1000);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, give(`ended by ${signal}`));
  });
  process.once('exit', () => rig.killAll());
  let status = 0;
  try {
    await Promise.race([test(rig), ending]);
    console.log(`PASS ${name}`);
  } catch (error) {
    status = 1;
    console.log(`FAIL ${name}: ${stripVTControlCharacters(error instanceof Failure ? error.message : error.stack)}`);
    rig.showOutput();
  }
  clearTimeout(late);
  await rig.down();
  process.exit(status);
}

class Rig {
  #children = [];
  #undo = [];
  #explanations = [];
  waiting;

  constructor(seconds) {
    this.until_ = Date.now() + seconds * 1000;
    this.folder = mkdtempSync(join(tmpdir(), 'websockify-browser-'));
  }

  /** Looks until `look` gives something true. Its errors count as "not yet" and are told, with `detail()`, if time runs out. */
  async until(what, look, { seconds = 15, detail = () => '' } = {}) {
    const end = Math.min(this.until_, Date.now() + seconds * 1000);
    this.waiting = what;
    let last = '';
    for (;;) {
      try {
        const seen = await look();
        if (seen) return seen;
      } catch (error) {
        if (error instanceof Failure) throw error;
        last = ` (${error.message})`;
      }
      if (Date.now() > end) throw new Failure(`waited in vain for ${what}${last}${detail()}`);
      await pause(POLL);
    }
  }

  /** A child in a group of its own, which the kernel kills if this process dies without taking it down. */
  spawn(command, args, { env, cwd, stdio } = {}) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      detached: true, cwd, env: { ...process.env, ...env }, stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
    });
    child.name = basename(command);
    child.output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data) => { child.output = (child.output + data).slice(-KEPT); });
    }
    child.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? code));
      child.once('error', (error) => resolve(error.message));
    });
    child.ended.then((how) => { child.how = how; });
    this.#children.push(child);
    return child;
  }

  /** Runs a short command to its end. */
  async tool(command, args, options) {
    this.waiting = command;
    const child = this.spawn(command, args, options);
    const how = await child.ended;
    check(how === 0, `${command} ${args.join(' ')}: ended with ${how}: ${child.output}`);
  }

  /** A port that is free now; whoever is to listen on it takes it at once. */
  freePort() {
    return new Promise((resolve, reject) => {
      const server = createServer().once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(port));
      });
    });
  }

  /** Starts a server and waits until its port answers. */
  async server(port, command, args, options) {
    const child = this.spawn(command, args, options);
    await this.until(`${child.name} to listen on port ${port}`, () => {
      check(child.how === undefined, `${child.name} ended with ${child.how} before it listened`);
      return accepts(port);
    });
    return child;
  }

  /** Asks a child to end and says how it did: an exit status or a signal's name. */
  async end(child, seconds = 10) {
    process.kill(child.pid, 'SIGTERM');
    await this.until(`${child.name} to end after SIGTERM`, () => child.how !== undefined, { seconds });
    return child.how;
  }

  /** A VNC server whose screen shows nothing yet, at a free port unless one is given. */
  async xvnc(width, height, given) {
    const port = given ?? await this.freePort();
    const child = this.spawn('Xvnc', [
      '-displayfd', '3', '-rfbport', String(port), '-localhost', '-SecurityTypes', 'None',
      '-geometry', `${width}x${height}`, '-depth', '24', '-nolisten', 'tcp',
    ], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    let said = '';
    child.stdio[3].on('data', (data) => { said += data; });
    await this.until('Xvnc to name its display', () => {
      check(child.how === undefined, `Xvnc ended with ${child.how}`);
      return said.endsWith('\n');
    });
    return { child, port, display: `:${said.trim()}` };
  }

  /** A browser context; `close` ends the browser with it. `authority` is a PEM file of one more that it trusts. */
  async chromium(settings, authority) {
    const env = { ...process.env };
    if (authority) {
      env.HOME = join(this.folder, 'home'); // Where it looks for its user's certificates.
      const database = join(env.HOME, '.pki/nssdb');
      mkdirSync(database, { recursive: true });
      await this.tool('certutil', ['-N', '-d', `sql:${database}`, '--empty-password']);
      await this.tool('certutil', ['-A', '-d', `sql:${database}`, '-n', 'test', '-t', 'C,,', '-i', authority]);
    }
    // As root there is no sandbox; the rest keeps a closed network's machine from looking for its vendor.
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      env,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    this.#undo.push(() => browser.close());
    const context = await browser.newContext(settings);
    context.setDefaultTimeout(15_000);
    return { context, close: () => browser.close() };
  }

  /** What to tell, beside the children's output, if the test fails. */
  explain(name, text) {
    this.#explanations.push([name, text]);
  }

  showOutput() {
    for (const [name, text] of this.#explanations) console.log(`---- ${name}\n${text()}`);
    for (const { name, output, how } of this.#children) {
      if (output) console.log(`---- ${name} (${how === undefined ? 'running' : how})\n${output.trimEnd()}`);
    }
  }

  killAll(signal = 'SIGKILL') {
    for (const { pid } of this.#children) {
      try { process.kill(-pid, signal); } catch { /* the whole group has ended */ }
    }
  }

  async down() {
    for (const undo of this.#undo.reverse()) await Promise.race([undo(), pause(5000)]).catch(() => {});
    this.killAll('SIGTERM'); // An X server that is killed outright leaves its lock behind.
    await Promise.race([Promise.all(this.#children.map((child) => child.ended)), pause(2000)]);
    this.killAll();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (answer) => { socket.destroy(); resolve(answer); };
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}

/** How many TCP connections the server on this local port holds: the kernel's word, whatever the bridge believes. */
export function connectionsTo(port) {
  const ESTABLISHED = '01', wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((table) => readFileSync(table, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === ESTABLISHED && local.endsWith(`:${wanted}`)).length;
}
