// What a client gets of a backend's log channel. The rule: under `logs: filtered` a client reads sentences of ours, never the
// backend's text; in no mode does it read a line whose prefix names another user (2.3.19 and newer sometimes put the user of
// the previous command there).

import { foldAscii } from '../../domain/identity/user-name.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { Status } from '../../protocol/status.js';
import type { RelayLimits } from './relay.js';
import type { RelayTarget } from './reply-writer.js';

/** Sentences for status codes: what Dovecot means by them (measured). */
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

/** One sentence for a failed status; `lastText` is the last log line of the command, used but never forwarded. */
export function explainFailure(status: Status, lastText: string): string | undefined {
  if (status.kind === 'ok') return undefined;
  // A full mailbox has no code of its own: it comes as UNKNOWN.
  if (/quota exceeded/i.test(lastText)) return 'over quota';
  return sentences.get(status.code) ?? 'the command failed';
}

/**
 * Whether a log line names another user where Dovecot names users: `doveadm(bob@example.org)<123><session>: text`,
 * `doveadm(192.0.2.1,bob@example.org): text`, `dsync-local(bob@example.org)<session>: text`, also after the prefix of a proxy.
 * A text that begins like such a prefix and does not end like one may be a name with a parenthesis: it counts as another user.
 */
export function isLineOfOther(text: string, user: string): boolean {
  for (const [, named = '', end] of text.matchAll(/\b(?:doveadm|dsync-[a-z]+)\(([^)]*)\)(.?)/g)) {
    const last = named.split(',').at(-1) ?? '';
    if (foldAscii(last) !== foldAscii(user) || (end !== '<' && end !== ':')) return true;
  }
  return false;
}

/** Channel L of a reply: dropped, replaced by one sentence of ours on a failure, or forwarded. */
export type LogMode = 'none' | 'filtered' | 'full';

/** What the filter needs of a conversation. */
interface FilteredConversation {
  readonly command: { readonly user: string };
  readonly writer: Pick<RelayTarget, 'addLog'>;
  readonly logs: LogMode;
  readonly limits: Pick<RelayLimits, 'logLinesMax'>;
  readonly onLog: (line: LogLine) => void;
}

/** The log channel of one command. */
export class BackendLogFilter {
  readonly #options: FilteredConversation;
  #lastText = '';
  #lines = 0;

  constructor(options: FilteredConversation) {
    this.#options = options;
  }

  take(line: LogLine): void {
    this.#lastText = line.text;
    const { logLinesMax } = this.#options.limits;
    this.#lines += 1;
    if (this.#lines <= logLinesMax) return this.#forward(line);
    if (this.#lines > logLinesMax + 1) return;
    const text = `dovegate: more than ${logLinesMax} log lines for this command (limits.log_lines); the others are only counted`;
    this.#forward({ type: 'warning', text, isCut: false });
  }

  /** Before the status is written: adds our own sentence on a failure, where policy wants that. */
  explain(status: Status): void {
    if (this.#options.logs !== 'filtered') return;
    const text = explainFailure(status, this.#lastText);
    if (text !== undefined) this.#options.writer.addLog('error', `dovegate: the backend says: ${text}`);
  }

  #forward(line: LogLine): void {
    const { command, logs, writer } = this.#options;
    this.#options.onLog(line);
    if (logs === 'full' && !isLineOfOther(line.text, command.user)) writer.addLog(line.type, line.text);
  }
}
