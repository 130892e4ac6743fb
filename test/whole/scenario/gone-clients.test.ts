// Goal: a client that is gone is noticed while its command runs, also where no event of its socket tells. Phases: half-closed and then
// away; away behind a pipeline that nobody reads. What must not happen: a backend that works for nobody.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** A backend that answers nothing. */
const openHeld = (t: Parameters<typeof openGateway>[0]) =>
  openGateway(t, {
    more: 'log: { level: debug }',
    backend: { script: (_command, connection) => connection.closed },
  });

test('half-closed and then away: the upstream of a read is closed', async (t) => {
  const { client, daemon } = await openHeld(t);
  const one = await client();
  one.sendCommand(quota);
  one.halfClose();
  await daemon.waitForLog((record) => record['event'] === 'upstream-opened', 'an upstream');
  one.close();
  await daemon.waitForLog((record) => record['event'] === 'exchange-aborted', 'the end of the exchange');
  await daemon.waitForLog((record) => record['event'] === 'upstream-closed', 'the upstream');
});

test('away behind more than is read ahead', async (t) => {
  const { client, daemon } = await openHeld(t);
  const one = await client();
  const line = `\talice@example.org\tquota get\n`;
  await one.write(line.repeat(8_000)).catch(() => undefined);
  await daemon.waitForLog((record) => record['event'] === 'upstream-opened', 'an upstream');
  one.close();
  await daemon.waitForLog((record) => record['event'] === 'exchange-aborted', 'the end of the exchange');
  await daemon.stop();
  const completions = recordsOf(daemon, 'completion');
  assert.equal(completions.length, 1, 'what it had not waited for was not run');
});
