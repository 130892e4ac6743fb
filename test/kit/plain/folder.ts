// A folder that belongs to one test and goes with it; when the test fails it stays, and its path is told.
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the kit needs of a test: `t` of node:test. The demo gives one of its own. */
export interface Owner {
  /** Called once when the test is over; in the order of the calls. */
  after(run: () => void | Promise<void>): void;
}

/** For programs that are no tests: an owner for as long as `run` goes on. */
export async function withOwner<T>(run: (owner: Owner) => Promise<T>): Promise<T> {
  const ends: (() => void | Promise<void>)[] = [];
  try {
    return await run({ after: (end) => void ends.push(end) });
  } finally {
    for (const end of ends) await end();
  }
}

/** Makes an empty folder with a short path: a UNIX socket's path has room for 107 bytes only. */
export function openFolder(owner: Owner): string {
  const folder = makeFolder();
  removeAfter(owner, folder);
  return folder;
}

/** Makes an empty folder; whoever uses it says when it may go. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'dovegate-'));
}

/**
 * Makes `shm` in a folder, on a file system in memory where there is one, as a host has it: a file that is mapped from a busy disk would
 * hold the daemon up.
 */
export function addMemory(folder: string): void {
  const place = join(folder, 'shm');
  if (memoryPlace() === tmpdir()) mkdirSync(place);
  else symlinkSync(mkdtempSync(join(memoryPlace(), 'dovegate-')), place);
}

/**
 * The directory for files in memory: the one of this run (`ownMemory` in scripts/setup.mjs), so that what a killed test leaves there goes
 * with it; the directory for temporary files where no file system is in memory.
 */
export function memoryPlace(): string {
  return process.env['DOVEGATE_MEMORY'] ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

/** The directory for files that a test wants on a disk: that for temporary files is in memory when a run has made one (`ownMemory`). */
export function diskPlace(): string {
  return process.env['DOVEGATE_DISK'] ?? tmpdir();
}

function removeFolder(folder: string): void {
  const place = join(folder, 'shm');
  if (existsSync(place)) rmSync(realpathSync(place), { recursive: true, force: true });
  // A program may still write here. If the removal failed, the hooks after this one would not run, and the program would not be ended.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** By folder: what must have ended before it goes. */
const endings = new Map<string, (() => Promise<unknown>)[]>();

/** Whoever writes into a folder is ended before it goes, whatever was asked of the owner first. */
export function endBefore(folder: string, end: () => Promise<unknown>): void {
  endings.set(folder, [...(endings.get(folder) ?? []), end]);
}

/** Ends the processes that write into this folder or a folder below it. */
export async function endWriters(folder: string): Promise<void> {
  const places = [...endings.keys()].filter((place) => place === folder || place.startsWith(`${folder}/`));
  await Promise.all(places.flatMap((place) => endings.get(place) ?? []).map((end) => end()));
  for (const place of places) endings.delete(place);
}

/** Removes the folder at the owner's end, after what was asked of it before. */
export function removeAfter(owner: Owner, folder: string): void {
  owner.after(async () => {
    await endWriters(folder);
    // Node 20 has `passed` on its test context, though not in the types.
    if (Reflect.get(owner, 'passed') === false) console.error(`kept because the test failed: ${folder}`);
    else removeFolder(folder);
  });
}
