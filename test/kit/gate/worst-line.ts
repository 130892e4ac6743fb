// Command lines that cost the daemon most, found by hill climbing on counted steps (step-counter.ts). A shape is a recipe for a
// line: a user, a command, and parts of which one is repeated until the line is as long as it may be.
//
// What counts is all that a line makes the main thread do: reading, judging, records and their encoding, the reply, the log line.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parse as parseYaml, stringify } from 'yaml';
import * as z from 'zod';
import { allSeries, commandsNamed, commandsOf, ownCommands } from '../../../src/doveadm/commands/catalog.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { parametersOf, whyUnnamable } from '../../../src/rules/config/parse-where.js';
import type { Random } from '../plain/chunkings.js';
import { randomInteger } from '../plain/chunkings.js';
import { listed } from '../plain/listed.js';
import { projectRoot } from '../plain/root.js';
import type { StepCounter } from '../plain/step-counter.js';
import { type MemoryClient, type MemoryEngine, openMemoryEngine } from './memory-engine.js';

/** What fills the line; each kind is searched by itself. */
export const kinds = ['names', 'masks', 'mailboxes', 'query', 'lists', 'options', 'long', 'noise'] as const;
type Kind = (typeof kinds)[number];

/** `times`: 0 for the part that fills the line. `isField`: each repetition is a field of its own. */
interface Part {
  readonly text: string;
  readonly isField: boolean;
  readonly times: number;
}

/** A recipe for one line. */
interface Shape {
  readonly kind: Kind;
  readonly role: string;
  readonly series: string;
  readonly user: string;
  readonly command: string;
  readonly parts: readonly Part[];
}

/** The bound of a line by default, and of its fields. */
const lineBytesMax = bounds.commandLineBytes;
const fieldsMax = bounds.commandFields;

/** The line without its LF; TAB as `\t`. */
function lineOf({ user, command, parts }: Shape): string {
  const repeated = ({ text, isField }: Part, times: number): string =>
    (isField ? `\t${text}` : text).repeat(times);
  const head = `\t${user}\t${command}`;
  const fixed = parts.map((part) => (part.times === 0 ? '' : repeated(part, part.times)));
  const used = Buffer.byteLength(head + fixed.join(''));
  const fieldsUsed = (head + fixed.join('')).split('\t').length;
  const texts = parts.map((part, at) => {
    if (part.times > 0) return fixed[at] ?? '';
    const bytes = Buffer.byteLength(part.text) + (part.isField ? 1 : 0);
    const fitting = Math.floor((lineBytesMax - used) / Math.max(1, bytes));
    const fields = (part.isField ? 1 : 0) + part.text.split('\t').length - 1;
    return repeated(
      part,
      Math.max(0, fields === 0 ? fitting : Math.min(fitting, Math.floor((fieldsMax - fieldsUsed) / fields))),
    );
  });
  return (head + texts.join('')).slice(0, lineBytesMax);
}

const presets = new URL('config/presets/', projectRoot);
const presetShape = z.object({
  tests: z.object({
    with: z.record(z.string(), z.unknown()).optional(),
    users: z.array(z.string()),
    except: z.array(z.string()).optional(),
  }),
});
const everyName = [...new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)))];

/** Every command of both series, and our own. */
export const allCommands: readonly string[] = [...everyName, ...ownCommands.map(({ name }) => name)];

/** A rule that allows the command with whatever a rule can allow. */
function allowed(command: string, more: object = {}): object {
  const names = [...parametersOf(commandsNamed(command)).keys()].filter(
    (name) => whyUnnamable(commandsNamed(command), name) === undefined,
  );
  const where = Object.fromEntries(names.map((name) => [name, 'any']));
  return { command, where, root_equivalent: true, masks: true, shared: true, content: true, ...more };
}

/** Patterns as operators write them, some of each form that is matched in a way of its own. */
const patterns = listed(
  'ceo@example.com|*@board.example.com|vip-*@example.com|*-hr*@*.example.com|**secret**',
  'aaaaab**aab',
);

/** The policies that lines are judged by: each shipped role with some `except` and `deny`, and three that presets are not. */
function roles(): ReadonlyMap<string, object> {
  const mailboxes = ['Legal', 'Legal/*', '*secret*', '*aab'];
  const deny = [
    { command: 'mailbox delete', where: { mailbox: mailboxes } },
    { command: 'mailbox list', where: { 'mailbox-mask': mailboxes } },
    { command: 'fetch', where: { query: { mailbox: mailboxes } } },
    { command: 'mailbox unsubscribe', where: { mailbox: { regex: '(a|b|ab)*c' } } },
    { command: 'who', users: ['*@ceo.example.com', 'x*y*z@example.com'] },
  ];
  const more = { except: patterns, deny };
  const found = new Map<string, object>();
  for (const file of readdirSync(presets)) {
    const { tests } = presetShape.parse(parseYaml(readFileSync(new URL(file, presets), 'utf8')));
    const preset = `presets/${file.replace(/\.yaml$/, '')}`;
    found.set(file.replace(/\.yaml$/, ''), {
      users: tests.users,
      use: [{ preset, with: tests.with ?? {} }],
      ...more,
      ...(file.startsWith('gdpr') ? {} : { except: [...(tests.except ?? []), ...patterns] }),
    });
  }
  found.set('observe', { mode: 'observe', users: ['**'], ...more });
  found.set('all', {
    users: ['**'],
    deny,
    allow: everyName.map((command) => allowed(command)),
  });
  found.set('mailboxes', {
    users: ['**'],
    deny: Array.from({ length: 20 }, (_, at) => ({
      command: 'mailbox create',
      where: { mailbox: [[`Legal${at}`, `Legal${at}/*`, `*secret${at}*`][at % 3]] },
    })),
    allow: Array.from({ length: 20 }, (_, at) =>
      allowed('mailbox create', { where: { mailbox: [`Private/team${at}/*`] } }),
    ),
  });
  found.set('narrow', {
    users: ['**'],
    ...more,
    allow: everyName.flatMap((command) =>
      [0, 1, 2, 3].map((at) =>
        allowed(command, { users: [`team${at}-*@example.com`, `*@team${at}.example.com`] }),
      ),
    ),
  });
  return found;
}

/** How the backend's series is known: the last is judged in both. */
const seriesChoices = ['2.3', '2.4', 'auto'] as const;

function settingsOf(policy: object, series: string): string {
  const configuration = {
    listeners: { support: { unix: '/run/support', policy: 'support' } },
    backends: {
      mail1: {
        address: 'unix:/run/d',
        series,
        namespaces: [
          { prefix: '', separator: '/', inbox: true },
          { prefix: 'Private/', alias_for: '' },
          { prefix: 'shared/', kind: 'shared' },
        ],
      },
    },
    routes: [{ users: ['*'], backend: 'mail1' }],
    server_commands: { default: 'mail1', 'auth cache flush': 'by_user', user: 'by_user' },
    policies: { support: policy },
  };
  return stringify(configuration, { aliasDuplicateObjects: false });
}

/** Counts the steps of shapes, each in an engine of its role and series. */
export class Course {
  readonly #counter: StepCounter;
  readonly #roles = roles();
  readonly #engines = new Map<
    string,
    { engine: MemoryEngine; client: MemoryClient | undefined; uses: number }
  >();
  evaluations = 0;

  constructor(counter: StepCounter) {
    this.#counter = counter;
  }

  async steps(shape: Shape): Promise<number> {
    this.evaluations += 1;
    const key = `${shape.role} ${shape.series}`;
    const course = this.#engines.get(key) ?? this.#open(shape);
    course.uses += 1;
    // Its journal is a list that keeps every line.
    if (course.uses >= 100) this.#engines.delete(key);
    else this.#engines.set(key, course);
    const { engine } = course;
    if (course.client === undefined || course.client.transport.closedFor !== undefined) {
      course.client = await engine.client(4);
    }
    const { client } = course;
    // A flood of refusals is only counted, which is cheaper.
    await engine.clock.advance(2_000);
    const recordsBefore = engine.records.length;
    const eventsBefore = engine.events.length;
    const line = lineOf(shape);
    return this.#counter.count(async () => {
      await client.line(line);
      for (const { record } of engine.records.slice(recordsBefore)) encodeBody(record);
      for (const event of engine.events.slice(eventsBefore)) JSON.stringify(event);
    });
  }

  #open({ role, series }: Shape): { engine: MemoryEngine; client: undefined; uses: number } {
    const policy = this.#roles.get(role);
    assert.ok(policy, role);
    return { engine: openMemoryEngine({ settings: settingsOf(policy, series) }), client: undefined, uses: 0 };
  }
}

const fillers: Readonly<Record<Kind, readonly string[]>> = {
  names: ['u1@example.com', 'user=u1@example.com', 'a', 'u1@x', 'anyone', 'group=g', '-'],
  masks: ['*', '?', '*a', 'a*', '*@example.com', '*a*', '?*', 'user=*', 'x*y', '10.0.0.0/8', '*****a'],
  mailboxes: listed('a|INBOX|inbox/|*|%|*a|a*b|%/|Legal/|~|#|ä|\u212a|./|shared/'),
  query: listed(
    'all|(|)|not|or|seen or|mailbox a|text a|header a b|uid 1|since 1d|larger 1|( seen )|not (',
    'fuzzy|savedbefore 30d|mailbox *a|keyword a',
  ),
  lists: ['uid ', 'hdr.a ', 'a ', '1,', '1:2,', '\\Seen ', 'body.1.', ' ', 'messages ', 'x,', '\\x01t'],
  options: ['-a', '-v', '-f', '--a', '--', '--user=a', '-u', 'a', '-x1', '-', '--field=uid', '-l'],
  long: ['a', '*', '?', 'A', '@', '.', '1', ' ', '\x01t', '/', 'é', '=', ':', '0.', '*?', '%*', '-', '-1'],
  noise: ['a', '', ' ', 'A B', '\x01n', '\ufffd', 'mailbox list', '\u202e', '"', '\\'],
};

/** What stands in front of the filler. */
const openings: Readonly<Record<Kind, readonly string[]>> = {
  names: ['', '--', 'u@example.com'],
  masks: ['', '--', '-f'],
  mailboxes: ['', '--', '-s', '-m', 'mailbox'],
  query: ['', '--', 'uid', 'Trash', 'all', 'mailbox'],
  lists: ['', '--', '-f', 'uid', 'mailbox', 'all'],
  options: ['', '--'],
  long: ['', '--', '-u', 'mailbox', 'uid', 'since', 'header', 'user', 'text', '-f'],
  noise: ['', '--'],
};

/** Makes shapes at random, and small changes of them. */
export class Shaper {
  readonly #random: Random;
  readonly #roles = [...roles().keys()];

  constructor(random: Random) {
    this.#random = random;
  }

  /** A first shape for this command, or for one at random. */
  first(kind: Kind, command = this.#pick(allCommands)): Shape {
    const opening = this.#pick(openings[kind]);
    return {
      kind,
      role: this.#pick(this.#roles),
      series: this.#pick(seriesChoices),
      user: this.#pick(['u1@example.com', 'bob@example.org', '', 'u1@example.com', '*']),
      command,
      parts: [
        ...(opening === '' ? [] : [{ text: opening, isField: true, times: 1 }]),
        ...(kind === 'long' ? [{ text: '', isField: true, times: 1 }] : []),
        this.#filler(kind),
      ],
    };
  }

  /** One thing about it is different. */
  change(shape: Shape): Shape {
    const { kind, parts } = shape;
    const at = randomInteger(this.#random, 0, parts.length - 1);
    const part = parts[at];
    switch (randomInteger(this.#random, 0, 9)) {
      case 0:
        return { ...shape, role: this.#pick(this.#roles) };
      case 1:
        return { ...shape, series: this.#pick(seriesChoices) };
      case 2:
        return {
          ...shape,
          user: this.#pick(['u1@example.com', '', '*', 'a'.repeat(320), 'x'.repeat(9000), '*a'.repeat(4000)]),
        };
      case 3:
        return { ...shape, command: this.#pick(allCommands) };
      case 4:
        return { ...shape, parts: parts.toSpliced(at, 0, { ...this.#filler(kind), times: this.#times() }) };
      case 5:
        return {
          ...shape,
          parts: parts.toSpliced(at, 0, { text: this.#option(shape.command), isField: true, times: 1 }),
        };
      case 6:
        return parts.length > 1 && part?.times !== 0 ? { ...shape, parts: parts.toSpliced(at, 1) } : shape;
      case 7:
        // Longer words, with something after a run.
        return part === undefined
          ? shape
          : { ...shape, parts: parts.with(at, { ...part, text: this.#longer(part.text, kind) }) };
      case 8:
        return part === undefined || part.times === 0
          ? { ...shape, parts: [...parts, { ...this.#filler(kind), times: this.#times() }] }
          : { ...shape, parts: parts.with(at, { ...part, times: this.#times() }) };
      default:
        return part === undefined
          ? shape
          : { ...shape, parts: parts.with(at, { ...part, isField: !part.isField }) };
    }
  }

  #filler(kind: Kind): Part {
    return {
      text: this.#pick(fillers[kind]).replaceAll(' ', kind === 'query' ? '\t' : ' '),
      isField: kind !== 'long',
      times: 0,
    };
  }

  #times(): number {
    return this.#pick([1, 1, 2, 16, 100, 101, 300, 1000, 2000]);
  }

  #option(command: string): string {
    const found = allSeries.flatMap((series) => commandsOf(series).filter(({ name }) => name === command));
    const options = found.flatMap(({ params }) => params);
    if (options.length === 0) return '--';
    const { short, name } = this.#pick(options);
    return this.#pick([`--${name}`, `--${name}=a`, ...(short === undefined ? [] : [`-${short}`])]);
  }

  #longer(text: string, kind: Kind): string {
    const other = this.#pick(fillers[kind]);
    switch (randomInteger(this.#random, 0, 4)) {
      case 0:
        return (text + other).slice(0, 2000);
      case 1:
        return other;
      case 2:
        return text.repeat(this.#pick([2, 3, 16])).slice(0, 2000);
      case 3:
        return `${text.slice(0, 1).repeat(this.#pick([15, 64, 319, 1023]))}${other}`;
      default:
        return other + text.slice(0, randomInteger(this.#random, 0, 40));
    }
  }

  #pick<T>(list: readonly T[]): T {
    const one = list[randomInteger(this.#random, 0, list.length - 1)];
    if (one === undefined) throw new RangeError('nothing to pick from');
    return one;
  }
}

/** A shape and what it costs. */
export interface Found {
  readonly shape: Shape;
  readonly steps: number;
}

/** Climbs from a shape by so many changes; equal ones are taken too, so that it gets over plateaus. */
export async function climb(course: Course, shaper: Shaper, from: Shape, changes: number): Promise<Found> {
  let best: Found = { shape: from, steps: await course.steps(from) };
  for (let count = 0; count < changes; count += 1) {
    const shape = shaper.change(best.shape);
    const steps = await course.steps(shape);
    if (steps >= best.steps) best = { shape, steps };
  }
  return best;
}

const full = (text: string, isField = true): Part => ({ text, isField, times: 0 });
const once = (text: string, times = 1): Part => ({ text, isField: true, times });
const known = (
  what: string,
  kind: Kind,
  role: string,
  command: string,
  shapeParts: readonly Part[],
  user = 'u1@example.com',
): { readonly what: string; readonly shape: Shape } => ({
  what,
  shape: { kind, role, series: 'auto', user, command, parts: shapeParts },
});

/** What was found once, with the steps that it took before it was bounded. */
export const knownShapes = [
  known(
    'names of mailboxes in an alias, against 40 rules on mailboxes',
    'mailboxes',
    'mailboxes',
    'mailbox create',
    [once('--'), once(`Private/${'a/'.repeat(116)}a`, 255)],
  ),
  known(
    '4,080 users of auth cache flush (8,531,397 steps)',
    'names',
    'support-desk',
    'auth cache flush',
    [full('user1@a')],
    '',
  ),
  known(
    'a mask of 64 KiB against patterns with stars (900,000,000 steps and more)',
    'masks',
    'observe',
    'mailbox list',
    [once('a'), full('*a', false)],
  ),
  known(
    'users of user, each a field (8,556,098 steps)',
    'names',
    'read-only-auditor',
    'user',
    [full('u1@example.com')],
    '',
  ),
  known('mailboxes of a query (8,775,483 steps)', 'query', 'abuse-response', 'search', [full('mailbox\ta')]),
  known('flags in one word (178,993,738 steps)', 'lists', 'observe', 'flags add', [
    once('a'),
    full('\\Seen ', false),
  ]),
  known('TABs in one word (134,302,642 steps)', 'long', 'abuse-response', 'acl set', [
    once('a'),
    full('\x01t', false),
  ]),
  known('a letter again and again', 'options', 'all', 'mailbox delete', [once('-'), full('r', false)]),
  known('ranges of one set', 'lists', 'all', 'search', [once('uid'), once('1'), full(',1', false)]),
  known('words of a batch, which are secret', 'names', 'observe', 'batch', [
    once('--all-users'),
    full('au1@example.com'),
  ]),
  known('words that are looked for in mails', 'query', 'all', 'search', [full('header\ta\tb')]),
  known('a user of 64 KiB', 'long', 'all', 'quota get', [once('-u'), once('*b')], '*a'.repeat(30_000)),
  known('nested parentheses', 'query', 'all', 'search', [once('(', 22), full('seen')]),
  known(
    'an explanation of a long line',
    'query',
    'narrow',
    'dovegate explain',
    [once('-u'), once('u1@example.com'), once('search'), full('mailbox\ta')],
    '',
  ),
] as const;

/** A shape in one line, for people. */
export function showShape({ kind, role, series, user, command, parts }: Shape): string {
  const short = (text: string): string =>
    text.length > 24 ? `${text.slice(0, 20)}...(${text.length})` : text;
  const shown = parts.map(
    ({ text, isField, times }) =>
      `${isField ? '|' : '+'}${JSON.stringify(short(text))}x${times === 0 ? 'full' : times}`,
  );
  return `${kind}: ${role} ${series} user ${JSON.stringify(short(user))} ${command} ${shown.join(' ')}`;
}
