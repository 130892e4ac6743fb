// What may differ between an answer of Dovecot and the same through dovegate: rules that take out what is of one run or one instance, and
// rows that explain the rest, each by a promise of the documentation. A difference without a row is a failure.
import type { Command, Series } from '../../../../src/doveadm/commands/catalog.js';
import {
  allowedDifferences,
  type Answer as HttpAnswer,
  type Difference as HttpDifference,
  readEntries,
} from '../http-differences.js';
import type { Answer, Client } from './clients.js';
import { alice, isForMany, type Line } from './lines.js';

export interface Difference {
  readonly client: Client;
  readonly backend: { readonly version: string; readonly series: Series };
  readonly line: Line;
  readonly command: Command;
  readonly way: string;
  readonly direct: Answer;
  readonly gated: Answer;
}

const ofTheMoment = new Set(['service status', 'process status', 'stats dump', 'instance list']);

/** What is replaced in an answer before it is compared. */
export interface Rule {
  /** For the page. */
  readonly what: string;
  apply(text: string, line: Line, part: string): string;
}

export const rules: readonly Rule[] = [
  {
    what: 'the path of the socket that a client was told, and the folder of the instance',
    apply: (text) =>
      text
        .replaceAll(
          /(?:\/[\w.-]+)*\/dg-\w{6}(?:\/run\/doveadm-server|\/gate-\w{6}\/support\.sock)\b/g,
          'SOCKET',
        )
        .replaceAll(/(?:\/[\w.-]+)*\/dg-\w{6}\b/g, 'FOLDER'),
  },
  {
    what: 'the process and the session that a log line is from',
    apply: (text) =>
      text
        .replaceAll(/<\d+><[\w+/]+=*>/g, '<PROCESS><SESSION>')
        .replaceAll(/\bdoveadm\(\d+\)/g, 'doveadm(PROCESS)'),
  },
  {
    what: 'the addresses in the backtrace of a program that ends itself',
    apply: (text) => text.replaceAll(/\b0x[0-9a-f]{6,}/g, 'ADDRESS'),
  },
  {
    what: `the numbers and times that ${[...ofTheMoment].map((name) => `\`${name}\``).join(', ')} print`,
    apply: (text, { name }, part) =>
      ofTheMoment.has(name) && part !== 'exit' && part !== 'stderr'
        ? text.replaceAll(/\d+(?:\.\d+)?/g, '0')
        : text,
  },
  {
    what: 'the order of the lines that are printed for many users: doveadm 2.4 asks on two connections at once',
    apply: (text, line, part) =>
      part === 'stdout' && isForMany(line) ? text.split('\n').toSorted().join('\n') : text,
  },
];

/** A kind of difference that is allowed. */
export interface Row {
  readonly key: string;
  holds(difference: Difference): boolean;
}

/** One that the page explains itself. */
interface OwnRow extends Row {
  readonly what: string;
  readonly promise: string;
}

/** The first status in what a client got through the gate, in any of their forms. */
function isRefused({ gated }: Difference, word: 'USAGE' | 'TEMPFAIL'): boolean {
  const { bytes, waits, thrown, failed, exit, stderr = '' } = gated;
  const text = bytes ?? waits ?? thrown ?? failed;
  if (text !== undefined) return text.includes(word);
  return word === 'USAGE'
    ? exit === '64' && stderr.includes('not understood, so not sent')
    : exit === '75' && stderr.includes('[closed-early]');
}

/** Whether the connection to the server ended before a status. */
function isEnded({ direct }: Difference): boolean {
  const { bytes, thrown, fault, exit, stderr = '' } = direct;
  if (bytes !== undefined) return !/\n[+-][A-Z]*\n$/.test(bytes);
  if (exit !== undefined)
    return /the server ended the session|: EOF\b|Connection closed|disconnected|read\(.*\) failed/.test(
      stderr,
    );
  return thrown === 'Empty read' || fault === 'closed-early';
}

function isHttp({ client }: Difference): boolean {
  return client.name === 'HTTP API';
}

function isProgram({ client }: Difference): boolean {
  return client.series !== undefined;
}

function differsOnlyIn({ direct, gated }: Difference, ...parts: readonly string[]): boolean {
  return [...new Set([...Object.keys(direct), ...Object.keys(gated)])].every(
    (part) => parts.includes(part) || direct[part] === gated[part],
  );
}

function isForeign({ client, backend }: Difference): boolean {
  return client.series !== backend.series;
}

/** Both did it, and what the gate gives of the user of the line is what Dovecot gives, but for the name. */
function isSameUser({ direct, gated }: Difference): boolean {
  const [given, own] = [gated, direct].map(({ bytes, row, rows: all }) =>
    (bytes ?? row ?? all)
      ?.replace(/\n\n?\+\n$/, '')
      .split(/[\t",[\]]+/)
      .filter((cell) => cell !== '' && cell !== alice),
  );
  if (given === undefined) return false;
  return own === undefined
    ? direct['fault'] === 'unexpected-reply'
    : given.every((cell, at) => cell === own[at]);
}

/** A mask without the user of the command line. */
function isElsewhere({ line }: Difference): boolean {
  return line.user?.startsWith('nobody*') === true;
}

export const ownRows: readonly OwnRow[] = [
  {
    key: 'refused-before',
    what: 'a line that ends the process of the server',
    promise: 'Such a line is answered `-USAGE` and not sent: the process may serve others.',
    holds: (one) => !isHttp(one) && isEnded(one) && isRefused(one, 'USAGE'),
  },
  {
    key: 'refused-for-others',
    what: '`auth cache flush` without a user, in front of Dovecot 2.3.13 and 2.4.5',
    promise: 'It ends servers of other releases, and a server does not say its release: `-USAGE`.',
    holds: (one) =>
      !isHttp(one) &&
      one.command.name === 'auth cache flush' &&
      one.line.args.length === 0 &&
      isRefused(one, 'USAGE'),
  },
  {
    key: 'broke-off',
    what: 'a server that ends the connection without a status',
    promise: 'A reply is never made to look complete: the client gets `-TEMPFAIL`, and a log line why.',
    holds: (one) => !isHttp(one) && isEnded(one) && isRefused(one, 'TEMPFAIL'),
  },
  {
    key: 'all-users-series',
    what: '`-A` of a client of minor 3 or later in front of Dovecot 2.3',
    promise:
      'It means all users, for which the protocol of 2.3 has no command: `-USAGE`, never one user only.',
    holds: (one) => one.backend.series === '2.3' && (one.gated['logs'] ?? '').includes('[all-users-series]'),
  },
  {
    key: 'other-user',
    what: 'a `-u` that does not cover the user of the command line',
    promise: 'Dovecot ignores it; dovegate answers `-USAGE`, since nobody can mean both.',
    holds: (one) => isElsewhere(one) && !isProgram(one) && isRefused(one, 'USAGE'),
  },
  {
    key: 'username-cell',
    what: 'the cell with the name of the user, before each row',
    promise:
      'For `-A` and a mask clients up to minor 2 get it, and the one user of the line; later ones never. Dovecot goes by its own release.',
    holds: (one) =>
      isForMany(one.line) && !isHttp(one) && (isProgram(one) ? isForeign(one) : isSameUser(one)),
  },
  {
    key: 'second-status',
    what: 'the second status line after a failure, of Dovecot up to 2.3.16',
    promise: 'A command has one status line.',
    holds: ({ direct, gated, backend }) =>
      backend.version === '2.3.13' &&
      (direct['bytes'] === `${gated['bytes']}\n-\n` ||
        (gated['waits'] !== undefined && direct['thrown'] === `Error: - (${gated['waits']})`)),
  },
  {
    key: 'log-of-process',
    what: 'a log line with a process id where others have a user, `doveadm(123): doveadm: Client sent unknown command`',
    promise:
      'A log line that names another user than the command does is not passed on; a number may be a user.',
    holds: (one) =>
      differsOnlyIn(one, 'logs', 'stderr') &&
      ['logs', 'stderr'].some(
        (part) => one.gated[part] === '' && /Client sent unknown command/.test(one.direct[part] ?? ''),
      ),
  },
  {
    key: 'own-words',
    what: 'the sentence for arguments that do not parse',
    promise: 'dovegate answers them itself, as Dovecot does, `-USAGE` (64), and says why in its own words.',
    holds: (one) =>
      differsOnlyIn(one, 'logs', 'stderr') &&
      (one.direct['exit'] === '64' || one.direct['failed'] === 'usage USAGE') &&
      ['logs', 'stderr'].some((part) => one.gated[part]?.includes('not understood, so not sent')),
  },
  {
    key: 'columns-of-series',
    what: 'names and number of columns of server commands, in front of Dovecot 2.3',
    promise:
      'dovegate announces minor 3 whatever is behind it, so a client that goes by it takes those of 2.4.',
    holds: (one) =>
      one.backend.series === '2.3' &&
      one.command.scope === 'server' &&
      (one.client.name === 'dovegate send'
        ? differsOnlyIn(one, 'stdout')
        : one.client.name === 'dovegate/client' &&
          JSON.stringify(cellsOf(one.direct['rows'])) === JSON.stringify(cellsOf(one.gated['rows']))),
  },
  {
    key: 'own-socket',
    what: '`sync`, `backup` and `batch` of doveadm 2.3.13, which sends its own `-S` on',
    promise: 'The server would open a connection to that path: the parameter `socket-path` is never allowed.',
    holds: (one) =>
      one.client.name === 'doveadm 2.3.13' &&
      one.gated['exit'] === '77' &&
      (one.gated['stderr'] ?? '').includes('(the parameter socket-path is never allowed)'),
  },
  {
    key: 'source-user',
    what: '`user` of `copy` and `move`, as doveadm 2.4 writes it',
    promise: 'doveadm 2.4 sends `source-user`, which ends every server; dovegate sends `user`.',
    holds: (one) =>
      one.client.series === '2.4' &&
      /^(?:copy|move)$/.test(one.command.name) &&
      one.line.args[1] === 'user' &&
      one.gated['exit'] === '0',
  },
  {
    // Keys that only errors of dovegate have, and a blank that only those of Dovecot 2.3 have.
    key: 'http-error',
    what: 'an error over HTTP: `{"type":...,"exitCode":...}`',
    promise: 'Errors carry three more keys, `code`, `message` and `id`; clients read the other two.',
    holds: (one) => {
      if (!isHttp(one)) return false;
      const [ours, theirs] = [httpAnswerOf(one.gated), httpAnswerOf(one.direct)];
      if (ours.kind !== 'entries' || theirs.kind !== 'entries' || theirs.isRepaired) return false;
      const [[first], [other]] = [ours.entries, theirs.entries];
      return (
        first?.kind !== 'doveadmResponse' &&
        first?.kind === other?.kind &&
        first?.exitCode === other?.exitCode
      );
    },
  },
];

function cellsOf(rows: string | undefined): unknown[] | undefined {
  return rows === undefined ? undefined : JSON.parse(rows).flat();
}

/** The key of a row of docs/client-http.md. */
export const httpKey = (reason: string): string => `http-${reason}`;

export const rows: readonly Row[] = [
  ...ownRows,
  ...allowedDifferences.map(([reason, holds]) => ({
    key: httpKey(reason),
    holds: (one: Difference) => isHttp(one) && holds(httpDifferenceOf(one)),
  })),
];

function httpAnswerOf({ status, body = '' }: Answer): HttpAnswer {
  if (status === 'closed') return { kind: 'closed' };
  if (status !== '200') return { kind: 'refused', status: Number(status), text: body.trim() };
  try {
    return readEntries(body);
  } catch (error) {
    // Dovecot 2.3 forgets brackets, too, where rows have fewer cells than columns.
    if (error instanceof SyntaxError) return { kind: 'entries', entries: [], isRepaired: true };
    throw error;
  }
}

function httpDifferenceOf({ backend, command, line, direct, gated }: Difference): HttpDifference {
  const { user, args } = line;
  const parameters = [
    ['user', JSON.stringify(user === 'all' ? '' : (user ?? 'alice'))],
    ...(user === 'all' ? [['all-users', 'true']] : []),
    ...args.map((word) => ['word', JSON.stringify(word)]),
  ].map(([name = '', json = '']) => [name, json] as const);
  const asked = { command, parameters, json: '' };
  const [ours, theirs] = [httpAnswerOf(gated), httpAnswerOf(direct)];
  const [one, other] = [ours, theirs].map((answer) =>
    answer.kind === 'entries' ? answer.entries[0] : undefined,
  );
  const at = one === undefined || other === undefined ? undefined : { asked, ours: one, theirs: other };
  return { series: backend.series, asked: [asked], ours, theirs, at };
}

export function comparableAnswer(answer: Answer, line: Line): Answer {
  return Object.fromEntries(
    Object.entries(answer).map(([part, text]) => [
      part,
      rules.reduce((changed, rule) => rule.apply(changed, line, part), text),
    ]),
  );
}

export function rowOf(difference: Difference): Row | undefined {
  return rows.find((row) => row.holds(difference));
}
