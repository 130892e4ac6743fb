// What `dovegate doctor` checks of the journal: that its directory takes a file and how long the disk needs for it, how much room is left,
// and that its last segment is whole. The whole journal is for `dovegate audit verify`, which takes as long as the journal is.

import { statSync } from 'node:fs';
import { open, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { textOf, type Values, valuesOf } from '../../gate/health/daemon-look.js';
import { firstClosedFolder } from '../../gate/health/listener-look.js';
import { bad, type Look, ok, warning, within } from '../../gate/health/look.js';
import type { JournalLookOptions } from '../../gate/health/looks.js';
import { dfOf } from '../../gate/health/start-look.js';
import { gidsOf, userNameOf } from '../../host/machine/accounts.js';
import { statOf } from '../../host/machine/files.js';
import { JournalFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { parseTime } from '../../host/words/instants.js';
import { formatWords } from '../../host/words/text.js';
import { bytesWords, durationWords } from '../../host/words/words.js';
import { findTrail } from '../../journal/files/trail.js';
import type { Settings } from '../../rules/config/settings.js';
import { whyUnitDenies } from '../../rules/setup/unit.js';
import { verifyTrail } from '../reading/search-trail.js';

/** Limit for checking the last segment, which has 64 MiB by default. */
const verifyMs = 10_000;
const statMs = 3_000;
const writeMs = 5_000;
const slowMs = 100;
/** A slow attempt may have waited for a processor instead of the disk, so up to three are made, and the shortest counts. */
const triesMax = 3;

export async function lookAtJournal(
  {
    audit,
  }: { readonly audit: Pick<Settings['audit'], 'directory' | 'reserveBytes' | 'memoryFile' | 'group'> },
  options: JournalLookOptions,
): Promise<readonly Look[]> {
  const { directory, reserveBytes } = audit;
  const { told } = options;
  const denial = options.unit && whyUnitDenies(directory, options.unit);
  if (denial !== undefined) return [bad('journal', denial.text, denial.todo, denial.run)];
  const found = statOf(directory);
  if (found === undefined) {
    const text = `${directory} is not there, or cannot be looked at`;
    return [
      told === undefined
        ? warning('journal', text, 'the daemon makes it at its start')
        : bad('journal', text),
    ];
  }
  const looks = [
    await lookAtWriting(audit, found, options),
    ...lookAtMemory(audit.memoryFile !== undefined, told),
    await lookAtSpace(directory, reserveBytes, options),
    ...lookForMissing(directory, options),
    await lookAtChain(directory, options),
  ];
  return looks;
}

async function lookAtWriting(
  { directory, group }: Pick<Settings['audit'], 'directory' | 'group'>,
  { uid: owner, mode }: { readonly uid: number; readonly mode: number },
  { clock, daemonUid, told }: JournalLookOptions,
): Promise<Look> {
  const name = 'journal';
  if (told !== undefined && told['state'] !== 'writable') {
    const fault = valuesOf(told['fault']);
    const todo =
      textOf(fault['code']) === 'no-rights'
        ? 'repair owner and mode; it goes on by itself'
        : 'repair or free the disk; it goes on by itself';
    return bad(
      name,
      `the daemon cannot write it: ${textOf(fault['text'])}`,
      todo,
      formatWords(['ls', '-ld', directory]),
    );
  }
  const wanted = group === undefined ? '0700' : '0750';
  if (daemonUid !== undefined && daemonUid !== 0) {
    const daemon = userNameOf(daemonUid) ?? String(daemonUid);
    if (daemonUid !== owner) {
      const text = `${directory} belongs to ${userNameOf(owner) ?? owner} (mode ${octal(mode)}), and the daemon runs as ${daemon}: it needs the owner ${daemon} and the mode ${wanted}`;
      const next = formatWords(['chown', '-R', daemon, directory]);
      return bad(name, text, `give it back: ${next}`, next);
    }
    const closed = firstClosedFolder(directory, { uid: daemonUid, gids: gidsOf(daemonUid) });
    if (closed !== undefined) {
      const text = `the daemon runs as ${daemon}, and cannot pass ${closed} on the way to ${directory}`;
      return bad(name, text, 'give that directory the mode 0711', formatWords(['chmod', 'o+x', closed]));
    }
  }
  // Root may write where the daemon may not.
  if ((mode & 0o300) !== 0o300) {
    const next = formatWords(['chmod', wanted, directory]);
    return bad(
      name,
      `${directory} is closed to its own owner (mode ${octal(mode)})`,
      `open it: ${next}`,
      next,
    );
  }
  const late = (): Look =>
    bad(
      name,
      `${directory} took no record within ${writeMs / 1000} s`,
      'look at its disk or server',
      dfOf(directory),
    );
  return within(writeMs, clock, tryWriting(name, directory, clock), late);
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** In a thread: a disk that stands still would block all other findings of doctor. Resolves to the time it took. */
async function writeOnce(directory: string, clock: Clock): Promise<number> {
  const path = join(directory, `.doctor.${process.pid}`);
  const startMs = clock.now();
  const file = await open(path, 'wx', 0o600);
  try {
    await unlink(path);
    await file.write('x'.repeat(512));
    await file.datasync();
  } finally {
    await file.close();
  }
  return clock.now() - startMs;
}

async function tryWriting(name: string, directory: string, clock: Clock): Promise<Look> {
  try {
    let ms = await writeOnce(directory, clock);
    for (let tries = 1; tries < triesMax && ms > slowMs && ms < writeMs / 4; tries += 1)
      ms = Math.min(ms, await writeOnce(directory, clock));
    const text = `${directory} is writable; the disk took ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms for a record`;
    return ms > slowMs
      ? warning(name, text, 'commands that change something wait for it: a faster disk')
      : ok(name, text);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    if (code === 'EACCES' || code === 'EPERM')
      return warning(
        name,
        `${directory} is not for this user`,
        'run doctor as root to see whether it takes records',
      );
    const full = code === 'ENOSPC' || code === 'EDQUOT' ? 'no space is left on its disk' : code;
    return bad(name, `${directory} takes no file: ${full}`, 'free or repair the disk', dfOf(directory));
  }
}

/** A running daemon keeps the removed file open, but after a crash the next one finds records only in a file of that name. */
function lookAtMemory(isWanted: boolean, told: Values | undefined): readonly Look[] {
  if (!isWanted || told === undefined) return [];
  const name = 'journal memory';
  const [path, fault] = [textOf(told['memory']), textOf(told['memory_fault'])];
  if (fault !== '')
    return [warning(name, `none, so every command waits for the disk: ${fault}`, 'see audit.memory')];
  try {
    if (path === '' || statSync(path, { throwIfNoEntry: false }) !== undefined) return [];
  } catch {
    // This user may not see it.
    return [];
  }
  const text = `${path} is not there: records that are not on disk yet would not outlive a crash`;
  return [bad(name, text, 'somebody removed it: restart the daemon')];
}

/** The daemon checks the beginning of its journal every few seconds; the last segment alone does not show it. */
function lookForMissing(directory: string, { told, verifyCommand }: JournalLookOptions): readonly Look[] {
  const { seq, since: at } = valuesOf(told?.['missing']);
  if (seq === undefined) return [];
  const since = textOf(at);
  const text = `signed records up to seq ${textOf(seq)} have been missing from ${directory} since ${since === '' ? 'before the start' : since}: their files were moved away or removed`;
  return [
    bad(
      'journal records',
      text,
      `put the files back beside the new ones: cp -an OLD/* ${directory}/`,
      verifyCommand,
    ),
  ];
}

async function lookAtSpace(
  directory: string,
  reserveBytes: number,
  { clock }: JournalLookOptions,
): Promise<Look> {
  const name = 'journal space';
  const late = (): Look =>
    bad(name, `the file system of ${directory} does not answer`, 'look at its disk or server');
  const look = async (): Promise<Look> => {
    const { bavail, bsize, blocks } = await statfs(directory);
    const free = bavail * bsize;
    const share = blocks === 0 ? 1 : bavail / blocks;
    const text = `${bytesWords(free)} free (${Math.round(share * 100)} %)`;
    if (blocks > 0 && blocks * bsize <= reserveBytes)
      return bad(
        name,
        `${text}: its disk has ${bytesWords(blocks * bsize)}, less than the reserve of ${bytesWords(reserveBytes)}`,
        'lower audit.reserve, or give the journal a larger disk',
      );
    if (free < 2 * reserveBytes)
      return bad(
        name,
        `${text}, and ${bytesWords(reserveBytes)} of it are a reserve`,
        'free the disk, or lower audit.keep',
      );
    return share < 0.05 ? warning(name, text, 'free the disk, or lower audit.keep') : ok(name, text);
  };
  return within(statMs, clock, look(), late);
}

async function lookAtChain(directory: string, { clock, verifyCommand }: JournalLookOptions): Promise<Look> {
  const name = 'journal chain';
  const late = (): Look =>
    warning(
      name,
      `its last segment was not verified within ${verifyMs / 1000} s`,
      'verify all of it',
      verifyCommand,
    );
  const look = async (): Promise<Look> => {
    const trail = findTrail([directory]);
    if (trail.files.length === 0) return ok(name, 'empty: nothing was recorded yet');
    // Only the last segment is read.
    const fromSeq = Number.MAX_SAFE_INTEGER;
    const verdict = await verifyTrail(trail, { trustedKeys: [], fromSeq, faultsMax: 1 });
    const [fault] = verdict.faults;
    if (fault !== undefined)
      return bad(name, `${fault.file}: ${fault.kind}: ${fault.text}`, 'verify all of it', verifyCommand);
    const aheadMs = (parseTime(verdict.lastTime) ?? 0) - clock.wallMs();
    if (aheadMs > 1_000)
      return bad(
        'clock',
        `it is ${durationWords(aheadMs)} behind the last record of the journal`,
        'set the clock',
      );
    const signed = verdict.signedSeq === undefined ? '' : `, signed to ${verdict.signedSeq}`;
    return ok(
      name,
      `the last segment is whole to its end, record ${verdict.lastSeq ?? 0} of ${verdict.lastTime}${signed}`,
    );
  };
  const guarded = look().catch((fault: unknown): Look => {
    if (!(fault instanceof JournalFault)) throw fault;
    return warning(name, fault.message, 'run doctor as root');
  });
  return within(verifyMs, clock, guarded, late);
}
