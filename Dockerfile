# dovegate as a container image, for amd64 and arm64, without a shell:
#   docker build -t dovegate .
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example.com/dovegate:0.1.0 --push .
#   buildah build --format docker -t dovegate .    (podman too: images of the OCI format, their default, have no HEALTHCHECK)
# BASE is any image of Debian 12 or newer with Node 20.19.2 or newer and npm. Of its files only the C and C++ libraries are in the image.
ARG BASE=docker.io/library/node:24-trixie-slim

# Of the architecture of the image. No program of it is run, so that an image for another architecture needs no emulation.
FROM ${BASE} AS system

FROM --platform=$BUILDPLATFORM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build
# The program with its locked packages and the Node of the packages, users, and folders with their owners.
RUN --mount=type=bind,from=system,target=/system node scripts/image.mjs /system /image

FROM scratch
COPY --from=build /image/ /
ENV PATH=/usr/bin
USER 10001:10001
# Sockets of the teams and of the admin endpoints, and records on their way to the disk (audit.memory: mount a directory in memory that
# outlives the container, or set it to off); journal and state. Nothing else is written.
VOLUME ["/run/dovegate", "/var/lib/dovegate"]
# Needs `admin: { unix: /run/dovegate/admin.sock }` in the configuration.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "-e", \
    "require('node:http').get({ socketPath: '/run/dovegate/admin.sock', path: '/healthz' }, (reply) => process.exit(reply.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# It is process 1: it takes signals itself, and what is left to it. Give it more than limits.drain (30 s) to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/dovegate"]
CMD ["serve", "--config", "/etc/dovegate/dovegate.yaml"]
