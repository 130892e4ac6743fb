// Goal: clients of one principal that hold up what they have cannot keep another principal waiting. Phases, for each way of holding up:
// four of them take all four upstreams; another principal asks. Then transfers of principals that have no more than their share, and a
// backend that thinks: nothing is ended for them. What must not happen: a victim that gets `-TEMPFAIL`; a transfer within its share that is
// ended; a text that is stored though it was ended. DOVEGATE_ROUNDS=2 tries all speeds.
import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { type HogKind, hogGateway, openHog } from '../../kit/gate/lease-hogs.js';
import { createGate } from '../../kit/gate/script.js';
import { openRawClient, type RawReply } from '../../kit/plain/raw-client.js';

const hogs = 4;
/** One daemon starts after the other: their waits are what may go on at the same time. */
let opening = Promise.resolve();
/** Of the file: a daemon that has started after its test was given up ends as well. */
const closings: (() => void | Promise<void>)[] = [];
const owner = {
  after(run: () => void | Promise<void>): void {
    closings.push(run);
  },
};
after(async () => {
  await opening;
  for (const run of closings) await run();
});

/** Two listeners, so that there are two principals. A victim is refused after 40 s, on a busy machine, too. */
async function open(backend: Parameters<typeof openGateway>[1] = {}): Promise<Gateway> {
  const gateway = opening.then(() =>
    openGateway(owner, {
      ...hogGateway,
      // Eight at a time keep a slow machine busy: each dial of the four must get through.
      mail1: { connections: String(hogs), connect_timeout: '30s', greeting_timeout: '30s' },
      more: 'limits: { queue_timeout: 40s, drain: 100ms }',
      ...backend,
    }),
  );
  opening = gateway.then(
    () => undefined,
    () => undefined,
  );
  return gateway;
}

/** A transfer above its share is ended for somebody who waits after 10.5 s at most. */
const patient = 'limits: { queue_timeout: 16s, drain: 100ms }';

async function askAsVictim(t: TestContext, { daemon }: Gateway, timeoutMs = 60_000): Promise<RawReply> {
  const victim = await openRawClient({ path: daemon.path('victims.sock'), minor: 2, timeoutMs, owner: t });
  return victim.ask({ user: 'alice@example.org', fields: ['quota get'] });
}

describe('clients of one principal on all upstreams', { concurrency: true }, () => {
  // What reads 8 KB/s empties a buffer of the kernel within some 8 s: 10 s may pass in which it takes no byte.
  const between: readonly (readonly [HogKind, ...errors: string[]])[] = [
    ['reads 8 KB/s', 'client-slow', 'client-stall'],
    ['save stops after 1.25 MB', 'client-slow'],
    ['reads 90 KB/s', 'over-share'],
    ['save goes on with 100 KB/s', 'over-share'],
  ];
  const attacks: readonly (readonly [HogKind, ...errors: string[]])[] = [
    ...(Number(process.env['DOVEGATE_ROUNDS'] ?? 1) > 1 ? between : []),
    ['reads nothing', 'client-stall'],
    ['reads 32 KB/s', 'client-slow'],
    ['save goes on with 8 KB/s', 'client-slow'],
    // On a busy machine such a client is slower than it means to be.
    ['reads 400 KB/s', 'over-share', 'client-slow'],
    ['save goes on with 400 KB/s', 'over-share', 'client-slow'],
  ];
  for (const [kind, ...errors] of attacks) {
    void test(`${kind}: another principal is served`, { timeout: 300_000 }, async (t) => {
      const gateway = await open();
      for (let n = 0; n < hogs; n += 1) openHog(t, gateway.daemon.path('hogs.sock'), kind);
      await gateway.backend.waitFor(({ commands }) => commands.length === hogs, 'all of them', 60_000);
      const reply = await askAsVictim(t, gateway);
      assert.equal(reply.status, '+', JSON.stringify(reply.logs));
      const closed = await gateway.daemon.waitForLog(
        (record) => record['event'] === 'session-closed' && record['listener'] === 'hogs',
        'the end of one of them',
        // It comes when the client has read what was on its way to it: some MB, at its speed.
        180_000,
      );
      // What was read so far still reaches the client, and the cell that was cut ends its session.
      const error = closed['reason'] === 'cut-reply' ? 'over-share' : closed['reason'];
      assert.ok(errors.includes(String(error)), String(error));
      await gateway.daemon.stop();
      const ends = auditRecords(gateway.daemon).filter(
        (record) => record['event'] === 'completion' && record['error'] === error,
      );
      assert.ok(ends.length >= 1);
      for (const end of ends) assert.equal(end['outcome'], 'aborted');
    });
  }

  for (const kind of ['reads 400 KB/s', 'save goes on with 400 KB/s'] as const) {
    void test(`${kind}, within its share: nothing is ended, though another command waits`, {
      timeout: 300_000,
    }, async (t) => {
      const gateway = await open({ more: patient });
      const honest = ['hogs.sock', 'hogs.sock', 'victims.sock', 'victims.sock'].map((socket) =>
        openHog(t, gateway.daemon.path(socket), kind),
      );
      await gateway.backend.waitFor(({ commands }) => commands.length === hogs, 'all of them', 60_000);
      assert.equal((await askAsVictim(t, gateway)).status, '-TEMPFAIL', 'each has its half');
      assert.deepEqual(
        honest.map(({ isEnded }) => isEnded),
        honest.map(() => false),
      );
    });
  }

  void test('a silent backend: reads above their share end for another principal, one for each that waits', {
    timeout: 300_000,
  }, async (t) => {
    const gate = createGate();
    const gateway = await open({
      backend: {
        script: async ({ fields }, connection) => {
          // A search that finds nothing for a long time.
          if (fields[0] === 'fetch') await gate.opened;
          await connection.status('+');
        },
      },
    });
    const hogging = { path: gateway.daemon.path('hogs.sock'), minor: 2, timeoutMs: 60_000 };
    const silent = await Promise.all(
      Array.from({ length: hogs }, async () => {
        const one = await openRawClient({ ...hogging, owner: t });
        one.sendCommand({ user: 'alice@example.org', fields: ['fetch', 'text', 'body', 'x'] });
        return one;
      }),
    );
    await gateway.backend.waitFor(({ commands }) => commands.length === hogs, 'all of them', 60_000);
    assert.equal((await askAsVictim(t, gateway)).status, '+');
    gate.open();
    const replies = await Promise.all(silent.map((one) => one.readReply()));
    assert.deepEqual(replies.map(({ status }) => status).toSorted(), ['+', '+', '+', '-TEMPFAIL']);
    await gateway.daemon.stop();
    const [end, ...more] = auditRecords(gateway.daemon).filter(
      (record) => record['event'] === 'completion' && record['outcome'] !== 'ok',
    );
    assert.deepEqual([end?.['outcome'], end?.['error'], more.length], ['aborted', 'over-share', 0]);
  });

  void test('a silent backend, within its share: nobody is ended', { timeout: 300_000 }, async (t) => {
    const gate = createGate();
    const gateway = await open({
      more: patient,
      backend: {
        script: async (_command, connection) => {
          await connection.row('x'.repeat(1_000));
          await gate.opened;
          await connection.status('+');
        },
      },
    });
    const thinking = await Promise.all(
      ['hogs.sock', 'hogs.sock', 'victims.sock', 'victims.sock'].map(async (socket) => {
        const one = await openRawClient({
          path: gateway.daemon.path(socket),
          minor: 2,
          timeoutMs: 60_000,
          owner: t,
        });
        one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
        return one;
      }),
    );
    await gateway.backend.waitFor(({ commands }) => commands.length === hogs, 'all of them', 60_000);
    assert.equal((await askAsVictim(t, gateway)).status, '-TEMPFAIL');
    gate.open();
    for (const one of thinking) assert.equal((await one.readReply()).status, '+');
  });
});
