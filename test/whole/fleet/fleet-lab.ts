// A store in a folder with the journals of gates in it, as the writer of the daemon makes them, and what a verifier needs to read it.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { packBlock } from '../../../src/evidence/store/block.js';
import { type BlockName, formatName } from '../../../src/evidence/store/names.js';
import type { ObjectStore } from '../../../src/host/ports/store.js';
import { openFolder as openStore } from '../../../src/host/store/folder.js';
import { parseLine } from '../../../src/host/values/values.js';
import { readClaim } from '../../../src/journal/records/ledger.js';
import { signKey } from '../../evidence/cli/shown.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import type { ProgramResult } from '../../kit/plain/program.js';

/** Lines of a journal, each with its LF, and its id. */
export interface Lines {
  readonly id: string;
  readonly lines: readonly string[];
}

export function readLines(directory: string): Lines {
  const names = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
  const text = names
    .toSorted()
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('');
  const lines = text.split(/(?<=\n)/);
  return { id: String(parseLine(lines[0] ?? '')?.['journal']), lines };
}

/** The name that fits them. */
export function nameOf(host: string, journal: string, lines: readonly string[]): BlockName {
  const [first, last] = [lines[0], lines.at(-1)].map((line) => readClaim(Buffer.from(line?.trimEnd() ?? '')));
  assert.ok(first !== undefined && last !== undefined, 'lines of a journal');
  return { kind: 'block', host, journal, first: first.seq, last: last.seq, hash: last.hash, isCopy: false };
}

/** A folder of a test as a store; objects are put there as a gate does, and may be changed as any file. */
export interface Trail {
  readonly folder: string;
  /** Where the objects are. */
  readonly root: string;
  readonly store: ObjectStore;
  /** Puts lines in blocks of at most `count`; returns the names. */
  send(host: string, lines: Lines, count?: number): Promise<readonly string[]>;
  put(name: BlockName, text: Buffer): Promise<void>;
  pathOf(name: BlockName | string): string;
}

export function openTrail(owner: Owner): Trail {
  const folder = openFolder(owner);
  mkdirSync(join(folder, 'store'));
  const store = openStore(join(folder, 'store'), 'dovegate');
  const root = join(folder, 'store', 'dovegate');
  const put: Trail['put'] = async (name, text) => {
    await store.put(formatName(name), await packBlock(text), { ifAbsent: true });
  };
  return {
    folder,
    root,
    store,
    put,
    pathOf: (name) => join(root, typeof name === 'string' ? name : formatName(name)),
    async send(host, { id, lines }, count = 25) {
      const names: string[] = [];
      for (let at = 0; at < lines.length; at += count) {
        const some = lines.slice(at, at + count);
        const name = nameOf(host, id, some);
        await put(name, Buffer.from(some.join('')));
        names.push(formatName(name));
      }
      return names;
    },
  };
}

export type Hosts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A verifier: fleet.yaml, and the subcommands of `audit fleet`. */
export interface Desk {
  readonly config: string;
  readonly state: string;
  /** A file beside fleet.yaml. */
  at(...path: readonly string[]): string;
  run(...args: string[]): Promise<ProgramResult>;
  /** Runs a subcommand of `audit` over the mirror. */
  read(...args: string[]): Promise<ProgramResult>;
  /** fleet.yaml again, with other hosts or more lines. */
  write(hosts: Hosts, more?: Readonly<Record<string, unknown>>): void;
  /** `verify --json`; throws where it could not verify. */
  verify(...flags: string[]): Promise<FleetStatus & { readonly exit: number; readonly text: string }>;
  /** What verify or watch wrote last. */
  status(): FleetStatus;
}

/** `settings`: of fleet.yaml, the same in each `write`. */
export function openDesk(
  owner: Owner,
  { folder }: Pick<Trail, 'folder'>,
  hosts: Hosts,
  settings: Readonly<Record<string, unknown>> = {},
): Desk {
  const own = openFolder(owner);
  const at = (...path: readonly string[]): string => join(own, ...path);
  const [config, state] = [at('fleet.yaml'), at('state')];
  const write: Desk['write'] = (named, more = {}) => {
    const all = {
      store: `file://${folder}/store`,
      state,
      metrics: 'off',
      ...settings,
      ...more,
      hosts: named,
    };
    const lines = Object.entries(all).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}: ${JSON.stringify(value)}\n`],
    );
    writeFileSync(config, lines.join(''), { mode: 0o600 });
  };
  write(hosts);
  const run: Desk['run'] = (name = '', ...rest) =>
    runWarm(['audit', 'fleet', name, '--config', config, ...rest]);
  return {
    config,
    state,
    at,
    write,
    run,
    read: (name = '', ...rest) => runWarm(['audit', name, '--fleet', config, ...rest]),
    async verify(...flags) {
      const { exit, stdout, text } = await run('verify', '--json', ...flags);
      assert.ok(exit <= 1, `verify ${flags.join(' ')}: exit ${exit}: ${text}`);
      const status: FleetStatus = JSON.parse(stdout.toString());
      assert.equal(exit, status.findings.length === 0 ? 0 : 1, text);
      return { ...status, exit, text };
    },
    status: () => JSON.parse(readFileSync(join(state, 'status.json'), 'utf8')),
  };
}

/** `HOST KIND` of each finding, once. */
export function kindsOf({ findings }: Pick<FleetStatus, 'findings'>): readonly string[] {
  return [...new Set(findings.map(({ kind, host }) => `${host} ${kind}`))].toSorted();
}

export const trusted = { key: signKey.key };
