// Small real file systems for tests of a disk that is full or stands still. Only root may mount them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Owner } from './folder.js';

/** Runs a program of the system without a word; whether it ended well. */
export function runTool(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/**
 * Mounts a tmpfs of 2 MiB, or ext4 of 32 MiB, which can be frozen, for the time of a call. What `owner` is asked for ends
 * before the file system does. False: there is none to be had here, and nothing was called.
 */
export async function withSmallDisk(
  kind: 'tmpfs' | 'ext4',
  use: (place: string, owner: Owner) => Promise<void>,
): Promise<boolean> {
  const parent = mkdtempSync(join(tmpdir(), 'dovegate-disk-'));
  const ends: (() => void | Promise<void>)[] = [];
  const place = join(parent, 'disk');
  mkdirSync(place);
  try {
    if (!mount(kind, place, join(parent, 'image'))) return false;
    await use(place, { after: (end) => void ends.push(end) });
    return true;
  } finally {
    runTool('fsfreeze', '-u', place);
    for (const end of ends) await end();
    runTool('umount', '-l', place);
    rmSync(parent, { recursive: true });
  }
}

function mount(kind: 'tmpfs' | 'ext4', place: string, image: string): boolean {
  if (kind === 'tmpfs') return runTool('mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', place);
  writeFileSync(image, '');
  truncateSync(image, 32 << 20);
  return runTool('mkfs.ext4', '-q', image) && runTool('mount', '-o', 'loop', image, place);
}
