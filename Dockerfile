# An image of Chronik: the broker, the simulator and the benchmark.
#   docker build -t chronik .
#   docker run -p 9092:9092 -v chronik:/data -e CHRONIK_ADVERTISE=localhost chronik
#   docker run --entrypoint chronik-sim chronik run --scenario all --seeds 10
#   docker run --user "$(id -u)" -v "$PWD:/out" -w /out --entrypoint chronik-sim chronik shrink --scenario canary --seed 1
FROM debian:bookworm-slim AS build
WORKDIR /chronik
COPY .ci .ci
RUN .ci/deps build
COPY . .
RUN cmake --preset release && cmake --build --preset release --target programs \
 && strip --strip-debug build/release/chronik-server build/release/chronik-sim build/release/chronik-bench

FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends \
      libabsl20220623 libboost-context1.74.0 libcpp-httplib0.11 libfmt9 libisal2 libjemalloc2 liblz4-1 libsnappy1v5 \
      libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/* && useradd --system chronik && install -d -o chronik /data
COPY --from=build /chronik/build/release/chronik-server /chronik/build/release/chronik-sim \
     /chronik/build/release/chronik-bench /usr/local/bin/
USER chronik
VOLUME /data
# Kafka's clients; the other nodes of a cluster; /metrics, /health and /ready.
EXPOSE 9092 9192 13092
ENV CHRONIK_DATA_DIR=/data CHRONIK_BIND=0.0.0.0:9092 CHRONIK_METRICS_BIND=0.0.0.0:13092
ENTRYPOINT ["chronik-server"]
CMD ["start"]
