// The commands of `npm run lab -- conformance`: a line or more for each command of the catalog, as people type them, for worlds as
// twin-worlds.ts fills them; and the commands that are left out, with the reason.
import {
  allSeries,
  type Command,
  commandNamed,
  commandsOf,
  resolveCommand,
  type Series,
} from '../../../../src/doveadm/commands/catalog.js';
import { typedForms, writtenForms } from '../cli-forms.js';
import { realm } from '../twin-worlds.js';

export const alice = `alice@${realm}`;

export interface Line {
  readonly name: string;
  /** As typed behind the name. `FOLDER/` at the beginning of a word or behind `=` or `:` is the folder of the instance. */
  readonly args: readonly string[];
  readonly stdin?: string;
  /** Before the name: -v, -D. */
  readonly flags?: readonly string[];
  /** Whose mail; default alice. `all`: `-A`. With `*`: a mask. */
  readonly user?: string;
  /** Clients that print do so in every format. */
  readonly isFormatted?: true;
  /** Also in the test of the `dovecot` stage. */
  readonly isShort?: true;
  /** Another form of a command: for clients that keep their connection, which makes a line cheap. */
  readonly isFurther?: true;
}

export const formats = ['tab', 'table', 'flow', 'pager', 'json'] as const;

/** Commands that do not run, and why. */
export const leftOut: ReadonlyMap<string, string> = new Map([
  ['stop', 'ends the backend'],
  ['reload', 'ends connections of the backend 6 to 12 s later, so that it would fail lines after it'],
  ['dsync-server', 'both sides stream until the connection ends; test/whole/dovecot/dsync.test.ts runs it'],
]);

function line(words: string, ...args: readonly string[]): Line {
  return { name: words, args };
}

/** They are written as words of a line in cli-forms.ts; those of two series differ in nothing here. */
const serverLines = writtenForms.flatMap((words): Line[] => {
  const found = allSeries.flatMap((series) => resolveCommand(series, words) ?? [])[0];
  if (found === undefined || found.command.scope !== 'server') return [];
  const { name } = found.command;
  // Which processes there are, and what they logged, is of the moment; no director runs, and its socket is waited for.
  if (/^(?:process status|log errors|director )/.test(name)) return [];
  return [{ name, args: found.args }];
});

/** In all formats, for one user, all users, and masks. */
const formatted: readonly Line[] = [
  line('quota get'),
  line('mailbox list'),
  line('mailbox status', 'messages vsize', 'INBOX', 'Archive'),
  line('fetch', 'uid flags hdr.subject', 'mailbox', 'INBOX', 'all'),
  line('search', 'mailbox', 'Archive', 'all'),
  line('sieve list'),
  line('acl get', 'Archive'),
  line('fetch', 'text', 'mailbox', 'INBOX', 'uid', '1'),
].map((one) => ({ ...one, isFormatted: true }));

const forMany: readonly Line[] = ['all', 'a*', `*@${realm}`, 'nobody*'].flatMap((user) =>
  [
    line('quota get'),
    line('mailbox list', 'A*', 'W*'),
    line('mailbox status', '-t', 'messages', '*'),
    line('fetch', 'hdr.to', 'mailbox', 'Archive', 'all'),
    line('expunge', 'mailbox', 'Nope*', 'all'),
  ].map((one) => ({ ...one, user })),
);

/** What servers refuse, and what ends their process. */
const failures: readonly Line[] = [
  { ...line('quota get'), user: `nobody@${realm}` },
  { ...line('fetch', 'text', 'all'), user: `nobody@${realm}` },
  { ...line('save', '-m', 'INBOX'), user: `nobody@${realm}`, stdin: 'Subject: x\n\ntext\n' },
  { ...line('save', '-m', 'INBOX'), user: `small@${realm}`, stdin: `Subject: x\n\n${'text\n'.repeat(1000)}` },
  { ...line('sieve put', 'broken'), stdin: 'nonsense' },
  line('mailbox status', 'all', 'Nope'),
  line('mailbox create', 'Archive'),
  line('mailbox create', '../x'),
  line('mailbox delete', 'Nope'),
  line('mailbox delete', 'INBOX'),
  line('mailbox rename', 'Nope', 'Other'),
  line('mailbox metadata get', 'Nope', '/private/comment'),
  line('search', 'mailbox', 'Nope', 'all'),
  line('fetch', 'uid', 'mailbox', 'Nope', 'all'),
  line('fetch', 'bogus', 'all'),
  line('mailbox status', 'bogus', 'INBOX'),
  line('expunge', 'all'),
  line('search', 'bogus'),
  line('sieve get', 'nope'),
  line('sieve delete', 'nope'),
  line('user', `nobody@${realm}`),
  line('auth cache flush'),
];

/** No director runs in these instances. */
const directorLines: readonly Line[] = [
  ['map'],
  ['dump'],
  ['status'],
  ['ring status'],
  ['flush', 'all'],
  ['kick', `nobody@${realm}`],
  ['move', `nobody@${realm}`, '192.0.2.1'],
  ...['add', 'down', 'remove', 'up', 'ring add', 'ring remove'].map((word) => [word, '192.0.2.1']),
  ['update', '192.0.2.1', '100'],
].map(([word = '', ...args]) => line(`director ${word}`, '-a', 'FOLDER/none', ...args));

/** Commands that neither people nor the shipped roles have, and values that are easily damaged on the way. */
const more: readonly Line[] = [
  line('mailbox status', 'all', 'INBOX', 'Work/Plans', 'Ünïcode'),
  line('mailbox list', 'Nope*'),
  line('search', '(', 'larger', '100', 'OR', 'subject', 'mark of', ')', 'NOT', 'body', 'tab\t['),
  line('fetch', 'text uid', 'mailbox', 'Bytes', 'all'),
  line('fetch', 'hdr body', 'mailbox', 'Bytes', 'all'),
  line('fetch', 'uid imap.envelope imap.bodystructure', 'mailbox', 'INBOX', 'uid', '1'),
  line('fetch', 'text', 'mailbox', 'Large', 'all'),
  line('mailbox cryptokey list', '-U'),
  line('mailbox cryptokey export', '-U'),
  line('mailbox cryptokey generate', '-U'),
  line('mailbox cryptokey password', '-N'),
  line('fts expand', 'mailbox', 'INBOX', 'all'),
  line('fts lookup', 'mailbox', 'INBOX', 'all'),
  line('fts rescan'),
  line('fts optimize'),
  line('fts tokenize', 'some words'),
  ...['check', 'remove', 'rotate', 'stats'].map((word) => line(`fts flatcurve ${word}`, 'INBOX')),
  line('rebuild attachments', 'mailbox', 'INBOX', 'all'),
  line('sync', '-1', 'maildir:~/synced'),
  line('backup', 'maildir:~/backup'),
  line('import', 'maildir:~/Maildir', 'imported', 'mailbox', 'Archive', 'all'),
  line('batch', ':', 'quota', 'get', ':', 'mailbox', 'list', 'A*'),
  line('mailbox mutf7', '-8', '&ANw-n&AO8-code'),
  line('instance remove', '/nonexistent'),
  line('log find', 'FOLDER/'),
  line('log reopen'),
  line('log test'),
  line('log errors', '-s', '4102444800'),
  line('service stop', 'nope'),
  line('stats add', 'conformance', 'event=nothing_is_called_so', '--description', 'of a test'),
  line('stats remove', 'conformance'),
  line('stats reopen'),
  line('oldstats dump', 'user'),
  line('oldstats reset'),
  line('sis find', 'FOLDER/sis', '00'),
  line('sis deduplicate', 'FOLDER/sis', 'FOLDER/sis'),
  line('dict set', 'file:FOLDER/dict', 'shared/key', 'value'),
  line('dict get', 'file:FOLDER/dict', 'shared/key'),
  line('dict inc', 'file:FOLDER/dict', 'shared/count', '1'),
  line('dict iter', 'file:FOLDER/dict', 'shared/'),
  line('dict unset', 'file:FOLDER/dict', 'shared/key'),
  line('fs put', 'posix', 'prefix=FOLDER/', 'FOLDER/passwd', 'put'),
  ...['get', 'stat', 'metadata'].map((word) => line(`fs ${word}`, 'posix', 'prefix=FOLDER/', 'passwd')),
  line('fs copy', 'posix', 'prefix=FOLDER/', 'passwd', 'copied'),
  ...['iter', 'iter-dirs'].map((word) => line(`fs ${word}`, 'posix', 'prefix=FOLDER/', 'tls')),
  line('fs delete', 'posix', 'prefix=FOLDER/', 'copied'),
  ...['fs', 'mail fs'].flatMap((name) => [
    ...['get', 'stat', 'metadata', 'iter', 'iter-dirs', 'delete'].map((word) =>
      line(`${name} ${word}`, 'nope', 'path'),
    ),
    line(`${name} put`, 'nope', 'FOLDER/passwd', 'path'),
    line(`${name} copy`, 'nope', 'path', 'other'),
  ]),
  ...['get', 'iter', 'unset'].map((word) => line(`mail dict ${word}`, 'nope', 'shared/key')),
  line('mail dict set', 'nope', 'shared/key', 'value'),
  line('mail dict inc', 'nope', 'shared/key', '1'),
  line('indexer list'),
  line('indexer add', alice, 'INBOX'),
  line('indexer remove', alice, 'INBOX'),
  line('proxy kick', `nobody@${realm}`),
  line('replicator add', `nobody@${realm}`),
  line('replicator remove', `nobody@${realm}`),
  line('replicator dsync-status'),
  line('process status', 'log'),
  ...directorLines,
];

/** Of each command the first one is for all clients. */
const plain: readonly Line[] = [
  ...typedForms.filter(({ isOnlyRead }) => isOnlyRead !== true),
  ...serverLines,
  ...more,
].map((one, at, all) => {
  // The real doveadm 2.4 writes the user of `copy` in a way of its own.
  const isOwnWay = /^(?:copy|move)$/.test(one.name) && one.args[1] === 'user';
  const isFurther = all.findIndex(({ name }) => name === one.name) < at && !isOwnWay;
  return isFurther ? { ...one, isFurther: true as const } : one;
});

export const allLines: readonly Line[] = [
  ...[...formatted, ...forMany, ...failures].map((one) => ({ ...one, isShort: true as const })),
  ...plain,
];

/** The command that the backend knows it as; undefined: it has none. */
export function commandOf({ name }: Line, series: Series): Command | undefined {
  return commandNamed(series, name);
}

export function isForMany({ user = alice }: Line): boolean {
  return user === 'all' || /[*?]/.test(user);
}

/** Commands of the catalog without a line, which are not left out by name either. */
export function forgotten(): readonly string[] {
  const have = new Set(allLines.map(({ name }) => name));
  const names = new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)));
  return [...names].filter((name) => !have.has(name) && !leftOut.has(name));
}

/** As a person would type it. */
export function titleOf({ flags = [], name, user = alice, args }: Line): string {
  const who = user === 'all' ? ['-A'] : ['-u', user];
  return [...flags, name, ...who, ...args].join(' ');
}
