// Goal: Keys knows when an account was last used, also after a restart of the gate and of the page, which is when somebody asks which
// keys nobody uses. What must not happen: an account in use that is said to be unused since the start.
import assert from 'node:assert/strict';
import type { KeysTable } from '../../../src/page/answers/api.js';
import { askPageAt, signIn as enter } from '../../kit/gate/page-client.js';
import { browserTest, pagePassword, shareDesk, signIn } from '../../kit/gate/page-daemon.js';

const desk = shareDesk();

browserTest('the last use of an account, before a restart', async (t) => {
  const client = await desk.daemon.accountClient('migrator');
  const port = Number(new URL(desk.daemon.origin).port);
  const token = await enter(port, 'oncall', pagePassword);
  const lastUse = async (): Promise<string> => {
    const { rows }: KeysTable = JSON.parse((await askPageAt(port, 'GET', '/api/keys', { token })).body);
    return rows.find(({ name }) => name === 'migrator')?.lastUsed ?? '';
  };
  const signedIn = await lastUse();
  assert.equal((await client.ask({ user: 'alice@example.org', fields: ['mailbox list'] })).status, '+');
  assert.ok((await lastUse()) > signedIn, 'a session that was signed in before runs commands');
  client.close();
  const startPage = await desk.daemon.killPage();
  const startDaemon = await desk.daemon.killDaemon();
  await startDaemon();
  await startPage();
  const { page, faults } = await desk.look(t);
  await signIn(page, desk.daemon.origin, 'oncall', '/access');
  const row = (name: string) => page.locator('[data-row]').filter({ hasText: name });
  await row('migrator').getByText('from 127.0.0.1').waitFor();
  assert.doesNotMatch(await row('migrator').innerText(), /no use found/);
  // Nobody ever used this one.
  assert.match(await row('asker').innerText(), /no use found/);
  assert.deepEqual(faults, []);
});
