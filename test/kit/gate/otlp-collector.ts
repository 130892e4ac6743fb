// A collector of OpenTelemetry in the hands of a test: OTLP over HTTPS in JSON, as strict as the protocol permits. It answers as it is
// told.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Owner } from '../plain/folder.js';
import { listenHere } from '../plain/free-ports.js';
import { otlpFaults } from '../plain/otlp-shape.js';
import type { Authority } from './certificates.js';

interface Told {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Its log records are taken, whatever the status says. */
  readonly isTaken?: boolean;
}

export interface Collector {
  readonly port: number;
  /** The bodies of the log records that were taken, in their order; of one that came again, again. */
  readonly lines: readonly string[];
  readonly requests: readonly { readonly headers: IncomingMessage['headers'] }[];
  /** What is wrong with requests. */
  readonly faults: readonly string[];
  /** The answer to all requests from now on; until then it is success. */
  answerAll(told: Told): void;
}

export const success: Told = { status: 200, body: '{"partialSuccess":{}}', isTaken: true };

/** Ends with the test. */
export async function openCollector(owner: Owner, authority: Authority): Promise<Collector> {
  const { certificatePem: cert, keyPem: key } = authority.issue({ names: ['127.0.0.1', 'localhost'] });
  const lines: string[] = [];
  const requests: Collector['requests'][number][] = [];
  const faults: string[] = [];
  let all = success;
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const { method, url, headers } = request;
    if (method !== 'POST' || url !== '/v1/logs') faults.push(`${method} ${url}`);
    if (headers['content-type'] !== 'application/json')
      faults.push(`content-type ${headers['content-type']}`);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    faults.push(...otlpFaults(body));
    const bodies = bodiesIn(body);
    requests.push({ headers });
    const { status, headers: more, body: text = '', isTaken = false } = all;
    if (isTaken) lines.push(...bodies);
    response.writeHead(status, { 'Content-Type': 'application/json', ...more }).end(text);
  };
  const server = createServer({ cert, key }, (request, response) => {
    take(request, response).catch((fault: unknown) => {
      // A sender that was killed; whatever else it is shows in the lines.
      if (!request.destroyed) faults.push(String(fault));
      response.destroy();
    });
  });
  const port = await listenHere(server);
  owner.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port,
    lines,
    requests,
    faults,
    answerAll(told) {
      all = told;
    },
  };
}

interface Request {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[];
    }[];
  }[];
}

function bodiesIn(body: unknown): string[] {
  const { resourceLogs }: Request = Object(body);
  return resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body: { stringValue } }) => stringValue)),
  );
}
