// Goal: nobody is missed who has nothing to ship: `dovegate ship` tells once more how far it is while it ends, after the last receiver
// went.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shipped } from '../../../src/gate/daemon/shipped.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

void test('the last word of dovegate ship after the last receiver is no absence', async (t) => {
  const clock = createFakeClock();
  const events: string[] = [];
  const folder = openFolder(t);
  const log = { report: ({ event }: { readonly event: string }) => void events.push(event) };
  const shipped = new Shipped({ clock, log, stateDirectory: folder });
  const settings = (isThere: boolean) => ({ audit: { ship: isThere ? [{ name: 'logs' }] : [] } });
  shipped.replace(settings(true));
  shipped.start({ id: 'j', directory: folder, seq: () => 1 });
  const claims = { version: '0', journal: 'j', sinks: [], notices: [], certificates: [] };
  assert.equal(shipped.claim(claims), undefined);
  shipped.replace(settings(false));
  assert.equal(shipped.claim(claims), undefined);
  shipped.left();
  await clock.advance(60_000);
  assert.deepEqual([events, shipped.isAbsent], [[], false]);

  shipped.replace(settings(true));
  await clock.advance(60_000);
  assert.deepEqual([events, shipped.isAbsent], [['ship-absent'], true]);
  await shipped.close();
});
