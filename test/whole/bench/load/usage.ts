// Processor time and context switches of processes, from /proc (Linux). A snapshot before and one after some commands give the cost of
// one command. Threads count one by one; a process that ended and was awaited counts in its parent, with its processor time only.
import { readdirSync, readFileSync } from 'node:fs';
import { projectRoot } from '../../../kit/plain/root.js';

export interface Usage {
  /** Processor time in microseconds, the kernel's part included. */
  readonly us: number;
  /** The kernel's part: system calls, and copying and waking within them. */
  readonly kernelUs: number;
  /** Voluntary and involuntary together; NaN: not known, because a process ended. */
  readonly switches: number;
}

export interface Snapshot {
  /** By thread id. */
  readonly threads: ReadonlyMap<number, Usage>;
  /** Of processes that ended and were awaited. */
  readonly ended: Pick<Usage, 'us' | 'kernelUs'>;
}

/** Several snapshots at one time, by the name of what they are of. */
export type Probe = () => Readonly<Record<string, Snapshot>>;

/** Linux counts processor time for user space in units of 10 ms on every architecture that Node supports. */
const tickUs = 10_000;
const nothing = { us: 0, kernelUs: 0 };

/** Fields of a `stat` file behind the program's name, which may hold blanks and parentheses. The first is the state, proc(5) field 3. */
function fieldsOf(stat: string): readonly string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Children of a process that ended and were awaited, with theirs, from the text of its `stat`. */
function parseEnded(stat: string): Snapshot['ended'] {
  const fields = fieldsOf(stat);
  const kernelUs = Number(fields[14]) * tickUs;
  return { us: Number(fields[13]) * tickUs + kernelUs, kernelUs };
}

/** The cost of one of so many commands. What a process that ended had used stands in its parent's sum, but for its switches. */
export function costOf(before: Snapshot, after: Snapshot, commands: number): Usage {
  const hasEnded =
    after.ended.us !== before.ended.us || [...before.threads.keys()].some((id) => !after.threads.has(id));
  const grownBy = (of: (usage: Usage) => number): number => {
    const sum = ({ threads, ended }: Snapshot): number =>
      [...threads.values()].reduce((total, usage) => total + of(usage), of({ ...ended, switches: 0 }));
    return (sum(after) - sum(before)) / commands;
  };
  return {
    us: grownBy(({ us }) => us),
    kernelUs: grownBy(({ kernelUs }) => kernelUs),
    switches: hasEnded ? Number.NaN : grownBy(({ switches }) => switches),
  };
}

/** Undefined when it has ended meanwhile. */
function read(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return undefined;
  }
}

/** None when the process has ended. */
function threadIdsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The sum is from `schedstat`, in nanoseconds; `stat` counts in ticks, so it only says how much of it is the kernel's. */
function threadsOf(pid: number): Map<number, Usage> {
  const threads = new Map<number, Usage>();
  for (const id of threadIdsOf(pid)) {
    const [stat, status, schedstat] = ['stat', 'status', 'schedstat'].map((file) =>
      read(`${pid}/task/${id}/${file}`),
    );
    if (stat === undefined || status === undefined || schedstat === undefined) continue;
    const switches = [...status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)];
    threads.set(Number(id), {
      us: Number(schedstat.split(' ')[0]) / 1000,
      kernelUs: Number(fieldsOf(stat)[12]) * tickUs,
      switches: switches.reduce((sum, [, count]) => sum + Number(count), 0),
    });
  }
  return threads;
}

/** All threads of one process. */
export function processSnapshot(pid: number): Snapshot {
  return { threads: threadsOf(pid), ended: nothing };
}

/** A process and all below it, with what ended there, and programs that ended elsewhere. */
export function treeSnapshot(pid: number, programs: Snapshot['ended'] = nothing): Snapshot {
  const threads = new Map<number, Usage>();
  const ended = { ...programs };
  const visit = (one: number): void => {
    const stat = read(`${one}/stat`);
    if (stat === undefined) return;
    const { us, kernelUs } = parseEnded(stat);
    ended.us += us;
    ended.kernelUs += kernelUs;
    for (const [id, usage] of threadsOf(one)) {
      threads.set(id, usage);
      for (const child of read(`${one}/task/${id}/children`)?.trim().split(' ') ?? [])
        if (child !== '') visit(Number(child));
    }
  };
  visit(pid);
  return { threads, ended };
}

/** Programs that this process started and that ended. */
export function endedPrograms(): Snapshot['ended'] {
  return parseEnded(read('self/stat') ?? '');
}

/**
 * The threads of a daemon that has worked: its main thread, the journal's, and the others together (compiler, garbage collector, libuv's
 * pool). Node 20 gives threads no names; the journal's is the one that was woken most often.
 */
export function daemonProbe(pid: number): Probe {
  const others = [...threadsOf(pid)].filter(([id]) => id !== pid);
  const [journal] = others.toSorted(([, one], [, other]) => other.switches - one.switches)[0] ?? [0];
  const nameOf = (id: number): string => (id === pid ? 'main' : id === journal ? 'journal' : 'others');
  // A thread that has ended keeps what it was last seen with.
  const seen = new Map<number, Usage>();
  return () => {
    for (const [id, usage] of threadsOf(pid)) seen.set(id, usage);
    const of = (name: string): Snapshot => ({
      threads: new Map([...seen].filter(([id]) => nameOf(id) === name)),
      ended: nothing,
    });
    return { main: of('main'), journal: of('journal'), others: of('others') };
  };
}

/** Of a process now: memory of its own, without files, and the most that was resident so far. */
export function memoryMiB(pid: number): { readonly anonymous: number; readonly peak: number } {
  const of = (name: string, text = ''): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024;
  return {
    anonymous: of('Anonymous', read(`${pid}/smaps_rollup`)),
    peak: of('VmHWM', read(`${pid}/status`)),
  };
}

/** Resident memory of a process now. */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`${pid}/status`) ?? '')?.[1]);
}

/** What a unit of systemd gives Node for its program. */
export function flagsOfUnit(name: string): readonly string[] {
  const unit = readFileSync(new URL(`systemd/${name}.service`, projectRoot), 'utf8');
  return /^ExecStart=\S+ (--.+?) \//m.exec(unit)?.[1]?.split(' ') ?? [];
}
