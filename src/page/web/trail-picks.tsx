// What a search is filtered by, as chips; the presets of its time; and the values of a row, to search for them only or to leave them out.

import { isExchange, isOfRequests } from '../../evidence/story/row.js';
import { notOk } from '../../gate/outcome/class.js';
import { Dialog } from './dialog.js';
import { Button, Facts, Name, Segments } from './kit.js';
import { go } from './location.js';
import { pathOf } from './route.js';
import { canLeaveOut, type Parsed, type QueryKey, queryKeys } from './trail-query.js';
import { queryValue, type ShownRow, wantedOf } from './trail-rows.js';
import { visible } from './visible.js';

export type Wanted = Pick<Parsed, 'terms' | 'not'>;

export interface ChipsProps {
  readonly wanted: Wanted;
  /** An empty term counts as none. */
  readonly onWanted: (wanted: Wanted) => void;
}

const labelOf = (key: QueryKey): string =>
  (queryKeys.find((each) => each.key === key)?.label ?? key).toLowerCase();

export function Chips({ wanted, onWanted }: ChipsProps) {
  const { terms, not = [] } = wanted;
  // What a button above shows as pressed needs no chip.
  const isPressed = (key: QueryKey, value: string): boolean =>
    key === 'kind' ||
    (key === 'outcome' && value === notOk) ||
    (key === 'since' && terms.until === undefined && presets.some((each) => each.value === value));
  const set = queryKeys.flatMap(({ key }) => {
    const value = terms[key] ?? '';
    return value === '' || isPressed(key, value) ? [] : [{ key, value }];
  });
  const chips = [
    ...set.map((each) => ({ ...each, word: '', left: { terms: { ...terms, [each.key]: '' }, not } })),
    ...not.map((each) => ({
      ...each,
      word: 'not ',
      left: { terms, not: not.filter((one) => one !== each) },
    })),
  ];
  if (chips.length === 0) return null;
  return (
    <div class="chips" role="group" aria-label="Filters">
      {chips.map(({ key, value, word, left }) => (
        <span key={`${word}${key} ${value}`} class={word === '' ? 'chip' : 'chip not'}>
          <span>
            <span class="faint">{`${word}${labelOf(key)} `}</span>
            <Name value={value} max={32} />
          </span>
          <button
            type="button"
            aria-label={`Without ${word}${labelOf(key)} ${visible(value)}`}
            onClick={() => onWanted(left)}
          >
            ×
          </button>
        </span>
      ))}
    </div>
  );
}

const kinds = [
  { value: 'command', text: 'commands' },
  { value: 'access', text: 'access' },
  { value: 'operator', text: 'operators' },
  { value: 'session', text: 'sessions' },
  { value: 'look', text: 'looks' },
  { value: 'all', text: 'all' },
];

/** A limited view has no other records than those of commands and access. */
export function Kinds({ wanted, onWanted, isLimited }: ChipsProps & { readonly isLimited: boolean }) {
  const { kind, by, grant, outcome } = wanted.terms;
  const isMore = grant !== undefined || isOfRequests(outcome);
  return (
    <Segments
      label="What people did"
      value={kind ?? (by === undefined ? (isMore ? undefined : 'command') : 'all')}
      options={isLimited ? kinds.filter(({ value }) => /^(command|access|all)$/.test(value)) : kinds}
      onChange={(value) => onWanted({ ...wanted, terms: { ...wanted.terms, kind: value } })}
    />
  );
}

/** Searches for all that was denied, failed or not answered. */
export function NotOk({ wanted, onWanted }: ChipsProps) {
  const { not, terms } = wanted;
  const isDown = terms.outcome === notOk;
  return (
    <Button
      kind="small"
      isDown={isDown}
      title="denied, failed and unanswered: commands, and requests for access"
      onClick={() => onWanted({ terms: { ...terms, outcome: isDown ? '' : notOk }, not })}
    >
      Not ok
    </Button>
  );
}

const presets = [
  { value: '15m', text: '15 min' },
  { value: '24h', text: '24 h' },
  { value: 'today', text: 'today' },
  { value: '7d', text: '7 days' },
  { value: '', text: 'all' },
];

export function Presets({ wanted, onWanted }: ChipsProps) {
  const { since = '', until } = wanted.terms;
  return (
    <Segments
      label="Time of the search"
      value={until === undefined ? since : undefined}
      options={presets}
      onChange={(value) => onWanted({ ...wanted, terms: { ...wanted.terms, since: value, until: '' } })}
    />
  );
}

interface PicksProps extends ChipsProps {
  readonly row: ShownRow;
  readonly onClose: () => void;
}

export function Picks({ row, wanted, onWanted, onClose }: PicksProps) {
  const keys = queryKeys.flatMap(({ key, label }) =>
    canLeaveOut(key) && queryValue(row, key) !== '' ? [{ key, label }] : [],
  );
  const id = wantedOf(row);
  return (
    <Dialog title="Search by a value of this command" onClose={onClose} isDrawer>
      <Facts
        kind="facts"
        rows={keys.map(({ key, label }) => {
          const value = queryValue(row, key);
          const what = `${labelOf(key)} ${value}`;
          return [
            label,
            <>
              <Name value={value} max={120} />
              <div class="chips">
                <Button
                  kind="small"
                  label={`only ${what}`}
                  onClick={() => onWanted({ ...wanted, terms: { ...wanted.terms, [key]: value } })}
                >
                  only this
                </Button>
                <Button
                  kind="small"
                  label={`without ${what}`}
                  onClick={() => onWanted({ ...wanted, not: [...(wanted.not ?? []), { key, value }] })}
                >
                  without this
                </Button>
              </div>
            </>,
          ];
        })}
      />
      <div class="buttons">
        <Button onClick={onClose}>Close</Button>
        {id !== undefined && (
          <Button kind="main" onClick={() => go(pathOf('/trail/:id', id))}>
            {isExchange(row.fields) ? 'Open this command' : 'Open this record'}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
