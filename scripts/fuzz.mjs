// `npm run lab -- fuzz`: hostile bytes for every decoder of outside input (test/whole/fuzz/targets/). Exit code 1: it found something.
//
//   npm run lab -- fuzz                   each target for 10 s
//   npm run lab -- fuzz --minutes N    all of them together for N minutes
//   npm run lab -- fuzz --target NAME  this one only; may be repeated
//   npm run lab -- fuzz --seed S       other inputs, the same ones for the same seed (default: a new one)
//   npm run lab -- fuzz --inputs N     so many inputs for each target, however long it takes
//   npm run lab -- fuzz --ledger --until N    as long as a target has fewer than N inputs in test/whole/fuzz/inputs.json, which is saved on
// the
//   way
//   npm run lab -- fuzz --keep         saves new inputs in test/whole/fuzz/corpus/
//   npm run lab -- fuzz --repeat FILE  one finding again
//   npm run lab -- fuzz --list         the targets
//   npm run lab -- fuzz --differential        instead: command lines, as we read them and as a real Dovecot does
//   (test/whole/dovecot/differential.test.ts),
//                                         for N minutes on each of DOVEGATE_RELEASES (default: a Dovecot of each series)
// Findings are files in fuzz-findings/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build, install, root } from './setup.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string' },
    inputs: { type: 'string' },
    ledger: { type: 'boolean' },
    until: { type: 'string' },
    keep: { type: 'boolean' },
    repeat: { type: 'string' },
    list: { type: 'boolean' },
    differential: { type: 'boolean' },
    'no-build': { type: 'boolean' },
  },
});

function fail(text) {
  console.error(text);
  process.exit(64);
}

function numberOf(name, text, otherwise) {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0) fail(`--${name}: "${text}" is not a number`);
  return value;
}

const seed = numberOf('seed', values.seed, Date.now() % 1_000_000_000);

if (values.differential === true) {
  const minutes = numberOf('minutes', values.minutes, 1);
  const env = {
    ...process.env,
    DOVEGATE_SEED: String(seed),
    DOVEGATE_MINUTES: String(minutes),
    DOVEGATE_VERBOSE: '1',
  };
  env.DOVEGATE_RELEASES ??= 'native trixie';
  const test = ['scripts/test.mjs', 'file', 'test/whole/dovecot/differential.test.ts'];
  process.exit(spawnSync(process.execPath, test, { cwd: root, env, stdio: 'inherit' }).status ?? 1);
}

if (values['no-build'] !== true) {
  install();
  build();
}
const fuzz = join(root, 'build', 'test', 'whole', 'fuzz');
const load = (path) => import(pathToFileURL(join(fuzz, path)).href);
const targetsUrl = pathToFileURL(join(fuzz, 'targets', 'targets.js')).href;
const { targets } = await import(targetsUrl);
const { repeat, runCampaign } = await load('campaign/campaign.js');
const { corpusOf, saveCorpus } = await load('campaign/corpus.js');
const { noteCourse, readLedger } = await load('campaign/ledger.js');

if (values.list === true) {
  const width = Math.max(...targets.map(({ name }) => name.length));
  for (const { name, what } of targets) console.log(`${name.padEnd(width)}  ${what}`);
  process.exit(0);
}

if (values.repeat !== undefined) {
  const { target, hex, cutSeed } = JSON.parse(readFileSync(values.repeat, 'utf8'));
  const broken = await repeat(targetsUrl, target, { bytes: Buffer.from(hex, 'hex'), cutSeed });
  console.log(
    broken === undefined ? `${target}: nothing is wrong` : `${target}: ${broken.kind}\n${broken.text}`,
  );
  process.exit(broken === undefined ? 0 : 1);
}

const names = values.target ?? targets.map(({ name }) => name);
const unknown = names.find((name) => !targets.some((target) => target.name === name));
if (unknown !== undefined) fail(`no target ${unknown}; --list shows them`);
const minutes = numberOf('minutes', values.minutes, names.length / 6);
const inputsMax = numberOf('inputs', values.inputs, Number.POSITIVE_INFINITY);
const until = numberOf('until', values.until, undefined);
if (until !== undefined && (values.ledger !== true || values.minutes !== undefined))
  fail('--until goes with --ledger, and not with --minutes');
const msMax =
  values.inputs === undefined && until === undefined
    ? (minutes * 60_000) / names.length
    : Number.POSITIVE_INFINITY;
console.log(`seed ${seed}, ${names.length} targets`);

/** A run that is ended loses one course at most. */
function coursesOf(target) {
  const has = readLedger()[target.name]?.inputs ?? 0;
  const lacks = until === undefined ? inputsMax : Math.max(0, until - has);
  const each = target.isSlow === true ? 5_000 : 250_000;
  const count = until === undefined ? 1 : Math.ceil(lacks / each);
  return Array.from({ length: count }, (_, at) => ({
    name: target.name,
    seed: seed + at,
    inputsMax: until === undefined ? lacks : Math.min(each, lacks - at * each),
    msMax,
    corpus: corpusOf(target.name),
  }));
}

const findingsAt = join(root, 'fuzz-findings');
let found = 0;
let foundInCourse = 0;
let inputsAll = 0;
let begunMs = performance.now();
await runCampaign({
  targets: targetsUrl,
  orders: names.flatMap((name) => coursesOf(targets.find((target) => target.name === name))),
  grows: true,
  isSaved: values.keep === true,
  onFinding({ name, seed: ofSeed, broken, bytes, cutSeed }) {
    found += 1;
    foundInCourse += 1;
    mkdirSync(findingsAt, { recursive: true });
    const file = join(findingsAt, `${name}-${ofSeed}-${found}.json`);
    const finding = { target: name, seed: ofSeed, kind: broken.kind, text: broken.text, cutSeed };
    writeFileSync(file, `${JSON.stringify({ ...finding, hex: bytes.toString('hex') }, undefined, 2)}\n`);
    const seconds = ((performance.now() - begunMs) / 1000).toFixed(1);
    console.log(
      `FOUND ${name}: ${broken.kind}, ${bytes.length} bytes, after ${seconds} s\n  ${broken.text.split('\n').slice(0, 6).join('\n  ')}`,
    );
    console.log(`  ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`);
    console.log(`  npm run lab -- fuzz --repeat ${relative(process.cwd(), file)}`);
  },
  onDone(name, { seed: ofSeed, inputs, ms, answers, kept }) {
    inputsAll += inputs;
    begunMs = performance.now();
    if (values.ledger === true) noteCourse(name, { inputs, findings: foundInCourse, seeds: String(ofSeed) });
    foundInCourse = 0;
    const faults = Object.entries(answers).filter(([kind]) => kind.startsWith('fault '));
    const refused = faults.reduce((sum, [, count]) => sum + count, 0);
    console.log(
      `${name.padEnd(20)} ${String(inputs).padStart(9)} inputs ${String(Math.round((inputs / ms) * 1000)).padStart(7)}/s` +
        `  ${String(answers.answer ?? 0).padStart(8)} read, ${String(refused).padStart(8)} refused (${faults.length} kinds), ${kept.length} to keep`,
    );
    if (values.keep === true)
      saveCorpus(
        name,
        kept.map((bytes) => Buffer.from(bytes)),
      );
  },
});
console.log(`${inputsAll} inputs, ${found} findings, seed ${seed}`);
process.exit(found > 0 ? 1 : 0);
