// Goal: a restart is no amnesty. Phases: a limit of a destroying command is used up; the daemon is stopped and started, killed and
// started. What must not happen: one more command at the backend than the limit allows, or a limit used up by refusals.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const limit = 20;
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: expunge, limit: ${limit}/hour }]`;
const expunge = { user: 'alice@example.org', fields: ['expunge', 'mailbox', 'Trash', 'all'] };

test('twenty an hour are twenty an hour, over a stop and over kill -9', async (t) => {
  const { daemon: first, backend } = await openGateway(t, { policy });
  let daemon = first;
  const statuses: string[] = [];
  const ask = async (count: number): Promise<void> => {
    const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
    for (let at = 0; at < count; at += 1) {
      statuses.push((await client.ask(expunge)).status);
    }
    client.close();
  };
  const again = async (): Promise<void> => {
    daemon = await startDaemon(t, { folder: first.folder });
  };
  await ask(8);
  await daemon.stop();
  await again();
  await ask(7);
  await daemon.kill();
  await again();
  await ask(10);
  await daemon.stop();
  await again();
  await ask(1);
  const allowed = statuses.filter((status) => status !== '-TEMPFAIL').length;
  assert.equal(allowed, limit, statuses.join(' '));
  assert.deepEqual(
    statuses.slice(limit),
    Array.from({ length: 6 }, () => '-TEMPFAIL'),
  );
  assert.equal(backend.commands.length, limit);
});
