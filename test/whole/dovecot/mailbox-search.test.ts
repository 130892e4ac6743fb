// Goal: no spelling of a mailbox's name gets round a rule, whatever the namespaces are.
//
// Random lists of namespaces go to a real Dovecot, and random spellings of the names of its mailboxes. The server says which mailbox
// each spelling reaches in a query, as a mask, and where a command opens it; policy is asked about the same line. What must not happen:
// a rule that denies the mailbox lets the line through; one that allows other names only lets it through. Where the configuration lists
// the namespaces that holds for all mailboxes, where it says nothing for the INBOX under names that end in INBOX.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots; DOVEGATE_ROUNDS multiplies the lists; DOVEGATE_MINUTES=60 goes on for an hour
// instead, shared by the releases; DOVEGATE_SEED repeats a run; DOVEGATE_VERBOSE=1 tells on the way.
import assert from 'node:assert/strict';
import { type TestContext } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { isMailboxMask, type Namespace } from '../../../src/doveadm/names/mailbox-names.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { allStorages, allUses, type MailboxWorld, openMailboxWorld } from './mailbox-world.js';
import { type NameQuestion, passesAllow, passesDeny } from './name-policy.js';
import { labTestMs, onDovecot, openBareDovecot, releasesAsked } from './real-gateway.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_121);
const minutes = Number(process.env['DOVEGATE_MINUTES'] ?? 0);
const isVerbose = process.env['DOVEGATE_VERBOSE'] === '1';
const releaseMs = (minutes * 60_000) / releasesAsked().length;
const listsPerRelease = Math.ceil(6 * rounds);
const spellingsPerList = 60;
const contradictionsMax = 20;

interface Tally {
  lists: number;
  /** Lists that the server does not take. */
  notTaken: number;
  spellings: number;
  /** Uses of a spelling that reached a mailbox, and those by another than its plain name. */
  reached: number;
  byOtherName: number;
  judgements: number;
  /** Passed where nothing is said of the namespaces, as it must be: such a name could be any mailbox's. */
  untold: number;
  readonly contradictions: string[];
}

onDovecot(
  'no spelling of a mailbox gets round a rule',
  openBareDovecot,
  async (t, lab) => {
    const tally = await search(t, lab);
    t.diagnostic(report(lab, tally));
    assert.deepEqual(tally.contradictions, []);
    assert.ok(tally.lists > tally.notTaken, 'the server takes hardly a list');
    assert.ok(tally.byOtherName * 20 > tally.reached, 'other names are hardly tried');
  },
  labTestMs + releaseMs,
);
if (!releasesAsked().some((release) => release === 'trixie' || release === 'sid')) {
  console.log('Dovecot 2.4 is left out here: DOVEGATE_RELEASES="native trixie" searches it as well');
}

async function search(t: TestContext, lab: Lab): Promise<Tally> {
  const tally: Tally = {
    lists: 0,
    notTaken: 0,
    spellings: 0,
    reached: 0,
    byOtherName: 0,
    judgements: 0,
    untold: 0,
    contradictions: [],
  };
  const startMs = Date.now();
  const isOver = (): boolean =>
    minutes > 0 ? Date.now() - startMs >= releaseMs : tally.lists - tally.notTaken >= listsPerRelease;
  for (let number = 0; !isOver() && tally.contradictions.length < contradictionsMax; number += 1) {
    const random = seededRandom(seed + number);
    const namespaces = number < known.length ? (known[number] ?? []) : makeNamespaces(random);
    assert.deepEqual(problemsOf(namespaces), [], describe(namespaces));
    const storage = pick(random, allStorages);
    tally.lists += 1;
    let world: MailboxWorld;
    try {
      world = await openMailboxWorld(lab, namespaces, number < known.length ? 'maildir' : storage);
    } catch (error) {
      if (!(error instanceof Error) || !/configuration/i.test(error.message)) throw error;
      tally.notTaken += 1;
      if (isVerbose) t.diagnostic(`${storage} ${describe(namespaces)}: ${error.message.slice(0, 300)}`);
      continue;
    }
    const title = `seed ${seed + number}, ${storage}, ${describe(namespaces)}`;
    await tryNames(random, { lab, world, namespaces, tally, title });
    world.close();
    if (isVerbose) t.diagnostic(report(lab, tally));
  }
  return tally;
}

interface Trial {
  readonly lab: Lab;
  readonly world: MailboxWorld;
  readonly namespaces: readonly Namespace[];
  readonly tally: Tally;
  readonly title: string;
}

async function tryNames(random: Random, trial: Trial): Promise<void> {
  const { world, namespaces, tally } = trial;
  for (let count = 0; count < spellingsPerList; count += 1) {
    const name = makeSpelling(random, world.plain, namespaces);
    tally.spellings += 1;
    for (const use of allUses) {
      // A mask is a name like others where a mailbox is opened, and may be made by that.
      if (use === 'name' && isMailboxMask(name)) continue;
      for (const mailbox of await world.reached(use, name)) {
        tally.reached += 1;
        if (mailbox === 'unknown') continue;
        if (mailbox !== name) tally.byOtherName += 1;
        judge(random, { use, name, series: trial.lab.series, namespaces }, mailbox, trial);
        judge(random, { use, name, series: trial.lab.series, namespaces: undefined }, mailbox, trial);
      }
    }
  }
}

/** Of a line that reaches the mailbox. */
function judge(
  random: Random,
  question: NameQuestion,
  mailbox: string,
  { world, tally, title }: Trial,
): void {
  const { name, use, namespaces } = question;
  const isSaid = namespaces !== undefined;
  const isPromised =
    isSaid || (mailbox === 'INBOX' && (isMailboxMask(name) || /(?:^|[^A-Za-z0-9 _-])inbox$/i.test(name)));
  const tell = (rule: string, patterns: readonly string[]): void => {
    if (!isPromised) tally.untold += 1;
    else {
      tally.contradictions.push(
        `${rule} ${JSON.stringify(patterns)}: ${use} ${JSON.stringify(name)} reaches ${mailbox} (namespaces ${isSaid ? 'said' : 'not said'}; ${title})`,
      );
    }
  };
  for (const patterns of [[mailbox], [startOf(random, mailbox)]]) {
    tally.judgements += 1;
    if (passesDeny(question, patterns)) tell('deny', patterns);
  }
  // A rule that holds a `%` means that very mask, and whatever it matches.
  const isOther = (pattern: string): boolean =>
    pattern !== '' && !pattern.includes('%') && !new GlobList([pattern]).matches(mailbox);
  const others = [
    ...world.plain,
    name,
    startOf(random, name),
    `${name.slice(0, -1)}*`,
    '*/*',
    '*.*',
    'i*',
    'inb*',
  ];
  const patterns = others.filter(isOther);
  for (const each of [patterns, [pick(random, patterns)]]) {
    tally.judgements += 1;
    if (passesAllow(question, each)) tell('allow', each);
  }
}

function startOf(random: Random, name: string): string {
  return `${name.slice(0, randomInteger(random, 1, name.length))}*`;
}

function namespace(prefix: string, separator: string, more: Partial<Namespace> = {}): Namespace {
  return { prefix, separator, inbox: false, aliasFor: undefined, kind: 'private', ...more };
}

/** Tried first, whatever the seed. */
const known: readonly (readonly Namespace[])[] = [
  [namespace('INBOX/', '/', { inbox: true })],
  [namespace('INBOX.', '.', { inbox: true }), namespace('', '/', { aliasFor: 'INBOX.' })],
  [namespace('', '/', { inbox: true }), namespace('Private/', '/', { aliasFor: '' })],
  [namespace('Mail/', '/', { inbox: true }), namespace('Archives/', '/')],
];

function makeNamespaces(random: Random): Namespace[] {
  const separator = pick(random, ['/', '/', '.', '.', '\\', '^', '|', ':']);
  const other = random() < 0.7 ? separator : pick(random, ['/', '.', '^']);
  const prefix = pick(random, ['', '', 'INBOX', 'INBOX', 'Mail', 'A/B', 'Sub', 'Inb', 'x INBOX']);
  const made = [namespace(withEnd(prefix, separator), separator, { inbox: true })];
  const add = (one: Namespace): void => {
    if (!made.some((each) => each.prefix === one.prefix)) made.push(one);
  };
  const prefixes = ['Archives', 'INBOX', 'INBOX/Old', 'Private', 'Mail/More', 'Sub', 'Trash'];
  if (random() < 0.4) add(namespace(withEnd(pick(random, prefixes), separator), separator));
  if (random() < 0.7) {
    const home = pick(random, made).prefix;
    add(namespace(withEnd(pick(random, ['', ...prefixes]), other), other, { aliasFor: home }));
  }
  if (random() < 0.2) {
    const [{ prefix: home } = { prefix: '' }] = made;
    add(namespace(withEnd(pick(random, prefixes), separator), separator, { aliasFor: home }));
  }
  return made;
}

function withEnd(prefix: string, separator: string): string {
  return prefix === '' ? '' : prefix.replaceAll('/', separator) + separator;
}

/** A name that somebody might try for one of these mailboxes. */
function makeSpelling(random: Random, plain: readonly string[], namespaces: readonly Namespace[]): string {
  let name = pick(random, random() < 0.4 ? ['INBOX'] : plain);
  const from = namespaces.find(({ prefix }) => prefix !== '' && name.startsWith(prefix));
  if (random() < 0.7) {
    const to = pick(random, namespaces);
    const rest = name.slice(from?.prefix.length ?? 0);
    name = to.prefix + (from === undefined ? rest : rest.replaceAll(from.separator, to.separator));
    if (random() < 0.1) name = to.prefix.slice(0, -1);
  }
  for (let changes = pick(random, [0, 0, 1, 1, 2, 3]); changes > 0; changes -= 1) {
    name = pick(random, allChanges)(name, random, pick(random, namespaces).separator);
  }
  return name === '' ? 'INBOX' : name;
}

type Change = (name: string, random: Random, separator: string) => string;

const allChanges: readonly Change[] = [
  (name) => name.replace(/inbox/i, 'inbox'),
  (name) => name.replace(/inbox$/i, 'InBoX'),
  (name) => name.toLowerCase(),
  (name) => name.toUpperCase(),
  (name, random) =>
    changeAt(random, name, (one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase())),
  (name, _, separator) => name + separator,
  (name, _, separator) => separator + name,
  (name, _, separator) => name.replace(separator, separator + separator),
  (name, random, separator) => name.replaceAll(separator, pick(random, ['/', '.', '\\'])),
  (name, _, separator) => `${name}${separator}INBOX`,
  (name, _, separator) => `INBOX${separator}${name}`,
  (name, _, separator) => `${name}${separator}..${separator}INBOX`,
  (name) => `./${name}`,
  (name, random) => pick(random, ['~/', '~alice/', '#', ' ', '"']) + name,
  (name, random) => name + pick(random, [' ', '\t', '\u200b', '\u00ad', '"']),
  (name) => name.normalize('NFD'),
  (name) => name.replace('Ü', '&ANw-').replace('ï', '&AO8-'),
  (name) => name.replace('INBOX', '&AEkATgBCAE8AWA-'),
  (name) => name.replace('O', '%4f').replace('S', '%53'),
  (name) => name.replace(/s/i, 'ſ').replace(/k/i, 'K'),
  (name, random) => changeAt(random, name, () => '*'),
  (name, random) => changeAt(random, name, () => '%'),
  (name, random) => `${name.slice(0, randomInteger(random, 0, name.length))}*`,
  (name, random) => `*${name.slice(randomInteger(random, 0, name.length))}`,
  (name, random) => `${name.slice(0, randomInteger(random, 0, name.length))}%`,
];

function changeAt(random: Random, name: string, change: (one: string) => string): string {
  const at = randomInteger(random, 0, Math.max(0, name.length - 1));
  return name.slice(0, at) + change(name[at] ?? '') + name.slice(at + 1);
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[randomInteger(random, 0, items.length - 1)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

/** What the configuration says to such a list: a list that a Dovecot takes is one that can be written down. */
function problemsOf(namespaces: readonly Namespace[]): string[] {
  const written = namespaces.map(({ prefix, separator, inbox, aliasFor }) => ({
    prefix,
    separator,
    inbox,
    ...(aliasFor === undefined ? {} : { alias_for: aliasFor }),
  }));
  const text = `version: 1
listeners: { test: { unix: /run/test.sock, policy: test } }
backends: { mail1: { address: "unix:/run/d", namespaces: ${JSON.stringify(written)} } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { test: { users: ["*"], allow: [quota get] } }
`;
  const { problems } = parseSettings('/test.yaml', { readText: () => text, glob: () => [] });
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

function describe(namespaces: readonly Namespace[]): string {
  return namespaces
    .map(({ prefix, separator, inbox, aliasFor }) => {
      const what = inbox ? ' inbox' : aliasFor === undefined ? '' : ` for "${aliasFor}"`;
      return `"${prefix}" ${separator}${what}`;
    })
    .join(', ');
}

function report({ version }: Lab, tally: Tally): string {
  const { lists, notTaken, spellings, reached, byOtherName, judgements, untold, contradictions } = tally;
  return [
    `Dovecot ${version}: ${lists} lists of namespaces (${notTaken} not taken), ${spellings} spellings, ${reached} reach a mailbox, ${byOtherName} by another name`,
    `${judgements} judgements, ${contradictions.length} contradictions (seed ${seed})`,
    `${untold} let through where nothing is said of the namespaces, which only a list of them would tell`,
  ].join('; ');
}
