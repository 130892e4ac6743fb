// The processes of a real Dovecot that serve doveadm: which they are, and how they are stopped and woken.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../kit/plain/dovecot-lab.js';

/** The process that accepts nothing itself, and makes those that do. */
export function masterOf(lab: Lab): number {
  return Number(readFileSync(join(lab.folder, 'run', 'master.pid'), 'utf8').trim());
}

/** Processes of this instance, and of no other. */
export function serversOf(lab: Lab): number[] {
  const master = masterOf(lab);
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(join('/proc', name, 'stat'), 'utf8');
      const [, comm, state, parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(stat) ?? [];
      return comm === 'doveadm-server' && Number(parent) === master && state !== 'Z' ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** A process that has ended needs none. */
export function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch (fault) {
    if (!(fault instanceof Error && 'code' in fault && fault.code === 'ESRCH')) throw fault;
  }
}
