// `dovegate doctor`: checks the whole way from the configuration to the backend, prints one line for each check, and ends with
// the next command to type. After an error in a file it still checks the readable rest and the running daemon.

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gidOf, ourselves, userNameOf } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { ownSockets, whyNoRight } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { holdProcess, readFromDisk } from '../../host/machine/process.js';
import { plain, stdout } from '../../host/output/output.js';
import { openScreen, type Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines, formatWords } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { checkBeside } from '../../rules/config/check-beside.js';
import { findSettings } from '../../rules/config/parse-settings.js';
import { isSocket, type Settings } from '../../rules/config/settings.js';
import { withoutDoubtful } from '../../rules/config/without-doubtful.js';
import { loadConfiguration } from '../../rules/setup/configuration.js';
import { askDovecot } from '../../rules/setup/doveconf.js';
import { daemonUidOf, type LoadedConfiguration, summarise } from '../../rules/setup/inspect.js';
import { inspectBeside } from '../../rules/setup/inspect-beside.js';
import { folderCommand } from '../../rules/setup/unit.js';
import type { Look } from '../health/look.js';
import {
  type LookOptions,
  lookAround,
  lookAtService,
  lookWithoutFile,
  type OtherLooks,
  shortOf,
} from '../health/looks.js';
import { countConnections, lookAtOthers, readQuiet, writeQuiet } from '../health/others-look.js';
import { askSettled, askStatus } from './ask-status.js';
import { pageCommand } from './operate.js';

export interface DoctorOptions {
  readonly config: string;
  readonly user?: readonly string[];
  readonly json: boolean;
}

const standardFile = packaged.file;

/** Exit code 0: nothing is bad; 1: something is; 77: not for this user; 78: the configuration has errors. */
export async function doctor(
  { config, user = [], json }: DoctorOptions,
  others: OtherLooks,
): Promise<number> {
  const release = holdProcess();
  const screen = openScreen();
  try {
    const [service, dovecot] = await Promise.all([lookAtService(config), askDovecot()]);
    const facts = typeof dovecot === 'string' ? undefined : dovecot;
    const loaded = loadConfiguration(config, {
      beside: inspectBeside,
      checkBeside,
      unitUid: service?.uid,
      dovecot: facts,
    });
    const isWhole = loaded.settings !== undefined;
    const errors = loaded.found.filter(({ severity }) => severity === 'error');
    const left = isWhole ? undefined : findSettings(config, readFromDisk);
    const settings = loaded.settings ?? (left?.settings && withoutDoubtful(left.settings, errors));
    const admin = settings === undefined ? join(runFolder(config), 'admin.sock') : settings.admin?.unix;
    // If the file does not exist, nothing says that a daemon should run.
    const isAsked = settings === undefined ? existsSync(String(admin)) : settings.admin !== undefined;
    const told = isAsked ? await askSettled(config, admin) : undefined;
    const counted = facts && (await countConnections(facts, told));
    const daemonUid = settings && daemonUidOf(settings, new Set([config]), service?.uid);
    const commands = commandsFor(config, settings, service?.unit, daemonUid);
    const found =
      settings === undefined
        ? lookWithoutFile(told, commands)
        : await lookAround(settings, {
            clock: systemClock,
            others,
            told: told ?? { why: '' },
            users: user,
            commands,
            service,
            dovecot: facts,
            daemonUid,
            isWhole,
            hasJournal: left === undefined || left.hiding.length === 0,
          });
    const seen = facts && counted && lookAtOthers(counted, readQuiet(facts), systemClock.wallMs());
    const looks = [...looksOf(config, loaded), ...found, ...(seen === undefined ? [] : [seen.look])];
    const isDenied =
      whyNoRight(config, 'read') === 'EACCES' ||
      (told !== undefined && 'why' in told && told.isDenied === true);
    const next = isDenied ? commandOfAnybody(config, settings) : nextOf(looks, config);
    await print(screen, looks, next, json);
    // After the looks, which dial too: these are no connections of others.
    if (facts !== undefined && seen !== undefined) {
      const last = await countConnections(facts, await askStatus(config, admin));
      if (last !== undefined) writeQuiet(facts, { ...last, since: seen.since });
    }
    if (isDenied) return exitCodes.notPermitted;
    if (!isWhole) return exitCodes.configuration;
    return looks.some(({ status }) => status === 'bad') ? exitCodes.failed : exitCodes.ok;
  } finally {
    release();
  }
}

/** Findings about the file itself; an error names the command to type. */
function looksOf(config: string, loaded: LoadedConfiguration): readonly Look[] {
  const name = 'configuration';
  if (loaded.found.length === 0) return [{ status: 'ok', name, text: summarise(config, loaded) }];
  const isThere = whyNoRight(config, 'read') !== 'ENOENT';
  return loaded.found.map(({ file, line, column, path, message, severity }): Look => {
    const text = `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
    if (severity === 'warning') return { status: 'warning', name, text };
    return { status: 'bad', name, text, next: isThere ? commandFor('check', config) : initFor(config) };
  });
}

function runFolder(config: string): string {
  return config === standardFile ? packaged.run : join(dirname(config), 'run');
}

function initFor(config: string): string {
  if (config === standardFile || basename(config) !== basename(standardFile)) return 'dovegate init';
  return `dovegate init --directory ${formatWords([dirname(config)])}`;
}

/** Groups whose members may usually run everything with sudo. */
const sudoGroups = ['sudo', 'wheel'] as const;

/** Without the right to read the file or ask the daemon: sudo for members of its group, else the page, a team's command, or sudo. */
function commandOfAnybody(config: string, settings: Settings | undefined): string {
  const asRoot = `sudo ${commandFor('doctor', config)}`;
  const { gids } = ourselves();
  if (sudoGroups.some((name) => gids.includes(gidOf(name) ?? -1))) return asRoot;
  const page = pageCommand(
    settings === undefined ? join(runFolder(config), 'page.sock') : settings.admin?.page?.socket?.path,
  );
  if (page !== undefined) return page;
  const own =
    settings === undefined
      ? ownSockets(runFolder(config))
      : settings.listeners.flatMap(({ socket, protocol }) =>
          isSocket(socket, 'unix') && protocol === 'doveadm' && whyNoRight(socket.path, 'write') === undefined
            ? [socket.path]
            : [],
        );
  return own[0] === undefined ? asRoot : `dovegate can --socket ${formatWords([own[0]])}`;
}

/** The subcommand for this file: with `--config` unless it is the standard one. */
function commandFor(subcommand: string, config: string): string {
  return `dovegate ${subcommand}${config === standardFile ? '' : ` --config ${formatWords([config])}`}`;
}

function commandsFor(
  config: string,
  settings: Settings | undefined,
  unit: string | undefined,
  daemonUid: number | undefined,
): LookOptions['commands'] {
  const daemon =
    daemonUid === undefined || daemonUid === process.geteuid?.() ? undefined : userNameOf(daemonUid);
  const serve = commandFor('serve', config);
  const snippet = join(dirname(config), 'dovecot-snippet.conf');
  const folder = '/etc/dovecot/conf.d';
  return {
    start: unit
      ? `systemctl enable --now ${[...socketUnitsOf(settings), unit].join(' ')}`
      : daemon === undefined
        ? serve
        : `runuser -u ${formatWords([daemon])} -- ${serve}`,
    reload: commandFor('reload', config),
    restart: unit && `systemctl restart ${shortOf(unit)}`,
    remake: unit && remakeCommand(settings, unit),
    status: commandFor('status', config),
    check: commandFor('check', config),
    verify: commandFor('audit verify', config),
    snippet:
      existsSync(snippet) && existsSync(folder) && !existsSync(`${folder}/99-dovegate.conf`)
        ? `cp ${formatWords([snippet])} ${folder}/99-dovegate.conf && doveadm reload`
        : undefined,
  };
}

/** The socket units of listeners; systemd starts none of them while the service runs. */
function socketUnitsOf(settings: Settings | undefined): readonly string[] {
  return (settings?.listeners ?? []).flatMap(({ socket }) =>
    isSocket(socket, 'systemd') ? [formatWords([`dovegate@${socket.name}.socket`])] : [],
  );
}

/** Makes a lost folder of sockets again. A socket unit keeps the removed socket until it is stopped, and starts only before the service. */
function remakeCommand(settings: Settings | undefined, unit: string): string {
  const page = settings?.admin?.page === undefined ? [] : ['dovegate-page.socket', 'dovegate-page.service'];
  const sockets = [...socketUnitsOf(settings), ...page.slice(0, 1)];
  const units = [...sockets, unit, ...page.slice(1)].join(' ');
  const make = folderCommand(dirname(settings?.admin?.unix ?? '/run/dovegate/-'), packaged.user);
  return sockets.length === 0
    ? `${make} && systemctl restart ${unit}`
    : `${make} && systemctl stop ${units} && systemctl start ${units}`;
}

/** Repairs the first bad or doubtful finding, or shows more of it; if all is well, a command to explore. Never doctor itself. */
function nextOf(looks: readonly Look[], config: string): string {
  for (const wanted of ['bad', 'warning'] as const) {
    const found = looks.filter(({ status }) => status === wanted);
    const next = found.find((look) => look.next !== undefined)?.next;
    if (next !== undefined) return next;
    const [first] = found;
    if (first !== undefined) return showsMore(first, config);
  }
  return commandFor('status', config);
}

/** The command that shows more, for a finding whose sentence says what to do. */
function showsMore({ name }: Look, config: string): string {
  if (name === 'configuration') return commandFor('check', config);
  if (name.startsWith('journal')) return commandFor('audit verify', config);
  return name === 'clock' ? 'timedatectl' : commandFor('status', config);
}

const paints = { ok: 'good', warning: 'doubtful', bad: 'bad' } as const;

async function print(screen: Screen, looks: readonly Look[], next: string, isJson: boolean): Promise<void> {
  if (isJson) {
    const shown = looks.map(({ status, name, text, todo, next: command }) => ({
      status,
      look: name,
      text,
      todo,
      next: command,
    }));
    stdout(formatJsonLines({ looks: shown, next }));
    return;
  }
  const width = Math.max(...looks.map(({ name }) => plain(name).length));
  for (const { status, name, text, todo } of looks) {
    const advice = todo === undefined ? '' : `; ${plain(todo)}`;
    const head = screen.paint(paints[status], status.padEnd(7));
    await screen.print(`${head}  ${plain(name).padEnd(width)}  ${plain(text)}${advice}`);
  }
  const count = (wanted: Look['status']): number => looks.filter(({ status }) => status === wanted).length;
  const all = count('ok') === looks.length;
  await screen.print(
    `\n${all ? `all ${looks.length} looks are ok` : `${count('bad')} bad, ${plural(count('warning'), 'warning')}, ${count('ok')} ok`}\nnext: ${plain(next)}`,
  );
  await screen.flush();
}
