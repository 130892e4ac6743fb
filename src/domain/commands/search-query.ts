// Reads a search query, a list of words, into a tree as doveadm-server does, and says of the tree what rules ask. Knows no policy.
//
//   mailbox Trash savedbefore 30d          both               mailbox A OR mailbox B        either
//   NOT seen                               the next key       ( mailbox A OR seen ) all     parentheses are words of their own
//
// The server makes one OR of everything in a list where it meets one (`a b OR c` is a OR b OR c), and ends its process for what
// it cannot read. What people and it read differently is refused: a list is either all AND or all OR.

import { foldAscii } from '../identity/user-name.js';
import type { Series } from './catalog.js';
import { type Unparsable, unparsable } from './getopt.js';
import { isSearchValue, type SearchKey, searchKeyNamed, sequenceKey, whyRefused } from './search-keys.js';

/** One key with its values; `at` is the place of its first word in the query. */
export interface SearchCondition {
  readonly kind: 'key';
  readonly key: SearchKey;
  readonly values: readonly string[];
  readonly at: number;
}

/** `fuzzy` loosens what its node compares. */
export type SearchNode =
  | SearchCondition
  | { readonly kind: 'and' | 'or'; readonly nodes: readonly SearchNode[] }
  | { readonly kind: 'not' | 'fuzzy'; readonly node: SearchNode };

/** Nesting beyond this is refused: the server recurses too, on a stack that we do not know. */
const depthMax = 24;

/** Keys of one query: each is looked at for every condition of each rule. */
const keysMax = 1000;
/** Mailboxes that one line may name, in its arguments or in its query: each is compared with every pattern of each rule. */
export const mailboxesMax = 256;

interface Reader {
  readonly series: Series;
  readonly words: readonly string[];
  next: number;
  /** Keys so far, and those that name a mailbox. */
  keys: number;
  mailboxes: number;
}

/** The tree of a query, or why it is refused. No message repeats a value. */
export function parseSearchQuery(series: Series, words: readonly string[]): SearchNode | Unparsable {
  return readList({ series, words, next: 0, keys: 0, mailboxes: 0 }, 0);
}

const knownConditions = new WeakMap<SearchNode, readonly SearchCondition[]>();

/** Every key in the tree, from left to right. Looked for once in a tree: each rule asks again. */
export function conditionsIn(root: SearchNode): readonly SearchCondition[] {
  let conditions = knownConditions.get(root);
  if (conditions === undefined) {
    conditions = everyCondition(root);
    knownConditions.set(root, conditions);
  }
  return conditions;
}

function everyCondition(node: SearchNode, found: SearchCondition[] = []): SearchCondition[] {
  switch (node.kind) {
    case 'key':
      found.push(node);
      return found;
    case 'and':
    case 'or':
      for (const each of node.nodes) everyCondition(each, found);
      return found;
    case 'not':
    case 'fuzzy':
      return everyCondition(node.node, found);
    default: {
      const never: never = node;
      return never;
    }
  }
}

/**
 * The keys that each matching mail meets: those of the list that are neither under NOT, OR or FUZZY. A rule that
 * demands `mailbox` and `savedbefore` holds for a query when it finds both here; whatever else is in the query only narrows it.
 */
export function conditionsOfAll(node: SearchNode): SearchCondition[] {
  if (node.kind === 'key') return [node];
  return node.kind === 'and' ? node.nodes.flatMap(conditionsOfAll) : [];
}

/** Whether each branch names the mailbox that it looks at, by name, mask or GUID. */
export function namesMailbox(node: SearchNode): boolean {
  switch (node.kind) {
    case 'key':
      return node.key.class === 'place';
    case 'and':
      return node.nodes.some(namesMailbox);
    case 'or':
      return node.nodes.every(namesMailbox);
    case 'not':
    case 'fuzzy':
      return false;
    default: {
      const never: never = node;
      return never;
    }
  }
}

/**
 * What `expunge` and `move` demand, else the server's process ends: every branch names a mailbox, and something besides. Close
 * to the server's own check, and never looser: a mailbox under NOT does not count here.
 */
export function mayExpunge(node: SearchNode): boolean {
  return namesMailbox(node) && namesMore(node);
}

function namesMore(node: SearchNode): boolean {
  switch (node.kind) {
    case 'key':
      return node.key.class !== 'place';
    case 'and':
      return node.nodes.some(namesMore);
    case 'or':
      return node.nodes.every(namesMore);
    case 'not':
    case 'fuzzy':
      return namesMore(node.node);
    default: {
      const never: never = node;
      return never;
    }
  }
}

/** Keys up to the end or the closing parenthesis. */
function readList(reader: Reader, depth: number): SearchNode | Unparsable {
  const nodes: SearchNode[] = [];
  let isOr = false;
  for (;;) {
    const word = reader.words[reader.next];
    if (word === undefined) {
      if (depth > 0) return refuse(reader, 'a "(" is not closed');
      break;
    }
    if (word === ')') {
      if (depth === 0) return refuse(reader, 'a ")" closes nothing');
      reader.next += 1;
      break;
    }
    if (foldAscii(word) === 'or') {
      if (nodes.length === 0) return refuse(reader, 'OR stands between two keys');
      if (nodes.length > 1 && !isOr)
        return refuse(reader, 'OR and AND are mixed; put parentheses around one of them');
      isOr = true;
      reader.next += 1;
    } else if (isOr) {
      return refuse(reader, 'OR and AND are mixed; put parentheses around one of them');
    }
    const node = readKey(reader, depth);
    if (node.kind === 'unparsable') return node;
    nodes.push(node);
  }
  const [only] = nodes;
  if (only === undefined)
    return refuse(reader, depth === 0 ? 'it is empty' : 'a pair of parentheses is empty');
  return nodes.length === 1 ? only : { kind: isOr ? 'or' : 'and', nodes };
}

/** One key with its values, a parenthesised list, or a prefix and what it is put before. */
function readKey(reader: Reader, depth: number): SearchNode | Unparsable {
  const at = reader.next;
  const word = reader.words[at];
  if (word === undefined || word === ')') return refuse(reader, 'a key is missing');
  if (depth >= depthMax) return refuse(reader, `it is nested more than ${depthMax} deep`);
  reader.next += 1;
  const name = foldAscii(word);
  switch (name) {
    case '(':
      return readList(reader, depth + 1);
    case 'or':
      return refuse(reader, 'OR stands between two keys');
    case 'not':
    case 'fuzzy': {
      const node = readKey(reader, depth + 1);
      return node.kind === 'unparsable' ? node : { kind: name, node };
    }
    default:
      return readCondition(reader, word, at);
  }
}

function readCondition(reader: Reader, word: string, at: number): SearchNode | Unparsable {
  reader.keys += 1;
  if (reader.keys > keysMax) {
    return unparsable('too-many', `the query has more than ${keysMax} keys; use several commands`);
  }
  if (/^[*0-9]/.test(word)) {
    if (!isSearchValue(reader.series, 'set', word))
      return refuse(reader, 'a set of sequence numbers is not one');
    return { kind: 'key', key: sequenceKey, values: [word], at };
  }
  const key = searchKeyNamed(word);
  if (key === undefined) {
    const instead = whyRefused(word);
    if (instead !== undefined) return refuse(reader, `the key ${foldAscii(word)} is refused: ${instead}`);
    return refuse(reader, `word ${at + 1} is no key; each word of a query is a field of its own`);
  }
  if (key.name === 'mailbox') reader.mailboxes += 1;
  if (reader.mailboxes > mailboxesMax) {
    return unparsable(
      'too-many',
      `the query names more than ${mailboxesMax} mailboxes; use several commands`,
    );
  }
  const values = reader.words.slice(reader.next, reader.next + key.values.length);
  if (values.length < key.values.length) return refuse(reader, `a value of ${key.name} is missing`);
  reader.next += values.length;
  for (const [index, kind] of key.values.entries()) {
    const value = values[index] ?? '';
    if (!isSearchValue(reader.series, kind, value) || (key.class === 'place' && value === '')) {
      return refuse(reader, `the value of ${key.name} cannot be read`);
    }
  }
  return { kind: 'key', key, values, at };
}

function refuse(_reader: Reader, why: string): Unparsable {
  return unparsable('query-invalid', `the search query cannot be taken: ${why}`);
}
