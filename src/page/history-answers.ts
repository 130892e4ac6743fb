// Asks the daemon for its counts every 10 s, also while nobody watches. The answers of `/api/history` are made of their differences. A
// daemon that cannot be asked, or that is too old to tell, leaves gaps and a sentence. However many ask, an answer is made once for each
// step.

import { messageOf } from '../host/ports/faults.js';
import type { Clock, Timer } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import { type History, type Span, spanSteps, spans } from './answers/history.js';
import type { Daemon } from './daemon.js';
import { jsonReply, type PageReply, type PageRequest, Refusal } from './http/page-request.js';
import { seesOwnOnly } from './now-answers.js';
import { stepMs, TrafficHistory } from './traffic-history.js';

/** How soon to ask again a daemon that has not answered yet. */
const retryMs = 1_000;

export function createHistoryAnswers(clock: Clock, daemon: Pick<Daemon, 'traffic' | 'away'>) {
  let kept: TrafficHistory | undefined;
  let trouble: string | undefined = 'nothing was counted yet; the first figures come within 20 s';
  let timer: Timer | undefined;
  let isClosed = false;
  const made = new Map<Span, Made>();
  void sample();

  return {
    history: ({ params: [span], who }: PageRequest): PageReply => {
      const long = spans.find((each) => each === span);
      if (long === undefined) throw new Refusal(404, `there is a history of ${spans.join(', ')}`);
      const { times, body } = answerNow(long);
      // As on the screen Now, a person with a limited view does not see the names of teams.
      if (seesOwnOnly(who))
        return jsonReply(200, { ...times, series: [], trouble: ownOnlyText } satisfies History);
      return { status: 200, type: 'application/json; charset=utf-8', body };
    },
    close(): void {
      isClosed = true;
      timer?.cancel();
    },
  };

  /** Never rejects. */
  async function sample(): Promise<void> {
    try {
      const traffic = await daemon.traffic();
      const nowMs = clock.now();
      if (kept?.fits(traffic) === true) kept.take(traffic, nowMs);
      else kept = new TrafficHistory(traffic, nowMs);
      trouble = undefined;
    } catch (fault) {
      trouble = daemon.away ?? messageOf(fault);
    }
    if (!isClosed) timer = clock.setTimer(pauseMs(), () => void sample());
  }

  /** Until the end of the step, so that samples are evenly spaced however long an answer takes. */
  function pauseMs(): number {
    if (kept === undefined) return daemon.away === undefined ? stepMs : retryMs;
    const passedMs = clock.now() - kept.startMs;
    // A timer may be a little early.
    return (Math.floor(passedMs / stepMs + 0.1) + 1) * stepMs - passedMs;
  }

  function answerNow(span: Span): Made {
    const [nowMs, wallMs] = [clock.now(), clock.wallMs()];
    const stamp = `${kept?.startMs ?? wallMs} ${kept?.lastStep(nowMs) ?? 0} ${trouble ?? ''}`;
    const last = made.get(span);
    if (last?.stamp === stamp) return last;
    const at = formatTime(wallMs);
    const { series, ...times } = kept?.history(span, nowMs, wallMs) ?? {
      since: at,
      until: at,
      step: spanSteps[span].seconds,
      series: [],
    };
    const history: History = { ...times, series, ...(trouble === undefined ? {} : { trouble }) };
    const answer = { stamp, times, body: `${JSON.stringify(history)}\n` };
    made.set(span, answer);
    return answer;
  }
}

/** Kept as text: the numbers of a day need several times the memory. */
interface Made {
  /** Changes when the answer changes. */
  readonly stamp: string;
  readonly times: Pick<History, 'since' | 'until' | 'step'>;
  readonly body: string;
}

const ownOnlyText = 'a person with the role "view" or "operate" sees the traffic of teams';
