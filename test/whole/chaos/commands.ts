// The commands of a run, made from a seed: reads and writes that policies may allow, and lines that must never reach a backend.
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { escapeCell } from '../../kit/plain/framing.js';
import { boss, realm, users } from './policy.js';

export interface Made {
  readonly token: string;
  readonly user: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly effect: 'read' | 'write';
  /** Never allowed, whatever the policy. */
  readonly isHostile?: true;
  /** Text for the dot-stream, CRLF lines, dots not stuffed. */
  readonly input?: string;
  /** The bytes of the line, LF included, where they are not just the fields escaped. */
  readonly raw?: Buffer;
}

let made = 0;

/** A word for one command. */
export function makeToken(random: Random): string {
  made += 1;
  const noise = Math.floor(random() * 36 ** 5)
    .toString(36)
    .padStart(5, '0');
  return `tk${noise}${made.toString(36).padStart(6, '0')}`;
}

export const stableMails = 8;

/** A mailbox with one mail of so many bytes, of a user at each backend whom no policy excepts. */
export const largeBox = 'Large';
export const largeBytes = 32 * 2 ** 20;
export const largeOwners: readonly string[] = [`a02@${realm}`, `b02@${realm}`];

/** What mails are searched for; among the secrets of a run. */
export const secretWords: readonly string[] = Array.from(
  { length: 6 },
  (_, at) => `zq${at}Xylem${at}kestrel`,
);

/** `isNative`: for a client of the doveadm protocol, which may set flags. */
export function makeRead(random: Random, isNative = false): Made {
  const token = makeToken(random);
  const user = pick(random, users);
  const uid = String(randomInteger(random, 1, stableMails));
  const not = ['not', 'keyword', token];
  const secret = (): string => pick(random, secretWords);
  const forms: readonly (readonly [string, readonly string[]])[] = [
    ['mailbox list', ['INBOX', 'Stable', token]],
    ['mailbox status', ['messages uidnext', 'Stable', token]],
    ['fetch', ['uid guid', 'mailbox', 'Stable', ...not]],
    ['fetch', ['uid size.physical date.received', 'mailbox', 'Stable', 'uid', uid, ...not]],
    ['fetch', ['text', 'mailbox', 'Stable', 'uid', uid, ...not]],
    ['fetch', ['hdr.subject uid', 'mailbox', 'Stable', ...not]],
    // Most mails have none: a row of one empty cell.
    ['fetch', ['flags', 'mailbox', 'Stable', ...not]],
    ['search', ['mailbox', 'Stable', ...not]],
    // Words about content, which no record may show.
    ['search', ['mailbox', 'Stable', 'subject', secret(), ...not]],
    ['fetch', ['uid', 'mailbox', 'Stable', '(', 'body', secret(), 'or', 'subject', secret(), ')', ...not]],
  ];
  const [command, args] = pick(random, forms);
  const read: Made = { token, user, command, args, effect: 'read' };
  // What must not go upstream with a command that may.
  const extras = [['D'], ['Dv'], ['v'], ['Dx', 'proxy-ttl=3\x01tforward=YWRtaW4=']];
  if (!isNative || random() < 0.85) return read;
  const fields = [user, command, ...args].map((field) => escapeCell(field).toString('latin1'));
  return { ...read, raw: Buffer.from(`${[...pick(random, extras), ...fields].join('\t')}\n`, 'latin1') };
}

export function makeSave(random: Random): Made {
  const token = makeToken(random);
  const chance = random();
  const size = chance < 0.02 ? 1_500_000 : chance < 0.12 ? 40_000 : 600;
  const line = pick(random, ['.', '..', 'x'.repeat(70), '.hidden', '', 'déjà', 'a\tb']);
  const lines = Array.from({ length: Math.ceil(size / 60) }, (_, at) => `${line}${at % 3 === 0 ? at : ''}`);
  const input = ['From: a@example.net', `Subject: ${token}`, '', ...lines, ''].join('\r\n');
  return {
    token,
    user: pick(random, users),
    command: 'save',
    args: ['-m', 'Chaos'],
    effect: 'write',
    input: Buffer.from(input).toString('latin1'),
  };
}

export function makeWrite(random: Random): Made {
  const chance = random();
  if (chance < 0.3) return makeSave(random);
  const token = makeToken(random);
  const user = pick(random, users);
  const of = (command: string, args: readonly string[]): Made => ({
    token,
    user,
    command,
    args,
    effect: 'write',
  });
  if (chance < 0.33) return of('mailbox create', [`Box-${token}`]);
  if (chance < 0.5) return of('expunge', ['mailbox', 'Chaos', 'not', 'keyword', token]);
  const uid = String(randomInteger(random, 1, stableMails));
  return of(random() < 0.5 ? 'flags add' : 'flags remove', [
    '\\Flagged',
    'mailbox',
    'Stable',
    'uid',
    uid,
    'not',
    'keyword',
    token,
  ]);
}

/** Attacks at the listener `read`. None of them may reach a backend. */
export function makeHostile(random: Random): Made {
  const token = makeToken(random);
  const user = pick(random, users);
  const other = pick(random, users);
  const not = ['not', 'keyword', token];
  const of = (command: string, args: readonly string[], more: Partial<Made> = {}): Made => ({
    token,
    user,
    command,
    args,
    effect: 'write',
    isHostile: true,
    ...more,
  });
  const lineOf = (...fields: readonly string[]): Buffer => Buffer.from(`${fields.join('\t')}\n`, 'latin1');
  const forms: readonly (() => Made)[] = [
    () => of('mailbox delete', ['Stable', token]),
    () => of('expunge', ['mailbox', 'Stable', ...not]),
    () => of('mailbox delete', ['-r', '-s', 'Stable', token]),
    () => of('fetch', ['-u', other === user ? boss : other, 'text', 'mailbox', 'Stable', ...not]),
    () => of('fetch', [`-u${other === user ? boss : other}`, 'text', 'mailbox', 'Stable', ...not]),
    () => of('fetch', ['-A', 'text', 'mailbox', 'Stable', ...not], { user: boss }),
    () => of('fetch', ['-F', '/etc/passwd', 'text', ...not]),
    () => of('fetch', ['-S', '/run/dovecot/doveadm-server', 'text', ...not]),
    ...[
      boss,
      boss.toUpperCase(),
      boss.replace('boss', 'Boss'),
      boss.replace('boss', 'BOSS'),
      ` ${boss}`,
      `${boss}\0`,
      `x@${realm}.evil`,
      '',
    ].map((stranger) => () => of('fetch', ['text', 'mailbox', 'Stable', ...not], { user: stranger })),
    () => of('copy', ['Chaos', 'user', other, 'mailbox', 'Stable', ...not]),
    () => of('import', ['maildir:/tmp/x', '', 'mailbox', 'Stable', ...not]),
    () => of('exec', ['imap', token]),
    () => of('fs get', ['posix', '/etc/passwd', token]),
    () => of('dump', ['-t', 'index', token]),
    () => of('mailbox', ['delete', 'Stable', token]),
    () => of('mailbox  delete', ['Stable', token]),
    () =>
      of('mailbox\tdelete', ['Stable', token], {
        raw: lineOf('', user, 'mailbox', 'delete', 'Stable', token),
      }),
    () =>
      of('mailbox delete', ['Stable', token], { raw: lineOf('D', user, 'mailbox delete', 'Stable', token) }),
    () =>
      of('mailbox delete', ['Stable', token], {
        raw: lineOf('x', 'proxy-ttl=5', user, 'mailbox delete', 'Stable', token),
      }),
    () =>
      of('save', ['-m', 'Stable'], {
        input: `Subject: ${token}\r\n\r\n\t${user}\tmailbox delete\tStable\r\n..\r\n`,
      }),
    () => of('kick', [user, token]),
    () => of('who', [token]),
    () => of('director', ['kick', token]),
    () => of('mailbox list', ['-U', other, token], { user: boss }),
    () => of('batch', ['mailbox list', ':', 'mailbox delete', 'Stable', token]),
    () => of('dsync-server', [token]),
    () => of('sieve put', ['-a', token], { input: `keep;\r\n\t${user}\tmailbox delete\tStable\r\n` }),
  ];
  return pick(random, forms)();
}
