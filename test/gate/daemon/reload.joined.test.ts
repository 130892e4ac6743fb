// Goal: reloads that are requested while one runs are one reload, which reads the files after the last request. What must not happen: a
// reload for each request, a caller without a result, a request whose files were read before it came.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lifecycle } from '../../../src/gate/daemon/lifecycle.js';
import { Reloader, type ReloadParts } from '../../../src/gate/daemon/reload.js';
import { createServed } from '../../../src/gate/daemon/served.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { Persons } from '../../../src/rules/identity/person.js';
import type { LoadedConfiguration } from '../../../src/rules/setup/inspect.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const unused = (): never => assert.fail('a file with problems changes nothing');

/** A reloader whose file always has a problem: what `fileIs` said last. A read takes until `finish`; after `finishAll`, no time. */
function openReloader() {
  let reads = 0;
  let text = 'first';
  let isFast = false;
  let isClockBroken = false;
  let finish = (): void => undefined;
  const lifecycle = new Lifecycle();
  lifecycle.become('serving');
  const { settings } = parseSettings('/etc/dovegate.yaml', {
    readText: () => memorySettings,
    glob: () => [],
    presetText: () => undefined,
  });
  assert.ok(settings !== undefined);
  const numbers = { uidOf: () => undefined, gidOf: () => undefined };
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
    clock: { wallMs: () => (isClockBroken ? assert.fail('made to fail') : 1) },
    log: { report: () => undefined, setLevel: unused },
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
    breakClock: (isBroken: boolean) => {
      isClockBroken = isBroken;
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
