// One command with all its records: admission, completion, session, grant, log lines and lock.

import { asObject, type StoredRecord } from '../../host/values/values.js';
import { argumentCount, joinArguments, textIn } from '../../journal/records/stored.js';
import { foldGrant } from './grant.js';
import { isLockMade } from './row.js';
import { tell } from './story.js';

/** `records`: the kept records of the id in their order, with those of its session, its counting searches and its grant. */
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
    /** The records of the command, for callers that need more than the story. */
    records: {
      /** With all its arguments, if all argument records are there. */
      admission,
      completion,
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

/** The remark of dovegate that the command is overdue: it is among the log lines, but names no upstream. */
function overdueStatus(lines: readonly StoredRecord[]): string | undefined {
  for (const line of lines) {
    const text = textIn(line, 'text');
    if (line['upstream'] === undefined && text.startsWith(overdueOpening))
      return text.slice(overdueOpening.length).split(';', 1)[0];
  }
  return undefined;
}

/** The client as the kernel or TLS identified it, from the first record that has it. */
export function peerOf({ records: { admission, completion, opened } }: FoldedStory): StoredRecord {
  const [found = {}] = [admission, opened, completion]
    .map((record) => asObject(record?.['peer']) ?? {})
    .filter((peer) => Object.keys(peer).length > 0);
  return found;
}
