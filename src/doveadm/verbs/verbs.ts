// The verbs of access on request and their arguments, in the only such list. It determines the commands on the wire, the paths and members
// of HTTP, the calls of the page and of its door, the client library, the subcommands with their options, and the tools of agents. A new
// argument is a row here, and the code that uses it. This file imports nothing that a client would have to load for it.

import { bounds } from '../../host/bounds/bounds.js';

interface ArgumentRow {
  /** As in the table of commands (doveadm/commands/catalog): the option on the command line, or `<` for the words after `--`. */
  readonly word: string;
  readonly shape: keyof ShapeTypes;
  /** Undefined: the argument is for programs only. */
  readonly help?: string;
}

/** By the name that programs use ({@link memberOf} in JSON), in the order of a command line. */
export const accessArguments = {
  /** For a list: the last id that the caller knows. */
  after: { word: 'after:str?', shape: 'text' },
  to: { word: 'to:str?=name', shape: 'text', help: 'who gets it: NAME@LISTENER' },
  users: { word: 'u/user:array?=user', shape: 'texts', help: 'the mailbox user; may be given again' },
  forMs: { word: 'for:str?', shape: 'duration', help: 'for less time than the rule offers: 30m, 1h, ...' },
  uses: { word: 'uses:str?', shape: 'count', help: 'fewer uses than the rule offers' },
  quietMs: {
    word: 'quiet:str?',
    shape: 'duration',
    help: 'keep it from the owner of the mailbox for so long, if two persons approve that',
  },
  reason: { word: 'reason:str?=text', shape: 'reason', help: 'why; whoever decides, or asked, reads it' },
  id: { word: '<id:str', shape: 'text', help: 'its id in requests' },
  command: {
    word: '<command:array=sub-commands',
    shape: 'texts',
    help: 'after --: the command and its arguments',
  },
} as const satisfies Readonly<Record<string, ArgumentRow>>;
export type AccessArgument = keyof typeof accessArguments;

interface VerbRow {
  readonly help: string;
  readonly takes: readonly AccessArgument[];
  /** The arguments without which it is refused; ids and commands are always needed. */
  readonly needs?: readonly AccessArgument[];
  /** `end`: it takes a right away, at once, before its record. No rate refuses it; one that ends nothing counts as a question. */
  readonly costs: 'question' | 'step' | 'end';
  /** Approvers have it on the page too. */
  readonly isOnPage?: true;
}

const wish = ['users', 'forMs', 'uses', 'quietMs', 'reason', 'command'] as const;
const ask = { takes: wish, needs: ['reason'], costs: 'step' } as const;
const give = { takes: ['to', ...wish], needs: ['to', 'reason'], costs: 'step' } as const;
const end = { takes: ['reason', 'id'], costs: 'end', isOnPage: true } as const;

/** `gate/access` decides who may use each verb: everybody asks and sees their own, approvers the rest. */
export const accessVerbs = {
  request: { help: 'ask for a command that the policy denies; another person decides', ...ask },
  grant: { help: 'permit a command to somebody who did not ask; counts as one approval', ...give },
  requests: { help: 'list own requests, and those that wait for you', takes: ['after'], costs: 'question' },
  /** Over HTTP and on the terminal it is `requests` with an id. */
  access: { help: 'one of them, in full', takes: ['id'], costs: 'question' },
  approve: { help: 'approve a request', takes: ['forMs', 'uses', 'id'], costs: 'step', isOnPage: true },
  refuse: { help: 'refuse a request', needs: ['reason'], ...end },
  revoke: { help: 'end a grant and its running commands at once, or withdraw a request', ...end },
  review: {
    help: 'mark a grant that needed no approval as reviewed',
    takes: ['id'],
    costs: 'step',
    isOnPage: true,
  },
} as const satisfies Readonly<Record<string, VerbRow>>;

type Verbs = typeof accessVerbs;
export type AccessVerb = keyof Verbs;
export type AccessStep = {
  [Verb in AccessVerb]: Verbs[Verb] extends { readonly isOnPage: true } ? Verb : never;
}[AccessVerb];

/** The row, typed without its constants. */
export function verbRow(verb: AccessVerb): VerbRow {
  return accessVerbs[verb];
}

export function isAccessVerb(name: string): name is AccessVerb {
  return Object.hasOwn(accessVerbs, name);
}

export function isAccessStep(name: string): name is AccessStep {
  return isAccessVerb(name) && verbRow(name).isOnPage === true;
}

export const allVerbs = Object.keys(accessVerbs).filter(isAccessVerb);
export const accessSteps = allVerbs.filter(isAccessStep);
export const allArguments = Object.keys(accessArguments).filter((name): name is AccessArgument =>
  Object.hasOwn(accessArguments, name),
);
/** Some 30 years, in milliseconds. */
export const durationMax = 1e12;
export const countMax = 999_999;

interface ShapeTypes {
  readonly text: string;
  readonly texts: readonly string[];
  readonly reason: string;
  /** Milliseconds. */
  readonly duration: number;
  readonly count: number;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= most;

/** For each shape: the demand in words, and whether a value from a program meets it. */
const shapes: Readonly<Record<keyof ShapeTypes, readonly [string, (value: unknown) => boolean]>> = {
  text: ['a text', isText],
  texts: ['a text, or a list of texts', (value) => Array.isArray(value) && value.every(isText)],
  reason: [
    `a text of at most ${bounds.reasonBytes} bytes`,
    (value) => isText(value) && new TextEncoder().encode(value).length <= bounds.reasonBytes,
  ],
  duration: ['a whole number of milliseconds above 0', (value) => isCount(value, durationMax)],
  count: [`a whole number from 1 to ${countMax}`, (value) => isCount(value, countMax)],
};

export type AccessValues = {
  readonly [Name in AccessArgument]?: ShapeTypes[(typeof accessArguments)[Name]['shape']] | undefined;
};

/** The arguments that programs give with a verb. */
export type ValuesOf<Verb extends AccessVerb> = Pick<AccessValues, Verbs[Verb]['takes'][number]>;

/** What the value of an argument must be; undefined: it is valid, or not given. */
export function wantedOf(name: AccessArgument, value: unknown): string | undefined {
  const [wanted, isRight] = shapes[accessArguments[name].shape];
  return value === undefined || isRight(value) ? undefined : wanted;
}

/** The name of an option, `user` of `--user`; for words after `--` the name of the argument. */
export function optionOf(name: AccessArgument): string {
  return accessArguments[name].word.replace(/^<|^\w\/|:.*$/g, '');
}

/** The name of the argument in a JSON body. */
export function memberOf(name: AccessArgument): string {
  return accessArguments[name].shape === 'texts' ? name : optionOf(name);
}

export function isPositional(name: AccessArgument): boolean {
  return accessArguments[name].word.startsWith('<');
}

/** The words after `dovegate VERB`. No text can be taken for another option. */
export function wordsOf(texts: ReadonlyMap<AccessArgument, readonly string[]>): string[] {
  return [...texts].flatMap(([name, given]) =>
    isPositional(name) ? ['--', ...given] : given.map((text) => `--${optionOf(name)}=${text}`),
  );
}
