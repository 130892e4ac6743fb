// What the page is told of other gates: the file as it is, bounded; and in words why there is none, or why it may not hold any more.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FleetStatus } from '../../src/evidence/fleet/shapes.js';
import { systemClock } from '../../src/host/machine/clock.js';
import { createFleetLook } from '../../src/page/fleet-look.js';
import { openFolder } from '../kit/plain/folder.js';

const atMs = Date.parse('2026-11-21T09:00:00.000Z');
/** What the page shows of it. */
const mail1 = {
  host: 'mail-1',
  findings: 1,
  differs: ['policy support'],
  seq: 4000,
  signedSeq: 3990,
  lastSeen: '2026-11-21T08:59:58.000Z',
  program: '0.1.0',
};
const status: FleetStatus = {
  at: '2026-11-21T09:00:00.000Z',
  store: '/srv/trail/dovegate',
  records: 4200,
  gates: [
    { ...mail1, journal: 'ab', hash: 'cd', driftMs: 3, catalog: 'ef', policies: { support: '12' }, open: 0 },
    { host: 'mail-2', policies: {}, open: 0, findings: 0, differs: [] },
  ],
  findings: [{ kind: 'missing', host: 'mail-1', journal: 'ab', seq: 17, text: 'records 17 to 19 are gone' }],
  checkpoint: { seq: 5, at: '2026-11-21T08:00:00.000Z', root: 'ff' },
};

function lookAt(t: TestContext, afterMs = 0) {
  const file = join(openFolder(t), 'status.json');
  let nowMs = 0;
  const look = createFleetLook(file, { ...systemClock, now: () => nowMs, wallMs: () => atMs + afterMs });
  const put = (text: string | object): void =>
    writeFileSync(file, typeof text === 'string' ? text : JSON.stringify(text));
  const later = (): void => {
    nowMs += 1_000;
  };
  return { look, put, later, file };
}

void test('what stands there, as far as the page shows it', async (t) => {
  const { look, put } = lookAt(t, 119_000);
  put(status);
  assert.deepEqual(await look(), {
    seen: {
      at: status.at,
      store: '/srv/trail/dovegate',
      records: 4200,
      gates: [mail1, { host: 'mail-2', findings: 0, differs: [] }],
      findingCount: 1,
      findings: [{ kind: 'missing', host: 'mail-1', text: 'records 17 to 19 are gone', seq: 17 }],
      checkpoint: { seq: 5, at: '2026-11-21T08:00:00.000Z' },
    },
  });
});

void test('an old one is shown with a word, and one from the future too', async (t) => {
  const old = lookAt(t, 121_000);
  old.put(status);
  const { trouble = '', seen } = await old.look();
  assert.match(trouble, /wrote this last at \{2026-11-21T09:00:00\.000Z\}.*start it again/);
  assert.equal(seen?.records, 4200);
  const early = lookAt(t, -121_000);
  early.put(status);
  assert.match((await early.look()).trouble ?? '', /still to come by the clock of this host/);
});

void test('a stream that cannot be read now: since when, and nothing of files', async (t) => {
  const { look, put } = lookAt(t);
  put({ ...status, away: { since: '2026-11-21T08:58:00.000Z', text: 'cannot read /etc/x' } });
  const { trouble, seen } = await look();
  assert.match(trouble ?? '', /cannot read the store since \{2026-11-21T08:58:00\.000Z\}; its log/);
  assert.ok(seen !== undefined && !JSON.stringify({ trouble, seen }).includes('/etc/x'));
});

// bounds.fleetStatusBytes
void test('why there is none, without a path; and a later look finds what came', async (t) => {
  const { look, put, later, file } = lookAt(t);
  const told = async (): Promise<string> => {
    later();
    const { trouble = '', seen } = await look();
    assert.equal(seen, undefined);
    assert.ok(!trouble.includes(file));
    return trouble;
  };
  assert.match(await told(), /is not there; "dovegate audit fleet watch" writes it/);
  put('x'.repeat((4 << 20) + 1));
  assert.match(await told(), /larger than 4 MiB.*"dovegate audit fleet status"/);
  for (const text of [
    '',
    '[]',
    'null',
    '{}',
    '{"at":',
    { ...status, at: 'yesterday' },
    { ...status, at: 1 },
    { ...status, records: -1 },
    { ...status, gates: undefined },
    { ...status, gates: {} },
    { ...status, gates: [null] },
    { ...status, gates: [{ ...mail1, host: 7 }] },
    { ...status, gates: [{ ...mail1, differs: [{}] }] },
    { ...status, findings: 'none' },
    { ...status, findings: [{ kind: 'missing', host: 'a' }] },
  ]) {
    put(text);
    assert.match(await told(), /is not what "dovegate audit fleet watch" writes/, JSON.stringify(text));
  }
  put(status);
  later();
  assert.equal((await look()).trouble, undefined);
  rmSync(file);
  assert.match(await told(), /is not there/);
});

void test('of very many findings the first ones, and how many there are', async (t) => {
  const { look, put } = lookAt(t);
  const finding = { kind: 'changed', host: 'h'.repeat(5000), text: 't'.repeat(5000) };
  put({ ...status, findings: Array.from({ length: 300 }, () => finding) });
  const { seen } = await look();
  assert.equal(seen?.findingCount, 300);
  assert.equal(seen.findings.length, 200);
  assert.deepEqual([seen.findings[0]?.host.length, seen.findings[0]?.text.length], [1000, 1000]);
  // Of one chain only some are kept, and all are counted.
  const more = lookAt(t);
  more.put({ ...status, gates: [{ ...status.gates[0], findings: 70_000 }] });
  assert.equal((await more.look()).seen?.findingCount, 70_000);
});

void test('several who ask within a second share one look', async (t) => {
  const { look, put, later } = lookAt(t);
  put(status);
  const first = await look();
  put('');
  assert.deepEqual(await look(), first);
  later();
  assert.notDeepEqual(await look(), first);
});

void test('a file system that does not answer holds nobody up', async (t) => {
  const file = join(openFolder(t), 'status.json');
  writeFileSync(file, JSON.stringify(status));
  // Its time is over before the file is read.
  const setTimer = (_ms: number, run: () => void) => {
    run();
    return { cancel: () => undefined };
  };
  const look = createFleetLook(file, { now: () => 0, wallMs: () => atMs, setTimer });
  assert.match((await look()).trouble ?? '', /could not be read within 2 s/);
});
