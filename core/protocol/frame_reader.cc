#include "core/protocol/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "core/base/endian.h"

namespace chronik::protocol {

namespace {
constexpr std::size_t kLengthBytes = 4;
}  // namespace

Status FrameReader::fill(const Deadline& deadline) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  }
  if (buffer_.empty()) {
    buffer_ = Slice::allocate(buffer_bytes_);
  }
  if (end_ == buffer_.size()) {
    std::memmove(buffer_.mutable_data(), buffer_.data() + begin_, buffered());
    end_ -= begin_;
    begin_ = 0;
  }
  ASSIGN_OR_RETURN(const std::size_t got, connection_.read(buffer_.mutable_bytes().subspan(end_), deadline));
  if (got == 0) {
    return buffered() == 0 ? absl::OutOfRangeError("closed by the peer") : absl::DataLossError("closed within a frame");
  }
  end_ += got;
  return ok();
}

StatusOr<std::int32_t> FrameReader::length(const Deadline& deadline) {
  while (buffered() < kLengthBytes) {
    RETURN_IF_ERROR(fill(deadline));
  }
  const auto size = load_big<std::int32_t>(buffer_.data() + begin_);
  begin_ += kLengthBytes;
  return size;
}

StatusOr<Slice> FrameReader::body(std::size_t size, const Deadline& deadline) {
  Slice frame = Slice::allocate(size);
  std::size_t have = std::min(size, buffered());
  if (have > 0) {
    std::memcpy(frame.mutable_data(), buffer_.data() + begin_, have);
    begin_ += have;
  }
  // What is missing is read into the frame itself, but for a short rest that may come with the next frames.
  while (have < size && size - have >= buffer_bytes_ / 2) {
    ASSIGN_OR_RETURN(const std::size_t got, connection_.read(frame.mutable_bytes().subspan(have), deadline));
    if (got == 0) {
      return absl::DataLossError("closed within a frame");
    }
    have += got;
  }
  while (have < size) {
    const Status filled = fill(deadline);
    if (!filled.ok()) {
      return absl::IsOutOfRange(filled) ? absl::DataLossError("closed within a frame") : filled;
    }
    const std::size_t take = std::min(size - have, buffered());
    std::memcpy(frame.mutable_data() + have, buffer_.data() + begin_, take);
    begin_ += take;
    have += take;
  }
  return frame;
}

}  // namespace chronik::protocol
