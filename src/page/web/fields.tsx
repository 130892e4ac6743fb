// More fields and texts of the screens: a choice, one of a time, a text of several lines, and a text to take along.

import type { TargetedInputEvent } from 'preact';
import { useId, useState } from 'preact/hooks';
import { Button, saveFile } from './kit.js';
import { visible } from './visible.js';

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
  readonly onInput: (value: string) => void;
}

export function Choice({ label, value, options, onInput }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        onInput={(event: TargetedInputEvent<HTMLSelectElement>) => onInput(event.currentTarget.value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {visible(option.text)}
          </option>
        ))}
      </select>
    </div>
  );
}

const dayMs = 86_400_000;
/** How far back a screen looks, in days. */
export const spans = [
  { value: '1', text: 'the last day' },
  { value: '7', text: 'the last 7 days' },
  { value: '30', text: 'the last 30 days' },
  { value: 'all', text: 'all that is kept' },
] as const;
export type Span = (typeof spans)[number]['value'];

export function spanOf(text: string | null): Span {
  return spans.find(({ value }) => value === text)?.value ?? '30';
}

/** `nowMs`: by the clock of the daemon. */
export function sinceOf(span: Span, nowMs = 0): { readonly sinceMs?: number } {
  return span === 'all' ? {} : { sinceMs: Math.max(0, nowMs - Number(span) * dayMs) };
}

interface LongFieldProps {
  readonly label: string;
  readonly value: string;
  readonly hint?: string;
  readonly onInput: (value: string) => void;
}

export function LongField({ label, value, hint, onInput }: LongFieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        class="code"
        rows={4}
        value={value}
        spellcheck={false}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onInput={(event: TargetedInputEvent<HTMLTextAreaElement>) => onInput(event.currentTarget.value)}
      />
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** A button, and what became of it. */
export function Copy({ text, label }: { readonly text: string; readonly label?: string }) {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    const copied = window.isSecureContext
      ? navigator.clipboard.writeText(text)
      : Promise.reject(new Error('no clipboard'));
    copied.then(
      () => setSaid('Copied.'),
      () => setSaid('This browser does not permit it here: mark the text and copy it.'),
    );
  };
  return (
    <>
      <span role="status" class="faint">
        {said}
      </span>
      <Button onClick={copy} {...(label !== undefined && { label })}>
        Copy
      </Button>
    </>
  );
}

interface TextProps {
  /** Label for screen readers. */
  readonly label: string;
  readonly text: string;
  readonly fileName: string;
  /** Numbers of lines with a problem, from 1. */
  readonly marked?: ReadonlySet<number>;
}

/** A text with the numbers of its lines, to be copied or saved. */
export function TakeAlong({ label, text, fileName, marked }: TextProps) {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    <>
      <div class="text" role="region" aria-label={label} tabIndex={0}>
        <ol>
          {lines.map((line, at) => (
            <li key={at} class={marked?.has(at + 1) === true ? 'marked' : undefined}>
              <code>{visible(line)}</code>
            </li>
          ))}
        </ol>
      </div>
      <div class="buttons">
        <Copy text={text} />
        <Button onClick={() => saveFile(new Blob([text], { type: 'application/yaml' }), fileName)}>
          Save as {fileName}
        </Button>
      </div>
    </>
  );
}
