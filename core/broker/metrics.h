// What a broker counts. Names as users of the predecessor know them.
#pragma once

#include "core/base/metrics.h"

namespace chronik::broker {

struct BrokerMetrics {
  Counter produce_ok;
  Counter produce_failed;
  Counter fetch_ok;
  Counter fetch_failed;
  Counter bytes_produced;
  Counter bytes_fetched;
  Counter messages_received;
  Counter requests;
  Counter malformed_requests;
  Counter produce_forwards;
  Counter fetch_forwards;
  Counter other_forwards;
  Counter forward_errors;
  Histogram produce_forward_duration;  // from a forwarded produce to its leader's answer
  Histogram produce_latency;           // from the request's last byte to its answer

  void finish_produce(bool success, Duration took) {
    (success ? produce_ok : produce_failed).add();
    produce_latency.record(took);
  }
  void register_in(MetricsRegistry& registry) const {
    registry.add("produce_requests_total", "Produce requests answered", produce_ok, "result=success");
    registry.add("produce_requests_total", "Produce requests answered", produce_failed, "result=error");
    registry.add("fetch_requests_total", "Fetch requests answered", fetch_ok, "result=success");
    registry.add("fetch_requests_total", "Fetch requests answered", fetch_failed, "result=error");
    registry.add("bytes_produced_total", "Bytes of record batches appended", bytes_produced);
    registry.add("bytes_fetched_total", "Bytes of record batches sent to consumers", bytes_fetched);
    registry.add("messages_received_total", "Records appended", messages_received);
    registry.add("requests_total", "Requests of any kind", requests);
    registry.add("malformed_requests_total", "Requests that could not be decoded", malformed_requests);
    registry.add("produce_forward_count", "Produce requests sent to another leader", produce_forwards);
    registry.add("fetch_forward_count", "Fetch requests sent to another leader", fetch_forwards);
    registry.add("other_forward_count", "Requests of other kinds sent to another leader", other_forwards);
    registry.add("forward_errors_total", "Forwarded requests that no leader has answered", forward_errors);
    registry.add("produce_forward_duration", "From a forwarded produce to its leader's answer",
                 produce_forward_duration, MetricsRegistry::Unit::kSeconds);
    registry.add("produce_end_to_end_latency", "From the end of a produce request to its answer", produce_latency,
                 MetricsRegistry::Unit::kSeconds);
  }
};

}  // namespace chronik::broker
