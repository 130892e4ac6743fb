// Every verdict as a whole: sentences, places, counts, keys, notes. `verdicts.txt` has a story for each trail and what is said of it.
// After a change, `DOVEGATE_ANSWERS=write` and this test write the file: read the difference.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { TrailOptions, Verdict, Verifier } from '../../../src/evidence/trail/verify.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord, OwnRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { projectRoot } from '../../kit/plain/root.js';
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

const journal = 'ab'.repeat(16);
const [next, stranger] = [makeSignKey(), makeSignKey()];

/** One segment, or several, record by record. */
class Story {
  readonly trail: PaperTrail = { segments: [{ name: nameOf(1), lines: [] }], kept: [] };
  ledger: Ledger;

  constructor(secretPem: string | undefined = key.secretPem) {
    this.ledger = new Ledger('dovegate test', secretPem, journal);
  }

  get lines(): string[] {
    return this.trail.segments.at(-1)?.lines ?? [];
  }

  /** Records, each a millisecond after the one before. */
  add(...records: (Partial<Omit<OwnRecord, 'event'>> & Pick<JournalRecord, 'event'>)[]): this {
    for (const record of records)
      seal(this.lines, this.ledger, { time: started + this.ledger.seq, ...record });
    return this;
  }

  start(more: object = {}): this {
    return this.add({ event: 'start', journal, format: 1, program: 'dovegate test', ...more });
  }

  exchange(id: string): this {
    return this.add({ event: 'admission', id }, { event: 'completion', id, outcome: 'ok' });
  }

  signed(record: Partial<OwnRecord> & Pick<OwnRecord, 'event'>): this {
    this.lines.push(this.ledger.sealSigned({ time: started + this.ledger.seq, ...record }).trimEnd());
    return this;
  }

  checkpoint(more: Partial<OwnRecord> = {}): this {
    return this.signed({ ...this.ledger.checkpoint(started + this.ledger.seq), ...more });
  }

  /** An admission that announces argument records, and as many as follow it at once. */
  announced(id: string, values: readonly string[], written = values.length): this {
    const body = (event: string, rest: string): string =>
      `"time":"${formatTime(started + this.ledger.seq)}","event":"${event}","id":"${id}",${rest}`;
    const bodies = values.map((value) => body('arguments', `"args":["${value}"]`));
    const digest = hash('sha256', bodies.map((each) => `${each}\n`).join(''));
    const rest = `"argument_records":${values.length},"argument_hash":"${digest}"`;
    for (const each of [body('admission', rest), ...bodies.slice(0, written)])
      this.lines.push(this.ledger.seal(each).trimEnd());
    return this;
  }

  keep(file: string, line = this.lines.at(-1) ?? ''): this {
    this.trail.kept.push({ file, text: line });
    return this;
  }

  /** This key signs from here on. */
  by({ secretPem }: { readonly secretPem: string }): this {
    const ledger = new Ledger('dovegate test', secretPem, journal);
    ledger.resume(this.ledger);
    this.ledger = ledger;
    return this;
  }

  /** A checkpoint by this key. */
  sealedBy(pair: { readonly secretPem: string }): this {
    return this.by(pair).checkpoint();
  }

  end(id: string, more: Partial<OwnRecord> = {}): this {
    return this.add({ event: 'completion', id, ...more });
  }

  /** Records at these times after the start. */
  reloads(...afterMs: readonly number[]): this {
    return this.add(...afterMs.map((ms) => ({ event: 'reload' as const, time: started + ms })));
  }

  steps(...sizesMs: readonly number[]): this {
    return this.add(...sizesMs.map((ms) => ({ event: 'clock' as const, step_ms: ms })));
  }

  segment(number: number, more: Partial<OwnRecord> = {}): this {
    const before = this.trail.segments.at(-1)?.name;
    this.trail.segments.push({ name: nameOf(number), lines: [] });
    return this.checkpoint({ segment: before, segment_hash: this.ledger.hash, ...more });
  }
}

const begun = (): Story => new Story().start().checkpoint();
const ended = (): Story => begun().add({ event: 'stop' }).checkpoint({ action: 'stop' });

/** Segments 1 to 3, the first `gone` of them removed, with a retire record for each of `named`. */
function retired(gone: number, named: readonly number[], more: Partial<OwnRecord> = {}): Story {
  const story = begun().exchange('a').segment(2).exchange('b').segment(3).exchange('c');
  const oldest = [1, 1, 5, 8];
  for (const number of named) {
    const place = { segment: nameOf(number), oldest_seq: oldest[number + 1] ?? 1 };
    story.signed({ event: 'retire', action: 'age', until: '2026-11-20T08:00:00.000Z', ...place, ...more });
  }
  const isUsual = named.length > 0 && more.oldest_seq === undefined;
  story.checkpoint({ oldest_seq: isUsual ? oldest[named.length + 1] : 1 });
  story.trail.segments.splice(0, gone);
  return story;
}

const named = (): Story => begun().checkpoint({ next_key: next.key }).sealedBy(next);
const threeSegments = (more: Partial<OwnRecord> = {}): Story =>
  begun().exchange('a').segment(2).exchange('b').segment(3, more).checkpoint();
const otherJournal = (): Story =>
  begun()
    .start({ journal: 'cd'.repeat(16) })
    .checkpoint();
const retire = { event: 'retire', segment: nameOf(1), oldest_seq: 2 } as const;
/** As the gate writes it where the first of three segments went. */
const retiredFirst = { ...retire, oldest_seq: 5, action: 'age', until: '2026-11-20T08:00:00.000Z' } as const;
const stopped = { outcome: 'unknown', error: 'stopped' } as const;

function changed(
  at: number,
  from: string | RegExp,
  to: string,
  story = begun().exchange('a').exchange('b').checkpoint(),
): Story {
  story.lines[at] = (story.lines[at] ?? '').replace(from, to);
  return story;
}

/** Its checkpoint.json is the last line of a story. */
const kept = (story: Story, of = story): Story => story.keep('checkpoint.json', of.lines.at(-1));

/** What is done to a trail, and to the lines of its second segment: a checkpoint, records 12 to 19 of four exchanges, a checkpoint. */
type Tamper = (trail: PaperTrail, lines: string[]) => void;

/** Changes the text of line 4 of the second segment. */
function inLine4(from: string | RegExp, to: string): Tamper {
  return (_trail, lines) => lines.splice(3, 1, (lines[3] ?? '').replace(from, to));
}

/** A record of another user, with a right hash. */
function forged(line = ''): string {
  return forge(line, (record) => {
    record['user'] = 'mallory@example.com';
  });
}

const tampering: Readonly<Record<string, Tamper>> = {
  nothing: () => undefined,
  'a byte flipped in prev': inLine4(/"prev":"./, '"prev":"x'),
  'a byte flipped in hash': inLine4(/"hash":"./, '"hash":"x'),
  'a byte flipped in the form of the line': inLine4('{"seq"', '["seq"'),
  'a record changed and hashed again': (_, lines) => lines.splice(3, 1, forged(lines[3])),
  'a record deleted': (_, lines) => lines.splice(3, 1),
  'three records deleted': (_, lines) => lines.splice(3, 3),
  'the first record of a segment deleted': (_, lines) => lines.shift(),
  'the last record of a segment deleted': ({ segments }) => segments[0]?.lines.pop(),
  'a forged record inserted': (_, lines) => lines.splice(3, 0, forged(lines[3])),
  'garbage inserted': (_, lines) => lines.splice(3, 0, '{"seq":14,"user":"mallory"}'),
  'two records swapped': (_, lines) => lines.splice(4, 0, ...lines.splice(3, 1)),
  'a record moved to another segment': ({ segments }, lines) =>
    segments[2]?.lines.splice(4, 0, ...lines.splice(3, 1)),
  'a record duplicated': (_, lines) => lines.splice(3, 0, lines[3] ?? ''),
  'an old record put in again elsewhere': (_, lines) => lines.splice(6, 0, lines[2] ?? ''),
  'the last segment removed': ({ segments }) => segments.pop(),
  'all but the last segment removed': ({ segments }) => segments.splice(0, 2),
  'the tail cut, with its checkpoint': ({ segments }) => segments[2]?.lines.splice(5),
  'the end rewritten with a right chain, without a key': (trail, lines) => {
    inLine4('alice', 'mallory')(trail, lines);
    // A signature that was copied is not right any more for the record that it stands in.
    rehash(trail, 1, 3);
  },
  'the end rewritten, and signatures left out': (trail, lines) => {
    inLine4('alice', 'mallory')(trail, lines);
    for (const segment of trail.segments.slice(1))
      segment.lines = segment.lines.map((line) => line.replace(/"key":"[^"]*","signature":"[^"]*",/, ''));
    rehash(trail, 1, 0);
  },
};

function tampered(tamper: Tamper): { readonly trail: PaperTrail } {
  const trail = makeTrail();
  tamper(trail, trail.segments[1]?.lines ?? assert.fail());
  return { trail };
}

/** Segment 1 is gone, and its retire record has the signature that this record has at the same place of another journal. */
function replayed(): Story {
  const other = new Ledger('dovegate test', key.secretPem, 'cd'.repeat(16)).sealSigned({
    time: started,
    ...retiredFirst,
  });
  const { key: by, signature: copied } = JSON.parse(other);
  const story = threeSegments()
    .add({ ...retiredFirst, key: by, signature: copied })
    .checkpoint();
  return without(story, 0);
}

/** A start after the records of a run that was killed, which names one of its records. */
const namesOf700 = (before: number): Story => {
  const story = begun().add(...Array.from({ length: 700 }, () => ({ event: 'log' as const })));
  return story.start({ last_seq: 702 - before, last_hash: 'ef'.repeat(32), recovered: 1 }).checkpoint();
};
const carrying = (): Story =>
  begun()
    .add({ event: 'stop' })
    .checkpoint({ action: 'stop', carries: 2 })
    .add({ event: 'lock' }, { event: 'journal' });
const killed = (): Story => ended().checkpoint().steps(60_000).start().end('a', stopped);

/** A story, and how it is verified where that is not as usual. */
type Told = { readonly trail: PaperTrail } | readonly [story: Story, options: Partial<TrailOptions>];

const stories: Readonly<Record<string, Told>> = {
  'nothing at all': new Story(),
  'nothing at all, and no key': [new Story(), { trustedKeys: [] }],
  'a whole trail': begun().exchange('a').checkpoint(),
  'a whole trail, and no key given': [begun().exchange('a').checkpoint(), { trustedKeys: [] }],
  'unsigned, and no key given': [unsigned().start(), { trustedKeys: [] }],
  'unsigned, with a key': unsigned().start().exchange('a'),
  'unsigned checkpoints, with a key': unsigned().start().checkpoint().exchange('a').checkpoint(),
  'records after the last signature': begun().exchange('a').exchange('b'),
  'a later release wrote it': new Story().start({ format: 2 }).checkpoint(),
  'another journal': otherJournal(),
  'a changed byte': changed(2, '"id":"a"', '"id":"x"'),
  'a changed number': changed(3, '"seq":4', '"seq":9'),
  'no record': changed(3, /.*/, 'a line'),
  'no record first': changed(0, /.*/, 'a line'),
  'a changed byte first': changed(0, 'dovegate test', 'dovegate Test'),
  'a head that is another hash': begun().checkpoint({ head: '00'.repeat(32) }),
  'a broken signature': signature((text) => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`),
  'a signature that is none': signature(() => 'none'),
  'a key by its own name': [begun().exchange('a').checkpoint(), { trustedKeys: [], ownKey: key.key }],
  'the key of a stranger': begun().sealedBy(stranger),
  'the key of a stranger, and then the right one': begun().sealedBy(stranger).sealedBy(key),
  'a stranger who calls it a change of the key': begun().by(stranger).checkpoint({ action: 'key-change' }),
  'a named next key': named(),
  'a named next key, and a stranger after it': named().sealedBy(stranger),
  'an earlier key': [begun().sealedBy(next), { trustedKeys: [next.key] }],
  'an earlier key that named the next': [named(), { trustedKeys: [next.key] }],
  'an own key that changed unnamed': [begun().sealedBy(next), { trustedKeys: [], ownKey: next.key }],
  'an own key that changed, accepted': [
    begun().sealedBy(next),
    { trustedKeys: [next.key], ownKey: next.key },
  ],
  'an own key that changed, and back': [
    begun().sealedBy(next).sealedBy(key),
    { trustedKeys: [key.key, next.key], ownKey: key.key },
  ],
  'an own key that was named': [named(), { trustedKeys: [], ownKey: next.key }],
  'the kept checkpoint is there': kept(begun()).exchange('a'),
  'the kept checkpoint is later': cutAfter(kept(begun().exchange('a').checkpoint()), 3),
  'the kept checkpoint is later, and no key given': [
    cutAfter(kept(begun().exchange('a').checkpoint()), 3),
    { trustedKeys: [] },
  ],
  'the kept checkpoint is of another run': kept(begun(), begun().start().checkpoint())
    .exchange('a')
    .checkpoint(),
  'the kept checkpoint is rewritten': rewritten(),
  'the kept checkpoint is unsigned': kept(begun(), unsigned().start().checkpoint()),
  'the kept checkpoint is of a stranger': kept(
    begun().exchange('a'),
    begun().exchange('a').exchange('b').sealedBy(stranger),
  ),
  'the kept checkpoint is no record': begun().keep('checkpoint.json', '{}'),
  'the kept checkpoint has a changed byte': kept(begun(), changed(1, 'test', 'tesT', begun())),
  'an older kept checkpoint, retired since': retired(1, [1]).keep('checkpoint-2.json', begun().lines[1]),
  'checkpoint.json is older than the trail': retired(1, [1]).keep('checkpoint.json', begun().lines[1]),
  'one segment retired': retired(1, [1]),
  'one segment retired, by the key before the one that is trusted': [
    retiredBefore(),
    { trustedKeys: [next.key] },
  ],
  'one segment retired for its size': retired(1, [1], { action: 'size', until: undefined }),
  'one segment retired for no reason': retired(1, [1], { action: undefined }),
  'two segments retired': retired(2, [1, 2]),
  'two segments gone, one retired': retired(2, [1]),
  'a segment gone': retired(1, []),
  'a part': [retired(1, []), { isPart: true }],
  'a part that begins with a command': [begins(), { isPart: true }],
  'a trail that begins with a command': begins(),
  'a retire record without a segment': begun().signed({ event: 'retire', oldest_seq: 1 }).checkpoint(),
  'a retire record that is not signed': begun().add(retire).checkpoint(),
  'one without segment that is not signed': begun().add({ event: 'retire', oldest_seq: 2 }).checkpoint(),
  'a retire record that is not signed, and no key given': [
    begun().add(retire).checkpoint(),
    { trustedKeys: [] },
  ],
  'a retire record of a stranger': begun().by(stranger).signed(retire).sealedBy(key),
  'a retire record of an earlier key': [begun().signed(retire).sealedBy(next), { trustedKeys: [next.key] }],
  'a segment gone, and a retire record that is not signed': without(
    threeSegments().add(retiredFirst).checkpoint(),
    0,
  ),
  'the same, and no key given': [
    without(threeSegments().add(retiredFirst).checkpoint(), 0),
    { trustedKeys: [] },
  ],
  'a segment gone, and a retire record of a stranger': without(
    threeSegments().by(stranger).signed(retiredFirst).sealedBy(key),
    0,
  ),
  'a segment gone, and a retire record with a signature of another journal': replayed(),
  'a segment gone, and a signed checkpoint that says what is left': without(
    threeSegments().checkpoint({ oldest_seq: 5 }),
    0,
  ),
  'a middle segment gone': without(threeSegments(), 1),
  'two segments swapped': swapped(threeSegments()),
  'a segment that names none before': without(threeSegments({ segment: undefined }), 1),
  'shipped in files of its own': [without(threeSegments(), 1), { isShipped: true }],
  'arguments, and the end of the command in the next segment': begun()
    .announced('a', ['x', 'y'])
    .segment(2)
    .end('a')
    .checkpoint(),
  'arguments that are missing, where a segment ends': begun()
    .announced('a', ['x', 'y'], 1)
    .segment(2)
    .exchange('b')
    .checkpoint(),
  'arguments that are changed': begun().announced('a', ['x', 'y'], 1).announced('b', ['z']).checkpoint(),
  'an open exchange, and one that ended': begun()
    .add({ event: 'admission', id: 'a' })
    .exchange('b')
    .checkpoint(),
  'a completion without an admission': begun().end('a').add({ event: 'admission' }).checkpoint(),
  'time goes back': begun().reloads(5000, 3999, 3000).checkpoint(),
  'time goes back by a second': begun().reloads(5000, 4000, 5000),
  'time goes back at a step': begun()
    .reloads(5000)
    .add({ event: 'clock', time: started, step_ms: -5000 })
    .reloads(0),
  'steps of the clock': begun().steps(60_000, -60_000, 59_999).start(),
  'a step within a run': begun().steps(60_000).end('a').add({ event: 'reload' }).start(),
  'a step at a start': ended().steps(86_400_000).end('a', stopped).start(),
  'a checkpoint that is younger than the record after it': begun()
    .checkpoint({ time: started + 60_000 })
    .exchange('a'),
  'a retire record that is younger than the record after it': begun()
    .signed({ event: 'retire', time: started + 60_000, oldest_seq: 1 })
    .exchange('a'),
  'a step without its size': begun().add({ event: 'clock' }),
  'a start after a stop': ended()
    .start({ last_seq: 4, last_hash: hashOf(ended(), 3) })
    .checkpoint()
    .exchange('a'),
  'a command after a stop': ended().exchange('a').start().checkpoint(),
  'two commands after a stop': ended().exchange('a').exchange('b'),
  'the ends of a run, and no start': ended().end('a', stopped),
  'a start that names another record': ended().start({ last_seq: 4, last_hash: 'ef'.repeat(32) }),
  'a start that names an earlier record': ended().start({ last_seq: 2, last_hash: hashOf(ended(), 1) }),
  'the same with records of the memory': ended().start({
    last_seq: 2,
    last_hash: hashOf(ended(), 1),
    recovered: 2,
  }),
  'a start without its checkpoint': ended().start().exchange('a').checkpoint(),
  'a crash between two runs': begun().exchange('a').start().checkpoint().exchange('b'),
  'a start that was killed': killed().start().checkpoint().exchange('b'),
  'a last checkpoint that begins a segment': carrying(),
  'a run after a last checkpoint that begins a segment': carrying().start().checkpoint(),
  'one record more than the last checkpoint carries': carrying().add({ event: 'lock' }),
  'a start after a crash that names an earlier record': begun()
    .exchange('a')
    .start({ last_seq: 2, last_hash: hashOf(begun(), 1) }),
  'a start after a crash that names the last record': begun()
    .exchange('a')
    .start({ last_seq: 4, last_hash: hashOf(begun().exchange('a'), 3) }),
  'a start that names half of another record': ended().start({ last_seq: 2 }),
  'a start that names the other half': ended().start({ last_hash: 'ef'.repeat(32) }),
  'a start that names another record, 512 before it': namesOf700(511),
  'a start that names another record, 513 before it': namesOf700(512),
  ...Object.fromEntries(
    (['admission', 'completion', 'retire', 'reload', 'operator', 'limit', 'log'] as const).map((event) => [
      `two records after a stop: ${event}`,
      ended().add({ event }, { event }).start().checkpoint(),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(tampering).map(([what, tamper]) => [`tampering: ${what}`, tampered(tamper)]),
  ),
  ...Object.fromEntries(
    ['cut', 'rewritten', 'unvouched', 'removed', 'appended']
      .map((error) => `journal-${error}`)
      .concat('of a later release')
      .map((error) => [`a start that found: ${error}`, begun().start({ error })]),
  ),
  'a start that found two': begun().start({ error: 'journal-cut journal-appended' }),
  'a start that missed segments, of a part': [begun().start({ error: 'journal-removed' }), { isPart: true }],
  'a start that missed segments, which are gone': missed(retired(1, [])),
  'a start that missed segments, which were retired': missed(retired(1, [1])),
  ...Object.fromEntries(
    [
      { file: '00000001.jsonl.appended', bytes: 5 },
      { file: '00000001.jsonl.gz.appended-12', bytes: 5 },
      { file: '00000001.jsonl.appended-1234', bytes: 5 },
      { file: 'x00000001.jsonl.appended', bytes: 5 },
      { file: '00000001.jsonl.appended\u001b', bytes: 5 },
      { file: '00000001.jsonl.appended' },
      { bytes: 5 },
    ].map((appended) => [
      `a start that moved away ${JSON.stringify(appended)}`,
      begun().start({ error: 'journal-appended', appended }),
    ]),
  ),
  ...Object.fromEntries(
    (['missing', 'damaged', 'foreign', 'melted'] as const).map((ring) => [
      `a start: the memory was ${ring}`,
      begun().start({ ring }),
    ]),
  ),
  ...Object.fromEntries(
    [0, 1, 2, 'unknown' as const].map((lost) => [
      `a start: the memory was damaged, ${lost} lost`,
      begun().start({ ring: 'damaged', lost }),
    ]),
  ),
};

function unsigned(): Story {
  const story = new Story();
  story.ledger = new Ledger('dovegate test', undefined, journal);
  return story;
}

function signature(change: (text: string) => string): Story {
  const story = begun().checkpoint();
  const { signature: right = '' } = JSON.parse(story.lines[2] ?? '');
  const { seq: _, hash: __, prev: ___, ...body } = JSON.parse(story.lines[2] ?? '');
  story.lines.pop();
  const ledger = new Ledger('dovegate test', undefined, journal);
  const last = JSON.parse(story.lines[1] ?? '');
  ledger.resume({ journal, seq: 2, hash: last.hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 });
  story.lines.push(
    ledger.seal(encodeBody({ ...body, time: Date.parse(body.time), signature: change(right) })).trimEnd(),
  );
  return story;
}

function cutAfter(story: Story, count: number): Story {
  story.lines.splice(count);
  return story;
}

function rewritten(): Story {
  return kept(begun().exchange('b').checkpoint(), begun().exchange('a').checkpoint());
}

function begins(): Story {
  const story = begun().exchange('a').exchange('b').checkpoint();
  story.lines.splice(0, 3);
  return story;
}

function without(story: Story, at: number): Story {
  story.trail.segments.splice(at, 1);
  return story;
}

function swapped(story: Story): Story {
  const [one, other] = story.trail.segments;
  if (one !== undefined && other !== undefined) [one.lines, other.lines] = [other.lines, one.lines];
  return story;
}

function retiredBefore(): Story {
  return retired(1, [1]).by(next).checkpoint({ action: 'key-change', oldest_seq: 1 });
}

function missed(story: Story): Story {
  return story.start({ error: 'journal-removed' }).checkpoint({ oldest_seq: story.ledger.oldestSeq });
}

function hashOf(story: Story, at: number): string {
  return JSON.parse(story.lines[at] ?? '').hash;
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
    line.replaceAll(key.key, 'KEY').replaceAll(next.key, 'NEXT').replaceAll(stranger.key, 'STRANGER'),
  );
}

void test('every verdict is the one that was approved', () =>
  compareAnswers(
    'test/evidence/trail/verdicts.txt',
    Object.entries(stories).map(([name, told]): Asked => {
      const [{ trail }, options] = 'trail' in told ? [told] : told;
      return [`# ${name}`, () => describe(verify(trail, options)).join('\n')];
    }),
  ));

/** What a reader of files reports besides lines: torn ends, lines of others, files that break off. */
function feed(steps: readonly (readonly [verb: string, value?: string])[]): Verdict {
  const [one = '', two = '', three = ''] = begun().exchange('a').lines;
  const lines: Readonly<Record<string, string>> = { one, two, three };
  const step =
    ([verb, value = '']: readonly [verb: string, value?: string]) =>
    (verifier: Verifier): void => {
      if (verb === 'file') verifier.beginSegment(value);
      else if (verb === 'line') verifier.takeLine(Buffer.from(lines[value] ?? value), true);
      else if (verb === 'torn') verifier.takeLine(Buffer.from(lines[value] ?? value), false);
      else if (verb === 'skip') verifier.skipLine();
      else verifier.breakOff(value);
    };
  return verifySteps(steps.map(step), { trustedKeys: [key.key], kept: [], isPart: false, faultsMax: 5 });
}

void test('torn ends, lines of others and files that break off, as whole verdicts', () => {
  const place = new URL('test/evidence/trail/readings.txt', projectRoot);
  const written = readFileSync(place, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('  '));
  const now = written.flatMap((line) => {
    if (line.startsWith('#')) return [line];
    const steps = line.split(', ').map((step): [string, string] => {
      const [verb = '', ...value] = step.split(' ');
      return [verb, value.join(' ')];
    });
    return [line, ...describe(feed(steps)).map((said) => `  ${said}`)];
  });
  if (process.env['DOVEGATE_ANSWERS'] === 'write') return writeFileSync(place, `${now.join('\n')}\n`);
  assert.deepEqual(now, readFileSync(place, 'utf8').trimEnd().split('\n'));
});
