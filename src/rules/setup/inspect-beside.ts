// Findings about this machine for people who check a configuration, with `check`, `doctor` or `init`. A start does not look for them.

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { NameCase } from '../../doveadm/names/user-name.js';
import { isSince } from '../../doveadm/protocol/releases.js';
import { bounds } from '../../host/bounds/bounds.js';
import { gidsOf, localUserName, ourselves, uidOf, withRightsOf } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import {
  isMissing,
  mayMakeFiles,
  readIfThere,
  trustedByUs,
  whyUnreadable,
  whyUnsafe,
} from '../../host/machine/files.js';
import { isInstalled } from '../../host/machine/optional-packages.js';
import { packaged } from '../../host/machine/packaged.js';
import { credentialsFolder } from '../../host/machine/process.js';
import { systemListFile } from '../../host/machine/system-trust.js';
import { isLoopback } from '../../host/ports/peer.js';
import { foldAscii, formatWords } from '../../host/words/text.js';
import { type Finding, finding, placeIn } from '../config/problem.js';
import type { Settings } from '../config/settings.js';
import { strikesAlways } from '../policy/match.js';
import type { Policy, Rule } from '../policy/policy.js';
import { pageTlsFilesOf } from './certificates.js';
import type { NamesOfMailbox } from './doveconf.js';
import { type Account, type BesideParts, type DovecotHere, whyClosed } from './inspect.js';
import { inspectCertificates } from './inspect-files.js';
import { inspectOthers, type OtherChecks, whyHidden } from './inspect-others.js';
import { inspectUnit, unitFor } from './unit.js';

export function* inspectBeside(parts: BesideParts): Generator<readonly Finding[]> {
  const { settings, files, daemon = ourselves(), advice, dovecot } = parts;
  yield inspectModesOfPolicies(settings);
  yield inspectSharedLogins(settings);
  yield inspectReleases(settings);
  if (dovecot !== undefined) yield inspectNames(settings, dovecot);
  const name = localUserName(daemon.uid) ?? String(daemon.uid);
  const where = (path: string): ReturnType<typeof whereNotMade> => whereNotMade(path, daemon);
  yield inspectFolders(settings, { where, inTheWay: whatIsNoFolder }, name);
  yield inspectUnit(settings, unitFor([...files.keys()]));
  yield* inspectCertificates(pageTlsFilesOf(settings), systemClock.wallMs(), credentialsFolder(), advice);
  yield* inspectOthers(settings, checksHere(files, parts.daemon));
}

function checksHere(files: BesideParts['files'], daemon: Account | undefined): OtherChecks {
  const isPackaged = files.has(packaged.file);
  // Only root can check as another user, and a daemon of root can read everything.
  const other = ourselves().isRoot && daemon !== undefined && daemon.uid !== 0 ? daemon : undefined;
  const accountOf = (user: string): Account | undefined => {
    const uid = uidOf(user);
    return uid === undefined ? undefined : { uid, gids: gidsOf(uid) };
  };
  return {
    isInstalled,
    whyUnreadable,
    whyUnsafe(path, isSecret, user) {
      // If that user does not exist, its process runs as the daemon's user.
      const account = (user === undefined ? undefined : accountOf(user)) ?? daemon;
      return whyUnsafe(path, isSecret, trustedByUs(account === undefined ? [] : [account]));
    },
    // The user of a process exists only where its service is installed.
    whyClosed(process, path, isSecret) {
      const account = isPackaged ? accountOf(process.user) : undefined;
      return account && (whyHidden(process, path, isSecret) ?? whyClosed(path, account, files, process.of));
    },
    isOpenToDaemon: (path) =>
      isPackaged && other !== undefined && withRightsOf(other, () => whyUnreadable(path) ?? '') === '',
    read(path) {
      try {
        return readIfThere(path, bounds.secretFileBytes);
      } catch {
        // An unreadable file is reported with the others.
        return undefined;
      }
    },
    listFile: systemListFile(),
    nowMs: systemClock.wallMs(),
  };
}

/** For a person who checks policies, not at each start: a policy may observe for weeks. */
function inspectModesOfPolicies({ policies }: Settings): readonly Finding[] {
  return [...policies.values()]
    .filter(({ mode }) => mode === 'observe')
    .map(({ name }) =>
      finding(
        'warning',
        `policies.${name}.mode`,
        'observes: users, except and deny do not hold for commands that only touch mailboxes of users named one by one',
        'too-open',
      ),
    );
}

/** The name that Dovecot's own clients log in with unless `doveadm_username` differs: with one password for all, it can be anybody. */
const sharedLogin = 'doveadm';

/** Only for people who check: a port that was taken over from Dovecot, once its policy enforces. */
function inspectSharedLogins({ listeners, policies }: Settings): readonly Finding[] {
  return listeners.flatMap(({ name, accounts }) =>
    accounts
      .filter((account) => account.name === sharedLogin && policies.get(account.policy)?.mode === 'enforce')
      .map(() =>
        finding(
          'warning',
          `listeners.${name}.accounts`,
          `"${sharedLogin}" is whoever knows the password of Dovecot's old port: give each program a socket or an account of its own, and take this one out (dovegate audit search --listener ${name} --since 7d: who still uses it)`,
          'too-open',
        ),
      ),
  );
}

/** The first release that does not take stored mail for commands of dsync (CVE-2026-33606). */
const safeForDsync = '2.4.5';

/** Only for people who check: nothing but an update of Dovecot helps. */
function inspectReleases({ policies, backends }: Settings): readonly Finding[] {
  const granting = [...policies.values()].find(mayGrantDsync);
  if (granting === undefined) return [];
  const message = `policy ${granting.name} grants "dsync-server", and this Dovecot is not known to be ${safeForDsync} or newer: before that release, stored mail can act as dsync commands (CVE-2026-33606); write its release, or move only mail that you trust`;
  return backends
    .filter(({ release }) => release === undefined || !isSince(release, safeForDsync))
    .map(({ name }) => finding('warning', `backends.${name}`, message, 'doubtful'));
}

function mayGrantDsync({ allow, onRequest, denyByCommand }: Policy): boolean {
  const isDsync = ({ command }: Rule): boolean => command === 'dsync-server';
  const isDenied = denyByCommand.get('dsync-server')?.some(strikesAlways) === true;
  return !isDenied && (allow.some(isDsync) || onRequest.some(isDsync));
}

/** What is wrong if Dovecot and the file treat the case of names differently; undefined: they agree. */
export function whyOtherCase(ofDovecot: NameCase, ofFile: NameCase): string | undefined {
  if (ofDovecot === ofFile) return undefined;
  const what =
    ofDovecot === 'keep'
      ? 'keeps the case of names (auth_username_format), and a command for Alice goes to alice'
      : 'takes names in any case, and a rule for alice does not hold for Alice';
  return `${what}; write mail_users: { case: ${ofDovecot} }`;
}

/** The same for names that differ in more than case. */
export function whyOneMailbox({ merged }: NamesOfMailbox): string | undefined {
  return (
    merged &&
    `${merged}: a rule or hold for one name leaves the same mailbox open under another; set mail_users.resolve (docs/backends.md#aliases)`
  );
}

/** Compares the file with the Dovecot of this machine; one on another machine, or a second one here, is unknown. */
function inspectNames(
  { backends, mailUsers }: Settings,
  { names, sockets, ports, sharedNamespaces = [] }: DovecotHere,
): readonly Finding[] {
  const local = backends.filter(({ address }) =>
    address.kind === 'unix'
      ? sockets.some(({ path }) => path === address.path)
      : (address.host === 'localhost' || isLoopback(address.host)) &&
        ports.some(({ port, isHttp }) => !isHttp && port === address.port),
  );
  if (local.length === 0) return [];
  const why = {
    'mail_users.case': whyOtherCase(names.case, mailUsers.case),
    'mail_users.resolve': mailUsers.resolve === undefined ? whyOneMailbox(names) : undefined,
  };
  const otherNames = Object.entries(why).flatMap(([path, said]): readonly Finding[] =>
    said === undefined ? [] : [finding('warning', path, `the Dovecot of this machine ${said}`, 'doubtful')],
  );
  return [...otherNames, ...local.flatMap((each) => unlistedNamespaces(each, sharedNamespaces))];
}

function unlistedNamespaces(
  { name, sharedNamespaces: said }: Settings['backends'][number],
  known: readonly string[],
): readonly Finding[] {
  const listed = said?.map(foldAscii);
  const unlisted = known.filter((prefix) => listed?.includes(foldAscii(prefix)) === false);
  if (unlisted.length === 0) return [];
  const message = `does not list ${unlisted.join(' ')}, where its Dovecot can show mail of others (shared, public or virtual mailboxes): rules and holds let names there pass`;
  const path = `backends.${name}`;
  return [finding('warning', path, message, 'namespaces-unsaid')];
}

export interface FolderChecks {
  /** The folder above it that the daemon may not write to, and the folder to create there. */
  readonly where: (path: string) => { readonly above: string; readonly missing: string } | undefined;
  /** What is there instead of a folder. */
  readonly inTheWay: (path: string) => string | undefined;
}

/** The directory that the shipped unit creates (StateDirectory=). */
const ownFolder = '/var/lib/dovegate';

const isWithin = (above: string, path: string): boolean => `${path}/`.startsWith(`${above}/`);

/** A missing folder is only a warning: the systemd unit creates `/var/lib/dovegate`. */
export function inspectFolders(
  { audit, state, places }: Settings,
  { where, inTheWay }: FolderChecks,
  daemonName: string,
): readonly Finding[] {
  const folders = [
    ['audit.directory', audit.directory, `${ownFolder}/audit`],
    ['state', state, ownFolder],
  ] as const;
  const told = new Set<string>();
  return folders.flatMap(([path, folder, usual]): Finding[] => {
    const other = inTheWay(folder);
    if (other !== undefined) {
      const message = `${folder} cannot be a directory: ${other} is none; move that away, or name another place`;
      return [finding('error', path, message, 'invalid-value')];
    }
    const closed = where(folder);
    // Both may need the same folder, which one command creates.
    if (closed === undefined || told.has(closed.missing)) return [];
    told.add(closed.missing);
    const makes = formatWords(['install', '-d', '-o', daemonName, '-m', '0711', closed.missing]);
    const byUnit = isWithin(ownFolder, folder)
      ? 'a unit with StateDirectory= does that at its start'
      : `a unit with ProtectSystem= also needs ReadWritePaths=${closed.missing}`;
    const todo = isWithin(dirname(placeIn(places, path).file), folder)
      ? `a path without "/" at its beginning is one beside its file: write ${usual}`
      : `run: ${makes} (${byUnit})`;
    const message = `${folder} is not there, and ${daemonName}, the user of the daemon, may not make it in ${closed.above}, so "dovegate serve" would not start; ${todo}`;
    return [finding('warning', path, message, 'doubtful')];
  });
}

/** The part of a path that exists and is not a directory; undefined: there is none, or it is not visible. */
export function whatIsNoFolder(path: string): string | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false ? path : undefined;
  } catch (cause) {
    const isBelow = cause instanceof Error && 'code' in cause && cause.code === 'ENOTDIR';
    return isBelow ? whatIsNoFolder(dirname(path)) : undefined;
  }
}

/** The folder above a missing one where `who` cannot make it. Undefined: it is there, can be made, or is not visible. */
export function whereNotMade(
  path: string,
  who: { readonly uid: number; readonly gids: readonly number[] },
): { readonly above: string; readonly missing: string } | undefined {
  let missing = resolve(path);
  if (!isMissing(missing)) return undefined;
  while (isMissing(dirname(missing))) missing = dirname(missing);
  const above = dirname(missing);
  try {
    return mayMakeFiles(above, statSync(above), who) ? undefined : { above, missing };
  } catch {
    return undefined;
  }
}
