// The output of a dry run over a list: a line for each user whose answer differs from the first allowed user's, with the
// difference only, and a summary. Its memory grows neither with the list nor with the answers.

import { countWords, plural } from '../../host/words/words.js';
import type { BulkRow, UserResult } from './send-user.js';

/** Rows that differ from user to user without changing the decision. */
const ofUser: ReadonlySet<string> = new Set(['concerns', 'backend', 'mails']);
/** Limits the memory: names come from the server's answers. */
const backendsMax = 20;

export function createDryRun() {
  let usual: ReadonlySet<string> | undefined;
  let allowed = 0;
  let denied = 0;
  let failed = 0;
  let mails: number | undefined;
  const backends = new Map<string, number>();

  function count(rows: readonly BulkRow[]): void {
    allowed += 1;
    for (const [what, value = ''] of rows.map(cellsOf)) {
      if (what === 'mails' && /^\d{1,15}$/.test(value)) mails = (mails ?? 0) + Number(value);
      if (what === 'backend' && (backends.has(value) || backends.size < backendsMax))
        backends.set(value, (backends.get(value) ?? 0) + 1);
    }
  }

  return {
    /** What to print for a user; undefined: the command would run as for the users before. */
    take(result: UserResult): UserResult | undefined {
      if (result.kind !== 'ok') {
        if (result.kind === 'failed' && result.code === 'NOPERM') denied += 1;
        else failed += 1;
        return result;
      }
      count(result.rows);
      if (result.isCut) return result;
      const own = result.rows.filter((row) => !ofUser.has(cellsOf(row)[0] ?? ''));
      const keys = own.map((row) => JSON.stringify(row));
      if (usual === undefined) {
        usual = new Set(keys);
        return undefined;
      }
      const known = usual;
      const rows = own.filter((_row, at) => !known.has(keys[at] ?? ''));
      return rows.length === 0 && keys.length === known.size ? undefined : { ...result, rows };
    },
    /** `5 of 6 users would run it (12 mails; 3 on mail1, 2 on mail2), 1 denied`; `done`: users with an earlier result. */
    summary(done: number): string {
      const users = allowed + denied + failed + done;
      const where = [...backends].map(([name, number]) => `${countWords(number)} on ${name}`);
      const found = [
        ...(mails === undefined ? [] : [`${countWords(mails)} mails`]),
        ...(where.length === 0 ? [] : [where.join(', ')]),
      ];
      const about = found.length === 0 ? '' : ` (${found.join('; ')})`;
      const more = [
        ...(denied === 0 ? [] : [`${countWords(denied)} denied`]),
        ...(failed === 0 ? [] : [`${countWords(failed)} failed`]),
        ...(done === 0 ? [] : [`${countWords(done)} with a result already`]),
      ].map((part) => `, ${part}`);
      return `dry run, nothing was changed: it would run for ${countWords(allowed)} of ${plural(users, 'user')}${about}${more.join('')}`;
    },
  };
}

function cellsOf(row: BulkRow): readonly string[] {
  return Object.values<string>(row);
}
