// How a command ended and what it can do, as a shape, a word and a colour.

import { hiddenSentences, hiddenWordForm, type TrailContent } from '../../evidence/story/row.js';
import { Name } from './kit.js';
import { ShapeOf } from './shapes.js';
import { effectWith, outcomeSign, type SignFacts } from './signs.js';

export function Badge({ facts: { word, tone, shape } }: { readonly facts: SignFacts }) {
  return (
    <span class={`badge ${tone}`}>
      <ShapeOf shape={shape} />
      <span>
        <Name value={word} max={24} />
      </span>
    </span>
  );
}

/** For long lists: a word alone, unless the sign is one of an exception. */
function Sparing({ facts, isPlain }: { readonly facts: SignFacts; readonly isPlain: boolean | undefined }) {
  const stands = ['warn', 'bad', 'strange', 'content', 'destroy'].includes(facts.tone);
  return isPlain === true && !stands ? <span class="faint">{facts.word}</span> : <Badge facts={facts} />;
}

export function Outcome({ outcome, isPlain }: { readonly outcome: string; readonly isPlain?: boolean }) {
  return <Sparing facts={outcomeSign(outcome)} isPlain={isPlain} />;
}

interface EffectProps {
  /** Undefined or empty: not in the record. */
  readonly effect: string | undefined;
  /** Whether mail content is shown; undefined: it is not, or nobody asked for it. Each place must say which. */
  readonly content: TrailContent | undefined;
  readonly isPlain?: boolean;
}

export function Effect({ effect, content, isPlain }: EffectProps) {
  if (effect === undefined || effect === '') return null;
  return <Sparing facts={effectWith(effect, content)} isPlain={isPlain} />;
}

interface WordsProps {
  readonly value: string | undefined;
  readonly max: number;
  /** In monospace, which is the default; false within a sentence. */
  readonly isCode?: boolean;
}

/** Shows each word that no record holds as one sign, with a part of its digest on hover if there is one. */
export function Words({ value, max, isCode = true }: WordsProps) {
  const pieces = value?.split(hiddenWordForm) ?? [];
  if (pieces.length < 2) return <Name value={value} max={max} isCode={isCode} />;
  return (
    <>
      {pieces.map((piece, at) =>
        at % 2 === 1 ? (
          <span key={at} class="badge quiet secret" title={hiddenTitle(piece)}>
            hidden word
          </span>
        ) : piece === '' ? null : (
          <Name key={at} value={piece} max={max} isCode={isCode} />
        ),
      )}
    </>
  );
}

function hiddenTitle(piece: string): string {
  const digest = piece.startsWith('hmac:') ? `; here it is its digest, ${piece.slice(0, 17)}…` : '';
  return `${hiddenSentences(piece).join('')}${digest}`;
}
