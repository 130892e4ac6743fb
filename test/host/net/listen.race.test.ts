// Goal: whoever can write to the directory of a socket cannot make us change, replace or remove anything else. Before each call that
// concerns files, in turn, an attacker puts something else in the way: a link at the socket's path, at the directory in which it
// is made, or at the directory that it lies in. What must not happen: the files that these links lead to change or go.

import assert from 'node:assert/strict';
import fs, {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/host/machine/clock.js';
import { type BoundListener, bindUnix, createAcceptor, ListenFault } from '../../../src/host/net/listen.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import { openFolder } from '../../kit/plain/folder.js';

const calls =
  'chmodSync chownSync fstatSync linkSync lstatSync mkdtempSync openSync renameSync rmdirSync unlinkSync';

/** Runs `before` before each of these calls, with its number; what it does itself is not counted. Returns what ends it. */
function interpose(before: (call: number) => void): () => void {
  const real = new Map(calls.split(' ').map((name) => [name, Reflect.get(fs, name)]));
  let count = 0;
  let isInside = false;
  for (const [name, run] of real) {
    Reflect.set(fs, name, (...args: unknown[]) => {
      if (!isInside) {
        isInside = true;
        count += 1;
        before(count);
        isInside = false;
      }
      return Reflect.apply(run, fs, args);
    });
  }
  syncBuiltinESMExports();
  return () => {
    for (const [name, run] of real) Reflect.set(fs, name, run);
    syncBuiltinESMExports();
  };
}

interface Place {
  /** The directory of the socket, to which the attacker can write. */
  readonly run: string;
  readonly path: string;
  /** A directory of somebody else. */
  readonly victim: string;
}

/** A socket that no process listens on. */
async function leaveStale(path: string): Promise<void> {
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen({ path: `${path}.old` }, resolve));
  renameSync(`${path}.old`, path);
  await new Promise((resolve) => dead.close(resolve));
}

async function placeOf(t: TestContext): Promise<Place> {
  const folder = openFolder(t);
  const [run, victim] = [join(folder, 'run'), join(folder, 'victim')];
  mkdirSync(run);
  mkdirSync(victim);
  writeFileSync(join(victim, 'secret'), 'secret', { mode: 0o640 });
  for (const at of [join(run, 'a.sock'), join(victim, 'a.sock')]) await leaveStale(at);
  chmodSync(join(victim, 'a.sock'), 0o600);
  return { run, path: join(run, 'a.sock'), victim };
}

/** What there is, with mode, owner and identity. */
function stateOf(folder: string): unknown {
  return readdirSync(folder).map((name) => {
    const { ino, mode, uid, gid, nlink } = lstatSync(join(folder, name));
    return { name, ino, mode, uid, gid, nlink };
  });
}

const attacks: Readonly<Record<string, (place: Place) => void>> = {
  'a link at the path of the socket': ({ path, victim }) => {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) renameSync(path, `${path}.moved`);
    symlinkSync(join(victim, 'secret'), path);
  },
  'another directory for making it, with links': ({ run, victim }) => {
    for (const name of readdirSync(run).filter((each) => each.startsWith('.dg-'))) {
      renameSync(join(run, name), join(run, `moved${name}`));
      mkdirSync(join(run, name));
      for (const link of ['s', name.slice(1)]) symlinkSync(join(victim, 'secret'), join(run, name, link));
    }
  },
  'a link for the directory for making it': ({ run, victim }) => {
    for (const name of readdirSync(run).filter((each) => each.startsWith('.dg-'))) {
      renameSync(join(run, name), join(run, `moved${name}`));
      symlinkSync(victim, join(run, name));
    }
  },
  'a link for the directory that it lies in': ({ run, victim }) => {
    renameSync(run, `${run}.moved`);
    symlinkSync(victim, run);
  },
};

const refuse = (transport: Transport): void => transport.close('draining', true);
const listenAt = (path: string, mode: number) =>
  bindUnix(createAcceptor(systemClock, refuse), { path, mode, ...nobody }, assert.fail);
const nobody = { uid: process.getuid?.(), gid: process.getgid?.() };

const steps: Readonly<Record<string, (listener: BoundListener) => void | Promise<void>>> = {
  'it is changed': (listener) => listener.change({ mode: 0o666, ...nobody }),
  'it is removed': (listener) => listener.close(),
};

for (const [attack, put] of Object.entries(attacks)) {
  test(`${attack}, while a socket is made`, async (t) => {
    // The first call of all finds the directory; what its path leads to before is where the socket belongs.
    for (let at = 2, isReached = true; isReached; at += 1) {
      const place = await placeOf(t);
      const before = stateOf(place.victim);
      isReached = false;
      const end = interpose((call) => {
        if (call !== at) return;
        isReached = true;
        put(place);
      });
      const made = await listenAt(place.path, 0o666)
        .catch((fault: unknown) => {
          assert.ok(fault instanceof ListenFault, String(fault));
        })
        .finally(end);
      t.after(() => made?.close());
      assert.deepEqual(stateOf(place.victim), before, `before call ${at}`);
    }
  });

  for (const [name, step] of Object.entries(steps)) {
    test(`${attack}, while ${name}`, async (t) => {
      for (let at = 1, isReached = true; isReached; at += 1) {
        const place = await placeOf(t);
        const before = stateOf(place.victim);
        const made = await listenAt(place.path, 0o600);
        if (name !== 'it is removed') t.after(() => made.close());
        isReached = false;
        const end = interpose((call) => {
          if (call !== at) return;
          isReached = true;
          put(place);
        });
        try {
          await step(made);
        } catch (fault) {
          assert.ok(fault instanceof ListenFault, String(fault));
        } finally {
          end();
        }
        assert.deepEqual(stateOf(place.victim), before, `before call ${at}`);
      }
    });
  }
}
