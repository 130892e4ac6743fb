// `dovegate audit show`: all records of one exchange, with its log lines and its session.
// It is found by its id, or by the seq of any of its records, as search and verify name them.

import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { isObject, type StoredRecord } from '../../host/values/values.js';
import { formatJson, printable } from '../../host/words/text.js';
import {
  type Found,
  type FoundExchange,
  findExchange,
  type Surroundings,
  seqOf,
} from '../reading/find-exchange.js';
import { createDamageWatch } from '../reading/unseen.js';
import { foldStory } from '../story/fold.js';
import { grantSentences } from '../story/grant.js';
import { kindOf, recordTitle, rowOfDeed } from '../story/row.js';
import { storySentences } from '../story/words.js';
import { formatValue } from '../trail/export.js';
import { isWanted } from '../views/look.js';
import { createView } from '../views/view.js';
import { isAsked, openPage } from './ask-page.js';
import { type Places, trailsOf } from './audit-places.js';
import { paintOfOutcome, reportDamage } from './audit-search.js';
import { formatLocal, showsLocalTime } from './audit-table.js';

/** 0; or 1: there is no such exchange. Throws as the readers do, and a CommandFault for a text that is neither id nor seq. */
export async function auditShow(
  screen: Screen,
  places: Places,
  wanted: string,
  isJson: boolean,
): Promise<number> {
  if (!isWanted(wanted))
    throw new CommandFault(
      exitCodes.usage,
      `usage: dovegate audit show ID [DIRECTORY]; "${printable(wanted)}" is neither an id nor a seq`,
    );
  let isFound = false;
  for await (const { id, all, use, said, around, notes, host } of exchangesOf(screen, places, wanted)) {
    reportDamage(screen, notes);
    if (all.length === 0) continue;
    isFound = true;
    const of = host === undefined ? {} : { host };
    if (isJson) for (const { record } of all) await screen.print(formatJson({ ...of, ...record, ...of }));
    else {
      if (host !== undefined) await screen.print(screen.paint('title', `on ${host}`));
      if (said !== undefined) await screen.print(screen.paint('title', `access ${printable(wanted)}:`));
      for (const sentence of said ?? []) await screen.print(`  ${printable(sentence)}`);
      for (const line of describe(screen, all, id, use)) await screen.print(line);
      for (const line of describeAround(screen, around)) await screen.print(line);
    }
  }
  await screen.flush();
  if (!isFound) screen.complain(`dovegate: no record of ${wanted} was found`);
  return isFound ? exitCodes.ok : exitCodes.failed;
}

async function* exchangesOf(
  screen: Screen,
  places: Places,
  wanted: string,
): AsyncGenerator<
  FoundExchange & {
    readonly notes: readonly string[];
    readonly host?: string | undefined;
    /** The sentences about a request or grant with the wanted id. */
    readonly said?: readonly string[] | undefined;
  }
> {
  if (isAsked(places)) {
    const { page } = await openPage(screen, places);
    const { found, end } = await page.show(wanted);
    const around = { ...end.around, checkpoint: end.checkpoint };
    yield {
      id: end.id,
      all: found,
      use: end.use,
      said: end.grant?.sentences,
      around,
      notes: (end.notes ?? []).map((note) => printable(note)),
    };
    return;
  }
  for (const trail of await trailsOf(screen, places)) {
    const damage = createDamageWatch();
    const options = { look: damage.look, isWhole: places.view === undefined };
    const found = await findExchange(trail, wanted, createView(places.view), options);
    const said = found.grant && grantSentences(found.grant);
    yield { ...found, said, notes: damage.notes(), host: trail.host };
  }
}

/** Shown once, in the heading. */
const headingKeys = new Set(['seq', 'event', 'time', 'id', 'prev', 'hash']);
const nameCells = 14;

function describe(
  screen: Screen,
  all: readonly Found[],
  id: string | undefined,
  use: number | undefined,
): string[] {
  const lines: string[] = [];
  const records = all.map(({ record }) => record);
  const story = id === undefined ? undefined : foldStory(records, id, use);
  if (id !== undefined && story !== undefined) {
    const { admission, completion } = story.records;
    const { outcome } = story.ended;
    const what = textOf((admission ?? completion)?.['command']);
    const title = `exchange ${printable(id)}: ${what}${what === '' ? '' : ', '}`;
    lines.push(screen.paint('title', title) + screen.paint(paintOfOutcome(outcome), printable(outcome)));
    for (const sentence of storySentences(story)) lines.push(`  ${printable(sentence)}`);
  } else if (kindOf(records[0] ?? {}) === 'operator')
    lines.push(screen.paint('title', printable(recordTitle(rowOfDeed(records)))));
  const isLocal = showsLocalTime(screen);
  const shown = new Map<string, string>();
  for (const found of all) {
    const { file, line } = found;
    const record = asShown(found.record, id, story?.records.admission);
    const local = isLocal ? ` (${formatLocal(record['time'])})` : '';
    const heading = `${textOf(record['time'])}${local}  ${textOf(record['event'])}`;
    const place = screen.paint('faint', `  seq ${seqOf(found)}, ${printable(file)}:${line}`);
    if (record['event'] === 'log') {
      lines.push(`${heading} ${textOf(record['level'])}: ${textOf(record['text'])}${place}`);
      continue;
    }
    const other = record['id'] === id ? '' : ` ${textOf(record['id'])}`;
    lines.push(`${screen.paint('title', heading)}${other.trimEnd()}${place}`);
    for (const [key, value] of Object.entries(record)) {
      if (headingKeys.has(key)) continue;
      const text = printable(formatDetail(value));
      if (shown.get(key) === text) continue;
      shown.set(key, text);
      lines.push(`  ${printable(key).padEnd(nameCells)}  ${text}`);
    }
  }
  return lines;
}

/** Its own admission has all arguments, so argument records are shown without theirs. */
function asShown(
  record: StoredRecord,
  id: string | undefined,
  admission: StoredRecord | undefined,
): StoredRecord {
  const { event, args: _args, users: _users, ...rest } = record;
  if (event === 'arguments') return rest;
  return event === 'admission' && record['id'] === id ? (admission ?? record) : record;
}

/** Its neighbors, and its signature; nothing in a limited view. */
function describeAround(screen: Screen, { before, after, checkpoint }: Surroundings): string[] {
  const neighbor = (what: string, record: StoredRecord | undefined): string[] =>
    record === undefined
      ? []
      : [
          `${what} in this session: ${textOf(record['command'])} ${textOf(record['user'])}`.trimEnd() +
            screen.paint('faint', `  ${textOf(record['id'])}`),
        ];
  const signed =
    checkpoint === undefined
      ? []
      : [`signed by the checkpoint of seq ${checkpoint.seq}, ${printable(checkpoint.time)}`];
  return [...neighbor('before it', before), ...neighbor('after it', after), ...signed];
}

function textOf(value: unknown): string {
  return printable(formatValue(value));
}

/** `uid=1000 user=bob` for an object with named parts. */
export function formatDetail(value: unknown): string {
  const isPlain = !isObject(value) || 'hmac' in value || 'cut' in value || 'more' in value;
  if (isPlain) return formatValue(value);
  return Object.entries(value)
    .map(([key, part]) => `${key}=${formatValue(part)}`)
    .join(' ');
}
