// A copy of the locks and holds in force, in `state`. While the journal is whole, only the journal counts. If a start finds records missing
// or damaged, it takes the lost locks from the copy, each with its whole time again: in doubt a lock stays. If both have a lock but differ,
// both versions are in force.
//
//   {"journal":"<32 hex>","locks":[{"lock":"01KAF3W2Q8T5...","action":"locked","to":"carol","identities":["person:carol"],...}]}

import * as z from 'zod';
import { lockTarget } from '../../doveadm/codes/lock-target.js';
import { bounds } from '../../host/bounds/bounds.js';
import { readOwnJson, replaceFile } from '../../host/machine/regular-file.js';
import { messageOf } from '../../host/ports/faults.js';
import { fit } from '../../host/values/fit.js';
import { count } from '../../host/values/shape.js';
import { plural } from '../../host/words/words.js';
import { keptLocksName } from '../../journal/files/kept-end.js';
import type { LockRecord } from '../../journal/records/record.js';
import type { Locks } from '../access/locks.js';
import type { Log } from '../telemetry/log.js';

const word = z.string().max(bounds.besideFileBytes);
const words = z.array(word);

const keptLock = z.object({
  lock: word,
  action: z.enum(['locked', 'held']),
  to: word.optional(),
  identities: words.optional(),
  user: word.optional(),
  users: words.optional(),
  backend: word.optional(),
  listener: word.optional(),
  by: word.optional(),
  args: words.optional(),
  reason: word.optional(),
  duration_ms: count.optional(),
});
const kept = z.object({ journal: z.string(), locks: z.array(z.unknown()).max(bounds.locks) });

interface KeptLocksParts {
  readonly stateDirectory: string;
  readonly log: Pick<Log, 'report'>;
  readonly locks: Locks;
  /** The id of the journal, and whether records of it are missing. */
  readonly journal: string;
  readonly isMissing: boolean;
  /** Ids of locks for which the journal has no valid record. */
  readonly lacking: readonly string[];
  /** Ids of locks whose records no signature covers. */
  readonly unproven: readonly string[];
  /** The identities that the target of a record has today. */
  readonly wordsOfTarget: (locked: LockRecord) => Promise<readonly string[] | undefined>;
}

/** Restores the locks that the journal lost, and saves every change from then on. Never rejects. */
export async function keepLocks(parts: KeptLocksParts) {
  const { stateDirectory, log, locks, journal, isMissing, lacking, unproven, wordsOfTarget } = parts;
  const path = `${stateDirectory}/${keptLocksName}`;
  const report = (text: string): void => log.report({ event: 'locks-kept', level: 'warn', text });
  const damaged = (text: string): void => log.report({ event: 'lock-damaged', level: 'error', text });
  const before = await readOwnJson(path, kept).catch((fault: unknown) => {
    report(`locks beside the journal are not known: ${messageOf(fault)}`);
    return undefined;
  });
  const isUnproven = new Set(unproven);
  // A record without a signature proves only its target, so the identities are looked up again.
  const open = locks.entries.filter(({ id, isUnread }) => isUnproven.has(id) && isUnread !== true);
  const own = await Promise.all(open.map(({ locked }) => wordsOfTarget(locked)));
  for (const [at, lock] of open.entries()) {
    const { identities, users } = lock.locked;
    const known = own[at];
    if (users !== undefined || String(identities) !== String(known))
      locks.learn(lock, { identities: known, users: undefined });
  }
  if (before !== undefined) {
    const isAll = isMissing || before.journal !== journal;
    const doubtful = new Set([
      ...lacking,
      ...unproven,
      ...locks.entries.flatMap(({ id, isUnread }) => (isUnread ? [id] : [])),
    ]);
    const found = before.locks.map((each) => fit(keptLock, each));
    const copies = found.filter((each) => typeof each !== 'string');
    if (copies.length < found.length)
      report(`${plural(found.length - copies.length, 'lock')} in ${path} cannot be read`);
    const ids = new Set(copies.map((copy) => copy.lock));
    const back = copies.filter(
      (copy) => (isAll || doubtful.has(copy.lock)) && takeBack({ ...copy, time: 0, event: 'lock' }, ids),
    );
    if (back.length > 0)
      report(
        `the journal lacks the records of ${back.length} locks and holds, or they may be changed: those in ${path} begin anew; lift those that are over (dovegate status lists them)`,
      );
  }
  let saved = Promise.resolve();
  let isDue = false;
  const save = (): Promise<void> => {
    if (isDue) return saved;
    isDue = true;
    saved = saved.then(async () => {
      isDue = false;
      const read = locks.entries.filter(({ isUnread }) => isUnread !== true);
      const all = read.map(({ locked }) => {
        const { time: _time, event: _event, peer: _peer, until: _until, count: _count, ...rest } = locked;
        return rest;
      });
      await replaceFile(path, `${JSON.stringify({ journal, locks: all })}\n`).catch((fault: unknown) =>
        report(`locks in force are in the journal only: ${messageOf(fault)}`),
      );
    });
    return saved;
  };
  locks.onChanged = () => void save();
  // Most gates have no locks; then a start writes nothing.
  if (locks.size + (before?.locks.length ?? 0) > 0) await save();
  return { saved: (): Promise<void> => saved };

  /** Restores a copy; what the journal says of the same lock stays in force, too. Returns false if there is no room. */
  function takeBack(copy: LockRecord, ids: ReadonlySet<string>): boolean {
    const { lock: id = '' } = copy;
    const known = locks.all.find((each) => each.id === id);
    if (known === undefined) return hasPlace(id, ids) && locks.restore(copy);
    if (known.isUnread === true) return locks.restore(copy);
    const { locked } = known;
    if (locked.action === copy.action && lockTarget(locked) === lockTarget(copy)) {
      const identities = joined(copy.identities, locked.identities);
      return locks.restore({ ...copy, identities, users: joined(copy.users, locked.users) });
    }
    const other = `${id}-journal`;
    const isBoth =
      locks.entries.some((each) => each.id === id) &&
      hasPlace(other, ids) &&
      locks.restore({ ...locked, lock: other });
    const [says, does] = [locked, copy].map((each) => `${lockTarget(each)} is ${each.action ?? ''}`);
    const then = isBoth ? `both are in force, the former as ${other}` : 'only the latter is in force';
    damaged(`the journal says of lock ${id} that ${says}, and ${path} that ${does}: ${then}`);
    return locks.restore(copy);
  }

  function hasPlace(id: string, ids: ReadonlySet<string>): boolean {
    if (locks.size < bounds.locks) return true;
    const least = locks.all.findLast((each) => isUnproven.has(each.id) && !ids.has(each.id));
    if (least === undefined)
      damaged(`lock ${id} is not in force any more: ${bounds.locks} are in force already`);
    else {
      damaged(
        `lock ${least.id} of ${lockTarget(least.locked)} is not in force any more: no signature covers it, and lock ${id} needs its place`,
      );
      locks.drop(least);
    }
    return least !== undefined;
  }
}

/** Joins both without duplicates, those of `some` first, up to `bounds.lockWords`. */
function joined(some: readonly string[] | undefined, more: readonly string[] = []) {
  return some === undefined && more.length === 0
    ? undefined
    : [...new Set([...(some ?? []), ...more])].slice(0, bounds.lockWords);
}
