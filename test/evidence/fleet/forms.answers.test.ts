// What checkpoints and saved states are read as: answers/*.txt, which a person approved.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { newChain, readState } from '../../../src/evidence/fleet/saved.js';
import { judgeSignature } from '../../../src/evidence/fleet/signatures.js';
import { isObject } from '../../../src/host/values/values.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import * as fleetNames from '../../../src/rules/config/fleet-names.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { type Asked, compareAnswers, inLines } from '../../kit/plain/approved.js';
import { journal, key, legible, optionsOf, PaperGate, started } from './paper-store.js';

const file = (name: string): string => `test/evidence/fleet/answers/${name}.txt`;
const json = JSON.stringify;

void test('words for hosts', () => {
  const words = [
    'gate1',
    'a_B-9',
    'a'.repeat(63),
    'a'.repeat(64),
    '',
    'a.b',
    '*',
    '_a',
    '.a',
    'größe',
    'Mail.Example.COM',
  ];
  compareAnswers(file('words'), [
    inLines(
      'words',
      words.map((word) => [
        json(word),
        () => json([fleetNames.isHostWord(word), fleetNames.hostWordOf(word)]),
      ]),
    ),
  ]);
});

void test('lines of checkpoints', () => {
  const signer = parseSignKey(key.secretPem);
  const head = { host: 'gate1', journal, from: 1, seq: 16, hash: 'ab'.repeat(32), storedMs: started };
  const first = signCheckpoint({ heads: [head], findings: { open: 2 } }, undefined, key.secretPem, started);
  const next = makeSignKey().key;
  const second = signCheckpoint(
    { heads: [], findings: {}, nextKey: next },
    { seq: 1, hash: head.hash },
    key.secretPem,
    started,
  );
  const stored = '2026-11-20T08:00:00.000Z';
  const host = { host: 'gate1', journal, from: 1, seq: 16, hash: head.hash, stored };
  /** A line with this in it, and with the right root, signature and hash, whatever it says. */
  const made = (change: Readonly<Record<string, unknown>>, seq = 1): string => {
    const { hosts = [host], ...rest } = change;
    const root = hash('sha256', json(hosts), 'hex');
    const all = {
      time: stored,
      event: 'fleet',
      hosts,
      findings: {},
      root,
      key: signer.key,
      ...rest,
    };
    const named = json(all).slice(1, -1);
    const prev = '0'.repeat(64);
    const signature = signer.sign(`{"seq":${seq},${named},"prev":"${prev}"}`);
    return sealLine(seq, `${named},"signature":"${signature}"`, prev).line;
  };
  const changes: readonly Readonly<Record<string, unknown>>[] = [
    {},
    { event: 'checkpoint' },
    { time: '2026-11-20' },
    { time: 5 },
    { hosts: [] },
    { hosts: {} },
    { hosts: 'x' },
    { hosts: [1] },
    { hosts: [null] },
    ...Object.keys(host).flatMap((name) => [
      { hosts: [{ ...host, [name]: undefined }] },
      { hosts: [{ ...host, [name]: name === 'seq' ? '1' : 1 }] },
    ]),
    { hosts: [{ ...host, seq: 1.5 }] },
    { hosts: [{ ...host, seq: 2 ** 53 }] },
    { hosts: [{ ...host, host: 'a.b' }] },
    { hosts: [{ ...host, journal: 'x' }] },
    { hosts: [{ ...host, stored: 'yesterday' }] },
    { hosts: [{ ...host, more: 1 }] },
    { hosts: [host, 1] },
    { findings: 0 },
    { findings: { odd: 1 } },
    { root: 5 },
    { root: 'x' },
    { key: 5 },
    { key: next },
    { next_key: next },
    { next_key: 5 },
    { next_key: 'x' },
    { next_key: ` ${next}` },
  ];
  const shown = (line: string): string => {
    const read = readCheckpoint(line);
    if (read === undefined) return 'none';
    const { line: text, hash: own, ...rest } = read;
    return legible(
      json({ ...rest, isWhole: `${text}\n` === line || text === line, hash: own.length }),
    ).replaceAll(/"root":"[0-9a-f]{64}"/g, '"root":"<ROOT>"');
  };
  const signed = ({ line, seq, root }: typeof first): string =>
    `${seq} ${line.includes(`"root":"${root}"`)} ${legible(line)}`
      .replace(/"signature":"[^"]*"/, '"signature":"<S>"')
      .replace(/"hash":"[0-9a-f]{64}"\}$/, '"hash":"<H>"}');
  compareAnswers(file('checkpoints'), [
    ['the first line', () => signed(first)],
    ['the second line, by a key that names the next one', () => signed(second)],
    ['it is read', () => shown(first.line)],
    ['the next one', () => shown(second.line)],
    inLines('lines with', [
      ...changes.map(
        (change): Asked => [
          legible(json(change, (_, value: unknown) => (value === undefined ? 'nothing' : value))),
          () => shown(made(change)),
        ],
      ),
      ['seq 0', () => shown(made({}, 0))],
      ['a seq that is too large', () => shown(made({}, 2 ** 53))],
    ]),
    ['bytes', () => json(readCheckpoint(Buffer.from(first.line))) === json(readCheckpoint(first.line))],
    ['another hash', () => shown(first.line.replace(/"hash":"[0-9a-f]{4}(?=[^"]*"\}$)/, '"hash":"0000'))],
    ['no line', () => shown('')],
    ['no key', () => outcomeOf(() => signCheckpoint({ heads: [], findings: {} }, undefined, 'x', started))],
    ...['{}', first.line.replace(/"signature":"[^"]*"/, '"signature":"x"')].map(
      (line): Asked => [`line ${line.length}`, () => shown(line)],
    ),
    inLines(
      'signatures',
      signatures().map(([what, answer]) => [what, () => answer]),
    ),
  ]);
});

function outcomeOf(ask: () => unknown): string {
  try {
    return json(ask());
  } catch (error) {
    return String(error);
  }
}

/** Records of gates, signed and not, under a listed key and without one. */
function signatures(): (readonly [string, string])[] {
  const next = makeSignKey();
  const stranger = new PaperGate(makeSignKey().secretPem);
  const gate = new PaperGate();
  gate.checkpoint({ next_key: next.key });
  gate.checkpoint({ next_key: `${next.key} ` });
  gate.put({ ...gate.ledger.checkpoint(started) });
  const [, signed = '', naming = '', misnaming = '', unsigned = ''] = gate.lines;
  const forged = signed.replace('"event":"checkpoint"', '"event":"checkpoinT"');
  const after = new PaperGate(next.secretPem).lines[1] ?? '';
  const foreign = stranger.lines[1] ?? '';
  const asked: readonly (readonly [string, string, string | undefined, readonly string[]])[] = [
    ['of the listed key', signed, key.key, []],
    ['without a listed key', signed, undefined, []],
    ['none', unsigned, key.key, []],
    ['none, and no key is listed', unsigned, undefined, []],
    ['of another text', forged, key.key, []],
    ['of another text, and no key is listed', forged, undefined, []],
    ['of a stranger', foreign, key.key, []],
    ['of a stranger, and no key is listed', foreign, undefined, []],
    ['of a key that was named', after, key.key, [next.key]],
    ['of a key that was not named', after, key.key, []],
    ['that names a key', naming, key.key, []],
    ['that names a key again', naming, key.key, [next.key]],
    ['that names a key in another form', misnaming, key.key, []],
    ['that names a key, by a stranger', naming, next.key, []],
    ['whose line has no end', signed.trimEnd().slice(0, -1), key.key, []],
  ];
  return asked.map(([what, line, listedKey, named]) => {
    const keys = { listed: listedKey, named: [...named] };
    const text = line.trimEnd();
    const record = text.endsWith('}') ? JSON.parse(text) : JSON.parse(`${text}}`);
    const answer = judgeSignature(text, record, keys);
    return [what, legible(json({ ...answer, named: keys.named.length }))] as const;
  });
}

void test('a state that was saved, and what may stand in it', () => {
  const finding = { kind: 'changed', host: 'h', journal: 'j', seq: 1, time: 't', text: 'x' };
  const chain = {
    host: 'h',
    journal: 'j',
    seq: 1,
    hash: 'x',
    firstSeq: 1,
    isLate: false,
    garbage: 0,
    gaps: [{ from: 2, prev: 'p', to: 3, hash: 'h' }],
    behindSeq: 0,
    time: 't',
    storedMs: 0,
    run: 'stopped',
    carriesLeft: 0,
    isForeign: false,
    driftMs: -1,
    driftBeforeMs: -1,
    driftSinceMs: 0,
    beganMs: 0,
    waitMs: 0,
    locks: [['l', 't', 0]],
    program: 'p',
    catalog: 'c',
    signedSeq: 0,
    signedTime: 't',
    unsignedMs: 0,
    untrusted: finding,
    unfollowed: 0,
    open: [['a', 1, 0]],
    policies: [['p', 'v']],
    recent: 'Cgo=',
  };
  const log = {
    key: 'k',
    past: [['k', 1]],
    next: 'k',
    awaited: { seq: 1, hash: 'x' },
    seq: 1,
    hash: 'x',
    recent: [[1, 'x']],
    last: { seq: 1, at: 't', root: 'r' },
  };
  const state = {
    format: 8,
    store: 'STORE',
    records: 1,
    isReread: false,
    chains: [chain],
    keys: [['h', ['k']]],
    awaited: [{ host: 'h', journal: 'j', seq: 1, hash: 'x', storedMs: 0 }],
    findings: [{ ...finding, isProved: true, key: 'k', line: 'l', acceptedMs: 0 }],
    more: [{ host: 'h', kind: 'changed', isProved: true, hasMore: true, allMs: 0 }],
    log,
    others: [['v', log]],
  };
  const values: readonly unknown[] = [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    '',
    'forked',
    [],
    {},
    [['a', 1, 0]],
  ];
  const accepted = (place_: readonly (string | number)[]): string => {
    const may = values.filter((value) => isRead(changed(state, place_, value)));
    return may.length === 0
      ? 'nothing else'
      : may.map((value) => (Number.isNaN(value) ? 'NaN' : (json(value) ?? 'nothing'))).join(' ');
  };
  const refusal = (value: unknown): string => outcomeOf(() => readState(value, 'STORE')).slice(0, 200);
  const isRead = (value: unknown): boolean => !refusal(value).startsWith('TypeError');
  assert.deepEqual(readState(state, 'STORE'), state);
  compareAnswers(file('states'), [
    inLines(
      'may also be',
      [...placesIn(state)].map((at) => [at.join('.'), () => accepted(at)]),
    ),
    inLines(
      'one more at the end of',
      [...placesIn(state)]
        .filter((at) => at.at(-1) === 0)
        .map((at) => [at.slice(0, -1).join('.'), () => isRead(changed(state, [...at.slice(0, -1), 9], 'x'))]),
    ),
    inLines(
      'more in',
      [[], ['chains', 0], ['findings', 0], ['log'], ['log', 'last']].map((at) => [
        at.join('.'),
        () => isRead(changed(state, [...at, 'more'], 1)),
      ]),
    ),
    ...[5, 6, 7].map((format): Asked => [`format ${format}`, () => refusal({ ...state, format })]),
    ['of another store', () => refusal({ ...state, store: 'B' })],
    ...[null, 'x', [], { format: 3 }, { format: '3' }].map(
      (value): Asked => [`state ${json(value)}`, () => refusal(value)],
    ),
    ['an empty one', () => legible(json(new Fleet(optionsOf()).save()))],
    ['of a journal without records', () => json(newChain('h', 'j'))],
  ]);
});

/** The places of all values within a value. */
function* placesIn(
  value: unknown,
  at: readonly (string | number)[] = [],
): Generator<readonly (string | number)[]> {
  // Each verifier has the same log.
  if (at[0] === 'others' && at.length > 3) return;
  if (at.length > 0) yield at;
  if (Array.isArray(value)) for (const [index, one] of value.entries()) yield* placesIn(one, [...at, index]);
  else if (isObject(value))
    for (const [name, one] of Object.entries(value)) yield* placesIn(one, [...at, name]);
}

/** A copy with another value in that place; undefined: without it. */
function changed(value: unknown, [first, ...rest]: readonly (string | number)[], to: unknown): unknown {
  if (first === undefined) return to;
  if (Array.isArray(value)) {
    const list: unknown[] = [...value];
    list[Number(first)] = changed(list[Number(first)], rest, to);
    return list;
  }
  const all = isObject(value) ? value : {};
  return { ...all, [first]: changed(all[first], rest, to) };
}
