// Goal: the state is one process's at a time, whole after a power cut, and refused where it is another store's.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { type FleetSettings, parseFleetSettings } from '../../../src/evidence/fleet/parse-fleet.js';
import {
  openStateFolder,
  readStatus,
  type SavedState,
} from '../../../src/evidence/fleet-cli/state-folder.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { exitCodes } from '../../../src/host/ports/machine.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { openFolder } from '../../kit/plain/folder.js';

const { settings } = parseFleetSettings('f', 'store: file:///srv/trail\nhosts: { gate1: }\n', {
  readText: () => '',
  whyUnreadable: () => undefined,
  isMissing: () => false,
  whyUnsafe: () => undefined,
});
const settingsAt = (state: string, prefix = 'dovegate'): FleetSettings => ({
  ...(settings ?? assert.fail()),
  prefix,
  state,
});

const faultOf = (exitCode: number, text: RegExp) => (fault: unknown) =>
  fault instanceof CommandFault && fault.exitCode === exitCode && text.test(fault.message);

void test('one process has it; what was saved is there for the next one', async (t) => {
  const state = join(openFolder(t), 'fleet');
  const folder = await openStateFolder(settingsAt(state));
  const isHad = faultOf(exitCodes.notCarriedOut, /has the state in/);
  await assert.rejects(openStateFolder(settingsAt(state)), isHad);
  assert.equal(folder.load(), undefined);
  const ofJournal = { waiting: [], from: 'gate1/ab/y', times: [[7, 8]], day: [20000, 3, 700] } as const;
  const saved: SavedState = {
    journals: [{ folder: 'gate1/ab/', names: ['gate1/ab/x'], ...ofJournal }],
    lines: [['_verifiers/verifier/', 'x']],
    behindMs: [['gate1', 8]],
    fleet: { some: 'state' },
    told: ['silent gate1  '],
  };
  folder.save(saved);
  folder.close();
  const next = await openStateFolder(settingsAt(state));
  assert.deepEqual(next.load(), saved);
  next.close();
  assert.equal(statSync(state).mode & 0o777, 0o700);
  const other = await openStateFolder(settingsAt(state, 'OTHER'));
  assert.throws(() => other.load(), faultOf(exitCodes.configuration, /not a state of \/srv\/trail\/OTHER/));
  other.close();
});

void test('lines that were signed: the last ones, a torn one left out and not written over', async (t) => {
  const state = join(openFolder(t), 'fleet');
  const folder = await openStateFolder(settingsAt(state));
  t.after(() => folder.close());
  assert.deepEqual(folder.lastCheckpoints(), []);
  folder.addCheckpoint('{"seq":1}');
  folder.addCheckpoint('{"seq":2}\n');
  appendFileSync(join(state, 'checkpoints.jsonl'), '{"seq":3,"ti');
  assert.deepEqual(folder.lastCheckpoints().slice(-1), ['{"seq":2}']);
  folder.addCheckpoint('{"seq":3}');
  assert.deepEqual(folder.lastCheckpoints().slice(-1), ['{"seq":3}']);
  assert.match(readFileSync(join(state, 'checkpoints.jsonl'), 'utf8'), /\{"seq":3,"ti\n\{"seq":3\}\n$/);
});

void test('a key is made once, for nobody else to read; a status is there or not', async (t) => {
  const state = join(openFolder(t), 'fleet');
  const folder = await openStateFolder(settingsAt(state));
  t.after(() => folder.close());
  const pem = folder.signKey();
  assert.equal(folder.signKey(), pem);
  assert.equal(statSync(join(state, 'checkpoint.key')).mode & 0o777, 0o600);
  assert.equal(readStatus(state), undefined);
  const at = '2026-11-21T08:00:00Z';
  folder.writeStatus({ at, store: '/srv/trail/dovegate', records: 0, gates: [], findings: [] });
  // For the page of a dovegate beside it, by its group.
  assert.equal(statSync(join(state, 'status.json')).mode & 0o777, 0o640);
  writeFileSync(join(state, 'status.json'), '{');
  assert.throws(() => readStatus(state), faultOf(exitCodes.configuration, /status\.json cannot be read/));
});

void test('a key that is missing where one has signed is not made anew', async (t) => {
  const state = join(openFolder(t), 'fleet');
  const folder = await openStateFolder(settingsAt(state));
  t.after(() => folder.close());
  const [key = ''] = folder.publicKeys();
  const pem = folder.signKey();
  unlinkSync(join(state, 'checkpoint.key'));
  const named = key.replaceAll(/[+/]/g, String.raw`\$&`);
  const why = new RegExp(`missing, and checkpoint\\.pub says that ${named}`);
  const missing = faultOf(exitCodes.configuration, why);
  assert.throws(() => folder.signKey(), missing);
  assert.throws(() => folder.publicKeys(), missing);
  assert.equal(existsSync(join(state, 'checkpoint.key')), false);
  writeFileSync(join(state, 'checkpoint.key'), pem);
  assert.deepEqual(folder.publicKeys(), [key]);
});

void test('the key of checkpoints is replaced as a whole, whatever interrupts it', async (t) => {
  const state = join(openFolder(t), 'fleet');
  const at = (name: string): string => join(state, name);
  const open = () => openStateFolder(settingsAt(state));
  const next = makeSignKey();
  const folder = await open();
  const oldPem = folder.signKey();
  const { key: oldKey } = parseSignKey(oldPem);
  assert.deepEqual(folder.publicKeys(), [oldKey]);
  const { line } = signCheckpoint({ heads: [], findings: {}, nextKey: next.key }, undefined, oldPem, 0);
  folder.close();

  // The new key was written, and no line names it yet: it never was.
  writeFileSync(at('checkpoint.key.next'), next.secretPem);
  const before = await open();
  assert.deepEqual([before.publicKeys(), before.signKey() === oldPem], [[oldKey], true]);
  assert.equal(existsSync(at('checkpoint.key.next')), false);
  mkdirSync(at('checkpoint.key.next'));
  const cannot = faultOf(exitCodes.configuration, /the key of checkpoints cannot be replaced/);
  assert.throws(() => before.replaceKey(line, next.key, next.secretPem), cannot);
  rmdirSync(at('checkpoint.key.next'));
  before.addCheckpoint(line);
  // The line is there, and its key is gone.
  assert.throws(() => before.publicKeys(), faultOf(exitCodes.configuration, /was replaced by the key/));
  before.close();

  // The line names it, and it is not in its place yet.
  writeFileSync(at('checkpoint.key.next'), next.secretPem);
  const after = await open();
  assert.deepEqual([after.publicKeys(), after.signKey()], [[oldKey, next.key], next.secretPem]);
  assert.equal(statSync(at('checkpoint.key')).mode & 0o777, 0o600);
  assert.equal(existsSync(at('checkpoint.key.next')), false);
  after.close();

  // A key that settings name: the old one is refused once it was replaced.
  const [oldFile, newFile] = [at('old.pem'), at('new.pem')];
  const third = makeSignKey();
  writeFileSync(oldFile, next.secretPem);
  writeFileSync(newFile, third.secretPem);
  const named = (file: string) => openStateFolder({ ...settingsAt(state), checkpointKeyFile: file });
  const outside = await named(oldFile);
  const seen = { heads: [], findings: {}, nextKey: third.key };
  const { line: last } = signCheckpoint(seen, readCheckpoint(line), next.secretPem, 0);
  outside.replaceKey(last, third.key, undefined);
  const isReplaced = faultOf(exitCodes.configuration, /name its file as checkpoint_key/);
  assert.throws(() => outside.publicKeys(), isReplaced);
  outside.close();
  const own = await named(newFile);
  assert.deepEqual(own.publicKeys(), [oldKey, next.key, third.key]);
  own.close();
});
