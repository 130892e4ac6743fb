// `npm run bench -- browser [ROUNDS] [SECONDS]`: what the page costs a real Chromium: first paint of the sign-in and of Now, and the
// processor time of all its processes while Now is open and commands run without a pause, with one change a second, as a gate sends them,
// and with five, the maximum; beside those of an empty page, and of one with a single text that changes 5 times a second. Needs chromium
// (scripts/packages.sh page). It draws without a graphics card here, so a desktop takes less.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { openPageDaemon, signIn } from '../../kit/gate/page-daemon.js';
import type { Script } from '../../kit/gate/script.js';
import { openBrowser, openWatched } from '../../kit/plain/browser.js';
import { withOwner } from '../../kit/plain/folder.js';
import { spreadOf } from './load/rounds.js';

const [rounds = 7, seconds = 20] = process.argv.slice(2).map(Number);

const say = (what: string, figures: readonly number[], unit: string): void => {
  const { median, from, to } = spreadOf(figures);
  console.log(`${what.padEnd(48)} ${median.toFixed(1)} ${unit} (${from.toFixed(1)} to ${to.toFixed(1)})`);
};

const answer: Script = async (_command, connection) => {
  await connection.row('User quota', 'STORAGE', '1814', '10240', '17');
  await connection.status('+');
};

/** Runs in the browser: repeats each event of `/api/now` five times. At 190 ms they fit into the second between two events. */
const fiveOfEach = `
  const ask = window.fetch;
  window.fetch = async (...words) => {
    const answer = await ask(...words);
    if (!answer.url.endsWith('/api/now')) return answer;
    let text = '';
    const repeat = async (piece, out) => {
      text += piece;
      for (let end = text.indexOf('\\n\\n'); end >= 0; end = text.indexOf('\\n\\n')) {
        const event = text.slice(0, end + 2);
        text = text.slice(end + 2);
        for (let times = 0; times < 5; times += 1) {
          if (times > 0) await new Promise((resolve) => setTimeout(resolve, 190));
          out.enqueue(event);
          window.told = (window.told ?? 0) + 1;
        }
      }
    };
    const told = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TransformStream({ transform: repeat }))
      .pipeThrough(new TextEncoderStream());
    return new Response(told, answer);
  };`;

await withOwner(async (owner) => {
  const daemon = await openPageDaemon(owner, { script: answer });
  const browser = await openBrowser(owner);
  const painted = async (page: Page): Promise<number> => {
    for (;;) {
      const ms = await page.evaluate<number>(
        'performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0',
      );
      if (ms > 0) return ms;
      await sleep(10);
    }
  };

  const paints: Record<'sign-in' | 'Now', number[]> = { 'sign-in': [], Now: [] };
  for (let n = 0; n < rounds; n += 1) {
    // A context of its own has nothing in its cache.
    const { page, context } = await openWatched(browser);
    await page.goto(daemon.origin);
    await page.getByLabel('Name', { exact: true }).waitFor();
    paints['sign-in'].push(await painted(page));
    await signIn(page, daemon.origin, 'auditor');
    await page.reload();
    await page.getByRole('navigation', { name: 'Screens' }).waitFor();
    paints.Now.push(await painted(page));
    await context.close();
  }
  for (const [screen, figures] of Object.entries(paints)) say(`first paint: ${screen}`, figures, 'ms');

  const { page } = await openWatched(browser);
  const session = await browser.newBrowserCDPSession();
  /** Seconds of processor time of all processes of the browser. */
  const used = async (): Promise<number> => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
  const share = async (): Promise<number> => {
    const [before, startMs] = [await used(), performance.now()];
    await sleep(seconds * 1000);
    return ((await used()) - before) / ((performance.now() - startMs) / 1000);
  };
  await sleep(3_000);
  const empty = await share();
  say('an empty page: of one processor', [empty * 100], '%');
  // Baseline: the cost of the smallest page that changes 5 times a second on this machine.
  await page.setContent('<p id="text"></p>');
  await page.evaluate(
    'setInterval(() => { document.querySelector("#text").textContent = String(Date.now()); }, 200)',
  );
  await sleep(3_000);
  say('one text that changes 5 times a second', [(await share()) * 100], '%');
  await signIn(page, daemon.origin, 'auditor');
  const client = await daemon.accountClient('migrator');
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      client.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      await client.readReply();
      await sleep(20);
    }
  })();
  await sleep(3_000);
  say('Now beside commands: of one processor', [(await share()) * 100], '%');
  await page.addInitScript(fiveOfEach);
  await page.reload();
  await page.getByRole('navigation', { name: 'Screens' }).waitFor();
  await sleep(3_000);
  const before = await page.evaluate<number>('window.told');
  const busy = await share();
  const told = ((await page.evaluate<number>('window.told')) - before) / seconds;
  say(`the same, told ${told.toFixed(1)} changes a second`, [busy * 100], '%');
  over.abort();
  await asking;
  await page.reload();
  await sleep(15_000);
  say('Now without commands, told as much', [(await share()) * 100], '%');
});
process.exit();
