#include "core/protocol/record_batch_stream.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace chronik::protocol {
namespace {

Decompressor& started(Decompressor& stream, ByteSpan compressed, std::size_t limit) {
  stream.start(compressed, limit);
  return stream;
}

}  // namespace

StreamSource::StreamSource(Decompressor& stream, MutableByteSpan chunk, std::size_t limit)
    : stream_(stream), chunk_(chunk), left_(limit) {
  CHECK_GT(chunk.size(), kLookaheadBytes);
}

void StreamSource::refill() {
  const std::size_t kept = held_.size();
  if (kept != 0) {
    std::memmove(chunk_.data(), held_.data(), kept);
  }
  read_into(chunk_, kept);
}

// Reads behind the first `kept` bytes of `room`.
void StreamSource::read_into(MutableByteSpan room, std::size_t kept) {
  const Decompressor::Progress progress = stream_.read(room.subspan(kept));
  held_ = room.first(kept + progress.bytes);
  ended_ = progress.state != Decompressor::State::kMore;
  if (progress.state == Decompressor::State::kCorrupt) {
    defect_ = BatchDefect::kDecompression;
  } else if (progress.state == Decompressor::State::kTooBig || progress.bytes > left_) {
    defect_ = BatchDefect::kDecompressedTooBig;
    held_ = {};
    ended_ = true;
  }
  left_ -= std::min(left_, progress.bytes);
}

bool StreamSource::skip(std::size_t n, ByteSpan& skipped) {
  skipped = {};
  while (n > held_.size()) {
    n -= held_.size();
    held_ = {};
    if (ended_) {
      return false;
    }
    read_into(chunk_, 0);
  }
  consume(n);
  return true;
}

RecordStream::RecordStream(Codec codec, ByteSpan compressed, std::int32_t count, std::size_t limit, Codecs& codecs)
    : stream_(started(codecs.decompressor(codec), compressed, limit)),
      source_(stream_, codecs.chunk(), limit),
      left_(count) {}

bool RecordStream::next(RecordView& record) {
  if (left_ <= 0 || defect_ != BatchDefect::kNone) {
    finish();
    return false;
  }
  --left_;
  record = RecordView{};
  defect_ = parse_record(source_, record);
  // Where the stream failed, the record that could not be read is only what followed from it.
  if (defect_ != BatchDefect::kNone && source_.defect() != BatchDefect::kNone) {
    defect_ = source_.defect();
  }
  return defect_ == BatchDefect::kNone;
}

void RecordStream::finish() {
  if (defect_ != BatchDefect::kNone) {
    return;
  }
  const bool more = !source_.peek().empty();
  if (source_.defect() != BatchDefect::kNone) {
    defect_ = source_.defect();
  } else if (more) {
    defect_ = BatchDefect::kRecordsRemain;
  }
}

}  // namespace chronik::protocol
