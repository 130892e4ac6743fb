// Goal: what happened is on Now also when it is over, and for a page that was started anew meanwhile: an outage with its cause and its
// cost, a drain with the person. What must not happen: an outage that only those know who looked at the time.
import assert from 'node:assert/strict';
import { browserTest, settled, shareDesk, signIn } from '../kit/page-daemon.js';

const desk = shareDesk();

browserTest(
  'an outage, a drain and a restart of the page: what, when, how long, what was lost',
  async (t) => {
    const { page, faults } = await desk.signIn(t, 'oncall');
    const client = await desk.daemon.client();
    const ask = async (): Promise<string> =>
      (await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
    const problems = page.getByRole('region', { name: 'What is wrong' }).filter({ hasText: /mail1/ });
    assert.equal(await ask(), '+');
    const startAgain = await desk.daemon.stopMail1();
    await problems.waitFor();
    const [, why = ''] = / is down since [^]*?\d: ([^.]*)\./.exec(await problems.innerText()) ?? [];
    assert.notEqual(why, '', await problems.innerText());
    assert.match(await ask(), /^-TEMPFAIL/);
    await startAgain();
    await problems.waitFor({ state: 'detached' });

    await page.getByRole('link', { name: 'Backends', exact: true }).click();
    await page.getByRole('button', { name: 'drain mail2' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('kernel update');
    await page.getByRole('dialog').getByRole('button', { name: 'drain', exact: true }).click();
    await page
      .getByRole('dialog')
      .getByText(/mail2 is drained/)
      .waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page
      .getByText(/^by oncall since .* \(kernel update\)$/)
      .first()
      .waitFor();
    assert.deepEqual(faults, []);

    const startPage = await desk.daemon.killPage();
    await startPage();
    await page.goto('about:blank');
    await signIn(page, desk.daemon.origin, 'oncall');
    const rows = page.getByRole('table', { name: /^Outages, drains/ }).locator('[data-row]');
    await rows.first().waitFor();
    await settled(page);
    const texts = (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
    assert.equal(texts.length, 2, texts.join('\n'));
    assert.match(texts[0] ?? '', /now .*drained mail2 is drained by oncall \(kernel update\)\./);
    // In the words of the red sentence.
    assert.ok(
      texts[1]?.endsWith(`mail1 was down: ${why}. 1 command of 1 requester failed.`),
      `${why}, and ${texts[1]}`,
    );
  },
);
