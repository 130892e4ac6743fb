// The calls of doveadm in a script or a crontab, for `dovegate explain --lines`. It splits words as a shell does and runs nothing, so the
// values of variables stay open. A call that cannot be read, or that calls doveadm by a variable, is reported, never left out.

import { readTypedCommand, type TypedCommand } from '../../doveadm/commands/typed-command.js';
import { CommandFault, wrongUsage } from '../../host/output/output.js';
import { isForRealDoveadm } from '../answers/read-answer.js';

export interface ScriptLine {
  /** Number of its first line, from 1. */
  readonly number: number;
  /** As it stands there, from `doveadm` on. */
  readonly text: string;
  /** What stands in front of it on its line, its path included. */
  readonly before: string;
  /** The words after it. A number stands for a variable. */
  readonly words: readonly string[];
  /** The variable by whose name it is called. */
  readonly variable?: string;
  readonly asked?: { readonly user: string; readonly words: readonly string[] };
  /** Why it cannot be asked about. */
  readonly fault?: string;
  /** How to send it to dovegate, if `doveadm -S` cannot. */
  readonly instead?: string;
  /** It is for several users, which nothing sends as it stands: it is asked about for one user. */
  readonly isOfMany?: true;
}

/** `user`: replaces a variable after `-u`. */
export function linesOfScript(script: string, user: string): readonly ScriptLine[] {
  const lines = script.split('\n');
  const found: ScriptLine[] = [];
  const names = new Set<string>();
  // Collected first: a function may use a variable that is assigned further down.
  for (const line of lines)
    for (const [text, name = ''] of line.matchAll(assigned))
      if (!/^\s*#/.test(line) && (isCalled.test(text) || calledIn(text, names).length > 0)) names.add(name);
  for (let at = 0; at < lines.length; at += 1) {
    const number = at + 1;
    let line = lines[at] ?? '';
    for (; line.endsWith('\\') && at + 1 < lines.length; at += 1)
      line = `${line.slice(0, -1)}${lines[at + 1] ?? ''}`;
    if (/^\s*#/.test(line)) continue;
    const given = [...line.matchAll(assigned)].flatMap((each) => {
      const [text, name = ''] = each;
      const isOne = names.has(name) && (isCalled.test(text) || calledIn(text, names).length > 0);
      return isOne ? [{ from: each.index, to: each.index + text.length }] : [];
    });
    const isGiven = (place: number): boolean => given.some(({ from, to }) => place >= from && place < to);
    const calls = [
      ...line.matchAll(/(?<![\w./=-])(?:\/[\w./-]*\/)?doveadm[ \t]+/g),
      ...calledIn(line, names),
    ];
    for (const call of calls
      .filter(({ index }) => !isGiven(index))
      .toSorted((one, other) => one.index - other.index)) {
      const from = call.index + call[0].length;
      const { words, end } = splitWords(line, from);
      const [, name] = call;
      const text = `${name === undefined ? 'doveadm' : call[0].replaceAll('"', '').trim()} ${line.slice(from, end).trim()}`;
      found.push({
        number,
        text,
        before: line.slice(0, call.index) + (name === undefined ? call[0].replace(/doveadm[ \t]+$/, '') : ''),
        words,
        ...(name === undefined ? readCall(words, user) : { variable: name, fault: unjudged(name) }),
      });
    }
  }
  return found;
}

/** NAME=VALUE, up to the end of the value; the value of `${NAME:=VALUE}`, too. */
const assigned =
  /(?<![\w$-])(?:\$\{)?(\w+):?=(?:"(?:[^"\\]|\\.)*"|'[^']*'|\$\([^()]*\)|`[^`]*`|[^\s;&|)"'`]+)/g;
/** An assignment whose value is doveadm: with options, after sudo, or its path as `which` prints it; but not its output. */
const isCalled =
  /=["'](?:\/[\w./-]*\/)?doveadm[ \t]|=["']?(?:\$\{\w+:?[-=])?(?:[\w./-]+[ \t]+)*(?:\/[\w./-]*\/)?doveadm(?:[ \t]+-[^"']*)?["'}]*$|=["']?(?:\$\(|`)(?:command -v|which|type -P)[ \t]+(?:\/[\w./-]*\/)?doveadm/;

/** Where one of these variables is called, or is handed arguments. */
function calledIn(line: string, names: ReadonlySet<string>): readonly RegExpExecArray[] {
  const calls = [...line.matchAll(/"?\$\{?(\w+)\}?"?(?:[ \t]+(?![\]|&;])|(?="?$))/g)];
  return calls.filter(([, name = '']) => names.has(name));
}

function unjudged(name: string): string {
  return `${name} is doveadm here, and what a variable calls is not judged: write doveadm there`;
}

function readCall(words: readonly string[], user: string): Pick<ScriptLine, 'asked' | 'fault' | 'instead'> {
  try {
    const own = withoutGlobals(words);
    if (isVariable(own[0]))
      return { fault: 'its command is in a variable, which is not judged: write it there' };
    const typed = readTypedCommand(own);
    return { ...askedOf(typed, user), ...insteadOf(typed) };
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    return { fault: fault.message };
  }
}

function askedOf({ command, args, ...typed }: TypedCommand, user: string): Pick<ScriptLine, 'asked'> {
  const { user: named = '' } = typed;
  const isOpen = named.search(variable) !== -1 || isOfMany(typed);
  if (isOpen && user === '')
    throw wrongUsage('it is for any user: name one to ask about, as --user bob@example.com');
  const words = args.map((word) => (isOpen && named !== '' ? word.replaceAll(named, openUser) : word));
  return { asked: { user: isOpen ? user : named, words: [command.name, ...words] } };
}

function isOfMany(command: Pick<TypedCommand, 'user' | 'isAllUsers' | 'userFile'>): boolean {
  const { user = '', isAllUsers, userFile } = command;
  return isAllUsers || userFile !== undefined || /[*?]/.test(user);
}

function insteadOf(typed: TypedCommand): Pick<ScriptLine, 'instead' | 'isOfMany'> {
  if (isOfMany(typed))
    return { isOfMany: true, instead: 'dovegate send --users FILE, or a mask, which needs a rule "user"' };
  return isForRealDoveadm({ command: typed.command.name, says: [] }) ? {} : { instead: 'dovegate send' };
}

/** Without the options before the command; `-f FORMAT` and the like have a value. */
export function withoutGlobals(words: readonly string[]): readonly string[] {
  let at = 0;
  for (; words[at]?.startsWith('-') === true; at += 1) if (/^-[cfiko]$/.test(words[at] ?? '')) at += 1;
  return words.slice(at);
}

/** Stands for a variable, with its number. Digits, since the variable may be a number or an age; as days, it is an age after 1970. */
const variable = /187\d\d/g;

/** Whether a variable began the word. */
export function isVariable(word = ''): boolean {
  return word.search(variable) === 0;
}

/** Stands for the variable after `-u`. */
const openUser = 'zzuserzz';

/** A line of a rule for a call: a star where a variable stood, and `<user>` where that of `-u` is a part of a location. */
export function withStars(line: string): string {
  return line
    .replaceAll(/(?<=:[^" ]*\/)zzuserzz(?=[/:"\],\s]|$)/g, '<user>')
    .replaceAll('zzuserzz', '*')
    .replaceAll(variable, '*');
}

/** The words up to the end of the simple command. */
function splitWords(line: string, from: number): { readonly words: readonly string[]; readonly end: number } {
  const words: string[] = [];
  const names: string[] = [];
  const open = (text: string): string => {
    const name = text.replaceAll(/[${}"]/g, '');
    if (!names.includes(name)) names.push(name);
    return `187${String(names.indexOf(name) % 100).padStart(2, '0')}`;
  };
  let word: string | undefined;
  let at = from;
  const take = (text: string, length: number): void => {
    word = (word ?? '') + text;
    at += length;
  };
  for (; at < line.length; ) {
    const rest = line.slice(at);
    const [, quoted] = /^'([^']*)'/.exec(rest) ?? [];
    const [whole, inside] = /^"((?:[^"\\]|\\.)*)"/.exec(rest) ?? [];
    const [opened] = variableText.exec(rest) ?? [];
    if (quoted !== undefined) take(quoted, quoted.length + 2);
    else if (whole !== undefined && inside !== undefined)
      take(
        inside.replaceAll(variablesWithin, (text) => open(text)).replaceAll(/\\(["\\$`])/g, '$1'),
        whole.length,
      );
    else if (opened !== undefined) take(open(opened), opened.length);
    else if (rest.startsWith('\\') && rest.length > 1) take(rest.charAt(1), 2);
    else if (/^[\s]/.test(rest)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
    } else if (/^[|;&<>()'"`]/.test(rest) || (rest.startsWith('#') && word === undefined)) break;
    else take(rest.charAt(0), 1);
  }
  // The number in front of a redirection is no word.
  const isRedirected = /^\d+$/.test(word ?? '') && /^[<>]/.test(line.slice(at));
  if (word !== undefined && !isRedirected) words.push(word);
  return { words, end: isRedirected ? at - (word ?? '').length : at };
}

const variableText = /^(?:\$\w+|\$[@*#?]|\$\{[^}]*\}|\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`)/;
const variablesWithin = new RegExp(variableText.source.slice(1), 'g');
