// `dovegate init`: five answers, from a terminal or from options, become a configuration with a policy and its tests. It writes
// everything or nothing, overwrites nothing, and prints the lines for Dovecot instead of changing its files.

import { join } from 'node:path';
import { gidsOf, ourselves, userNameOf } from '../../adapters/host/accounts.js';
import { systemClock } from '../../adapters/host/clock.js';
import { whyUnreadable } from '../../adapters/host/files.js';
import { isTaken, modeOf, NewFiles, NewFilesFault, type Owner } from '../../adapters/host/new-files.js';
import { holdProcess, readFromDisk } from '../../adapters/host/process.js';
import { parseSettings } from '../../domain/config/parse-settings.js';
import { formatProblem } from '../../domain/config/problem.js';
import type { BackendSettings, Settings } from '../../domain/config/settings.js';
import { runTests } from '../../domain/judging/review/replay.js';
import { formatJsonLines, formatWords } from '../../domain/records/audit/encode.js';
import { exitCodes } from '../../ports/machine.js';
import { loadConfiguration } from '../../setup/configuration.js';
import { summarise } from '../../setup/inspect.js';
import { describeCertificate, lookAtCertificate } from '../health/backend-look.js';
import { CommandFault, plain, stderr, stdout } from '../output/output.js';
import {
  type InitOptions,
  linesOf,
  parseBackend,
  parseDirectory,
  parsePreset,
  parseTeam,
  passwordFileName,
  placesFor,
  type Question,
  questionsFor,
} from './answers.js';
import {
  type Answers,
  type BackendAnswer,
  configurationName,
  draftConfiguration,
  draftSnippet,
  snippetName,
  teamSocket,
  testsFor,
} from './draft.js';
import { type Interview, openInterview } from './interview.js';
import { lookAtMachine, type Machine } from './machine.js';
import { installedUnit, nextSteps } from './next-steps.js';

export type InitFlags = InitOptions & {
  /** Uses the default for everything that is not given, and asks nothing. */
  readonly defaults: boolean;
  readonly json: boolean;
};

/** Exit code 0; 1: canceled, or the disk refused; 64: an answer is missing or invalid; 77: not permitted; 78: a file is there. */
export async function init(flags: InitFlags): Promise<number> {
  const release = holdProcess();
  const interview = process.stdin.isTTY && !flags.defaults ? openInterview() : undefined;
  try {
    const machine = await lookAtMachine();
    const answers = await gather(flags, machine, interview);
    interview?.close();
    const written = write(answers, machine);
    report(answers, written, machine, await certificateOf(written.backend), flags.json);
    return exitCodes.ok;
  } finally {
    interview?.close();
    release();
  }
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
    throw usage(`this machine has no user "${daemonUser}" for the daemon to run as`);
  if (!machine.isRoot && daemonUser !== machine.ownName)
    throw usage('only root sets up a daemon that runs as another user');
  if (interview === undefined && !flags.defaults) demandAll(given, machine);
  const take = <Value>(index: number, directory: string | undefined, parse: (text: string) => Value) =>
    answerTo(questionsFor(machine, directory)[index], given, interview, `${index + 1} of 5`, parse);

  const directory = await take(0, undefined, parseDirectory);
  refuseTaken(directory);
  const asked = await take(1, directory, (text) => parseBackend(text, flags, machine, daemonUser));
  const backend: BackendAnswer =
    asked.kind === 'tcp'
      ? { ...asked, ...(await passwordFor(directory, flags.passwordFile, interview)) }
      : asked;
  const team = await take(2, directory, (text) => parseTeam(text, machine, daemonUser));
  const partly = {
    ...placesFor(directory),
    ...team,
    daemonUser,
    backend,
    journal: join(directory, 'audit'),
  };
  // The roles define their parameters and their form.
  const role = await take(3, directory, (text) => {
    const parsed = parsePreset(text, machine);
    parseDraft(draftConfiguration({ ...partly, ...parsed }), directory);
    return parsed;
  });
  return { ...partly, ...role, journal: await take(4, directory, parseDirectory) };
}

/** A daemon run by root would differ from the unit's, which runs as another user. Throws a CommandFault. */
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

const usage = (text: string): CommandFault => new CommandFault(exitCodes.usage, text);

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
  throw usage(`${head}\n${lines.join('\n')}${defaults}`);
}

/** The answer from the option, else from the terminal, where an invalid one is asked again; else the default. */
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
    if (chosen === undefined) throw usage(`--${option} has no default here: ${plain(whyNone ?? text)}`);
    return parse(chosen);
  }
  const indent = help.map((each) => `          ${plain(each)}\n`).join('');
  const again = `          ${fallback === undefined ? '' : `[${plain(fallback)}] `}`;
  let prompt = `\n${count}    ${text}\n${indent}${again}`;
  for (;;) {
    const typed = await interview.ask(prompt);
    try {
      if (typed === '' && fallback === undefined) throw usage(whyNone ?? 'this has no default');
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

/** If a file exists already, nothing is asked or written. Throws a CommandFault. */
function refuseTaken(directory: string): void {
  for (const name of [configurationName, snippetName]) {
    const path = join(directory, name);
    if (!attempt(() => isTaken(path))) continue;
    const correct =
      name === configurationName ? `to correct it: dovegate check --config ${path}; to begin again, ` : '';
    const text = `${path} exists already, and is not overwritten; ${correct}move it away, or give another --directory`;
    throw new CommandFault(exitCodes.configuration, text);
  }
}

/** `check` would take the owner of existing folders for the daemon. Throws a CommandFault. */
function refuseForeign({ daemonUser, journal, stateDirectory, runDirectory }: Answers, uid: number): void {
  for (const path of [stateDirectory, journal, runDirectory]) {
    const found = modeOf(path);
    if (found === undefined || found.uid === uid) continue;
    // Sockets need only the right to write.
    if (path === runDirectory && (found.mode & 0o022) !== 0) continue;
    const owner = userNameOf(found.uid) ?? found.uid;
    const todo = `chown -R ${formatWords([`${daemonUser}:`])} ${path}`;
    throw new CommandFault(
      exitCodes.configuration,
      `${path} belongs to ${owner}, and the daemon runs as ${daemonUser}; run: ${todo}`,
    );
  }
}

/** The origin of a backend's password. Throws a CommandFault. */
async function passwordFor(
  directory: string,
  file: string | undefined,
  interview: Interview | undefined,
): Promise<{ readonly passwordFile: string; readonly password: string | undefined }> {
  if (file !== undefined) {
    const path = parseDirectory(file);
    const why = whyUnreadable(path);
    if (why !== undefined) throw new CommandFault(exitCodes.configuration, `--password-file ${path}: ${why}`);
    return { passwordFile: path, password: undefined };
  }
  if (interview === undefined)
    throw usage('--password-file is missing: a file with the doveadm_password of that Dovecot');
  for (;;) {
    const prompt = `          doveadm_password of that Dovecot (goes to ${join(directory, passwordFileName)}): `;
    const password = await interview.askHidden(prompt);
    if (password !== '') return { passwordFile: passwordFileName, password };
    stderr('          it is not empty');
  }
}

/** The settings of a text without a file. Throws a CommandFault with its problems. */
function parseDraft(text: string, directory: string): Settings {
  const file = join(directory, configurationName);
  const read = {
    ...readFromDisk,
    readText: (path: string) => (path === file ? text : readFromDisk.readText(path)),
  };
  const { settings, problems, texts } = parseSettings(file, read, { nowMs: systemClock.wallMs() });
  if (settings !== undefined) return settings;
  const lines = problems.map((problem) => formatProblem(problem, texts.get(problem.file)));
  throw new CommandFault(exitCodes.usage, ['these answers make no configuration:', ...lines].join('\n'));
}

/** The certificate of a network server, in words; undefined: there is no server to ask. */
async function certificateOf(backend: BackendSettings | undefined): Promise<string | undefined> {
  if (backend === undefined || backend.tls === 'off') return undefined;
  const seen = await lookAtCertificate(backend, systemClock);
  const { host, port } = backend.address.kind === 'tcp' ? backend.address : { host: '', port: 0 };
  if (seen === undefined) return `${host}:${port} shows no certificate now: dovegate doctor says why`;
  return `${host}:${port} shows ${describeCertificate(seen)}; dovegate wants one for ${backend.serverName}`;
}

interface Written {
  readonly backend: BackendSettings | undefined;
  readonly configuration: string;
  readonly made: readonly string[];
  readonly warnings: readonly string[];
  readonly verdict: string;
  readonly tests: Settings['tests'];
  readonly snippet: string | undefined;
}

/** Writes and checks everything, or leaves nothing behind. Throws a CommandFault. */
function write(answers: Answers, machine: Machine): Written {
  const { directory, backend, daemonUser, journal, stateDirectory, runDirectory } = answers;
  const nowMs = systemClock.wallMs();
  const tests = testsFor(answers, nowMs, (text) => parseDraft(text, directory));
  const text = draftConfiguration(answers, tests);
  parseDraft(text, directory);
  const snippet = draftSnippet(answers);

  const daemon = daemonOf(daemonUser, machine);
  // Files that root writes are readable by the daemon's group only.
  const readers = daemon === undefined ? undefined : { uid: 0, gid: daemon.gid };
  const files = new NewFiles();
  try {
    refuseForeign(answers, daemon?.uid ?? ourselves().uid);
    files.folder(directory, 0o755, undefined);
    files.folder(stateDirectory, 0o711, daemon);
    files.folder(journal, 0o700, daemon);
    files.folder(runDirectory, 0o755, daemon);
    if (backend.kind === 'tcp' && backend.password !== undefined)
      files.file(directory, passwordFileName, `${backend.password}\n`, 0o600, daemon);
    if (snippet !== undefined) files.file(directory, snippetName, snippet, 0o644, undefined);
    files.file(directory, configurationName, text, daemon === undefined ? 0o600 : 0o640, readers);
    const configuration = join(directory, configurationName);
    const loaded = loadConfiguration(configuration, { isForDaemon: true });
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
      backend: settings.backends[0],
      made: files.made,
      warnings: loaded.problems,
      verdict: summarise(configuration, loaded),
      tests: settings.tests,
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

/** Undefined: the daemon runs as the user of this process. */
function daemonOf(name: string, machine: Machine): Owner | undefined {
  const uid = machine.uidOf(name);
  if (uid === undefined || name === machine.ownName) return undefined;
  return { uid, gid: gidsOf(uid)[0] ?? uid };
}

function report(
  answers: Answers,
  written: Written,
  machine: Machine,
  certificate: string | undefined,
  isJson: boolean,
): void {
  const { configuration, made, warnings, verdict, tests, snippet } = written;
  const next = nextSteps(answers, {
    configuration,
    isRoot: machine.isRoot,
    hasSnippet: snippet !== undefined,
    mayList: tests.some(({ words, expect }) => words.join(' ') === 'mailbox list' && expect === 'allow'),
  });
  if (isJson) {
    stdout(
      formatJsonLines({
        configuration,
        made,
        socket: teamSocket(answers),
        dovecot: machine.dovecot === undefined ? null : machine.dovecot.version,
        certificate: certificate ?? null,
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
  const note = machine.dovecot?.wantsTlsOnSockets === true ? wantsTls : undefined;
  const lines = [
    plain(dovecot ?? ''),
    ...(certificate === undefined ? [] : [plain(certificate)]),
    '',
    'written:',
    ...made.map((path) => `  ${path}`),
    ...warnings,
    verdict,
    `all ${tests.length} tests of the policy passed`,
    `the policy covers the mailboxes of ${plain(answers.mailUsers.join(' '))} (--mail-users)`,
    ...(machine.isRoot && answers.groups.length === 0 && answers.users.every((name) => name === 'root')
      ? [`only root may use it: add the people of the team to "peers" in ${configuration}`]
      : []),
    ...(note === undefined ? [] : ['', note]),
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

const asRoot = `warning: the daemon would run as root; "npm run install:system" makes the user dovegate for it, or give --run-as USER`;

const wantsTls = `warning: doveadm_port and doveadm_ssl are set in Dovecot, so doveadm wants TLS on UNIX sockets, too;
take them out, or call doveadm with -o doveadm_ssl=no`;
