// Requests and grants for people: the list, sorted by what waits for the reader, and one of them in full. Times are local.

import { termsWords } from '../../evidence/story/row.js';
import { accessStateWords, whyNotWords } from '../../gate/access/access-words.js';
import { endWords, reviewWords } from '../../gate/access/ending-words.js';
import { formatColumns, plain } from '../../host/output/output.js';
import { formatDuration } from '../../host/words/durations.js';
import { localTime } from '../../host/words/instants.js';
import { plural } from '../../host/words/words.js';
import type { AccessItem } from '../connect.js';

/** First what waits for the reader, then own requests and grants, then the rest; the oldest first. */
export function byUrgency(one: AccessItem, other: AccessItem): number {
  return rankOf(one) - rankOf(other) || (one.asked < other.asked ? -1 : one.asked > other.asked ? 1 : 0);
}

function rankOf({ may, mine, state }: AccessItem): number {
  if (may.includes('approve')) return 0;
  if (may.includes('review')) return 1;
  if (state !== 'requested' && state !== 'granted') return 5;
  return (mine ? 2 : 3) + (state === 'granted' ? 0.5 : 0);
}

/** `waits for 1 approval`, `granted until 2026-11-26 16:00 +01:00`. */
export function formatState(item: AccessItem): string {
  return plain(accessStateWords(item, formatLocal));
}

export function formatList(items: readonly AccessItem[]): string {
  if (items.length === 0) return 'No requests: you have none open, and none waits for you.';
  const rows = items.map((item) => [
    item.may.includes('approve') || item.may.includes('review') ? '*' : '',
    plain(item.id),
    shortState(item),
    plain(item.to),
    plain(item.users.join(' ')) || '-',
    formatLocal(item.until),
    plain(item.rule === undefined ? item.command : item.rule.join(', ')),
  ]);
  const head = ['', 'ID', 'STATE', 'REQUESTER', 'USERS', 'UNTIL', 'COMMAND'];
  const lines = formatColumns([head, ...rows]).split('\n');
  const waiting = items.filter(({ may }) => may.includes('approve') || may.includes('review')).length;
  return [
    ...lines.flatMap((line, at) => [line, ...notesOf(items[at - 1])]),
    '',
    waiting === 0
      ? 'Nothing waits for you.'
      : `${plural(waiting, 'line')} with * ${waiting === 1 ? 'waits' : 'wait'} for you.`,
  ].join('\n');
}

function shortState(item: AccessItem): string {
  const { state, may, used, uses } = item;
  if (state === 'requested') return may.includes('approve') ? 'waits for you' : 'waits';
  const review = item.break_glass ? `, ${reviewWords(item.reviewed_by?.principal)}` : '';
  if (state !== 'granted') return plain(`${endWords(state, '')}${review}`);
  return plain(`granted, ${uses === undefined ? `used ${used}x` : `used ${used} of ${uses}`}${review}`);
}

function notesOf(item: AccessItem | undefined): string[] {
  if (item === undefined) return [];
  const parts = [
    ...(item.reason === '' ? [] : [`reason: ${plain(item.reason)}`]),
    ...(item.matches === undefined ? [] : [plural(item.matches, 'mail')]),
    ...(item.why === undefined ? [] : [plain(item.why)]),
  ];
  return parts.length === 0 ? [] : [`   ${parts.join('; ')}`];
}

export function formatItem(item: AccessItem): string {
  const { used, uses, approved_by: approved, matches, quiet_ms: quiet } = item;
  const rows: [string, string][] = [
    ['id', item.id],
    ['state', formatState(item)],
    ['requester', `${item.to}${item.mine ? ' (you)' : ''}`],
    ['users', item.users.join(' ') || '-'],
    [item.rule === undefined ? 'command' : 'example', item.command],
    ...optional('permits', item.rule?.join(', ')),
    ['rule', `${item.place === undefined ? '' : `${item.place}, `}policy ${item.policy}`],
    ...optional('mails now', matches?.toString()),
    ...optional('reason', item.reason === '' ? undefined : item.reason),
    ['asked', formatLocal(item.asked)],
    [item.state === 'requested' ? 'open until' : 'until', formatLocal(item.until)],
    ['for', formatDuration(item.for_ms)],
    ...optional('quiet', quiet === undefined ? quiet : `kept from the owner for ${formatDuration(quiet)}`),
    ['uses', uses === undefined ? `${used}, no limit` : `${used} of ${uses}`],
    // The rows above show what it gives, or would give by the approvals so far.
    ...optional('asked for', item.asked_for && termsWords(item.asked_for)),
    [
      'approvals',
      item.break_glass
        ? `none needed; ${reviewWords(item.reviewed_by?.principal)}`
        : `${approved.length} of ${item.approvals}`,
    ],
    ...approved.map(({ principal, time, gives }): [string, string] => [
      'approved by',
      `${principal} at ${formatLocal(time)}${gives === undefined ? '' : `, for ${termsWords(gives)}`}`,
    ]),
    ...(item.locked ?? []).map((text): [string, string] => ['stopped', text]),
    ...optional('you may', item.may.length === 0 ? undefined : item.may.join(', ')),
    ...optional('you may not', whyNotWords(item)),
  ];
  return formatColumns(rows.map(([name, value]) => [name, plain(value)]));
}

function optional(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

/** `2026-11-26 16:00 +01:00`: in the zone of this process. A text that is no time is shown as it is. */
function formatLocal(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return plain(text);
  const { time, zone } = localTime(ms);
  return `${time.slice(0, 16).replace('T', ' ')} ${zone}`;
}
