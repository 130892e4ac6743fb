// The built daemon as a child process: configuration in, log records and exit code out. It owns the child and ends it with the test,
// also when the test or this process fails. The folder of the test is the daemon's folder: paths in a configuration are relative to it.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { logCodes } from '../../../src/gate/telemetry/log-codes.js';
import { createEventWait } from '../plain/event-wait.js';
import { addMemory, endBefore, makeFolder, type Owner, removeAfter } from '../plain/folder.js';
import { type ProgramOptions, type ProgramResult, runProgram } from '../plain/program.js';
import { projectRoot } from '../plain/root.js';
import { type AuditLine, findSecrets, readAudit } from '../plain/traces.js';

/** dist/main.js beside the build folder that this file runs from (build/test/kit). */
export const builtProgram = join(
  process.env['DOVEGATE_CHECKOUT'] ?? fileURLToPath(projectRoot),
  'dist/main.js',
);

/** The same program as modules, as they are written: for what counts by module. */
export const unbundledProgram = fileURLToPath(new URL('build/src/main.js', projectRoot));

/** One line of the daemon's log. */
export type LogRecord = Readonly<Record<string, unknown>>;

export interface Exit {
  /** null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface DaemonOptions {
  /** Text of the configuration file; in the folder of an earlier daemon, default: the one that stands there. */
  config?: string;
  /** More files for the folder, by name: password, certificates, policies. Mode 0600. */
  files?: Readonly<Record<string, string>>;
  /** A folder of an earlier daemon, to start again on what it left. Default: a new one. */
  folder?: string;
  /** The subcommand; default `serve`. */
  command?: string;
  /** Added behind `serve --config FILE`. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** What starts it: a program and its arguments, behind which the daemon's own command line is put. */
  launcher?: readonly string[];
  /** Descriptors of ours that it gets as 3 and following. */
  descriptors?: readonly number[];
  /** Another program than dist/main.js. */
  program?: string;
  /** Another Node than this process's. */
  node?: string;
  /** For Node. */
  nodeFlags?: readonly string[];
  /** How long the start may take; default 120 s. */
  startMs?: number;
  /** The record that says that it has started; default `started`. */
  startEvent?: string;
}

export interface Daemon {
  readonly folder: string;
  readonly configFile: string;
  readonly pid: number;
  /** A path in the folder. */
  path(name: string): string;
  /** All log records so far. */
  readonly logs: readonly LogRecord[];
  /** All that it wrote to stdout and stderr. */
  output(): string;
  /** The first record, past or coming, that `isIt` accepts; rejects after `ms` (60 s), or when the daemon has exited without it. */
  waitForLog(isIt: (record: LogRecord) => boolean, what: string, ms?: number): Promise<LogRecord>;
  /** Writes a file of the folder anew (for a reload). */
  write(name: string, text: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Reads its configuration again (SIGHUP), with another text of it where one is given; the next record of the event. */
  reload(config?: string, event?: 'reloaded' | 'reload-failed'): Promise<LogRecord>;
  /** SIGTERM, and the end awaited; SIGKILL after `ms` (120 s). */
  stop(ms?: number): Promise<Exit>;
  /** SIGKILL. */
  kill(): Promise<Exit>;
  readonly exited: Promise<Exit>;
  /** The journal in this folder, in order: *.jsonl by name, a cut last line left out. */
  audit(directory?: string): AuditLine[];
  /** Where one of these texts stands, also encoded, in anything that the daemon wrote: `FILE: needle`. Files given to it do not count. */
  grepSecrets(needles: readonly string[]): string[];
}

/** The daemon ended before it had started, or did not say that it had. */
export class DaemonStartError extends Error {
  readonly exit: Exit | undefined;
  readonly output: string;
  constructor(message: string, exit: Exit | undefined, output: string) {
    super(`${message}\n${output}`);
    this.name = 'DaemonStartError';
    this.exit = exit;
    this.output = output;
  }
}

/** Starts it and waits for the record `event: "started"`; rejects with DaemonStartError. */
export async function startDaemon(owner: Owner, options: DaemonOptions): Promise<Daemon> {
  const folder = options.folder ?? makeFolder();
  if (options.folder === undefined) addMemory(folder);
  const given = {
    ...(options.config !== undefined && { 'dovegate.yaml': options.config }),
    ...options.files,
  };
  for (const [name, text] of Object.entries(given)) writeInto(folder, name, text);
  const configFile = join(folder, 'dovegate.yaml');

  const { command = 'serve' } = options;
  const program = options.program ?? builtProgram;
  const args = [
    ...(options.nodeFlags ?? []),
    program,
    command,
    '--config',
    configFile,
    ...(options.args ?? []),
  ];
  const [file = '', ...rest] = [...(options.launcher ?? []), options.node ?? process.execPath, ...args];
  const child = spawn(file, rest, {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.descriptors ?? [])],
  });
  endWithUs(child);
  const { stdout, stderr } = child;
  assert.ok(stdout !== null && stderr !== null, 'both are pipes');
  const events = createEventWait();
  const chunks: Buffer[] = [];
  const logs: LogRecord[] = [];
  let line = '';
  stdout.setEncoding('utf8');
  stdout.on('data', (text: string) => {
    chunks.push(Buffer.from(text));
    const lines = (line + text).split('\n');
    line = lines.pop() ?? '';
    for (const each of lines) {
      const record = parseRecord(each);
      if (record === undefined) continue;
      logs.push(record);
      if (!isListed(record)) unlisted.push(each);
    }
    events.wake();
  });
  stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const output = (): string => Buffer.concat(chunks).toString();
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      exit = { code, signal };
      events.wake();
      resolve(exit);
    };
    child.once('error', () => end(null, null));
    child.once('close', end);
  });
  const endBy = async (signal: NodeJS.Signals): Promise<Exit> => {
    if (exit === undefined) child.kill(signal);
    return exited;
  };
  owner.after(async () => {
    await endBy('SIGKILL');
  });
  endBefore(folder, () => endBy('SIGKILL'));
  // Not before it has ended: it writes there.
  if (options.folder === undefined) removeAfter(owner, folder);

  const daemon: Daemon = {
    folder,
    configFile,
    pid: child.pid ?? 0,
    logs,
    output,
    exited,
    path: (name) => join(folder, name),
    async waitForLog(isIt, what, ms) {
      const find = (): LogRecord | undefined => logs.find(isIt);
      const found = (): boolean => find() !== undefined || exit !== undefined;
      await events.until(found, () => `${what}\n${output()}`, ms);
      const record = find();
      if (record === undefined) throw new Error(`the daemon ended without: ${what}\n${output()}`);
      return record;
    },
    write: (name, text) => writeInto(folder, name, text),
    signal(signal) {
      child.kill(signal);
    },
    reload(config, event = 'reloaded') {
      const seen = logs.length;
      if (config !== undefined) daemon.write('dovegate.yaml', config);
      daemon.signal('SIGHUP');
      return daemon.waitForLog((record) => record['event'] === event && logs.indexOf(record) >= seen, event);
    },
    async stop(ms = 120_000) {
      const timer = setTimeout(() => child.kill('SIGKILL'), ms);
      try {
        return await endBy('SIGTERM');
      } finally {
        clearTimeout(timer);
      }
    },
    kill: () => endBy('SIGKILL'),
    audit(directory = 'audit') {
      const place = join(folder, directory);
      if (exit === undefined) waitForRecords(place);
      return readAudit(place);
    },
    grepSecrets: (needles) => findSecrets(needles, folder, Object.keys(given), output()),
  };
  try {
    const { startEvent = 'started' } = options;
    await daemon.waitForLog(
      ({ event }) => event === startEvent,
      `the record "${startEvent}"`,
      options.startMs ?? 120_000,
    );
  } catch (error) {
    if (exit === undefined) await endBy('SIGKILL');
    const why = error instanceof Error ? error.message.split('\n', 1).join('') : String(error);
    throw new DaemonStartError(why, exit, output());
  }
  return daemon;
}

/** The page's process beside a daemon whose configuration has `admin.door`, until it serves its sockets. */
export function startPage(
  owner: Owner,
  { folder }: Pick<Daemon, 'folder'>,
  options: Omit<DaemonOptions, 'config' | 'folder' | 'command'> = {},
): Promise<Daemon> {
  return startDaemon(owner, { startEvent: 'page-opened', ...options, folder, command: 'page' });
}

/** The process that ships, beside a daemon whose configuration has `audit.door`. Its state is beside that of the daemon. */
export function startShip(
  owner: Owner,
  { folder }: Pick<Daemon, 'folder'>,
  options: Omit<DaemonOptions, 'config' | 'folder' | 'command'> = {},
): Promise<Daemon> {
  const args = ['--state', shipStateOf({ folder }), ...(options.args ?? [])];
  return startDaemon(owner, { ...options, args, folder, command: 'ship' });
}

/** Where a process of `startShip` keeps how far receivers are. */
export function shipStateOf({ folder }: Pick<Daemon, 'folder'>): string {
  return join(folder, 'ship-state');
}

/** Another subcommand of the built program, run to its end. */
export function runDovegate(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  return runProgram(process.execPath, [builtProgram, ...args], options);
}

function writeInto(folder: string, name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o600 });
}

function parseRecord(line: string): LogRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // not a log record; output() has it
  }
}

const unlisted: string[] = [];
// A hook of a test that throws would keep the hooks behind it from ending what they own.
process.once('exit', () => {
  if (unlisted.length === 0) return;
  console.error(
    `lines of the log whose code is in no table, or not with this level:\n${unlisted.join('\n')}`,
  );
  process.exitCode = 1;
});

/** Also true of a line that is none of the log. */
function isListed({ event, level }: LogRecord): boolean {
  if (typeof event !== 'string' || typeof level !== 'string') return true;
  return Object.entries(logCodes).some(
    ([code, [levels]]) => code === event && levels.some((each) => each === level),
  );
}

const children = new Set<ChildProcess>();

/** However this process ends, as long as it can do anything at all, its children end before it. */
function endWithUs(child: ChildProcess): void {
  if (children.size === 0 && process.listenerCount('exit', killChildren) === 0) {
    process.on('exit', killChildren);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.once(signal, () => {
        killChildren();
        process.kill(process.pid, signal);
      });
    }
  }
  children.add(child);
  child.once('close', () => children.delete(child));
}

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Nothing was written for so long: the daemon hands records that nobody waits for to the disk within 20 ms, and then syncs them. */
const quietMs = 150;

/** Until the journal has not grown for a moment, or for 3 s; holds this process up meanwhile, so that nothing more is caused. */
function waitForRecords(directory: string): void {
  const bytes = (): number => {
    const names = existsSync(directory)
      ? readdirSync(directory).filter((name) => name.endsWith('.jsonl'))
      : [];
    return names.reduce(
      (sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  };
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (let before = -1, now = bytes(), left = 20; left > 0 && before !== now; left -= 1) {
    Atomics.wait(sleep, 0, 0, quietMs);
    [before, now] = [now, bytes()];
  }
}
