# PostgreSQL with pgvector, from pgvector's public image, and embedding_backfill. Not built by this project's tests, which have
# no container engine:
#     docker build --build-arg PG_MAJOR=18 -t postgres-embedding-backfill .
ARG PG_MAJOR=18

FROM pgvector/pgvector:pg${PG_MAJOR} AS build
ARG PG_MAJOR
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev libclang-dev make postgresql-server-dev-${PG_MAJOR}
# The toolchain of an older Debian works on a newer one, not the other way round.
COPY --from=rust:1-slim-bookworm /usr/local/rustup /usr/local/rustup
COPY --from=rust:1-slim-bookworm /usr/local/cargo /usr/local/cargo
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
RUN rustup component add rustfmt
WORKDIR /src
COPY . .
RUN make install PG_CONFIG=/usr/lib/postgresql/${PG_MAJOR}/bin/pg_config DESTDIR=/out

FROM pgvector/pgvector:pg${PG_MAJOR}
COPY --from=build /out/ /
