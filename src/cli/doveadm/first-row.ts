// What the first cells of a reply tell of the server behind it. A server of minor 3 is Dovecot 2.4.0 to 2.4.4, or dovegate in front of
// any: then nothing else says which columns there are. It prints nothing.
// The rule: what cannot be told is taken for 2.4.

import { type ReplyShape, replyShape } from '../../domain/commands/columns.js';
import type { ParsedArguments } from '../../domain/commands/parse.js';
import type { Series } from '../../domain/commands/series.js';

/** A reply whose columns are not known before its first cells. */
export interface Unsettled {
  /** So many tell it; a reply with fewer tells it too. */
  readonly cells: number;
  /** Of the first cells, all that there are when there are fewer. */
  shapeOf(cells: readonly string[]): ReplyShape | undefined;
}

/** The cell of `mailbox status all` that is a GUID where a server has no field `deleted`; which it is tells the release. */
const guidCell = 8;
const guid = /^[0-9a-f]{32}$/;
const address = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f.]*:[0-9a-f:.]*)?$/i;

/** Undefined: the columns are known. `serverMinor`: undefined where it did not say any. */
export function unsettled(parsed: ParsedArguments, serverMinor: number | undefined): Unsettled | undefined {
  if (serverMinor !== undefined && serverMinor !== 3) return undefined;
  const as = (series: Series): ReplyShape | undefined => replyShape({ ...parsed, series }, serverMinor ?? 3);
  const tell = (cells: number, isOld: (cells: readonly string[]) => boolean): Unsettled => ({
    cells,
    shapeOf: (first) => as(first.length > 0 && isOld(first) ? '2.3' : '2.4'),
  });
  switch (parsed.command.name) {
    case 'mailbox status': {
      const isAll = parsed.values.get('field')?.includes('all') === true && !parsed.hasOption('total-sum');
      if (!isAll) return undefined;
      const shapeOf = (cells: readonly string[]): ReplyShape | undefined =>
        replyShape(parsed, cells.length <= guidCell || guid.test(cells[guidCell] ?? '') ? 3 : 4);
      return { cells: guidCell + 1, shapeOf };
    }
    case 'who':
      // The fifth cell is where the client came to, or the next user.
      if (!parsed.hasOption('separate-connections')) return undefined;
      return tell(5, (cells) => cells.length < 5 || !address.test(cells[4] ?? ''));
    case 'kick':
      // How many connections, or whose.
      return tell(1, ([first = '']) => !/^\d+$/.test(first));
    case 'log errors':
      // 2.4 has the fraction of the second, and the colon behind the prefix.
      return tell(2, ([time = '', prefix = '']) => !/\.\d+$/.test(time) && !/(?:^|: )$/.test(prefix));
    default:
      return undefined;
  }
}
