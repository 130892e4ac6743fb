// How a command ended and what it can do, as a shape, a word and a colour.

import type { TrailContent } from '../domain/admin/page/trail.js';
import { Name } from './kit.js';
import { ShapeOf } from './shapes.js';
import { classSign, decisionSign, effectWith, outcomeSign, type SignFacts } from './signs.js';

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

export function Outcome({ outcome }: { readonly outcome: string }) {
  return <Badge facts={outcomeSign(outcome)} />;
}

export function Decision({ decision }: { readonly decision: string }) {
  return <Badge facts={decisionSign(decision)} />;
}

interface EffectProps {
  /** Undefined or empty: not in the record. */
  readonly effect: string | undefined;
  /** Whether mail content is shown; undefined: it is not, or nobody asked for it. */
  readonly content?: TrailContent | undefined;
}

export function Effect({ effect, content }: EffectProps) {
  if (effect === undefined || effect === '') return null;
  return <Badge facts={effectWith(effect, content)} />;
}

/** A class of a mailbox report, in the words of the report. */
export function Class({ group, what }: { readonly group: string; readonly what: string }) {
  return <Badge facts={classSign(group, what)} />;
}
