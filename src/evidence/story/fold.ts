// One command with everything that its records say beside its admission and completion: its session, its grant, its log lines, its lock.

import { asObject, type StoredRecord } from '../../host/values/values.js';
import { argumentCount, joinArguments, textIn } from '../../journal/records/stored.js';
import { foldGrant } from './grant.js';
import { isLockMade } from './row.js';
import { tell } from './story.js';

/** The fold. `records`: those of the id in their order, with its session, its twins and the steps of its grant, as far as they are kept. */
export function foldStory(records: readonly StoredRecord[], id: string, use?: number) {
  const own = records.filter((record) => record['id'] === id);
  const find = (from: readonly StoredRecord[], event: string): StoredRecord | undefined =>
    from.find((record) => record['event'] === event);
  const recorded = find(own, 'admission');
  const parts = own.filter(({ event }) => event === 'arguments');
  const isLong = parts.length > 0 || (recorded !== undefined && argumentCount(recorded) > 0);
  const joined = isLong && recorded !== undefined ? joinArguments(recorded, parts) : recorded;
  const admission = joined ?? recorded;
  const completion = find(own, 'completion');
  const lines = own.filter(({ event }) => event === 'log');
  const grant = textIn(admission, 'grant') || textIn(completion, 'grant');
  return {
    ...tell(
      admission ?? completion ?? { id },
      completion,
      foldGrant(records, grant),
      overdueStatus(lines),
      own.find(isDone) ?? records.find((record) => isDone(record) && record['action'] === 'drain'),
      records.find(isLockMade),
      use,
    ),
    /** Of the command, with those that others read beside it. */
    records: {
      /** With all its arguments, where all their records are there. */
      admission,
      completion,
      /** Lines of the backend's log. */
      logs: lines,
      opened: find(records, 'session-open'),
      closed: find(records, 'session-close'),
      /** Admissions of searches that dovegate made for it. */
      twins: records.filter((record) => record['event'] === 'admission' && record['for'] === id),
      /** Argument records are missing. */
      isPartMissing: recorded !== undefined && joined === undefined,
    },
  };
}

export type FoldedStory = ReturnType<typeof foldStory>;

function isDone({ event, outcome }: StoredRecord): boolean {
  return event === 'operator' && outcome === 'ok';
}

const overdueOpening = 'no answer in time: the client got ';

/** A remark of dovegate among the lines of the log, which names no upstream. */
function overdueStatus(lines: readonly StoredRecord[]): string | undefined {
  for (const line of lines) {
    const text = textIn(line, 'text');
    if (line['upstream'] === undefined && text.startsWith(overdueOpening))
      return text.slice(overdueOpening.length).split(';', 1)[0];
  }
  return undefined;
}

/** The client as far as the kernel or TLS identified it, from the first of its records that has it. */
export function peerOf({ records: { admission, completion, opened } }: FoldedStory): StoredRecord {
  const [found = {}] = [admission, opened, completion]
    .map((record) => asObject(record?.['peer']) ?? {})
    .filter((peer) => Object.keys(peer).length > 0);
  return found;
}
