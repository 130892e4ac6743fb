// Goal: a reload that fails at any call says the truth about what is served. Phases: each port call of a reload fails once; the next
// reload has no failure. What must not happen: a new configuration in force without its record, or reported as not in force; a
// socket that stays of one that was given up; a reload that can never be repeated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lifecycle, type Phase } from '../../../src/gate/daemon/lifecycle.js';
import { type Reloaded, Reloader, type ReloadParts } from '../../../src/gate/daemon/reload.js';
import { createServed, type Served } from '../../../src/gate/daemon/served.js';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { Persons } from '../../../src/rules/identity/person.js';
import type { LoadedConfiguration } from '../../../src/rules/setup/inspect.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { type FailAt, failAtEach } from '../../kit/plain/fail-at.js';
import { withoutDirectory } from '../../kit/plain/names.js';

const numbers = { uidOf: () => undefined, gidOf: () => undefined };

function load(text: string): LoadedConfiguration {
  const { settings, problems } = parseSettings('/etc/dovegate.yaml', {
    readText: () => text,
    glob: () => [],
    presetText: (name) => readFromDisk.presetText?.(name),
  });
  return { settings, kept: settings?.hash, problems: [], found: problems, errors: 0 };
}

const old = load(memorySettings);
const fresh = load(memorySettings.replace('quota get, ', ''));

interface Interruption {
  /** Called once the new sockets are there. */
  readonly afterPrepare?: (lifecycle: Lifecycle) => void;
}

async function story(failAt: FailAt, { afterPrepare }: Interruption = {}): Promise<void> {
  const { exchanges } = openMemoryEngine();
  let isFirst = true;
  const due = (name: string): void => {
    if (isFirst && failAt.isDue(name)) throw new Error(`made to fail: ${name}`);
  };
  const waits = async (name: string): Promise<void> => {
    await Promise.resolve();
    due(name);
  };
  const contextOf = () => ({ ...exchanges, retire: () => due('retire') });
  assert.ok(old.settings !== undefined && fresh.settings !== undefined);
  let now: Served = createServed(old.settings, contextOf(), numbers, new Map(), new Persons(new Map()));
  const records: (string | undefined)[] = [];
  let copy = '';
  const lines: string[] = [];
  const told: Reloaded[] = [];
  const switchedWhile: Phase[] = [];
  /** Prepared sockets that were neither taken nor given back. */
  let sockets = 0;
  const lifecycle = new Lifecycle();
  lifecycle.become('serving');
  const reloader = new Reloader({
    load: async () => {
      await waits('load');
      return fresh;
    },
    clock: { wallMs: () => 1 },
    log: {
      report: ({ event, text }) => {
        lines.push(`${event}: ${text}`);
        due('report');
      },
      configure: () => due('configure'),
    },
    access: { turnTo: () => [] },
    whyNobodyOperates: () => undefined,
    users: {
      prepare: async () => {
        await waits('users');
        return { persons: new Persons(new Map()), commit: () => due('users are known') };
      },
    },
    names: withoutDirectory,
    journal: {
      keepPolicy: () => waits('keepPolicy'),
      append(record) {
        assert.equal(now.settings.hash, fresh.settings?.hash, 'recorded before it is in force');
        if (copy !== now.settings.hash)
          assert.match(failAt.failed ?? '', /^keep/, 'recorded before its copy');
        records.push(record.version);
        return failAt.isDue('append') ? new JournalFault('overflow', 'made to fail') : undefined;
      },
      checkpoint: () => waits('checkpoint'),
    },
    copyBefore: async () => {
      await waits('copyBefore');
      return copy;
    },
    keep: async (text) => {
      await waits('keep');
      copy = text;
    },
    lifecycle,
    served: {
      get now() {
        return now;
      },
      turnTo(next) {
        switchedWhile.push(lifecycle.at);
        due('turnTo');
        now = next;
      },
    },
    pools: {
      prepare() {
        due('pools.prepare');
        return { byName: new Map(), commit: () => due('pools.commit') };
      },
    },
    listeners: {
      async prepare() {
        await waits('listeners.prepare');
        sockets += 1;
        if (isFirst) afterPrepare?.(lifecycle);
        return {
          commit() {
            sockets -= 1;
            due('listeners.commit');
            return waits('listeners.close');
          },
          cancel() {
            sockets -= 1;
            return waits('listeners.cancel');
          },
        };
      },
    },
    certificates: {
      prepare() {
        due('certificates.prepare');
        return { commit: () => due('certificates.commit') };
      },
    },
    service: { reviewRights: () => due('reviewRights') },
    shipping: { replace: () => due('shipping.replace') },
    contextOf() {
      due('contextOf');
      return contextOf();
    },
    doorsOf() {
      due('doorsOf');
      return new Map();
    },
  });
  reloader.follow({
    begun: () => due('begun'),
    done(reloaded) {
      told.push(reloaded);
      due('done');
    },
  });
  const first = await reloader.reload({ by: 'root' });
  assert.ok(switchedWhile.every((at) => at === 'reloading'));
  assert.equal(sockets, 0);
  if (afterPrepare !== undefined) return;
  const isNew = now.settings.hash === fresh.settings.hash;
  assert.deepEqual([first.isSuccess, first.hash], [isNew, now.settings.hash]);
  assert.deepEqual(records, isNew ? [fresh.settings.hash] : []);
  assert.equal(lifecycle.at, 'serving');
  assert.equal(sockets, 0);
  assert.deepEqual([told.length, reloader.last], [1, first]);
  const expected = isNew ? 'reloaded' : 'reload-failed';
  assert.ok(lines.some((line) => line.startsWith(expected)));
  // What the journal loses it counts and logs itself, and a log that fails cannot say so.
  if (failAt.failed !== undefined && !/^(append|report)/.test(failAt.failed)) {
    assert.match(lines.join('\n'), /made to fail/);
  }

  isFirst = false;
  const second = await reloader.reload({ by: 'root' });
  assert.deepEqual([second.isSuccess, now.settings.hash], [true, fresh.settings.hash]);
  assert.equal(records.length, isNew ? 2 : 1);
  assert.equal(sockets, 0);
}

void test('each port call of a reload fails once', async (t) => {
  t.diagnostic(`${await failAtEach(story)} calls`);
});

void test('a stop at any moment after the sockets were made: a daemon that drains is never switched', async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const afterPrepare = async (lifecycle: Lifecycle): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      if (lifecycle.at === 'reloading') lifecycle.become('draining');
    };
    const never: FailAt = { isDue: () => false, failed: undefined };
    await story(never, { afterPrepare: (lifecycle) => void afterPrepare(lifecycle) });
  }
});

// Reloads that are requested while one runs are one reload, which reads the files after the last request.
const unused = (): never => assert.fail('a file with problems changes nothing');

/** A reloader whose file always has a problem: what `fileIs` said last. A read takes until `finish`; after `finishAll`, no time. */
function openReloader() {
  let reads = 0;
  let text = 'first';
  let isFast = false;
  let finish = (): void => undefined;
  const lifecycle = new Lifecycle();
  lifecycle.become('serving');
  const settings = old.settings ?? assert.fail();
  const exchanges = { ...openMemoryEngine().exchanges, retire: unused };
  const now = createServed(settings, exchanges, numbers, new Map(), new Persons(new Map()));
  const parts: ReloadParts = {
    access: { turnTo: unused },
    whyNobodyOperates: unused,
    users: { prepare: unused },
    load: () => {
      reads += 1;
      const problems = [text];
      return new Promise<LoadedConfiguration>((resolve) => {
        finish = () => resolve({ settings: undefined, problems, found: [], errors: 1 });
        if (isFast) finish();
      });
    },
    clock: { wallMs: () => 1 },
    log: { report: () => undefined, configure: unused },
    journal: { keepPolicy: unused, append: unused, checkpoint: unused },
    keep: unused,
    copyBefore: unused,
    lifecycle,
    served: { now, turnTo: unused },
    pools: { prepare: unused },
    listeners: { prepare: unused },
    certificates: { prepare: unused },
    service: { reviewRights: unused },
    shipping: { replace: unused },
    names: { numbersOf: unused, loginOf: unused, hasUser: unused, hasDirectory: unused },
    contextOf: unused,
    doorsOf: unused,
  };
  return {
    reloader: new Reloader(parts),
    reads: () => reads,
    finish: () => finish(),
    finishAll: () => {
      isFast = true;
      finish();
    },
    fileIs: (changed: string) => {
      text = changed;
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

void test('200 requests while one runs: one reload follows, of what the file holds then, and all get its result', async () => {
  const { reloader, reads, finishAll, fileIs } = openReloader();
  const first = reloader.reload({ by: 'root' });
  await turn();
  assert.equal(reads(), 1);
  const later = Array.from({ length: 200 }, (_, at) => {
    fileIs(`request ${at}`);
    return reloader.reload({ by: 'root' });
  });
  await turn();
  assert.equal(reads(), 1, 'one at a time');
  finishAll();
  assert.deepEqual((await first).problems, ['first']);
  for (const each of await Promise.all(later)) assert.deepEqual(each.problems, ['request 199']);
  assert.equal(reads(), 2);
  await reloader.reload({ by: 'root' });
  assert.equal(reads(), 3);
});

void test('a request that comes while the joined one reads is one more', async () => {
  const { reloader, reads, finish, finishAll, fileIs } = openReloader();
  const all = [reloader.reload({ by: 'root' }), reloader.reload({ by: 'root' })];
  await turn();
  finish();
  await turn();
  assert.equal(reads(), 2);
  fileIs('later');
  all.push(reloader.reload({ by: 'root' }), reloader.reload({ by: 'root' }));
  finishAll();
  const problems = (await Promise.all(all)).map((each) => each.problems[0]);
  assert.deepEqual(problems, ['first', 'first', 'later', 'later']);
  assert.equal(reads(), 3);
});
