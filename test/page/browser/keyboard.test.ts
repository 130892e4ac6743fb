// Goal: everything by keyboard. Phases: Tab reaches each control of each screen, and shows where it is; the keys of the help; a dialog that
// keeps the focus and closes by Escape, with the focus where it was. What must not happen: a control without a visible focus, a trap.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  browserTest,
  examplePath,
  openPageDaemon,
  screensOf,
  settled,
  shareDesk,
  visit,
} from '../../kit/gate/page-daemon.js';

const desk = shareDesk(async (owner) => {
  const daemon = await openPageDaemon(owner);
  const client = await daemon.client();
  for (const fields of [['quota get'], ['mailbox delete', 'INBOX'], ['mailbox list']]) {
    await client.ask({ user: 'alice@example.org', fields });
  }
  for (const name of ['held1', 'held2']) {
    const waiting = await daemon.client();
    waiting.sendCommand({ user: 'alice@example.org', fields: ['mailbox status', 'messages', name] });
  }
  return daemon;
});

/** Marks what can have the focus, and returns how many there are. */
const markControls = `(() => {
  let count = 0;
  for (const each of document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')) {
    if (each.disabled || each.closest('[inert], dialog:not([open])') !== null) continue;
    if (each.checkVisibility({ checkOpacity: false, checkVisibilityCSS: true }) === false) continue;
    if (each.type === 'radio' && !each.checked) continue;
    each.dataset.control = String(count++);
  }
  return count;
})()`;

/** Records each element that gets the focus from now on: its mark, its HTML, and whether its focus is visible. */
const watchFocus = `(() => {
  const seen = (globalThis.focusSeen = []);
  document.activeElement?.blur();
  document.addEventListener('focusin', ({ target: each }) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(each);
    const isShown = (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
    const { width, height } = each.getBoundingClientRect();
    const what = each.outerHTML.slice(0, 120);
    if (seen === globalThis.focusSeen)
      seen.push({ mark: each.dataset.control ?? '', what, isShown: isShown && width > 0 && height > 0 });
  });
})()`;

interface Focused {
  readonly mark: string;
  readonly what: string;
  readonly isShown: boolean;
}

async function tabThrough(page: Page): Promise<string[]> {
  const count = await page.evaluate<number>(markControls);
  await page.evaluate(watchFocus);
  let all: readonly Focused[] = [];
  const marks = (): Set<string> => new Set(all.map(({ mark }) => mark).filter((mark) => mark !== ''));
  for (let pressed = 0; pressed < count + 10 && marks().size < count; pressed += 10) {
    for (let n = 0; n < 10; n += 1) await page.keyboard.press('Tab');
    all = await page.evaluate<Focused[]>('focusSeen');
  }
  const hidden = all.filter(({ isShown }) => !isShown).map(({ what }) => `no visible focus: ${what}`);
  const missed = await page.evaluate<string[]>(
    `[...document.querySelectorAll('[data-control]')].filter((each) => !${JSON.stringify([...marks()])}.includes(each.dataset.control)).map((each) => each.outerHTML.slice(0, 120))`,
  );
  return [...new Set(hidden), ...missed.map((what) => `Tab does not reach ${what}`)];
}

for (const name of ['oncall', 'auditor'] as const)
  browserTest(`Tab reaches every control of every screen of ${name}, and shows where it is`, async (t) => {
    const { page } = await desk.signIn(t, name);
    const id = String(auditRecords(desk.daemon.daemon).find(({ event }) => event === 'admission')?.['id']);
    const found: string[] = [];
    for (const { path, roles } of await screensOf()) {
      if (!roles.includes(name === 'oncall' ? 'operate' : 'audit')) continue;
      await visit(page, examplePath(path, { id, user: 'alice@example.org', policy: 'migration' }));
      await settled(page);
      found.push(...(await tabThrough(page)).map((fault) => `${path}: ${fault}`));
    }
    assert.deepEqual(found, []);
  });

browserTest('keys go to screens, to the search line, along rows, and to the help', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor');
  const { keyboard } = page;
  for (const { path, key, title, roles } of await screensOf()) {
    if (key === undefined || !roles.includes('audit')) continue;
    await keyboard.press('g');
    await keyboard.press(key);
    await page.locator('main h1', { hasText: title }).first().waitFor({ state: 'attached' });
    // A policy, for one, is chosen on the screen before.
    if (!path.includes(':')) assert.equal(new URL(page.url()).pathname, path);
  }
  await visit(page, '/');
  await settled(page);
  await keyboard.press('j');
  const row = (): Promise<number> =>
    page.evaluate<number>(
      `[...document.querySelectorAll('main [data-row]')].indexOf(document.activeElement)`,
    );
  assert.equal(await row(), 0);
  await keyboard.press('j');
  assert.equal(await row(), 1);
  await keyboard.press('k');
  assert.equal(await row(), 0);
  await page.evaluate('globalThis.walked = document.activeElement');
  await keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await keyboard.press('g');
  await keyboard.press('p');
  assert.equal(new URL(page.url()).pathname, '/', 'keys of the page rest while a dialog is open');
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await page.evaluate('document.activeElement === walked'), true, 'the focus is where it was');
  await keyboard.press('/');
  await page.locator('input[type=search]').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/trail');
  await keyboard.press('/');
  assert.equal(await page.evaluate('document.activeElement?.matches("input")'), true);
  await keyboard.type('user:g p');
  assert.equal(new URL(page.url()).pathname, '/trail', 'what is typed into a field is no key');
  assert.deepEqual(faults, []);
});

browserTest('a command is ended by the keyboard alone, after a question that keeps the focus', async (t) => {
  const { page, faults } = await desk.signIn(t, 'oncall');
  const rows = page.getByRole('region', { name: 'Commands that run now' }).locator('[data-row]');
  await rows.nth(1).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('K');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  assert.match(await dialog.innerText(), /mailbox status/);
  for (let n = 0; n < 7; n += 1) {
    await page.keyboard.press(n === 3 ? 'Shift+Tab' : 'Tab');
    const isWithin = await page.evaluate<boolean>(
      `document.activeElement === document.body || document.activeElement.closest('dialog') !== null`,
    );
    assert.ok(isWithin, 'the focus left the dialog');
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await rows.count(), 2, 'nothing was ended');
  await page.keyboard.press('K');
  await dialog.waitFor();
  while (!(await page.evaluate<boolean>(`document.activeElement.textContent === 'End it'`)))
    await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog.getByRole('status').filter({ hasText: /\w/ }).waitFor();
  await page.keyboard.press('Escape');
  await rows.nth(1).waitFor({ state: 'detached' });
  assert.ok(auditRecords(desk.daemon.daemon).some(({ action, by }) => action === 'kill' && by === 'oncall'));
  assert.deepEqual(faults, []);
});
