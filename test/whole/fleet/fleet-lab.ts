// A stream on a real server with the journals of gates in it, as the writer of the daemon makes them, and what a verifier needs to read it.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { formatHead, hostStreamOf, subjectOf } from '../../../src/evidence/fleet/block.js';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { formatTrust } from '../../../src/evidence/fleet-cli/fleet-trust.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';
import { parseLine } from '../../../src/host/values/values.js';
import { readClaim } from '../../../src/journal/records/ledger.js';
import { signKey } from '../../evidence/cli/shown.js';
import type { Nats } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import type { Skipped } from '../../kit/plain/skipped.js';

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

/** Sends lines as a gate does, in blocks of at most `count`, behind what the subject has. */
export async function send(
  link: NatsLink,
  host: string,
  { id, lines }: Lines,
  count = 25,
  stream = 'DOVEGATE_AUDIT',
): Promise<void> {
  const subject = subjectOf(host, id);
  let expected = (await link.lastOf(hostStreamOf(stream, host).name, subject))?.streamSeq ?? 0;
  for (let at = 0; at < lines.length; at += count) {
    const block = lines.slice(at, at + count);
    const [first, last] = [block[0], block.at(-1)].map((line) =>
      readClaim(Buffer.from(line?.trimEnd() ?? '')),
    );
    if (first === undefined || last === undefined) throw new Error('no line of a journal');
    const head = { kind: 'block', first: first.seq, last: last.seq, head: last.hash } as const;
    const headers = formatHead(id, head);
    ({ streamSeq: expected } = await link.publish(subject, headers, Buffer.from(block.join('')), expected));
  }
}

/** Runs subcommands of `audit fleet`, as the verifier. */
export interface Desk {
  readonly config: string;
  readonly state: string;
  run(...args: string[]): Promise<ProgramResult>;
  /** Runs a subcommand of `audit` over the mirror. */
  read(...args: string[]): Promise<ProgramResult>;
  /** fleet.yaml again, with other hosts or more lines. */
  write(
    hosts: Readonly<Record<string, Readonly<Record<string, string>>>>,
    more?: Readonly<Record<string, unknown>>,
  ): void;
}

/** `user`: whose credentials it has. */
export function openDesk(
  nats: Nats,
  hosts: Parameters<Desk['write']>[0],
  user = 'verifier',
  metrics = 'off',
): Desk {
  const { folder, port } = nats;
  const config = join(folder, `fleet-${user}.yaml`);
  const state = join(folder, `state-${user}`);
  const write: Desk['write'] = (named, more = {}) => {
    const settings = {
      nats: `tls://127.0.0.1:${port}`,
      ...nats.loginOf(user),
      state,
      metrics,
      // Journals of a test are sent long after they were written.
      drift: '1h',
      max_size: '1GiB',
      ...more,
    };
    const lines = Object.entries(settings).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}: ${JSON.stringify(value)}\n`],
    );
    const listed = Object.entries(named).map(
      ([host, own]) => `  ${JSON.stringify(host)}: ${JSON.stringify(own)}\n`,
    );
    // As `prepare` writes it: `issue` adds a host.
    const all = listed.length === 0 ? 'hosts: {}\n' : `hosts:\n${listed.join('')}`;
    writeFileSync(config, lines.join('') + all);
  };
  write(hosts);
  return {
    config,
    state,
    write,
    run: (...args) => {
      const [name = '', ...rest] = args;
      return runWarm(['audit', 'fleet', name, '--config', config, ...rest]);
    },
    read: (...args) => {
      const [name = '', ...rest] = args;
      return runWarm(['audit', name, '--fleet', config, ...rest]);
    },
  };
}

/** The folder `fleet` of this server, as `prepare` makes it. */
export function layAdmin({ folder, trust, authority }: Nats): void {
  if (trust === undefined) throw new Error('users of this server have certificates');
  const at = (...names: readonly string[]): string => join(folder, ...names);
  mkdirSync(at('fleet', 'admin', 'accounts'), { recursive: true, mode: 0o700 });
  mkdirSync(at('fleet', 'keys'));
  const put = (name: string, text: string): void => writeFileSync(at('fleet', name), text, { mode: 0o600 });
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  put('ca.pem', authority.certificatePem);
  put('verifier.creds', read('verifier.creds'));
  put('admin/ca.key', authority.keyPem);
  put('admin/server.pem', read('server.pem'));
  put('admin/server.key', read('server.key'));
  put('admin/trust.json', formatTrust(trust.trust));
  put('admin/administrator.creds', read('admin.creds'));
  put('admin/system.creds', read('system.creds'));
  for (const [host, account] of trust.accounts) put(`admin/accounts/${host}.jwt`, account);
}

/** With `fleet.yaml`. Returns its path. */
export function layFleet(nats: Nats, hosts: readonly string[]): string {
  const { folder, port } = nats;
  layAdmin(nats);
  const lines = hosts.map(
    (host) => `  ${JSON.stringify(host)}: { key: "fleet/keys/${host}.pub", silent_after: 5m }\n`,
  );
  const config = join(folder, 'fleet.yaml');
  writeFileSync(
    config,
    `nats: tls://127.0.0.1:${port}
ca: fleet/ca.pem
credentials: fleet/verifier.creds
state: ${JSON.stringify(join(folder, 'state'))}
metrics: "off"
share: 1GiB
hosts:
${lines.join('')}`,
  );
  return config;
}

/** `HOST KIND: TEXT` of each finding of `verify`. */
export async function findingsOf(desk: Desk, ...flags: string[]): Promise<readonly string[]> {
  const done = await desk.run('verify', '--json', ...flags);
  const { findings }: FleetStatus = JSON.parse(done.stdout.toString());
  assert.equal(done.exit, findings.length === 0 ? 0 : 1, done.text);
  return findings.map(({ kind, host, text }) => `${host} ${kind}: ${text}`);
}

/** What a watch has written last. */
export function statusOf({ state }: Pick<Desk, 'state'>): FleetStatus {
  return JSON.parse(readFileSync(join(state, 'status.json'), 'utf8'));
}

/** The stream is made, and each host's journal sent. */
export async function fill(nats: Nats, journals: Readonly<Record<string, Lines>>): Promise<void> {
  const hosts = Object.fromEntries(['gate1', ...Object.keys(journals)].map((host) => [host, {}]));
  const admin = openDesk(nats, hosts, 'admin');
  const made = await admin.run('init');
  if (made.exit !== 0) throw new Error(made.text);
  for (const [host, lines] of Object.entries(journals)) {
    const link = await openNats(nats.settingsOf(host));
    await send(link, host, lines);
    await link.close();
  }
}

export const trusted = { key: signKey.key };

/** For `t.skip`; undefined: there is a server. */
export function skipOf(t: TestContext, opened: object): opened is Skipped {
  if (!('skip' in opened)) return false;
  t.skip(String(opened.skip));
  return true;
}
