#include "core/log/log_state.h"

#include <concepts>
#include <utility>

#include "core/base/endian.h"

namespace chronik::log {

namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::uint8_t kWithoutCleaned = 1;  // written before it was kept how far a log was cleaned
constexpr std::uint8_t kMark = 2;            // in its place: not a log's state

class Out {
 public:
  explicit Out(std::string& to) : to_(to) {}
  template <std::integral T>
  void number(T value) {
    std::uint8_t bytes[sizeof(T)];
    store_little(bytes, value);
    to_.append(as_text(bytes));
  }
  void offset(Offset value) { number(value.value()); }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    to_ += value;
  }
  void count(std::size_t n) { number(static_cast<std::uint32_t>(n)); }

 private:
  std::string& to_;
};

class In {
 public:
  explicit In(ByteSpan from) : from_(from) {}
  bool ok() const { return ok_; }
  bool at_end() const { return from_.empty(); }
  template <std::integral T>
  T number() {
    if (from_.size() < sizeof(T)) {
      ok_ = false;
      from_ = {};
      return 0;
    }
    const T value = load_little<T>(from_.data());
    from_ = from_.subspan(sizeof(T));
    return value;
  }
  Offset offset() { return Offset(number<std::int64_t>()); }
  ByteSpan bytes(std::size_t size) {
    if (from_.size() < size) {
      ok_ = false;
      from_ = {};
      return {};
    }
    const ByteSpan taken = from_.first(size);
    from_ = from_.subspan(size);
    return taken;
  }
  std::string text() { return std::string(as_text(bytes(number<std::uint32_t>()))); }
  // How many elements of at least `element_bytes` follow; 0 and not ok where there is no room for them.
  std::size_t count(std::size_t element_bytes) {
    const std::size_t n = number<std::uint32_t>();
    if (n > from_.size() / element_bytes) {
      ok_ = false;
      return 0;
    }
    return n;
  }

 private:
  ByteSpan from_;
  bool ok_ = true;
};

void encode_producer(Out& out, ProducerId id, const ProducerState& state) {
  out.number(id.value());
  out.number(state.epoch.value());
  out.number(state.last_seen.milliseconds());
  out.number(static_cast<std::uint8_t>(state.count));
  for (std::size_t i = 0; i < state.count; ++i) {
    out.number(state.batches[i].first_sequence);
    out.number(state.batches[i].last_sequence);
    out.offset(state.batches[i].base_offset);
    out.offset(state.batches[i].last_offset);
  }
}

bool decode_producer(In& in, ProducerId& id, ProducerState& state) {
  id = ProducerId(in.number<std::int64_t>());
  state.epoch = ProducerEpoch(in.number<std::int16_t>());
  state.last_seen = WallTime::from_milliseconds(in.number<std::int64_t>());
  state.count = in.number<std::uint8_t>();
  if (state.count > kProducerBatches) {
    return false;
  }
  for (std::size_t i = 0; i < state.count; ++i) {
    state.batches[i].first_sequence = in.number<std::int32_t>();
    state.batches[i].last_sequence = in.number<std::int32_t>();
    state.batches[i].base_offset = in.offset();
    state.batches[i].last_offset = in.offset();
  }
  return in.ok();
}

bool decode_mark(ByteSpan bytes, LogIndex& assigned) {
  In in(bytes);
  if (in.number<std::uint8_t>() != kMark) {
    return false;
  }
  const LogIndex index(in.number<std::int64_t>());
  if (!in.ok() || !in.at_end()) {
    return false;
  }
  assigned = index;
  return true;
}

bool decode_state(ByteSpan bytes, LogState& state) {
  In in(bytes);
  const auto version = in.number<std::uint8_t>();
  if (version != kVersion && version != kWithoutCleaned) {
    return false;
  }
  const ByteSpan topic = in.bytes(state.key.topic.bytes.size());
  std::copy(topic.begin(), topic.end(), state.key.topic.bytes.begin());
  state.key.partition = PartitionId(in.number<std::int32_t>());
  state.topic_name = in.text();
  for (Offset* offset : {&state.log_start, &state.log_end, &state.high_watermark, &state.synced_end}) {
    *offset = in.offset();
  }
  state.synced_lsn = Lsn(in.number<std::int64_t>());
  state.synced_segment = in.offset();
  state.synced_bytes = in.number<std::uint64_t>();
  state.cleaned_to = version == kWithoutCleaned ? Offset(0) : in.offset();
  for (std::size_t n = in.count(12); n > 0; --n) {
    const LeaderEpoch epoch(in.number<std::int32_t>());
    state.epochs.push_back({epoch, in.offset()});
  }
  for (std::size_t n = in.count(16); n > 0; --n) {
    const Offset from = in.offset();
    state.damaged.push_back({from, in.offset()});
  }
  for (std::size_t n = in.count(19); n > 0; --n) {
    auto& [id, producer] = state.producers.emplace_back();
    if (!decode_producer(in, id, producer)) {
      return false;
    }
  }
  return in.ok() && in.at_end();
}

}  // namespace

void encode_state(const LogState& state, std::string& to) {
  std::string body;
  Out out(body);
  out.number(kVersion);
  body += as_text(state.key.topic.bytes);
  out.number(state.key.partition.value());
  out.text(state.topic_name);
  for (const Offset offset : {state.log_start, state.log_end, state.high_watermark, state.synced_end}) {
    out.offset(offset);
  }
  out.number(state.synced_lsn.value());
  out.offset(state.synced_segment);
  out.number(state.synced_bytes);
  out.offset(state.cleaned_to);
  out.count(state.epochs.size());
  for (const Epochs::Start& start : state.epochs) {
    out.number(start.epoch.value());
    out.offset(start.offset);
  }
  out.count(state.damaged.size());
  for (const DamagedRange& range : state.damaged) {
    out.offset(range.from);
    out.offset(range.to);
  }
  out.count(state.producers.size());
  for (const auto& [id, producer] : state.producers) {
    encode_producer(out, id, producer);
  }
  Out(to).text(body);
}

void encode_mark(LogIndex assigned, std::string& to) {
  std::string body;
  Out out(body);
  out.number(kMark);
  out.number(assigned.value());
  Out(to).text(body);
}

StatusOr<StatesOfPart> decode_states(ByteSpan part) {
  StatesOfPart states;
  In in(part);
  while (in.ok() && !in.at_end()) {
    const ByteSpan body = in.bytes(in.number<std::uint32_t>());
    if (in.ok() && decode_mark(body, states.assigned)) {
      continue;
    }
    if (!in.ok() || !decode_state(body, states.logs.emplace_back())) {
      return absl::DataLossError("a checkpoint's state of a log cannot be read");
    }
  }
  if (!in.ok()) {
    return absl::DataLossError("a checkpoint's part ends within a state");
  }
  return states;
}

}  // namespace chronik::log
