// The search as fields: each is a key of the search line, and what is typed here stands there.

import { useId, useState } from 'preact/hooks';
import { Field } from './kit.js';
import { formatQuery, type ParsedQuery, queryKeys, type Terms } from './trail-query.js';

interface FieldsProps {
  readonly parsed: ParsedQuery;
  readonly onLine: (line: string) => void;
}

export function TrailFields({ parsed, onLine }: FieldsProps) {
  // A value that is not right yet stays in its field, as it stays in the line.
  const [typed, setTerms] = useState<Terms>('terms' in parsed ? parsed.terms : {});
  const terms = 'terms' in parsed ? parsed.terms : typed;
  const change = (key: keyof Terms, value: string): void => {
    const next = { ...terms, [key]: value };
    setTerms(next);
    onLine(formatQuery(next));
  };
  return (
    <div class="search-fields">
      {queryKeys.map(({ key, label, hint, values }) =>
        values === undefined ? (
          <Field
            key={key}
            label={label}
            value={terms[key] ?? ''}
            hint={hint}
            onInput={(value) => change(key, value)}
          />
        ) : (
          <Choice
            key={key}
            label={label}
            values={values}
            value={terms[key] ?? ''}
            onChange={(value) => change(key, value)}
          />
        ),
      )}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly values: readonly string[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Choice({ label, values, value, onChange }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">any</option>
        {values.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </div>
  );
}
