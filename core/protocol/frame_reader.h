// Takes frames (a 4-byte length, then so many bytes) out of a connection.
//
// Small frames are gathered by one read and copied out, each into a buffer of its own size, so that records that live
// on in a log's tail do not keep a whole read buffer alive. Of a large frame only what the first read brought is
// copied; the rest is read into its own buffer.
#pragma once

#include <cstdint>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/ports/network.h"

namespace chronik::protocol {

class FrameReader {
 public:
  explicit FrameReader(Connection& connection, std::size_t buffer_bytes = 16 * 1024)
      : connection_(connection), buffer_bytes_(buffer_bytes) {}

  // The length of the next frame. kOutOfRange: the peer closed between two frames. kDataLoss: it closed within one.
  // Anything else as Connection::read. Where this returns ok, body() must follow.
  StatusOr<std::int32_t> length(const Deadline& deadline);
  // The frame's bytes, without the length. `size` is what length() gave, found acceptable by the caller.
  StatusOr<Slice> body(std::size_t size, const Deadline& deadline);

 private:
  Status fill(const Deadline& deadline);
  std::size_t buffered() const { return end_ - begin_; }

  Connection& connection_;
  std::size_t buffer_bytes_;
  Slice buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace chronik::protocol
