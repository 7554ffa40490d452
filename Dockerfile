# All of Cupola's own parts in one image: docker-compose.yml says which one a container is. Apps' sandboxes see this image's /usr, so what apps need of a
# machine (Python, git ...) is in PACKAGES: add `golang-go`, `php-cli`, `ruby` ... for apps in these.
ARG NODE_IMAGE=node:24-trixie-slim

FROM ${NODE_IMAGE} AS manifests
LABEL io.cupola.image=compose
COPY . /all
RUN cd /all && find . -name package.json -exec cp --parents {} /srv \; && cp package-lock.json /srv

FROM ${NODE_IMAGE} AS build
LABEL io.cupola.image=compose
WORKDIR /cupola
# Only when one of them changes are the libraries fetched again.
COPY --from=manifests /srv .
RUN npm ci --omit=dev --no-audit --no-fund
COPY . .
RUN node scripts/programs.ts && node scripts/dashboard.ts /cupola/.dashboard && cat /proc/sys/kernel/random/uuid >.image-id

FROM ${NODE_IMAGE}
LABEL io.cupola.image=compose
# What the base image lacks, for agents and stagers: networks, disks, limits; and languages for apps.
ARG PACKAGES="ca-certificates e2fsprogs git iproute2 iptables nftables perl python3 python3-pip python3-venv unzip util-linux xz-utils"
RUN [ -z "$PACKAGES" ] || { apt-get update && apt-get install -y --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /cupola /cupola
RUN ln -s /cupola/compose/* /usr/local/bin/ && install -d -m 0700 -o 1000 -g 1000 /data
WORKDIR /cupola
USER 1000:1000
ENV NODE_ENV=production HOME=/tmp CUPOLA_DASHBOARD=/cupola/.dashboard
ENTRYPOINT []
CMD ["cupola", "--help"]
