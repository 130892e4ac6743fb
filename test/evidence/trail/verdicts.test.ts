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
import { projectRoot } from '../../kit/plain/root.js';
import { key, nameOf, type PaperTrail, seal, started, verify, verifySteps } from './paper-trail.js';

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

  /** Another key signs from here on. */
  by(secretPem: string): this {
    const ledger = new Ledger('dovegate test', secretPem, journal);
    ledger.resume(this.ledger);
    this.ledger = ledger;
    return this;
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
  story.checkpoint({
    oldest_seq: named.length > 0 && more.oldest_seq === undefined ? oldest[named.length + 1] : 1,
  });
  story.trail.segments.splice(0, gone);
  return story;
}

function changed(at: number, from: string | RegExp, to: string): Story {
  const story = begun().exchange('a').exchange('b').checkpoint();
  story.lines[at] = (story.lines[at] ?? '').replace(from, to);
  return story;
}

/** A story, and how it is verified where that is not as usual. */
type Told = Story | readonly [story: Story, options: Partial<TrailOptions>];

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
  'another journal': begun()
    .start({ journal: 'cd'.repeat(16) })
    .checkpoint(),
  'a changed byte': changed(2, '"id":"a"', '"id":"x"'),
  'a changed number': changed(3, '"seq":4', '"seq":9'),
  'no record': changed(3, /.*/, 'a line'),
  'no record first': changed(0, /.*/, 'a line'),
  'a changed byte first': changed(0, 'dovegate test', 'dovegate Test'),
  'a head that is another hash': begun().checkpoint({ head: '00'.repeat(32) }),
  'a broken signature': signature((text) =>
    text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`,
  ),
  'a signature that is none': signature(() => 'none'),
  'a key by its own name': [begun().exchange('a').checkpoint(), { trustedKeys: [], ownKey: key.key }],
  'the key of a stranger': begun().by(stranger.secretPem).checkpoint(),
  'the key of a stranger, and then the right one': begun()
    .by(stranger.secretPem)
    .checkpoint()
    .by(key.secretPem)
    .checkpoint(),
  'a stranger who calls it a change of the key': begun()
    .by(stranger.secretPem)
    .checkpoint({ action: 'key-change' }),
  'a named next key': begun().checkpoint({ next_key: next.key }).by(next.secretPem).checkpoint(),
  'a named next key, and a stranger after it': begun()
    .checkpoint({ next_key: next.key })
    .by(next.secretPem)
    .checkpoint()
    .by(stranger.secretPem)
    .checkpoint(),
  'an earlier key': [begun().by(next.secretPem).checkpoint(), { trustedKeys: [next.key] }],
  'an earlier key that named the next': [
    begun().checkpoint({ next_key: next.key }).by(next.secretPem).checkpoint(),
    { trustedKeys: [next.key] },
  ],
  'an own key that changed unnamed': [
    begun().by(next.secretPem).checkpoint(),
    { trustedKeys: [], ownKey: next.key },
  ],
  'an own key that changed, accepted': [
    begun().by(next.secretPem).checkpoint(),
    { trustedKeys: [next.key], ownKey: next.key },
  ],
  'an own key that changed, and back': [
    begun().by(next.secretPem).checkpoint().by(key.secretPem).checkpoint(),
    { trustedKeys: [key.key, next.key], ownKey: key.key },
  ],
  'an own key that was named': [
    begun().checkpoint({ next_key: next.key }).by(next.secretPem).checkpoint(),
    { trustedKeys: [], ownKey: next.key },
  ],
  'the kept checkpoint is there': begun().keep('checkpoint.json').exchange('a'),
  'the kept checkpoint is later': cutAfter(begun().exchange('a').checkpoint().keep('checkpoint.json'), 3),
  'the kept checkpoint is later, and no key given': [
    cutAfter(begun().exchange('a').checkpoint().keep('checkpoint.json'), 3),
    { trustedKeys: [] },
  ],
  'the kept checkpoint is of another run': begun()
    .keep('checkpoint.json', begun().start().checkpoint().lines[3])
    .exchange('a')
    .checkpoint(),
  'the kept checkpoint is rewritten': rewritten(),
  'the kept checkpoint is unsigned': begun().keep(
    'checkpoint.json',
    unsigned().start().checkpoint().lines[1],
  ),
  'the kept checkpoint is of a stranger': begun()
    .exchange('a')
    .keep(
      'checkpoint.json',
      begun().exchange('a').exchange('b').by(stranger.secretPem).checkpoint().lines[6],
    ),
  'the kept checkpoint is no record': begun().keep('checkpoint.json', '{}'),
  'the kept checkpoint has a changed byte': begun().keep(
    'checkpoint.json',
    begun().lines[1]?.replace('test', 'tesT'),
  ),
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
  'a retire record that is not signed': begun()
    .add({ event: 'retire', segment: nameOf(1), oldest_seq: 2 })
    .checkpoint(),
  'one without segment that is not signed': begun().add({ event: 'retire', oldest_seq: 2 }).checkpoint(),
  'a retire record that is not signed, and no key given': [
    begun()
      .add({ event: 'retire', segment: nameOf(1), oldest_seq: 2 })
      .checkpoint(),
    { trustedKeys: [] },
  ],
  'a retire record of a stranger': begun()
    .by(stranger.secretPem)
    .signed({ event: 'retire', segment: nameOf(1), oldest_seq: 2 })
    .by(key.secretPem)
    .checkpoint(),
  'a retire record of an earlier key': [
    begun()
      .signed({ event: 'retire', segment: nameOf(1), oldest_seq: 2 })
      .by(next.secretPem)
      .checkpoint(),
    { trustedKeys: [next.key] },
  ],
  'a middle segment gone': without(begun().exchange('a').segment(2).exchange('b').segment(3).checkpoint(), 1),
  'two segments swapped': swapped(begun().exchange('a').segment(2).exchange('b').segment(3).checkpoint()),
  'a segment that names none before': without(
    begun().exchange('a').segment(2).exchange('b').segment(3, { segment: undefined }).checkpoint(),
    1,
  ),
  'shipped in files of its own': [
    without(begun().exchange('a').segment(2).exchange('b').segment(3).checkpoint(), 1),
    { isShipped: true },
  ],
  'arguments, and the end of the command in the next segment': begun()
    .announced('a', ['x', 'y'])
    .segment(2)
    .add({ event: 'completion', id: 'a' })
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
  'a completion without an admission': begun()
    .add({ event: 'completion', id: 'a' }, { event: 'admission' })
    .checkpoint(),
  'time goes back': begun()
    .add(
      { event: 'reload', time: started + 5000 },
      { event: 'reload', time: started + 3999 },
      { event: 'reload', time: started + 3000 },
    )
    .checkpoint(),
  'time goes back by a second': begun().add(
    { event: 'reload', time: started + 5000 },
    { event: 'reload', time: started + 4000 },
    { event: 'reload', time: started + 5000 },
  ),
  'time goes back at a step': begun().add(
    { event: 'reload', time: started + 5000 },
    { event: 'clock', time: started, step_ms: -5000 },
    { event: 'reload', time: started },
  ),
  'steps of the clock': begun()
    .add(
      { event: 'clock', step_ms: 60_000 },
      { event: 'clock', step_ms: -60_000 },
      { event: 'clock', step_ms: 59_999 },
    )
    .start(),
  'a step within a run': begun()
    .add({ event: 'clock', step_ms: 60_000 }, { event: 'completion', id: 'a' }, { event: 'reload' })
    .start(),
  'a step at a start': ended()
    .add(
      { event: 'clock', step_ms: 86_400_000 },
      { event: 'completion', id: 'a', outcome: 'unknown', error: 'stopped' },
    )
    .start(),
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
  'the ends of a run, and no start': ended().add({
    event: 'completion',
    id: 'a',
    outcome: 'unknown',
    error: 'stopped',
  }),
  'a start that names another record': ended().start({ last_seq: 4, last_hash: 'ef'.repeat(32) }),
  'a start that names an earlier record': ended().start({ last_seq: 2, last_hash: hashOf(ended(), 1) }),
  'the same with records of the memory': ended().start({
    last_seq: 2,
    last_hash: hashOf(ended(), 1),
    recovered: 2,
  }),
  'a start without its checkpoint': ended().start().exchange('a').checkpoint(),
  ...Object.fromEntries(
    [
      'journal-cut',
      'journal-rewritten',
      'journal-unvouched',
      'journal-removed',
      'journal-appended',
      'of a later release',
    ].map((error) => [`a start that found: ${error}`, begun().start({ error })]),
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
  const [kept, now] = [begun().exchange('a').checkpoint(), begun().exchange('b').checkpoint()];
  return now.keep('checkpoint.json', kept.lines[4]);
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
  return retired(1, [1]).by(next.secretPem).checkpoint({ action: 'key-change', oldest_seq: 1 });
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

void test('every verdict is the one that was approved', () => {
  const place = new URL('test/evidence/trail/verdicts.txt', projectRoot);
  const now = Object.entries(stories).flatMap(([name, told]) => {
    const [{ trail }, options] = told instanceof Story ? [told] : told;
    return [`# ${name}`, ...describe(verify(trail, options)).map((line) => `  ${line}`)];
  });
  if (process.env['DOVEGATE_ANSWERS'] === 'write') return writeFileSync(place, `${now.join('\n')}\n`);
  assert.deepEqual(now, readFileSync(place, 'utf8').trimEnd().split('\n'));
});

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
  return verifySteps(steps.map(step), {
    trustedKeys: [key.key],
    kept: [],
    isPart: false,
    faultsMax: 5,
  });
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
