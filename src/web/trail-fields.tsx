// The search as fields: each is a key of the search line, and what is typed here stands there.

import { useState } from 'preact/hooks';
import { Choice } from './fields.js';
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
            value={terms[key] ?? ''}
            options={['', ...values].map((value) => ({ value, text: value === '' ? 'any' : value }))}
            onInput={(value) => change(key, value)}
          />
        ),
      )}
    </div>
  );
}
