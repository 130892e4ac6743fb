// Opens the journal and what belongs to it: the signing key, the log of journal events, and the limits that the records of the last hour
// have used up. A configured key that is missing is never replaced by another one.

import { catalogHash } from '../../doveadm/commands/catalog.js';
import { gidOf } from '../../host/machine/accounts.js';
import {
  makeFolder,
  readIfThere,
  readOrMakeFile,
  readText,
  writeAtomically,
} from '../../host/machine/files.js';
import { lockHolder } from '../../host/machine/find-peer.js';
import { programVersion } from '../../host/machine/process.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock, Native, Timer } from '../../host/ports/machine.js';
import { isCount, parseLine } from '../../host/values/values.js';
import { countWords, plural } from '../../host/words/words.js';
import {
  type JournalEvent,
  type JournalOptions,
  type OpenJournal,
  openJournal,
} from '../../journal/files/journal.js';
import { readKept } from '../../journal/files/kept-end.js';
import { findRecent, readPieces } from '../../journal/files/trail.js';
import { createRedactor, makeHmacKey, type Redactor } from '../../journal/records/redact.js';
import { type ListedSettings, policyListOf } from '../../rules/config/policy-list.js';
import type { AuditSettings, Settings } from '../../rules/config/settings.js';
import { makeSignKey, ownSignKeyName, parseSignKey } from '../../rules/keys/sign-key.js';
import { type Limiter, rebuiltMs } from '../../rules/policy/terms.js';
import type { Log } from '../telemetry/log.js';
import { createSpent } from './spent.js';

/** Opening gets this many deadlines: it reads what a crash left, which an exchange of hours can spread over many segments. */
const openDeadlines = 30;
/** A removed directory is noticed within this time and the time of a sync. */
const lookIntervalMs = 5_000;
const tendIntervalMs = 60_000;

/**
 * `shippedSeq`: the last record that every receiver has; undefined: there is none. `observe` gets every logged event. Rejects with a
 * JournalFault if the directory is not writable, or another daemon has it.
 */
export async function openAudit(
  configured: Pick<Settings, 'audit' | 'state' | 'catalog' | 'hash'> & ListedSettings,
  /** The changed files of the configuration, and all its files. */
  files: JournalOptions['files'],
  /** Why this run serves the last configuration in place of the file; undefined if it serves the file. */
  reason: string | undefined,
  signKey: SignKey,
  native: Native,
  clock: Clock,
  log: Log,
  losses: LossLog,
  shippedSeq: () => number | undefined,
  observe: (event: JournalEvent) => void,
): Promise<OpenJournal> {
  const { audit: settings, state, catalog, hash } = configured;
  const isNews = createCheckpointNews();
  // Opening replaces the note in `state`.
  const former = readKept(state)?.directory;
  const journal = await openJournal({
    directory: settings.directory,
    stateDirectory: state,
    segmentBytes: settings.segmentBytes,
    deadlineMs: settings.deadlineMs,
    openDeadlineMs: openDeadlines * settings.deadlineMs,
    lookIntervalMs,
    checkpointIntervalMs: settings.checkpointIntervalMs,
    tendIntervalMs,
    limits: () => ({
      keepMs: settings.keepMs,
      keepMinMs: settings.keepMinMs,
      sizeMax: settings.sizeMax,
      shippedSeq: shippedSeq(),
      unshippedBytesMax: settings.unshippedBytesMax,
    }),
    reserveBytes: settings.reserveBytes,
    signKey: signKey.pem,
    ...(settings.group === undefined ? {} : { groupId: groupOf(settings.group, settings.directory) }),
    program: `dovegate ${programVersion}`,
    catalog: catalogOf(catalog),
    version: hash,
    policies: policyListOf(configured).hash,
    files,
    reason,
    clock,
    lock: (descriptor) => native.lockExclusive(descriptor),
    holderOf: lockHolder,
    memory: { path: settings.memoryFile, bytes: settings.memoryBytes },
    map: (path, bytes) => native.mapShared(path, bytes),
    observe: (event) => {
      reportJournal(log, losses, isNews, event);
      observe(event);
    },
  });
  // A new journal has its start and one checkpoint.
  if (journal.seq <= 2) reportBegun(log, settings.directory, former);
  reportFound(log, journal.found);
  const { whyNotCrashProof: why } = journal;
  if (why !== undefined) reportNoMemory(log, why, settings.memoryFile === undefined ? 'info' : 'warn');
  reportKey(log, signKey, journal.found);
  return journal;
}

/** The hash of the command tables; one of each file that adds commands follows after a plus. */
export function catalogOf(catalog: Settings['catalog']): string {
  return [catalogHash, ...(catalog?.files ?? []).map(({ hash }) => hash)].join('+');
}

/**
 * Whether a checkpoint belongs in the log: not if only checkpoints were recorded since the last one there. The log still reveals a tail
 * that was cut off together with its checkpoint, and an idle daemon does not fill it.
 */
function createCheckpointNews(): (line: string) => boolean {
  let lastSeq = -1;
  return (line) => {
    const found = parseLine(line)?.['seq'];
    const seq = isCount(found) ? found : undefined;
    const isNews = seq === undefined || seq !== lastSeq + 1;
    lastSeq = seq ?? lastSeq;
    return isNews;
  };
}

/** Reports a key that is new to the journal: an operator must confirm it, or find the old one. */
function reportKey(log: Log, { path, key, isNew }: SignKey, { keyBefore }: OpenJournal['found']): void {
  if (isNew) {
    const text = `made ${path}, the key that signs the journal; its public half is ${key}`;
    log.report({ event: 'audit-key-made', level: 'info', text });
  }
  if (keyBefore === undefined) return;
  const text = `the journal was signed by key ${keyBefore}, and ${key} (${path}), which that key does not name, signs it now; if you did not change it, find out who did. dovegate audit verify fails until somebody accepts it with --accept-key`;
  log.report({ event: 'audit-key-changed', level: 'error', text });
}

/** A disk that is not mounted looks like a first start. `former`: the directory of the last run; undefined: `state` does not name one. */
function reportBegun(log: Log, directory: string, former: string | undefined): void {
  // Then the beginning of the journal is missing, which `reportFound` reports.
  if (former === directory) return;
  const todo =
    former === undefined
      ? 'that is right at a first start. If dovegate ran here before, its disk is not mounted: stop it, mount the disk, and start it'
      : `the journal before is in ${former}, and stays there: "dovegate audit" reads it if it is named`;
  const text = `a new journal begins in ${directory}, where nothing of an earlier one is; ${todo}`;
  log.report({ event: 'audit-begun', level: 'warn', text });
}

const damages: Readonly<Record<NonNullable<OpenJournal['found']['damage']>, string>> = {
  cut: 'records that its last checkpoint names are missing at its end',
  rewritten: 'the record that its last checkpoint names is another one',
  changed: 'records before its last checkpoint are missing, or are not those that it signs',
  unvouched:
    'the checkpoint beside its segments is missing or invalid, so it is not known whether records are missing at its end',
};

/** Reports the findings of a start once, at a high level if another process must have been involved. */
function reportFound(log: Log, found: OpenJournal['found']): void {
  const {
    damage,
    isBeginningRemoved,
    appended,
    isGap,
    access,
    unknown,
    tornBytes,
    recovered,
    ring,
    ringKept,
  } = found;
  if (damage !== undefined) {
    log.report({ event: 'audit-damaged', level: 'error', type: damage, text: damages[damage] });
  }
  if (isBeginningRemoved) {
    const text =
      'its first segments are missing, and retention had left them: somebody removed them, or their disk is not mounted';
    log.report({ event: 'audit-damaged', level: 'error', type: 'removed', text });
  }
  if (appended !== undefined && isGap) {
    const where = appended.file === '' ? 'they were cut off' : `they lie in ${appended.file}`;
    const text = `records after its last checkpoint are missing: somebody removed them; ${appended.bytes} bytes stood behind them; ${where}, and none of it is signed`;
    log.report({ event: 'audit-damaged', level: 'error', type: 'gap', text });
  } else if (appended !== undefined) {
    const where = appended.file === '' ? 'they were cut off' : `they lie in ${appended.file}`;
    const text =
      appended.bytes === 0
        ? `something that is no plain file had the name of a file of the journal; it lies in ${appended.file}`
        : `${appended.bytes} bytes were appended to the journal after the run before had ended; ${where}, and none of it is signed`;
    log.report({ event: 'journal-appended', level: 'error', text });
  }
  for (const { id, text: why, isDropped } of access.damaged) {
    const stays = isDropped
      ? 'no signature covers it, and it stops nobody'
      : 'it is in force as far as it can be read';
    const text = `what the journal has of lock ${id} is damaged (${why}): ${stays}, unless "state" has a copy of it; "dovegate status" lists what is locked`;
    log.report({ event: 'lock-damaged', level: 'error', text });
  }
  const { ended: count, doubt } = access;
  if (doubt !== undefined && count > 0) {
    const text = `all access on request ended: ${doubt}; ${plural(count, 'request or grant', 'requests and grants')}`;
    log.report({ event: 'access-ended', level: 'warn', text, count });
  }
  if (ring !== undefined) {
    log.report({ event: 'audit-memory', level: 'error', type: 'left', text: ring });
  }
  if (ringKept !== undefined) {
    log.report({ event: 'audit-memory', level: 'warn', type: 'kept', text: ringKept });
  }
  if (unknown === 0 && tornBytes === 0 && recovered === 0) return;
  const text = `after a crash: ${recovered} records taken from audit.memory, ${unknown} exchanges closed as unknown, ${tornBytes} torn bytes put aside`;
  log.report({ event: 'audit-recovered', level: 'info', text });
}

/** Without `audit.memory` commands are as safe, but slower. */
function reportNoMemory(log: Log, why: string, level: 'info' | 'warn'): void {
  const text = `every command waits until its record is on disk: ${why}`;
  log.report({ event: 'audit-memory', level, type: 'none', text });
}

const keyBytesMax = 4096;

/**
 * The redactor with the configured key, or with the one beside the segments, made at the first start. `state` keeps a copy: if the
 * directory is lost, a new key would make all older digests unsearchable.
 */
export function openRedactor(
  { hmacKeyFile, directory }: Pick<AuditSettings, 'hmacKeyFile' | 'directory'>,
  state: string,
): Redactor {
  if (hmacKeyFile !== undefined) return createRedactor(readText(hmacKeyFile));
  const copy = `${state}/audit-hmac.key`;
  const kept = readIfThere(copy, keyBytesMax);
  const key = readOrMakeFile(`${directory}/hmac.key`, () => kept ?? makeHmacKey());
  if (kept !== key) writeAtomically(copy, key);
  return createRedactor(key);
}

function groupOf(name: string, directory: string): number {
  const gid = gidOf(name);
  if (gid === undefined) throw new Error(`audit.group: the system has no group "${name}"`);
  const isMember = gid === process.getegid?.() || process.getgroups?.().includes(gid) === true;
  if (isMember || process.geteuid?.() === 0) return gid;
  const advice = `add it (usermod --append --groups ${name} USER) and restart`;
  throw new Error(
    `audit.group: ${directory} cannot be given to group "${name}": the daemon's user is not a member; ${advice}`,
  );
}

export type LossLog = ReturnType<typeof createLossLog>;

/** The daemon's log about lost records, at most one line a second for each kind: a full disk loses thousands a second. */
export function createLossLog(log: Pick<Log, 'report'>, clock: Clock) {
  const lost = onceASecond(clock, (count) => {
    const text = `${plural(count, 'record was', 'records were')} lost while the disk took none`;
    log.report({ event: 'audit-lost', level: 'error', text, count });
  });
  const failed = onceASecond(clock, (count, text) => {
    const all = count === 1 ? text : `${text} (${countWords(count)} records)`;
    log.report({ event: 'audit-failed', level: 'error', text: all, count });
  });
  return {
    lost: (records: number): void => lost.add(records, ''),
    failed: (text: string): void => failed.add(1, text),
    flush(): void {
      lost.flush();
      failed.flush();
    },
  };
}

/** Writes the first one at once; later ones of the same second go into the next line. */
function onceASecond(clock: Clock, write: (count: number, text: string) => void) {
  let timer: Timer | undefined;
  let waiting = 0;
  let lastText = '';
  const flush = (): void => {
    timer?.cancel();
    timer = undefined;
    if (waiting === 0) return;
    const count = waiting;
    waiting = 0;
    write(count, lastText);
  };
  const writeNow = (): void => {
    const isMore = waiting > 0;
    flush();
    if (isMore) timer = clock.setTimer(1_000, writeNow);
  };
  return {
    add(count: number, text: string): void {
      waiting += count;
      lastText = text;
      if (timer === undefined) writeNow();
    },
    flush,
  };
}

const spaceTexts: Readonly<Record<Extract<JournalEvent, { kind: 'space' }>['why'], string>> = {
  full: 'the disk of the journal is full; only its reserve is left',
  size: 'the journal has reached audit.max_size, and its oldest segment is younger than audit.keep_min; only rules with emergency: true are served. Raise max_size, or find out who writes that much',
  small:
    'the disk of the journal is smaller than audit.reserve, so only rules with emergency: true are served. Lower audit.reserve, or give the journal a larger disk',
};

function reportJournal(
  log: Log,
  losses: LossLog,
  isNews: (checkpoint: string) => boolean,
  event: JournalEvent,
): void {
  switch (event.kind) {
    case 'failed': {
      const { code, message } = event.fault;
      // A slow disk has reported no error: records that need no sync continue while audit.memory has room.
      const what =
        code === 'deadline'
          ? 'the disk takes no record in time, so what audit.strict names is refused'
          : 'no record can be written, so every command is refused';
      log.report({ event: 'audit-failed', level: 'error', type: code, text: `${what}: ${message}` });
      return;
    }
    case 'writable':
      log.report({ event: 'audit-writable', level: 'info', text: 'records reach the disk again' });
      return;
    case 'lost':
      return losses.lost(event.records);
    case 'left': {
      const { records: count } = event;
      const text = `${plural(count, 'record is', 'records are')} in audit.memory and not on disk: the next start with this audit.directory writes them, if that comes before the machine is shut down`;
      return log.report({ event: 'audit-left', level: 'warn', text, count });
    }
    case 'checkpoint':
      if (isNews(event.line)) log.report({ event: 'audit-checkpoint', level: 'info', text: event.line });
      return;
    case 'space':
      if (event.space === 'reserve') {
        const text = spaceTexts[event.why];
        log.report({ event: 'audit-reserve', level: 'error', text });
      }
      return;
    case 'filling':
      return reportFilling(log, event.filling);
    case 'memory-gone':
      return reportNoMemory(log, event.text, 'warn');
    case 'not-tended':
      log.report({ event: 'audit-not-tended', level: 'warn', text: event.text });
      return;
    case 'tended':
      if (event.tended.retired.length > 0) {
        const text = `retired: ${event.tended.retired.join(' ')}`;
        log.report({ event: 'audit-retired', level: 'info', text });
      }
      if (event.tended.unshipped.length > 0) {
        const text = `retired though not every receiver has them (unshipped_max): ${event.tended.unshipped.join(' ')}`;
        log.report({ event: 'audit-unshipped', level: 'error', text });
      }
      return;
    case 'synced':
    case 'reserve-used':
      return;
    default:
      return event satisfies never;
  }
}

function reportFilling(log: Log, { isFilling, youngBytes, bytesMax, largest }: OpenJournal['filling']): void {
  if (!isFilling) {
    const text = 'young records leave room in the journal again, and nobody is refused for them';
    return log.report({ event: 'audit-filling', level: 'info', text });
  }
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const names = largest.map(({ principal, share }) => `${principal} (${percent(share)})`).join(', ');
  const who =
    names === '' ? 'who wrote them is not known' : `the largest writers are refused first: ${names}`;
  const text = `records younger than audit.keep_min fill ${percent(youngBytes / bytesMax)} of audit.max_size; ${who}`;
  log.report({ event: 'audit-filling', level: 'warn', text });
}

/** The private key that signs the journal; `key` is base64 of its public half, as in records; `isNew`: it was just made. */
type SignKey = ReturnType<typeof openSignKey>;

/** Reads the key, or makes it. Throws an Error that names the setting and the file. */
export function openSignKey({ audit, state }: Pick<Settings, 'audit' | 'state'>) {
  const { signKeyFile } = audit;
  const path = signKeyFile ?? `${state}/${ownSignKeyName}`;
  let isNew = false;
  let pem: string;
  try {
    if (signKeyFile !== undefined) pem = readText(path);
    else {
      makeFolder(state);
      pem = readOrMakeFile(path, () => {
        isNew = true;
        return makeSignKey().secretPem;
      });
    }
  } catch (cause) {
    const why = messageOf(cause);
    const text =
      signKeyFile === undefined
        ? `state: the key that signs the journal cannot be read or made: ${why}; make ${state} writable for the daemon, or set audit.sign_key`
        : `audit.sign_key: ${path} cannot be read: ${why}`;
    throw new Error(text, { cause });
  }
  try {
    const signer = parseSignKey(pem);
    const sign = (text: string): string => signer.sign(text);
    return { pem, key: signer.key, sign, path, isNew };
  } catch (cause) {
    const setting = signKeyFile === undefined ? 'state' : 'audit.sign_key';
    throw new Error(`${setting}: ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** A start must not take minutes: with the default size this is 512 MiB, read in seconds. */
const filesMax = 8;

/** Runs before the daemon serves. Unreadable records are reported and do not prevent the start. */
export async function rebuildLimits(
  settings: Settings,
  journal: OpenJournal,
  limiter: Limiter,
  clock: Clock,
  log: Log,
): Promise<void> {
  const { stepsMs } = journal;
  const wallMs = clock.wallMs();
  const tell = (text: string): void => log.report({ event: 'limits-not-rebuilt', level: 'warn', text });
  try {
    const recent = await findRecent(settings.audit.directory, wallMs - stepsMs - rebuiltMs, filesMax);
    if (!recent.isWhole)
      tell(`only the newest ${filesMax} segments were read for the counts of the last hour`);
    const moment = { wallMs, nowMs: clock.now(), stepsMs, stepsBeforeMs: recent.stepsMs };
    const spent = createSpent(settings, limiter, moment);
    for (const file of recent.files) {
      try {
        for await (const { bytes } of readPieces(file)) spent.take(bytes);
      } catch (fault) {
        tell(`${file.name} cannot be read: ${messageOf(fault)}`);
      }
    }
    spent.finish();
  } catch (fault) {
    tell(messageOf(fault));
  }
}
