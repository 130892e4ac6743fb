// What a client may hear of a backend's log channel. It does not know how lines are carried.
// The rule: under `logs: filtered` a client reads sentences of ours, never the backend's text; in no mode does it read a
// line whose prefix names another user (2.3.19 and newer put the user of the command before into it at times).

import { foldAscii } from '../../domain/identity/user-name.js';
import type { Status } from '../../protocol/status.js';

/** Sentences for status codes, as measured: what Dovecot means by them. */
const sentences: ReadonlyMap<string, string> = new Map([
  ['NOUSER', 'no such user'],
  ['NOTFOUND', 'not found'],
  ['DATAERR', 'it does not accept the value'],
  ['USAGE', 'it does not accept the arguments'],
  ['TEMPFAIL', 'temporary failure'],
  ['NOPERM', 'permission denied'],
  ['EXPIRED', 'expired'],
  ['CHANGED', 'changed meanwhile'],
]);

/** One sentence for a failed status; `lastText` is the last log line of the command, looked at but never handed on. */
export function explainFailure(status: Status, lastText: string): string | undefined {
  if (status.kind === 'ok') return undefined;
  // A mailbox that is full has no code of its own: it comes as UNKNOWN.
  if (/quota exceeded/i.test(lastText)) return 'over quota';
  return sentences.get(status.code) ?? 'the command failed';
}

/**
 * Whether a log line names another user where Dovecot names users: `doveadm(bob@example.org)<123><session>: text`,
 * `doveadm(192.0.2.1,bob@example.org): text`, `dsync-local(bob@example.org)<session>: text`, also behind the prefix of a proxy.
 * What looks like such a prefix and does not end as one may be a name with a parenthesis in it: another one, too.
 */
export function isLineOfOther(text: string, user: string): boolean {
  for (const [, named = '', end] of text.matchAll(/\b(?:doveadm|dsync-[a-z]+)\(([^)]*)\)(.?)/g)) {
    const last = named.split(',').at(-1) ?? '';
    if (foldAscii(last) !== foldAscii(user) || (end !== '<' && end !== ':')) return true;
  }
  return false;
}
