// Files of what a search finds: CSV that is safe in a spreadsheet, JSON lines, and a signed extract. The daemon writes their lines.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { AskTrail } from '../domain/page/trail.js';
import { sentenceOf } from './api.js';
import { Button, saveFile } from './kit.js';
import { useSession } from './session.js';
import { collectFile, fileNameOf, type SaveForm } from './trail-find.js';
import { plural } from './wording.js';

const forms: readonly { readonly form: SaveForm; readonly text: string; readonly type: string }[] = [
  { form: 'csv', text: 'Save as CSV', type: 'text/csv' },
  { form: 'json', text: 'Save as JSON lines', type: 'application/x-ndjson' },
  { form: 'extract', text: 'Save with proof', type: 'text/plain' },
];

export function TrailSave({ filter }: { readonly filter: AskTrail['filter'] }) {
  const { api, me } = useSession();
  const [said, setSaid] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const save = async ({ form, type }: (typeof forms)[number]): Promise<void> => {
    const own = new AbortController();
    running.current = own;
    setBusy(true);
    setSaid('Reading the journal …');
    try {
      const onRows = (rows: number): void => setSaid(`${plural(rows, 'command', 'commands')} so far …`);
      const saved = await collectFile({ api, filter, signal: own.signal, onRows }, form);
      saveFile(
        new Blob([...saved.texts], { type: `${type};charset=utf-8` }),
        fileNameOf(me.host, form, Date.now()),
      );
      const more = saved.isWhole ? '' : ' There are more: the command line gives all of them.';
      const damage = saved.notes.length > 0 ? ' The journal is damaged, so some may be missing.' : '';
      setSaid(`${plural(saved.rows, 'command', 'commands')} saved.${more}${damage}`);
    } catch (error) {
      if (own.signal.aborted) setSaid('Stopped; nothing was saved.');
      else setSaid(sentenceOf(error));
    }
    setBusy(false);
  };
  return (
    <section class="trail-save" aria-label="Save what is found">
      <div class="row">
        {forms.map((each) => (
          <Button key={each.form} isOff={isBusy} onClick={() => void save(each)}>
            {each.text}
          </Button>
        ))}
        {isBusy && <Button onClick={() => running.current?.abort()}>Stop</Button>}
        <span role="status">{said}</span>
      </div>
      <p class="hint">
        All commands that the search finds, the oldest first. "With proof" is an extract that the key of the
        journal signs: it proves that dovegate showed these rows for this question. A proof by the chain,
        which needs the lines between, is made from the files: dovegate audit export --with-proof.
      </p>
    </section>
  );
}
