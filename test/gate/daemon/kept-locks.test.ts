// Goal: the journal and the copy of the locks in `state`, where somebody with the disk changed either, at a start of the real writer.
// What must not happen: a lock that the journal holds, or the copy where the journal was changed, is not in force; a start that fails, or
// that says nothing; root locked by a forged copy.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepLocks } from '../../../src/gate/daemon/kept-locks.js';
import { wordsOfTarget } from '../../../src/gate/daemon/lock-actions.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { isHold } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord, LockRecord } from '../../../src/journal/records/record.js';
import { Persons } from '../../../src/rules/identity/person.js';
import {
  checkpoint,
  type Place,
  placeFor,
  signKey,
  startRun,
  stop,
  verdictOf,
  write,
} from '../../journal/files/forged-run.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { held, locked, unlocked } from '../../kit/plain/lock-records.js';

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

const names = {
  uidOf: async (name: string) =>
    name === 'dave' ? ({ kind: 'found', id: 1004 } as const) : ({ kind: 'none' } as const),
  hasUser: async (name: string) => name === 'dave',
  userOf: async () => ({ kind: 'none' }) as const,
  ownersOf: async () => undefined,
};

async function startWith(place: Place, copy?: unknown, secretPem = signKey.secretPem) {
  const path = join(place.state, 'locks.json');
  rmSync(path, { force: true });
  if (copy !== undefined)
    writeFileSync(path, typeof copy === 'string' ? copy : JSON.stringify(copy), { mode: 0o600 });
  const { found } = startRun(place, { wallMs: t0 + 1, secretPem });
  const { exchanges, settings } = openMemoryEngine({ found: found.access.records });
  const { locks } = exchanges.access;
  const now = { settings, exchanges, persons: new Persons(settings.persons) };
  const said: string[] = [];
  const lacking = found.access.damaged.flatMap(({ id, isDropped }) => (isDropped ? [id] : []));
  const isMissing = found.damage !== undefined || found.isGap;
  const log = { report: ({ text }: { readonly text: string }): void => void said.push(text) };
  const { unproven } = found.access;
  const parts = { stateDirectory: place.state, log, locks, journal: found.journal, isMissing, lacking };
  const ofTarget = (record: LockRecord) => wordsOfTarget({ served: { now }, names }, record);
  await (await keepLocks({ ...parts, unproven, wordsOfTarget: ofTarget })).saved();
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
