// Finds what one source refers to: imports of every form, files named by `new URL(..., import.meta.url)`, names of globals, exports.
// It works on tokens and knows no rule of the table.
import { type Comment, lex, type Token } from './lexer.js';

export interface Reference {
  /** `url`: a file that is loaded by its address, as a worker is. */
  readonly kind: 'value' | 'type' | 'url';
  /** Undefined for a `url` only: the place is computed, or its base is. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** The names between `import` and `from`, as written. */
  readonly names: readonly string[];
}

export interface GlobalUse {
  readonly name: string;
  readonly line: number;
}

export interface SourceFacts {
  readonly references: readonly Reference[];
  /** Imports that cannot be judged: a computed name, an unusual `import.meta`, a reference comment. */
  readonly unclear: readonly { readonly line: number; readonly message: string }[];
  /** Every free name (`setTimeout`, not `clock.setTimeout`), and of each that a dot follows the pair too (`Math.random`). */
  readonly globals: readonly GlobalUse[];
  readonly undocumented: readonly { readonly line: number; readonly name: string }[];
  readonly opensWithComment: boolean;
}

/** Throws LexFault. */
export function factsOf(source: string): SourceFacts {
  const { tokens, comments } = lex(source);
  const references: Reference[] = [];
  const unclear: { line: number; message: string }[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'name' || isMember(tokens, i)) continue;
    if (token.text === 'import') readImport(tokens, i, references, unclear);
    else if (token.text === 'export') readReExport(tokens, i, references, unclear);
  }
  for (const { text, line } of comments)
    if (/^\/\/\/\s*</.test(text)) unclear.push({ line, message: 'a reference comment' });
  return {
    references,
    unclear,
    globals: freeNames(tokens),
    undocumented: undocumentedExports(tokens),
    opensWithComment: opensWithComment(tokens[0], comments[0]),
  };
}

function isText(token: Token | undefined, text: string): boolean {
  return token !== undefined && token.text === text && (token.kind === 'name' || token.kind === 'punctuator');
}

function isPair(tokens: readonly Token[], i: number, first: string, second: string): boolean {
  return isText(tokens[i], first) && isText(tokens[i + 1], second);
}

/** Behind a dot: a member of something, not a free name. */
function isMember(tokens: readonly Token[], i: number): boolean {
  return isText(tokens[i - 1], '.') || isText(tokens[i - 1], '?.');
}

type Unclear = { line: number; message: string }[];

function readImport(tokens: readonly Token[], i: number, references: Reference[], unclear: Unclear): void {
  const line = tokens[i]?.line ?? 0;
  const next = tokens[i + 1];
  if (isText(next, '(')) {
    const kind = isText(tokens[i - 1], 'typeof') ? 'type' : 'value';
    const isLiteral = isText(tokens[i + 3], ')') || isText(tokens[i + 3], ',');
    addReference(isLiteral ? tokens[i + 2] : undefined, { kind, line, names: [] }, references, unclear);
  } else if (isText(next, '.')) {
    const isUrl =
      isPair(tokens, i - 5, 'new', 'URL') && isText(tokens[i - 3], '(') && isText(tokens[i - 1], ',');
    if (isUrl && isPair(tokens, i + 2, 'meta', '.') && isPair(tokens, i + 4, 'url', ')'))
      references.push({ kind: 'url', specifier: plainText(tokens[i - 2]), line, names: [] });
    else if (
      isPair(tokens, i + 2, 'meta', '.') &&
      isPair(tokens, i + 4, 'resolve', '(') &&
      isText(tokens[i + 7], ')') &&
      tokens[i + 6]?.kind === 'string'
    )
      // The address of a file of a package, which is read and not run.
      addReference(tokens[i + 6], { kind: 'value', line, names: [] }, references, unclear);
    else
      unclear.push({
        line,
        message: "import.meta, other than in new URL('...', import.meta.url) and import.meta.resolve('...')",
      });
  } else if (next?.kind === 'string') {
    addReference(next, { kind: 'value', line, names: [] }, references, unclear);
  } else if (!isText(next, ':')) {
    const afterType = tokens[i + 2];
    // `import type from 'x'` and `import type, { y } from 'x'` import a value that is called type.
    const isNamedType =
      isText(afterType, ',') || (isText(afterType, 'from') && tokens[i + 3]?.kind === 'string');
    const kind = isText(next, 'type') && !isNamedType ? 'type' : 'value';
    readFrom(tokens, i, kind, references, unclear);
  }
}

function readReExport(tokens: readonly Token[], i: number, references: Reference[], unclear: Unclear): void {
  const isType = isText(tokens[i + 1], 'type');
  const start = isType ? i + 2 : i + 1;
  const kind = isType ? 'type' : 'value';
  if (isText(tokens[start], '*')) readFrom(tokens, i, kind, references, unclear);
  else if (isText(tokens[start], '{')) {
    const end = tokens.findIndex((token, at) => at > start && isText(token, '}'));
    if (isText(tokens[end + 1], 'from')) readFrom(tokens, i, kind, references, unclear);
  }
}

function readFrom(
  tokens: readonly Token[],
  i: number,
  kind: 'value' | 'type',
  references: Reference[],
  unclear: Unclear,
): void {
  let end = i + 1;
  while (end < tokens.length && !isText(tokens[end], ';')) {
    if (isText(tokens[end], 'from') && tokens[end + 1]?.kind === 'string') break;
    end += 1;
  }
  const names = tokens.slice(i + 1, end).flatMap((token) => (token.kind === 'name' ? [token.text] : []));
  const found = isText(tokens[end], 'from') ? tokens[end + 1] : undefined;
  addReference(found, { kind, line: tokens[i]?.line ?? 0, names }, references, unclear);
}

function addReference(
  token: Token | undefined,
  rest: Omit<Reference, 'specifier'>,
  references: Reference[],
  unclear: Unclear,
): void {
  const specifier = plainText(token);
  if (specifier === undefined)
    unclear.push({ line: rest.line, message: 'an import whose name is not a plain string' });
  else references.push({ ...rest, specifier });
}

/** A backslash could spell a name that the checker would not recognise, so a string with one is not plain. */
function plainText(token: Token | undefined): string | undefined {
  return token?.kind === 'string' && !token.text.includes('\\') ? token.text : undefined;
}

function freeNames(tokens: readonly Token[]): GlobalUse[] {
  const uses: GlobalUse[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'name') continue;
    const { text, line } = token;
    if (text === 'globalThis' || text === 'global') {
      if (isMember(tokens, i) || isKey(tokens, i)) continue;
      // Taken as a whole it could reach everything.
      const member = isText(tokens[i + 1], '.') || isText(tokens[i + 1], '?.');
      if (!member) uses.push({ name: 'globalThis', line });
      continue;
    }
    const ofGlobal =
      isMember(tokens, i) && (isText(tokens[i - 2], 'globalThis') || isText(tokens[i - 2], 'global'));
    if (!ofGlobal && (isMember(tokens, i) || isKey(tokens, i))) continue;
    if (text !== 'Date' || !isGivenInstant(tokens, i)) uses.push({ name: text, line });
    const member = memberAfter(tokens, i);
    if (member !== undefined) uses.push({ name: `${text}.${member}`, line });
    for (const taken of destructuredFrom(tokens, i)) uses.push({ name: `${text}.${taken}`, line });
  }
  return uses;
}

/**
 * Of the name `Date`: whether what follows only parses or formats an instant that is given. `new Date()`, `Date()`, `Date.now` and the
 * class as a value bring the clock of the machine along, and so may spread arguments.
 */
function isGivenInstant(tokens: readonly Token[], i: number): boolean {
  if (isText(tokens[i + 1], '.')) return ['parse', 'UTC'].some((name) => isText(tokens[i + 2], name));
  const isNew = isText(tokens[i - 1], 'new') && isText(tokens[i + 1], '(');
  return isNew && !isText(tokens[i + 2], ')') && !isText(tokens[i + 2], '...');
}

/** The name of an own key, method or signature: `{ setTimeout: x }`, `setTimeout(ms: number): Timer;`. */
function isKey(tokens: readonly Token[], i: number): boolean {
  const before = tokens[i - 1];
  const beforeKey = ['{', '}', ',', ';', '(', 'readonly', 'async', 'get', 'set'];
  if (before !== undefined && !beforeKey.some((text) => isText(before, text))) return false;
  if (isText(tokens[i + 1], ':')) return true;
  if (isPair(tokens, i + 1, '?', ':')) return true;
  if (!isText(tokens[i + 1], '(') || isText(before, '(')) return false;
  // Only a declared method has a type or a body behind its parentheses.
  let depth = 0;
  for (let end = i + 1; end < tokens.length; end += 1) {
    if (isText(tokens[end], '(')) depth += 1;
    else if (isText(tokens[end], ')')) depth -= 1;
    if (depth === 0) return isText(tokens[end + 1], ':') || isText(tokens[end + 1], '{');
  }
  return false;
}

function memberAfter(tokens: readonly Token[], i: number): string | undefined {
  const dot = isText(tokens[i + 1], '?.') && isText(tokens[i + 2], '[') ? i + 2 : i + 1;
  if (isText(tokens[dot], '.') || isText(tokens[dot], '?.')) return tokens[dot + 1]?.text;
  return isText(tokens[dot], '[') && tokens[dot + 1]?.kind === 'string' ? tokens[dot + 1]?.text : undefined;
}

/** `const { exit } = process` takes the same thing as `process.exit`. */
function destructuredFrom(tokens: readonly Token[], i: number): string[] {
  if (!isPair(tokens, i - 2, '}', '=')) return [];
  const taken: string[] = [];
  for (let at = i - 3; at >= 0 && !isText(tokens[at], '{'); at -= 1) taken.push(tokens[at]?.text ?? '');
  return taken;
}

function undocumentedExports(tokens: readonly Token[]): { line: number; name: string }[] {
  const missing: { line: number; name: string }[] = [];
  const documented = new Set<string>();
  for (const [i, token] of tokens.entries()) {
    if (!isText(token, 'export') || isMember(tokens, i) || isText(tokens[i + 1], ':')) continue;
    const words = declarationWords(tokens, i + 1);
    const name = words.at(-1);
    if (name === undefined) continue; // `export { x }` and `export * from`: documented where it is declared
    // The signatures of one overloaded function share the comment of the first.
    if (token.comment?.startsWith('/**')) documented.add(name);
    else if (!documented.has(name)) missing.push({ line: token.line, name });
  }
  return missing;
}

const declarators = new Set(
  'const let var function async class abstract interface type default enum declare'.split(' '),
);

/** The words from behind `export` to the declared name; none for a list of names. */
function declarationWords(tokens: readonly Token[], start: number): string[] {
  const words: string[] = [];
  for (let at = start; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (isText(token, '*') && words.length > 0 && words.at(-1) === 'function') continue;
    if (token?.kind !== 'name') return words.length > 0 && words.at(-1) !== 'type' ? words : [];
    words.push(token.text);
    if (!declarators.has(token.text)) return words;
  }
  return words;
}

/** Whether a comment about the file comes first; the doc comment of a first export is none. */
function opensWithComment(token: Token | undefined, comment: Comment | undefined): boolean {
  if (comment === undefined || token === undefined) return comment !== undefined;
  const isDoc = isText(token, 'export') && comment.text.startsWith('/**') && comment.text === token.comment;
  return comment.line < token.line && !isDoc;
}
