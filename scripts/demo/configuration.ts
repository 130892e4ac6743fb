// The configuration of the demo: a team, a person who approves, two backends; paths relative to the file.
import { me } from '../../test/kit/plain/me.js';

/** The YAML text. `port`: where carol is answered, who has a key with this hash; `pagePort`: of the page. */
export function configuration(
  mail1: string,
  mail2: string,
  port: number,
  pagePort: number,
  keyHash: string,
): string {
  const backend = (address: string): string => `
    address: ${address}
    tls: starttls
    ca: ca.pem
    server_name: localhost
    password_file: mail.password
    shared_namespaces: []`;
  return `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  leads:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { certificate: gate.crt, key: gate.key }
    keys: { carol: { hash: "${keyHash}", policy: leads } }
backends:
  mail1:${backend(mail1)}
  mail2:${backend(mail2)}
routes:
  - { users: ["*@example.com"], backend: mail1 }
  - { users: ["*@example.net"], backend: mail2 }
policies:
  support:
    users: ["*@example.com", "*@example.net"]
    allow: [quota get, mailbox list, mailbox status]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 1h, uses: 1 }
  leads:
    users: ["*@example.com"]
    allow: [mailbox list]
    approve: [support]
persons: { carol: { keys: [carol] } }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${pagePort}
    unix: page.sock
    people: { you: { user: ${me}, roles: [operate, audit] } }
`;
}
