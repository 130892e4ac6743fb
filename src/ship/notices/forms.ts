// The forms in which a notice leaves: JSON for programs, one text for chats, a mail. In a chat each value is code, where no chat makes
// links, mentions or markup. A header of a mail holds no value that a client chose, but for the name of a principal.

import { formatTime } from '../../host/words/instants.js';
import { type FactKey, factWords, type Notice } from './notice.js';

const headlines: Readonly<Record<Notice['event'], string>> = {
  requested: 'temporary access requested',
  granted: 'temporary access granted',
  refused: 'temporary access refused',
  revoked: 'temporary access revoked',
  'break-glass': 'BREAK-GLASS: access without approval',
  dropped: 'notices were not delivered in time and were dropped',
};

/** As in Standard Webhooks: `type`, `timestamp`, `data`. */
export function jsonOf(notice: Notice): string {
  const { id, event, timeMs, host, facts } = notice;
  const [journal = '', seq] = id.split('.');
  const type = event === 'dropped' ? 'notices.dropped' : `access.${event}`;
  const data = { host, journal, seq: Number(seq), ...facts };
  return JSON.stringify({ type, timestamp: formatTime(timeMs), data });
}

/** For Slack, Mattermost and Rocket.Chat. */
export function chatJsonOf(notice: Notice): string {
  const lines = linesOf(notice, (value) => `\`${value.replaceAll('`', "'")}\``);
  return JSON.stringify({ text: escapeSlack([headOf(notice), ...lines].join('\n')) });
}

/** `&`, `<` and `>` are the only characters with a meaning beyond markup there. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export type NoticeMail = ReturnType<typeof mailOf>;

/** Its `id` is the same at each delivery, for its Message-ID. */
export function mailOf(notice: Notice) {
  const { principal, decide_by: decideBy } = notice.facts;
  const by = typeof principal === 'string' ? ` (${principal})` : '';
  const next = decideBy === undefined ? 'For more' : 'To decide';
  const after = `This is a notice only. ${next}, use "dovegate requests" on the host, or the page.`;
  const text = [headOf(notice), '', ...linesOf(notice, (value) => value), '', after, ''].join('\n');
  const { id, timeMs } = notice;
  return { id, timeMs, subject: `dovegate ${notice.host}: ${headlines[notice.event]}${by}`, text };
}

function headOf({ host, event }: Notice): string {
  return `dovegate ${host}: ${headlines[event]}`;
}

function linesOf({ timeMs, facts }: Notice, show: (value: string) => string): string[] {
  const lines = [`time: ${show(formatTime(timeMs))}`];
  for (const key of Object.keys(factWords).filter(isFactKey)) {
    const value = facts[key];
    if (value === undefined) continue;
    const values = Array.isArray(value) ? value.map(String) : [String(value)];
    lines.push(`${factWords[key]}: ${values.map(show).join(', ')}`);
  }
  return lines;
}

function isFactKey(key: string): key is FactKey {
  return Object.hasOwn(factWords, key);
}
