// A copy of the locks and holds in force, in `state`. The journal is their database, and alone counts where it is whole. A start that finds
// records of it missing or damaged takes from the copy what it lacks, with the whole time again: in doubt a lock stays.
//
//   {"journal":"<32 hex>","locks":[{"lock":"01KAF3W2Q8T5...","action":"locked","to":"carol","identities":["person:carol"],...}]}

import * as z from 'zod';
import { readOwnFile, replaceFile } from '../adapters/host/regular-file.js';
import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import { count, fit } from '../domain/language/seams/shape.js';
import { plural } from '../domain/language/words/words.js';
import { parseLine } from '../domain/records/audit/record.js';
import type { Locks } from '../gateway/access/locks.js';
import { messageOf } from '../ports/faults.js';

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
  /** Of which the journal has nothing that counts. */
  readonly lacking: readonly string[];
}

/** Takes what the journal lost, and keeps every change from then on. Never rejects. */
export async function keepLocks({ stateDirectory, log, locks, journal, isMissing, lacking }: KeptLocksParts) {
  const path = `${stateDirectory}/locks.json`;
  const report = (text: string): void => log.report({ event: 'locks-kept', level: 'warn', text });
  const before = await readKept(path).catch((fault: unknown) => {
    report(`locks beside the journal are not known: ${messageOf(fault)}`);
    return undefined;
  });
  if (before !== undefined) {
    const isAll = isMissing || before.journal !== journal;
    const unread = new Set([
      ...lacking,
      ...locks.entries.flatMap(({ id, isUnread }) => (isUnread ? [id] : [])),
    ]);
    const found = before.locks.map((each) => fit(keptLock, each));
    const copies = found.filter((each) => typeof each !== 'string');
    if (copies.length < found.length)
      report(`${plural(found.length - copies.length, 'lock')} in ${path} cannot be read`);
    const back = copies.filter(
      (each) => (isAll || unread.has(each.lock)) && locks.restore({ ...each, time: 0, event: 'lock' }),
    );
    if (back.length > 0)
      report(
        `the journal lacks the records of ${back.length} locks and holds, which begin anew; lift those that are over`,
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
  // Most gates have none, and a start writes nothing then.
  if (locks.size + (before?.locks.length ?? 0) > 0) await save();
  return { saved: (): Promise<void> => saved };
}

async function readKept(path: string): Promise<z.infer<typeof kept> | undefined> {
  const text = await readOwnFile(path);
  if (text === undefined) return undefined;
  const found = fit(kept, parseLine(text));
  if (typeof found === 'string') throw new Error(`${path}: ${found}`);
  return found;
}
