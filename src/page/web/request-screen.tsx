// Screen "request": one request or grant as a line of time. An auditor gets it from the journal, with all uses; an approver gets it from
// the daemon, with the uses from the journal.

import { usesAmong } from '../../evidence/story/row.js';
import type { AccessItem } from '../../gate/access/access-item.js';
import type { StoredRecord } from '../../host/values/values.js';
import type { AccessTable, Uses } from '../answers/api.js';
import { useApprovals } from './approvals.js';
import { useAnswer } from './asked.js';
import { Words } from './badge.js';
import { AsCommand, Empty, Name, Panel, Pending, Sentence, Sentences, Time } from './kit.js';
import { Link } from './location.js';
import { againLine, isLapsed, isOver, momentsOf, stateSentence, whyNoDecision } from './request.js';
import { type Deciding, RequestCard, Told, useDeciding, WhyNot } from './requests.js';
import { pathOf, type ScreenProps } from './route.js';
import { mayDo, useSession } from './session.js';
import { askTrail } from './trail-find.js';
import { visible } from './visible.js';

interface Read {
  readonly item?: AccessItem | undefined;
  readonly sentences: readonly string[];
  readonly uses: readonly StoredRecord[];
}

/** More would be a list of commands, which the trail has. */
const usesMax = 50;

export function RequestScreen({ params: [id = ''] }: ScreenProps) {
  const { onStep, dialog } = useDeciding();
  // The dialog stays open when the request changes or cannot be read.
  return (
    <>
      <Request id={id} onStep={onStep} />
      {dialog}
    </>
  );
}

interface RequestProps extends Pick<Deciding, 'onStep'> {
  readonly id: string;
}

function Request({ id, onStep }: RequestProps) {
  const session = useSession();
  const isAuditor = mayDo(session, 'audit');
  const { approvals, decided, whyNone, fault: unknown } = useApprovals();
  const isApprover = mayDo(session, 'approve');
  const { value, fault, isBusy } = useAnswer<Read>(id, async (signal) => {
    if (!isAuditor) {
      const asked = { params: [id], signal };
      return { sentences: [], ...(await session.api.json<Uses>('GET /api/approvals/:id/uses', asked)) };
    }
    const { records, end } = await askTrail(session.api, 'POST /api/trail/show', { wanted: id }, signal);
    return { sentences: [], ...end.grant, uses: usesAmong(records) };
  });
  const seesRules = isAuditor && session.me.users === undefined;
  const { value: table } = useAnswer(seesRules ? 'access' : undefined, (signal) =>
    session.api.json<AccessTable>('GET /api/access', { signal }),
  );
  const known = [...(approvals ?? []), ...decided].find((each) => each.id === id);
  const item = value?.item ?? known;
  if (item === undefined) {
    if (isBusy || (approvals === undefined && isApprover && unknown === undefined))
      return <Pending fault={fault}>Reading the records of this request …</Pending>;
    const why =
      value === undefined || value.sentences.length === 0
        ? `No request ${id} is known here. It may be older than what is kept, or concern users that you do not see.`
        : `Its request is not in the kept records; ${value.sentences.join('; ')}.`;
    return (
      <Empty>
        <Sentence text={fault ?? why} />
      </Empty>
    );
  }
  const uses = value?.uses ?? [];
  return (
    <>
      <section class="verdict" aria-label="What became of it">
        <h2>
          <Sentence text={stateSentence(item)} />
        </h2>
        <p>
          <Name value={item.to} max={80} /> for <Name value={item.users.join(', ')} max={120} />
        </p>
        {isOver(item) && (
          <p>
            <Name value={item.to} max={80} /> can ask again: <code>{visible(againLine(item))}</code>
            {isLapsed(item) && '; agree with an approver first, or it lapses again'}
          </p>
        )}
      </section>
      <Panel title="Its history">
        <ol class="log" aria-label="The history of this request">
          {momentsOf(item, uses.slice(0, usesMax)).map(({ time, what, id: command }, at) => {
            const said = <Words value={what} max={400} isCode={false} />;
            return (
              <li key={at}>
                <Time at={time} isExact isDated />{' '}
                {command !== undefined && isAuditor ? (
                  <Link to={pathOf('/trail/:id', command)}>{said}</Link>
                ) : (
                  said
                )}
                {command !== undefined && !isAuditor && (
                  <span class="faint">
                    , command <Name value={command} />
                  </span>
                )}
              </li>
            );
          })}
        </ol>
        {uses.length > usesMax && <p class="faint">{uses.length - usesMax} more uses are in the trail.</p>}
        {!isAuditor && fault !== undefined && (
          <Sentences texts={[`Its uses are not shown: ${fault}`]} kind="hint" />
        )}
      </Panel>
      {known !== undefined && known.may.length > 0 ? (
        <RequestCard item={known} policies={table?.policies} onStep={(step) => onStep(known, step)} />
      ) : (
        <Panel title="The request">
          <Told item={item} policies={table?.policies} />
          <WhyNot text={whyNoDecision(item, { isApprover, listed: known, whyNone: whyNone ?? unknown })} />
        </Panel>
      )}
      <AsCommand>
        {isAuditor ? `dovegate audit show ${id}` : `dovegate requests --socket PATH ${id}`}
      </AsCommand>
    </>
  );
}
