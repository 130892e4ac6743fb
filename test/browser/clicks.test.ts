// Goal: what can be clicked does what it says. What must not happen: a link in a row that opens the row instead.

import assert from 'node:assert/strict';
import { browserTest, openPageDaemon, settled, shareDesk, visit } from '../kit/page-daemon.js';

const desk = shareDesk(async (owner) => {
  const daemon = await openPageDaemon(owner);
  const client = await daemon.client();
  client.sendCommand({ user: 'alice@example.org', fields: ['mailbox delete', 'INBOX'] });
  await client.readReply();
  return daemon;
});

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
