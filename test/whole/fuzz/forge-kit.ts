// What the searches for forgeries share: their rounds, and edits of lines as somebody makes them who has not the key. An edit is what is
// done to the lines, and what is done to the chain behind it: nothing, right hashes, or right hashes and signatures of another key.

import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { fixedKey, signKey } from '../../journal/files/forged-run.js';
import { pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { memoryPlace } from '../../kit/plain/folder.js';

const factor = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const minutes = Number(process.env['DOVEGATE_MINUTES'] ?? 0);
const firstSeed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const findingsMax = 20;

/** The attacker's own key. */
export const strange = fixedKey(2);
export const journalId = 'ab'.repeat(16);

export interface Round {
  /** Says all that is done in it: a round is repeated by its seed alone. */
  readonly seed: number;
  readonly random: Random;
  /** What was done, for the one who reads a finding. */
  readonly edits: string[];
  /** Empty, and removed afterwards. */
  readonly folder: string;
  /** For what several rounds share. */
  readonly home: string;
}

/**
 * `attack` throws where a verifier passes what is not true, else says how it ended. All rounds are played, so that one finding hides no
 * other.
 */
export async function play(
  t: TestContext,
  kind: 'journal' | 'proof' | 'extract' | 'ring' | 'fleet',
  rounds: number,
  attack: (round: Round) => string | Promise<string>,
): Promise<void> {
  const startedMs = performance.now();
  const untilMs = startedMs + minutes * 60_000;
  const countMin = Math.max(1, Math.ceil(rounds * factor));
  const findings: string[] = [];
  const endings = new Map<string, Map<string, number>>();
  const home = mkdtempSync(join(memoryPlace(), 'dovegate-forge-'));
  const folder = join(home, 'round');
  let number = 0;
  try {
    for (; number < countMin || performance.now() < untilMs; number += 1) {
      const seed = firstSeed + number;
      mkdirSync(folder);
      const round: Round = { seed, random: seededRandom(seed), edits: [], folder, home };
      let ending = 'FINDING';
      try {
        // oxlint-disable-next-line no-await-in-loop -- rounds share files and the processor
        ending = await attack(round);
      } catch (error) {
        const text =
          error instanceof assert.AssertionError
            ? error.message
            : String(Reflect.get(Object(error), 'stack'));
        const again = `npm run lab -- forge ${kind} --minutes 0 --seed ${seed}`;
        findings.push(`${again}\n  ${round.edits.join('; ')}: ${text}`);
        console.log(`FINDING ${findings.at(-1)}`);
        if (findings.length >= findingsMax) break;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      for (const edit of round.edits) {
        const name = edit.replace(/(?:,| at \d).*/, '');
        const of = endings.get(name) ?? new Map<string, number>();
        endings.set(name, of.set(ending, (of.get(ending) ?? 0) + 1));
      }
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  t.diagnostic(`${kind}: ${number} rounds in ${seconds} s, seed ${firstSeed}, ${findings.length} findings`);
  for (const [name, of] of [...endings].toSorted(([one], [other]) => (one < other ? -1 : 1)))
    t.diagnostic(`${name}: ${[...of].map(([ending, count]) => `${ending} ${count}`).join(', ')}`);
  assert.deepEqual(findings, []);
}

/** One to four of the names, mostly one. */
export function pickEdits<T extends string>(random: Random, names: readonly T[]): T[] {
  const count = random() < 0.5 ? 1 : randomInteger(random, 2, 4);
  return Array.from({ length: count }, () => pick(random, names));
}

/** The parts of a line, which may have a mark before it. */
export interface Parts {
  readonly mark: string;
  readonly seq: number;
  readonly body: string;
  readonly prev: string;
  readonly hash: string;
}

const form = /^((?:[*=-] )?)\{"seq":(\d{1,15}),(.*),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}$/s;

export function partsOf(text = ''): Parts | undefined {
  const [, mark = '', seq, body = '', prev = '', hash = ''] = form.exec(text) ?? [];
  return seq === undefined ? undefined : { mark, seq: Number(seq), body, prev, hash };
}

const isSigned = (text: string): boolean => text.includes('"signature":"');

function signAgain(seq: number, body: string, prev: string): string {
  if (!isSigned(body)) return body;
  const unsigned = body
    .replace(/,"signature":"[^"]*"/, '')
    .replace(/"head":"[^"]*"/, `"head":"${prev}"`)
    .replace(/"key":"[^"]*"/, `"key":"${strange.key}"`);
  const text = Buffer.from(`{"seq":${seq},${unsigned},"prev":"${prev}"}`);
  return `${unsigned},"signature":"${sign(null, text, strange.secretPem).toString('base64')}"`;
}

/** With right hashes from there on; `isSignedToo`: and with signatures of the attacker's key. */
export function chainAgain(lines: readonly string[], from: number, isSignedToo = false): string[] {
  let before = partsOf(lines[from - 1]);
  return lines.map((text, at) => {
    const parts = at < from ? undefined : partsOf(text);
    if (parts === undefined) return text;
    const seq = before === undefined ? parts.seq : before.seq + 1;
    const prev = before?.hash ?? parts.prev;
    const { line } = sealLine(seq, isSignedToo ? signAgain(seq, parts.body, prev) : parts.body, prev);
    const sealed = `${parts.mark}${line.trimEnd()}`;
    before = partsOf(sealed);
    return sealed;
  });
}

const forgedNames = { session: 'FORGED', id: 'FORGED', listener: 'support', principal: 'eve@support' };
const dayMs = 86_400_000;

/** What a record says of segments that are not there. */
export interface Gone {
  readonly segment: string;
  readonly segment_hash: string;
  readonly oldest_seq: number;
}

/** A record of the kinds that change what a verifier thinks of others. `claims`: what it says is gone; else something untrue. */
export function forgedRecord(
  random: Random,
  { seq, hash }: { seq: number; hash: string },
  claims?: Gone,
): JournalRecord {
  const time = Date.UTC(2026, 10, 2);
  const own = { time, journal: journalId, format: 1, program: 'FORGED', text: 'FORGED' };
  const gone = claims ?? {
    segment: '00000001.jsonl',
    segment_hash: hash,
    oldest_seq: randomInteger(random, 1, seq + 1),
  };
  const records: readonly JournalRecord[] = [
    { time, event: 'admission', ...forgedNames, command: 'quota get', decision: 'allow', effect: 'read' },
    { time, event: 'completion', ...forgedNames, outcome: 'ok' },
    { time, event: 'completion', ...forgedNames, outcome: 'unknown', error: 'stopped' },
    { time, event: 'clock', step_ms: -400 * dayMs, text: 'FORGED' },
    { time, event: 'log', id: 'FORGED', text: 'FORGED' },
    { event: 'start', ...own, last_seq: seq, last_hash: hash, recovered: 3 },
    { time, event: 'stop', text: 'FORGED' },
    { event: 'checkpoint', ...own, head: hash, action: 'stop', oldest_seq: gone.oldest_seq },
    { event: 'checkpoint', ...own, head: hash, ...gone, open_seq: 1, steps_ms: -400 * dayMs },
    { time, event: 'retire', ...gone, action: 'age', until: '2026-10-01T00:00:00.000Z', text: 'FORGED' },
  ];
  // The last two say what is gone.
  return pick(random, claims !== undefined && random() < 0.5 ? records.slice(-2) : records);
}

/** Chained lines behind another one, with LFs; signed with the attacker's key or not. */
export function forgedLines(
  random: Random,
  before: { seq: number; hash: string },
  isSignedToo: boolean,
  claims?: Gone,
): string[] {
  const ledger = new Ledger('FORGED', strange.secretPem, journalId);
  const { seq, hash } = before;
  ledger.resume({ journal: journalId, seq, hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 });
  return Array.from({ length: random() < 0.5 ? 1 : randomInteger(random, 2, 4) }, () => {
    const record = forgedRecord(random, before, claims);
    if (!isSignedToo) return ledger.seal(encodeBody(record));
    return ledger.sealSigned({ ...record, event: pick(random, ['checkpoint', 'retire']) });
  });
}

/** Another journal that the same key signed: its records are true, and stand elsewhere. Without LFs. */
export const otherLines: readonly string[] = (() => {
  const ledger = new Ledger('FORGED', signKey.secretPem, 'ef'.repeat(16));
  const time = Date.UTC(2026, 10, 1);
  const own = { time, journal: ledger.journal, format: 1, program: 'FORGED' };
  const lines = [ledger.seal(encodeBody({ event: 'start', ...own }))];
  for (let count = 0; count < 40; count += 1) {
    const names = { ...forgedNames, id: `FORGED${count}`, session: 'S' };
    lines.push(ledger.seal(encodeBody({ time, event: 'admission', ...names, command: 'quota get' })));
    lines.push(ledger.seal(encodeBody({ time, event: 'completion', ...names, outcome: 'ok' })));
    if (count % 4 === 3) lines.push(ledger.sealSigned(ledger.checkpoint(time)));
  }
  return lines.map((line) => line.trimEnd());
})();

interface Cut {
  readonly random: Random;
  readonly lines: readonly string[];
  readonly at: number;
  /** `at`, or behind it. */
  readonly to: number;
}

function change({ lines, at }: Cut, how: (text: string) => string): string[] {
  return lines.with(at, how(lines[at] ?? ''));
}

function changeSigned({ random, lines, at }: Cut, how: (text: string) => string): string[] {
  const places = lines.flatMap((text, place) => (place >= at && isSigned(text) ? [place] : []));
  if (places.length === 0) return [...lines];
  const place = pick(random, places);
  // Only its own hash: the lines behind it are whoever's turn it is to chain.
  const [changed = ''] = chainAgain([how(lines[place] ?? '')], 0);
  return lines.with(place, changed);
}

const marked = (like: string | undefined, line: string): string => `${partsOf(like)?.mark ?? ''}${line}`;

/** What is done to the lines; all in front of `at` stay. */
const cuts: Readonly<Record<string, (cut: Cut) => string[]>> = {
  'only the chain': ({ lines }) => [...lines],
  'line removed': ({ lines, at }) => lines.toSpliced(at, 1),
  'stretch removed': ({ lines, at, to }) => lines.toSpliced(at, to - at + 1),
  'beginning removed': ({ lines, at }) => lines.slice(at),
  'end removed': ({ lines, at }) => lines.slice(0, at),
  'end removed behind a signature': ({ lines, at }) =>
    lines.slice(0, lines.findIndex((text, place) => place >= at && isSigned(text)) + 1),
  'lines swapped': ({ lines, at }) => lines.toSpliced(at, 2, ...lines.slice(at, at + 2).toReversed()),
  'stretch moved to the end': ({ lines, at, to }) => [
    ...lines.toSpliced(at, to - at + 1),
    ...lines.slice(at, to + 1),
  ],
  'stretch turned around': ({ lines, at, to }) =>
    lines.toSpliced(at, to - at + 1, ...lines.slice(at, to + 1).toReversed()),
  'line twice': ({ lines, at }) => lines.toSpliced(at, 0, lines[at] ?? ''),
  'end twice': ({ lines, at }) => [...lines, ...lines.slice(at)],
  'bit flipped': (cut) =>
    change(cut, (text) => {
      const place = randomInteger(cut.random, 0, Math.max(0, text.length - 1));
      const bit = 1 << randomInteger(cut.random, 0, 6);
      return `${text.slice(0, place)}${String.fromCharCode(text.charCodeAt(place) ^ bit)}${text.slice(place + 1)}`;
    }),
  'digits changed': (cut) =>
    change(cut, (text) => text.replace(/[0-9]{2}(?=[^0-9])/, pick(cut.random, ['07', '0', '99', '1e9']))),
  'name changed': (cut) => change(cut, (text) => text.replace(/bob@support|example\.com/, 'FORGED')),
  'long argument changed': (cut) => change(cut, (text) => text.replace('xxx', 'FORGED')),
  'end of a line removed': (cut) =>
    change(cut, (text) => text.slice(0, randomInteger(cut.random, 0, text.length))),
  'byte of another kind added': (cut) =>
    change(cut, (text) => `${text}${pick(cut.random, ['\r', ' ', '\u0000', '}', '\n'])}`),
  'forged lines put in': ({ random, lines, at }) => {
    const { seq, hash } = partsOf(lines[at - 1]) ?? { seq: 0, hash: '0'.repeat(64) };
    const made = forgedLines(random, { seq, hash }, random() < 0.5).map((line) =>
      marked(lines[at], line.trimEnd()),
    );
    return lines.toSpliced(at, 0, ...made);
  },
  'lines of another journal put in': ({ random, lines, at, to }) => {
    const from = randomInteger(random, 0, otherLines.length - 1);
    const made = otherLines.slice(from, from + to - at + 1).map((line) => marked(lines[at], line));
    return lines.toSpliced(at, random() < 0.5 ? 0 : made.length, ...made);
  },
  'end of another journal': ({ lines, at }) => [
    ...lines.slice(0, at),
    ...otherLines.slice((partsOf(lines[at])?.seq ?? 1) - 1).map((line) => marked(lines[at], line)),
  ],
  'signature at another place': (cut) =>
    changeSigned(cut, (text) => {
      const [signature = ''] = /,"signature":"[^"]*"/.exec(text) ?? [];
      return text
        .replace(signature, '')
        .replace(/(?=,"(?:journal|format|key|next_key|program|root|time)":)/, signature);
    }),
  'signature spelled differently': (cut) =>
    changeSigned(cut, (text) =>
      text.replace(/(.)==(?=")/, (_, last: string) =>
        pick(cut.random, [
          last,
          `${last}=`,
          `${last}===`,
          `${String.fromCharCode(last.charCodeAt(0) + 1)}==`,
          `=${last}==`,
        ]),
      ),
    ),
  'signature of another line': (cut) =>
    changeSigned(cut, (text) => {
      const others = [...cut.lines, ...otherLines].filter(isSigned);
      const [signature = ''] = /"signature":"[^"]*"/.exec(pick(cut.random, others)) ?? [];
      return text.replace(/"signature":"[^"]*"/, signature);
    }),
  'signature removed': (cut) => changeSigned(cut, (text) => text.replace(/,"signature":"[^"]*"/, '')),
};

/** One edit of lines, without LFs; `note` is told what it was. */
export function editLines(random: Random, lines: readonly string[], note: (what: string) => void): string[] {
  if (lines.length === 0) return [];
  const at = randomInteger(random, 0, lines.length - 1);
  const to = Math.min(lines.length - 1, at + randomInteger(random, 0, random() < 0.5 ? 4 : lines.length));
  const name = pick(random, Object.keys(cuts));
  const made = cuts[name]?.({ random, lines, at, to }) ?? [];
  const chaining = random();
  const how =
    chaining < 0.4 ? '' : chaining < 0.75 ? ', chained again' : ', chained and signed by another key';
  note(`${name}${how} at ${at} to ${to} of ${lines.length}`);
  if (chaining < 0.4) return made;
  // What was put first has nothing before it.
  return chainAgain(made, at, chaining >= 0.75);
}
