// Command lines of doveadm as manual pages and panels have them. A blank parts words, `_` stands for one within a word; $U is the
// user.
export interface TypedLine {
  readonly line: string;
  /** It changes something: each program runs it for a user of its own, both with the same mail. */
  readonly changes?: true;
  readonly stdin?: string;
  /**
   * What ours prints where that is a difference of docs/client-shell.md; `columns`: only the room between the columns of a table
   * differs.
   */
  readonly ours?: 'columns' | 'json' | ((real: string) => string);
  /** The exit code of ours, where that is one of these differences. */
  readonly exit?: number;
  /** 2.3 ends or prints otherwise; what we do is what 2.4 does. */
  readonly only?: '2.4';
  /** Two connections of the real program answer in either order. */
  readonly isUnordered?: true;
  /** Never leaves the real program; ours finds its server in DOVEADM_SOCKET. */
  readonly isLocal?: true;
  /** Its numbers are of the moment. */
  readonly isOfNow?: true;
}

/** A table without the room between its columns; an empty value is a dash here, and in real ones since 2.4.5. */
export function columnsOf(table: string): string {
  return table
    .replace(/ -(?= |$)/gm, ' ')
    .replace(/ +/g, ' ')
    .replace(/ $/gm, '');
}

const mail = 'From: a@example.net\nSubject: saved\n\nhello, world\n.\n..dots\n';
const script = 'require ["fileinto"];\nif header :contains "subject" "x" { fileinto "Archive"; }\n';

/** Lines with rows, in each format. */
const formatted = [
  'quota get -u $U',
  'mailbox list -u $U',
  'mailbox status -u $U all *',
  'mailbox metadata list -u $U INBOX',
  'fetch -u $U uid_flags_hdr.subject mailbox INBOX all',
  'fetch -u $U mailbox_seq all',
  'search -u $U mailbox INBOX all',
  'acl get -u $U INBOX',
  'acl rights -u $U INBOX',
  'sieve list -u $U',
].flatMap((line): TypedLine[] => [
  ...['tab', 'flow', 'pager'].map((format) => ({ line: `-f ${format} ${line}` })),
  { line: `-f table ${line}`, ours: 'columns' },
  // 2.3 writes JSON in a way of its own.
  { line: `-f json ${line}`, ours: 'json', only: '2.4' },
]);

export const typedLines: readonly TypedLine[] = [
  ...formatted,
  // doveadm-quota(1), and what panels ask for every mailbox of a list
  { line: 'quota get -u $U', ours: 'columns' },
  { line: '-f tab quota get -A', isUnordered: true },
  { line: '-f tab -h quota get -u *@example.org', isUnordered: true },
  { line: 'quota recalc -u $U', changes: true },
  { line: '-v quota get -u $U', ours: 'columns' },
  { line: '-D quota get -u $U', ours: 'columns' },
  // doveadm-mailbox(1)
  { line: 'mailbox list -u $U' },
  { line: 'mailbox list -u $U A* I*' },
  { line: 'mailbox list -7 -u $U' },
  { line: 'mailbox list -s -u $U' },
  { line: '-f tab mailbox list -u alice@*' },
  { line: '-f json mailbox list -u nobody*', ours: 'json', only: '2.4' },
  { line: 'mailbox status -u $U all *' },
  { line: 'mailbox status -u $U messages_vsize INBOX Archive' },
  { line: '-ftab mailbox status -u $U messages_unseen_vsize INBOX' },
  { line: 'mailbox status -t -u $U messages *' },
  { line: 'mailbox status -u $U bogus INBOX', only: '2.4' },
  { line: 'mailbox status -u $U all Nope' },
  { line: 'mailbox create -u $U -s Sent Sent/2026', changes: true },
  { line: 'mailbox create -u $U INBOX', changes: true },
  { line: '-f tab mailbox create -u $U Templates', ours: () => '', changes: true },
  { line: 'mailbox rename -u $U Sent/2026 Sent/2027', changes: true },
  { line: 'mailbox rename -u $U Nope Other', changes: true },
  { line: 'mailbox delete -u $U Templates', changes: true },
  { line: 'mailbox delete -u $U -r Sent', changes: true },
  { line: 'mailbox subscribe -u $U Archive Drafts', changes: true },
  { line: 'mailbox unsubscribe -u $U Drafts', changes: true },
  { line: 'mailbox metadata list -u $U INBOX' },
  { line: 'mailbox metadata set -u $U INBOX /private/comment x', changes: true },
  { line: 'mailbox metadata get -u $U INBOX /private/comment', changes: true },
  { line: 'mailbox metadata unset -u $U INBOX /private/comment', changes: true },
  { line: 'mailbox cache purge -u $U INBOX', changes: true },
  { line: 'mailbox cache decision -u $U -a INBOX', ours: 'columns' },
  { line: 'mailbox cache decision -u $U --fields=flags INBOX', ours: 'columns' },
  { line: 'mailbox status -u $U --field=messages INBOX Sent' },
  // doveadm-fetch(1), doveadm-search(1)
  { line: 'fetch -u $U mailbox_uid_flags mailbox INBOX all' },
  { line: 'fetch -u $U mailbox_date.sent mailbox INBOX subject first' },
  { line: 'fetch -u $U uid_hdr.subject_size.virtual all' },
  { line: 'fetch -u $U text mailbox INBOX subject first' },
  { line: '-f tab fetch -u $U uid_hdr.from mailbox INBOX from sender' },
  { line: '-f json fetch -u $U uid_hdr.subject_body mailbox INBOX subject first', ours: 'json', only: '2.4' },
  {
    line: 'fetch -u $U body mailbox Big all',
    ours: (real) => `${real.replace(/^body:\n/, 'body: ')}\n`,
  },
  { line: '-f tab fetch -u $U uid_hdr.subject mailbox Big all' },
  { line: 'fetch -u $U bogus all', exit: 64, only: '2.4' },
  { line: 'search -u $U mailbox INBOX ( subject second_line OR all )' },
  { line: 'search -u $U mailbox Nope all', only: '2.4' },
  // doveadm-expunge(1), doveadm-flags(1), doveadm-move(1), doveadm-purge(1) and friends
  { line: 'flags add -u $U \\Seen_Todo mailbox INBOX all', changes: true },
  { line: 'fetch -u $U uid_flags mailbox INBOX all', changes: true },
  { line: 'flags remove -u $U Todo mailbox INBOX uid 1', changes: true },
  { line: 'expunge -u $U mailbox Spam savedbefore 2w', changes: true },
  { line: 'expunge -u $U all' },
  { line: 'copy -u $U Archive mailbox INBOX all', changes: true },
  { line: 'move -u $U Drafts mailbox Archive subject first', changes: true },
  { line: 'expunge -u $U mailbox Archive all', changes: true },
  { line: 'purge -u $U', changes: true },
  { line: 'purge -A', changes: true },
  { line: 'index -u $U INBOX', changes: true },
  { line: 'force-resync -u $U INBOX', changes: true },
  { line: 'altmove -u $U mailbox INBOX savedbefore 1w', changes: true },
  { line: 'deduplicate -u $U mailbox INBOX', changes: true },
  // doveadm-acl(1)
  { line: 'acl get -u $U Archive', ours: 'columns' },
  { line: 'acl rights -u $U INBOX', ours: 'columns' },
  { line: 'acl set -u $U Archive user=alice@example.org lookup read', changes: true },
  { line: 'acl get -u $U Archive', ours: 'columns', changes: true },
  { line: 'acl add -u $U Archive user=x@example.org read', changes: true },
  { line: 'acl remove -u $U Archive user=x@example.org read', changes: true },
  { line: 'acl delete -u $U Archive user=x@example.org', changes: true },
  // doveadm-save(1), doveadm-sieve(1): text from stdin
  { line: 'save -u $U', changes: true, stdin: mail },
  { line: 'save -u $U -m Archive', changes: true, stdin: mail },
  { line: 'fetch -u $U text mailbox Archive all', changes: true },
  { line: 'save -u nobody@example.org', stdin: mail },
  { line: 'sieve put -u $U -a vacation', changes: true, stdin: script },
  { line: 'sieve put -u $U broken', changes: true, stdin: 'nonsense' },
  { line: 'sieve list -u $U', changes: true },
  { line: 'sieve get -u $U vacation', changes: true },
  { line: 'sieve rename -u $U vacation holiday', changes: true },
  { line: 'sieve activate -u $U nope', changes: true },
  { line: 'sieve deactivate -u $U', changes: true },
  { line: 'sieve delete -u $U nope', changes: true },
  // what goes wrong
  { line: 'quota get -u nobody@example.org', ours: 'columns' },
  { line: '-f tab quota get -u nobody@example.org' },
  { line: 'mailbox delete -u $U Nope', changes: true },
  { line: 'quota get', exit: 64, only: '2.4' },
  { line: 'quota get -u $U extra', only: '2.4' },
  { line: 'mailbox create -u $U' },
  { line: 'nonsense' },
  { line: 'mailbox' },
  { line: '' },
  { line: '-f bogus quota get -u $U', exit: 64, only: '2.4' },
  { line: '-f tab mailbox list -F /nonexistent/list INBOX', only: '2.4' },
  // doveadm-who(1), doveadm-penalty(1) and friends
  { line: 'who nobody@example.org', isLocal: true, ours: 'columns' },
  { line: 'penalty', isLocal: true, ours: 'columns' },
  { line: 'process status anvil', isLocal: true, ours: 'columns', isOfNow: true },
  { line: '-f tab service status anvil', isLocal: true, isOfNow: true },
  // doveadm-user(1)
  { line: 'user *@example.org', isLocal: true, only: '2.4' },
  { line: '-f tab user *@example.org', isLocal: true, only: '2.4', ours: (real) => `username${real}` },
  { line: 'user -f home $U', isLocal: true, only: '2.4' },
  { line: 'user -e %{user}:%{home} $U', isLocal: true, only: '2.4' },
  { line: 'user -e %{user} nobody', isLocal: true, only: '2.4' },
  { line: 'user $U', isLocal: true, only: '2.4' },
  { line: '-f table user $U', isLocal: true, only: '2.4', ours: 'columns' },
  { line: '-f json user $U', isLocal: true, only: '2.4', ours: 'json' },
  { line: '-f json user -f home $U', isLocal: true, only: '2.4', ours: valueOf },
  { line: '-f json user -e %{home} $U', isLocal: true, only: '2.4', ours: valueOf },
  { line: 'user nobody', isLocal: true, only: '2.4', ours: (real) => `${real.split('\n')[0]}\n` },
  {
    line: 'user $U bob@example.org',
    isLocal: true,
    only: '2.4',
    ours: (real) => namedRows(real.replace(/\n\n$/, '\n')),
  },
  {
    line: 'user $U nobody',
    isLocal: true,
    only: '2.4',
    ours: (real) => namedRows(real.replace(/\n\n\n.*/s, '\n')),
  },
  { line: 'auth cache flush $U', isLocal: true },
  {
    line: '-f json auth cache flush $U',
    isLocal: true,
    ours: (real) => `[{"entries":"${real.slice(2).split(' ')[0]}"}]`,
  },
  { line: '-f flow auth cache flush $U', isLocal: true, ours: (real) => `entries=${real.split(' ')[0]}\n` },
];

/** The value that the real program prints behind an empty array, in an array. */
function valueOf(real: string): string {
  return JSON.stringify([{ value: real.replace(/^\[\]/, '').trimEnd() }]);
}

/** Rows of several users, with the name in front: a user's rows end where the next begin with its uid. */
function namedRows(real: string): string {
  const users = ['alice@example.org', 'bob@example.org'];
  let at = -1;
  const [titles, ...rows] = real.trimEnd().split('\n');
  const named = rows.map((row) => {
    if (row.startsWith('uid\t')) at += 1;
    return `${users[at]}\t${row}`;
  });
  return [`Username\t${titles}`, ...named, ''].join('\n');
}
