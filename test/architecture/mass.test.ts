// How much there is: lines of code by feature, what `serve` loads, what one command calls, and the numbers of settings, codes, bounds,
// endpoints and shape checks by hand (by file: `node build/test/architecture/shape-checks.js`). mass.json has the numbers, and which files
// belong to which feature (the longest beginning of a path below src/ counts).
//
// A value more than 2 % above its number fails: growth is a decision, made in that file and explained in the commit. More than 2 % below it
// fails too, so that what was taken away does not grow again unseen. `DOVEGATE_MASS=write` writes the values of today.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { before, test } from 'node:test';
import * as z from 'zod';
import { actionRoutes } from '../../src/adapters/admin/access.js';
import { bounds } from '../../src/bounds/bounds.js';
import { endpoints } from '../../src/domain/admin/page/api.js';
import { measureWalks, sumOf } from '../kit/walk.js';
import { filesBelow, root, textOf } from './project.js';
import { referencesOf } from './references.js';
import { shapeChecks } from './shape-checks.js';

const path = 'test/architecture/mass.json';
const write = `DOVEGATE_MASS=write node --test build/test/architecture/mass.test.js`;
const isWriting = process.env['DOVEGATE_MASS'] === 'write';
const marginPercent = 2;
const daemonsMax = 10;
const serve = 'src/daemon/serve.ts';

type Numbers = Readonly<Record<string, number>>;
const numbers = z.record(z.string(), z.number());
const mass = z
  .object({ features: z.record(z.string(), z.string()), 'lines of code': numbers, figures: numbers })
  .parse(JSON.parse(textOf(path)));

const rules = Object.entries(mass.features).flatMap(([feature, beginnings]) =>
  beginnings.split(' ').map((beginning) => [beginning, feature] as const),
);
const sources = filesBelow('src').filter((file) => /\.tsx?$/.test(file));

/** Neither blank nor a comment. The formatter puts a comment on lines of its own. */
const isCode = (line: string): boolean => !/^\s*(?:$|\/\/|\/\*|\*(?:\s|\/|$))/.test(line);

function ruleOf(file: string): readonly [beginning: string, feature: string] | undefined {
  const name = file.slice('src/'.length);
  const found = rules.filter(([beginning]) => name.startsWith(beginning));
  return found.toSorted(([one], [other]) => other.length - one.length)[0];
}

/** Every file that a source loads, at once or later, as a module or as a thread. */
function closureOf(entry: string): ReadonlySet<string> {
  const reached = new Set([entry]);
  for (const file of reached)
    for (const { specifier, clause } of referencesOf(textOf(file)).references) {
      if (!specifier.startsWith('.') || !specifier.endsWith('.js') || clause.startsWith('type ')) continue;
      reached.add(posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts'));
    }
  return reached;
}

const rowsOf = (page: string): number => textOf(page).match(/^- `/gm)?.length ?? 0;

function linesByFeature(): Numbers {
  const lines = new Map(Object.keys(mass.features).map((feature) => [feature, 0]));
  for (const file of sources) {
    const feature = ruleOf(file)?.[1] ?? '';
    const code = textOf(file).split('\n').filter(isCode).length;
    lines.set(feature, (lines.get(feature) ?? 0) + code);
  }
  return Object.fromEntries(lines);
}

const ceilingOf = (number: number): number => number * (1 + marginPercent / 100);

/** A value that is not near its number, as a sentence. */
function unlike(what: string, value: number, number: number | undefined): string | undefined {
  if (number === undefined) return `${what}: ${value}, and ${path} has no number for it. Run ${write}`;
  const percent = ((value - number) / number) * 100;
  if (Math.abs(percent) <= marginPercent) return undefined;
  const by = `${what}: ${value}, ${Math.abs(percent).toFixed(1)} % ${percent > 0 ? 'above' : 'below'} the ${number} of ${path}`;
  return percent > 0
    ? `${by}. Take it back, or decide in that file that it grows (${write}) and say why in the commit`
    : `${by}. Lower the number, so that it does not grow again unseen: ${write}`;
}

function unlikeIn(values: Numbers, told: Numbers, whatOf: (name: string) => string): string[] {
  return [...new Set([...Object.keys(values), ...Object.keys(told)])].flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [`${path} has a number for "${name}", which nothing measures`];
    return unlike(whatOf(name), value, told[name]) ?? [];
  });
}

/**
 * Steps, not time; timers of a daemon fall into some, and a slow command has its two records sealed one by one: the least counts. While it
 * is above its number, another daemon is measured.
 */
async function countCalls(): Promise<Numbers> {
  const least = { 'calls of a first command': Infinity, 'calls of a repeated command': Infinity };
  const isDone = (): boolean =>
    !isWriting && Object.entries(least).every(([name, value]) => value <= ceilingOf(mass.figures[name] ?? 0));
  for (let run = 0; run < daemonsMax && !isDone(); run += 1) {
    const ends: (() => unknown)[] = [];
    try {
      const { first, repeated } = await measureWalks({ after: (end) => void ends.unshift(end) });
      least['calls of a first command'] = Math.min(least['calls of a first command'], sumOf(first));
      least['calls of a repeated command'] = Math.min(least['calls of a repeated command'], sumOf(repeated));
    } finally {
      for (const end of ends) await end();
    }
  }
  return least;
}

let figures: Numbers = {};
const lines = linesByFeature();

before(async () => {
  const closure = [...closureOf(serve)].map((file) => textOf(file).split('\n').length - 1);
  const adminPages = textOf('src/adapters/admin/pages.ts').match(/^ {4}\['\/[\w.]+', \{ isHarmless/gm);
  const apiRoutes = textOf('src/gateway/session/http-session.ts').match(/^ {2}\['[A-Z]+ \//gm);
  assert.ok(adminPages !== null && apiRoutes !== null);
  figures = {
    'lines that serve loads': closure.reduce((sum, count) => sum + count, 0),
    ...(await countCalls()),
    settings: rowsOf('docs/settings.md'),
    codes: rowsOf('docs/messages.md'),
    bounds: Object.keys(bounds).length,
    endpoints: Object.keys(endpoints).length + actionRoutes.length + adminPages.length + apiRoutes.length,
    'shape checks': shapeChecks().length,
  };
  if (!isWriting) return;
  const written = { features: mass.features, 'lines of code': lines, figures };
  writeFileSync(join(root, path), `${JSON.stringify(written, null, 2)}\n`);
  process.exit(0);
});

void test('every source belongs to a feature, and every rule to a source', () => {
  const used = sources.map(ruleOf);
  assert.deepEqual(
    sources.filter((_, at) => used[at] === undefined),
    [],
  );
  assert.deepEqual(
    rules.filter((rule) => !used.includes(rule)),
    [],
  );
});

void test('no feature is larger or smaller than its number', () => {
  assert.deepEqual(
    unlikeIn(lines, mass['lines of code'], (feature) => `lines of code of "${feature}"`),
    [],
  );
});

void test('no figure is larger or smaller than its number', () => {
  assert.deepEqual(
    unlikeIn(figures, mass.figures, (name) => name),
    [],
  );
});

void test('growth, a reduction and a missing number are told', () => {
  assert.equal(unlike('settings', 102, 100), undefined);
  assert.equal(unlike('settings', 98, 100), undefined);
  assert.match(unlike('settings', 103, 100) ?? '', /^settings: 103, 3\.0 % above the 100 of .*decide/);
  assert.match(
    unlike('settings', 97, 100) ?? '',
    /^settings: 97, 3\.0 % below the 100 of .*Lower the number/,
  );
  assert.match(unlike('settings', 97, undefined) ?? '', /has no number/);
  assert.match(unlikeIn({}, { keys: 1 }, String).join('\n'), /"keys", which nothing measures/);
});

void test('lines of code are no comments, and a closure has threads and late imports', () => {
  assert.deepEqual(['', '  // a', '/** a', ' * a', ' */', '  *entries() {', 'a();'].map(isCode), [
    false,
    false,
    false,
    false,
    false,
    true,
    true,
  ]);
  const closure = closureOf(serve);
  for (const file of ['daemon/serve', 'adapters/journal/journal-thread', 'setup/configuration-thread'])
    assert.ok(closure.has(`src/${file}.ts`), file);
  assert.ok(![...closure].some((file) => file.startsWith('src/page/')), 'the page is a program of its own');
});
