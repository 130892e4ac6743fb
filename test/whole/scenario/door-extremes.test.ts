// Goal: whatever numbers the page's process says, the daemon can be looked at. Phases: each number of each call at the door is replaced by
// the ends of what JSON can say, and after each of them the admin endpoints are asked.
// What must not happen: an answer of `/readyz`, `/metrics` or `/status.json` (what `dovegate status` shows) other than 200; an error of
// ours at the door.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { askDoor, type DoorAnswer, generationOf } from '../../kit/gate/ask-door.js';
import { type Daemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { hash } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp, type Got } from '../../kit/plain/ask-http.js';
import { doorMessages, extremes, withNumber } from '../../kit/plain/door-messages.js';

/** Asks again while it is too early. */
async function askWhenFree(daemon: Daemon, path: string, message: unknown): Promise<DoorAnswer> {
  for (;;) {
    const answer = await askDoor(daemon, path, message);
    if (answer.code !== 'busy') return answer;
    await pause(bounds.doorCallMs);
  }
}

test('the ends of every number at the door: the admin endpoints answer after each', async (t) => {
  const people = `ann: { password_hash: "${hash}", roles: [audit, operate, approve] }`;
  const { daemon } = await openGateway(t, {
    more: `admin: { unix: admin.sock, door: door.sock, page: { tcp: "127.0.0.1:1", approve: true, people: { ${people} } } }`,
  });
  const generation = await generationOf(daemon, t);
  const looked = async (path: string, what: string): Promise<Got> => {
    const got = await askHttp({ socketPath: daemon.path('admin.sock') }, path);
    assert.equal(got.status, 200, `${path} after ${what}: ${got.body}`);
    return got;
  };
  let count = 0;
  for (const [path, valid] of doorMessages(generation)) {
    const isPage = path === '/page';
    for (const extreme of extremes) {
      for (const { place, message } of withNumber(valid, extreme)) {
        count += 1;
        // Metrics may be some time old: this number shows that they are of this message.
        const sent = isPage && place !== 'people' ? { ...message, people: count } : message;
        const what = `${path} ${place}: ${extreme}`;
        const { status, text } = await askWhenFree(daemon, path, sent);
        assert.ok([200, 400, 409].includes(status), `${status} of ${what}: ${text}`);
        await Promise.all([looked('/readyz', what), looked('/status.json', what)]);
        const shown = `\ndovegate_page_people ${'people' in sent ? String(sent.people) : ''}\n`;
        for (;;) {
          const { body } = await looked('/metrics', what);
          if (!isPage || status !== 200 || body.includes(shown)) break;
          await pause(bounds.metricsAgeMs);
        }
      }
    }
    // Each message is one that is taken.
    const { status, text } = await askWhenFree(daemon, path, valid);
    assert.equal(status, 200, `${path}: ${text}`);
  }
  t.diagnostic(`${count} messages`);
  // The thread of the journal may be behind what the page has read, but not by far: that is refused before anything is recorded.
  const [, sign] = doorMessages(generation).find(([path]) => path === '/sign') ?? assert.fail();
  const seq = Number(auditRecords(daemon).at(-1)?.['seq']);
  const facts = { fromSeq: 1, isDamaged: false, sha256: 'ab'.repeat(32) };
  for (const [ahead, isRecorded] of [
    [2_000, false],
    [900, true],
  ] as const) {
    const extracts = () => auditRecords(daemon).filter(({ action }) => action === 'audit-extract').length;
    const before = extracts();
    const { text } = await askWhenFree(daemon, '/sign', {
      ...Object(sign),
      facts: { ...facts, toSeq: seq + ahead },
    });
    assert.match(text, /there are no records up to toSeq/);
    assert.equal(extracts(), before + Number(isRecorded), `${ahead}`);
  }
  const shown = await runWarm(['status', '--socket', daemon.path('admin.sock')]);
  assert.equal(shown.exit, 0, shown.text);
  assert.deepEqual(
    daemon.logs.filter(({ event }) => event === 'admin-failed'),
    [],
  );
});
