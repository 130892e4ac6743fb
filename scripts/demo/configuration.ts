// The configuration of the demo: two teams, two backends, paths relative to the file.

/** The YAML text. */
export function configuration(mail1: string, mail2: string): string {
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
  billing: { unix: billing.sock, mode: "0600", policy: billing }
backends:
  mail1:${backend(mail1)}
  mail2:${backend(mail2)}
routes:
  - { users: ["*@example.com"], backend: mail1 }
  - { users: ["*@example.net"], backend: mail2 }
policies:
  support:
    users: ["*@example.com", "*@example.net"]
    except: ["ceo@example.com"]
    allow: [quota get, mailbox list, mailbox status, search, fetch]
  billing:
    users: ["*@example.com", "*@example.net"]
    allow: [quota get]
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB }
`;
}
