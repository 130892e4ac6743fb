// Statements about policies, as `dovegate prove` takes them, and their grammar:
//
//     nobody but policy leads may destroy in mailboxes of "*@example.com"
//     key:modoboa can never reach content
//     policy monitoring may only read
//     after this change nobody may do more than before except policy leads
//
//     statement = who ("may" | "can") ["never" | "not" | "only"] verb {"or" verb} ["in mailboxes of" pattern {"or" pattern} ["by name"]]
//     who       = "nobody" ["but" names] | names        names = name {("," | "and" | "or") name}
//     name      = ("policy" | "listener" | "person") NAME | ("key" | "account" | "user") ":" NAME
//     verb      = "read" | "end sessions" | "change" | "administer" | "destroy" | ("read" | "reach") "content"
//               | "run" (COMMAND | "anything")
//     change    = ["after this change"] "nobody may do more than before" ["except" (name | COMMAND) {"," ...}]
//
// Both may end in "without approval" (which holds if nothing is said) or "even with approval". Names may stand in double quotes.

import { type AddedCommands, allSeries, commandsOf } from '../../doveadm/commands/catalog.js';
import { whyNoUserPattern } from '../../doveadm/names/glob.js';
import { nearestName } from '../../doveadm/names/nearest-name.js';
import { bounds } from '../../host/bounds/bounds.js';
import { predicateOf } from '../../host/kinds/kinds.js';

const whoKinds = ['policy', 'listener', 'person', 'key', 'account', 'user'] as const;

export interface Who {
  readonly kind: (typeof whoKinds)[number];
  readonly name: string;
}

/** Effects of the catalog by their verb, `content`, and single commands. */
export const effectVerbs = {
  read: 'read',
  'end sessions': 'session',
  change: 'write',
  administer: 'admin',
  destroy: 'destroy',
} as const;

export type Deed =
  | { readonly kind: 'effect'; readonly verb: keyof typeof effectVerbs }
  /** `isRead`: only commands that show mail. Otherwise also those that ask about it: a search, or a change of the mails found. */
  | { readonly kind: 'content'; readonly isRead: boolean }
  | { readonly kind: 'anything' }
  | { readonly kind: 'command'; readonly name: string };
export const isDeed = predicateOf<Deed>();

interface Approved {
  /** Also counts what grants could add. Otherwise only what needs no other person. */
  readonly isWithApproval: boolean;
}

export interface NeverStatement extends Approved {
  readonly kind: 'never';
  /** For `nobody but`: those who may. */
  readonly who: readonly Who[];
  readonly isForOthers: boolean;
  readonly deeds: readonly Deed[];
  /** For `only`: nothing but these deeds. */
  readonly isOnly: boolean;
  /** Patterns on the mailbox users; undefined: whatever it touches. */
  readonly users: readonly string[] | undefined;
  /** Without it, users outside of the patterns may be aliases of users inside. */
  readonly isByName: boolean;
}

export interface MoreStatement extends Approved {
  readonly kind: 'more';
  readonly except: readonly Who[];
  readonly exceptCommands: readonly string[];
}

export type Statement = NeverStatement | MoreStatement;

/** The message says where and what. */
export type StatementResult = Statement | { readonly kind: 'bad'; readonly message: string };

export const isStatement = predicateOf<StatementResult>();

/** Longest statement, in UTF-16 units. */
const charsMax = bounds.statementChars;

export interface StatementNames {
  readonly policies: ReadonlyMap<string, unknown>;
  readonly persons: ReadonlyMap<string, unknown>;
  readonly listeners: readonly (Named & Readonly<Record<'accounts' | 'keys', readonly Named[]>>)[];
  readonly catalog?: { readonly added: AddedCommands };
}

interface Named {
  readonly name: string;
}

/** Reads a statement about one configuration, or about several, in which every name must exist. */
export function readStatement(text: string, ...known: readonly StatementNames[]): StatementResult {
  const commands = known.flatMap(({ catalog }) =>
    allSeries.flatMap((series) => commandsOf(series, catalog?.added).map(({ name }) => name)),
  );
  const statement = parseStatement(text, new Set(commands));
  if (statement.kind === 'bad') return statement;
  for (const { kind, name } of statement.kind === 'never' ? statement.who : statement.except) {
    const names = new Set(known.flatMap((each) => namesOf(kind, each)));
    if (kind === 'user' || names.has(name)) continue;
    const meant = nearestName(name.slice(0, 64), names);
    const hint =
      meant === undefined ? `there are: ${[...names].join(', ') || 'none'}` : `did you mean ${meant}?`;
    return { kind: 'bad', message: `there is no ${kind} ${JSON.stringify(name)}; ${hint}` };
  }
  return statement;
}

function namesOf(kind: Who['kind'], { policies, listeners, persons }: StatementNames): string[] {
  switch (kind) {
    case 'policy':
      return [...policies.keys()];
    case 'person':
      return [...persons.keys()];
    case 'listener':
      return listeners.map(({ name }) => name);
    case 'key':
      return listeners.flatMap(({ keys }) => keys.map(({ name }) => name));
    case 'account':
      return listeners.flatMap(({ accounts }) => accounts.map(({ name }) => name));
    case 'user':
      return [];
    default:
      return kind satisfies never;
  }
}

/** `commands`: the full names of all that there are. */
function parseStatement(text: string, commands: ReadonlySet<string>): StatementResult {
  try {
    if (text.length > charsMax) throw new StatementFault(`is longer than ${charsMax} characters`);
    return new Parser(text, commands).parse();
  } catch (fault) {
    if (fault instanceof StatementFault) return { kind: 'bad', message: fault.message };
    throw fault;
  }
}

class StatementFault extends Error {}

interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
  /** From 1. */
  readonly at: number;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\s*(?:"([^"]*)"|(,)|((?:key|account|user):(?="))|([^\s,"]+)|("))/gy;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [whole, quoted, ...plain] = match;
    const at = match.index + whole.length - whole.trimStart().length + 1;
    if (plain[3] !== undefined) throw new StatementFault(`the quotes at character ${at} are not closed`);
    tokens.push({
      text: quoted ?? plain.find((each) => each !== undefined) ?? '',
      isQuoted: quoted !== undefined,
      at,
    });
  }
  return tokens;
}

const commandWordsMax = 4;

class Parser {
  readonly #tokens: readonly Token[];
  readonly #commands: ReadonlySet<string>;
  #next = 0;

  constructor(text: string, commands: ReadonlySet<string>) {
    this.#tokens = tokensOf(text);
    this.#commands = commands;
  }

  parse(): Statement {
    const isChange = this.#takes('after this change');
    const statement = this.#takes('nobody may do more than before') ? this.#more() : undefined;
    if (statement !== undefined) return statement;
    if (isChange) this.#fail('"nobody may do more than before"');
    return this.#never();
  }

  #more(): MoreStatement {
    const except: Who[] = [];
    const exceptCommands: string[] = [];
    if (this.#takes('except')) {
      do {
        const who = this.#who();
        if (who !== undefined) except.push(who);
        else {
          this.#takes('run');
          exceptCommands.push(
            this.#command('a policy, listener, person, key:, account:, user: or the name of a command'),
          );
        }
      } while (this.#takes(',') || this.#takes('and') || this.#takes('or'));
    }
    return { kind: 'more', except, exceptCommands, ...this.#end() };
  }

  #never(): NeverStatement {
    const isNobody = this.#takes('nobody');
    const isForOthers = isNobody;
    const who = !isNobody || this.#takes('but') ? this.#names() : [];
    if (!this.#takes('may') && !this.#takes('can')) this.#fail('"may" or "can"');
    const isNever = this.#takes('never') || this.#takes('not');
    const isOnly = !isNever && this.#takes('only');
    if (isNobody && (isNever || isOnly)) {
      throw new StatementFault('"nobody" says already that it may never be; leave out "never" and "only"');
    }
    if (!isNobody && !isNever && !isOnly) {
      this.#fail(
        '"never" or "only": a statement says what cannot happen (what must be allowed is a policy test)',
      );
    }
    const deeds = [this.#deed()];
    while (this.#takes(',') || this.#takes('or')) deeds.push(this.#deed());
    if (isOnly && deeds.some(({ kind }) => kind === 'anything'))
      throw new StatementFault('"may only run anything" excludes nothing');
    let users: string[] | undefined;
    if (this.#takes('in mailboxes of')) {
      users = [this.#pattern()];
      while (this.#takes(',') || this.#takes('or')) users.push(this.#pattern());
    }
    const isByName = users !== undefined && this.#takes('by name');
    return { kind: 'never', who, isForOthers, deeds, isOnly, users, isByName, ...this.#end() };
  }

  #names(): Who[] {
    const found: Who[] = [];
    do {
      const who = this.#who(found.at(-1)?.kind);
      if (who === undefined) this.#fail(`"nobody", or who: ${whoForms}`);
      else found.push(who);
    } while (this.#takes(',') || this.#takes('and') || this.#takes('or'));
    return found;
  }

  /** `before`: the kind of the name before it in a list, for a name without a kind. */
  #who(before?: Who['kind']): Who | undefined {
    const token = this.#tokens[this.#next];
    if (token === undefined) return undefined;
    for (const kind of ['policy', 'listener', 'person'] as const)
      if (this.#takes(kind)) return { kind, name: this.#name(kind) };
    const [, kind, name = ''] = (!token.isQuoted && /^(key|account|user):(.*)$/s.exec(token.text)) || [];
    if (kind !== 'key' && kind !== 'account' && kind !== 'user')
      return before === undefined ? undefined : { kind: before, name: this.#name(before) };
    this.#next += 1;
    return { kind, name: name === '' ? this.#name(kind) : name };
  }

  #name(kind: string): string {
    const token = this.#tokens[this.#next];
    if (token === undefined || (!token.isQuoted && token.text === ',')) this.#fail(`the name of a ${kind}`);
    this.#next += 1;
    return token.text;
  }

  #pattern(): string {
    const token = this.#tokens[this.#next];
    if (token?.isQuoted !== true || token.text === '')
      this.#fail('a pattern in double quotes, as "*@example.com"');
    const why = whyNoUserPattern(token.text);
    if (why !== undefined) throw new StatementFault(`the pattern at character ${token.at}: ${why}`);
    this.#next += 1;
    return token.text;
  }

  #deed(): Deed {
    if (this.#takes('reach content')) return { kind: 'content', isRead: false };
    if (this.#takes('read content')) return { kind: 'content', isRead: true };
    for (const verb of verbs) if (this.#takes(verb)) return { kind: 'effect', verb };
    if (!this.#takes('run'))
      this.#fail(`a verb: ${[...verbs, 'read content', 'reach content', 'run COMMAND'].join(', ')}`, verbs);
    return this.#takes('anything')
      ? { kind: 'anything' }
      : { kind: 'command', name: this.#command('the full name of a command, or "anything"') };
  }

  /** The longest name that the next words make, in quotes or not. */
  #command(wanted: string): string {
    const token = this.#tokens[this.#next];
    if (token?.isQuoted === true && this.#commands.has(token.text)) {
      this.#next += 1;
      return token.text;
    }
    for (let count = token?.isQuoted === true ? 0 : commandWordsMax; count > 0; count -= 1) {
      const words = this.#tokens.slice(this.#next, this.#next + count);
      const name = words.map(({ text }) => text).join(' ');
      if (words.length < count || !this.#commands.has(name)) continue;
      this.#next += count;
      return name;
    }
    const here = this.#tokens.slice(this.#next, this.#next + (token?.isQuoted === true ? 1 : 2));
    return this.#fail(wanted, this.#commands, here.map(({ text }) => text).join(' '));
  }

  #end(): Approved {
    const isWithApproval = this.#takes('even with approval');
    if (!isWithApproval) this.#takes('without approval');
    if (this.#next < this.#tokens.length) this.#fail('the end of the statement');
    return { isWithApproval };
  }

  #takes(words: string): boolean {
    const wanted = words.split(' ');
    const isHere = wanted.every((word, index) => {
      const token = this.#tokens[this.#next + index];
      return token?.isQuoted === false && token.text.toLowerCase() === word;
    });
    if (isHere) this.#next += wanted.length;
    return isHere;
  }

  #fail(wanted: string, near: Iterable<string> = [], text = this.#tokens[this.#next]?.text): never {
    const token = this.#tokens[this.#next];
    const meant = text === undefined ? undefined : nearestName(text.slice(0, 64), near);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    const where = token === undefined ? 'at its end' : `at character ${token.at}, before "${token.text}",`;
    throw new StatementFault(`${where} there must be ${wanted}${hint}`);
  }
}

const whoForms = 'policy NAME, listener NAME, person NAME, key:NAME, account:NAME, user:NAME';
const verbs = ['read', 'end sessions', 'change', 'administer', 'destroy'] as const;
