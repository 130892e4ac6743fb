# dovegate as a container image:
#   docker build -t dovegate .
#   buildah build --format docker -t dovegate .    (podman too: images of the OCI format, their default, have no HEALTHCHECK)
# BASE is any Debian-like image with Node 20.19.2 or newer and npm.
ARG BASE=docker.io/library/node:24-trixie-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# The installer takes the program and its locked packages, and leaves the tools of the build.
RUN npm run build && node scripts/install.mjs install --prefix /usr --destdir /out --node /usr/local/bin/node

FROM ${BASE}
COPY --from=build /out/usr/lib/dovegate /usr/lib/dovegate
# By number, so that volumes and Kubernetes can name them. The folders give fresh volumes their owner. The state may be passed, not listed:
# the journal below it has its own mode (audit.group). A second container of this image runs `page` as 10002; the daemon must be in the
# group 10002 then.
RUN ln -s ../lib/dovegate/dist/main.js /usr/bin/dovegate \
    && groupadd --gid 10001 dovegate \
    && groupadd --gid 10002 dovegate-page \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dovegate --shell /usr/sbin/nologin dovegate \
    && useradd --uid 10002 --gid 10002 --no-create-home --home-dir / --shell /usr/sbin/nologin dovegate-page \
    && install -d -o 10001 -g 10001 -m 0755 /run/dovegate /run/dovegate-door \
    && install -d -o 10001 -g 10001 -m 0711 /var/lib/dovegate \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/dovegate/audit \
    && install -d -o 10002 -g 10002 -m 0700 /run/dovegate-page
USER 10001:10001
# Sockets of the teams and of the admin endpoints, and records on their way to the disk (audit.memory: mount a directory in memory that
# outlives the container, or set it to off); journal and state. Nothing else is written.
VOLUME ["/run/dovegate", "/var/lib/dovegate"]
# Needs `admin: { unix: /run/dovegate/admin.sock }` in the configuration.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "-e", \
    "require('node:http').get({ socketPath: '/run/dovegate/admin.sock', path: '/healthz' }, (reply) => process.exit(reply.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# It is process 1: it takes signals itself, and what is left to it. Give it more than limits.drain (30 s) to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/usr/lib/dovegate/dist/main.js"]
CMD ["serve", "--config", "/etc/dovegate/dovegate.yaml"]
