// The demo page in a real browser: echo, round trips and throughput all work, without an error.
//
//   node demo.mjs --bridge PROGRAM | --url URL [--any-policy] [--shots DIR]
//
// PROGRAM is started with --demo; URL is a page that somebody serves already.
// --any-policy: accept a server that sends no Content-Security-Policy, as when another program serves the page.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { check, run, step } from './rig.mjs';

const { values: options } = parseArgs({
  options: { bridge: { type: 'string' }, url: { type: 'string' }, shots: { type: 'string' }, 'any-policy': { type: 'boolean' } },
});
check(options.url || options.bridge, 'usage: node demo.mjs --bridge PROGRAM | --url URL [--any-policy] [--shots DIR]');

const ENOUGH = 8 * 1024 * 1024; // bytes: four times what may be on the way, so most of it has made the whole trip

await run('demo page', 60, async (rig) => {
  const url = options.url ?? await serve(rig);
  const browser = await rig.chromium({ viewport: { width: 1280, height: 900 } });
  const page = await browser.context.newPage();
  const complaints = [], asked = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) complaints.push(message.text()); });
  rig.explain('page', () => complaints.join('\n'));
  page.on('request', (request) => asked.push(request.url()));

  const answer = await page.goto(url);
  check(answer.ok(), `${url}: ${answer.status()}`);
  check(/^text\/html\b/.test(answer.headers()['content-type']), `the page came as ${answer.headers()['content-type']}`);
  const policy = answer.headers()['content-security-policy'];
  check(options['any-policy'] || policy?.includes("default-src 'none'"), `the page's Content-Security-Policy is ${policy}`);

  const state = () => page.evaluate(() => ({ ...document.documentElement.dataset }));
  const reaches = async (what, test) => {
    let seen;
    await rig.until(what, async () => {
      check(!complaints.length, `the page complained: ${complaints.join('; ')}`);
      seen = await state();
      check(seen.errors === '0', `the page counts ${seen.errors} errors, the last: ${seen.lastError}`);
      return test(seen);
    }, { detail: () => `: ${JSON.stringify(seen)}` });
    return seen;
  };

  await reaches('the connection to open and its greeting to return', (s) => s.state === 'open' && s.echoCount === '1');
  await page.getByLabel('Line to send').fill('typed by the test: äöü ✓');
  await page.keyboard.press('Enter');
  await reaches('the typed line to return', (s) => s.echoCount === '2');
  step('a typed line returns through the bridge');

  const { rttMedian } = await reaches('twenty round trips', (s) => Number(s.rttSamples) >= 20 && s.rttMedian);
  step(`round trips: median ${Number(rttMedian)} ms`);

  // In the page, not from here: the driver hears of every frame with all its bytes, and falls far behind a flood.
  rig.waiting = '8 MiB to return intact';
  const throughputBytes = await page.evaluate(pour, ENOUGH);
  check(throughputBytes >= ENOUGH, `${throughputBytes} bytes returned, not ${ENOUGH}`);
  await reaches('the last of them to return', (s) => s.throughputState === 'idle');
  step(`throughput: ${throughputBytes} bytes returned intact`);
  if (options.shots) {
    mkdirSync(options.shots, { recursive: true });
    await page.screenshot({ path: join(options.shots, 'demo.png'), fullPage: true });
  }

  await page.getByRole('button', { name: 'Disconnect' }).click();
  const { closeCode } = await reaches('the connection to close', (s) => s.state === 'closed');
  check(closeCode === '1000', `the page closed with 1000 and heard ${closeCode}`);
  await page.getByRole('button', { name: 'Reconnect' }).click();
  await reaches('the connection to open again', (s) => s.state === 'open' && s.echoCount === '3');
  step('disconnects with close 1000 and reconnects');

  const foreign = asked.filter((address) => new URL(address).origin !== new URL(url).origin);
  check(!foreign.length, `the page asked elsewhere: ${foreign}`);
  step('asked nobody but its own server');
});

/** Runs in the page: starts the throughput, stops it when enough has returned, and waits for the rest. */
function pour(enough) {
  const state = document.documentElement.dataset, button = document.getElementById('flood');
  return new Promise((resolve) => {
    new MutationObserver(() => {
      if (state.throughputState === 'running' && Number(state.throughputBytes) >= enough) button.click();
      if (state.throughputState === 'idle') resolve(Number(state.throughputBytes));
    }).observe(document.documentElement, { attributes: true });
    button.click();
  });
}

async function serve(rig) {
  const port = await rig.freePort();
  await rig.server(port, options.bridge, ['--demo', String(port)]);
  return `http://localhost:${port}/`;
}
