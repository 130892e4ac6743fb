// Groups the commands and requests for access of a search that failed or were refused, by cause: their number, the first and the last time,
// and who sent them. A fold over rows in any order. It keeps the first causes that it meets, and only counts rows of further ones.

import { isText } from '../../host/values/values.js';
import { textIn } from '../../journal/records/stored.js';
import { backendOf, classOfRow, isExchange, outcomeOf, requesterOf, type StoryRow } from '../story/row.js';
import { whyWords } from '../story/words.js';
import type { CauseShown, Causes } from '../views/trail.js';

const causesMax = 200;
const requestersMax = 20;
/** Limit of a text of a record. */
export const charsMax = 400;

type Open = { -readonly [Key in keyof CauseShown]: CauseShown[Key] } & { readonly requesters: string[] };

export function createCauses() {
  const causes = new Map<string, Open>();
  let further = 0;

  return {
    take(row: StoryRow): void {
      if (classOfRow(row) === 'ok') return;
      const cause = openOf(row);
      if (cause === undefined) {
        further += 1;
        return;
      }
      cause.count += 1;
      const { time } = row.fields;
      if (isText(time) && (cause.firstTime === '' || time < cause.firstTime)) cause.firstTime = time;
      if (isText(time) && time >= cause.lastTime) {
        cause.lastTime = time;
        cause.why = whyWords(row).slice(0, charsMax);
      }
      noteRequester(cause, row);
    },
    finish: (): Causes => ({
      causes: [...causes.values()].toSorted(
        (one, other) => other.count - one.count || (one.lastTime > other.lastTime ? -1 : 1),
      ),
      further,
    }),
  };

  function openOf(row: StoryRow): Open | undefined {
    const command = textIn(row.fields, 'command').slice(0, charsMax);
    const outcome = outcomeOf(row);
    const key = JSON.stringify([outcome, command, causeOf(row)]);
    const known = causes.get(key);
    if (known !== undefined || causes.size >= causesMax) return known;
    const cause = { outcome, command, why: '', count: 0, firstTime: '', lastTime: '' };
    const opened = { ...cause, requesters: [], isMoreRequesters: false };
    causes.set(key, opened);
    return opened;
  }
}

/** The first requesters are kept, and that there were more. */
export function noteRequester(
  of: { readonly requesters: string[]; isMoreRequesters: boolean },
  row: StoryRow,
): void {
  const requester = requesterOf(row).slice(0, charsMax);
  if (of.requesters.includes(requester)) return;
  if (of.requesters.length < requestersMax) of.requesters.push(requester);
  else of.isMoreRequesters = true;
}

/** What the rows of one cause have in common: codes and places, but no sentences, which may contain times and numbers. */
function causeOf(row: StoryRow): readonly string[] {
  const { fields } = row;
  if (!isExchange(fields)) return [textIn(fields, 'event'), textIn(fields, 'reason')];
  const [word = ''] = /^-[A-Z]*/.exec(textIn(fields, 'status')) ?? [];
  const keys = ['policy', 'rule', 'denial', 'error'] as const;
  return [...keys.map((key) => textIn(fields, key)), word, backendOf(row)];
}
