// Goal: what can be clicked does something, on every screen, by pointer and by keyboard. Controls that differ in numbers only are clicked
// once, and so are those that every screen has. With less than 5 rounds each is clicked in one of both ways, by turns, and one of a screen
// that several people have is clicked by the first of them.
// What must not happen: a control without an effect, an error, a link in a row that opens the row instead.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  browserTest,
  deskAfter,
  examplePath,
  people,
  screensOf,
  settled,
  visit,
} from '../../kit/gate/page-daemon.js';
import { until } from '../../kit/plain/until.js';

const desk = deskAfter([['alice@example.org', 'mailbox delete', 'INBOX']]);

browserTest('a link in a row goes where it says, by pointer and by keyboard', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor');
  const rules = page.getByRole('link', { name: 'its rules' });
  const follow = { pointer: () => rules.click(), keyboard: () => rules.press('Enter') };
  for (const [how, act] of Object.entries(follow)) {
    await visit(page, '/');
    await act();
    await settled(page);
    assert.equal(new URL(page.url()).pathname, '/access', how);
  }
  assert.deepEqual(faults, []);
});

/** Marks the controls of the screen that do something now, one of each kind; returns their names. */
const markControls = `(() => {
  const names = [];
  for (const each of document.querySelectorAll('main a[href], main button, main summary, header button, footer button, nav a[href]')) {
    delete each.dataset.control;
    if (each.disabled || !each.checkVisibility({ visibilityProperty: true })) continue;
    // It is chosen already, or is where the page is.
    const isChosen = each.getAttribute('aria-pressed') === 'true' && each.closest('.segments') !== null;
    if (isChosen || each.getAttribute('aria-current') === 'page' || each.href === location.href) continue;
    const name = (each.closest('main') ? '' : 'frame: ') + each.tagName + ' ' + (each.getAttribute('aria-label') ?? each.textContent).replace(/[0-9A-Z]{26}|\\d+/g, '#').slice(0, 60);
    if (names.includes(name) || /Sign out/.test(name)) continue;
    each.dataset.control = String(names.length);
    names.push(name);
  }
  return names;
})()`;

/** What a control may change, without the figures that change by themselves. */
const stateOf = `JSON.stringify([
  location.href, globalThis.printed ?? 0, document.querySelectorAll('dialog[open]').length, document.querySelectorAll('main *, aside *').length,
  [...document.querySelectorAll('[aria-pressed], [aria-expanded], details')].map((each) =>
    [each.getAttribute('aria-pressed'), each.getAttribute('aria-expanded'), each.open]),
  [...document.querySelectorAll('main input, main textarea, main select')].map((each) => [each.value, each.checked]),
  [...document.querySelectorAll('main [role=status], main [role=alert]')].map((each) => each.textContent),
  document.documentElement.dataset.theme,
])`;

const ways = ['pointer', 'keyboard'] as const;
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

/** `seen`: what was clicked already, of the frame around the screens and of screens. Resolves to all that is there, by the same names. */
async function clickAll(page: Page, requests: readonly string[], path: string, seen: Set<string>) {
  const open = async (): Promise<readonly string[]> => {
    await page.keyboard.press('Escape');
    // A screen that is not left keeps what it said, and saying it again is no change.
    await visit(page, '/nowhere');
    await visit(page, path);
    await settled(page);
    return page.evaluate<readonly string[]>(markControls);
  };
  const keyOf = (name: string): string => (name.startsWith('frame: ') ? name : `${path} ${name}`);
  const all = await open();
  const names = all.filter((name) => !seen.has(keyOf(name)));
  for (const name of names) seen.add(keyOf(name));
  for (const [number, name] of names.entries())
    for (const how of rounds < 5 ? ways.slice(number % 2, (number % 2) + 1) : ways) {
      const at = (await open()).indexOf(name);
      // Some are gone with their use, such as the one that shows a text in full.
      if (at < 0) continue;
      const control = page.locator(`[data-control="${at}"]`);
      const before = await page.evaluate<string>(stateOf);
      const asked = requests.length;
      if (how === 'pointer') await control.click();
      else await control.press('Enter');
      const hasEffect = async () =>
        requests.length > asked || (await page.evaluate<string>(stateOf)) !== before;
      await until(hasEffect, `an effect of ${name} on ${path} by ${how}`);
    }
  return all.map(keyOf);
}

const clickedBefore = new Set<string>();

for (const name of ['oncall', 'approver', 'auditor'] as const)
  browserTest(
    `every link and button of every screen of ${name} has an effect, by pointer and by keyboard`,
    async (t) => {
      const { page, faults, requests } = await desk.signIn(t, name);
      // Neither a window of the browser nor its word about a field that is empty is in the document.
      await page.evaluate(`(() => {
      globalThis.printed = 0;
      globalThis.print = () => { globalThis.printed += 1; };
      document.addEventListener('invalid', globalThis.print, true);
    })()`);
      const id = String(auditRecords(desk.daemon.daemon).find(({ event }) => event === 'admission')?.['id']);
      const found = new Set<string>();
      const seen = rounds < 5 ? clickedBefore : new Set<string>();
      for (const { path, roles } of await screensOf()) {
        if (!roles.includes(people[name].role)) continue;
        const shown = examplePath(path, { id, user: 'alice@example.org', policy: 'migration' });
        for (const each of await clickAll(page, requests, shown, seen)) found.add(each);
      }
      t.diagnostic(`${found.size} controls`);
      assert.ok(found.size > 15, `${found.size} controls`);
      assert.deepEqual(faults, []);
    },
  );
