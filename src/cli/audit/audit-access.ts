// `dovegate audit access`: who had access on request to whose mail, granted by whom, how it was used, and what was never used.

import type { Piece } from '../../adapters/journal/compressed.js';
import { filesSince, readToDamage, type Trail, type TrailFile } from '../../adapters/journal/trail.js';
import { formatJson, printable } from '../../domain/audit/encode.js';
import {
  type AccessAsked,
  type AccessLedger,
  type AccessReported,
  accessSentences,
  approvedText,
  createAccessLedger,
  endText,
} from '../../domain/report/access.js';
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

/** The access that a trail shows. `look`: as in `searchTrail`. */
export async function readAccess(
  trail: Trail,
  asked: AccessAsked,
  look?: (file: TrailFile, piece: Piece | undefined) => void,
): Promise<AccessLedger> {
  const ledger = createAccessLedger(asked);
  for (const file of await filesSince(trail.files, asked.sinceMs)) {
    for await (const piece of readToDamage(file)) {
      look?.(file, piece);
      if (piece !== undefined) ledger.take(piece.bytes);
    }
  }
  return ledger;
}

/** Always 0: that nobody had access is an answer too. Throws as the readers do. */
export async function auditAccess(screen: Screen, places: Places, flags: AccessFlags): Promise<number> {
  const { since, until, user, json = false } = flags;
  const table = createTable<Hosted>(
    places.fleet === undefined ? columns : [{ name: 'HOST', text: ({ host = '' }) => host }, ...columns],
    screen,
  );
  for (const trail of await trailsOf(screen, places)) {
    const damage = createDamageWatch();
    const ledger = await readAccess(trail, { sinceMs: since, untilMs: until, user }, (file, piece) =>
      damage.look(file, piece),
    );
    const { items, leftOut } = ledger.finish();
    const { host } = trail;
    if (json) for (const item of items) await screen.print(asJson({ ...item, host }));
    else {
      const of = host === undefined ? '' : `${host}: `;
      for (const text of accessSentences(items, leftOut)) await screen.print(printable(`${of}${text}`));
      if (items.length > 0) await screen.print('');
      for (const item of items) for (const line of table.add({ ...item, host })) await screen.print(line);
    }
    if (json && leftOut > 0) screen.complain(`dovegate: ${accessSentences(items, leftOut).at(-1) ?? ''}`);
    reportDamage(screen, damage.notes());
  }
  for (const line of table.finish()) await screen.print(line);
  await screen.flush();
  reportHidden(screen, table.hidden());
  return exitCodes.ok;
}

type Hosted = AccessReported & { readonly host?: string | undefined };

const columns: readonly Column<Hosted>[] = [
  { name: 'ASKED (UTC)', text: ({ asked }) => printable(asked.slice(0, 19).replace('T', ' ')) },
  { name: 'WHO', text: ({ to }) => printable(to), cellsMin: 10 },
  { name: 'MAIL OF', text: ({ users }) => printable(users.join(' ')), cellsMin: 10 },
  {
    name: 'COMMAND',
    text: ({ command, scope, rule }) => printable(scope === 'user' ? `rule ${rule}, as ${command}` : command),
    cellsMin: 12,
  },
  { name: 'REASON', text: ({ reason }) => printable(reason), cellsMin: 10, goes: 2 },
  {
    name: 'BY',
    text: (item) => printable(item.granted === undefined ? '' : approvedText(item)),
    cellsMin: 12,
    paint: ({ approvalsNeeded }) => (approvalsNeeded === 0 ? 'doubtful' : undefined),
  },
  { name: 'USED', text: (item) => printable(usedText(item)), cellsMin: 8 },
  { name: 'END', text: (item) => printable(endText(item)), cellsMin: 8, goes: 3 },
  { name: 'ID', text: ({ id }) => printable(id), goes: 1 },
];

function usedText({ granted, used, usesMax, commands }: AccessReported): string {
  if (granted === undefined) return '';
  if (used === 0) return 'never';
  const names = [...commands].map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
  // The commands may stand in a segment that is not read.
  return `${used}${usesMax === undefined ? '' : ` of ${usesMax}`}${names.length === 0 ? '' : `: ${names.join(', ')}`}`;
}

function asJson(item: Hosted): string {
  return formatJson({
    host: item.host,
    id: item.id,
    to: item.to,
    policy: item.policy,
    users: item.users,
    command: item.command,
    scope: item.scope,
    rule: item.rule,
    reason: item.reason,
    asked: item.asked,
    given_by: item.givenBy,
    approvals: item.approvalsNeeded,
    approved_by: item.approvedBy.map(({ principal, time }) => ({ principal, time })),
    granted: item.granted,
    until: item.until,
    uses: item.usesMax,
    used: item.used,
    commands: Object.fromEntries(item.commands),
    first_use: item.firstUse,
    last_use: item.lastUse,
    reviewed_by: item.reviewedBy && { principal: item.reviewedBy.principal, time: item.reviewedBy.time },
    end: item.end && {
      action: item.end.action,
      by: item.end.principal === '' ? undefined : item.end.principal,
      time: item.end.time,
      why: item.end.why,
    },
  });
}
