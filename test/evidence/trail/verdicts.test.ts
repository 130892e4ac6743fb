// Every verdict as a whole: sentences, places, counts, keys, notes. `verdicts.txt` has the steps that make each trail, and what is said of
// it; `readings.txt` what a reader of files reports besides lines.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { TrailOptions, Verdict, Verifier } from '../../../src/evidence/trail/verify.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { OwnRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { compareStories } from '../../kit/plain/approved.js';
import {
  forge,
  key,
  makeTrail,
  nameOf,
  type PaperTrail,
  rehash,
  seal,
  started,
  verify,
  verifySteps,
} from './paper-trail.js';

const program = 'dovegate test';
const journal = 'ab'.repeat(16);
const pairs = { KEY: key, NEXT: makeSignKey(), STRANGER: makeSignKey() };

/** Undefined: there is none of this name. */
function pairOf(name: string): typeof key | undefined {
  return Object.entries(pairs).find(([each]) => each === name)?.[1];
}

/** Beginnings of many trails. */
const known: Readonly<Record<string, string>> = {
  begun: 'start, checkpoint',
  ended: 'begun, add stop, checkpoint {"action":"stop"}',
  three: 'begun, exchange a, segment 2, exchange b, segment 3',
  named: 'begun, checkpoint {"next_key":"NEXT"}, by NEXT, checkpoint',
};

/** A trail that is written and changed in steps. Segments and lines count from 1; the last segment is meant, until `in` names another. */
class Story {
  trail: PaperTrail = { segments: [{ name: nameOf(1), lines: [] }], kept: [] };
  /** How it is verified where that is not as usual. */
  options: Partial<TrailOptions> = {};
  #ledger = new Ledger(program, key.secretPem, journal);
  #in: number | undefined;

  constructor(steps: string) {
    this.#takeAll(steps);
  }

  get lines(): string[] {
    return this.trail.segments[this.#at]?.lines ?? assert.fail();
  }

  get #at(): number {
    return (this.#in ?? this.trail.segments.length) - 1;
  }

  #takeAll(steps: string): void {
    for (const step of steps.split(', ')) {
      const [, verb = '', words = '', json = '{}'] = /^(\S+) ?(.*?) ?(\{.*\})?$/.exec(step) ?? [];
      this.#take(verb, words.split(' '), json);
    }
  }

  #take(verb: string, words: readonly string[], json: string): unknown {
    const [one = '', two = '', three = ''] = words;
    const [ledger, lines, { segments, kept }] = [this.#ledger, this.lines, this.trail];
    const at = Number(one) - 1;
    switch (verb) {
      case 'by':
        this.#ledger = new Ledger(program, pairOf(one)?.secretPem, journal);
        return this.#ledger.resume(ledger);
      case 'start':
        return this.#add('start', json, { journal, format: 1, program });
      case 'add':
        for (let left = Number(two || 1); left > 0; left -= 1) this.#add(one, json);
        return undefined;
      case 'exchange':
        return this.#takeAll(`add admission {"id":"${one}"}, add completion {"id":"${one}","outcome":"ok"}`);
      case 'arguments':
        return this.#announce(one, words.slice(1));
      case 'signed':
        return lines.push(ledger.sealSigned(this.#record(one, json)).trimEnd());
      // With the signature that this record has in another journal.
      case 'copied': {
        const other = new Ledger(program, key.secretPem, 'cd'.repeat(16));
        const { key: by, signature } = JSON.parse(
          other.sealSigned({ ...this.#record(one, json), time: started }),
        );
        return this.#add(one, json, { key: by, signature });
      }
      case 'checkpoint':
        return this.#checkpoint(json);
      case 'segment': {
        const place = { segment: segments.at(-1)?.name, segment_hash: ledger.hash };
        segments.push({ name: nameOf(at + 1), lines: [] });
        return this.#checkpoint(json, place);
      }
      case 'checkpoint.json':
      case 'checkpoint-2.json': {
        const of = one === 'of' ? new Story(words.slice(1).join(' ').replaceAll(';', ',')).lines : lines;
        return kept.push({ file: verb, text: json === '{}' ? (of.at(-1) ?? '') : json });
      }
      case 'made':
        return (this.trail = makeTrail());
      case 'in':
        return (this.#in = at + 1);
      case 'drop':
        return segments.splice(at, 1);
      case 'cut':
        return lines.splice(at, Number(two || 1));
      case 'insert':
        return lines.splice(at, 0, words.slice(1).join(' ') || json);
      case 'copy':
        return lines.splice(Number(two) - 1, 0, lines[at] ?? '');
      case 'move': {
        const to = segments[Number(three || this.#at + 1) - 1] ?? assert.fail();
        return to.lines.splice(Number(two) - 1, 0, ...lines.splice(at, 1));
      }
      case 'swap': {
        const [first, second] = segments;
        assert.ok(first !== undefined && second !== undefined);
        return ([first.lines, second.lines] = [second.lines, first.lines]);
      }
      case 'change':
        return (lines[at] = (lines[at] ?? '').replace(new RegExp(two), three));
      // Another user, and the hash that belongs to it.
      case 'forge':
        return (lines[at] = forge(lines[at] ?? '', (record) => {
          record['user'] = 'mallory@example.com';
        }));
      case 'rehash':
        return rehash(this.trail, this.#at, at);
      case 'unsign':
        for (const [each, line] of lines.entries())
          lines[each] = line.replace(/"key":"[^"]*","signature":"[^"]*",/, '');
        return undefined;
      case 'trust':
        return (this.options = {
          ...this.options,
          trustedKeys: words.flatMap((each) => pairOf(each)?.key ?? []),
        });
      case 'own':
        return (this.options = { ...this.options, ownKey: pairOf(one)?.key });
      case 'part':
        return (this.options = { ...this.options, isPart: true });
      case 'shipped':
        return (this.options = { ...this.options, isShipped: true });
      default:
        return this.#takeAll(known[verb] ?? assert.fail(verb));
    }
  }

  /** A millisecond after the one before, or `ms` after the start; NEXT: that key; #4: the hash of line 4. */
  #record(event: string, json: string): OwnRecord {
    const text = json
      .replace('NEXT', pairs.NEXT.key)
      .replace(/#(\d+)/, (_, line) => JSON.parse(this.lines[line - 1] ?? '').hash);
    const { ms = this.#ledger.seq, ...more } = JSON.parse(text);
    return { ...JSON.parse(`{"event":"${event}"}`), time: started + ms, ...more };
  }

  #add(event: string, json: string, more: Partial<OwnRecord> = {}): void {
    seal(this.lines, this.#ledger, { ...more, ...this.#record(event, json) });
  }

  #checkpoint(json: string, place: Partial<OwnRecord> = {}): void {
    const record = this.#record('checkpoint', json);
    const line = this.#ledger.sealSigned({ ...this.#ledger.checkpoint(record.time), ...place, ...record });
    this.lines.push(line.trimEnd());
  }

  /** An admission that announces argument records, and those that follow it at once: all but values in brackets. */
  #announce(id: string, values: readonly string[]): void {
    const body = (event: string, rest: string): string =>
      `"time":"${formatTime(started + this.#ledger.seq)}","event":"${event}","id":"${id}",${rest}`;
    const bodies = values.map((value) => body('arguments', `"args":["${value}"]`));
    const digest = hash('sha256', bodies.map((each) => `${each}\n`).join(''));
    const rest = `"argument_records":${values.length},"argument_hash":"${digest}"`;
    const written = bodies.filter((_, at) => values[at]?.startsWith('(') !== true);
    for (const each of [body('admission', rest), ...written])
      this.lines.push(this.#ledger.seal(each).trimEnd());
  }
}

/** A verdict, without what is as usual. */
function describe(verdict: Verdict): string[] {
  const { faults, open, forgotten, returned, steps, retired: gone, ...rest } = verdict;
  const usual: ReadonlyMap<string, unknown> = new Map(
    Object.entries({ openCount: 0, isTorn: false, isNewer: false, faultCount: faults.length, journal }),
  );
  const said = Object.entries(rest).filter(
    ([name, value]) => usual.get(name) !== value && !(Array.isArray(value) && value.length === 0),
  );
  return [
    ...faults.map(({ kind, file, line, seq, text }) => `FAULT ${kind} ${file}:${line} seq ${seq}: ${text}`),
    ...Object.entries({ open, forgotten, returned, steps, gone }).flatMap(([name, all]) =>
      all.map((one) => `${name} ${JSON.stringify(one)}`),
    ),
    JSON.stringify(Object.fromEntries(said)),
  ].map((line) =>
    Object.entries(pairs).reduce((text, [name, pair]) => text.replaceAll(pair.key, name), line),
  );
}

void test('every verdict is the one that was approved', () =>
  compareStories('test/evidence/trail/verdicts.txt', () => (steps) => {
    const { trail, options } = new Story(steps);
    return describe(verify(trail, options)).join('\n');
  }));

/** What a reader of files reports besides lines: torn ends, lines of others, files that break off. */
function feed(steps: string): Verdict {
  const [one = '', two = '', three = ''] = new Story('begun, exchange a').lines;
  const lines: Readonly<Record<string, string>> = { one, two, three };
  const take =
    (step: string) =>
    (verifier: Verifier): void => {
      const [, verb = '', value = ''] = /^(\S+) ?(.*)$/.exec(step) ?? [];
      if (verb === 'file') verifier.beginSegment(value);
      else if (verb === 'line') verifier.takeLine(Buffer.from(lines[value] ?? value), true);
      else if (verb === 'torn') verifier.takeLine(Buffer.from(lines[value] ?? value), false);
      else if (verb === 'skip') verifier.skipLine();
      else verifier.breakOff(value);
    };
  return verifySteps(steps.split(', ').map(take), {
    trustedKeys: [key.key],
    kept: [],
    isPart: false,
    faultsMax: 5,
  });
}

void test('torn ends, lines of others and files that break off, as whole verdicts', () =>
  compareStories('test/evidence/trail/readings.txt', () => (steps) => describe(feed(steps)).join('\n')));
