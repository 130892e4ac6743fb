// `dovegate init`: turns five answers, from a terminal or from options, into a configuration with a policy and its tests. It writes
// everything or nothing. It overwrites nothing (`--replace` renames existing files), and prints the lines for Dovecot instead of changing
// Dovecot's files.

import { dirname, join } from 'node:path';
import { gidsOf, ourselves, userNameOf } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { statOf, whyUnreadable, whyUnsafe } from '../../host/machine/files.js';
import { giveFile, isTaken, NewFiles, NewFilesFault, type Owner } from '../../host/machine/new-files.js';
import { packaged } from '../../host/machine/packaged.js';
import { holdProcess, readFromDisk } from '../../host/machine/process.js';
import { CommandFault, plain, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines, formatWords } from '../../host/words/text.js';
import { runTests } from '../../rules/answers/policy-tests.js';
import { checkBeside } from '../../rules/config/check-beside.js';
import { parseSettings } from '../../rules/config/parse-settings.js';
import { formatProblem } from '../../rules/config/problem.js';
import {
  type BackendSettings,
  type PolicyTest,
  policyTestsOf,
  type Settings,
} from '../../rules/config/settings.js';
import { loadConfiguration } from '../../rules/setup/configuration.js';
import { summarise } from '../../rules/setup/inspect.js';
import { inspectBeside, whyOneMailbox } from '../../rules/setup/inspect-beside.js';
import { dropIn, installedUnit, secretsFolder, whyUnitDenies } from '../../rules/setup/unit.js';
import { describeCertificate, lookAtCertificate } from '../health/backend-look.js';
import { lookAtDovecotPorts, lookAtNeighbours } from '../health/dovecot-look.js';
import {
  type BackendAsked,
  type InitOptions,
  linesOf,
  parseBackends,
  parseDirectory,
  parseObserved,
  parsePreset,
  parseShared,
  parseTeams,
  placesFor,
  type Question,
  questionsFor,
  wrong,
} from './answers.js';
import { readAnswers } from './answers-file.js';
import {
  type Answers,
  type BackendAnswer,
  configurationName,
  draftConfiguration,
  draftPolicies,
  draftSnippet,
  policiesName,
  serverCommandsOf,
  snippetName,
  type Team,
  teamSocket,
  testsFor,
} from './draft.js';
import { type Interview, openInterview } from './interview.js';
import { jobsHere } from './job-files.js';
import { lookAtMachine, type Machine } from './machine.js';
import { nextSteps } from './next-steps.js';

export type InitFlags = InitOptions & {
  /** Uses the default of every answer that is not given, and does not ask. */
  readonly defaults: boolean;
  readonly json: boolean;
  readonly replace: boolean;
  /** A file of answers: what is there already stays as it is, and nothing is asked. */
  readonly answers?: string;
};

/**
 * Exit code 0, also where a configuration is there and `answers` are given; 1: canceled, or a disk error; 64: an answer is missing or
 * invalid; 77: not permitted; 78: a file exists already.
 */
export async function init(given: InitFlags): Promise<number> {
  const flags: InitFlags =
    given.answers === undefined ? given : { ...readAnswers(given.answers), ...given, defaults: true };
  const release = holdProcess();
  const interview = process.stdin.isTTY && !flags.defaults ? openInterview() : undefined;
  try {
    const machine = await lookAtMachine();
    const there =
      flags.answers === undefined || flags.replace ? undefined : configurationThere(flags, machine);
    if (there !== undefined) {
      stdout(
        flags.json
          ? formatJsonLines({ configuration: there, made: [] })
          : `${there} is there: nothing was changed`,
      );
      return exitCodes.ok;
    }
    const answers = await gather(flags, machine, interview);
    interview?.close();
    const written = write(answers, machine);
    const certificates = await Promise.all(written.backends.map(certificateOf));
    report(answers, written, machine, certificates.flat(), flags.json);
    return exitCodes.ok;
  } finally {
    interview?.close();
    release();
  }
}

function configurationThere(flags: InitFlags, machine: Machine): string | undefined {
  const [question] = questionsFor(machine, undefined);
  const path = join(parseDirectory(flags.directory ?? question?.fallback ?? ''), configurationName);
  return attempt(() => isTaken(path)) ? path : undefined;
}

async function gather(
  flags: InitFlags,
  machine: Machine,
  interview: Interview | undefined,
): Promise<Answers> {
  const given = linesOf(flags);
  if (flags.runAs === undefined) refuseHalfInstalled(machine);
  const daemonUser = flags.runAs ?? machine.daemonUser;
  if (machine.uidOf(daemonUser) === undefined)
    throw wrong(`this machine has no user "${daemonUser}" for the daemon to run as`);
  if (!machine.isRoot && daemonUser !== machine.ownName)
    throw wrong('only root sets up a daemon that runs as another user');
  if (interview === undefined && !flags.defaults) demandAll(given, machine);
  let known = machine;
  const take = <Value>(index: number, directory: string | undefined, parse: (text: string) => Value) =>
    answerTo(questionsFor(known, directory)[index], given, interview, `${index + 1} of 5`, parse);

  const directory = await take(0, undefined, parseDirectory);
  await mayReplace(directory, flags.replace, interview);
  const backends: BackendAnswer[] = [];
  const asked = await take(1, directory, (text) => parseBackends(text, flags, machine, daemonUser));
  const passwords = passwordFilesFor(asked, flags.passwordFile);
  for (const each of asked)
    backends.push(
      each.kind === 'unix'
        ? each
        : {
            ...each,
            sharedNamespaces: each.sharedNamespaces ?? (await askShared(each.host, interview)),
            ...(await passwordFor(each, {
              directory,
              file: passwords.get(each),
              daemonUser,
              machine,
              interview,
            })),
          },
    );
  // Patterns given for each backend are the mail users of the policy, too.
  const there = [...new Set(asked.flatMap(({ users }) => users))];
  if (!there.includes('*')) known = { ...machine, mailUsers: there };
  const teams = await take(2, directory, (text) => parseTeams(text, machine, daemonUser));
  const partly = {
    ...placesFor(directory),
    teams,
    daemonUser,
    backends,
    journal: join(directory, 'audit'),
  };
  // Parsing the draft checks the parameters, which only the preset defines.
  const role = await take(3, directory, (text) => {
    const parsed = flags.observe === true ? parseObserved(text, known) : parsePreset(text, known);
    const all = { ...partly, ...parsed };
    parseDraft(draftConfiguration(all), all);
    return parsed;
  });
  const journal = await take(4, directory, (text) => {
    const path = parseDirectory(text);
    const denial = isOfService(directory, daemonUser) ? whyUnitDenies(path) : undefined;
    if (denial !== undefined && denial.run === undefined)
      throw wrong(`a journal in ${path}: ${denial.text}; ${denial.todo}`);
    return path;
  });
  return { ...partly, ...role, journal };
}

/** Whether systemd would run it; then the restrictions of the installed unit apply. */
function isOfService(directory: string, daemonUser: string): boolean {
  const isStandard = join(directory, configurationName) === packaged.file;
  return isStandard && daemonUser === packaged.user && installedUnit() !== undefined;
}

/** Throws a CommandFault where a unit is installed but its user is missing: root would run a daemon that differs from the unit's. */
function refuseHalfInstalled({ isRoot, daemonUser }: Machine): void {
  const unit = isRoot && daemonUser === 'root' ? installedUnit() : undefined;
  if (unit === undefined) return;
  const todo =
    'complete the installation (Debian: dpkg --configure dovegate; others: systemd-sysusers dovegate.conf)';
  throw new CommandFault(
    exitCodes.configuration,
    `${unit} is installed, and its user "dovegate" is missing: ${todo}, or give --run-as USER`,
  );
}

/** Throws a CommandFault that names every missing option. */
function demandAll(given: ReturnType<typeof linesOf>, machine: Machine): void {
  const missing = questionsFor(machine, given.directory).filter(({ option }) => given[option] === undefined);
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ option, text, fallback }) =>
      `  --${option.padEnd(10)} ${text} ${fallback === undefined ? '' : `[${fallback}]`}`,
  );
  const head = `no terminal to ask on; missing ${missing.length === 1 ? 'option' : 'options'}:`;
  const defaults = missing.some(({ fallback }) => fallback === undefined)
    ? ''
    : '\nor --defaults, for what stands in brackets';
  throw wrong(`${head}\n${lines.join('\n')}${defaults}`);
}

/** The answer from the option, else from the terminal, which asks again after an invalid answer; else the default. */
async function answerTo<Value>(
  question: Question | undefined,
  given: ReturnType<typeof linesOf>,
  interview: Interview | undefined,
  count: string,
  parse: (text: string) => Value,
): Promise<Value> {
  if (question === undefined) throw new Error('no such question');
  const { option, text, help, fallback, whyNone } = question;
  const line = given[option];
  if (line !== undefined || interview === undefined) {
    const chosen = line ?? fallback;
    if (chosen === undefined) throw wrong(`--${option} has no default here: ${plain(whyNone ?? text)}`);
    return parse(chosen);
  }
  const indent = help.map((each) => `          ${plain(each)}\n`).join('');
  const again = `          ${fallback === undefined ? '' : `[${plain(fallback)}] `}`;
  let prompt = `\n${count}    ${text}\n${indent}${again}`;
  for (;;) {
    const typed = await interview.ask(prompt);
    try {
      if (typed === '' && fallback === undefined) throw wrong(whyNone ?? 'this has no default');
      return parse(typed === '' ? (fallback ?? '') : typed);
    } catch (fault) {
      if (!(fault instanceof CommandFault)) throw fault;
      stderr(
        fault.message
          .split('\n')
          .map((each) => `          ${plain(each)}`)
          .join('\n'),
      );
      prompt = again;
    }
  }
}

/** Throws a CommandFault if a file exists already, unless the person wants to replace it. */
async function mayReplace(
  directory: string,
  isWanted: boolean,
  interview: Interview | undefined,
): Promise<void> {
  const taken = [configurationName, snippetName]
    .map((name) => join(directory, name))
    .find((path) => attempt(() => isTaken(path)));
  if (taken === undefined || isWanted) return;
  const prompt = `\n          ${taken} exists already. Put it aside, as ${taken}.old, and write another? [no] `;
  if (interview !== undefined && isYes(await interview.ask(prompt))) return;
  const text = `${taken} exists already, and is not overwritten; to correct it: dovegate check --config ${join(directory, configurationName)}; to begin again: --replace, which keeps it as ${taken}.old, or another --directory`;
  throw new CommandFault(exitCodes.configuration, text);
}

const isYes = (text: string): boolean => /^y(?:es)?$/i.test(text);

/** Throws a CommandFault if another user owns an existing folder: `check` takes the owner of these folders for the daemon's user. */
function refuseForeign({ daemonUser, journal, stateDirectory, runDirectory }: Answers, uid: number): void {
  for (const path of [stateDirectory, journal, runDirectory]) {
    const found = statOf(path);
    if (found === undefined || found.uid === uid) continue;
    // Creating sockets needs only write permission.
    if (path === runDirectory && (found.mode & 0o022) !== 0) continue;
    const owner = userNameOf(found.uid) ?? found.uid;
    const todo = `chown -R ${formatWords([`${daemonUser}:`])} ${path}`;
    throw new CommandFault(
      exitCodes.configuration,
      `${path} belongs to ${owner}, and the daemon runs as ${daemonUser}; run: ${todo}`,
    );
  }
}

/** Undefined: not known, for example without a terminal. */
async function askShared(
  host: string,
  interview: Interview | undefined,
): Promise<readonly string[] | undefined> {
  const prompt = `          Has ${host} shared mailboxes? "none", or their prefixes, as shared/ Public/ [not known]: `;
  return parseShared(await interview?.ask(prompt));
}

/** One file for all remote backends, or one for each, in order. Throws a CommandFault. */
function passwordFilesFor(
  asked: readonly BackendAsked[],
  files: readonly string[] = [],
): ReadonlyMap<BackendAsked, string | undefined> {
  const remote = asked.filter(({ kind }) => kind === 'tcp');
  if (files.length > 1 && files.length !== remote.length)
    throw wrong(
      `--password-file is given ${files.length} times for ${remote.length} Dovecots: once, or once for each`,
    );
  return new Map(remote.map((each, at) => [each, files.length > 1 ? files[at] : files[0]]));
}

interface PasswordPlace {
  readonly directory: string;
  readonly file: string | undefined;
  readonly daemonUser: string;
  readonly machine: Machine;
  readonly interview: Interview | undefined;
}

const rootAlone = { owners: [0], writers: [0], readers: [0] };

/** The password file of a backend, and the password if the file must be written. Throws a CommandFault. */
async function passwordFor(
  { name, host }: { readonly name: string; readonly host: string },
  { directory, file, daemonUser, machine, interview }: PasswordPlace,
): Promise<{ readonly passwordFile: string; readonly password: string | undefined }> {
  if (file !== undefined) {
    const path = parseDirectory(file);
    const why = whyUnreadable(path);
    if (why !== undefined) throw new CommandFault(exitCodes.configuration, `--password-file ${path}: ${why}`);
    const prompt = `          ${path} belongs to root, and the daemon runs as ${daemonUser}. Give it to ${daemonUser} (chown)? [yes] `;
    const daemon = daemonOf(daemonUser, machine);
    // In a folder that others can write to, another file could take its place before the chown.
    const isOurs = statOf(path)?.uid === 0 && whyUnsafe(path, true, rootAlone) === undefined;
    if (interview !== undefined && daemon !== undefined && isOurs) {
      const typed = await interview.ask(prompt);
      if (typed === '' || isYes(typed)) attempt(() => giveFile(path, daemon));
    }
    return { passwordFile: path, password: undefined };
  }
  if (interview === undefined)
    throw wrong(`--password-file is missing: a file with the doveadm_password of ${host}`);
  const own = `${name}.password`;
  const isThere = attempt(() => isTaken(join(directory, own)));
  const hint = isThere ? 'empty: as it is in' : 'goes to';
  for (;;) {
    const prompt = `          doveadm_password of ${host} (${hint} ${join(directory, own)}): `;
    const password = (await interview.askHidden(prompt)).trim();
    if (password !== '' || isThere)
      return { passwordFile: own, password: password === '' ? undefined : password };
    stderr('          it is not empty');
  }
}

/** The settings of a text that is not on disk yet. Throws a CommandFault with all problems. */
function parseDraft(text: string, answers: Answers): Settings {
  const { directory } = answers;
  const file = join(directory, configurationName);
  const drafts = new Map([
    [file, text],
    [join(directory, policiesName), draftPolicies(answers)],
  ]);
  const read = {
    ...readFromDisk,
    readText: (path: string) => drafts.get(path) ?? readFromDisk.readText(path),
  };
  const { settings, problems, texts } = parseSettings(file, read, { nowMs: systemClock.wallMs() });
  if (settings !== undefined) return settings;
  const lines = problems.map((problem) => formatProblem(problem, texts.get(problem.file)));
  throw new CommandFault(exitCodes.usage, ['these answers make no configuration:', ...lines].join('\n'));
}

/** The certificate of a network server, in words; empty: the connection uses no TLS. */
async function certificateOf(backend: BackendSettings): Promise<readonly string[]> {
  if (backend.tls === 'off') return [];
  const seen = await lookAtCertificate(backend, systemClock);
  const { host, port } = backend.address.kind === 'tcp' ? backend.address : { host: '', port: 0 };
  return seen === undefined
    ? [`${host}:${port} shows no certificate now: dovegate doctor says why`]
    : [`${host}:${port} shows ${describeCertificate(seen)}; dovegate wants one for ${backend.serverName}`];
}

interface Written {
  readonly backends: readonly BackendSettings[];
  readonly configuration: string;
  readonly made: readonly string[];
  /** For each file that was there before, where it is now. */
  readonly kept: readonly string[];
  readonly warnings: readonly string[];
  readonly verdict: string;
  readonly tests: readonly PolicyTest[];
  readonly snippet: string | undefined;
}

/** Writes and checks everything; after a fault it removes what it wrote. Throws a CommandFault. */
function write(answers: Answers, machine: Machine): Written {
  const { directory, backends, daemonUser, journal, stateDirectory, runDirectory, preset } = answers;
  const nowMs = systemClock.wallMs();
  const parse = (text: string): Settings => parseDraft(text, answers);
  const serverCommands = serverCommandsOf(parse(draftConfiguration(answers)));
  const tests = testsFor(answers, nowMs, parse, serverCommands);
  const text = draftConfiguration(answers, { tests, serverCommands });
  parse(text);
  const snippet = draftSnippet(answers);

  const daemon = daemonOf(daemonUser, machine);
  // Root owns these files; only the daemon's group may read them.
  const readers = daemon === undefined ? undefined : { uid: 0, gid: daemon.gid };
  const files = new NewFiles();
  try {
    refuseForeign(answers, daemon?.uid ?? ourselves().uid);
    files.folder(directory, 0o755, undefined);
    files.folder(stateDirectory, 0o711, daemon);
    files.folder(journal, 0o700, daemon);
    files.folder(runDirectory, 0o755, daemon);
    if (isOfService(directory, daemonUser)) {
      files.folder(secretsFolder, 0o700, undefined);
      const lines = whyUnitDenies(journal)?.lines;
      if (lines !== undefined) {
        files.folder(dropIn.folder, 0o755, undefined);
        files.putAside(dropIn.folder, dropIn.name);
        files.file(dropIn.folder, dropIn.name, lines, 0o644, undefined);
      }
    }
    for (const each of backends) {
      if (each.kind === 'unix' || each.password === undefined) continue;
      files.putAside(directory, each.passwordFile);
      files.file(directory, each.passwordFile, `${each.password}\n`, 0o600, daemon);
    }
    files.putAside(directory, snippetName);
    files.putAside(directory, configurationName);
    if (snippet !== undefined) files.file(directory, snippetName, snippet, 0o644, undefined);
    if (preset === undefined) {
      files.putAside(directory, policiesName);
      files.file(
        directory,
        policiesName,
        draftPolicies(answers),
        daemon === undefined ? 0o600 : 0o640,
        readers,
      );
    }
    files.file(directory, configurationName, text, daemon === undefined ? 0o600 : 0o640, readers);
    const configuration = join(directory, configurationName);
    const loaded = loadConfiguration(configuration, { beside: inspectBeside, checkBeside });
    const { settings } = loaded;
    if (settings === undefined)
      throw new CommandFault(
        exitCodes.configuration,
        [...loaded.problems, summarise(configuration, loaded)].join('\n'),
      );
    const failed = runTests(settings, nowMs).filter(({ isPassed }) => !isPassed).length;
    if (failed > 0) throw new CommandFault(exitCodes.failed, `${failed} of the policy tests failed`);
    return {
      configuration,
      backends: settings.backends,
      made: files.made,
      kept: files.kept,
      warnings: loaded.problems,
      verdict: summarise(configuration, loaded),
      tests: policyTestsOf(settings),
      snippet,
    };
  } catch (fault) {
    const left = files.undo();
    throw withLeftovers(asCommandFault(fault), left);
  }
}

function withLeftovers(fault: CommandFault, left: readonly string[]): CommandFault {
  const rest =
    left.length === 0 ? 'nothing was written' : `written, and could not be removed again: ${left.join(', ')}`;
  return new CommandFault(fault.exitCode, `${fault.message}\n${rest}`);
}

function asCommandFault(fault: unknown): CommandFault {
  if (fault instanceof CommandFault) return fault;
  if (!(fault instanceof NewFilesFault)) throw fault;
  const code = fault.cause instanceof Error && 'code' in fault.cause ? String(fault.cause.code) : '';
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  const isTheDisk = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO';
  const exitCode = isForbidden
    ? exitCodes.notPermitted
    : isTheDisk
      ? exitCodes.failed
      : exitCodes.configuration;
  return new CommandFault(exitCode, fault.message);
}

function attempt<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (fault) {
    throw asCommandFault(fault);
  }
}

/** Undefined: the daemon runs as the user of this process, or the user does not exist. */
function daemonOf(name: string, machine: Machine): Owner | undefined {
  const uid = machine.uidOf(name);
  if (uid === undefined || name === machine.ownName) return undefined;
  return { uid, gid: gidsOf(uid)[0] ?? uid };
}

function report(
  answers: Answers,
  written: Written,
  machine: Machine,
  certificates: readonly string[],
  isJson: boolean,
): void {
  const { configuration, made, kept, warnings, verdict, tests, snippet } = written;
  const mayList = tests.some(({ words, expect }) => words.join(' ') === 'mailbox list' && expect === 'allow');
  const next = nextSteps(answers, {
    configuration,
    isRoot: machine.isRoot,
    hasSnippet: snippet !== undefined,
    mailUser: mayList ? knownUser(answers, machine) : undefined,
    isReplaced: kept.length > 0,
    hasDropIn: made.some((path) => dirname(path) === dropIn.folder),
  });
  if (isJson) {
    stdout(
      formatJsonLines({
        configuration,
        made,
        kept,
        socket: teamSocket(answers),
        dovecot: machine.dovecot === undefined ? null : machine.dovecot.version,
        certificates,
        warnings,
        tests: tests.length,
        snippet: snippet ?? null,
        next,
      }),
    );
    return;
  }
  const dovecot =
    machine.dovecot === undefined
      ? machine.noDovecot
      : `Dovecot ${machine.dovecot.version} is on this machine`;
  const doors =
    machine.dovecot === undefined
      ? []
      : [
          ...(machine.dovecot.ports.length === 0 ? [] : lookAtDovecotPorts(machine.dovecot, written)),
          ...lookAtNeighbours(machine.dovecot),
        ].map(({ text, todo }) => (todo === undefined ? text : `warning: ${text}; ${todo}`));
  const merged = machine.dovecot && whyOneMailbox(machine.dovecot.names);
  const notes = [
    ...(machine.dovecot?.wantsTlsOnSockets === true ? [wantsTls] : []),
    ...(merged === undefined ? [] : [`warning: the Dovecot of this machine ${merged}`]),
  ];
  const lines = [
    plain(dovecot ?? ''),
    ...certificates.map(plain),
    '',
    'written:',
    ...made.map((path) => `  ${path}`),
    ...kept,
    ...warnings,
    verdict,
    ...(answers.preset === undefined
      ? ['the policies observe: docs/migrate-from-root.md says how it goes on', ...jobLines().map(plain)]
      : [`all ${tests.length} tests of the policy passed`]),
    `the policy covers the mailboxes of ${plain(answers.mailUsers.join(' '))} (--mail-users)`,
    ...(machine.isRoot && answers.teams.every(isRootAlone)
      ? [`only root may use it: add the people of the team to "peers" in ${configuration}`]
      : []),
    ...(doors.length === 0 ? [] : ['', ...doors.map(plain)]),
    ...notes.flatMap((note) => ['', note]),
    ...(answers.daemonUser === 'root' ? ['', asRoot] : []),
    ...(snippet === undefined
      ? ['', 'Dovecot listens as it should: nothing is to be changed there.']
      : [
          '',
          `for the configuration of Dovecot (also in ${join(answers.directory, snippetName)}):`,
          '',
          snippet.trimEnd(),
        ]),
    '',
    ...next.map((step, at) => `${at === 0 ? 'next:' : 'then:'} ${step}`),
  ];
  stdout(lines.join('\n'));
}

/** The jobs of cron here, by the UNIX users that they run as. */
function jobLines(): readonly string[] {
  const jobs = [...jobsHere()];
  if (jobs.length === 0) return [];
  return [
    '',
    'jobs of cron that call doveadm, by the UNIX user of each:',
    ...jobs.map(([user, names]) => `  ${user}: ${[...names].join(' ')}`),
    'each user joins a team; a job of root gets one (useradd --system NAME, --team NAME=NAME); then: dovegate move jobs FILE...',
  ];
}

/** A mail user of the local Dovecot whom the policy covers, for the commands to try. */
function knownUser({ backends, mailUsers }: Answers, { mailUser }: Machine): string | undefined {
  const covering = ['*', mailUser, mailUser?.replace(/^[^@]*/, '*')];
  return backends.some(({ kind }) => kind === 'unix') && mailUsers.some((each) => covering.includes(each))
    ? mailUser
    : undefined;
}

const isRootAlone = ({ groups, users }: Team): boolean =>
  groups.length === 0 && users.every((name) => name === 'root');

const asRoot = `warning: the daemon would run as root; "npm run install:system" makes the user dovegate for it, or give --run-as USER`;

const wantsTls = `warning: doveadm_port and doveadm_ssl are set in Dovecot, so doveadm wants TLS on UNIX sockets, too;
take them out, or call doveadm with -o doveadm_ssl=no`;
