// Goal: what happened is on Now also when it is over, and for a page that was started anew meanwhile: an outage with its cause and its
// cost, a drain with the person, a command that was killed, reloads; also to people who see no trail. What must not happen: an outage
// that only those know who looked at the time.
import assert from 'node:assert/strict';
import { runDovegate } from '../../kit/gate/daemon.js';
import { browserTest, settled, shareDesk, signIn } from '../../kit/gate/page-daemon.js';

const desk = shareDesk();

browserTest('an outage, a kill, a drain, reloads: what, when, how long, what was lost', async (t) => {
  const { page, faults } = await desk.signIn(t, 'oncall');
  const client = await desk.daemon.client();
  const ask = async (): Promise<string> =>
    (await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
  const problems = page.getByRole('region', { name: 'What is wrong' }).filter({ hasText: /mail1/ });
  assert.equal(await ask(), '+');
  const startAgain = await desk.daemon.stopMail1();
  await problems.waitFor();
  const [, why = ''] = / has been down since [^]*?\d: ([^.]*)\./.exec(await problems.innerText()) ?? [];
  assert.notEqual(why, '', await problems.innerText());
  assert.match(await ask(), /^-TEMPFAIL/);
  await startAgain();
  await problems.waitFor({ state: 'detached' });

  const { daemon, config } = desk.daemon;
  const victim = await desk.daemon.client();
  victim.sendCommand({ user: 'alice@example.org', fields: ['mailbox status', 'messages', 'held'] });
  await desk.daemon.mail1.waitFor(({ commands }) => commands.length > 0, 'the command that is killed');
  const kill = ['kill', '--older-than', '1ms', '--config', daemon.configFile];
  const killed = await runDovegate(kill, { cwd: daemon.folder });
  assert.equal(killed.exit, 0, killed.text);
  await daemon.reload(config.replace('connections: 4', 'connections: none'), 'reload-failed');
  const panel = page.getByRole('region', { name: 'Configuration' });
  assert.match(await panel.innerText(), /^loaded .* by the start$/m);
  await daemon.reload(`${config}\n# as before\n`);
  await panel.getByText(/^loaded .* by a reload by SIGHUP$/).waitFor();

  // A count without a time says nothing.
  await page.getByRole('row', { name: /mail1.*\d at connecting\s*since \d\d:\d\d/s }).waitFor();
  await page.getByRole('button', { name: 'drain mail2' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('kernel update');
  await dialog.getByRole('button', { name: 'drain', exact: true }).click();
  await dialog.getByText(/mail2 is drained/).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  const drained = page.getByText(/^by oncall since .* \(kernel update\)$/);
  await drained.first().waitFor();
  assert.deepEqual(faults, []);

  const startPage = await desk.daemon.killPage();
  await startPage();
  await page.goto('about:blank');
  await signIn(page, desk.daemon.origin, 'oncall');
  const rows = page.getByRole('table', { name: /^Outages/ }).locator('[data-row]');
  await rows.first().waitFor();
  await settled(page);
  const texts = (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
  const [, requester = ''] = /mailbox status of (\S+) at mail1/.exec(texts[3] ?? '') ?? [];
  const expected = [
    /now .*drained mail2 is drained by oncall \(kernel update\)\. Try: dovegate backend enable mail2$/,
    / reloaded The configuration was replaced by a reload by SIGHUP\. Changed: \S+dovegate\.yaml: of uid \d+, changed [\d:]+\.$/,
    /not reloaded A reload by SIGHUP was refused, and the configuration before it stayed: .*dovegate\.yaml:\d+.*connections.*\.$/,
    /killed A command was killed by \S+ after \d[\d.]* m?s\. mailbox status of \S+@support at mail1 01\w{24}$/,
    / 1 command of 1 requester failed\. By requester: \S+ 1\.$/,
  ];
  assert.equal(texts.length, expected.length, texts.join('\n'));
  for (const [at, text] of texts.entries()) assert.match(text, expected[at] ?? assert.fail());
  // In the words of the red sentence.
  const down = `mail1 was down: ${why}. 1 command of 1 requester failed. By requester: ${requester} 1.`;
  assert.ok(texts[4]?.endsWith(down), `${down}, and ${texts[4]}`);
  // The last hour, and the time around one of them, by a key and by its mark in the strip.
  const hours = async (): Promise<number> => {
    const ends = page.locator('.strip time');
    const [from = '', until = ''] = await ends.evaluateAll((all) => all.map((each) => each.dateTime));
    return (Date.parse(until) - Date.parse(from)) / 3_600_000;
  };
  assert.equal(await hours(), 24);
  await page.getByRole('button', { name: 'last hour' }).click();
  assert.equal(await hours(), 1);
  await rows.last().focus();
  await page.keyboard.press('Enter');
  await page.locator('tr.here', { hasText: 'mail1 was down' }).waitFor();
  const near = await hours();
  assert.ok(near < 0.5, String(near));
  await page.keyboard.press('Enter');
  assert.equal(await hours(), 1);
  await page.locator('.strip p', { hasText: 'mail2' }).locator('rect.filled').click();
  await page.locator('tr.here', { hasText: 'mail2 is drained' }).waitFor();
});

browserTest('a listener is locked and unlocked with a reason, and its clients read why', async (t) => {
  const { page, faults } = await desk.signIn(t, 'oncall');
  const client = await desk.daemon.client();
  const ask = async (): Promise<string> =>
    (await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
  const locks = page.getByRole('region', { name: 'Locks', exact: true });
  const dialog = page.getByRole('dialog');
  await locks.getByText('Nobody and nothing is locked or held.').waitFor();
  await locks.getByRole('button', { name: 'Lock …' }).click();
  await dialog.getByLabel('Who or what').fill('listener:nowhere');
  await dialog.getByRole('button', { name: 'lock', exact: true }).click();
  await dialog.getByText('say why, with a reason (--reason)').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await locks.getByRole('button', { name: 'Lock …' }).click();
  await dialog.getByLabel('Who or what').fill('listener:support');
  await dialog.getByLabel('Reason').fill('it asks in a loop');
  await dialog.getByRole('button', { name: 'lock', exact: true }).click();
  await dialog.getByText(/listener:support is locked until/).waitFor();
  assert.equal(await ask(), '-NOPERM');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await locks.getByText(/listener support is locked by oncall until .*: it asks in a loop/).waitFor();
  await locks.getByRole('button', { name: /^unlock/ }).click();
  await dialog.getByLabel('Reason').fill('mended');
  await dialog.getByRole('button', { name: 'unlock', exact: true }).click();
  await dialog.getByText(/is unlocked/).waitFor();
  assert.notEqual(await ask(), '-NOPERM');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await locks.getByText('Nobody and nothing is locked or held.').waitFor();
  for (const fault of faults) assert.match(fault, /^(?=.*403).*\/api\/lock/s);
});
