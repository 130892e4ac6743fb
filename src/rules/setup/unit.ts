// What the unit of the daemon permits it to write, read as systemd does: the installed file, and the drop-ins of all folders by their
// names.

import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { localUserName, ourselves } from '../../host/machine/accounts.js';
import { isMissing } from '../../host/machine/files.js';
import { parseUnit } from '../../host/machine/find-peer.js';
import { packaged } from '../../host/machine/packaged.js';
import { readFromDisk } from '../../host/machine/process.js';
import { formatWords } from '../../host/words/text.js';
import { findSettings } from '../config/parse-settings.js';
import { type Finding, finding } from '../config/problem.js';
import { isSocket, type Settings } from '../config/settings.js';
import { daemonUidOf } from './inspect.js';

export const serviceUnit = 'dovegate.service';
/** A name is taken from the first folder that has it. */
const folders = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];
/** The drop-in for further folders that the service may write to. */
export const dropIn = { folder: `/etc/systemd/system/${serviceUnit}.d`, name: 'paths.conf' };
/** Where the unit takes the secrets of the service from: it does not start without that folder. */
export const secretsFolder = '/etc/dovegate/credentials';

/** A unit by its name, with the instance if it has one, and the lines of its file and drop-ins. */
export interface Unit {
  readonly name: string;
  readonly lines: readonly Line[];
}

interface Line {
  readonly key: string;
  readonly value: string;
  /** FILE:LINE. */
  readonly place: string;
}

/** The path of the unit from a package or `npm run install:system`; undefined: there is none. */
export function installedUnit(exists: (path: string) => boolean = existsSync): string | undefined {
  return folders.map((folder) => `${folder}/${serviceUnit}`).find(exists);
}

/** The unit that this process runs in, where it serves that configuration. */
export function unitAround(config: string): Unit | undefined {
  const unit = unitFor([config]);
  return parseUnit(readOr('/proc/self/cgroup')).unit === unit?.name ? unit : undefined;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function linesOf(path: string): readonly Line[] {
  const lines = readOr(path).split('\n');
  return lines.flatMap((line, at) => {
    const [, key, value = ''] = /^(\w+)=\s*(.*?)\s*$/.exec(line) ?? [];
    return key === undefined ? [] : [{ key, value, place: `${path}:${at + 1}` }];
  });
}

/** The unit that serves one of these configurations: that of the package, or another one of this machine; undefined: none. */
export function unitFor(files: readonly string[], at: readonly string[] = folders): Unit | undefined {
  // Only the first three folders: units of the distribution do not run dovegate.
  const others = at.slice(0, 3).flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  for (const name of new Set([serviceUnit, ...others.filter((each) => each.endsWith('.service'))])) {
    const written = readUnit(name, at);
    const last = (key: string, is: RegExp): string =>
      written.lines.findLast((line) => line.key === key && is.test(line.value))?.value ?? '';
    const start = last('ExecStart', /./);
    if (!/dovegate.*\sserve(?:\s|$)/.test(start)) continue;
    const [, named = packaged.file] =
      /\s--config[ =](\S+)/.exec(start) ??
      /DOVEGATE_CONFIG=([^\s"]+)/.exec(last('Environment', /_CONFIG=/)) ??
      [];
    if (files.includes(named)) return written;
    const [before = '', after] = name.includes('@.') ? named.split(/%[iI]/) : [];
    const ofInstance = files.find(
      (file) => after !== undefined && file.startsWith(before) && file.endsWith(after),
    );
    if (ofInstance !== undefined && after !== undefined)
      return readUnit(
        name.replace('@.', `@${ofInstance.slice(before.length, ofInstance.length - after.length)}.`),
        at,
      );
  }
  return undefined;
}

function readUnit(name: string, at: readonly string[]): Unit {
  const [prefix = '', instance = ''] = name.replace(/\.service$/, '').split('@');
  const template = name.replace(/@.*\./, '@.');
  const file = [name, template]
    .flatMap((each) => at.map((folder) => join(folder, each)))
    .find((each) => existsSync(each));
  if (file === undefined) return { name, lines: [] };
  const dropIns = new Map<string, string>();
  for (const each of new Set(['service', template, name]))
    for (const folder of at.toReversed()) {
      const own = join(folder, `${each}.d`);
      for (const found of existsSync(own) ? readdirSync(own) : [])
        if (found.endsWith('.conf')) dropIns.set(found, join(own, found));
    }
  const names = [...dropIns.keys()].toSorted();
  const specifiers = new Map([
    ['%i', instance],
    ['%I', instance],
    ['%p', prefix],
    ['%n', name],
  ]);
  const lines = [file, ...names.map((each) => dropIns.get(each) ?? '')].flatMap(linesOf);
  const value = (text: string): string =>
    name.includes('@.') ? text : text.replaceAll(/%[iIpn]/g, (each) => specifiers.get(each) ?? each);
  return { name, lines: lines.map((line) => ({ ...line, value: value(line.value) })) };
}

/** The paths of a setting that is a list: an empty value clears it. */
function pathsOf(lines: readonly Line[], key: string, folder = ''): readonly string[] {
  let found: string[] = [];
  for (const each of lines.filter((line) => line.key === key)) {
    const words = each.value.split(/\s+/).filter((word) => word !== '');
    // Of SOURCE:DESTINATION the second counts.
    const paths = words.map(
      (word) => folder + (word.replace(/^[-+]+/, '').split(':')[1] ?? word.replace(/^[-+]+/, '')),
    );
    found = words.length === 0 ? [] : [...found, ...paths];
  }
  return found;
}

const isIn = (path: string, above: string): boolean => `${path}/`.startsWith(`${above.replace(/\/+$/, '')}/`);

export interface UnitDenial {
  /** What stands in the way, with its file and line. */
  readonly text: string;
  readonly todo: string;
  /** The command that does it, and the text that it adds to the drop-in; undefined: another place must be named. */
  readonly run: string | undefined;
  readonly lines?: string;
}

/** Why the installed unit does not let the daemon write below a folder; undefined: it does, or there is no unit. */
export function whyUnitDenies(
  folder: string,
  { name, lines }: Unit = readUnit(serviceUnit, folders),
): UnitDenial | undefined {
  const last = (key: string): Line | undefined => lines.findLast((line) => line.key === key);
  const path = realOf(resolve(folder));
  const mounted = pathsOf(lines, 'BindPaths').some((each) => isIn(path, each));
  const hiding = [
    ['ProtectHome', ['/home', '/root', '/run/user'], ['yes', 'true', 'on', '1', 'tmpfs']],
    ['PrivateTmp', ['/tmp', '/var/tmp'], ['yes', 'true', 'on', '1', 'disconnected']],
  ] as const;
  for (const [key, hidden, values] of hiding) {
    const line = last(key);
    const at = hidden.find((each) => isIn(path, each));
    if (at === undefined || line === undefined || !values.some((value) => value === line.value)) continue;
    if (mounted && line.value === 'tmpfs') continue;
    const todo = `name a folder that its services see, as below /srv or /var/lib`;
    return {
      text: `${name} does not see ${at} (${key}=${line.value}, ${line.place})`,
      todo,
      run: undefined,
    };
  }
  const own = [
    ['StateDirectory', '/var/lib/'],
    ['RuntimeDirectory', '/run/'],
    ['CacheDirectory', '/var/cache/'],
    ['LogsDirectory', '/var/log/'],
  ].flatMap(([key = '', above]) => pathsOf(lines, key, above));
  const writable = [...own, ...pathsOf(lines, 'ReadWritePaths'), '/dev', '/proc', '/sys'];
  if (mounted || writable.some((each) => isIn(path, each))) return undefined;
  const system = last('ProtectSystem');
  const closed = { strict: ['/'], full: ['/usr', '/boot', '/efi', '/etc'] };
  const value = system?.value ?? 'no';
  const shut =
    value === 'strict' || value === 'full'
      ? closed[value]
      : /^(?:yes|true|on|1)$/.test(value)
        ? closed.full.slice(0, 3)
        : [];
  if (!shut.some((each) => isIn(path, each))) return undefined;
  const text = `${name} may not write ${folder} (ProtectSystem=${value}, ${system?.place})`;
  const above = dropIn.folder.replace(serviceUnit, name);
  const add = `printf '[Service]\\nReadWritePaths=-%s\\n' ${formatWords([folder])} >> ${join(above, dropIn.name)}`;
  const run = `mkdir -p ${above} && ${add} && systemctl daemon-reload`;
  // With `-` a missing folder does not stop the unit: the daemon reports it more clearly.
  return { text, todo: `let it: ${run}`, run, lines: `[Service]\nReadWritePaths=-${folder}\n` };
}

/** For `check`, `doctor`, `init`, and a start that failed: what the daemon writes and its unit does not let it write. */
export function inspectUnit(
  { audit, state, listeners, admin }: Settings,
  unit: Unit | undefined,
): readonly Finding[] {
  if (unit === undefined) return [];
  const sockets = listeners.map(({ name, socket }) => [`listeners.${name}`, socket] as const);
  const written = [
    ['audit.directory', audit.directory],
    ['state', state],
    ...sockets.flatMap(([path, socket]) =>
      isSocket(socket, 'unix') ? [[path, dirname(socket.path)] as const] : [],
    ),
    ...(admin?.unix === undefined ? [] : [['admin.unix', dirname(admin.unix)] as const]),
  ] as const;
  const secrets = unit.lines.filter(
    ({ key, value }) => key === 'LoadCredential' && value.endsWith(`:${secretsFolder}`),
  );
  const noSecrets = secrets
    .filter(() => isMissing(secretsFolder))
    .map(({ place }): Finding => {
      const message = `${secretsFolder} is not there, so the service would not start (243/CREDENTIALS; LoadCredential= in ${place}); run: install -d -m 0700 ${secretsFolder}`;
      return finding('warning', '', message, 'doubtful');
    });
  const denied = written.flatMap(([path, folder]): Finding[] => {
    const denial = whyUnitDenies(folder, unit);
    if (denial === undefined) return [];
    const message = `${folder} is closed to the service, which would not start: ${denial.text}; ${denial.todo}`;
    return [finding('warning', path, message, 'doubtful')];
  });
  return [...denied, ...noSecrets];
}

/**
 * Why root should not start the daemon by hand: its user could not read the files of a start as root. Undefined: it may, or is not root.
 */
export function whyNotAsRoot(config: string): string | undefined {
  if (!ourselves().isRoot || unitAround(config) !== undefined) return undefined;
  const { settings } = findSettings(config, readFromDisk);
  const uid = settings && daemonUidOf(settings, new Set([config]), undefined);
  if (uid === undefined || uid === 0) return undefined;
  const user = localUserName(uid) ?? String(uid);
  const unit = unitFor([config]);
  const run = unit
    ? `systemctl start ${unit.name}`
    : `runuser -u ${formatWords([user])} -- dovegate serve --config ${formatWords([config])}`;
  return `you are root, and ${config} is for ${user}; nothing was started, and no file needs another owner. Run: ${run}`;
}

/** The command that makes a folder of sockets, which the daemon never makes. */
export function folderCommand(folder: string, user: string): string {
  return folder === '/run/dovegate' && installedUnit() !== undefined
    ? 'systemd-tmpfiles --create dovegate.conf'
    : formatWords(['install', '-d', '-o', user, '-m', '0755', folder]);
}

/** The path with links resolved, as far as it exists. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(realOf(dirname(path)), basename(path));
  }
}
