# Stand-ins for the images that docker/compose.yml and docker/Dockerfile name, made from Debian's
# packages for machines that reach no image registry. One target per image; tests/stack/images
# builds them. They keep what the stack uses of each image's contract: commands, users, volumes,
# and how MySQL is given its accounts.
ARG OLD=stand-in/debian:bookworm
ARG NEW=stand-in/debian:sid

FROM ${OLD} AS debian-slim
RUN rm -rf /var/lib/apt/lists/*

FROM ${OLD} AS redis
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends redis-server redis-sentinel redis-tools \
 && rm -rf /var/lib/apt/lists/* && mkdir -p /data && chown redis:redis /data
WORKDIR /data
VOLUME /data
USER redis
CMD ["redis-server", "--protected-mode", "no"]

FROM ${OLD} AS k6
COPY k6 /usr/bin/k6
RUN useradd --uid 12345 --home-dir /home/k6 --create-home k6
USER 12345
WORKDIR /home/k6
ENTRYPOINT ["k6"]

FROM ${OLD} AS rust
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends build-essential ca-certificates pkg-config \
 && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY bin /usr/local/rust/bin
COPY lib /usr/local/rust/lib
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt

FROM ${NEW} AS mysql
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends mysql-server-core mysql-client-core \
 && rm -rf /var/lib/apt/lists/* \
 && (id mysql >/dev/null 2>&1 || useradd --system --home-dir /var/lib/mysql mysql) \
 && rm -rf /var/lib/mysql && mkdir -p /var/lib/mysql /var/run/mysqld /etc/mysql/conf.d /docker-entrypoint-initdb.d \
 && chown mysql:mysql /var/lib/mysql /var/run/mysqld && chmod 750 /var/lib/mysql
COPY mysql.cnf /etc/mysql/my.cnf
COPY mysql-entrypoint /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/mysql
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mysqld"]

FROM ${NEW} AS prometheus
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends prometheus \
 && rm -rf /var/lib/apt/lists/* && mkdir -p /prometheus && chown nobody /prometheus
WORKDIR /prometheus
VOLUME /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]

FROM ${NEW} AS redis-exporter
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends prometheus-redis-exporter \
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/prometheus-redis-exporter /redis_exporter
USER 59000:59000
ENTRYPOINT ["/redis_exporter"]

FROM ${NEW} AS mysqld-exporter
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends prometheus-mysqld-exporter \
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/prometheus-mysqld-exporter /bin/mysqld_exporter
USER nobody
ENTRYPOINT ["/bin/mysqld_exporter"]
