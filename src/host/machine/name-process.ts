// The helper process that asks the system for names: a shell that runs `getent`, `id` and `getsubids` (scripts/names.sh), so that the
// serving process forks nothing while it serves. It has 1 MB; a child of Node has 45.
//
//   question   ID KIND KEY       one line; KIND is passwd, group, groups or ranges
//   answer     ID + TEXT         a part of it, any number of times; then
//              ID CODE           its end: 0 found, 2 (from getent) none, anything else no answer
//
// Questions are answered side by side, so answers come in any order. Each line is one write of less than 1 KB, which the kernel does not
// mix with those of other answers. The helper ends when its input does, also if the serving process was killed.

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../bounds/bounds.js';
import { backOffMs } from '../concurrency/back-off.js';
import type { Clock, Timer } from '../ports/machine.js';
import { packageFolder } from './process.js';

/** The account of a name or an id; the group; the gids that a user would get at a login; the user's ranges of subordinate uids. */
export type NameQuestion = 'passwd' | 'group' | 'groups' | 'ranges';

/** `parts`: for an account or a group one part, `NAME:ID`. */
export type ProcessAnswer =
  | { readonly kind: 'found'; readonly parts: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'unanswered' };

export type NameProcess = ReturnType<typeof startNameProcess>;

const shell = '/bin/sh';
const script = 'names.sh';

/** The time that an answer may be late before the helper counts as hanging. */
const graceMs = 2_000;
const pauseMs = { first: 1_000, most: 60_000 } as const;
/** A longer line is no answer of the script. */
const lineCharsMax = 4_096;
/** A user cannot be in more groups (NGROUPS_MAX of Linux). */
const partsMax = 65_536;
/** An exit code of `getent`. */
const noSuchKey = 2;

interface Pending {
  readonly parts: string[];
  readonly answer: (answer: ProcessAnswer) => void;
  readonly timer: Timer;
}

/** Starts the helper, and starts it again if it ends. A system without `getent` needs none. */
export function startNameProcess(clock: Clock) {
  const hasGetent = hasProgram('getent');
  const pending = new Map<number, Pending>();
  let child: ChildProcess | undefined;
  let restart: Timer | undefined;
  let ends = 0;
  let lastId = 0;
  let isClosed = false;

  function start(): void {
    restart = undefined;
    const started = spawnShell();
    child = started;
    let rest = '';
    const end = (): void => {
      if (child !== started) return;
      child = undefined;
      for (const { answer } of pending.values()) answer({ kind: 'unanswered' });
      if (isClosed) return;
      ends += 1;
      restart = clock.setTimer(backOffMs(ends, pauseMs.first, pauseMs.most), start);
    };
    started.once('error', end);
    started.once('exit', end);
    // Its end is reported above. A process without a free descriptor gets no pipes.
    started.stdin?.on('error', () => undefined);
    started.stdout?.on('error', () => undefined);
    started.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
      if (rest.length > lineCharsMax) stop();
    });
  }

  function take(line: string): void {
    const [, id, code, text = ''] = /^(\d+) (\+|\d+)(?: (.*))?$/.exec(line) ?? [];
    const asked = pending.get(Number(id));
    if (asked === undefined) return;
    ends = 0;
    const { parts, answer } = asked;
    if (code === '+') {
      if (parts.length < partsMax) parts.push(text);
    } else if (code === '0') answer({ kind: 'found', parts });
    else answer({ kind: Number(code) === noSuchKey ? 'none' : 'unanswered' });
  }

  function stop(): void {
    try {
      if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }

  if (hasGetent) start();
  return {
    /** Whether the system has `getent`. Without it there is no directory, and every answer is `none`. */
    hasGetent,
    /** Never rejects; answers within the time for a directory, and a little more if the helper hangs. */
    ask(question: NameQuestion, key: string): Promise<ProcessAnswer> {
      if (!hasGetent) return Promise.resolve({ kind: 'none' });
      // No name of the system has these characters, and none may begin a question of its own.
      if (key === '' || key.includes('\0') || key.includes('\n')) return Promise.resolve({ kind: 'none' });
      const { stdin } = child ?? {};
      if (stdin === undefined || stdin === null) return Promise.resolve({ kind: 'unanswered' });
      lastId += 1;
      const id = lastId;
      return new Promise((resolve) => {
        const answer = (given: ProcessAnswer): void => {
          pending.delete(id);
          timer.cancel();
          resolve(given);
        };
        // On a system without `timeout`, programs that hang would accumulate.
        const timer = clock.setTimer(bounds.directoryAnswerMs + graceMs, stop);
        pending.set(id, { parts: [], answer, timer });
        stdin.write(`${id} ${question} ${key}\n`);
      });
    },
    close() {
      isClosed = true;
      restart?.cancel();
      for (const { answer } of pending.values()) answer({ kind: 'unanswered' });
      child?.stdin?.end();
      child?.stdout?.destroy();
    },
  };
}

function spawnShell(): ChildProcess {
  const seconds = String(bounds.directoryAnswerMs / 1000);
  // A process group of its own: Ctrl-C in a terminal is for the serving process, and all of it can be ended at once.
  return spawn(shell, [script, seconds], {
    cwd: packageFolder('scripts', script),
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    // The helper gets nothing of the daemon's environment.
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
}

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
