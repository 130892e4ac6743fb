// `dovegate doctor`: the whole way as it is now, one line for each thing that was looked at, and at the end the next command to type.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { userNameOf } from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import { ownerOf } from '../adapters/host/files.js';
import { holdProcess } from '../adapters/host/process.js';
import type { Settings } from '../domain/config/settings.js';
import { exitCodes } from '../ports/machine.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { type Look, within } from './health/look.js';
import { type LookOptions, lookAround, type Told } from './health/looks.js';
import { findDaemon } from './operate.js';
import { CommandFault, formatJson, formatWords, plain, plural, stdout } from './output/output.js';
import { openScreen, type Screen } from './output/screen.js';

export interface DoctorOptions {
  readonly config: string;
  /** Mail users that a harmless command may ask for. */
  readonly user?: readonly string[];
  readonly json: boolean;
}

const askMs = 5_000;

/** Exit code 0: nothing is bad; 1: something is; 78: the configuration has errors. */
export async function doctor({ config, user = [], json }: DoctorOptions): Promise<number> {
  const release = holdProcess();
  const screen = openScreen();
  try {
    const loaded = loadConfiguration(config, { isForDaemon: true });
    const { settings } = loaded;
    const verdict = summarise(config, loaded);
    const problems = loaded.found.map(({ file, line, column, path, message, severity }): Look => {
      const text = `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
      return { status: severity === 'error' ? 'bad' : 'warning', name: 'configuration', text };
    });
    if (settings === undefined) {
      await print(screen, problems, commandFor('check', config), json);
      return exitCodes.configuration;
    }
    const commands = commandsFor(config, settings);
    const told = await askAll(config, settings);
    const found = await lookAround(settings, { clock: systemClock, told, users: user, commands });
    const files: Look[] =
      problems.length > 0 ? problems : [{ status: 'ok', name: 'configuration', text: verdict }];
    const looks = [...files, ...found];
    await print(screen, looks, nextOf(looks, config), json);
    return looks.some(({ status }) => status === 'bad') ? exitCodes.failed : exitCodes.ok;
  } finally {
    release();
  }
}

async function askAll(config: string, settings: Settings): Promise<Told> {
  if (settings.admin === undefined) return { why: '' };
  const ask = async (): Promise<Told> => {
    try {
      const daemon = await findDaemon({ config });
      const [status, metrics] = await Promise.all([daemon('GET', '/status.json'), daemon('GET', '/metrics')]);
      if (status.status !== 200) return { why: `it answers ${status.status}: ${status.body.trim()}` };
      const told: unknown = JSON.parse(status.body);
      if (typeof told !== 'object' || told === null) return { why: 'its answer is not that of dovegate' };
      return { status: { ...told }, metrics: metrics.status === 200 ? metrics.body : '' };
    } catch (fault) {
      if (fault instanceof CommandFault) return { why: fault.message };
      if (fault instanceof SyntaxError) return { why: 'its answer is not that of dovegate' };
      throw fault;
    }
  };
  return within(askMs, systemClock, ask(), () => ({
    why: `the daemon did not answer within ${askMs / 1000} s`,
  }));
}

/** With what it takes to type it on this machine. */
function commandFor(subcommand: string, config: string): string {
  return `dovegate ${subcommand}${config === '/etc/dovegate/dovegate.yaml' ? '' : ` --config ${formatWords([config])}`}`;
}

function commandsFor(config: string, settings: Settings): LookOptions['commands'] {
  const daemonUid = ownerOf(settings.audit.directory);
  const daemon =
    daemonUid === undefined || daemonUid === process.geteuid?.() ? undefined : userNameOf(daemonUid);
  const serve = commandFor('serve', config);
  const snippet = join(dirname(config), 'dovecot-snippet.conf');
  const isService = existsSync('/run/systemd/system') && config === '/etc/dovegate/dovegate.yaml';
  const folder = '/etc/dovecot/conf.d';
  return {
    start: isService
      ? 'systemctl enable --now dovegate.service'
      : daemon === undefined
        ? serve
        : `runuser -u ${formatWords([daemon])} -- ${serve}`,
    reload: commandFor('reload', config),
    status: commandFor('status', config),
    again: `${commandFor('doctor', config)} --user USER`,
    verify: commandFor('audit verify', config),
    snippet:
      existsSync(snippet) && existsSync(folder) && !existsSync(`${folder}/99-dovegate.conf`)
        ? `cp ${formatWords([snippet])} ${folder}/99-dovegate.conf && doveadm reload`
        : undefined,
  };
}

/** What repairs the first thing that is bad, else doubtful; where all is well, what there is to see. */
function nextOf(looks: readonly Look[], config: string): string {
  for (const wanted of ['bad', 'warning'] as const) {
    const found = looks.find(({ status, next }) => status === wanted && next !== undefined)?.next;
    if (found !== undefined) return found;
    // Nothing to type: a sentence says what to do.
    if (looks.some(({ status }) => status === wanted)) return commandFor('doctor', config);
  }
  return commandFor('status', config);
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
    stdout(formatJson({ looks: shown, next }));
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
