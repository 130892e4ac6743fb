// Cuts TypeScript source into tokens, well enough to find imports and names of globals and to not be fooled by comments,
// strings, templates and regular expressions.
// It does not know grammar: whether a slash divides or opens a regular expression is told from the token before it.
// What it cannot read is a LexFault, never a guess: a file that the checker cannot read must not pass.

export type TokenKind = 'name' | 'punctuator' | 'string' | 'template' | 'number' | 'regex';

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a string what stands between the quotes, of a template one piece without substitutions. */
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
  /** The last comment between the token before and this one, as written. */
  readonly comment: string | undefined;
}

export interface Comment {
  readonly text: string;
  readonly line: number;
}

/** The source ends inside of something, or holds a character that no token begins with. */
export class LexFault extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const regexAfterName = new Set(
  'return typeof case in of delete void throw new else do instanceof await yield extends'.split(' '),
);
const parenthesisAfter = new Set(['if', 'while', 'for', 'with']);
const longPunctuators = ['...', '=>', '?.', '++', '--', '**', '&&', '||', '??'];
const blockBefore = new Set([')', ';', '{', '}', '=>', 'else', 'do', 'try', 'finally']);

type Opening = 'call' | 'condition' | 'bracket' | 'block' | 'object' | 'substitution';

/** Tokens and comments of one source. Throws LexFault. */
export function lex(source: string): { tokens: Token[]; comments: Comment[] } {
  const tokens: Token[] = [];
  const comments: Comment[] = [];
  const open: Opening[] = [];
  let lastClosed: Opening | undefined;
  let at = 0;
  let line = 1;
  let comment: string | undefined;

  function take(kind: TokenKind, end: number, text = source.slice(at, end)): void {
    tokens.push({ kind, text, line, comment });
    comment = undefined;
    skip(end);
  }

  function skip(end: number): void {
    for (let i = source.indexOf('\n', at); i !== -1 && i < end; i = source.indexOf('\n', i + 1)) line += 1;
    at = end;
  }

  function takeComment(end: number): void {
    comment = source.slice(at, end);
    comments.push({ text: comment, line });
    skip(end);
  }

  /** The index behind the closing quote. */
  function endOfString(quote: string): number {
    for (let i = at + 1; i < source.length; i += 1) {
      if (source[i] === '\\') i += 1;
      else if (source[i] === quote) return i + 1;
      else if (source[i] === '\n') break;
    }
    throw new LexFault(line, 'a string without an end');
  }

  /** One piece of a template: from a back quote or the brace that ends a substitution, to the next of either. */
  function takeTemplatePiece(): void {
    for (let i = at + 1; i < source.length; i += 1) {
      if (source[i] === '\\') i += 1;
      else if (source[i] === '`') return take('template', i + 1, source.slice(at + 1, i));
      else if (source[i] === '$' && source[i + 1] === '{') {
        open.push('substitution');
        return take('template', i + 2, source.slice(at + 1, i));
      }
    }
    throw new LexFault(line, 'a template without an end');
  }

  function endOfRegex(): number {
    let inClass = false;
    for (let i = at + 1; i < source.length; i += 1) {
      const c = source[i];
      if (c === '\n') break;
      if (c === '\\') i += 1;
      else if (c === '[') inClass = true;
      else if (c === ']') inClass = false;
      else if (c === '/' && !inClass)
        return i + 1 + (/^[a-z]*/.exec(source.slice(i + 1, i + 12))?.[0].length ?? 0);
    }
    throw new LexFault(line, 'a regular expression without an end');
  }

  function mayBeRegex(): boolean {
    const last = tokens.at(-1);
    if (last === undefined) return true;
    if (last.kind === 'name') return regexAfterName.has(last.text) && tokens.at(-2)?.text !== '.';
    if (last.kind !== 'punctuator') return false;
    if (last.text === ')') return lastClosed === 'condition';
    if (last.text === '}') return lastClosed === 'block';
    return last.text !== ']' && last.text !== '++' && last.text !== '--';
  }

  function takePunctuator(): void {
    const c = source[at];
    const last = tokens.at(-1);
    if (c === '(') open.push(last?.kind === 'name' && parenthesisAfter.has(last.text) ? 'condition' : 'call');
    else if (c === '[') open.push('bracket');
    else if (c === '{') open.push(last === undefined || blockBefore.has(last.text) ? 'block' : 'object');
    else if (c === ')' || c === ']' || c === '}') {
      lastClosed = open.pop();
      if (lastClosed === undefined) throw new LexFault(line, `${c} closes nothing`);
      if (c === '}' && lastClosed === 'substitution') return takeTemplatePiece();
    }
    const long = longPunctuators.find((text) => source.startsWith(text, at));
    // In `a ?.5 : b` the question mark stands alone.
    const isLong = long !== undefined && !(long === '?.' && /\d/.test(source[at + 2] ?? ''));
    take('punctuator', at + (isLong ? long.length : 1));
  }

  if (source.startsWith('#!')) skip(endOfLine(source, 0));
  while (at < source.length) {
    const c = source[at] ?? '';
    if (/\s|\uFEFF/.test(c)) skip(at + 1);
    else if (source.startsWith('//', at)) takeComment(endOfLine(source, at));
    else if (source.startsWith('/*', at)) {
      const end = source.indexOf('*/', at + 2);
      if (end === -1) throw new LexFault(line, 'a comment without an end');
      takeComment(end + 2);
    } else if (c === "'" || c === '"') {
      const end = endOfString(c);
      take('string', end, source.slice(at + 1, end - 1));
    } else if (c === '`') takeTemplatePiece();
    else if (/[\p{ID_Start}$_#]/u.test(c))
      take('name', at + (/^#?[\p{ID_Continue}$]+/u.exec(source.slice(at))?.[0].length ?? 1));
    else if (/\d/.test(c) || (c === '.' && /\d/.test(source[at + 1] ?? '')))
      take('number', at + (/^(?:\d[\d_]*[eE][+-]?\d+|[\w.])+/.exec(source.slice(at))?.[0].length ?? 1));
    else if (c === '/' && mayBeRegex()) take('regex', endOfRegex());
    else if (/[-{}()[\];,<>.?:=+*/%&|^!~@]/.test(c)) takePunctuator();
    else throw new LexFault(line, `a character that no token begins with: ${JSON.stringify(c)}`);
  }
  if (open.length > 0) throw new LexFault(line, 'a bracket that is never closed');
  return { tokens, comments };
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf('\n', from);
  return end === -1 ? source.length : end;
}
