// Goal: the journal and the copy of the locks in `state`, where somebody with the disk changed either, at a start of the real writer.
// What must not happen: a lock that the journal holds, or the copy where the journal was changed, is not in force; a start that fails, or
// that says nothing; root locked by a forged copy.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepLocks } from '../../../src/gate/daemon/kept-locks.js';
import { wordsOfTarget } from '../../../src/gate/daemon/lock-actions.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeRecord } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { isHold } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord, LockRecord } from '../../../src/journal/records/record.js';
import { Persons } from '../../../src/rules/identity/person.js';
import {
  checkpoint,
  kill,
  type Place,
  placeFor,
  placeIn,
  signKey,
  startRun,
  stop,
  verdictOf,
  write,
  writeBodies,
} from '../../journal/files/forged-run.js';
import { segmentFiles, temporaryDirectory } from '../../journal/files/reading.js';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { approved, granted, over, requested } from '../../kit/plain/access-records.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from '../../kit/plain/lock-records.js';

const t0 = Date.UTC(2026, 10, 20);
const lost = locked('L1', t0, { to: 'dave', identities: ['uid:1004', 'name:dave'] });
const left = locked('L2', t0, { to: undefined, identities: undefined, user: 'bob@example.org' });
const lifted = locked('L3', t0, { to: 'gil', identities: ['uid:1009'] });

/** A run in which these records were written, under a checkpoint, and stopped. */
function journalOf(place: Place, ...records: readonly AuditRecord[]): void {
  const run = startRun(place, { wallMs: t0 });
  write(run, ...records);
  checkpoint(run, t0);
  stop(run, t0);
}

/**
 * Takes the line of a lock out of the last segment, or changes it; `isRehashed`: the lines from there on are chained anew up to the last
 * checkpoint.
 */
function takeOut(
  { directory }: Place,
  id: string,
  isRehashed: boolean,
  edit?: (line: string) => string,
): void {
  const file = join(directory, segmentFiles(directory).at(-1) ?? '');
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const at = lines.findIndex((line) => line.includes(`"lock":"${id}"`));
  assert.ok(at > 0);
  let { seq, hash: prev }: { seq: number; hash: string } = JSON.parse(lines[at - 1] ?? '');
  const own = edit === undefined ? [] : [edit(lines[at] ?? '')];
  const behind = [...own, ...lines.slice(at + 1)].map((line, index, { length }) => {
    if (!isRehashed || index === length - 1) return line;
    seq += 1;
    const body = /^\{"seq":\d+,(.*),"prev":/s.exec(line)?.[1] ?? assert.fail(line);
    const sealed = sealLine(seq, body, prev);
    prev = sealed.hash;
    return sealed.line.trimEnd();
  });
  writeFileSync(file, `${[...lines.slice(0, at), ...behind].join('\n')}\n`);
}

/** What a start makes of the locks that it found in its journal, and of the copy in `state`. */
async function keepFound(
  { state }: Place,
  found: ReturnType<typeof startRun>['found'],
  { exchanges, settings }: Pick<MemoryEngine, 'exchanges' | 'settings'>,
  isUser: (name: string) => boolean,
): Promise<string[]> {
  const { locks } = exchanges.access;
  const now = { settings, exchanges, persons: new Persons(settings.persons) };
  const said: string[] = [];
  const names = {
    uidOf: async (name: string) =>
      name === 'dave' ? ({ kind: 'found', id: 1004 } as const) : ({ kind: 'none' } as const),
    hasUser: async (name: string) => isUser(name),
    userOf: async () => ({ kind: 'none' }) as const,
    ownersOf: async () => undefined,
  };
  const kept = await keepLocks({
    stateDirectory: state,
    log: { report: ({ text }: { readonly text: string }): void => void said.push(text) },
    locks,
    journal: found.journal,
    isMissing: found.damage !== undefined || found.isGap,
    lacking: found.access.damaged.flatMap(({ id, isDropped }) => (isDropped ? [id] : [])),
    unproven: found.access.unproven,
    wordsOfTarget: (record: LockRecord) => wordsOfTarget({ served: { now }, names }, record),
  });
  await kept.saved();
  return said;
}

async function startWith(place: Place, copy?: unknown, secretPem = signKey.secretPem) {
  const path = join(place.state, 'locks.json');
  rmSync(path, { force: true });
  if (copy !== undefined)
    writeFileSync(path, typeof copy === 'string' ? copy : JSON.stringify(copy), { mode: 0o600 });
  const { found } = startRun(place, { wallMs: t0 + 1, secretPem });
  const engine = openMemoryEngine({ found: found.access.records });
  const said = await keepFound(place, found, engine, (name) => name === 'dave');
  const { locks } = engine.exchanges.access;
  const isLocked = (...identities: readonly string[]): boolean =>
    locks.on({ human: { identities } }) !== undefined;
  return { found, locks, said, isLocked, ids: locks.entries.map(({ id }) => id).toSorted() };
}

const journal = 'ab'.repeat(16);
const copyOf = (...locks: readonly unknown[]) => ({ journal, locks });

void test('a record of a lock that was taken out before the last checkpoint: the copy says what is locked', async (t) => {
  for (const isRehashed of [false, true])
    for (const others of [[], [left, lifted, unlocked('L3', t0)]]) {
      const place = placeFor(t);
      journalOf(place, ...others, lost);
      takeOut(place, 'L1', isRehashed);
      const { found, ids, said } = await startWith(place, copyOf(lost));
      // In doubt a lift does not count, and that is said.
      assert.deepEqual(ids, others.length === 0 ? ['L1'] : ['L1', 'L2', 'L3']);
      assert.deepEqual([found.damage, said.length], ['changed', 1], said.join());
      assert.deepEqual(
        found.access.damaged.map(({ id, text }) => [id, /vouches for the record that lifts it/.test(text)]),
        others.length === 0 ? [] : [['L3', true]],
      );
      const { faults } = await verdictOf(place, place.state);
      assert.ok(faults.some(({ text }) => text.includes('were not those that it signs')));
    }
});

void test('a forged copy beside a journal that was changed takes no lock away, and is said', async (t) => {
  const root = locked('F1', t0, { to: 'root', identities: ['uid:0', 'name:root'] });
  const hold = held('F2', t0, { user: '*' });
  for (const [name, copy, more] of [
    ['missing', undefined, []],
    ['cut', JSON.stringify(copyOf(lost, left)).slice(0, -20), []],
    ['huge', `${JSON.stringify(copyOf(lost)).slice(0, -1)},"x":"${'x'.repeat(32 << 20)}"}`, []],
    ['no list', { journal, locks: 7 }, []],
    ['empty', copyOf(), []],
    ['of other types', copyOf({ ...lost, lock: 7 }, { ...left, action: 'unlocked' }, null, []), []],
    ['of another journal', { ...copyOf(lost), journal: 'cd'.repeat(16) }, ['L1']],
    ['with root and everybody', copyOf(root, hold, lost), ['L1']],
  ] as const) {
    const place = placeFor(t);
    journalOf(place, lost, left);
    takeOut(place, 'L1', true);
    const { found, locks, ids, said } = await startWith(place, copy);
    assert.deepEqual(ids, [...more, 'L2'], name);
    assert.ok(found.damage === 'changed' || said.length > 0, name);
    assert.equal(locks.on({ human: { identities: ['uid:0', 'name:root'] } }), undefined, name);
  }
});

void test('of a lock whose record was changed, what the journal and the copy say is in force', async (t) => {
  const hold = held('L2', t0, { user: 'bob@example.org' });
  for (const [id, from, to, more] of [
    ['L1', '["uid:1004","name:dave"]', '["name:zzz"]', []],
    ['L1', '"to":"dave"', '"to":"zzz"', ['L1-journal']],
    ['L1', '"to":"dave"', '"listener":"support"', ['L1-journal']],
    ['L1', /"duration_ms":\d+,"until":"[^"]+"/, `"duration_ms":1,"until":"${formatTime(t0 + 1)}"`, []],
    ['L2', '"user":"bob@example.org"', '"user":"zed@example.org"', ['L2-journal']],
    ['L2', '"action":"held"', `"action":"locked","duration_ms":1,"until":"${formatTime(t0 - 1)}"`, []],
  ] as const)
    for (const isRehashed of [false, true]) {
      const place = placeFor(t);
      journalOf(place, lost, hold);
      takeOut(place, id, isRehashed, (line) => {
        const next = line.replace(from, to);
        assert.notEqual(next, line);
        return next;
      });
      const { ids, locks, said, isLocked } = await startWith(place, copyOf(lost, hold));
      const name = `${id} ${to} ${String(isRehashed)}`;
      assert.deepEqual(ids, ['L1', 'L2', ...more].toSorted(), name);
      assert.ok(isLocked('uid:1004'), name);
      assert.deepEqual(
        locks.entries
          .filter((lock) => !lock.id.endsWith('-journal'))
          .map((lock) => [lock.id, locks.shown(lock).target, isHold(lock)]),
        [
          ['L1', 'dave', false],
          ['L2', 'user:bob@example.org', true],
        ],
        name,
      );
      const { locked: dave } = locks.entries.find((lock) => lock.id === 'L1') ?? {};
      assert.ok((dave?.duration_ms ?? 0) >= 3_600_000, name);
      const differing = said.filter((text) => text.includes('the journal says of lock'));
      assert.deepEqual([said.length > 0, differing.length], [true, more.length], name);
    }
});

// Goal: a journal whose chain and signatures are whole, with one record of state in it that is damaged: each kind, each key, by the real
// writer. What must not happen: a start that fails; a lock or hold that is gone, but for one that is lifted; a command of somebody who is
// not the target that gets another answer than before. Where a signed record does not say whom it stops, changes wait and reads go on.
// DOVEGATE_ROUNDS multiplies the journals.
const rounds = 40 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const ofPeople = `
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
  const parent = temporaryDirectory(t);
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
    const engine = openMemoryEngine({ settings: ofPeople, found: found.access.records });
    const { locks } = engine.exchanges.access;
    const copies = hasCopy && picked?.record.event === 'lock' ? [{ ...picked.record, peer: undefined }] : [];
    writeFileSync(join(place.state, 'locks.json'), JSON.stringify({ journal: found.journal, locks: copies }));
    await keepFound(place, found, engine, () => true);
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
