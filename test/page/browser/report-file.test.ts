// Goal: a report that was saved as HTML can be read on a phone, on a desktop and on paper, in a real browser: no word is broken that fits
// into its column, nothing is wider than the page, and a class can be told by its color. What must not happen: a script, a request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Browser } from 'playwright-core';
import { createHtmlReport } from '../../../src/evidence/report/html.js';
import { createTouchCounter, type Touch } from '../../../src/evidence/report/touch.js';
import { plainHead, plainTouch } from '../../kit/gate/touch.js';
import {
  desktop,
  findFaintText,
  findOverflow,
  noBrowser,
  openBrowser,
  openWatched,
  phone,
  shareInFile,
} from '../../kit/plain/browser.js';

const touch: Touch = {
  ...plainTouch,
  time: '2026-11-20T08:00:00.000Z',
  requester: 'anna.katharina.schwarzenberger@support-desk-of-the-second-shift',
  class: 'destroyed',
  kind: 'destroyed',
  reason:
    'The owner of the mailbox asked for it in ticket 4711, and confirmed it by telephone on the same day',
  command: 'mailbox cryptokey password',
  user: 'alice@example.com',
  showed: 'maybe',
  outcome: 'unknown',
};

function makePage(): string {
  const form = createHtmlReport();
  const signedBy = 'H5eJHrv8GsYyeyFfyAu0PKO0EsCEidKXN8RxgWkZIA4=';
  const times = { from: '', to: '', signedTo: '2026-11-30T23:59:00.000Z' };
  const completeness = { isComplete: false, ...times, signedBy, whose: "this host's own key", doubts: [] };
  const counts = { ...createTouchCounter().counts(), deleted: 2 };
  const later = { time: '2026-11-20T19:12:59.000Z' };
  const touches: readonly Partial<Touch>[] = [
    {},
    later,
    { class: 'denied', reached: 'no', outcome: 'denied', ...later },
    { class: 'content', kind: 'content', command: 'fetch', reason: 'x'.repeat(300) },
    { class: 'read', kind: 'read', by: 'mask', reason: '' },
  ];
  const rows = touches.flatMap((more) => form.take({ ...touch, ...more }));
  return [...form.begin(plainHead, completeness, counts), ...rows, ...form.finish()].join('\n');
}

/** Runs in the browser: words of at most 20 characters that stand in more than one line. */
const brokenWords = `(() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode())
    for (const word of node.textContent.matchAll(/\\S+/g)) {
      if (word[0].length > 20) continue;
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (lines.size > 1) found.push(word[0]);
    }
  return found;
})()`;

let browser: Browser;
shareInFile(async (owner) => {
  browser = await openBrowser(owner);
});

// A sheet of A4 on its long side, less its margins.
const sheet = { width: 1031, height: 700 };

for (const [name, size, media] of [
  ['a phone', phone, 'screen'],
  ['a desktop', desktop, 'screen'],
  ['paper', sheet, 'print'],
] as const)
  test(`a saved report on ${name}`, { skip: noBrowser, timeout: 300_000 }, async (t) => {
    const { page, context, faults, requests } = await openWatched(browser, { size });
    t.after(() => context.close());
    await page.emulateMedia({ media });
    await page.setContent(makePage());
    assert.deepEqual(await page.evaluate<string[]>(brokenWords), []);
    assert.deepEqual(await findOverflow(page), []);
    const colorOf = (text: string): Promise<string> =>
      page.evaluate<string>(`(() => {
        const shown = [...document.querySelectorAll('td span')].find((each) => each.textContent === '${text}');
        return getComputedStyle(shown).backgroundColor;
      })()`);
    const colors = await Promise.all(['may have deleted', 'showed content', 'tried, denied'].map(colorOf));
    assert.equal(new Set(colors).size, 3, colors.join(' '));
    assert.ok(await page.getByText('mail-gate-1.example.com').isVisible());
    assert.ok(await page.getByText(/^H5eJHrv8GsYy/).isVisible());
    assert.deepEqual([faults, requests], [[], []]);
    assert.deepEqual(await findFaintText(page), []);
  });
