// The checks of a configuration that need this machine: files, their owners and rights, certificates, accounts; and their results as text.

import { accountFiles } from '../../host/machine/account-files.js';
import {
  gidsOf,
  localGroupName,
  localUserName,
  ourselves,
  uidOf,
  withRightsOf,
} from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import {
  isMissing,
  readIfThere,
  statOf,
  trustedByUs,
  type Unsafe,
  whatDenies,
  whyPoorMemory,
  whyUnreadable,
  whyUnsafe,
} from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { credentialsFolder } from '../../host/machine/process.js';
import { systemListFile } from '../../host/machine/system-trust.js';
import { formatWords } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import type { CheckBeside, ParsedSettings, ProblemReport } from '../config/parse-settings.js';
import type { Finding, Problem } from '../config/problem.js';
import type { Settings } from '../config/settings.js';
import { tlsFilesOf } from './certificates.js';
import type { DovecotFacts } from './doveconf.js';
import {
  inspectCertificates,
  inspectFiles,
  inspectMemory,
  inspectModes,
  inspectRights,
  inspectSignKey,
  inspectToken,
  inspectTrust,
  namedFiles,
} from './inspect-files.js';
import { inspectAccounts, inspectReaders } from './peers.js';

/** Settings, if there is no error; and every problem as text, with warnings. */
export interface LoadedConfiguration {
  readonly settings: Settings | undefined;
  readonly problems: readonly string[];
  readonly found: readonly Problem[];
  readonly errors: number;
  /** The copy of its files (`rules/config/kept-files`), if there is no error. */
  readonly kept?: string | undefined;
  /** Present if the settings were read from that copy, which was made at that time, because the files have these errors. */
  readonly last?: { readonly problems: readonly string[]; readonly readMs: number } | undefined;
}

export interface LoadOptions {
  /** Whether to ask the system for the numbers of accounts, which may take seconds; default as `asksForFiles`. */
  readonly asksForAccounts?: boolean;
  /** Whether to check the files that the settings name, such as passwords; default true. Evaluating policies needs none. */
  readonly asksForFiles?: boolean;
  /** For a person who checks: the daemon may run as another user (`daemonUidOf`), and files of other processes are checked too. */
  readonly beside?: InspectBeside;
  /** Also for a person, and also without `asksForFiles`. */
  readonly checkBeside?: CheckBeside;
  readonly unitUid?: number | undefined;
  readonly dovecot?: DovecotHere | undefined;
}

export type DovecotHere = Pick<DovecotFacts, 'names' | 'sockets' | 'ports' | 'sharedNamespaces'>;

export interface BesideParts extends Pick<LoadOptions, 'dovecot'> {
  readonly settings: Settings;
  readonly files: ParsedSettings['files'];
  /** Who runs the daemon, or would; undefined: it is not known. */
  readonly daemon: Account | undefined;
  readonly advice: (path: string) => string;
}

/** Findings that do not stop a start, and that a start does not look for: `inspectBeside`. */
export type InspectBeside = (parts: BesideParts) => Generator<readonly Finding[]>;

export function loadedOf(
  settings: Settings | undefined,
  { found, problems }: ProblemReport,
  kept: string,
): LoadedConfiguration {
  const errors = found.filter(({ severity }) => severity === 'error').length;
  const isGood = settings !== undefined && errors === 0;
  return { ...(isGood ? { settings, kept } : { settings: undefined }), problems, found, errors };
}

/** With the package's group for the journal, if the file names none and this process may give files to that group. */
export function withJournalGroup(settings: Settings): Settings {
  const { journalGroup: group } = packaged;
  const gid = settings.audit.group === undefined ? accountFiles.gidOf(group) : undefined;
  const { isRoot, gids } = ourselves();
  if (gid === undefined || !(isRoot || gids.includes(gid))) return settings;
  return { ...settings, audit: { ...settings.audit, group } };
}

export function* inspect(
  settings: Settings | undefined,
  files: ParsedSettings['files'],
  { asksForFiles = true, asksForAccounts = true, beside, unitUid, dovecot }: LoadOptions,
): Generator<readonly Finding[]> {
  if (!asksForFiles) return;
  const isForDaemon = beside !== undefined;
  const uid = isForDaemon && settings !== undefined ? daemonUidOf(settings, files, unitUid) : undefined;
  const daemons = uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }];
  const trusted = trustedByUs(daemons);
  const why = (path: string, isSecret: boolean): Unsafe | undefined => whyUnsafe(path, isSecret, trusted);
  yield* inspectModes(files, settings, why);
  if (settings === undefined) return;
  // For the daemon's own user, advice how to make a file readable.
  const advice = (path: string): string => (isForDaemon ? '' : howToPermit(path, ourselves(), files));
  if (beside !== undefined) yield* beside({ settings, files, daemon: daemons[0], advice, dovecot });
  yield inspectSignKey(settings, readIfThere);
  yield inspectToken(settings, readIfThere);
  const daemon = daemons[0] ?? ourselves();
  yield inspectMemory(settings, (path, bytes) => whyPoorMemory(path, bytes, daemon));
  yield inspectTrust(settings, systemListFile());
  const whyNot = (path: string): string | undefined => {
    const said = whyUnreadable(path);
    const todo = isMissing(path) ? '; make it, or correct the path' : advice(path);
    return said === undefined ? undefined : `${said}${todo}`;
  };
  yield* inspectFiles(namedFiles(settings), whyNot, credentialsFolder());
  yield* inspectCertificates(tlsFilesOf(settings), systemClock.wallMs(), credentialsFolder(), advice);
  // Root can read and give away everything, so the daemon's user is checked.
  const other = ourselves().isRoot && daemon.uid !== 0 ? daemon : undefined;
  if (other !== undefined) yield inspectRights(files, settings, (path) => whyClosed(path, other, files));
  if (!asksForAccounts) return;
  yield inspectAccounts(
    settings,
    other === undefined ? ourselves() : { ...other, isRoot: false, isElsewhere: true },
  );
  // Only a warning at a start: groups change outside of the file, and mail servers need their gate.
  yield inspectReaders(settings, isForDaemon ? 'error' : 'warning', {
    gidsOf,
    daemonUid: isForDaemon ? daemons[0]?.uid : ourselves().uid,
  });
}

export interface Account {
  readonly uid: number;
  readonly gids: readonly number[];
}

export type OwnFiles = { has(path: string): boolean };

/** Why the user of the daemon (or other process) cannot read a file that this process can; undefined: it can, or that is unknown. */
export function whyClosed(
  path: string,
  account: Account,
  files: OwnFiles,
  of = 'daemon',
): string | undefined {
  if (whyUnreadable(path) !== undefined) return undefined;
  const name = localUserName(account.uid) ?? String(account.uid);
  return withRightsOf(account, () => {
    const why = whyUnreadable(path);
    if (why === undefined) return undefined;
    return `${path} cannot be read by ${name}, the user of the ${of}: ${why}${howToPermit(path, account, files)}`;
  });
}

/** The command that permits reading; empty: none is known to help. The daemon owns its secrets; its group reads the configuration. */
export function howToPermit(path: string, { uid, gids }: Account, files: OwnFiles): string {
  const denied = whatDenies(path);
  if (denied === undefined) return '';
  const [gid = uid] = gids;
  const group = localGroupName(gid) ?? String(gid);
  let commands = [['chown', localUserName(uid) ?? String(uid)]];
  if (denied.kind === 'directory')
    commands =
      statOf(denied.path)?.gid === 0
        ? [
            ['chgrp', group],
            ['chmod', 'g+x'],
          ]
        : [['chmod', 'o+x']];
  else if (files.has(path))
    commands = [
      ['chown', `root:${group}`],
      ['chmod', '0640'],
    ];
  return `; run: ${commands.map((words) => formatWords([...words, denied.path])).join(' && ')}`;
}

/**
 * The user that runs the daemon, or would: the owner of its admin socket; the user of its unit, if systemd was asked; the
 * owner of its state, then of its journal, which may belong to another user by mistake; for the packaged file, the package's
 * user.
 */
export function daemonUidOf(
  { admin, state, audit }: DaemonPlaces,
  files: OwnFiles,
  unitUid: number | undefined,
): number | undefined {
  const served = admin?.unix === undefined ? undefined : statOf(admin.unix)?.uid;
  return (
    served ??
    unitUid ??
    statOf(state)?.uid ??
    statOf(audit.directory)?.uid ??
    (files.has(packaged.file) ? uidOf(packaged.user) : undefined)
  );
}

type DaemonPlaces = Pick<Settings, 'state'> & {
  readonly admin?: { readonly unix?: string };
  readonly audit: Pick<Settings['audit'], 'directory'>;
};

export function summarise(file: string, loaded: LoadedConfiguration): string {
  const warnings = loaded.problems.length - loaded.errors;
  if (loaded.problems.length === 0) return `${file}: no problems`;
  return `${file}: ${plural(loaded.errors, 'error')}, ${plural(warnings, 'warning')}`;
}
