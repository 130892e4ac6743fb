// Goal: every screen of the router's table, for each role, at the widths of a phone and a desktop, light and dark, over a journal whose
// every column was filled by somebody who wants to break it. What must not happen: an error in the console, a violation of the page's
// policy, a request elsewhere, a dialog, an element that a name made, a barrier for people who do not see or point, a page that scrolls
// sideways.

import assert from 'node:assert/strict';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  browserTest,
  examplePath,
  hostileElements,
  openPageDaemon,
  type PersonName,
  people,
  screensOf,
  sendHostile,
  settled,
  shareDesk,
  visit,
} from '../../kit/gate/page-daemon.js';
import { findBarriers, findFaintText, findOverflow, sizes } from '../../kit/plain/browser.js';

let examples: Readonly<Record<string, string>>;

const desk = shareDesk(async (owner) => {
  const page = await openPageDaemon(owner);
  const client = await page.client();
  await sendHostile(client);
  // Some that run while the screens are looked at: the daemon sends each at once, the backend does not answer.
  for (const at of [0, 1, 2]) {
    const fields = ['mailbox status', 'messages', `held${at}<img src=x onerror=alert(5)>`];
    (await page.client()).sendCommand({ user: 'alice@example.org', fields });
  }
  const records = auditRecords(page.daemon);
  const one = records.find(
    ({ event, decision, user }) =>
      event === 'admission' && decision === 'allow' && user === 'alice@example.org',
  );
  examples = { id: String(one?.['id']), user: 'alice@example.org', policy: 'migration' };
  return page;
});

/**
 * Every role on one width, the one that sees most on both, and all rows of its tables on one. Dark colours are looked at on one width, and
 * not for people who have screens of other roles only.
 */
const kinds: readonly (readonly [PersonName, keyof typeof sizes, 'light' | 'light and dark'])[] = [
  ['viewer', 'desktop', 'light'],
  ['oncall', 'phone', 'light and dark'],
  ['limited', 'phone', 'light'],
  ['auditor', 'desktop', 'light'],
  ['auditor', 'phone', 'light and dark'],
];

for (const [name, size, schemes] of kinds)
  browserTest(`every screen of ${name}, ${size}, ${schemes}`, async (t) => {
    const watched = await desk.signIn(t, name, '/', { size: sizes[size] });
    const { page: tab } = watched;
    const { role } = people[name];
    const screens = (await screensOf()).filter(
      ({ roles, isWhole }) => roles.includes(role) && !(name === 'limited' && isWhole === true),
    );
    assert.ok(screens.length >= 2, 'the table of screens was read');
    const found: string[] = [];
    for (const { path } of screens) {
      await visit(tab, examplePath(path, examples));
      await settled(tab);
      const rows = name === 'auditor' && size === 'desktop' ? 'all rows' : 'first rows';
      const here = [...(await findBarriers(tab, rows)), ...(await findOverflow(tab))];
      if (schemes === 'light and dark') {
        await tab.emulateMedia({ colorScheme: 'dark' });
        here.push(...(await findFaintText(tab)).map((fault) => `dark: ${fault}`));
        await tab.emulateMedia({ colorScheme: 'light' });
      }
      // Long names in full.
      for (const more of (await tab.locator('main .more:visible').all()).slice(0, 3)) await more.click();
      here.push(...(await findOverflow(tab)));
      const made = await tab.locator(hostileElements).count();
      if (made > 0) here.push(`${made} elements that a name made`);
      const heading = await tab.locator('main h1').first().textContent();
      if (heading === 'No such screen' || heading === 'Not for this role') here.push(heading);
      found.push(...[...watched.faults, ...here].map((fault) => `${path}: ${fault}`));
      watched.forget(() => true);
    }
    assert.deepEqual(found, []);
  });
