// What only this machine can tell of a configuration: its files, their owners and rights, certificates, accounts; and the results as text.

import {
  gidsOf,
  localGroupName,
  localUserName,
  ourselves,
  uidOf,
  withRightsOf,
} from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import {
  groupOf,
  isMissing,
  ownerOf,
  readIfThere,
  trustedByUs,
  type Unsafe,
  whatDenies,
  whatIsNoFolder,
  whereNotMade,
  whyPoorMemory,
  whyUnreadable,
  whyUnsafe,
} from '../adapters/host/files.js';
import { isInstalled } from '../adapters/host/optional-packages.js';
import { packaged } from '../adapters/host/packaged.js';
import { credentialsFolder } from '../adapters/host/process.js';
import { systemListFile } from '../adapters/host/system-trust.js';
import { bounds } from '../bounds/bounds.js';
import type { ParsedSettings, ProblemReport } from '../domain/config/parse-settings.js';
import type { Finding, Problem } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';
import { strikesAlways } from '../domain/judging/policy/match.js';
import type { Policy, Rule } from '../domain/judging/policy/policy.js';
import { plural } from '../domain/language/words/words.js';
import { isLoopback } from '../domain/people/identity/peer.js';
import { foldAscii, type NameCase } from '../domain/people/identity/user-name.js';
import { formatWords } from '../domain/records/audit/encode.js';
import { isSince } from '../protocol/releases.js';
import type { DovecotFacts } from './doveconf.js';
import {
  inspectCertificates,
  inspectFiles,
  inspectFolders,
  inspectIssuer,
  inspectMemory,
  inspectModes,
  inspectNotices,
  inspectReceivers,
  inspectRights,
  inspectSignKey,
  inspectToken,
  inspectTrust,
  type NoticeChecks,
} from './inspect-files.js';
import { inspectPageFiles, whyHidden } from './inspect-page.js';
import { inspectAccounts, inspectReaders } from './peers.js';

/** Settings, if there is no error; and every problem as text, with warnings. */
export interface LoadedConfiguration {
  readonly settings: Settings | undefined;
  readonly problems: readonly string[];
  readonly found: readonly Problem[];
  readonly errors: number;
  /** The copy of its files (`domain/config/kept-files`), if there is no error. */
  readonly kept?: string | undefined;
  /** It was read from that copy, at that time: the files have these errors. */
  readonly last?: { readonly problems: readonly string[]; readonly readMs: number } | undefined;
}

export interface LoadOptions {
  /** Whether to ask the system for the numbers of accounts, which may take seconds; default as `asksForFiles`. */
  readonly asksForAccounts?: boolean;
  /** Whether to check the files that the settings name, such as passwords; default true. Evaluating policies needs none. */
  readonly asksForFiles?: boolean;
  /** Whether the daemon may run as another user (`daemonUidOf`), who may own the files, too. Default false. */
  readonly isForDaemon?: boolean;
  readonly unitUid?: number | undefined;
  readonly dovecot?: DovecotHere | undefined;
}

export function loadedOf(
  settings: Settings | undefined,
  { found, problems }: ProblemReport,
  kept: string,
): LoadedConfiguration {
  const errors = found.filter(({ severity }) => severity === 'error').length;
  const isGood = settings !== undefined && errors === 0;
  return { ...(isGood ? { settings, kept } : { settings: undefined }), problems, found, errors };
}

export function* inspect(
  settings: Settings | undefined,
  files: ParsedSettings['files'],
  { asksForFiles = true, asksForAccounts = true, isForDaemon = false, unitUid, dovecot }: LoadOptions,
): Generator<readonly Finding[]> {
  if (!asksForFiles) return;
  const uid = isForDaemon && settings !== undefined ? daemonUidOf(settings, files, unitUid) : undefined;
  const daemons = uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }];
  const trusted = trustedByUs(daemons);
  const why = (path: string, isSecret: boolean): Unsafe | undefined => whyUnsafe(path, isSecret, trusted);
  // What is the page's stops no gate, so a start does not look at it.
  yield* inspectModes(files, settings, why, isForDaemon);
  if (settings === undefined) return;
  if (isForDaemon) yield inspectModesOfPolicies(settings);
  if (isForDaemon) yield inspectSharedLogins(settings);
  if (isForDaemon) yield inspectReleases(settings);
  if (dovecot !== undefined) yield inspectNames(settings, dovecot);
  if (isForDaemon) yield inspectIssuer(settings, isInstalled, readIfReadable);
  if (isForDaemon) yield inspectNotices(settings, noticeChecks());
  const closedToPage = (path: string): string | undefined => whyClosedToPage(path, files);
  if (isForDaemon)
    yield inspectPageFiles(settings, { whyUnreadable, whyClosed: closedToPage, whyUnsafe: why });
  yield inspectReceivers(settings, isInstalled);
  yield inspectSignKey(settings, readIfThere);
  yield inspectToken(settings, readIfThere);
  const daemon = daemons[0] ?? ourselves();
  yield inspectMemory(settings, (path, bytes) => whyPoorMemory(path, bytes, daemon));
  // A start says so itself.
  if (isForDaemon) {
    const name = localUserName(daemon.uid) ?? String(daemon.uid);
    const where = (path: string): ReturnType<typeof whereNotMade> => whereNotMade(path, daemon);
    yield inspectFolders(settings, { where, inTheWay: whatIsNoFolder }, name);
  }
  yield inspectTrust(settings, systemListFile());
  // For the daemon's own user, advice how to make a file readable.
  const advice = (path: string): string => (isForDaemon ? '' : howToPermit(path, ourselves(), files));
  const whyNot = (path: string): string | undefined => {
    const said = whyUnreadable(path);
    const todo = isMissing(path) ? '; make it, or correct the path' : advice(path);
    return said === undefined ? undefined : `${said}${todo}`;
  };
  yield* inspectFiles(settings, whyNot, credentialsFolder(), isForDaemon);
  yield* inspectCertificates(settings, systemClock.wallMs(), credentialsFolder(), advice, isForDaemon);
  // What root can read and give away says nothing of the daemon.
  const other = ourselves().isRoot && daemon.uid !== 0 ? daemon : undefined;
  if (other !== undefined) yield inspectRights(files, settings, (path) => whyClosed(path, other, files));
  if (!asksForAccounts) return;
  yield inspectAccounts(
    settings,
    other === undefined ? ourselves() : { ...other, isRoot: false, isElsewhere: true },
  );
  // A start continues: groups change outside of the file, and mail servers need their gate.
  yield inspectReaders(settings, isForDaemon ? 'error' : 'warning', {
    gidsOf,
    daemonUid: isForDaemon ? daemons[0]?.uid : ourselves().uid,
  });
}

/** The page has a user of its own, who may own these files. */
function noticeChecks(): NoticeChecks {
  const uid = uidOf(packaged.pageUser);
  const trusted = trustedByUs(uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }]);
  return {
    isInstalled,
    whyUnreadable,
    whyUnsafe: (path, isSecret) => whyUnsafe(path, isSecret, trusted),
    read: readIfReadable,
  };
}

/** Undefined: there is none, or we cannot read it, which is reported with the other files. */
function readIfReadable(path: string): string | undefined {
  try {
    return readIfThere(path, bounds.secretFileBytes);
  } catch {
    return undefined;
  }
}

/** For a person who checks policies, not at each start: a policy may observe for weeks. */
function inspectModesOfPolicies({ policies }: Settings): readonly Finding[] {
  return [...policies.values()]
    .filter(({ mode }) => mode === 'observe')
    .map(({ name }) => ({
      path: `policies.${name}.mode`,
      message:
        'observes: users, except and deny do not hold for commands that only touch mailboxes of users named one by one',
      severity: 'warning',
      code: 'too-open',
    }));
}

/** The name by which Dovecot's own clients log in unless `doveadm_username` says another: with one password, it is everybody. */
const sharedLogin = 'doveadm';

/** For a person, as above: a port that was taken over from Dovecot, after its policy has begun to enforce. */
function inspectSharedLogins({ listeners, policies }: Settings): readonly Finding[] {
  return listeners.flatMap(({ name, accounts }) =>
    accounts
      .filter((account) => account.name === sharedLogin && policies.get(account.policy)?.mode === 'enforce')
      .map(() => ({
        path: `listeners.${name}.accounts`,
        message: `"${sharedLogin}" is whoever knows the password of Dovecot's old port: give each program a socket or an account of its own, and take this one out (dovegate audit search --listener ${name} --since 7d: who still uses it)`,
        severity: 'warning',
        code: 'too-open',
      })),
  );
}

/** The first release that does not take stored mail for commands of dsync (CVE-2026-33606). */
const safeForDsync = '2.4.5';

/** For a person, as above: only an update of Dovecot helps. */
function inspectReleases({ policies, backends }: Settings): readonly Finding[] {
  const granting = [...policies.values()].find(mayGrantDsync);
  if (granting === undefined) return [];
  const message = `policy ${granting.name} grants "dsync-server", and this Dovecot is not known to be ${safeForDsync} or newer: before that release, stored mail can act as dsync commands (CVE-2026-33606); write its release, or move only mail that you trust`;
  return backends
    .filter(({ release }) => release === undefined || !isSince(release, safeForDsync))
    .map(({ name }) => ({
      path: `backends.${name}`,
      message,
      severity: 'warning',
      code: 'doubtful',
    }));
}

function mayGrantDsync({ allow, onRequest, denyByCommand }: Policy): boolean {
  const isDsync = ({ command }: Rule): boolean => command === 'dsync-server';
  const isDenied = denyByCommand.get('dsync-server')?.some(strikesAlways) === true;
  return !isDenied && (allow.some(isDsync) || onRequest.some(isDsync));
}

/** What is wrong where a Dovecot and the file take the case of names otherwise; undefined: they agree. */
export function whyOtherCase(ofDovecot: NameCase, ofFile: NameCase): string | undefined {
  if (ofDovecot === ofFile) return undefined;
  const what =
    ofDovecot === 'keep'
      ? 'keeps the case of names (auth_username_format), and a command for Alice goes to alice'
      : 'takes names in any case, and a rule for alice does not hold for Alice';
  return `${what}; write mail_users: { case: ${ofDovecot} }`;
}

type DovecotHere = Pick<DovecotFacts, 'nameCase' | 'sockets' | 'ports' | 'sharedNamespaces'>;

/** Nothing is known of a Dovecot elsewhere, nor of a second one here. */
function inspectNames(
  { backends, mailUsers }: Settings,
  { nameCase, sockets, ports, sharedNamespaces = [] }: DovecotHere,
): readonly Finding[] {
  const local = backends.filter(({ address }) =>
    address.kind === 'unix'
      ? sockets.some(({ path }) => path === address.path)
      : (address.host === 'localhost' || isLoopback(address.host)) &&
        ports.some(({ port, isHttp }) => !isHttp && port === address.port),
  );
  if (local.length === 0) return [];
  const why = whyOtherCase(nameCase, mailUsers.case);
  const otherCase: readonly Finding[] =
    why === undefined
      ? []
      : [
          {
            path: 'mail_users.case',
            message: `the Dovecot of this machine ${why}`,
            severity: 'warning',
            code: 'doubtful',
          },
        ];
  return [...otherCase, ...local.flatMap((each) => unlistedNamespaces(each, sharedNamespaces))];
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
  return [{ path, message, severity: 'warning', code: 'namespaces-unsaid' }];
}

interface Account {
  readonly uid: number;
  readonly gids: readonly number[];
}

type OwnFiles = { has(path: string): boolean };

/** Why the user of the daemon, or of the page, cannot read a file that we can; undefined: it can, nobody can, or it is not known. */
function whyClosed(path: string, account: Account, files: OwnFiles, of = 'daemon'): string | undefined {
  if (whyUnreadable(path) !== undefined) return undefined;
  const name = localUserName(account.uid) ?? String(account.uid);
  return withRightsOf(account, () => {
    const why = whyUnreadable(path);
    if (why === undefined) return undefined;
    return `${path} cannot be read by ${name}, the user of the ${of}: ${why}${howToPermit(path, account, files)}`;
  });
}

/** The same of the packaged page, whose user exists where its service does. */
function whyClosedToPage(path: string, files: OwnFiles): string | undefined {
  const uid = uidOf(packaged.pageUser);
  if (uid === undefined || !files.has(packaged.file)) return undefined;
  return whyHidden(path) ?? whyClosed(path, { uid, gids: gidsOf(uid) }, files, 'page');
}

/** Empty: rights are not the cause, or not for us to run. The daemon owns its secrets; its group reads the configuration. */
export function howToPermit(path: string, { uid, gids }: Account, files: OwnFiles): string {
  const denied = whatDenies(path);
  if (denied === undefined) return '';
  const [gid = uid] = gids;
  const group = localGroupName(gid) ?? String(gid);
  let commands = [['chown', localUserName(uid) ?? String(uid)]];
  if (denied.kind === 'directory')
    commands =
      groupOf(denied.path) === 0
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
  system = { ownerOf, uidOf },
): number | undefined {
  const served = admin?.unix === undefined ? undefined : system.ownerOf(admin.unix);
  return (
    served ??
    unitUid ??
    system.ownerOf(state) ??
    system.ownerOf(audit.directory) ??
    (files.has(packaged.file) ? system.uidOf(packaged.user) : undefined)
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
