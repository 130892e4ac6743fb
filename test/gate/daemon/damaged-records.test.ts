// Goal: a journal whose chain and signatures are whole, with one record of state in it that is damaged: each kind, each key, by the real
// writer. What must not happen: a start that fails; a lock or hold that is gone, but for one that is lifted; a command of somebody who is
// not the target that gets another answer than before. Where a signed record does not say whom it stops, changes wait and reads go on.
// DOVEGATE_ROUNDS multiplies the journals.

import assert from 'node:assert/strict';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepLocks } from '../../../src/gate/daemon/kept-locks.js';
import { wordsOfTarget } from '../../../src/gate/daemon/lock-actions.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeRecord } from '../../../src/journal/records/encode.js';
import type { AuditRecord, LockRecord } from '../../../src/journal/records/record.js';
import {
  checkpoint,
  kill,
  placeIn,
  startRun,
  stop,
  write,
  writeBodies,
} from '../../journal/files/forged-run.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { approved, granted, over, requested } from '../../kit/plain/access-records.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from '../../kit/plain/lock-records.js';

const rounds = 40 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const t0 = Date.UTC(2026, 10, 20);
const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 20 } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 4, shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support: { users: ["*@example.org"], allow: [quota get, mailbox list, search, fetch, mailbox subscribe, expunge, flags add] }
`;
const people = [2001, 2002, 2003];
const commands = [
  '|eve@example.org|quota get',
  '|eve@example.org|mailbox list',
  '|eve@example.org|search|all',
  '|eve@example.org|mailbox subscribe|INBOX',
  '|eve@example.org|expunge|mailbox|INBOX|all',
  '|eve@example.org|flags add|\\Seen|all',
  '|eve@elsewhere.org|quota get',
];
const changes = new Set([3, 4, 5]);

/** In force before, and of whom none asks here. */
const before: readonly AuditRecord[] = [
  locked('L1', t0, { identities: ['person:carol', ...Array.from({ length: 140 }, (_, at) => `key:c${at}`)] }),
  locked('L2', t0, { to: undefined, identities: undefined, user: 'bob@example.org' }),
  held('H1', t0, { user: 'frank@example.org', users: ['frank@example.org', 'f@example.org'] }),
  locked('L9', t0, { to: 'gil', identities: ['uid:1009'] }),
  requested('R1', t0),
  approved('R1', t0),
  granted('R1', t0),
];
const damaged: readonly AuditRecord[] = [
  locked('D1', t0 + 1, { to: 'dave', identities: ['uid:1004', 'name:dave'] }),
  locked('D1', t0 + 1, { to: 'key:panel', identities: ['key:panel'] }),
  locked('D1', t0 + 1, {
    to: undefined,
    identities: undefined,
    user: 'dora@example.org',
    users: ['d@example.org'],
  }),
  locked('D1', t0 + 1, { to: undefined, identities: undefined, backend: 'mail2' }),
  locked('D1', t0 + 1, { to: undefined, identities: undefined, listener: 'billing' }),
  locked('D1', t0 + 1, { identities: Array.from({ length: 140 }, (_, at) => `key:d${at}`) }),
  held('D1', t0 + 1, { user: 'dora@example.org', users: ['dora@example.org', 'd@example.org'] }),
  unlockAsked('H1', t0 + 1),
  unlocked('L9', t0 + 1),
  lockExpired('L9', t0 + 1),
  requested('R2', t0 + 1),
  approved('R1', t0 + 1),
  granted('R1', t0 + 1),
  over('revoked', 'R1', t0 + 1),
  over('reviewed', 'R1', t0 + 1),
  { time: t0 + 1, event: 'reload', outcome: 'ok', version: 'ab'.repeat(32), policies: 'cd'.repeat(32) },
  {
    time: t0 + 1,
    event: 'admission',
    id: 'E1',
    grant: 'R1',
    bound: { login: '1001' },
    user: 'anna@example.com',
  },
  { time: t0 + 1, event: 'completion', id: 'E1', grant: 'R1', sent: false, outcome: 'failed' },
];
const otherTime = formatTime(t0 + 7_200_000);
const ways: Readonly<Record<string, (value: unknown, key: string) => readonly unknown[]>> = {
  missing: () => [undefined],
  'of another type': (value) =>
    [7, -1, true, null, {}, [], [7], [{}], 'x', ''].filter((each) => typeof each !== typeof value),
  cut: () => [{ cut: 'ca', bytes: 900, sha256: 'ab' }, ['uid:1004', { more: 9, bytes: 90, sha256: 'ab' }]],
  huge: () => ['x'.repeat(6500), Array.from({ length: 600 }, (_, at) => `uid:${at + 5000}`), 1e300, '*'],
  'of another journal': (_, key) =>
    key === 'until' || key === 'at' || key === 'time' ? [otherTime] : [`other-${key}`, ['other'], 3],
};

/** Every key but `event`, which says what a record is. */
const cases = damaged.flatMap((record) => {
  const [body = '', ...more] = encodeRecord(record);
  const parsed = parseLine(`{${body}}`) ?? {};
  return Object.keys(parsed).flatMap((key) =>
    Object.entries(ways).flatMap(([way, valuesOf]) =>
      // An end that is whole ends, whatever it was before.
      (key === 'event' ? [] : valuesOf(parsed[key], key)).map((value) => ({
        record,
        key,
        way,
        bodies: [JSON.stringify({ ...parsed, [key]: value }).slice(1, -1), ...more],
      })),
    ),
  );
});

void test('journals with one damaged record: the gate serves, and only who is meant waits', async (t) => {
  const parent = temporaryDirectory(t, 'memory');
  const place = placeIn(join(parent, 'round'));
  const first = startRun(place, { wallMs: t0 });
  write(first, ...before);
  checkpoint(first, t0);
  stop(first, t0);
  const kept = join(parent, 'kept');
  cpSync(join(parent, 'round'), kept, { recursive: true });
  const numbers = new Map<string, number>();
  const usual = await answersAfter('undamaged');
  assert.ok(
    usual.answers.some((answer) => answer.includes('+')),
    'some are served',
  );
  const step = Math.max(1, Math.floor(cases.length / rounds));
  const offset = rounds < cases.length ? Math.floor(Math.random() * step) : 0;
  for (let round = 0; round < rounds; round += 1) {
    const picked = cases[(offset + round * step + Math.floor(round / cases.length)) % cases.length];
    assert.ok(picked);
    const how = (['signed', 'killed', 'unsigned'] as const)[round % 3] ?? 'signed';
    const hasCopy = round % 2 === 1;
    const name = `${picked.record.event} ${picked.record.action ?? ''}, ${picked.key} ${picked.way}, ${how}: ${picked.bodies[0]}`;
    const { locks, loud, answers, isWaiting } = await answersAfter(how, picked, hasCopy).catch(
      (fault: unknown) => {
        throw new Error(name, { cause: fault });
      },
    );
    const isEnd = picked.record.action === 'unlocked' || picked.record.action === 'expired';
    for (const id of ['L1', 'L2', 'H1', ...(isEnd ? [] : ['L9'])])
      assert.ok(locks.has(id), `${id} is gone: ${name}`);
    if (picked.record.lock === 'D1' && picked.record.event === 'lock')
      assert.ok(locks.size > 4 || loud, `it is lost silently: ${name}`);
    const expected = usual.answers.map((answer, at) =>
      isWaiting && changes.has(at % commands.length) ? 'waits' : answer,
    );
    const got = answers.map((answer) => (isWaiting && answer.includes('lock-unread') ? 'waits' : answer));
    assert.deepEqual(got, expected, name);
    assert.ok(!isWaiting || (how !== 'unsigned' && loud), `everybody waits for what nobody signed: ${name}`);
    const outcome = isWaiting ? 'changes wait' : loud ? 'serves all, and says so' : 'serves all';
    numbers.set(`${how}: ${outcome}`, (numbers.get(`${how}: ${outcome}`) ?? 0) + 1);
  }
  t.diagnostic(
    `${rounds} journals of ${cases.length}: ${[...numbers].map(([what, n]) => `${what} ${n}`).join(', ')}`,
  );

  async function answersAfter(
    how: 'undamaged' | 'signed' | 'killed' | 'unsigned',
    picked?: (typeof cases)[number],
    hasCopy = false,
  ) {
    rmSync(join(parent, 'round'), { recursive: true });
    cpSync(kept, join(parent, 'round'), { recursive: true });
    const run = startRun(place, { wallMs: t0 });
    if (picked !== undefined) writeBodies(run, picked.bodies);
    if (how !== 'unsigned') checkpoint(run, t0 + 2);
    if (how === 'signed') stop(run, t0 + 2);
    else kill(run);
    const again = startRun(place, { wallMs: t0 + 3 });
    const { found } = again;
    stop(again, t0 + 3);
    const engine = openMemoryEngine({ settings, found: found.access.records });
    const { locks } = engine.exchanges.access;
    const copies = hasCopy && picked?.record.event === 'lock' ? [{ ...picked.record, peer: undefined }] : [];
    writeFileSync(join(place.state, 'locks.json'), JSON.stringify({ journal: found.journal, locks: copies }));
    const lacking = found.access.damaged.flatMap(({ id, isDropped }) => (isDropped ? [id] : []));
    const report = (): void => undefined;
    const now = { settings: engine.settings, exchanges: engine.exchanges, persons: locks.persons };
    const names = {
      uidOf: async () => ({ kind: 'none' }) as const,
      hasUser: async () => true,
      userOf: async () => ({ kind: 'none' }) as const,
      ownersOf: async () => undefined,
    };
    const ofTarget = (record: LockRecord) => wordsOfTarget({ served: { now }, names }, record);
    const { unproven } = found.access;
    const about = { journal: found.journal, isMissing: false, lacking, unproven, wordsOfTarget: ofTarget };
    await (await keepLocks({ stateDirectory: place.state, log: { report }, locks, ...about })).saved();
    const answers: string[] = [];
    for (const uid of people) {
      const client = await engine.client(2, { uid, user: `user${uid}` });
      for (const line of commands) {
        const from = client.said().length;
        await client.line(line);
        answers.push(
          `${client
            .said()
            .slice(from)
            .replace(/id 01\w{24}/, 'id')} ${engine.recordsOf('completion').at(-1)?.error ?? ''}`,
        );
      }
    }
    const ids = new Set(locks.entries.map(({ id }) => id));
    const isWaiting = locks.entries.some(({ isUnread }) => isUnread === true);
    return {
      locks: ids,
      answers,
      isWaiting,
      loud: found.access.damaged.length + found.access.ended + found.tornBytes > 0,
    };
  }
});
