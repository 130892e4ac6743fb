// One GET to an admin endpoint: what stands in its answer. It does not know which endpoints there are.
import { request } from 'node:http';

/** A status code and the text behind it. */
export interface Got {
  readonly status: number;
  readonly body: string;
}

/** A UNIX socket, or a port of an address. */
export type HttpPlace = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** Asks on a connection of its own. Rejects when nobody answers. */
export function askHttp(
  where: HttpPlace,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...where, path, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject).end();
  });
}
