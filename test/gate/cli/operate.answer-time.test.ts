// Goal: a server at the admin socket or the page's that sends a byte now and then does not hold a command for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askPage } from '../../../src/evidence/cli/ask-page.js';
import { findDaemon } from '../../../src/gate/cli/operate.js';
import { openStandIn } from '../../whole/cli/stand-in.js';

// bounds.daemonAnswerTime
test('an answer must be whole in time, whatever comes of it before', async (t) => {
  let pieces = 0;
  let heard = (): void => undefined;
  /** Until so many bytes have come from now on. */
  const some = (): Promise<void> =>
    new Promise((resolve) => {
      pieces = 0;
      heard = resolve;
    });
  const socket = await openStandIn(t, (_request, response) => {
    const timer = setInterval(() => {
      pieces += 1;
      response.write(' ', pieces > 20 ? heard : undefined);
    }, 1);
    response.on('close', () => clearInterval(timer));
  });
  const ask = await findDaemon({ config: '', socket });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late: unknown[] = [];
  const asked = [ask('POST', '/kill/ID'), askPage(socket).me()].map((answer) =>
    answer.catch((fault: unknown) => void late.push(fault)),
  );
  await some();
  t.mock.timers.tick(29_999);
  await some();
  assert.deepEqual(late, []);
  t.mock.timers.tick(1);
  await Promise.all(asked);
  for (const fault of late) assert.match(String(fault), /no whole answer within 30 s/);
  assert.equal(late.length, 2);
});
