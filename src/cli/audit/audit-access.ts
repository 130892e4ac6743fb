// `dovegate audit access`: who had access on request to whose mail, granted by whom, how it was used, and what was never used.

import { readAccess } from '../../adapters/views/read-access.js';
import { formatJson, printable } from '../../domain/records/audit/encode.js';
import { type AuditRecord, formatTime } from '../../domain/records/audit/record.js';
import { accessSentences } from '../../domain/records/report/access.js';
import { approvedText, endText, type GrantStory, usedText } from '../../domain/records/story/grant.js';
import { exitCodes } from '../../ports/machine.js';
import type { Screen } from '../output/screen.js';
import { type Places, trailsOf } from './audit-places.js';
import { createDamageWatch, reportDamage } from './audit-search.js';
import { type Column, createTable, reportHidden } from './audit-table.js';

export interface AccessFlags {
  readonly since?: number;
  readonly until?: number;
  readonly user?: string;
  readonly json?: boolean;
}

/** Always 0: that nobody had access is an answer too. Throws as the readers do. */
export async function auditAccess(screen: Screen, places: Places, flags: AccessFlags): Promise<number> {
  const { since, until, user, json = false } = flags;
  const table = createTable<Hosted>(
    places.fleet === undefined ? hosted : [{ name: 'HOST', text: ({ host = '' }) => host }, ...hosted],
    screen,
  );
  for (const trail of await trailsOf(screen, places)) {
    const damage = createDamageWatch();
    const asked = { sinceMs: since, untilMs: until, user };
    const ledger = await readAccess(trail, asked, undefined, (file, piece) => damage.look(file, piece));
    const { items, leftOut } = ledger.finish();
    const { host } = trail;
    if (json) for (const item of items) await screen.print(asJson(item, host));
    else {
      const of = host === undefined ? '' : `${host}: `;
      for (const text of accessSentences(items, leftOut)) await screen.print(printable(`${of}${text}`));
      if (items.length > 0) await screen.print('');
      for (const story of items) for (const line of table.add({ story, host })) await screen.print(line);
    }
    if (json && leftOut > 0) screen.complain(`dovegate: ${accessSentences(items, leftOut).at(-1) ?? ''}`);
    reportDamage(screen, damage.notes());
  }
  for (const line of table.finish()) await screen.print(line);
  await screen.flush();
  reportHidden(screen, table.hidden());
  return exitCodes.ok;
}

interface Hosted {
  readonly story: GrantStory;
  readonly host?: string | undefined;
}

const columns: readonly Column<GrantStory>[] = [
  { name: 'ASKED (UTC)', text: (story) => printable((askedOf(story) ?? '').slice(0, 19).replace('T', ' ')) },
  { name: 'WHO', text: ({ to }) => printable(to), cellsMin: 10 },
  { name: 'MAIL OF', text: ({ requested: { users = [] } }) => printable(users.join(' ')), cellsMin: 10 },
  {
    name: 'COMMAND',
    text: ({ command, requested: { scope, rule } }) =>
      printable(scope === 'user' ? `rule ${rule}, as ${command}` : command),
    cellsMin: 12,
  },
  { name: 'REASON', text: ({ requested: { reason = '' } }) => printable(reason), cellsMin: 10, goes: 2 },
  {
    name: 'BY',
    text: (story) => printable(story.isGranted ? approvedText(story) : ''),
    cellsMin: 12,
    paint: ({ needed }) => (needed === 0 || needed === undefined ? 'doubtful' : undefined),
  },
  { name: 'USED', text: (story) => printable(usedText(story)), cellsMin: 8 },
  { name: 'END', text: (story) => printable(endText(story)), cellsMin: 8, goes: 3 },
  { name: 'ID', text: ({ id }) => printable(id), goes: 1 },
];
const hosted: readonly Column<Hosted>[] = columns.map(({ text, paint, ...column }) => ({
  ...column,
  text: ({ story }) => text(story),
  ...(paint && { paint: ({ story }: Hosted) => paint(story) }),
}));

function askedOf({ requested: { time } }: GrantStory): string | undefined {
  return time === undefined ? undefined : formatTime(time);
}

function asJson(story: GrantStory, host: string | undefined): string {
  const { requested, entry, needed, end } = story;
  const { granted, reviewed, approvals } = entry ?? {};
  const step = ({ principal, time }: AuditRecord) => ({ principal, time: formatTime(time) });
  return formatJson({
    host,
    id: story.id,
    to: story.to,
    policy: requested.policy,
    users: requested.users,
    command: story.command,
    scope: requested.scope,
    rule: requested.rule,
    reason: requested.reason,
    asked: askedOf(story),
    given_by: requested.by,
    approvals: needed,
    approved_by: approvals?.map(step),
    granted: granted && formatTime(granted.time),
    until: granted?.until,
    uses: story.usesMax,
    used: story.used,
    commands: Object.fromEntries(story.commands),
    first_use: story.firstUse,
    last_use: story.lastUse,
    reviewed_by: reviewed && step(reviewed),
    end: end && { action: end.action, by: end.by === '' ? undefined : end.by, time: end.time, why: end.why },
  });
}
