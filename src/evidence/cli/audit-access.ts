// `dovegate audit access`: who had access on request to whose mail, granted by whom, how it was used, and what was never used.

import type { Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJson, printable } from '../../host/words/text.js';
import { readAccess } from '../reading/read-access.js';
import { createDamageWatch } from '../reading/unseen.js';
import { type AccessAsked, accessSentences, tellAccess } from '../report/access.js';
import { type AccessTold, decisionsOf } from '../story/row.js';
import { createView } from '../views/view.js';
import { type AskedPage, isAsked, openPage } from './ask-page.js';
import { type Places, trailsOf } from './audit-places.js';
import { reportDamage } from './audit-search.js';
import { formatMoment, reportHidden } from './audit-table.js';

export interface AccessFlags {
  readonly since?: number;
  readonly until?: number;
  readonly user?: string;
  readonly by?: string;
  readonly json?: boolean;
}

/** Always 0: that nobody had access is an answer too. Throws as the readers do. */
export async function auditAccess(screen: Screen, places: Places, flags: AccessFlags): Promise<number> {
  const { since, until, user, by, json = false } = flags;
  const asked = { sinceMs: since, untilMs: until, user, by };
  const page = isAsked(places) ? (await openPage(screen, places)).page : undefined;
  const hosts = [{ name: 'HOST', text: ({ host = '' }: Hosted) => host }];
  const table = createTable<Hosted>([...(places.fleet === undefined ? [] : hosts), ...columnsOf(by)], screen);
  for await (const { host, told, sentences, leftOut, notes } of page === undefined
    ? readers(screen, places, asked)
    : [{ ...(await page.requests(asked)), host: undefined }]) {
    reportDamage(screen, notes);
    if (json) for (const item of told) await screen.print(formatJson({ host, ...item }));
    else {
      const of = host === undefined ? '' : `${host}: `;
      for (const text of sentences) await screen.print(printable(`${of}${text}`));
      if (told.length > 0) await screen.print('');
      for (const item of told) for (const line of table.add({ ...item, host })) await screen.print(line);
    }
    if (json && leftOut > 0) screen.complain(`dovegate: ${sentences.at(-1) ?? ''}`);
  }
  for (const line of table.finish()) await screen.print(line);
  await screen.flush();
  reportHidden(screen, table.hidden());
  return exitCodes.ok;
}

type ReadRequests = Awaited<ReturnType<AskedPage['requests']>> & { readonly host?: string | undefined };

async function* readers(screen: Screen, places: Places, asked: AccessAsked): AsyncGenerator<ReadRequests> {
  for (const trail of await trailsOf(screen, places)) {
    const damage = createDamageWatch();
    const isLimited = places.view !== undefined;
    const ledger = await readAccess(trail, asked, createView(places.view), damage.look);
    const { items, leftOut } = ledger.finish();
    const sentences = accessSentences(items, leftOut, isLimited);
    yield {
      host: trail.host,
      told: items.map((story) => tellAccess(story, isLimited)),
      sentences,
      leftOut,
      notes: damage.notes(),
    };
  }
}

type Hosted = AccessTold & { readonly host?: string | undefined };

/** `decider`: whose decisions are asked for; undefined: those of all. */
const columnsOf = (decider: string | undefined): readonly Column<Hosted>[] => [
  { name: 'ASKED (UTC)', text: ({ asked = '' }) => formatMoment(asked) },
  {
    name: 'DECIDED (UTC)',
    text: (item) =>
      decisionsOf(item, decider)
        .map(({ what, time }) => `${printable(what)} ${formatMoment(time)}`)
        .join(', '),
    cellsMin: 28,
    goes: 4,
  },
  { name: 'WHO', text: ({ to }) => printable(to), cellsMin: 10 },
  { name: 'MAIL OF', text: ({ users = [] }) => printable(users.join(' ')), cellsMin: 10 },
  {
    name: 'COMMAND',
    text: ({ command, scope, rule }) => printable(scope === 'user' ? `rule ${rule}, as ${command}` : command),
    cellsMin: 12,
  },
  { name: 'REASON', text: ({ reason = '' }) => printable(reason), cellsMin: 10, goes: 2 },
  {
    name: 'BY',
    text: ({ said: { by } }) => printable(by),
    cellsMin: 12,
    paint: ({ approvals }) => (approvals === 0 || approvals === undefined ? 'doubtful' : undefined),
  },
  { name: 'USED', text: ({ said: { used } }) => printable(used), cellsMin: 8 },
  { name: 'END', text: ({ said: { end } }) => printable(end), cellsMin: 8, goes: 3 },
  { name: 'ID', text: ({ id }) => printable(id), goes: 1 },
];
