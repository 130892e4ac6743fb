// The parts that every screen is made of: names and lines of others, times, durations, panels, tiles, signs, buttons, fields.

import type { ComponentChildren, TargetedInputEvent } from 'preact';
import { useId, useState } from 'preact/hooks';
import { agoWords, countWords } from '../../host/words/words.js';
import { useLive, useToday } from './live.js';
import { Icon, ShapeOf } from './shapes.js';
import type { Shape, Tone } from './signs.js';
import { breakable, cut, pieces, visible } from './visible.js';
import { localTime, marked, utcTime } from './wording.js';

interface NameProps {
  /** Undefined: a dash is shown. */
  readonly value: string | undefined;
  readonly max?: number;
  /** In monospace: commands, ids, paths. */
  readonly isCode?: boolean;
}

/** A name or text from outside: never markup, and unable to reorder the text beside it. */
export function Name({ value, max = 48, isCode }: NameProps) {
  const [isWhole, setWhole] = useState(false);
  if (value === undefined) return <span class="faint nothing">–</span>;
  // A link or a cell with nothing to see would be taken for a fault of the page.
  if (value.trim() === '') return <span class="faint">{value === '' ? '(empty)' : '(blanks)'}</span>;
  const short = cut(value, max);
  const shown = short === undefined || isWhole ? value : short;
  return (
    <bdi class={isCode ? 'name code' : 'name'} title={isWhole ? undefined : visible(value)}>
      {pieces(shown).map((piece, at) =>
        piece.isOdd ? (
          <span class="odd" key={at}>
            {piece.text}
          </span>
        ) : (
          breakable(piece.text).flatMap((part, place) =>
            place > 0 ? [<wbr key={`${at} ${place}`} />, part] : part,
          )
        ),
      )}
      {short !== undefined && (
        <button type="button" class="more" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'less' : `all ${countWords(value.length)}`}
        </button>
      )}
    </bdi>
  );
}

/** A sentence of the daemon, with its times in local time. */
export function Sentence({ text, isExact }: { readonly text: string; readonly isExact?: boolean }) {
  return (
    <>
      {marked(text).map((part, at) =>
        'time' in part ? (
          <Time key={at} at={part.time} {...(isExact === true && { isExact })} />
        ) : (
          <Name key={at} value={part.text} max={1000} />
        ),
      )}
    </>
  );
}

export function Sentences({ texts, kind }: { readonly texts: readonly string[]; readonly kind?: string }) {
  return (
    <>
      {texts.map((text) => (
        <p key={text} class={kind}>
          <Sentence text={text} />
        </p>
      ))}
    </>
  );
}

/** Texts from outside, made harmless. */
export function Names({ values }: { readonly values: readonly string[] }) {
  return (
    <ul>
      {values.map((value) => (
        <li key={value}>
          <Name value={value} max={400} />
        </li>
      ))}
    </ul>
  );
}

export type FactRow = readonly [name: ComponentChildren, value: ComponentChildren];

interface FactsProps {
  /** A string is shown as a text from outside. Rows without a value are left out. */
  readonly rows: readonly FactRow[];
  readonly kind?: string;
}

export function Facts({ rows, kind = 'told' }: FactsProps) {
  return (
    <dl class={kind}>
      {rows.map(
        ([name, value], at) =>
          value !== undefined &&
          value !== false && (
            <div key={at}>
              <dt>{name}</dt>
              <dd>{typeof value === 'string' ? <Name value={value} max={400} /> : value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

interface TimeProps {
  /** RFC 3339. */
  readonly at: string;
  readonly isExact?: boolean;
  readonly isDated?: boolean;
}

/** Local, UTC on hover. `isDated`: with its date also if it is today's. */
export function Time({ at, isExact, isDated }: TimeProps) {
  const today = useToday();
  return (
    <time dateTime={at} title={utcTime(at)} class="number">
      {localTime(at, isDated === true ? '' : today, isExact)}
    </time>
  );
}

export function Ago({ at }: { readonly at: string }) {
  const words = useLive(({ now }) => now && agoWords(Math.max(0, Date.parse(now.at) - Date.parse(at))));
  if (words === undefined) return <Time at={at} />;
  return (
    <span class="number" title={utcTime(at)}>
      {words}
    </span>
  );
}

const shapeOf: Readonly<Partial<Record<Tone, Shape>>> = {
  good: 'check',
  warn: 'triangle',
  bad: 'cross',
};

/** A state: a shape and a word, and only then a colour. */
export function Sign({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  return (
    <span class={`sign ${tone}`}>
      <ShapeOf shape={shapeOf[tone] ?? 'ring'} />
      <span>{children}</span>
    </span>
  );
}

interface TileProps {
  readonly title: string;
  readonly value: ComponentChildren;
  readonly tone?: Tone;
  readonly children?: ComponentChildren;
}

export function Tile({ title, value, tone = 'quiet', children }: TileProps) {
  return (
    <section class={`tile ${tone}`} aria-label={title}>
      <h2>{title}</h2>
      <p class="value">{tone === 'quiet' || tone === 'good' ? value : <Sign tone={tone}>{value}</Sign>}</p>
      {children !== undefined && <div class="about">{children}</div>}
    </section>
  );
}

/** Shown if there is no data: why, and where it would come from. */
export function Empty({ children }: { readonly children: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name="empty" />
      <p>{children}</p>
    </div>
  );
}

interface PanelProps {
  readonly title: ComponentChildren;
  readonly count?: ComponentChildren;
  /** Name for screen readers; absent: it is not a region of its own. */
  readonly label?: string;
  readonly controls?: ComponentChildren;
  /** A table goes to the edges, anything else has room around it. */
  readonly isTable?: boolean;
  readonly tone?: Tone;
  readonly children: ComponentChildren;
}

export function Panel({ title, count, label, controls, isTable, tone, children }: PanelProps) {
  return (
    <section class={tone === undefined ? 'panel' : `panel tone ${tone}`} aria-label={label}>
      <header>
        <h2>
          {title} {count !== undefined && <span class="count">{count}</span>}
        </h2>
        {controls !== undefined && <div class="controls">{controls}</div>}
      </header>
      {isTable === true ? children : <div class="inside">{children}</div>}
    </section>
  );
}

interface SegmentsProps<T extends string> {
  readonly label: string;
  readonly value: T | undefined;
  readonly options: readonly { readonly value: T; readonly text: string }[];
  readonly onChange: (value: T) => void;
}

export function Segments<T extends string>({ label, value, options, onChange }: SegmentsProps<T>) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
        >
          {option.text}
        </button>
      ))}
    </div>
  );
}

interface PendingProps {
  readonly fault: string | undefined;
  readonly children: string;
}

/** Shown instead of a missing answer: why it is missing, or that it is awaited. */
export function Pending({ fault, children }: PendingProps) {
  return <Empty>{fault === undefined ? children : <Sentence text={fault} />}</Empty>;
}

export function Fault({ text }: { readonly text: string | undefined }) {
  if (text === undefined || text === '') return null;
  return (
    <p role="alert" class="said bad">
      <Sentence text={text} />
    </p>
  );
}

interface ReadingProps {
  /** Undefined: not known yet. */
  readonly of: { readonly bytes: number; readonly ofBytes: number } | undefined;
}

export function Reading({ of }: ReadingProps) {
  const isKnown = of !== undefined && of.ofBytes > 0;
  return (
    <progress
      value={isKnown ? of.bytes : undefined}
      max={isKnown ? of.ofBytes : undefined}
      aria-label="Read of the journal"
    />
  );
}

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly onClick?: () => void;
  readonly kind?: 'plain' | 'main' | 'danger' | 'small';
  readonly type?: 'button' | 'submit';
  readonly isOff?: boolean;
  readonly title?: string;
  readonly isOpen?: boolean;
  readonly isDown?: boolean;
  /** Needed if the children alone are ambiguous: "drain mail1". */
  readonly label?: string;
}

export function Button({ children, onClick, kind = 'plain', type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      class={`button ${kind}`}
      disabled={rest.isOff === true}
      title={rest.title}
      aria-label={rest.label}
      aria-expanded={rest.isOpen}
      aria-pressed={rest.isDown}
      onClick={() => onClick?.()}
    >
      {children}
    </button>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly type?: 'text' | 'password' | 'search' | 'date';
  readonly hint?: string;
  readonly autocomplete?: string;
  readonly isNeeded?: boolean;
  readonly placeholder?: string;
}

export function Field({ label, type = 'text', hint, isNeeded, onInput, ...rest }: FieldProps) {
  const id = useId();
  const own = {
    ...rest,
    id,
    required: isNeeded === true,
    spellcheck: false,
    autocapitalize: 'none' as const,
    'aria-describedby': hint === undefined ? undefined : `${id}-hint`,
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => onInput(event.currentTarget.value),
  };
  // Written out for each type: in the types of Preact, the role of an input depends on its type.
  const inputs = {
    text: () => <input type="text" {...own} />,
    password: () => <input type="password" {...own} />,
    search: () => <input type="search" {...own} />,
    date: () => <input type="date" {...own} />,
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {inputs[type]()}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function AsCommand({ children }: { readonly children: string }) {
  return (
    <p class="as-command">
      In a terminal: <code>{children}</code>
    </p>
  );
}

export function saveFile(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // Some browsers read it after the click.
  window.setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
