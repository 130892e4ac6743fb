// Makes command lines for a server and for our parser: what people and programs send, every trick that is known to get past a gate
// which reads less carefully than the server, and mutations of both. The same seed makes the same lines.
//
// The rule: what a line can name is harmless. Lines run as root on the machine that runs the tests, so commands that execute, stop or
// reach outside the instance are never made, and `isHarmless` looks once more.
import {
  allSeries,
  type Command,
  commandsOf,
  type Parameter,
} from '../../../src/doveadm/commands/catalog.js';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { unescapeCell } from '../../kit/plain/framing.js';
import { markOf, realm } from './twin-worlds.js';

/** Files that exist, as the server sees them. */
export interface Places {
  readonly importFolder: string;
  readonly mailFile: string;
  readonly userFile: string;
}

export interface MadeLine {
  /** Without LF. */
  readonly line: Buffer;
  /** How it came about, for a report. */
  readonly made: string;
}

/** Commands of the lines, with how often each comes. */
const weights: readonly (readonly [weight: number, names: string])[] = [
  [8, 'search, fetch, mailbox status, mailbox list, expunge, copy, move'],
  [
    5,
    'quota get, mailbox create, mailbox delete, mailbox rename, flags add, flags remove, flags replace, save',
  ],
  [
    3,
    'mailbox metadata get, mailbox metadata set, mailbox metadata list, mailbox metadata unset, mailbox path',
  ],
  [3, 'mailbox subscribe, mailbox unsubscribe, mailbox update, force-resync, index, quota recalc, user'],
  [3, 'mailbox cache decision, mailbox cache purge, mailbox cache remove, sieve put, sieve list, sieve get'],
  [2, 'sieve activate, sieve deactivate, sieve delete, sieve rename, acl get, acl set, acl add, acl remove'],
  [2, 'acl delete, acl rights, acl debug, acl recalc, purge, deduplicate, altmove, import, who, kick'],
  [1, 'auth cache flush, mailbox mutf7, fts rescan, fts optimize, fts lookup, rebuild attachments, penalty'],
  [1, 'proxy list, proxy kick, service status, process status, stats dump, log errors, instance list'],
  [1, 'batch, mailbox cryptokey list'],
];

export const commandNames = weights.flatMap(([weight, names]) =>
  names.split(', ').flatMap((name) => Array.from({ length: weight }, () => name)),
);

/** Never in a line, wherever it could become the name of a command. */
const harmful =
  /^(?:sync|backup|dsync-server|reload|stop|exec|fs|dict|mail|sis|director|replicator|log|instance|stats|service|config|dump|oldstats|indexer)(?: |$)/;
const harmfulButFor = /^(?:log errors|service status|stats dump|instance list)(?: |$)/;

/** Whether no reader, however it splits, could run anything dangerous. */
export function isHarmless(line: Buffer): boolean {
  const whole = line.toString('latin1');
  // As a C string and as it is, with every CR, LF and TAB a possible end of a field.
  const fields = whole.split(/[\t\r\n\0]/).flatMap((field) => {
    const plain = unescapeCell(Buffer.from(field, 'latin1')).toString('latin1');
    return [field, plain, ...plain.split(/[\t\r\n\0]/)];
  });
  return !fields.some((field, at) => {
    const joined = `${field} ${fields.slice(at + 1).find((next) => next !== field) ?? ''}`;
    return harmful.test(field) && !harmfulButFor.test(field) && !harmfulButFor.test(joined);
  });
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/);
}

const mailboxNames = wordsOf('INBOX Archive Trash Junk Drafts Work Work/Plans Ünïcode New New/Deep');
const oddMailboxNames = [
  ...wordsOf('inbox Inbox/Below user mailbox source-user -r -A -- - --all-users'),
  ...'| |a b|tab\there|soh\x01x|cr\rx|Work.Plans|../x|~/x|/etc|Boo\u212A|cafe\u0301|tr\u00e4sh'.split('|'),
  ...['shared/victim@REALM/INBOX', 'shared/victim@REALM/Archive', 'SHARED/victim@REALM/Archive'].map((name) =>
    name.replace('REALM', realm),
  ),
  'shared',
  markOf('alice'),
  markOf('victim'),
];
const masks = [...wordsOf('* % INBOX Work* Work/% A* *e inbox shared/* sh*'), '', 'I?BOX', 'Nope'];
const keys = wordsOf(
  `/private/comment /shared/comment /PRIVATE/comment /private/ /private /shared/vendor/vendor.example/x comment
  /private/vendor/vendor.dovecot/pvt/x`,
);
const fetchFields = wordsOf(
  `uid guid flags seq mailbox mailbox-guid hdr.subject hdr.to size.physical size.virtual date.received body text
  hdr user modseq imap.envelope imap.bodystructure refcount pop3.uidl body.snippet date.sent date.saved.unixtime
  hdr.subject.utf8 body.1 binary.1 storageid`,
);
const statusFieldNames = wordsOf(
  'messages recent unseen vsize uidnext uidvalidity guid highestmodseq all firstsaved deleted',
);
const flagNames = wordsOf(
  String.raw`\Seen \Flagged \Answered \Deleted \Draft \SEEN \flagged $Label Important NonJunk \Recent \Nope`,
);
const rightNames = wordsOf('lookup read write write-seen insert post expunge admin all :read -read nope');
const subjects = [
  ...wordsOf(`owner user=bob@${realm} user=alice@${realm} anyone authenticated group=x ANYONE bob`),
];
const numbers = [
  ...wordsOf('0 1 2 7 100 86400 4294967295 4294967296 -1 +1 0x10 1x x'),
  ...'| 1|010|18446744073709551616'.split('|'),
];
const cacheFields = ['hdr.subject', 'flags', 'date.received', 'mime.parts', 'hdr.from hdr.to', 'nope'];

/** Values of a user option or argument. */
function userValue(random: Random): string {
  return pick(random, [
    ...Array.from({ length: 3 }, () => `alice@${realm}`),
    `ALICE@${realm.toUpperCase()}`,
    ...['victim', 'bob', '*'].map((name) => `${name}@${realm}`),
    ...`*|a*|alic?@${realm}|victim*|nobody||alice|alice@${realm} |--|-A`.split('|'),
  ]);
}

/** A user field of a command line. */
function wireUser(random: Random): string {
  const roll = random();
  if (roll < 0.91) return `alice@${realm}`;
  return pick(random, [
    ...`bob@${realm}|victim@${realm}|ALICE@${realm}|Alice@Example.ORG|nobody@${realm}|alice||*`.split('|'),
    ...`*@${realm}|alice@${realm}\0|victim@${realm}\0@allowed.example|alice@${realm}\r`.split('|'),
    ...` alice@${realm}|alice@${realm}@${realm}|alice\t@${realm}`.split('|'),
  ]);
}

const searchKeys: readonly ((random: Random) => string[])[] = [
  () => ['all'],
  () => ['ALL'],
  (random) => ['mailbox', mailboxValue(random)],
  (random) => ['mailbox', pick(random, mailboxNames)],
  (random) => ['MAILBOX', pick(random, ['INBOX', 'Trash', 'Work*'])],
  (random) => ['uid', mostly(random, ['1', '1:2', '2:*', '1,3', '3:1'], ['*', '0', '1:', 'x', '4294967297'])],
  (random) => [mostly(random, ['1', '1:2', '2:*'], ['*', '0'])],
  (random) => [pick(random, wordsOf('seen unseen flagged answered deleted undeleted new old recent SEEN'))],
  (random) => [
    pick(random, ['from', 'to', 'subject', 'body', 'text', 'cc']),
    pick(random, ['mark', 'sender1', 'a b', '', 'NOT', ')', 'OR']),
  ],
  (random) => ['header', pick(random, ['subject', 'X-None', '']), pick(random, ['mark', '', 'INBOX'])],
  (random) => [
    pick(random, ['larger', 'smaller']),
    mostly(random, ['100', '1k', '1 MiB', '300b'], ['1.5k', '-1', 'x', '1KB', '']),
  ],
  (random) => [
    pick(random, wordsOf('before since on sentbefore sentsince senton savedbefore savedsince x-savedbefore')),
    mostly(
      random,
      ['30d', '1 week', '2w', '1days', '1day', '2026-03-02', '01-Mar-2026', '1-Mar-2026', '1700000002'],
      ['1700000002 ', '5 fortnights', '2026-3-2', '', '30', '99999999999d', '31-Feb-2026', '02-mar-26'],
    ),
  ],
  (random) => [pick(random, ['older', 'younger']), mostly(random, ['86400', '1'], ['0', '-1', '1d'])],
  (random) => [
    pick(random, ['keyword', 'unkeyword']),
    mostly(random, ['$Label', 'Important'], ['a b', '', '\\Seen']),
  ],
  (random) => ['guid', pick(random, ['seed-alice-1', 'nope', ''])],
  () => ['mailbox-guid', '0123456789abcdef0123456789abcdef'],
  (random) => ['modseq', mostly(random, ['1', '2'], ['x', '1 all', ''])],
  (random) => [
    mostly(
      random,
      ['savedatesupported', 'oldestonly', 'all'],
      ['inthread', 'mimepart', '$', 'x-mailbox', 'nope', '', ' all', 'all '],
    ),
  ],
];

function mailboxValue(random: Random): string {
  const roll = random();
  if (roll < 0.72) return pick(random, mailboxNames);
  return roll < 0.86 ? pick(random, masks) : pick(random, oddMailboxNames);
}

/** Words of a query: keys, AND by standing together, OR, NOT, parentheses, sometimes wrong. */
function query(random: Random, depth: number): string[] {
  const words: string[] = [];
  const count = randomInteger(random, 1, depth === 0 ? 3 : 2);
  const isOr = random() < 0.25;
  for (let at = 0; at < count; at += 1) {
    if (at > 0 && (isOr ? random() < 0.95 : random() < 0.05)) words.push(pick(random, ['OR', 'or', 'Or']));
    const roll = random();
    if (roll < 0.12) words.push(pick(random, ['NOT', 'not', 'FUZZY']));
    if (depth < 2 && roll > 0.85)
      words.push('(', ...query(random, depth + 1), ...(random() < 0.95 ? [')'] : []));
    else words.push(...pick(random, searchKeys)(random));
  }
  return words;
}

function someWords(random: Random, from: readonly string[], most: number): string[] {
  return Array.from({ length: randomInteger(random, 1, most) }, () => pick(random, from));
}

/** Values for a parameter: one, or several for an array. */
export function valuesFor(random: Random, command: Command, parameter: Parameter, places: Places): string[] {
  const { name, type } = parameter;
  // Roles that are not listed get any word: as text, so that the list need not be complete.
  const role: string = parameter.role ?? '';
  if (type === 'bool') return [''];
  if (type === 'int') return [mostly(random, ['1', '2', '7', '86400'], numbers)];
  switch (role) {
    case 'mailbox':
      return type === 'array'
        ? Array.from({ length: randomInteger(random, 1, 3) }, () => mailboxValue(random))
        : [mailboxValue(random)];
    case 'mailbox-mask':
      return someWords(random, masks, type === 'array' ? 2 : 1);
    case 'search-query':
      // What expunge and move want is rare among random queries.
      if (random() < 0.4)
        return ['mailbox', pick(random, ['INBOX', 'Trash', 'Archive']), ...query(random, 1)];
      return query(random, 0);
    case 'output-fields':
      if (command.name === 'fetch') return fieldWords(random, fetchFields, type === 'array', 4);
      if (command.name === 'mailbox status') return fieldWords(random, statusFieldNames, type === 'array', 4);
      return [pick(random, ['home', 'uid', 'nope'])];
    case 'mail-flags':
      return fieldWords(random, flagNames, type === 'array', 2);
    case 'metadata-key':
      return [mostly(random, keys.slice(0, 3), keys)];
    case 'acl-id':
      return [pick(random, subjects)];
    case 'acl-right':
      return someWords(random, rightNames, 3);
    case 'sieve-script':
      return someWords(
        random,
        ['main', `script-${markOf('alice')}`, 'new', 'nope', '../main', ''],
        type === 'array' ? 2 : 1,
      );
    case 'user':
    case 'source-user':
    case 'user-mask':
    case 'user-mask-or-ip':
      return type === 'array' && random() < 0.3
        ? [userValue(random), userValue(random)]
        : [userValue(random)];
    case 'content-file':
      return [pick(random, [places.mailFile, places.mailFile, '/nonexistent', '-'])];
    case 'mail-location':
      return [`maildir:${places.importFolder}`];
    case 'cache-fields':
      return [pick(random, cacheFields)];
    case 'guid':
    case 'mailbox-guid':
      return [mostly(random, ['0123456789abcdef0123456789abcdef'], ['x', ''])];
    case 'user-file':
      return [pick(random, [places.userFile, '/nonexistent'])];
    case 'service-name':
      return [pick(random, ['doveadm', 'nope'])];
    case 'sub-commands':
      return ['quota get', ':', 'mailbox', 'list', ':'].slice(0, randomInteger(random, 1, 5));
    default:
      break;
  }
  if (name === 'source-type') return [pick(random, ['user', 'USER', 'mailbox', 'source-user', ''])];
  if (name === 'decision') return [pick(random, ['yes', 'temp', 'no', 'nope'])];
  if (name === 'type' && command.name === 'mailbox path') {
    return [
      mostly(
        random,
        ['dir', 'index', 'mailbox', 'control', 'alt-dir'],
        ['index-cache', 'list-index', '', '1', 'DIR'],
      ),
    ];
  }
  if (name === 'separator') return [':'];
  if (/^(?:uid-validity|min-.*|max-recent|priority)$/.test(name))
    return [mostly(random, ['1', '2', '7', '100'], numbers)];
  if (role === 'socket') return ['/nonexistent/socket'];
  return [pick(random, ['text', 'a b', '', 'ÄÖ', '-x', 'tab\t.', '1'])];
}

function fieldWords(random: Random, from: readonly string[], isArray: boolean, most: number): string[] {
  const words = someWords(random, from, most);
  if (random() < 0.05) words.push(pick(random, ['nope', '', 'UID', ' ']));
  return isArray ? words : [words.join(random() < 0.05 ? '  ' : ' ')];
}

/** A line that begins as something sensible, then is bent. */
export function makeLine(random: Random, places: Places): MadeLine {
  for (;;) {
    const made = makeAnyLine(random, places);
    if (isHarmless(made.line) && !made.line.includes(0x0a)) return made;
  }
}

function makeAnyLine(random: Random, places: Places): MadeLine {
  const notes: string[] = [];
  const series = pick(random, allSeries);
  const wanted = pick(random, commandNames);
  const command =
    commandsOf(series).find((one) => one.name === wanted) ??
    commandsOf('2.3').find((one) => one.name === wanted);
  if (command === undefined) throw new Error(`no command ${wanted}`);
  let args = makeArguments(random, command, places, notes);
  let name = makeName(random, command.name, notes);
  if (random() < 0.16) {
    args = mutateWords(random, args, notes);
    if (random() < 0.1) name = mutateWords(random, name, notes);
  }
  const user = wireUser(random);
  const fields = [...makeFlags(random, notes), user, ...name, ...args];
  let line: Buffer = Buffer.from(fields.map((field) => escapeText(random, field)).join('\t'));
  if (random() < 0.06) line = mutateBytes(random, line, notes);
  return { line, made: notes.join(', ') };
}

function makeFlags(random: Random, notes: string[]): string[] {
  const roll = random();
  if (roll < 0.93) return [''];
  notes.push('flags');
  if (roll < 0.955) return [pick(random, ['v', 'D', 'Dv', 'vv'])];
  if (roll < 0.985)
    return [
      pick(random, ['x', 'vx', 'xD']),
      pick(random, ['proxy-ttl=5', 'proxy-ttl=0', '', 'proxy-ttl=3\tforward=a=b', 'forward=a=b', 'other=1']),
    ];
  return pick(random, [
    ['xx', 'a', 'b'],
    ['xx', 'proxy-ttl=5', 'proxy-ttl=5'],
    ['y'],
    ['x'],
    ['X', 'a'],
    ['-'],
  ]);
}

function makeName(random: Random, name: string, notes: string[]): string[] {
  const words = name.split(' ');
  const roll = random();
  if (roll < 0.64) return [name];
  if (roll < 0.955) {
    if (words.length > 1) notes.push('split name');
    if (words.length > 2 && random() < 0.5) {
      return random() < 0.5
        ? [words.slice(0, 2).join(' '), ...words.slice(2)]
        : [words[0] ?? '', words.slice(1).join(' ')];
    }
    return words;
  }
  notes.push('bent name');
  const camel = words
    .map((word, at) => (at === 0 ? word : `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`))
    .join('');
  return pick(random, [
    [name.toUpperCase()],
    [camel],
    [words.join('-')],
    [words.join('  ')],
    [`${name} `],
    [` ${name}`],
    [name.slice(0, -1)],
    [...words.slice(0, 1), '', ...words.slice(1)],
    [`${name}\0`],
    [`${name}\r`],
    ['', ...words],
    [words.join('\u00a0')],
  ]);
}

/** One option or one positional as it is meant, before it is written. */
interface Piece {
  readonly words: readonly string[];
  readonly isOption: boolean;
}

function makeArguments(random: Random, command: Command, places: Places, notes: string[]): string[] {
  const options: Piece[] = [];
  const positionals: string[] = [];
  const ownOptions = command.params.filter((one) => !one.isPositional && !notOwnOptions.has(one.name));
  for (const parameter of ownOptions) {
    if (random() > 0.25) continue;
    for (const value of valuesFor(random, command, parameter, places))
      options.push(asOption(random, parameter, value, notes));
  }
  options.push(...commonOptions(random, command, places, notes));
  const places_ = command.params.filter((one) => one.isPositional);
  const asLong = random() < 0.06;
  for (const parameter of places_) {
    // The source of copy and move: seldom, and in all its spellings.
    if (parameter.name === 'source-type') continue;
    if (parameter.name === 'source-user' && parameter.isPositional) {
      if (random() < 0.3) {
        positionals.push(
          pick(random, ['user', 'user', 'user', 'USER', 'User', 'source-user', 'mailbox']),
          userValue(random),
        );
      }
      continue;
    }
    const isTwin = parameter.name === 'fieldstr' || parameter.name === 'flagstr';
    if (isTwin && options.some(({ words }) => /^--(?:field|flag)/.test(words[0] ?? ''))) {
      if (random() < 0.9) continue;
    }
    if (parameter.isOptional && random() < 0.5) continue;
    if (!parameter.isOptional && random() < 0.03) {
      notes.push(`without ${parameter.name}`);
      continue;
    }
    for (const value of valuesFor(random, command, parameter, places)) {
      if (asLong && random() < 0.6) {
        notes.push('positional as option');
        options.push({
          words: random() < 0.5 ? [`--${parameter.name}=${value}`] : [`--${parameter.name}`, value],
          isOption: true,
        });
      } else positionals.push(value);
    }
  }
  if (random() < 0.04) {
    notes.push('surplus');
    positionals.push(pick(random, ['surplus', 'user', 'all', '', '-']));
  }
  return arrange(random, options, positionals, notes);
}

/** Those of all mail commands; and the queue of `index`, which is worked off at any time later. */
const notOwnOptions = new Set(
  wordsOf('queue all-users socket-path user trans-flags user-file no-userdb-lookup'),
);

/** The options that every mail command has: -u as clients send it, and the ways out of the user. */
function commonOptions(random: Random, command: Command, places: Places, notes: string[]): Piece[] {
  const list: Piece[] = [];
  if (command.scope !== 'user') return list;
  const add = (name: string, value: string): void => {
    const parameter = command.params.find((one) => one.name === name);
    if (parameter === undefined) list.push({ words: [`--${name}`], isOption: true });
    else list.push(asOption(random, parameter, value, notes));
  };
  const roll = random();
  if (roll < 0.45) add('user', random() < 0.75 ? `alice@${realm}` : userValue(random));
  if (roll < 0.03) add('user', userValue(random));
  if (random() < 0.09) add('all-users', '');
  if (random() < 0.025) add('user-file', pick(random, [places.userFile, '/nonexistent']));
  if (random() < 0.01) add('socket-path', '/nonexistent/socket');
  if (random() < 0.01) add('trans-flags', pick(random, ['0', '1', 'x']));
  if (random() < 0.01) add('no-userdb-lookup', '');
  if (random() < 0.015)
    list.push({
      words: [pick(random, ['-W', '-h', '-?', '--help', '-', '--no-such', '-A=1', '--all-users=false'])],
      isOption: true,
    });
  return list;
}

/** An option in one of its spellings. */
function asOption(random: Random, parameter: Parameter, value: string, notes: string[]): Piece {
  const long = `--${parameter.name}`;
  const short = parameter.short === undefined ? undefined : `-${parameter.short}`;
  const roll = random();
  if (roll < 0.05) {
    notes.push('abbreviated');
    const cut = `--${parameter.name.slice(0, randomInteger(random, 1, parameter.name.length - 1))}`;
    return {
      words: parameter.type === 'bool' ? [cut] : random() < 0.5 ? [`${cut}=${value}`] : [cut, value],
      isOption: true,
    };
  }
  if (parameter.type === 'bool') {
    if (random() < 0.02) return { words: [`${long}=${pick(random, ['false', '1', ''])}`], isOption: true };
    return { words: [short !== undefined && roll < 0.8 ? short : long], isOption: true };
  }
  if (short === undefined || roll < 0.25) {
    return { words: random() < 0.5 ? [`${long}=${value}`] : [long, value], isOption: true };
  }
  return { words: roll < 0.7 ? [short, value] : [`${short}${value}`], isOption: true };
}

/** Options and positionals in one row: as the real client orders them, or permuted, with a `--` somewhere or nowhere. */
function arrange(
  random: Random,
  options: readonly Piece[],
  positionals: readonly string[],
  notes: string[],
): string[] {
  const clustered = random() < 0.3 ? cluster(options, notes) : options;
  const roll = random();
  if (roll < 0.5) return [...clustered.flatMap(({ words }) => words), '--', ...positionals];
  if (roll < 0.65) return [...clustered.flatMap(({ words }) => words), ...positionals];
  notes.push('permuted');
  const pieces: Piece[] = positionals.map((word) => ({ words: [word], isOption: false }));
  for (const option of clustered) pieces.splice(randomInteger(random, 0, pieces.length), 0, option);
  if (random() < 0.25)
    pieces.splice(randomInteger(random, 0, pieces.length), 0, { words: ['--'], isOption: true });
  return pieces.flatMap(({ words }) => words);
}

/** Short options in one word, the last of which may have a value. */
function cluster(options: readonly Piece[], notes: string[]): Piece[] {
  const letters = options.filter(({ words }) => words.length === 1 && /^-[A-Za-z0-9]$/.test(words[0] ?? ''));
  const rest = options.filter((option) => !letters.includes(option));
  const last = rest.findIndex(({ words }) => /^-[A-Za-z0-9]/.test(words[0] ?? ''));
  const joined = letters.map(({ words }) => words[0]?.slice(1) ?? '').join('');
  if (joined === '') return [...options];
  notes.push('cluster');
  const tail = last === -1 ? undefined : rest[last];
  if (tail === undefined) return [{ words: [`-${joined}`], isOption: true }, ...rest];
  const [first = '', ...values] = tail.words;
  return [
    { words: [`-${joined}${first.slice(1)}`, ...values], isOption: true },
    ...rest.filter((one) => one !== tail),
  ];
}

const strayWords = [
  ...`-A --all-users -u victim@${realm} -uvictim@${realm} -- - `.split(' '),
  ...wordsOf('user USER source-user all OR NOT ( ) mailbox INBOX -s -r -d -f -m --field --query=all'),
  ...wordsOf(`--source-user=victim@${realm} --mailbox=INBOX --user=victim@${realm} 1`),
];

function mutateWords(random: Random, given: readonly string[], notes: string[]): string[] {
  const words = [...given];
  const times = random() < 0.75 ? 1 : 2;
  for (let time = 0; time < times; time += 1) {
    const at = randomInteger(random, 0, Math.max(0, words.length - 1));
    const word = words[at] ?? '';
    const kind = randomInteger(random, 0, 9);
    notes.push(`mutation ${kind}`);
    if (kind === 0) words.splice(at, 1);
    else if (kind === 1) words.splice(at, 0, word);
    else if (kind === 2) words.splice(at, 2, words[at + 1] ?? '', word);
    else if (kind === 3 || kind === 4) words.splice(at, 0, pick(random, strayWords));
    else if (kind === 5) words[at] = word === word.toUpperCase() ? word.toLowerCase() : word.toUpperCase();
    else if (kind === 6) words[at] = `${word}${pick(random, [' ', '\0', '\r', 'x', '=', '\u0301'])}`;
    else if (kind === 7) words[at] = word.slice(0, -1);
    else if (kind === 8) words[at] = `${pick(random, ['-', '--', ' ', '='])}${word}`;
    else words.splice(at, 2, `${word}${pick(random, ['', ' ', '='])}${words[at + 1] ?? ''}`);
  }
  return words;
}

/** Almost always as Dovecot escapes; sometimes with a letter behind SOH that it lets pass. */
function escapeText(random: Random, text: string): string {
  return text.replaceAll(/[\0\x01\t\r\n]/g, (byte) => {
    if (random() < 0.1 && byte !== '\t' && byte !== '\n') return byte;
    return { '\0': '\x010', '\x01': '\x011', '\t': '\x01t', '\r': '\x01r', '\n': '\x01n' }[byte] ?? '';
  });
}

function mutateBytes(random: Random, line: Buffer, notes: string[]): Buffer {
  const at = randomInteger(random, 0, line.length);
  const kind = randomInteger(random, 0, 9);
  notes.push(`bytes ${kind}`);
  const insert = (bytes: string | Buffer): Buffer =>
    Buffer.concat([line.subarray(0, at), Buffer.from(bytes), line.subarray(at)]);
  if (kind === 0) return insert('\x01');
  if (kind === 1) return insert('\x01X');
  if (kind === 2) return insert('\0');
  if (kind === 3) return insert('\x010');
  if (kind === 4)
    return Buffer.concat([line, Buffer.from(pick(random, ['\r', '\r\r', '\t', '\t\t', '\x01', '\0\tx']))]);
  if (kind === 5) return insert('\r');
  if (kind === 6) return insert(Buffer.from([pick(random, [0xff, 0xc3, 0x80, 0xed])]));
  if (kind === 7) return insert('\t');
  if (kind === 8) return insert('\x01t');
  return Buffer.concat([line.subarray(0, at), line.subarray(at + 1)]);
}

/** Lines that are sent whatever the seed: each trick by name. `ALICE` and the like stand for whole names. */
export function knownTricks(places: Places): MadeLine[] {
  return [...tricks.split('\n'), ...queryTricks].flatMap((row) => {
    const [made = '', ...fields] = row.trim().split(' | ');
    if (fields.length === 0) return [];
    const text = fields
      .map((field) => (field === 'EMPTY' ? '' : field))
      .join('\t')
      .replaceAll('ALICE', `alice@${realm}`)
      .replaceAll('BOB', `bob@${realm}`)
      .replaceAll('VICTIM', `victim@${realm}`)
      .replaceAll('USERFILE', places.userFile)
      .replaceAll('MAILFILE', places.mailFile)
      .replaceAll('SOH', '\x01')
      .replaceAll('NUL', '\0')
      .replaceAll('CRET', '\r')
      .replaceAll('REALM', realm);
    const line = Buffer.from(text);
    if (!isHarmless(line)) throw new Error(`a trick that does harm: ${made}`);
    return [{ line, made }];
  });
}

const tricks = `
  plain | EMPTY | ALICE | quota get | -u | ALICE | --
  name split | EMPTY | ALICE | mailbox | delete | Archive
  name split in the middle | EMPTY | ALICE | mailbox cache | purge | INBOX
  name split behind its first word | EMPTY | ALICE | mailbox | cache purge | INBOX
  name of three words in three | EMPTY | ALICE | mailbox | cache | decision | -f | hdr.subject | -d | no | INBOX
  stray escape in the name | EMPTY | ALICE | feSOHXtch | uid | all
  escape at the end of the name | EMPTY | ALICE | fetchSOH | uid | all
  escaped NUL in the user | EMPTY | VICTIMSOH0@allowed.example | mailbox list
  raw NUL in the user | EMPTY | VICTIMNUL@allowed.example | mailbox list
  raw NUL ends the line | EMPTY | ALICE | mailbox list | INBOXNUL | -A
  escaped NUL ends an option | EMPTY | ALICE | mailbox list | -uSOH0xALICE
  trailing CR | EMPTY | ALICE | mailbox delete | ArchiveCRET
  two CR | EMPTY | ALICE | mailbox create | NewCRETCRET
  two extra fields | xx | a | b | VICTIM | fetch | uid | all
  one extra field | x | proxy-ttl=5 | ALICE | quota get | --
  user swallowed as extra | x | ALICE | VICTIM | mailbox list
  extra that forwards | x | proxy-ttl=5SOHtforward=user=VICTIM | ALICE | mailbox list
  all users | EMPTY | ALICE | quota get | -A
  all users by long name | EMPTY | ALICE | mailbox list | --all-users
  all users abbreviated | EMPTY | ALICE | mailbox list | --all
  all users by one letter | EMPTY | ALICE | mailbox list | --a
  all users in a cluster | EMPTY | ALICE | mailbox delete | -rAs | Archive
  all users behind the positionals | EMPTY | ALICE | mailbox delete | Archive | -A
  all users between positionals | EMPTY | ALICE | mailbox rename | Archive | -A | New
  all users that is not | EMPTY | ALICE | mailbox list | -- | -A
  all users false | EMPTY | ALICE | mailbox list | --all-users=false
  file of users | EMPTY | ALICE | mailbox list | -F | USERFILE
  file of users attached | EMPTY | ALICE | fetch | -FUSERFILE | hdr.subject | all
  file of users behind all users | EMPTY | ALICE | mailbox list | -AFUSERFILE
  file of users abbreviated | EMPTY | ALICE | mailbox list | --user-f=USERFILE
  user abbreviated | EMPTY | ALICE | mailbox list | --use | VICTIM
  other user | EMPTY | ALICE | mailbox list | -u | VICTIM
  other user attached | EMPTY | ALICE | mailbox list | -uVICTIM
  other user in a cluster | EMPTY | ALICE | mailbox list | -suVICTIM
  other user twice | EMPTY | ALICE | mailbox list | -u | ALICE | -u | VICTIM
  mask of users | EMPTY | ALICE | mailbox list | -u | *@REALM
  mask that covers | EMPTY | ALICE | quota get | -u | a*
  mask that does not | EMPTY | ALICE | quota get | -u | v*
  upper-case user | EMPTY | Alice@Example.ORG | mailbox list
  user is a mask | EMPTY | *@REALM | mailbox list
  no user | EMPTY | EMPTY | mailbox list
  socket | EMPTY | ALICE | mailbox list | -S | /nonexistent
  internal flags | EMPTY | ALICE | mailbox list | --trans-flags=1
  no look-up | EMPTY | ALICE | mailbox list | --no-userdb-lookup
  source user | EMPTY | ALICE | copy | Trash | user | VICTIM | mailbox | INBOX | all
  source user in capitals | EMPTY | ALICE | copy | Trash | USER | VICTIM | all
  source user as 2.4 clients write it | EMPTY | ALICE | copy | -- | Trash | source-user | VICTIM | all
  source user as an option | EMPTY | ALICE | copy | --source-user=VICTIM | Trash | all
  source type as an option | EMPTY | ALICE | copy | --source-type=user | --source-user=VICTIM | Trash | all
  source type swallows the query | EMPTY | ALICE | copy | INBOX | mailbox | Archive | all
  source user in query options | EMPTY | ALICE | copy | --query=user | --query=VICTIM | --query=all | Trash
  source user behind the query | EMPTY | ALICE | copy | Trash | mailbox | INBOX | user | VICTIM
  source is oneself | EMPTY | ALICE | move | Trash | user | ALICE | mailbox | INBOX | all
  mailbox called user | EMPTY | ALICE | copy | user | VICTIM | all
  key at the end | EMPTY | ALICE | copy | Trash | user
  shared namespace | EMPTY | ALICE | fetch | hdr.subject | mailbox | shared/VICTIM/INBOX | all
  shared namespace by mask | EMPTY | ALICE | mailbox status | messages | shared/*
  shared namespace in small mask | EMPTY | ALICE | mailbox list | sh*
  shared namespace as destination | EMPTY | ALICE | copy | shared/VICTIM/INBOX | mailbox | INBOX | all
  everything by a star | EMPTY | ALICE | mailbox list | *
  fields twice | EMPTY | ALICE | fetch | --field=text | uid | all
  query as options | EMPTY | ALICE | fetch | uid | --query=mailbox | --query=INBOX
  query half as options | EMPTY | ALICE | fetch | --query=mailbox | uid | INBOX
  query as an option before its field | EMPTY | ALICE | fetch | --query=all | hdr.subject
  file as an option | EMPTY | ALICE | save | --file=MAILFILE
  file as a positional | EMPTY | ALICE | save | MAILFILE
  save that does not parse | EMPTY | ALICE | save | --bogus
  save of two files | EMPTY | ALICE | save | MAILFILE | MAILFILE
  save | EMPTY | ALICE | save | -m | Archive
  save as nobody | EMPTY | nobody@REALM | save
  script without a name | EMPTY | ALICE | sieve put
  OR that swallows | EMPTY | ALICE | search | mailbox | INBOX | seen | OR | all
  OR first | EMPTY | ALICE | search | OR | seen | all
  parentheses | EMPTY | ALICE | search | mailbox | INBOX | ( | seen | OR | flagged | )
  NOT of a list | EMPTY | ALICE | search | NOT | ( | mailbox | INBOX | seen | )
  number that 2.3 drops | EMPTY | ALICE | mailbox update | --min-next-uid=x | INBOX
  number too large | EMPTY | ALICE | mailbox update | -N | 4294967296 | INBOX
  user by name | EMPTY | ALICE | user | VICTIM
  user by mask | EMPTY | ALICE | user | *
  user by field | EMPTY | ALICE | user | -f | home | BOB
  who by mask | EMPTY | ALICE | who | *
  delete recursively by long name | EMPTY | ALICE | mailbox delete | --recursive | Work
  expunge of emptied | EMPTY | ALICE | expunge | -d | mailbox | Trash | all
  expunge everywhere | EMPTY | ALICE | expunge | mailbox | * | all
  expunge all | EMPTY | ALICE | expunge | all
  rename over | EMPTY | ALICE | mailbox rename | Archive | Trash
  batch | EMPTY | ALICE | batch | : | quota get | : | mailbox list
  abbreviated bool before its value | EMPTY | ALICE | mailbox delete | --rec | Work
`;

/** Message sets, and the INBOX in small letters, which a server compares letter by letter beside a mask, a NOT or an OR. */
const sets = ['*', '*:1', '2:*', '*:2', '99:*', '*:99', '1,*', '*,1', '*:*', '1,', '3:1,*', '1:4294967295'];
const queryTricks = [
  ...sets.flatMap((set) => [set, `uid ${set}`, `( 2 or ${set} )`].map((each) => `mailbox INBOX ${each}`)),
  ...['inbox', 'inbox mailbox INBOX', 'inbox mailbox *', 'inbo%', 'inbox*', 'inbox.*', 'inbox/*'].map(
    (name) => `mailbox ${name} all`,
  ),
  'not mailbox inbox mailbox * all',
  'not ( mailbox inbox seen ) mailbox * all',
  'mailbox Inbox not mailbox T* all',
  '( mailbox inbox or mailbox Trash ) all',
  'mailbox Drafts *',
].map((words) => `query ${words} | EMPTY | ALICE | search | ${words.replaceAll(' ', ' | ')}`);

/** Seldom one of the odd ones, which are many. */
function mostly<T>(random: Random, good: readonly T[], odd: readonly T[]): T {
  return random() < 0.9 ? pick(random, good) : pick(random, odd);
}
