// A desktop in noVNC: what it shows, and how its WebSocket ended.

import { check } from './rig.mjs';

const TOLERANCE = 6; // of 255 in each colour: room for the rounding of a lossy encoding, none for another colour

export function paint(rig, { display }, colour) {
  return rig.tool('xsetroot', ['-display', display, '-solid', colour]);
}

/** Runs in the page before its scripts: keeps how each of its WebSockets was closed. */
export function rememberCloses() {
  globalThis.closes = [];
  globalThis.WebSocket = new Proxy(WebSocket, { // Not a subclass: noVNC looks for methods on the object's own prototype.
    construct(Native, all) {
      const socket = new Native(...all);
      socket.addEventListener('close', ({ code, reason }) => globalThis.closes.push({ code, reason }));
      return socket;
    },
  });
}

/** A page with noVNC in it, connected. */
export async function openDesktop(rig, context, url) {
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  const canvas = page.locator('#screen canvas');
  const status = () => page.locator('#status').textContent();
  const pixel = ({ x, y }) => canvas.evaluate((node, [px, py]) => [...node.getContext('2d').getImageData(px, py, 1, 1).data], [x, y]);
  const answer = await page.goto(url);
  check(answer.ok(), `${url}: ${answer.status()}`);
  await rig.until('noVNC to say "Connected"', async () => {
    const closes = await page.evaluate(() => globalThis.closes);
    check(!closes.length, `the WebSocket closed while connecting: ${JSON.stringify(closes)}`);
    check(!complaints.length, `the page failed: ${complaints}`);
    return (await status()).startsWith('Connected');
  });
  return {
    page,
    status,
    async shows(what, at, colour) {
      const wanted = colour.match(/\w\w/g).map((part) => parseInt(part, 16));
      let seen;
      await rig.until(`${what} in the browser`, async () => {
        seen = await pixel(at);
        return wanted.every((part, i) => Math.abs(part - seen[i]) <= TOLERANCE);
      }, { detail: () => `: ${wanted} expected at ${at.x},${at.y}, seen ${seen}` });
    },
    async click({ x, y }) {
      await canvas.click({ position: { x, y } });
    },
  };
}
