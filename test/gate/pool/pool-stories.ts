// Stories of a pool, for files of approved answers. A line has acts with `; ` between them, or with ` + ` where nothing else may run before
// the next; `20 times: ` repeats them:
//   lease NAME... [of PRINCIPAL] [from ORIGIN] [weight N] [fresh] [young] [given-up]: `a*3` is a1, a2 and a3
//   finish NAME [REASON] [tempfail] | abort NAME | turn [NAME]: all that are leased finish after 0.1 s, and NAME asks again
//   later MS | dials accept, refuse or hang | next WORD...: how the next ends greet | end N or all WORD: what ends do
//   transfer NAME RATE: its reply moves | held NAME RATE: its client is waited for | silent NAME: its backend is
//   start | drain | drained | enabled | reload | timers | failed
// Below a line stands what it changed. A story begins with its limits, and with what else its pool has.

import assert from 'node:assert/strict';
import { LeaseRefusal, type SlowClient, type Transfer } from '../../../src/gate/pool/lease.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { type CloseReason, closeReasons } from '../../../src/host/ports/transport.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import { at, greeting, logPacket, memoryTarget, poolSizes } from '../../kit/gate/memory-backend.js';
import { compareStories } from '../../kit/plain/approved.js';
import { settle } from '../../kit/plain/fake-clock.js';
import type { MemoryPeer } from '../../kit/plain/memory-transport.js';
import { type Asked, assertEnds, type Leasing, openPool, type PooledStory } from './pooled.js';

/** Compares the stories of a file. At the end of each nothing is left. */
export async function comparePoolStories(file: string): Promise<void> {
  const opened: PooledStory[] = [];
  await compareStories(file, (withs) => {
    const [limits, more] = withs.map((each) => JSON.parse(each));
    const { act, changes } = begin((past) => {
      const story = openStory(limits, more, past);
      opened.push(story);
      return story;
    });
    return async (line) => {
      const [, times = '1', acts = ''] = /^(?:(\d+) times: )?(.*)$/.exec(line) ?? [];
      for (let time = 0; time < Number(times); time += 1)
        for (const each of acts.split('; ')) await act(each);
      return changes().join('\n');
    };
  });
  // A pool that was reloaded shares its clock with the next one.
  for (const story of opened.toReversed()) await assertEnds(story);
}

/** `greets`: how its ends greet where no act says it; default: as minor 2. */
interface More {
  readonly greets?: string;
  readonly series?: '2.3' | '2.4';
  readonly chance?: number;
  readonly greetingMs?: number;
}

function openStory(limits: object, more: More = {}, past: object = {}): PooledStory & { next: string[] } {
  const { greets = '2', series = 'auto', chance = 0, greetingMs = 2_000 } = more;
  const passwords = () => Promise.resolve([new Secret('p')]);
  const target = memoryTarget({ mayAuthenticateInClear: true, passwords, greetingTimeoutMs: greetingMs });
  const configured = { series, release: undefined, newer: 'reads' } as const;
  const story = openPool(limits, { target, configured, chance: () => chance, ...past });
  const next: string[] = [];
  story.dialler.onAccept(({ peer }) => does(peer, next.shift() ?? greets));
  return { ...story, next };
}

/** What an end of a backend does: a greeting by its minor, or a word. */
function does(peer: MemoryPeer, word: string): void {
  const asksForPassword = (answer: string): void => {
    peer.send(greeting(2).replace('+', '-'));
    void peer.receive((bytes) => bytes.includes('PLAIN')).then(() => peer.send(answer));
  };
  const words: Readonly<Record<string, () => unknown>> = {
    nothing: () => undefined,
    ends: () => peer.end(),
    vanishes: () => peer.vanish(),
    replaced: () => peer.replace(),
    logs: () => peer.send(logPacket('error', 'dying')),
    right: () => asksForPassword('+\n'),
    wrong: () => asksForPassword('-\n'),
    'logs-and-ends': () => (peer.send(logPacket('warning', 'Killed with signal 15')), peer.end()),
    'greets-and-ends': () => (peer.send(greeting(2)), setImmediate(() => peer.end())),
  };
  const greets = (): void => peer.send(greeting(/^\d$/.test(word) ? Number(word) : assert.fail(word)));
  (words[word] ?? greets)();
}

/** Bytes a second. `fast`: its client is never waited for; `thinks`: nothing moves, and its client is not waited for either. */
export type Rate = number | 'fast' | 'thinks';

/** Bytes of this lease move from now on; `isReply`: of one that may be ended for others. Why it was given up. */
export function move(story: PooledStory, leasing: Leasing, rate: Rate, isReply = true): SlowClient[] {
  const given: SlowClient[] = [];
  const { clock } = story;
  const { pace } = leasing.upstream ?? assert.fail('not leased');
  const bytes = rate === 'fast' ? 1_000_000_000 : rate === 'thinks' ? 0 : rate;
  const transfer: Transfer & { isRated: boolean } = {
    startMs: clock.now(),
    isRated: true,
    get movedBytes() {
      return Math.floor(((clock.now() - this.startMs) / 1000) * bytes);
    },
    giveUp(why) {
      given.push(why);
      pace.end(clock.now());
      void leasing.finish('aborted');
    },
  };
  if (isReply) pace.transfer = transfer;
  if (typeof rate === 'number') pace.begin(transfer, clock.now());
  return given;
}

/** A lease of a story, and what was shown of it. */
interface Named {
  readonly name: string;
  readonly asked: Asked;
  readonly leasing: Leasing;
  given: readonly SlowClient[];
  upstream: string;
  shown: string;
}

function begin(open: (past?: object) => ReturnType<typeof openStory>) {
  let story = open();
  const all: Named[] = [];
  const said: string[] = [];
  const before = { state: '', events: 0 };
  const named = (name: string): Named => all.findLast((each) => each.name === name) ?? assert.fail(name);

  function lease(name: string, asked: Asked): void {
    all.push({ name, asked, leasing: story.lease(asked), given: [], upstream: '', shown: '' });
  }

  function leaseAll(words: readonly string[]): void {
    const names: string[] = [];
    const asked: Record<string, unknown> = {};
    const rest = words.slice();
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      const [, many, count] = /^(\w+)\*(\d+)$/.exec(word) ?? [];
      if (word === 'of') asked['principal'] = rest.shift();
      else if (word === 'from') asked['origin'] = rest.shift();
      else if (word === 'weight') asked['weight'] = Number(rest.shift());
      else if (word === 'fresh') asked['isFresh'] = true;
      else if (word === 'young') asked['isYoung'] = true;
      else if (word === 'given-up') asked['isGivenUp'] = true;
      else if (many === undefined) names.push(word);
      else for (let n = 1; n <= Number(count); n += 1) names.push(`${many}${n}`);
    }
    for (const name of names) lease(name, asked);
  }

  /** After a command's time; a lease of that name is followed by another one. */
  async function turn(again: string | undefined): Promise<void> {
    const running = all.filter(({ leasing }) => leasing.outcome === 'leased');
    said.push(`turn of ${running.map(({ name }) => name).join(' ')}`);
    await story.clock.advance(100);
    for (const { name, asked, leasing } of running) {
      await leasing.finish(leasing.isFresh ? 'not-reusable' : undefined);
      if (name === again) lease(name, asked);
    }
  }

  /** Its client is not waited for any more, and nothing moves. */
  function silence(name: string): void {
    const one = named(name);
    const { pace } = one.leasing.upstream ?? assert.fail(name);
    pace.end(story.clock.now());
    const { startMs, movedBytes } = pace.transfer ?? assert.fail(name);
    pace.transfer = { startMs, movedBytes, giveUp: (why) => void (one.given = [why]) };
  }

  function reload(): void {
    const old = story;
    story = open({ past: old.pool.past, clock: old.clock });
    old.pool.setDrained(true);
    before.events = 0;
  }

  function run(text: string): unknown {
    const [what = '', first = '', ...rest] = text.split(' ');
    const rate = Number(rest[0]) || (rest[0] === '0' ? 0 : rest[0] === 'fast' ? 'fast' : 'thinks');
    const acts: Readonly<Record<string, () => unknown>> = {
      lease: () => leaseAll([first, ...rest]),
      finish: () =>
        named(first).leasing.finish(
          rest.find((word): word is CloseReason => word in closeReasons),
          rest.includes('tempfail') ? 'tempfail' : 'other',
        ),
      abort: () => named(first).leasing.abort('given up'),
      turn: () => turn(first),
      later: () => story.clock.advance(Number(first)),
      dials: () => story.dialler.setAnswer(first === 'refuse' ? first : first === 'hang' ? first : 'accept'),
      next: () => story.next.push(first, ...rest),
      end: () => {
        const { open: still, ends } = story.dialler;
        for (const { peer } of first === 'all' ? still : [at(ends, Number(first) - 1)])
          does(peer, rest[0] ?? '');
      },
      transfer: () => (named(first).given = move(story, named(first).leasing, rate)),
      held: () => (named(first).given = move(story, named(first).leasing, rate, false)),
      silent: () => silence(first),
      start: () => story.pool.start(),
      drain: () => story.pool.drain(),
      drained: () => story.pool.setDrained(true),
      enabled: () => story.pool.setDrained(false),
      reload,
      timers: () => said.push(`${story.clock.timers} timers, ${story.clock.nextTimerMs}`),
      failed: () => said.push(JSON.stringify(story.pool.snapshot().failed)),
    };
    return (acts[what] ?? assert.fail(text))();
  }

  async function act(text: string): Promise<void> {
    await Promise.all(text.split(' + ').map(run));
    await settle();
    for (const each of all) each.upstream = each.leasing.upstream?.id ?? each.upstream;
  }

  function shownOf({ leasing, given, upstream }: Named): string {
    const { outcome, told } = leasing;
    const exchanges = leasing.upstream?.exchanges;
    const words = [
      outcome instanceof LeaseRefusal
        ? outcome.why
        : outcome instanceof UpstreamFault
          ? outcome.code
          : outcome,
      upstream === '' ? '' : ` on ${upstream}`,
      exchanges === undefined ? '' : `, exchange ${exchanges}`,
      told.length === 0 ? '' : `, told ${told.length} times`,
      given.length === 0 ? '' : `, given up: ${given.join()}`,
    ];
    return words.join('');
  }

  /** Since the last call: what was said, how the leases and the pool are now, and what was told. */
  function changes(): string[] {
    const lines = said.splice(0);
    const byShown = new Map<string, string[]>();
    for (const each of all) {
      const shown = shownOf(each);
      if (shown !== each.shown) byShown.set(shown, [...(byShown.get(shown) ?? []), each.name]);
      each.shown = shown;
    }
    for (const [shown, names] of byShown) {
      const [first, last] = [names[0], names.at(-1)];
      lines.push(`${names.length > 6 ? `${first} to ${last} (${names.length})` : names.join(' ')}: ${shown}`);
    }
    const { health, isNewer } = story.pool.snapshot();
    const sizes = ['dialing', 'idle', 'leased', 'waiting'].map(
      (word, n) => `${poolSizes(story.pool)[n]} ${word}`,
    );
    const state = [
      ...sizes,
      health,
      story.pool.series,
      isNewer ? 'newer' : '',
      `dials ${story.dialler.dials}`,
    ];
    const shownState = state.filter((word) => word && !word.startsWith('0 ')).join(', ');
    if (shownState !== before.state) lines.push(shownState);
    before.state = shownState;
    const events = story.events.slice(before.events);
    before.events = story.events.length;
    const kinds = new Set(events.map(({ kind }) => kind));
    if (events.length <= 12) lines.push(...events.map((event) => JSON.stringify(event)));
    else
      for (const kind of kinds) lines.push(`${events.filter((each) => each.kind === kind).length} ${kind}`);
    return lines;
  }

  return { act, changes };
}
