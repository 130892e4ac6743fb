// Locks, for those who operate: what is locked, with a button that lifts it, and one that makes another.

import { useState } from 'preact/hooks';
import type { Problem } from '../../gate/now/now.js';
import { durationWords } from '../../host/words/words.js';
import type { Done } from '../answers/api.js';
import type { LockWanted } from '../answers/endpoints.js';
import { Confirm } from './dialog.js';
import { Choice } from './fields.js';
import { Button, Field, Panel, Sentence, Sentences } from './kit.js';
import { useLive } from './live.js';
import { useSession } from './session.js';
import { visible } from './visible.js';

const hoursOffered = ['1', '2', '8', '24', '168'];
const hourMs = 3_600_000;
const held = 'held';

export function LocksPart() {
  const problems = useLive(({ now }) => now?.head.problems) ?? [];
  const [asked, setAsked] = useState<'lock' | Problem>();
  const locks = problems.filter(({ code }) => code === 'locked' || code === 'held');
  const onClose = (): void => setAsked(undefined);
  return (
    <Panel
      title="Locks"
      label="Locks"
      controls={
        <Button kind="small" onClick={() => setAsked('lock')}>
          Lock …
        </Button>
      }
    >
      {locks.length === 0 && <p class="faint">Nobody and nothing is locked or held.</p>}
      {locks.map((lock) => (
        <p key={lock.key}>
          <Sentence text={lock.text} />{' '}
          {idOf(lock) !== undefined && (
            <Button
              kind="small"
              onClick={() => setAsked(lock)}
              label={`unlock ${idOf(lock)}: ${visible(lock.text)}`}
            >
              unlock
            </Button>
          )}
        </p>
      ))}
      {asked === 'lock' ? <Lock onClose={onClose} /> : asked && <Unlock lock={asked} onClose={onClose} />}
    </Panel>
  );
}

/** Undefined: the problem stands for all locks that are not listed. */
function idOf({ key }: Problem): string | undefined {
  return /^(?:locked|held) ([0-9A-Z]{26})$/.exec(key)?.[1];
}

function Lock({ onClose }: { readonly onClose: () => void }) {
  const { api } = useSession();
  const [target, setTarget] = useState('');
  const [hours, setHours] = useState('2');
  const [reason, setReason] = useState('');
  const [kills, setKills] = useState(false);
  const isHold = hours === held;
  const time = isHold ? {} : { forMs: Number(hours) * hourMs };
  const body: LockWanted = { target: target.trim(), ...time, reason, kills, isHold };
  const options = hoursOffered.map((value) => ({ value, text: durationWords(Number(value) * hourMs) }));
  return (
    <Confirm
      title="Lock somebody or something?"
      doit="lock"
      isDanger
      onDo={async () => (await api.json<Done>('POST /api/lock', { body })).text}
      onClose={onClose}
    >
      <Field
        label="Who or what"
        value={target}
        hint="carol, key:panel, listener:billing, backend:mail1 or user:bob@example.com"
        onInput={setTarget}
      />
      <Choice
        label="For"
        value={hours}
        options={[...options, { value: held, text: 'until two persons lift it: a hold of a mail user' }]}
        onInput={setHours}
      />
      <Field label="Reason" value={reason} onInput={setReason} />
      <label class="choice">
        <input type="checkbox" checked={kills} onInput={(event) => setKills(event.currentTarget.checked)} />{' '}
        end what runs of it, too
      </label>
      <p>
        {isHold
          ? 'Refused is what could destroy, hide, move or change that mail, by this gate only: not by IMAP. '
          : 'A person is locked under every name, key and account, on the page and as approver, too. '}
        Clients read who did it and why. In a terminal:{' '}
        <code>{`sudo dovegate lock ${target || 'WHO'} ${isHold ? '--destroying' : `--for ${hours}h`} --reason TEXT`}</code>
      </p>
    </Confirm>
  );
}

function Unlock({ lock, onClose }: { readonly lock: Problem; readonly onClose: () => void }) {
  const { api } = useSession();
  const [reason, setReason] = useState('');
  const id = idOf(lock) ?? '';
  return (
    <Confirm
      title="Lift this lock?"
      doit="unlock"
      onDo={async () => (await api.json<Done>('POST /api/unlock', { body: { target: id, reason } })).text}
      onClose={onClose}
    >
      <Sentences texts={[lock.text]} kind="repeated" />
      <Field label="Reason" value={reason} onInput={setReason} />
      <p>
        It is lifted once that is recorded, and a hold once a second person lifts it, too. In a terminal:{' '}
        <code>{`sudo dovegate unlock ${id} --reason TEXT`}</code>
      </p>
    </Confirm>
  );
}
