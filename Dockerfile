# Fairlead as a container: build with everything, ship with nothing but Node, the compiled program and its dependencies.
#
#   docker build -t fairlead .
#   docker run --read-only -v fairlead-state:/var/lib/fairlead -p 8080:8080 \
#     -v ./fairlead.yaml:/etc/fairlead/fairlead.yaml:ro fairlead serve --config /etc/fairlead/fairlead.yaml
#
# It writes nowhere but to /var/lib/fairlead (and only if the configuration names it as stateDir) and to its output.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts of dependencies have nothing to do here: the only one fetches the Node that this image already has.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build
# From here on only what runs: the image takes the modules that are left.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# Stands in for the state folder below, which needs an owner.
RUN mkdir state

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build --chown=1000:1000 /app/state /var/lib/fairlead
VOLUME ["/var/lib/fairlead"]
# The base image's user "node", by number, so that platforms which demand a non-root user can see that it is one.
USER 1000:1000
# 8080 traffic, 8081 status: /metrics, /livez, /readyz. The admin address is on loopback, inside.
EXPOSE 8080 8081
# Asks the status address; set FAIRLEAD_STATUS=host:port where the configuration moves it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["node", "/app/dist/launch.mjs", "health"]
# No shell and no npm in between: signals reach the program, which is process 1 and ends gently on SIGTERM.
# The heap's settings are explained in the README under "Memory"; `npm start` has the same.
ENTRYPOINT ["node", "--max-semi-space-size=4", "--expose-gc", "/app/dist/launch.mjs"]
CMD ["serve"]
