// The commands whose answers must be the same through the daemon as at Dovecot's own socket: what they are called and what they ask.
import { alice } from './real-gateway.js';

export interface PlainCommand {
  /** The command's name, as one word. */
  readonly name: string;
  readonly user: string;
  /** Its positional arguments. */
  readonly args: readonly string[];
  /** Whether Dovecot says that it went well; `by series`: 2.3 misses the mailbox, 2.4 finds nothing in it. */
  readonly outcome: 'ok' | 'failed' | 'by series';
  /** Whether it asks for text of several lines, which the table format refuses. */
  readonly isText?: true;
  /** Whether that text is megabytes long. */
  readonly isBig?: true;
}

const nobody = 'nobody@example.org';

function good(name: string, ...args: string[]): PlainCommand {
  return { name, user: alice, args, outcome: 'ok' };
}

function bad(user: string, name: string, ...args: string[]): PlainCommand {
  return { name, user, args, outcome: 'failed' };
}

export const plainCommands: readonly PlainCommand[] = [
  good('quota get'),
  good('mailbox list'),
  good('mailbox list', 'A*', 'Ü*'),
  good('mailbox list', 'Nope*'),
  good('mailbox status', 'all', 'INBOX'),
  good('mailbox status', 'all', '*'),
  good('mailbox status', 'messages vsize', 'INBOX', 'Big', 'Ünïcode'),
  good('mailbox status', 'messages', 'INBOX', 'Nope', 'Archive'),
  good('search', 'all'),
  good('search', 'mailbox', 'INBOX', 'subject', 'grüße'),
  good('search', 'mailbox', 'Archive', 'all'),
  good('search', '(', 'larger', '70000', 'or', 'subject', 'first', ')', 'not', 'body', 'tab[\t]'),
  good('fetch', 'mailbox uid flags size.virtual hdr.subject hdr.message-id', 'all'),
  // The text comes first: the tab format of real programs puts a TAB before each piece of a long value that stands further right.
  { ...good('fetch', 'text uid', 'mailbox', 'INBOX', 'all'), isText: true },
  { ...good('fetch', 'body', 'mailbox', 'INBOX', 'subject', 'binary'), isText: true },
  good('fetch', 'uid', 'mailbox', 'Archive', 'all'),
  { ...good('fetch', 'text uid', 'mailbox', 'Big', 'all'), isText: true, isBig: true },
  bad(nobody, 'quota get'),
  bad(nobody, 'mailbox list'),
  bad(nobody, 'mailbox status', 'all', 'INBOX'),
  bad(nobody, 'search', 'all'),
  bad(nobody, 'fetch', 'text', 'all'),
  bad(alice, 'mailbox status', 'all', 'Nope'),
  { ...bad(alice, 'search', 'mailbox', 'Nope', 'all'), outcome: 'by series' },
  good('fetch', 'uid hdr.subject', 'mailbox', 'Nope', 'all'),
];

/** Whether this Dovecot carries it out. */
export function isGood({ outcome }: PlainCommand, series: '2.3' | '2.4'): boolean {
  return outcome === 'ok' || (outcome === 'by series' && series === '2.4');
}

/** As a person would write it, for messages. */
export function titleOf({ name, user, args }: PlainCommand): string {
  return [name, '-u', user, ...args].join(' ');
}
