// Scripts and crontabs that call doveadm, as texts: which line makes their calls go to dovegate, and which calls it does not reach. It
// changes nothing but by one line with PATH, and none at all in a text whose calls that line would break.

import { whyLocal } from '../../doveadm/commands/catalog.js';
import { readTypedCommand, whyLocalOption } from '../../doveadm/commands/typed-command.js';
import { dropInFolder } from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import { isVariable, linesOfScript, type ScriptLine, withoutGlobals } from '../../rules/cli/script-lines.js';

const folder = dropInFolder();

/** How the calls of a text are started: by a shell, by cron, or in a way that a line with PATH cannot change. */
export type JobKind = 'script' | 'crontab' | 'other';

export interface Call {
  /** Number of its line, from 1. */
  readonly number: number;
  readonly text: string;
  /** Why it does not go to dovegate; undefined: it does, once the line is there. */
  readonly why?: string | undefined;
  /** The line would break it: it calls doveadm by PATH, and the drop-in does not serve it. */
  readonly isBroken?: true;
}

export interface Job {
  readonly calls: readonly Call[];
  /** Why no line is added; undefined: one is, or it is there already. */
  readonly hindrance?: string | undefined;
  readonly isMoved: boolean;
  /** The lines to add, and the number of the line before them. Empty: nothing is to be written. */
  readonly added: readonly string[];
  readonly at: number;
}

/** `socket`: the listener that the calls shall use; undefined: the only one that the caller may open. */
export function readJob(kind: JobKind, text: string, socket?: string): Job {
  const lines = text.split('\n');
  const found = linesOfScript(text, 'user@example.com');
  const read = new Set(found.map(({ number }) => number));
  const values = valuesOf(lines);
  const over = lines.findIndex((line) => textOver.test(line));
  const judged = found
    .filter(({ before }) => !isHarmless(before))
    .map((call): Call => {
      const value = values.get(call.variable ?? '') ?? '';
      const [, options = ''] = value.split(/doveadm\b/);
      const shown = { number: call.number, text: (lines[call.number - 1] ?? '').trim() };
      const unreached =
        over >= 0 && over < call.number - 1
          ? `line ${over + 1} hands on a text of several lines: look whether this call is in it`
          : whyUnreached(call, value, kind);
      const unserved = whyUnserved([...wordsOf(options.replace(/[)}].*$/, '')), ...call.words]);
      if (unserved === undefined) return { ...shown, why: unreached };
      return unreached === undefined
        ? { ...shown, why: unserved, isBroken: true }
        : { ...shown, why: `it stays with the real one: ${unserved}` };
    });
  const variables = found.flatMap(({ variable }) => variable ?? []);
  const mentions = lines.flatMap((line, at): Call[] => {
    const [before = '', rest] = line.split(doveadmWord);
    if (rest === undefined || comment.test(line) || read.has(at + 1)) return [];
    if (isHarmless(before) || variables.some((name) => new RegExp(`\\b${name}:?=`).test(line))) return [];
    const kept = whyKept(wordsOf(rest.replaceAll(/[[\](){},"']+/g, ' ')));
    const why =
      kept !== undefined
        ? `it stays with the real one: ${kept}`
        : kind === 'other'
          ? notChanged(line)
          : 'the word is no call that can be read: look at it yourself';
    return [{ number: at + 1, text: line.trim(), why }];
  });
  const calls = [...judged, ...mentions].toSorted((one, other) => one.number - other.number);
  const place = kind === 'script' ? scriptPlace(lines, socket) : crontabPlace(lines, socket);
  if (place.isMoved) return { ...place, calls, added: [], hindrance: undefined };
  const broken = new Set(judged.flatMap(({ number, isBroken }) => (isBroken === true ? [number] : [])));
  const hindrance =
    kind === 'other'
      ? 'a line with PATH does not reach its calls'
      : broken.size > 0
        ? `write the full path of the real doveadm in line ${[...broken].join(', ')} first: with PATH it would fail`
        : judged.every(({ why }) => why !== undefined)
          ? 'the line would reach no call'
          : place.hindrance;
  return { ...place, calls, hindrance, added: hindrance === undefined ? place.added : [] };
}

export function withLines(text: string, { added, at }: Pick<Job, 'added' | 'at'>): string {
  return text
    .split('\n')
    .toSpliced(at, 0, ...added)
    .join('\n');
}

/** The text without these lines, which stand together; undefined: they are not there, or more than once. */
export function withoutLines(text: string, added: readonly string[]): string | undefined {
  const lines = text.split('\n');
  const places = lines.flatMap((_, at) => (added.every((each, n) => lines[at + n] === each) ? [at] : []));
  return places.length === 1 ? lines.toSpliced(places[0] ?? 0, added.length).join('\n') : undefined;
}

const doveadmWord = /(?<![\w-])doveadm(?![\w-])/;
const comment = /^\s*(?:#|;|\/\/)/;

/** Whether a line that is no comment has the word. */
export function namesDoveadm(text: string): boolean {
  return text.split('\n').some((line) => !comment.test(line) && doveadmWord.test(line));
}

/** Shells that take PATH=... as a line; options that forbid it, such as -r, are not among these. */
const shell = /^#! *(?:\/usr\/bin\/env +(?:-S +)?)?(?:\/\S+\/)?(?:ba|da|a|k|mk|z)?sh(?: +-[a-qs-zA-Z]+)*$/;

/** `path`: tells crontabs from scripts. */
export function kindOf(path: string, text: string): JobKind {
  if (path.startsWith('crontab:') || path === '/etc/crontab' || path.startsWith('/etc/cron.d/'))
    return 'crontab';
  return shell.test(text.slice(0, text.indexOf('\n'))) ? 'script' : 'other';
}

/** What the name of each variable was set to, by all lines together. */
function valuesOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of lines)
    for (const [, name = '', value = ''] of line.matchAll(/(\w+):?=("[^"]*"|'[^']*'|\$\([^)]*\)|[^\s;]+)/g))
      values.set(name, `${values.get(name) ?? ''} ${value.replaceAll(/["']/g, ' ')}`);
  return values;
}

/** In another language than that of a shell, in a unit, or in a file of logrotate. */
function notChanged(line: string): string {
  const by = /\/(?:doveadm|$)/.test(line)
    ? 'a full path'
    : 'it goes by the PATH of the program that starts this';
  return `not changed: ${by}; write ${folder}/doveadm there`;
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

const otherRights = /(?:^|[\s;|&(`"'])(?:\S*\/)?(sudo|doas|su|runuser|pkexec|chroot)\s[^;|&]*$/;
const otherPlace =
  /(?:^|[\s;|&(`"'])(?:\S*\/)?(ssh|docker(?:-compose)?|podman|kubectl|nsenter|machinectl|at|batch|systemd-run)\s[^;|&]*$/;
const ownPath = /\benv\s+(?:-i|-|--ignore-environment|PATH=\S*)\s[^;|&]*$|(?:^|[\s;|&(`])PATH=\S*\s+[^;|&]*$/;

/** The beginning of a script of several lines for another shell, or another machine. */
const textOver =
  /\b(?:ssh|docker(?:-compose)?|podman|kubectl|nsenter|chroot|sudo|su|runuser)\b.*<<|\s-\w*c\s+(?:'[^']*|"[^"]*)$/;

function whyUnreached(
  { before, words, variable }: ScriptLine,
  value: string,
  kind: JobKind,
): string | undefined {
  const [, rights] = otherRights.exec(before) ?? otherRights.exec(`${value.trim()} `) ?? [];
  const [, place] = otherPlace.exec(before) ?? [];
  const options = [...wordsOf(value), ...words];
  if (before.endsWith('/') && !before.endsWith(`${folder}/`))
    return `a full path: write ${folder}/doveadm there, or doveadm`;
  if (/\/doveadm\b/.test(value.replaceAll(`${folder}/doveadm`, '')))
    return `${variable} is a full path: write ${folder}/doveadm there, or doveadm`;
  if (kind === 'other') return notChanged(before);
  if (rights !== undefined)
    return `${rights} sets a PATH of its own (secure_path, login): write ${folder}/doveadm there`;
  if (place !== undefined) return `it runs where ${place} leads, with the PATH of that place`;
  if (ownPath.test(before)) return `it gets another PATH: write ${folder}/doveadm there`;
  const at = options.indexOf('-S');
  const socket = at < 0 ? undefined : options[at + 1];
  if (socket !== undefined && !isVariable(socket) && !socket.startsWith('/run/dovegate/'))
    return `-S ${socket} is another server, to which the drop-in sends it too: take it out`;
  return undefined;
}

/** Commands for the processes of Dovecot itself: over a socket they would need a rule of their own. */
const ofProcesses = /^(?:reload|stop|log reopen)(?= |$)/;

/** Why a call is for Dovecot's own machine alone, and keeps the real doveadm; undefined: it is not. */
function whyKept(words: readonly string[]): string | undefined {
  const own = withoutGlobals(words);
  for (const option of words.slice(0, words.length - own.length).filter((each) => each.startsWith('-')))
    for (const letter of option.slice(1)) {
      const local = letter === 'k' ? 'the drop-in has no option -k' : whyLocalOption(letter);
      if (local !== undefined) return local;
    }
  const [name] = ofProcesses.exec(own.join(' ')) ?? [];
  return name === undefined ? whyLocal(own) : `"${name}" is for the processes of Dovecot`;
}

/** Why the drop-in does not serve a call; undefined: it does, or the command is in a variable. */
function whyUnserved(words: readonly string[]): string | undefined {
  const kept = whyKept(words);
  const own = withoutGlobals(words);
  if (kept !== undefined || own.length === 0 || isVariable(own[0])) return kept;
  try {
    readTypedCommand(own);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    return fault.message;
  }
}

/** In front of a word that is no call: it is looked for, or a part of a message. */
function isHarmless(before: string): boolean {
  return /(?:^|[\s;|&(])(?:echo|printf|logger|\[\[?|test|command -v|which|type|hash)\s[^|;&$`(]*$/.test(
    before,
  );
}

type Place = Pick<Job, 'added' | 'at' | 'isMoved' | 'hindrance'>;

function scriptPlace(lines: readonly string[], socket: string | undefined): Place {
  const line = `PATH=${folder}:$PATH`;
  const setting = lines.findIndex((each) => /(?:^|[\s;&|({])PATH=/.test(each) && !/^\s*#/.test(each));
  const isMoved = setting >= 0 && lines[setting]?.includes(`PATH=${folder}:`) === true;
  const own = lines.findIndex((each) => /\b(?:tail|sed|head|awk|dd)\b.*\$\{?(?:0|BASH_SOURCE)\b/.test(each));
  return {
    at: 1,
    added: [socket === undefined ? line : `${line} DOVEADM_SOCKET=${socket}; export DOVEADM_SOCKET`],
    isMoved,
    hindrance:
      setting >= 0
        ? `line ${setting + 1} sets PATH: begin its value with ${folder}:`
        : own >= 0
          ? `line ${own + 1} reads the script itself, by its lines`
          : undefined,
  };
}

/** cron expands nothing: the value is what it is by default, or what the crontab says. */
function crontabPlace(lines: readonly string[], socket: string | undefined): Place {
  const settings = lines.flatMap((line, at) => {
    const [, , path] = /^\s*PATH\s*=\s*(["']?)(.*?)\1\s*$/.exec(line) ?? [];
    return path === undefined ? [] : [{ at: at + 1, path }];
  });
  const [{ at, path } = { at: 0, path: '/usr/local/bin:/usr/bin:/bin' }, ...more] = settings;
  return {
    at,
    added: [`PATH=${folder}:${path}`, ...(socket === undefined ? [] : [`DOVEADM_SOCKET=${socket}`])],
    isMoved: settings.at(-1)?.path.startsWith(`${folder}:`) === true,
    hindrance: more.length === 0 ? undefined : `several lines set PATH: begin each value with ${folder}:`,
  };
}
